// Package docker lets workspaces run in Docker: it observes and executes, and decides nothing.
//
// It owns everything about the Docker Engine API: labels, names, networks, container settings, image pulls and builds.
// It is the only package that imports github.com/docker/docker. It must not know who asks for what, HTTP, SQL or
// configuration files. It sees and touches only what carries the label of its instance.
//
// Beside an ML Lab on the same daemon, what it makes are services of the lab by names, labels, variables and networks. It knows
// the lab as a port of its own, and is told the rest.
//
// What a daemon can do is found out by trying, once for each daemon: which sizes it holds, how it is reached, whether it
// sees the files of this machine. What it does not hold is measured, from its own folders where they can be read.
//
// An Engine is safe for concurrent use.
package docker
