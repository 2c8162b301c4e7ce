// Package server is the composition root: it makes the parts (store, engine, manager, access proxy, and for the headless
// program the HTTP API and the pages), gives each what it needs, runs them and ends them in order.
//
// It owns listeners, their limits and shutdown, and the instance: the state folder with its lock, token and ids. Desktop
// and headless differ only in what they pass in. It decides nothing about workspaces.
//
// A Server is safe for concurrent use after New.
package server
