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
	// Capabilities says what this kind of engine can do. It never changes and asks nobody.
	Capabilities() Capabilities
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
	// InspectImage says what an image that is here says of itself. CodeNotFound when it is not here.
	InspectImage(ctx context.Context, image string) (ImageFacts, error)
	// RemoteDigest asks the registry of an image what its tag stands for now: "sha256:…". CodeImageMissing when the
	// registry has no such tag, CodeUnavailable when it does not answer.
	RemoteDigest(ctx context.Context, image string) (string, error)
	// Measure counts the files of places, and answers for each in their order. The error is about all of them.
	Measure(ctx context.Context, places []Place, how Measuring) ([]Measurement, error)
	// Stats says what running containers use now, by their handles; one that is gone or cannot be looked at is left out.
	Stats(ctx context.Context, handles []string) ([]Stats, error)
	// RemoveVolume removes a volume of this instance for good. CodeConflict while a container uses it, CodeNotFound
	// when there is none or it is not ours.
	RemoveVolume(ctx context.Context, volume string) error
}

// Capabilities is what a kind of engine can do. What it cannot is neither promised nor asked of it.
type Capabilities struct {
	// Keeps says that the engine itself keeps what should be, where others can change it, too: its word about which
	// workspaces there are counts more than the store's. Steps then change what runs in place.
	Keeps bool
	// Idles says that the engine itself stops what is unused, by the idle timeout that it was told.
	Idles bool
	// Resizes says that CPUs and memory of a running workspace change without a restart.
	Resizes bool
	// Renames says that the name of a workspace can be changed.
	Renames bool
	// Pulls says that getting the image is a step of its own, and that the engine can say which images there are.
	Pulls bool
	// Volumes says that files outlive their workspace, and that the engine knows of them then.
	Volumes bool
	// Locks says that containers get a secret that only the manager knows, by which their IDE is locked.
	Locks bool
	// Measures says that what is written can be measured, and Stats that what is used can be looked at.
	Measures bool
	Stats    bool
	// Limits says that shared memory, processes and GPUs of a workspace can be limited.
	Limits bool
}

// AllButKeeping is what an engine can that has its own machines and keeps nothing by itself.
var AllButKeeping = Capabilities{Resizes: true, Renames: true, Pulls: true, Volumes: true, Locks: true, Measures: true, Stats: true, Limits: true}

// Host is an engine and its machine.
type Host struct {
	Engine        string // "docker"
	Version       string
	Endpoint      string // address for people: "unix:///var/run/docker.sock"
	OS            string
	CPUs          int
	MemoryMB      int64
	StorageDriver string
	GPUs          []GPU       // in the order of their ids; nil when there are none
	Enforces      Enforcement // what the engine holds containers to by itself
	Notes         []string    // sentences an administrator should know
	// Namespace is the first part of the ids of everything there, where the engine decides about it; else "".
	Namespace string
}

// GPU is a device that containers can be given.
type GPU struct {
	ID       string // stable over restarts of the machine: "GPU-5f0c…", or the full name of a CDI device
	Name     string // "NVIDIA A100-SXM4-40GB"; may be empty
	MemoryMB int64  // 0 = not known
	Driver   string // how the engine is asked for it: GPUNvidia or GPUCDI
}

// The ways in which engines are asked for a GPU.
const (
	GPUNvidia = "nvidia"
	GPUCDI    = "cdi"
)

// Enforcement says which sizes the engine itself holds, found out by trying. What it does not hold is watched.
type Enforcement struct {
	ContainerSize bool
	VolumeSize    bool
	// Tried is false as long as nothing could be tried, as before the first image is there.
	Tried bool
}

// Place is something whose files can be measured: a volume, or all that a container has written outside of its volumes.
type Place struct {
	Volume    string
	Container string // its handle; "" for a volume
}

// Measuring says how to measure.
type Measuring struct {
	// Helpers are images, of which the first that is here and can do it serves where the engine's own files cannot be
	// read.
	Helpers []string
	// Gentle measures slowly: at no time more than a tenth of one processor.
	Gentle bool
}

// Measurement is what was measured of one place, or why it could not be: CodeNotFound when there is no such place,
// CodeUnavailable when it cannot be measured here. A number is never a guess.
type Measurement struct {
	Usage Usage
	Err   error
}

// Stats is what a running container uses.
type Stats struct {
	Handle      string
	CPUSeconds  float64 // since it was started
	MemoryBytes int64   // that the kernel cannot take back: without caches of files
	At          time.Time
}

// ImageFacts is what an image says of itself.
type ImageFacts struct {
	ID         string   // of its content: "sha256:…"
	Digests    []string // by which registries know it: "sha256:…"
	Labels     map[string]string
	Ports      []int // that it exposes, ascending
	Entrypoint []string
	Command    []string
	Env        []string
	User       string
	WorkingDir string
	Volumes    []string // paths that it declares as volumes
	SizeBytes  int64
}

// Snapshot is everything the engine holds of this instance at one moment.
type Snapshot struct {
	Workspaces []Observed
	Kept       []Kept // of an engine that keeps what should be
	Volumes    []Volume
	// EngineStartedAt tells a container that ended with its engine from one that ended by itself; zero when unknown.
	EngineStartedAt time.Time
}

// Kept is what an engine keeps of a workspace by itself: what should be of it, and what is. Of Spec, what the engine does
// not keep is zero.
type Kept struct {
	ID        ID
	Owner     Owner
	Spec      Spec
	Volume    string
	HasFiles  bool // in that volume; one that never ran has none
	CreatedAt time.Time
	// Stopped says that it should not run; Reason is why, if that is known, and Code one of the Reason constants.
	Stopped      bool
	Reason, Code string
	Observed     *Observed // nil: no container
	Memory       Memory    // of an engine that is a Rememberer: as it was last told, or found
	// Removal is what was being removed of it when nobody went on with that any more.
	Removal Removal
}

// Removal is what is removed of a workspace in more than one step.
type Removal string

// What can be removed; "" = nothing.
const (
	RemovalOfFiles Removal = "files"
	RemovalOfAll   Removal = "all" // the workspace and its files
)

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

// ExitCodeUnknown stands for the exit code of a container of which only is known that it failed.
const ExitCodeUnknown = -1

// Observed is what the engine says of a workspace's container. An engine that keeps what should be leaves UID, Attempt and
// Fingerprint empty for a container that somebody else has made: it is as the engine keeps it.
type Observed struct {
	ID          ID
	Owner       Owner
	UID         string
	Attempt     int64
	Fingerprint string
	// Copied says that somebody else has made it, with all the marks of one of ours and none of its bounds: it is to be replaced
	// by one of ours. Attempt and Fingerprint then say nothing.
	Copied      bool
	Profile     string // how the configuration called the contract of its image; "" = not known
	DisplayName string // as it was when the container was made

	Handle  string // the engine's own id of the container
	State   ContainerState
	Image   string // as named when the container was made
	ImageID string // what that name stood for; "" = not known
	// ContainerMB is the size to which the engine itself holds what it writes outside of its volume; 0 = to none.
	ContainerMB int64
	Compute     Compute
	Volume      string
	Devices     string // ids of the GPUs that it was given, as in Lease

	StartedAt time.Time
	// Settles is until when what leads to it may lead to where an earlier one was, so that no silence says anything of it; zero =
	// it leads to it.
	Settles    time.Time
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
	ChangeKept     ChangeKind = "kept"     // what the engine keeps of a workspace is now as Kept says
	ChangeDropped  ChangeKind = "dropped"  // the engine keeps nothing of the workspace ID any more
)

// Change is one thing that happened at the engine.
type Change struct {
	Kind     ChangeKind
	ID       ID
	Handle   string
	Observed *Observed // for ChangeObserved
	Kept     *Kept     // for ChangeKept
	Volumes  []Volume  // for ChangeVolumes: those that have come, where the engine can say it; else look again
	At       time.Time
}

// StepKind is what a step does.
type StepKind string

// The engine-neutral steps that plans are made of.
const (
	StepImage         StepKind = "image"          // have the image here: nothing, a pull or a build
	StepStorage       StepKind = "storage"        // have the volume; an engine that keeps what should be has it written down
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
	Pull          PullPolicy
	Profile       string   // kept with the container, for a manager that has lost its records
	Args          []string // in place of the image's own command; nil = that one
	Compute       Compute
	GPUs          []GPU // the leased ones
	Storage       Storage
	IdleTimeout   time.Duration // for an engine that stops what is unused; 0 = never
	ClearOnStop   bool          // likewise
	DeletesVolume bool          // the files go with what is ended, because the owner said so
	Deleted       bool          // nothing of it shall be left but, perhaps, its files
	Kept          bool          // an engine that keeps what should be has kept it already, and made nothing anew
	Volume        string
	VolumeAdopted bool   // an existing volume is wanted and must exist
	HasFiles      bool   // there are files in the volume, so it must exist; of an engine that keeps what should be, not said
	MountPath     string // where the volume goes

	Env          map[string]string // without the secret
	SecretEnv    []string          // names of the variables that carry the secret
	Port         int               // where the IDE listens
	AccessPath   string            // "/projects/<owner>/services/<id>/access/8080b"
	KeepsPath    bool              // the IDE is asked below AccessPath, else at its root
	HealthPath   string            // asked on Port until it answers
	AnyAnswer    bool              // whatever is answered over HTTP counts, "not found" included
	Capabilities []string          // Linux capabilities the image needs on top of none
	StopGrace    time.Duration     // between SIGTERM and SIGKILL
}

// PullPolicy says when an image is asked of its registry.
type PullPolicy string

// The pull policies. One that is here serves also where the registry does not answer.
const (
	PullMissing PullPolicy = "missing" // when it is not here
	PullAlways  PullPolicy = "always"  // at every start
	PullNever   PullPolicy = "never"
)

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
	ID        string   // of its content, when it is here
	Digests   []string // by which registries know it
	SizeBytes int64
	Buildable bool // it can be built on this machine
	Outdated  bool // it is here, and another version of the program has built it
}
