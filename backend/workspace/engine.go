package workspace

import (
	"context"
	"io"
	"time"
)

// Engine is where workspaces run. It observes and executes; it decides nothing. All methods are safe for concurrent use.
//
// Errors: CodeUnavailable when the engine does not answer (the caller tries again), otherwise the code that fits, and
// CodeInternal for what the engine itself calls an internal error. A cancelled context returns the context's error.
type Engine interface {
	// Host describes the engine and the machine it runs on. It also proves that the engine answers.
	Host(ctx context.Context) (Host, error)
	// Snapshot lists everything of this instance that the engine holds, in a fixed number of list calls plus one look
	// at each container whose state changed since the last look.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Watch calls changed for everything that happens to this instance's things, in order and from one goroutine, until
	// ctx ends or the connection is lost. It calls connected once, as soon as no later change can be missed.
	Watch(ctx context.Context, connected func(), changed func(Change)) error
	// Execute carries out one step idempotently. progress may be called from any goroutine until Execute returns.
	// It returns what the engine then says of the workspace's container; nil when there is none or it was not touched.
	Execute(ctx context.Context, step Step, progress func(Progress)) (*Observed, error)
	// Logs writes the container's last lines (all when lines is 0) and, with follow, what comes until ctx ends or the
	// container does. CodeNotFound when the workspace has no container.
	Logs(ctx context.Context, id ID, lines int, follow bool, w io.Writer) error
	// Images says what is known of each of the images, in their order. It asks no registry.
	Images(ctx context.Context, images []string) ([]ImageState, error)
	// MeasureVolume walks a volume. helpers are images, of which the first that is here and can do it serves where the
	// engine's own files cannot be read. CodeUnavailable when it cannot be measured here; a number is never a guess.
	MeasureVolume(ctx context.Context, volume string, helpers []string) (Usage, error)
	// RemoveVolume removes a volume of this instance for good. CodeConflict while a container uses it, CodeNotFound
	// when there is none or it is not ours.
	RemoveVolume(ctx context.Context, volume string) error
}

// Host is an engine and its machine.
type Host struct {
	Engine        string // "docker"
	Version       string
	Endpoint      string // address for people: "unix:///var/run/docker.sock"
	OS            string
	CPUs          int
	MemoryMB      int64
	StorageDriver string
	Notes         []string // sentences an administrator should know
}

// Snapshot is everything the engine holds of this instance at one moment.
type Snapshot struct {
	Workspaces []Observed
	Volumes    []Volume
	// EngineStartedAt tells a container that ended with its engine from one that ended by itself; zero when unknown.
	EngineStartedAt time.Time
}

// ContainerState is the engine's word for a container.
type ContainerState string

// The states a container can be in.
const (
	ContainerCreated ContainerState = "created"
	ContainerRunning ContainerState = "running"
	ContainerPaused  ContainerState = "paused"
	ContainerExited  ContainerState = "exited"
	ContainerDead    ContainerState = "dead" // half removed, or in any state that only removal ends
)

// Observed is what the engine says of a workspace's container.
type Observed struct {
	ID          ID
	Owner       Owner
	UID         string
	Attempt     int64
	Fingerprint string
	Profile     string // how the configuration called the contract of its image; "" = not known
	DisplayName string // as it was when the container was made

	Handle  string // the engine's own id of the container
	State   ContainerState
	Image   string // as named when the container was made
	Compute Compute
	Volume  string

	StartedAt  time.Time
	FinishedAt time.Time
	ExitCode   int
	OOMKilled  bool
	// KilledBy is the signal of the last request through the engine that ended it ("SIGTERM"), "" when there was none
	// or it is not remembered. The manager's own requests are among them; it knows when it asked.
	KilledBy string

	Endpoint string // "http://172.18.0.2:8080", how the manager reaches the IDE; "" unless running
	Secret   string // what the IDE wants to hear; never shown, logged or stored
}

// ChangeKind says what a Change is about.
type ChangeKind string

// The kinds of change.
const (
	ChangeObserved ChangeKind = "observed" // the container is now as Observed says
	ChangeGone     ChangeKind = "gone"     // the container Handle of the workspace ID was removed
	ChangeOOM      ChangeKind = "oom"      // the kernel killed a process in the container; the container may live on
	ChangeVolumes  ChangeKind = "volumes"  // volumes came or went, or containers changed names: look again
)

// Change is one thing that happened at the engine.
type Change struct {
	Kind     ChangeKind
	ID       ID
	Handle   string
	Observed *Observed // for ChangeObserved
	At       time.Time
}

// StepKind is what a step does.
type StepKind string

// The engine-neutral steps that plans are made of.
const (
	StepImage         StepKind = "image"          // have the image here: nothing, a pull or a build
	StepStorage       StepKind = "storage"        // have the volume
	StepCreate        StepKind = "create"         // make the container, not started
	StepStart         StepKind = "start"          // start it
	StepAnswers       StepKind = "answers"        // wait until the IDE answers over HTTP
	StepResize        StepKind = "resize"         // change CPUs and memory of the running container
	StepResume        StepKind = "resume"         // unfreeze a paused container
	StepStop          StepKind = "stop"           // end the container, keep it for its logs
	StepRemove        StepKind = "remove"         // remove the container
	StepRemoveStorage StepKind = "remove-storage" // remove the volume with the owner's files, because the owner said so
	StepRelease       StepKind = "release"        // give back what the workspaces of an owner share, unless another one uses it
	StepForget        StepKind = "forget"         // drop the record; the manager's own step, no engine sees it
)

// Step is one call to the engine, with why it is made.
type Step struct {
	Kind       StepKind
	Cause      string        // one sentence
	Deadline   time.Duration // after which the step has failed; 0 = none
	Deployment Deployment
}

// Deployment is the container that should be: all an engine needs to make one. It is computed, never sent by a client.
type Deployment struct {
	ID          ID
	UID         string
	Owner       Owner
	DisplayName string
	Attempt     int64
	// Fingerprint covers everything that needs a new container when it changes: not CPUs, memory or the name.
	Fingerprint string

	Image         string
	Profile       string // kept with the container, for a manager that has lost its records
	Compute       Compute
	Volume        string
	VolumeAdopted bool   // an existing volume is wanted and must exist
	MountPath     string // where the volume goes

	Env          map[string]string // without the secret
	SecretEnv    []string          // names of the variables that carry the secret
	Port         int               // where the IDE listens
	AccessPath   string            // "/projects/<owner>/services/<id>/access/8080b"
	HealthPath   string            // asked on Port until it answers
	Capabilities []string          // Linux capabilities the image needs on top of none
	StopGrace    time.Duration     // between SIGTERM and SIGKILL
}

// Progress is how far a step is.
type Progress struct {
	Detail  string // "412 of 1,180 MB"
	Current int64
	Total   int64    // 0 = unknown
	Unit    string   // "bytes", "steps" or ""
	Log     []string // newest lines, for a build
}

// ImageState is what is known of an image without asking a registry.
type ImageState struct {
	Image     string
	Here      bool
	SizeBytes int64
	Buildable bool // it can be built on this machine
}
