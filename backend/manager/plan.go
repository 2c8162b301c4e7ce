package manager

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// Deadlines of the steps whose duration does not depend on the image. They are generous: on a busy machine Docker's own
// calls take seconds, and a step that was given up too early has to be done again.
const (
	storageDeadline = time.Minute
	createDeadline  = 2 * time.Minute
	startDeadline   = 2 * time.Minute
	// pullingStartDeadline is for an engine that gets the image while it starts a container.
	pullingStartDeadline = 30 * time.Minute
	resizeDeadline       = 30 * time.Second
	removeDeadline       = time.Minute
	stopSlack            = 30 * time.Second // on top of the grace the image gets to end by itself
)

// Plan is what has to be done, in order, for a workspace to become what it should be.
type Plan struct{ Steps []workspace.Step }

// String lists the steps with their causes, one a line. Tests compare it, so it is stable.
func (p Plan) String() string {
	if len(p.Steps) == 0 {
		return "nothing to do"
	}
	lines := make([]string, len(p.Steps))
	for i, step := range p.Steps {
		lines[i] = fmt.Sprintf("%d %s: %s", i+1, step.Kind, step.Cause)
	}
	return strings.Join(lines, "\n")
}

// next returns the first step, if any.
func (p Plan) next() (workspace.Step, bool) {
	if len(p.Steps) == 0 {
		return workspace.Step{}, false
	}
	return p.Steps[0], true
}

// doneSteps are the steps of a start or an end that are done and leave no trace in what an engine says of a container:
// without them a plan would begin with the image for ever.
type doneSteps map[workspace.StepKind]bool

// leavesNoTrace reports whether a step belongs into doneSteps.
func leavesNoTrace(kind workspace.StepKind) bool {
	return kind == workspace.StepImage || kind == workspace.StepStorage || kind == workspace.StepRelease
}

// planner collects steps for one deployment.
type planner struct {
	done       doneSteps
	deployment workspace.Deployment
	around     Around
	steps      []workspace.Step
}

func (p *planner) add(kind workspace.StepKind, cause string) {
	if p.done[kind] && (kind != workspace.StepStorage || !p.around.mustTell(p.deployment)) {
		return
	}
	p.steps = append(p.steps, workspace.Step{Kind: kind, Cause: cause, Deadline: p.deadline(kind), Deployment: p.deployment})
}

func (p *planner) deadline(kind workspace.StepKind) time.Duration {
	switch kind {
	case workspace.StepStorage, workspace.StepRemoveStorage:
		if p.around.Can.Keeps { // whatever runs is started anew by it
			return pullingStartDeadline
		}
		return storageDeadline
	case workspace.StepCreate:
		return createDeadline
	case workspace.StepStart, workspace.StepResume:
		if !p.around.Can.Pulls { // the image is pulled within it
			return pullingStartDeadline
		}
		return startDeadline
	case workspace.StepAnswers:
		return p.around.Profile.AnswerDeadline
	case workspace.StepResize:
		return resizeDeadline
	case workspace.StepStop:
		return p.around.Profile.StopGrace + stopSlack
	case workspace.StepRemove, workspace.StepRelease:
		return removeDeadline
	}
	return 0 // a pull or a build takes as long as it takes, and can be cancelled
}

// Around is what a plan must know besides the workspace itself.
type Around struct {
	Profile profile.Profile // of its image, with the workspace's port
	Pull    workspace.PullPolicy
	GPUs    []workspace.GPU // of the machine
	Can     workspace.Capabilities
	// Told is what the engine was last told to keep, or has told itself, as keeping says it; for engines that keep.
	Told string
}

// mustTell reports whether an engine that keeps what should be does not know it yet.
func (a Around) mustTell(d workspace.Deployment) bool { return a.Can.Keeps && a.Told != keeping(d) }

// leased returns the devices that a container is given: those of the lease, as many as were asked for.
func (a Around) leased(record workspace.Record) (devices []workspace.GPU) {
	for _, id := range record.Lease.List() {
		if int64(len(devices)) == record.Spec.Compute.GPUs {
			break
		}
		device := workspace.GPU{ID: id, Driver: workspace.GPUNvidia} // it may have been taken out of the machine; the engine says so
		if at := slices.IndexFunc(a.GPUs, func(gpu workspace.GPU) bool { return gpu.ID == id }); at >= 0 {
			device = a.GPUs[at]
		}
		devices = append(devices, device)
	}
	return devices
}

// PlanFor decides what has to be done. It is pure and total: observed is nil when there is no container, and ready says
// whether the IDE of this very container has answered. An empty plan means that nothing is left to do.
func PlanFor(record workspace.Record, observed *workspace.Observed, ready bool, done doneSteps, around Around) Plan {
	p := &planner{done: done, deployment: Deploy(record, around), around: around}
	switch {
	case record.Desired == workspace.DesiredDeleted:
		if !around.Can.Keeps { // else it goes with all the engine keeps of it
			p.takeDown(observed, "the workspace is being deleted")
		}
		if record.DeleteVolume {
			p.add(workspace.StepRemoveStorage, "its owner asked to delete the files too")
		}
		p.add(workspace.StepRelease, "its owner may have no other")
		p.add(workspace.StepForget, "nothing of it is left")
	case record.Desired == workspace.DesiredStopped:
		p.takeDown(observed, "it should be stopped")
		if record.DeleteVolume {
			p.add(workspace.StepRemoveStorage, "its files are cleared whenever it stops")
		}
		p.tell(observed)
	case record.Outcome != nil:
		// The attempt is over. What still runs is ended, what has ended is kept for its logs.
		if observed != nil && alive(observed) {
			p.add(workspace.StepStop, "the attempt has failed")
		}
	case !record.QueuedAt.IsZero():
		p.takeDown(observed, "its start waits for its turn")
		p.tell(observed)
	default:
		p.bringUp(record, observed, ready)
	}
	return Plan{Steps: p.steps}
}

func (p *planner) takeDown(observed *workspace.Observed, why string) {
	if observed == nil {
		return
	}
	if alive(observed) {
		p.add(workspace.StepStop, why)
	}
	p.add(workspace.StepRemove, why)
}

// tell has an engine that keeps what should be know it, of what does not run and so is not started anew by that.
func (p *planner) tell(observed *workspace.Observed) {
	if observed == nil && p.around.mustTell(p.deployment) {
		p.add(workspace.StepStorage, "the engine keeps what it should be")
	}
}

func (p *planner) bringUp(record workspace.Record, observed *workspace.Observed, ready bool) {
	if observed == nil {
		p.build("it should run and has no container")
		return
	}
	if cause := staleness(record, observed, p.deployment); cause != "" {
		if p.around.Can.Keeps { // it is replaced where it is: an end would clear the files of who wants that at every end
			p.assemble(cause)
			return
		}
		// The image comes first, so that a container that serves its owner is not ended for one that cannot be had.
		p.add(workspace.StepImage, cause)
		p.takeDown(observed, cause)
		p.assemble(cause)
		return
	}
	switch observed.State {
	case workspace.ContainerCreated:
		p.launch("its container was made and not started")
	case workspace.ContainerExited:
		if p.around.mustTell(p.deployment) {
			p.add(workspace.StepStorage, "the engine keeps what it should be")
		}
		p.launch("it ended with its engine and should run")
	case workspace.ContainerPaused:
		p.add(workspace.StepResume, "it was frozen and should run")
		p.add(workspace.StepAnswers, "it was frozen and should run")
	case workspace.ContainerDead:
		p.takeDown(observed, "its container is half removed")
		p.build("its container is half removed")
	case workspace.ContainerRunning:
		if knowsLimits(observed) && !sameLiveCompute(record.Spec.Compute, observed.Compute) {
			p.add(workspace.StepResize, fmt.Sprintf("its limits should be %s", computeTitle(record.Spec.Compute)))
		}
		if !ready {
			p.add(workspace.StepAnswers, "nobody has seen it answer yet")
		}
	}
}

func (p *planner) build(cause string) {
	if p.around.Can.Pulls {
		p.add(workspace.StepImage, cause)
	}
	p.assemble(cause)
}

func (p *planner) assemble(cause string) {
	p.add(workspace.StepStorage, cause)
	p.add(workspace.StepCreate, cause)
	p.launch(cause)
}

func (p *planner) launch(cause string) {
	p.add(workspace.StepStart, cause)
	p.add(workspace.StepAnswers, cause)
}

// staleness says why a container has to make way for a new one; "" when it does not.
func staleness(record workspace.Record, observed *workspace.Observed, deployment workspace.Deployment) string {
	switch {
	case observed.UID != record.UID:
		return "its container belongs to an earlier workspace of the same id"
	case observed.Copied:
		return "its container was made by somebody else"
	case observed.Fingerprint != deployment.Fingerprint:
		if observed.Image == record.Spec.Image {
			return "it was changed"
		}
		return fmt.Sprintf("its image should be %s", record.Spec.Image)
	case observed.Attempt != record.Attempt:
		return "it was started anew"
	}
	return ""
}

func alive(observed *workspace.Observed) bool {
	return observed.State == workspace.ContainerRunning || observed.State == workspace.ContainerPaused
}

// knowsLimits reports whether the engine could say what the container may use; of one that it cannot look at it knows the
// state only.
func knowsLimits(observed *workspace.Observed) bool {
	return observed != nil && observed.Compute.MemoryMB > 0 && observed.Compute.CPUs > 0
}

// sameLiveCompute compares what changes without a restart, as engines count: differences that none can see are none.
func sameLiveCompute(wanted, actual workspace.Compute) bool {
	return wanted.MemoryMB == actual.MemoryMB && quota.AmountsOf(wanted).NanoCPUs == quota.AmountsOf(actual).NanoCPUs
}

// Deploy computes the container that should be. Everything in it comes from the record and the profile; nothing a
// client sent is copied through unseen.
func Deploy(record workspace.Record, around Around) workspace.Deployment {
	prof := around.Profile
	if !around.Can.Locks {
		prof = prof.Open()
	}
	d := workspace.Deployment{
		ID:            record.ID,
		UID:           record.UID,
		Owner:         record.Owner,
		DisplayName:   record.Spec.DisplayName,
		Attempt:       record.Attempt,
		Fingerprint:   fingerprint(record),
		Image:         record.Spec.Image,
		Pull:          around.Pull,
		Profile:       record.Spec.Profile,
		Args:          prof.Arguments(record.Owner, record.ID),
		Compute:       record.Spec.Compute,
		GPUs:          around.leased(record),
		Storage:       record.Spec.Storage,
		Volume:        record.Volume,
		VolumeAdopted: record.VolumeAdopted,
		HasFiles:      record.HasFiles() && !around.Can.Keeps,
		MountPath:     prof.MountPath,
		Env:           prof.Environment(record.Owner, record.ID),
		SecretEnv:     prof.SecretEnv,
		Port:          prof.Port,
		AccessPath:    prof.AccessPath(record.Owner, record.ID),
		KeepsPath:     prof.KeepsPath,
		HealthPath:    prof.HealthPath,
		AnyAnswer:     prof.AnyAnswer,
		Capabilities:  prof.Capabilities,
		StopGrace:     prof.StopGrace,
		IdleTimeout:   record.Spec.IdleTimeout,
		ClearOnStop:   record.Spec.ClearVolumeOnStop,
		DeletesVolume: record.DeleteVolume,
		Deleted:       record.Desired == workspace.DesiredDeleted,
		Kept:          around.Told != "",
	}
	if around.Can.Keeps { // nothing of what it keeps changes without a new container
		d.Fingerprint = keeping(d)
	}
	return d
}

// keeping is what an engine that keeps what should be is told of a workspace.
func keeping(d workspace.Deployment) string {
	text := fmt.Appendf(nil, "%s\x00%s\x00%d\x00%g\x00%d\x00%d\x00%d\x00%d\x00%t", d.Image, d.Profile, d.Port, d.Compute.CPUs, d.Compute.MemoryMB,
		d.Storage.VolumeMB, d.Storage.ContainerMB, d.IdleTimeout/time.Second, d.ClearOnStop)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// fingerprint covers what its owner can change and what takes effect by an immediate restart. Shm and process limits
// wait for the next start, and a manager that brings better profiles must not restart what runs.
func fingerprint(record workspace.Record) string {
	text := fmt.Appendf(nil, "%s\x00%s\x00%s", record.Spec.Image, record.Spec.Profile, record.Volume)
	if record.Spec.Port != 0 {
		text = fmt.Appendf(text, "\x00%d", record.Spec.Port)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
