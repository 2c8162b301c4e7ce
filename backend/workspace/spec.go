package workspace

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what an owner can send, whatever the configured limits say.
const (
	MaxDisplayNameLength = 128  // characters, ML Lab's bound
	MaxImageLength       = 2000 // bytes, ML Lab's bound
	MaxIdleTimeout       = 366 * 24 * time.Hour
)

// Spec is what the owner asked for.
type Spec struct {
	DisplayName       string        `json:"display_name"`
	Image             string        `json:"image"`
	Profile           string        `json:"profile"`        // ProfileAuto until its image has been looked at
	Port              int           `json:"port,omitempty"` // where the IDE listens; 0 = where the profile says
	Compute           Compute       `json:"compute"`
	AskedShmMB        int64         `json:"asked_shm_mb,omitempty"` // 0 = what goes with the memory; see Compute.ShmMB
	Storage           Storage       `json:"storage"`
	IdleTimeout       time.Duration `json:"idle_timeout"` // 0 = never
	ClearVolumeOnStop bool          `json:"clear_volume_on_stop"`
}

// Compute is the share of the host that one workspace may use. Memory sizes are ML Lab's MB, which Docker reads as MiB.
type Compute struct {
	CPUs      float64 `json:"cpus"`
	MemoryMB  int64   `json:"memory_mb"`
	ShmMB     int64   `json:"shm_mb"`
	Processes int64   `json:"processes"`
	GPUs      int64   `json:"gpus,omitempty"` // how many; which ones says Record.Lease
}

// ProfileAuto stands for the profile that the image itself will tell once it is here.
const ProfileAuto = "auto"

// Storage bounds what a workspace may write.
type Storage struct {
	VolumeMB    int64 `json:"volume_mb"`
	ContainerMB int64 `json:"container_mb"`
}

// Desired is what should be.
type Desired string

// The three things an owner can want of a workspace.
const (
	DesiredRunning Desired = "running"
	DesiredStopped Desired = "stopped"
	DesiredDeleted Desired = "deleted"
)

// CheckDisplayName refuses a name that could not be shown as written: empty, too long, not UTF-8, or with control
// characters. Any other Unicode is allowed.
func CheckDisplayName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return Invalid("display_name", "The name is not valid UTF-8.")
	case strings.TrimSpace(name) == "":
		return Invalid("display_name", "The name is empty. Give the workspace a name of 1 to %d characters.", MaxDisplayNameLength)
	case utf8.RuneCountInString(name) > MaxDisplayNameLength:
		return Invalid("display_name", "The name has %d characters; %d are allowed.", utf8.RuneCountInString(name), MaxDisplayNameLength)
	case strings.ContainsFunc(name, unshowable):
		return Invalid("display_name", "The name contains a control character.")
	}
	return nil
}

// CheckText refuses a text for people that could not be shown as written in one line. Its error completes "The text …".
func CheckText(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errors.New("is not valid UTF-8")
	case strings.ContainsFunc(text, unshowable):
		return errors.New("contains a control character")
	}
	return nil
}

// unshowable is true for control characters and for the marks that turn the reading direction, with which a name can
// show as another one.
func unshowable(r rune) bool {
	return unicode.IsControl(r) || (r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069') || r == '\u2028' || r == '\u2029'
}

// CheckIdleTimeout refuses negative and absurdly long idle timeouts.
func CheckIdleTimeout(d time.Duration) error {
	if d < 0 {
		return Invalid("idle_timeout", "The idle timeout is negative. Use 0 for never, or a number of seconds.")
	}
	if d > MaxIdleTimeout {
		return Invalid("idle_timeout", "The idle timeout is longer than a year. Use 0 for never.")
	}
	return nil
}
