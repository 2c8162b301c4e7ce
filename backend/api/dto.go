package api

import (
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Compute is what a workspace may use of the host.
type Compute struct {
	CPUs      float64 `json:"cpus" doc:"CPUs, fractions allowed." example:"2"`
	Memory    int64   `json:"memory" doc:"Memory in MB (2^20 bytes)." example:"2000"`
	Shm       int64   `json:"shm" doc:"Size of /dev/shm in MB; follows the memory at the next start."`
	Processes int64   `json:"processes" doc:"Most processes at once."`
	GPUs      int64   `json:"gpus" doc:"How many GPUs it asks for; gpu_ids says which ones it holds."`
}

// Storage is where a workspace's files are, and how large they may grow.
type Storage struct {
	Volume        string `json:"volume" doc:"Name of the volume with the files."`
	VolumeSize    int64  `json:"volume_size" doc:"Limit of the volume in MB."`
	ContainerSize int64  `json:"container_size" doc:"Limit in MB of what is written outside of the volume."`

	VolumeUsed       *int64     `json:"volume_used" doc:"MB, as last measured; null when it is not known."`
	VolumeAt         *time.Time `json:"volume_measured_at"`
	VolumeActs       string     `json:"volume_acts" enum:"enforced,watched,engine" doc:"Who holds the limit of this very volume."`
	ContainerUsed    *int64     `json:"container_used" doc:"MB, as last measured; null when it is not known."`
	ContainerAt      *time.Time `json:"container_measured_at"`
	ContainerActs    string     `json:"container_acts" enum:"enforced,watched,engine"`
	Warning          string     `json:"warning" doc:"A sentence when something is nearly full, or full."`
	CannotBeMeasured string     `json:"cannot_be_measured" doc:"Why nothing could be measured."`
}

// Idle is how far a workspace is from being stopped for being unused.
type Idle struct {
	InUse     bool       `json:"in_use" doc:"Something runs in it, so no time counts down."`
	Since     *time.Time `json:"since" doc:"Since when nobody has used it."`
	StopsAt   *time.Time `json:"stops_at" doc:"When it will be stopped if nobody uses it."`
	Reason    string     `json:"reason" doc:"What keeps it, or what was seen last."`
	KeptUntil *time.Time `json:"kept_until" doc:"Until when its owner has asked to keep it."`
}

// Step is one line of a start.
type Step struct {
	ID        workspace.StepKind  `json:"id" doc:"Kind of the step." example:"image"`
	Title     string              `json:"title" doc:"The step for people." example:"Container with 2 CPUs and 4 GB"`
	State     workspace.StepState `json:"state" enum:"waiting,now,done,failed"`
	Detail    string              `json:"detail" doc:"How far it is, for people." example:"412 of 1,180 MB"`
	Current   int64               `json:"current"`
	Total     int64               `json:"total" doc:"0 = unknown."`
	Unit      string              `json:"unit" enum:"bytes,steps,"`
	StartedAt *time.Time          `json:"started_at"`
	EndedAt   *time.Time          `json:"ended_at"`
	Log       []string            `json:"log" nullable:"false" doc:"Last lines, of a build or of what failed."`
}

// Progress is how far a start is.
type Progress struct {
	Steps       []Step `json:"steps" nullable:"false"`
	Cancellable bool   `json:"cancellable" doc:"Whether :stop calls it off."`
}

// Workspace is a workspace as the API shows it: upstream's fields, and ours on top.
type Workspace struct {
	ID                string  `json:"id" example:"lab1a2b3c-p-ada0-s-ws-thesis"`
	DisplayName       string  `json:"display_name" example:"thesis"`
	ContainerImage    string  `json:"container_image" example:"lab-workspace-minimal:latest"`
	Compute           Compute `json:"compute"`
	IdleTimeout       Seconds `json:"idle_timeout" doc:"Seconds without use after which it stops, 0 = never."`
	ClearVolumeOnStop bool    `json:"clear_volume_on_stop" doc:"Whether its files are deleted whenever it is stopped."`
	Status            string  `json:"status" enum:"pending,running,succeeded,failed,terminating,stopped,unknown" doc:"running means ready to be opened."`
	AccessURL         *string `json:"access_url" doc:"Path under which it is reached, while it is running. Use :open for a link that logs in."`

	Owner           string             `json:"owner"`
	ImageName       string             `json:"image_name" doc:"The image as people call it." example:"JupyterLab"`
	Profile         string             `json:"profile" doc:"Which contract the image speaks."`
	Storage         Storage            `json:"storage"`
	Desired         string             `json:"desired" enum:"running,stopped,deleted" doc:"What should be."`
	Phase           string             `json:"phase" doc:"The finer step inside the status, empty when nothing goes on."`
	Reason          string             `json:"reason" doc:"One sentence of why or how, for people."`
	ReasonCode      string             `json:"reason_code" doc:"The reason, for programs."`
	StatusSince     time.Time          `json:"status_since"`
	CreatedAt       time.Time          `json:"created_at"`
	UpdatedAt       time.Time          `json:"updated_at"`
	Actions         []workspace.Action `json:"actions" nullable:"false" doc:"What can be asked of it now."`
	Port            int                `json:"port" doc:"Where its IDE listens, if not where its profile says; else 0."`
	GPUIDs          []string           `json:"gpu_ids" nullable:"false" doc:"The GPUs that it holds."`
	GPUsSince       *time.Time         `json:"gpus_since" doc:"Since when it holds them."`
	Position        int                `json:"position" doc:"Place in the queue of starts that wait within the quotas, 1 = next; 0 = it does not wait."`
	AboveLimits     []string           `json:"above_limits" nullable:"false" doc:"Fields that are more than is allowed now; they are lowered at the next start."`
	Idle            *Idle              `json:"idle" doc:"null while it does not run or has no idle timeout."`
	GraceUntil      *time.Time         `json:"grace_until" doc:"Until when it may run although it is full, so that its owner can clean up."`
	UpdateAvailable string             `json:"update_available" doc:"A sentence when the tag of its image stands for something newer; else empty."`
	ImageGone       string             `json:"image_gone" doc:"A sentence when it runs and the tag of its image stands for nothing on its machine any more; else empty."`
	PendingRestart  []string           `json:"pending_restart" nullable:"false" doc:"Fields that were changed and act from the next start on."`
	Progress        *Progress          `json:"progress" doc:"Steps of the start that goes on or failed."`
}

// ComputeInput is what may be said of compute.
type ComputeInput struct {
	_         struct{} `additionalProperties:"true"`
	CPUs      *Number  `json:"cpus,omitempty" doc:"CPUs, fractions allowed, never 0."`
	Memory    *Number  `json:"memory,omitempty" doc:"Memory in MB (2^20 bytes)."`
	Shm       *Number  `json:"shm,omitempty" doc:"Size of /dev/shm in MB; 0 = what goes with the memory."`
	Processes *Number  `json:"processes,omitempty" doc:"Most processes at once."`
	GPUs      *Number  `json:"gpus,omitempty" doc:"How many GPUs; which ones is found out at the start."`
}

// StorageInput is what may be said of storage.
type StorageInput struct {
	_             struct{} `additionalProperties:"true"`
	Volume        string   `json:"volume,omitempty" doc:"Name of a kept volume to use; empty for a new one." maxLength:"255"`
	VolumeSize    *Number  `json:"volume_size,omitempty" doc:"Limit of the volume in MB."`
	ContainerSize *Number  `json:"container_size,omitempty" doc:"Limit in MB of what is written outside of the volume."`
}

// WorkspaceInput is what may be said of a new workspace. Unknown fields are ignored, as upstream does.
type WorkspaceInput struct {
	_                 struct{}      `additionalProperties:"true"`
	DisplayName       *string       `json:"display_name,omitempty" nullable:"true" doc:"1 to 128 characters of any script." example:"thesis"`
	ContainerImage    *string       `json:"container_image,omitempty" nullable:"true" doc:"Image to run; the default one when left out."`
	Profile           string        `json:"profile,omitempty" doc:"Which contract the image speaks; found out when left out." maxLength:"100"`
	Port              *Number       `json:"port,omitempty" doc:"Where the IDE listens in the container; 0 or left out = where the profile says."`
	Compute           *ComputeInput `json:"compute,omitempty"`
	Storage           *StorageInput `json:"storage,omitempty"`
	IdleTimeout       MaybeSeconds  `json:"idle_timeout,omitempty"`
	ClearVolumeOnStop *Flag         `json:"clear_volume_on_stop,omitempty"`
	IsStopped         *Flag         `json:"is_stopped,omitempty" doc:"Create it without starting it."`
	CreatedAt         *time.Time    `json:"created_at,omitempty" nullable:"true" doc:"When it was made first, for one that was deleted and is made again: so that it is back at its place in lists. What is more than the limits allow by now is lowered then, and what may not run by now comes back stopped; both are said in its reason. Now when left out."`
}

// WorkspaceUpdate is what may be changed; what is left out stays.
type WorkspaceUpdate struct {
	_                 struct{}      `additionalProperties:"true"`
	DisplayName       *string       `json:"display_name,omitempty" nullable:"true"`
	ContainerImage    *string       `json:"container_image,omitempty" nullable:"true" doc:"A changed image takes effect by an immediate restart."`
	Profile           *string       `json:"profile,omitempty" nullable:"true" maxLength:"100"`
	Port              *Number       `json:"port,omitempty" doc:"A changed port takes effect by an immediate restart."`
	Compute           *ComputeInput `json:"compute,omitempty" doc:"CPUs and memory apply live; the rest from the next start on."`
	Storage           *StorageInput `json:"storage,omitempty"`
	IdleTimeout       MaybeSeconds  `json:"idle_timeout,omitempty"`
	ClearVolumeOnStop *Flag         `json:"clear_volume_on_stop,omitempty"`
}

// ImageOption is an image in upstream's form.
type ImageOption struct {
	Image       string `json:"image"`
	DisplayName string `json:"display_name"`
}

// Config is upstream's configuration for a create dialog, capped by the host.
type Config struct {
	DisplayNameDefault      string        `json:"display_name_default"`
	ContainerImageDefault   ImageOption   `json:"container_image_default"`
	ContainerImageOptions   []ImageOption `json:"container_image_options" nullable:"false" doc:"Images to choose from; empty = any may be named."`
	CPUsDefault             float64       `json:"cpus_default"`
	CPUsMax                 float64       `json:"cpus_max"`
	CPUsOptions             []float64     `json:"cpus_options" nullable:"false"`
	MemoryDefault           int64         `json:"memory_default" doc:"MB"`
	MemoryMax               int64         `json:"memory_max" doc:"MB"`
	MemoryOptions           []int64       `json:"memory_options" nullable:"false"`
	IdleTimeoutDefault      int64         `json:"idle_timeout_default" doc:"Seconds, 0 = never."`
	IdleTimeoutOptions      []int64       `json:"idle_timeout_options" nullable:"false"`
	AlwaysClearVolumeOnStop bool          `json:"always_clear_volume_on_stop"`
}

// Limit is what may be asked of one resource, and how far it is held.
type Limit struct {
	Default float64   `json:"default"`
	Max     float64   `json:"max" doc:"0 = no bound of its own; of GPUs: none."`
	Choices []float64 `json:"choices" nullable:"false" doc:"The only values allowed, when not empty."`
	Unit    string    `json:"unit" enum:"CPUs,MB,s,"`
	Acts    string    `json:"acts" enum:"enforced,watched,engine" doc:"enforced = the kernel or the engine holds it; watched = it is measured, and what exceeds it is stopped; engine = the engine holds it as far as it does that, and does not tell."`
	Applies string    `json:"applies" enum:"live,restart" doc:"Whether a change acts at once or from the next start on."`
}

// Limits are the limits of one workspace.
type Limits struct {
	CPUs          Limit `json:"cpus"`
	Memory        Limit `json:"memory"`
	Shm           Limit `json:"shm"`
	Processes     Limit `json:"processes"`
	GPUs          Limit `json:"gpus"`
	VolumeSize    Limit `json:"volume_size"`
	ContainerSize Limit `json:"container_size"`
	IdleTimeout   Limit `json:"idle_timeout"`
}

// AccessInfo tells a browser how workspaces are reached.
type AccessInfo struct {
	Port       int    `json:"port"`
	HostSuffix string `json:"host_suffix" doc:"Workspaces have hosts of their own below this name." example:"localhost"`
}

// Product names what answers.
type Product struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Host is the engine, its machine, and what may be asked of one workspace on it.
type Host struct {
	Engine        string       `json:"engine" example:"docker"`
	Reachable     bool         `json:"reachable" doc:"Whether the engine answers; while it does not, nothing can be changed."`
	Reason        string       `json:"reason" doc:"Why it cannot be reached."`
	Action        string       `json:"action" doc:"What to do about it."`
	Since         *time.Time   `json:"since" doc:"Since when it is, or is not, reachable."`
	Version       string       `json:"version"`
	Endpoint      string       `json:"endpoint"`
	OS            string       `json:"os"`
	CPUs          int          `json:"cpus"`
	Memory        int64        `json:"memory" doc:"MB"`
	StorageDriver string       `json:"storage_driver"`
	Limits        Limits       `json:"limits"`
	Access        AccessInfo   `json:"access"`
	Product       Product      `json:"product"`
	GPUs          int          `json:"gpus" doc:"How many GPUs there are."`
	Config        ConfigStatus `json:"config"`
	Notes         []string     `json:"notes" nullable:"false" doc:"What an administrator should know."`
	InLab         bool         `json:"in_lab" doc:"Whether this is an extension of an ML Lab, which says who may do what and serves the workspaces."`
	Can           Capabilities `json:"can"`
}

// Capabilities is what the engine can do.
type Capabilities struct {
	Resize  bool `json:"resize" doc:"CPUs and memory of a running workspace change without a restart."`
	Rename  bool `json:"rename" doc:"A workspace can be renamed."`
	Volumes bool `json:"volumes" doc:"Files outlive their workspace, and are listed."`
	Measure bool `json:"measure" doc:"What is written is measured."`
	Stats   bool `json:"stats" doc:"What is used now is shown."`
	Images  bool `json:"images" doc:"It is known which images there are, and what they are."`
	Limits  bool `json:"limits" doc:"Shared memory, processes and GPUs can be limited."`
	Idle    bool `json:"idle" doc:"The manager itself stops what is unused, and shows a countdown; else the engine does."`
}

// Image is an image that is offered.
type Image struct {
	Name        string `json:"name" example:"JupyterLab"`
	Image       string `json:"image"`
	Profile     string `json:"profile"`
	Description string `json:"description"`
	Default     bool   `json:"default"`
	State       string `json:"state" enum:"here,build,pull,engine" doc:"Whether it is here, or what the first start does about it; engine = the engine sees to it, and does not tell."`
	SizeBytes   int64  `json:"size_bytes" doc:"0 = unknown."`
	Note        string `json:"note" doc:"The state for people." example:"here · 412 MB"`
	Warning     string `json:"warning" doc:"What people should know before they use it; may be empty."`
}

// Volume is a place for files that outlives its workspace.
type Volume struct {
	Name        string     `json:"name"`
	Owner       string     `json:"owner"`
	DisplayName string     `json:"display_name" doc:"Name of the workspace it belongs or belonged to."`
	CreatedAt   time.Time  `json:"created_at"`
	KeptSince   *time.Time `json:"kept_since" doc:"When its workspace was deleted."`
	UsedBy      *string    `json:"used_by" doc:"Id of the workspace that uses it; null for a kept one."`
}

// Usage is a measurement of a volume.
type Usage struct {
	Bytes      int64      `json:"bytes"`
	Files      int64      `json:"files"`
	ChangedAt  *time.Time `json:"changed_at" doc:"When the newest file was changed."`
	MeasuredAt time.Time  `json:"measured_at"`
}

// User is who calls.
type User struct {
	ID    string `json:"id" example:"ada0"`
	Name  string `json:"name" doc:"What people call you; your id where nobody keeps names." example:"ada"`
	Admin bool   `json:"admin" doc:"Whether the administrator's page is for you."`
}

// Person is somebody whose workspaces one may see.
type Person struct {
	ID   string `json:"id" example:"ada0"`
	Name string `json:"name" doc:"What people call them; the id where nobody keeps names." example:"ada"`
}

// Link is a one-time address that leads into a workspace.
type Link struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Event is one message of the event stream. Which of the fields are set depends on its type: a snapshot has all three
// lists and comes first, and again when the client could not keep up. "alive" says over a WebSocket that nothing happened.
type Event struct {
	Seq        uint64       `json:"seq"`
	Type       string       `json:"type" enum:"snapshot,workspace,workspace_removed,volumes,host,quota,use,alive"`
	Workspaces *[]Workspace `json:"workspaces,omitempty"`
	Workspace  *Workspace   `json:"workspace,omitempty"`
	ID         string       `json:"id,omitempty"`
	Owner      string       `json:"owner,omitempty"`
	Reason     string       `json:"reason,omitempty" doc:"Of workspace_removed: why, where it was not asked for here."`
	Volumes    *[]Volume    `json:"volumes,omitempty"`
	Host       *Host        `json:"host,omitempty"`
	Quota      *Quota       `json:"quota,omitempty"`
	Use        *[]Use       `json:"use,omitempty"`
}
