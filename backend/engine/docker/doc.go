// Package docker lets workspaces run in Docker: it observes and executes, and decides nothing.
//
// It owns everything about the Docker Engine API: labels, names, networks, container settings, image pulls and builds.
// It is the only package that imports github.com/docker/docker. It must not know who asks for what, HTTP, SQL or
// configuration files. It sees and touches only what carries the label of its instance.
//
// An Engine is safe for concurrent use.
package docker
