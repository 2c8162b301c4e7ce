//go:build unix

package docker

import (
	"os/exec"
	"syscall"
	"time"
)

// ownGroup lets a cancelled script and everything it started be ended together, and gives it a moment to clean up.
func ownGroup(script *exec.Cmd) {
	script.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	script.Cancel = func() error { return syscall.Kill(-script.Process.Pid, syscall.SIGTERM) }
	script.WaitDelay = 10 * time.Second
}
