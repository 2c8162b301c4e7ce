//go:build !unix

package docker

import "os/exec"

// ownGroup does nothing where there are no process groups; base images are made on Linux only.
func ownGroup(*exec.Cmd) {}
