package workspace

import (
	"slices"
	"strings"
	"time"
)

// Record is what the store keeps of a workspace: everything an engine cannot hold. It is the whole truth about what
// should be; what is comes from the engine as Observed, and Status is computed from the two, never stored.
type Record struct {
	ID    ID     `json:"id"`
	UID   string `json:"uid"` // random; tells this workspace from a later one with the same id
	Owner Owner  `json:"owner"`
	Spec  Spec   `json:"spec"`

	Desired      Desired `json:"desired"`
	DeleteVolume bool    `json:"delete_volume"` // unless DesiredRunning: the files go too, because the owner said so

	Volume        string `json:"volume"`         // name of the volume with the owner's files
	VolumeAdopted bool   `json:"volume_adopted"` // it belonged to a deleted workspace and was asked for

	// Cleared says that there are no files: they were deleted because the owner said so, or they are gone and a start was asked
	// for all the same. It is false again once it has run.
	Cleared bool `json:"cleared,omitempty"`

	// Attempt counts explicit starts. A container carries the attempt it was made for, so an older one is replaced.
	Attempt int64 `json:"attempt"`
	// Launched is the last attempt whose container was seen running; without that container it was taken away.
	Launched int64 `json:"launched"`
	// Outcome is how the current attempt ended; nil while it goes on.
	Outcome *Outcome `json:"outcome,omitempty"`
	// Previous is the image before a change of it, until the new one runs: what to go back to.
	Previous *PreviousImage `json:"previous,omitempty"`
	// Notice is a sentence about something that went another way than asked while the workspace goes on, or about why it
	// was stopped. NoticeCode is one of the Reason constants, "" where none fits.
	Notice     string `json:"notice,omitempty"`
	NoticeCode string `json:"notice_code,omitempty"`

	// QueuedAt is since when a start waits for room within the quotas; zero while none waits.
	QueuedAt time.Time `json:"queued_at,omitzero"`
	// AskedSince is since when its container is asked in vain whether it answers, where that lasts; zero otherwise.
	AskedSince time.Time `json:"asked_since,omitzero"`
	// Lease are the GPUs that it holds, from its admission until its container has ended.
	Lease Lease `json:"lease,omitzero"`
	// KeepUntil is until when its owner has asked not to stop it for being unused; zero = never asked.
	KeepUntil time.Time `json:"keep_until,omitzero"`
	// GraceUntil is until when a workspace that is full may run so that its owner can clean up; zero = it was not full
	// when it was started.
	GraceUntil time.Time `json:"grace_until,omitzero"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	DesiredAt time.Time `json:"desired_at"` // when Desired was last changed
}

// PreviousImage is an image with the contract it was used by, and the attempt at which it was.
type PreviousImage struct {
	Image   string `json:"image"`
	Profile string `json:"profile"`
	Attempt int64  `json:"attempt"`
}

// Lease is the hold on GPUs. It is comparable, like the record it is part of.
type Lease struct {
	Devices string    `json:"devices"` // their ids, sorted, with commas between; a shared device is there once
	Since   time.Time `json:"since"`
}

// MakeLease leases devices.
func MakeLease(devices []string, since time.Time) Lease {
	if len(devices) == 0 {
		return Lease{}
	}
	return Lease{Devices: strings.Join(slices.Sorted(slices.Values(devices)), ","), Since: since}
}

// List returns the ids of the leased devices.
func (l Lease) List() []string {
	if l.Devices == "" {
		return nil
	}
	return strings.Split(l.Devices, ",")
}

// Outcome is how an attempt to run a workspace ended.
type Outcome struct {
	Status   Status    `json:"status"` // StatusSucceeded or StatusFailed
	Code     string    `json:"code"`   // one of the Reason constants
	Reason   string    `json:"reason"` // one sentence for people
	ExitCode int       `json:"exit_code"`
	At       time.Time `json:"at"`
}

// Reasons why an attempt ended, for programs; the sentence for people stands beside them.
const (
	ReasonExited        = "exited"         // by itself
	ReasonOutOfMemory   = "oom"            // the kernel killed it at its memory limit
	ReasonKilled        = "killed"         // a signal whose sender is not known
	ReasonDockerRequest = "docker_request" // somebody stopped or killed it through the engine
	ReasonRemoved       = "removed"        // somebody removed the container through the engine
	ReasonImageMissing  = "image_missing"
	ReasonImageFailed   = "image_failed" // it could not be pulled or built
	ReasonNotAnswering  = "not_answering"
	ReasonRefused       = "refused" // the engine refused it
	ReasonEngineDown    = "engine_down"
	ReasonOverQuota     = "over_quota"   // it can never fit, or not any more
	ReasonIdle          = "idle"         // nobody used it for its idle timeout
	ReasonStorageFull   = "storage_full" // it wrote more than its volume or its container may hold
	ReasonAdmin         = "admin"        // an administrator stopped it
	ReasonFilesGone     = "files_gone"   // somebody removed the volume with its files through the engine
	ReasonTriedAgain    = "tried_again"  // what could not be done yet is tried again by and by
)

// HasFiles reports whether a workspace has files as far as its record says, so that there must be a volume.
func (r Record) HasFiles() bool { return !r.Cleared && (r.Launched > 0 || r.VolumeAdopted) }

// Volume is a place for a workspace's files that outlives its container.
type Volume struct {
	Name        string
	Owner       Owner
	UID         string // of the workspace it was made for
	DisplayName string // of the workspace it belongs or belonged to
	SizeMB      int64  // what it was made to hold; 0 = not known
	Enforced    bool   // the engine itself holds it to SizeMB
	CreatedAt   time.Time
	KeptSince   time.Time // when its workspace was deleted; zero while a workspace uses it or when unknown
	UsedBy      ID        // "" = kept from a deleted workspace
}

// Usage is a measurement of a volume.
type Usage struct {
	Bytes      int64
	Files      int64
	ChangedAt  time.Time // of the newest file; zero when there is none
	MeasuredAt time.Time
}
