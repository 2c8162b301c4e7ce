package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"golang.org/x/sync/errgroup"

	"lab-workspace-manager/backend/workspace"
)

// look is what the last look at a container found; it holds as long as Docker's list says the same of it.
type look struct {
	state    string // as listed, with the part of the status that does not grow with time
	observed workspace.Observed
}

// parallelLooks bounds how many containers are inspected at once.
const parallelLooks = 8

// Host describes the engine and its machine.
func (e *Engine) Host(ctx context.Context) (workspace.Host, error) {
	info, err := e.client.Info(ctx)
	if err != nil {
		return workspace.Host{}, e.translate(err, "describe itself")
	}
	e.mu.Lock()
	e.logDrive = info.LoggingDriver
	e.networks = map[workspace.Owner]ownerNetwork{} // another daemon may answer now
	e.mu.Unlock()
	e.meet(identify(info))
	if err := e.settleIn(ctx); err != nil {
		return workspace.Host{}, err
	}
	host := workspace.Host{
		Engine: "docker", Version: info.ServerVersion, Endpoint: e.endpoint, OS: info.OperatingSystem,
		CPUs: info.NCPU, MemoryMB: info.MemTotal / mebibyte, StorageDriver: info.Driver,
		Enforces: e.enforcement(ctx, "").enforces,
	}
	if e.lab != nil {
		host.Namespace = e.namespaceNow()
		if missed := missedBy(host.Namespace, e.selfNow().namespace); missed != "" {
			host.Notes = append(host.Notes, missed)
		}
	}
	gpus, note := e.gpusOf(ctx, info)
	host.GPUs = gpus
	if note != "" {
		host.Notes = append(host.Notes, note)
	}
	for _, warning := range info.Warnings {
		host.Notes = append(host.Notes, strings.TrimPrefix(warning, "WARNING: "))
	}
	return host, nil
}

// Snapshot lists everything of this instance. It inspects only containers whose state has changed since the last look.
func (e *Engine) Snapshot(ctx context.Context) (workspace.Snapshot, error) {
	containers, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: e.ours()})
	if err != nil {
		return workspace.Snapshot{}, e.translate(err, "list containers")
	}
	volumes, err := e.client.VolumeList(ctx, volume.ListOptions{Filters: e.ours()})
	if err != nil {
		return workspace.Snapshot{}, e.translate(err, "list volumes")
	}
	observed, err := e.lookAt(ctx, containers)
	if err != nil {
		return workspace.Snapshot{}, err
	}
	snapshot := workspace.Snapshot{Workspaces: observed, EngineStartedAt: e.startedAt(ctx)}
	for _, found := range volumes.Volumes {
		if found == nil {
			continue
		}
		snapshot.Volumes = append(snapshot.Volumes, volumeOf(found))
	}
	return snapshot, nil
}

func (e *Engine) lookAt(ctx context.Context, containers []container.Summary) ([]workspace.Observed, error) {
	e.looking.Lock()
	defer e.looking.Unlock()
	e.mu.Lock()
	known := maps.Clone(e.looks)
	clear(e.forgotten)
	e.mu.Unlock()
	looks := make([]*look, len(containers))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelLooks)
	for i, listed := range containers {
		if !slices.Contains(listed.Names, "/"+listed.Labels[labelDeployment]) {
			continue // a copy, see inspect
		}
		state := listedState(listed)
		// One that is being removed says nothing new: either it is gone in a moment, or it was half removed before we came.
		if last, there := known[listed.ID]; there && (last.state == state || listed.State == container.StateRemoving) {
			looks[i] = &last
			continue
		}
		group.Go(func() error {
			observed, err := e.inspect(groupCtx, listed.ID)
			switch workspace.CodeOf(err) {
			case "":
			case workspace.CodeNotFound:
				return nil // it went away meanwhile
			case workspace.CodeUnavailable:
				return err
			default:
				if groupCtx.Err() != nil {
					return err
				}
				// One damaged container must not take the engine away from everybody.
				e.log.Warn("Docker cannot look at a container", "container", listed.ID, "error", err)
				looks[i] = &look{state: state, observed: listedAs(listed)}
				return nil
			}
			if observed.State == workspace.ContainerExited && observed.KilledBy == "" {
				observed.KilledBy = e.recallKill(groupCtx, observed)
			}
			if err := e.doubtKill(groupCtx, observed); err != nil {
				return err
			}
			looks[i] = &look{state: state, observed: observed}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	fresh := make(map[string]look, len(containers))
	var list []workspace.Observed
	for i, listed := range containers {
		if looks[i] != nil {
			fresh[listed.ID] = *looks[i]
			list = append(list, looks[i].observed)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.forgotten { // it changed while we looked
		if last, there := fresh[id]; there {
			last.state = ""
			fresh[id] = last
		}
	}
	e.looks = fresh
	return list, nil
}

// listedAs is what can be said of a container by the list alone.
func listedAs(listed container.Summary) workspace.Observed {
	return observedOf(container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{ID: listed.ID, Image: listed.ImageID, State: &container.State{
			Status: listed.State, Running: listed.State == container.StateRunning,
			Paused: listed.State == container.StatePaused, Dead: listed.State == container.StateDead,
		}},
		Config: &container.Config{Image: listed.Image, Labels: listed.Labels},
		Mounts: listed.Mounts,
	})
}

// listedState is what the list says of a container, without what grows with time ("Up 3 minutes"): an exit code is kept.
func listedState(listed container.Summary) string {
	code := ""
	if strings.HasPrefix(listed.Status, "Exited (") {
		code, _, _ = strings.Cut(listed.Status, ")")
	}
	address := ""
	if listed.NetworkSettings != nil {
		for _, joined := range listed.NetworkSettings.Networks {
			address += joined.IPAddress
		}
	}
	ports := make([]string, len(listed.Ports))
	for i, port := range listed.Ports {
		ports[i] = fmt.Sprint(port.PublicPort)
	}
	slices.Sort(ports)
	return fmt.Sprintf("%s %s %s %v", listed.State, code, address, ports)
}

// forgetLook makes the next snapshot inspect the container again.
func (e *Engine) forgetLook(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if last, there := e.looks[id]; there {
		last.state = "" // it serves as long as the container is being removed
		e.looks[id] = last
	}
	e.forgotten[id] = struct{}{}
}

func (e *Engine) forgetLooks() {
	e.looking.Lock()
	defer e.looking.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.looks)
}

// labsStart is within what time a lab starts a container that it has made. Whoever took it away before would give who has
// asked the lab for the start an error in place of an answer.
const labsStart = 10 * time.Second

// inspect looks at one container of this instance; CodeNotFound when there is none or it is not ours.
func (e *Engine) inspect(ctx context.Context, idOrName string) (workspace.Observed, error) {
	found, err := e.find(ctx, idOrName)
	if err != nil {
		return workspace.Observed{}, err
	}
	observed := observedOf(found)
	if e.lab != nil && found.HostConfig != nil && !isOfOurMaking(found.HostConfig) {
		observed.Copied, observed.Attempt, observed.Fingerprint = true, 0, ""
		if observed.State == workspace.ContainerCreated && time.Since(parseTime(found.Created)) < labsStart {
			return observed, workspace.Errorf(workspace.CodeNotFound, "ML Lab is about to start the container %s.", idOrName)
		}
	}
	observed.KilledBy = e.rememberedKill(observed)
	return observed, nil
}

// find is inspect in Docker's words.
func (e *Engine) find(ctx context.Context, idOrName string) (container.InspectResponse, error) {
	found, err := e.client.ContainerInspect(ctx, idOrName)
	if err != nil {
		return found, e.translate(err, "look at the container")
	}
	if found.ContainerJSONBase == nil || found.Config == nil || found.State == nil || found.Config.Labels[labelInstance] != e.instance {
		return found, workspace.Errorf(workspace.CodeNotFound, "The container %s is not ours.", idOrName)
	}
	// Copies made of a workspace (docker commit) carry its labels, too. The name is what only one can have.
	if found.Name != "/"+found.Config.Labels[labelDeployment] {
		return found, workspace.Errorf(workspace.CodeNotFound, "The container %s is not the one of a workspace.", idOrName)
	}
	return found, nil
}

// startedAt is when the daemon was started: it makes its default bridge anew every time (seen with 20.10; a daemon that
// keeps containers over its restart keeps the bridge too, and then nothing ended with it). Zero when nothing tells.
func (e *Engine) startedAt(ctx context.Context) time.Time {
	bridge, err := e.client.NetworkInspect(ctx, "bridge", network.InspectOptions{})
	if err != nil {
		return time.Time{}
	}
	return bridge.Created
}

// kill is a request through the engine that sent a signal to a container.
type kill struct {
	signal string
	at     time.Time
}

const (
	// killWindow is how long before its end a kill request counts as a container's cause of death: Docker's own stop waits
	// for the grace of the image, and ours are at most some tens of seconds.
	killWindow = time.Minute
	// killMemory bounds how many containers' kills are remembered.
	killMemory = 10_000
)

// rememberKill notes a request that can end a container; other signals are messages to what runs in it.
func (e *Engine) rememberKill(handle, signal string, at time.Time) {
	if signal == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kills) >= killMemory {
		clear(e.kills)
	}
	e.kills[handle] = kill{signal: signal, at: at}
}

// rememberedKill returns the signal of the request that ended a container, if one did: it came in this very run of the
// container and shortly before its end, and explains its exit code.
func (e *Engine) rememberedKill(observed workspace.Observed) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	last, there := e.kills[observed.Handle]
	finished := observed.FinishedAt
	switch {
	case !there, finished.IsZero(), last.at.Before(observed.StartedAt),
		last.at.Before(finished.Add(-killWindow)), last.at.After(finished.Add(time.Second)):
		return ""
	case observed.ExitCode == 128+9 && last.signal != "SIGKILL":
		return "" // only SIGKILL ends like that
	}
	return last.signal
}

// recallKill asks the daemon's short memory of events whether a request ended a container that we did not watch.
func (e *Engine) recallKill(ctx context.Context, observed workspace.Observed) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	messages, errs := e.client.Events(ctx, events.ListOptions{
		Since:   unixNano(observed.FinishedAt.Add(-killWindow)),
		Until:   unixNano(time.Now()),
		Filters: filters.NewArgs(filters.Arg("container", observed.Handle), filters.Arg("event", "kill")),
	})
	for {
		select {
		case message := <-messages:
			e.rememberKill(observed.Handle, signalName(message.Actor.Attributes["signal"]), time.Unix(0, message.TimeNano))
		case <-errs: // the end of what is remembered, or a failure: then nobody knows
			return e.rememberedKill(observed)
		}
	}
}

func unixNano(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1970 {
		return time.Time{}
	}
	return t
}

// signalName names the signals that end a container, "" for all others.
func signalName(number string) string {
	return map[string]string{"1": "SIGHUP", "2": "SIGINT", "3": "SIGQUIT", "6": "SIGABRT", "9": "SIGKILL", "15": "SIGTERM"}[number]
}

func containsAny(text string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
