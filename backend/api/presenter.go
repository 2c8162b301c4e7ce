package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// Presenter turns what the manager knows into what the API shows. HTTP and the desktop window share it.
type Presenter struct {
	Manager *manager.Manager
	Product Product
	Access  AccessInfo
	InLab   bool // this is an extension of an ML Lab
	// AccessBase is the path below which browsers reach what is at the paths of workspaces; "" = at the root.
	AccessBase string
	// Configuration knows the file; nil where there is none.
	Configuration Configuration
}

const (
	enforced  = "enforced"
	watched   = "watched"
	byEngine  = "engine" // held by the engine as far as it does that, of which it tells nothing
	live      = "live"
	onRestart = "restart"
)

// Workspace shows one workspace.
func (p *Presenter) Workspace(view *workspace.Workspace) Workspace {
	record := &view.Record
	shown := Workspace{
		ID: string(record.ID), Owner: string(record.Owner),
		DisplayName: record.Spec.DisplayName, ContainerImage: record.Spec.Image,
		ImageName: p.Manager.ImageTitle(record.Spec.Image), Profile: record.Spec.Profile,
		Compute: Compute{
			CPUs: record.Spec.Compute.CPUs, Memory: record.Spec.Compute.MemoryMB,
			Shm: record.Spec.Compute.ShmMB, Processes: record.Spec.Compute.Processes, GPUs: record.Spec.Compute.GPUs,
		},
		Storage: storageOf(view),
		Port:    record.Spec.Port, GPUIDs: orEmpty(record.Lease.List()), GPUsSince: timeOrNil(record.Lease.Since),
		UpdateAvailable: view.Update, ImageGone: view.ImageGone,
		Position: view.Position, AboveLimits: orEmpty(view.AboveLimits), GraceUntil: timeOrNil(record.GraceUntil),
		IdleTimeout: secondsOf(record.Spec.IdleTimeout), ClearVolumeOnStop: record.Spec.ClearVolumeOnStop,
		Desired: string(record.Desired), Status: string(view.Status), Phase: view.Phase,
		Reason: view.Reason, ReasonCode: view.ReasonCode,
		StatusSince: view.StatusSince, CreatedAt: record.CreatedAt, UpdatedAt: record.UpdatedAt,
		Actions: orEmpty(view.Actions), PendingRestart: orEmpty(view.PendingRestart), Progress: progressOf(view),
	}
	if view.Idle != (workspace.IdleView{}) {
		shown.Idle = &Idle{
			InUse: view.Idle.InUse, Since: timeOrNil(view.Idle.Since), StopsAt: timeOrNil(view.Idle.StopsAt), Reason: view.Idle.Reason,
			KeptUntil: timeOrNil(record.KeepUntil),
		}
	}
	if !p.Manager.Capabilities().Measures {
		shown.Storage.VolumeActs, shown.Storage.ContainerActs = byEngine, byEngine
	}
	if view.Status == workspace.StatusRunning {
		path := p.AccessBase + p.Manager.AccessPath(view)
		shown.AccessURL = &path
	}
	return shown
}

func storageOf(view *workspace.Workspace) Storage {
	spec, use := view.Record.Spec.Storage, view.Storage
	storage := Storage{
		Volume: view.Record.Volume, VolumeSize: spec.VolumeMB, ContainerSize: spec.ContainerMB,
		VolumeAt: timeOrNil(use.VolumeAt), VolumeActs: acts(use.VolumeEnforced),
		ContainerAt: timeOrNil(use.ContainerAt), ContainerActs: acts(use.ContainerEnforced),
		Warning: use.Warning, CannotBeMeasured: use.Unknown,
	}
	if storage.VolumeAt != nil {
		storage.VolumeUsed = &use.VolumeMB
	}
	if storage.ContainerAt != nil {
		storage.ContainerUsed = &use.ContainerMB
	}
	return storage
}

// acts is the word for who holds a limit.
func acts(held bool) string {
	if held {
		return enforced
	}
	return watched
}

func progressOf(view *workspace.Workspace) *Progress {
	if len(view.Steps) == 0 {
		return nil
	}
	progress := &Progress{Cancellable: view.Cancellable, Steps: make([]Step, len(view.Steps))}
	for i, step := range view.Steps {
		progress.Steps[i] = Step{
			ID: step.Kind, Title: step.Title, State: step.State, Detail: step.Progress.Detail,
			Current: step.Progress.Current, Total: step.Progress.Total, Unit: step.Progress.Unit,
			StartedAt: timeOrNil(step.StartedAt), EndedAt: timeOrNil(step.EndedAt), Log: orEmpty(step.Progress.Log),
		}
	}
	return progress
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Workspaces shows the owner's workspaces.
func (p *Presenter) Workspaces(caller manager.Caller, owner workspace.Owner) ([]Workspace, error) {
	views, err := p.Manager.List(caller, owner)
	if err != nil {
		return nil, err
	}
	shown := make([]Workspace, len(views))
	for i, view := range views {
		shown[i] = p.Workspace(view)
	}
	return shown, nil
}

// Config shows upstream's configuration, capped by the host.
func (p *Presenter) Config(owner workspace.Owner) Config {
	limits, settings := p.Manager.LimitsFor(owner, ""), p.Manager.Settings()
	catalog := settings.Catalog
	config := Config{
		DisplayNameDefault:    manager.DefaultDisplayName,
		ContainerImageOptions: []ImageOption{},
		CPUsDefault:           limits.CPUs.Default, CPUsMax: limits.CPUs.Max, CPUsOptions: orEmpty(limits.CPUs.Choices),
		MemoryDefault: limits.MemoryMB.Default, MemoryMax: limits.MemoryMB.Max, MemoryOptions: orEmpty(limits.MemoryMB.Choices),
		IdleTimeoutDefault:      int64(limits.IdleTimeout.Default / time.Second),
		IdleTimeoutOptions:      []int64{},
		AlwaysClearVolumeOnStop: limits.AlwaysClearVolumeOnStop,
	}
	for _, choice := range limits.IdleTimeout.Choices {
		config.IdleTimeoutOptions = append(config.IdleTimeoutOptions, int64(choice/time.Second))
	}
	for i, offered := range catalog {
		option := ImageOption{Image: offered.Image, DisplayName: offered.Name}
		if i == 0 {
			config.ContainerImageDefault = option
		}
		config.ContainerImageOptions = append(config.ContainerImageOptions, option)
	}
	if anyImage := settings.Allowed == nil || slices.Contains(settings.Allowed, "*"); anyImage && len(catalog) == 1 {
		// Upstream's pages let an image be named where none are to be chosen from, and offer nothing else where some are.
		config.ContainerImageOptions = []ImageOption{}
	}
	return config
}

// Host shows the engine and what may be asked of one workspace on it.
func (p *Presenter) Host(caller manager.Caller, owner workspace.Owner) Host {
	engine := p.Manager.Engine()
	status := ConfigStatus{Changes: []ConfigChange{}}
	if p.Configuration != nil && caller.Admin { // what the file says of others is not for everybody
		status = p.Configuration.Status()
	}
	return Host{
		GPUs: len(engine.Host.GPUs), Config: status,
		Engine: orElse(engine.Host.Engine, p.engineName()), Reachable: engine.Reachable, Reason: engine.Reason, Action: engine.Hint,
		Since: timeOrNil(engine.Since), Version: engine.Host.Version, Endpoint: engine.Host.Endpoint, OS: engine.Host.OS,
		CPUs: engine.Host.CPUs, Memory: engine.Host.MemoryMB, StorageDriver: engine.Host.StorageDriver,
		Limits: p.Limits(owner, ""), Access: p.Access, Product: p.Product, Notes: orEmpty(engine.Host.Notes),
		InLab: p.InLab, Can: capabilitiesOf(p.Manager.Capabilities()),
	}
}

// engineName is the engine as long as nobody has reached it.
func (p *Presenter) engineName() string {
	if p.Manager.Capabilities().Keeps {
		return "mllab"
	}
	return "docker"
}

func capabilitiesOf(can workspace.Capabilities) Capabilities {
	return Capabilities{
		Resize: can.Resizes, Rename: can.Renames, Volumes: can.Volumes, Measure: can.Measures, Stats: can.Stats, Images: can.Pulls,
		Limits: can.Limits, Idle: !can.Idles,
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Limits shows what may be asked of one workspace of a user with an image of a profile.
func (p *Presenter) Limits(owner workspace.Owner, profileName string) Limits {
	limits, enforces := p.Manager.LimitsFor(owner, profileName), p.Manager.Engine().Host.Enforces
	idle := Limit{Default: limits.IdleTimeout.Default.Seconds(), Max: limits.IdleTimeout.Max.Seconds(), Choices: []float64{}, Unit: "s", Acts: watched, Applies: live}
	for _, choice := range limits.IdleTimeout.Choices {
		idle.Choices = append(idle.Choices, choice.Seconds())
	}
	can := p.Manager.Capabilities()
	computeApplies, volumeApplies := live, live
	if !can.Resizes {
		computeApplies, volumeApplies, idle.Applies = onRestart, onRestart, onRestart
	}
	if can.Idles {
		idle.Acts = byEngine
	}
	acts := acts
	if !can.Measures {
		acts = func(bool) string { return byEngine }
	}
	return Limits{
		CPUs:          limitOf(limits.CPUs, "CPUs", enforced, computeApplies),
		Memory:        limitOf(limits.MemoryMB, "MB", enforced, computeApplies),
		Shm:           limitOf(limits.ShmMB, "MB", enforced, onRestart),
		Processes:     limitOf(limits.Processes, "", enforced, onRestart),
		GPUs:          limitOf(limits.GPUs, "", enforced, onRestart),
		VolumeSize:    limitOf(limits.VolumeMB, "MB", acts(enforces.VolumeSize), volumeApplies),
		ContainerSize: limitOf(limits.ContainerMB, "MB", acts(enforces.ContainerSize), onRestart),
		IdleTimeout:   idle,
	}
}

func limitOf[T float64 | int64](r quota.Range[T], unit, acts, applies string) Limit {
	limit := Limit{Default: float64(r.Default), Max: float64(r.Max), Choices: make([]float64, len(r.Choices)), Unit: unit, Acts: acts, Applies: applies}
	for i, choice := range r.Choices {
		limit.Choices[i] = float64(choice)
	}
	return limit
}

// Images shows the images that are offered. It asks the engine.
func (p *Presenter) Images(ctx context.Context) ([]Image, error) {
	catalog, states, err := p.Manager.Images(ctx)
	if err != nil {
		return nil, err
	}
	images := make([]Image, len(catalog))
	for i, offered := range catalog {
		images[i] = Image{
			Name: offered.Name, Image: offered.Image, Profile: orElse(offered.Profile, profile.MLWorkspace.Name),
			Description: offered.Description, Default: i == 0, State: "pull", Note: "pulled at the first start",
		}
		switch state := states[i]; {
		case !p.Manager.Capabilities().Pulls: // the engine tells of no image whether it is there
			images[i].State, images[i].Note = "engine", ""
		case state.Here:
			images[i].State, images[i].SizeBytes = "here", state.SizeBytes
			images[i].Note = fmt.Sprintf("here · %d MB", state.SizeBytes/1e6)
			if state.Outdated {
				images[i].Note = "here · of another version: `images build` renews it"
			}
		case state.Buildable:
			images[i].State, images[i].Note = "build", "built here at the first start, ≈ 1 min"
		}
	}
	return images, nil
}

// Volumes shows the owner's volumes.
func (p *Presenter) Volumes(caller manager.Caller, owner workspace.Owner) ([]Volume, error) {
	volumes, err := p.Manager.Volumes(caller, owner)
	if err != nil {
		return nil, err
	}
	shown := make([]Volume, len(volumes))
	for i, volume := range volumes {
		shown[i] = Volume{
			Name: volume.Name, Owner: string(volume.Owner), DisplayName: volume.DisplayName,
			CreatedAt: volume.CreatedAt, KeptSince: timeOrNil(volume.KeptSince),
		}
		if volume.UsedBy != "" {
			user := string(volume.UsedBy)
			shown[i].UsedBy = &user
		}
	}
	return shown, nil
}

// UsageOf shows a measurement.
func UsageOf(usage workspace.Usage) Usage {
	return Usage{Bytes: usage.Bytes, Files: usage.Files, ChangedAt: timeOrNil(usage.ChangedAt), MeasuredAt: usage.MeasuredAt}
}

// Follow sends a snapshot of what the caller may see of the owner's things, and then every change, until ctx ends or
// send fails. A client that could not keep up gets a new snapshot.
func (p *Presenter) Follow(ctx context.Context, caller manager.Caller, owner workspace.Owner, send func(Event) error) error {
	for {
		err := p.followOnce(ctx, caller, owner, send)
		if !errors.Is(err, errFellBehind) {
			return err
		}
	}
}

var errFellBehind = errors.New("fell behind")

// quotaPause is how long changes are collected until the quota is shown anew: what others do changes it, too.
const quotaPause = 250 * time.Millisecond

func (p *Presenter) followOnce(ctx context.Context, caller manager.Caller, owner workspace.Owner, send func(Event) error) error {
	changes, unsubscribe := p.Manager.Subscribe()
	defer unsubscribe()
	snapshot, err := p.snapshot(caller, owner)
	if err != nil {
		return err
	}
	if err := send(snapshot); err != nil {
		return err
	}
	shown := *snapshot.Quota
	var due <-chan time.Time // when the quota is looked at again; nil = nothing has changed
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-due:
			due = nil
			now, err := p.Quota(caller, owner)
			if err != nil {
				return err
			}
			if reflect.DeepEqual(now, shown) {
				continue
			}
			shown = now
			if err := send(Event{Type: "quota", Quota: &now}); err != nil {
				return err
			}
		case change, open := <-changes:
			if !open {
				return errFellBehind
			}
			// What is used now is told by itself: it is no reason to add up the books every two seconds for each page.
			if due == nil && change.Kind != manager.EventUse {
				due = time.After(quotaPause)
			}
			if change.Kind == manager.EventHeld || (change.Owner != owner && change.Owner != "") {
				continue
			}
			event, err := p.event(caller, owner, change)
			if err != nil {
				return err
			}
			if err := send(event); err != nil {
				return err
			}
		}
	}
}

func (p *Presenter) snapshot(caller manager.Caller, owner workspace.Owner) (Event, error) {
	workspaces, err := p.Workspaces(caller, owner)
	if err != nil {
		return Event{}, err
	}
	volumes, err := p.Volumes(caller, owner)
	if err != nil {
		return Event{}, err
	}
	host := p.Host(caller, owner)
	quotas, err := p.Quota(caller, owner)
	if err != nil {
		return Event{}, err
	}
	return Event{Type: "snapshot", Workspaces: &workspaces, Volumes: &volumes, Host: &host, Quota: &quotas}, nil
}

func (p *Presenter) event(caller manager.Caller, owner workspace.Owner, change manager.Event) (Event, error) {
	event := Event{Seq: change.Seq, Type: string(change.Kind)}
	switch change.Kind {
	case manager.EventWorkspace:
		shown := p.Workspace(change.Workspace)
		event.Workspace = &shown
	case manager.EventRemoved:
		event.ID, event.Owner, event.Reason = string(change.ID), string(change.Owner), change.Reason
	case manager.EventVolumes:
		volumes, err := p.Volumes(caller, owner)
		if err != nil {
			return event, err
		}
		event.Volumes = &volumes
	case manager.EventUse:
		uses := usesOf(change.Use)
		event.Use = &uses
	case manager.EventHost, manager.EventConfig:
		event.Type = string(manager.EventHost)
		host := p.Host(caller, owner)
		event.Host = &host
	}
	return event, nil
}

// Request turns input into what the manager understands.
func (in WorkspaceInput) Request() manager.CreateRequest {
	request := manager.CreateRequest{
		DisplayName: in.DisplayName, Image: in.ContainerImage, Profile: in.Profile,
		IdleTimeout: in.IdleTimeout.duration(), ClearVolumeOnStop: isTrue(in.ClearVolumeOnStop), Stopped: isTrue(in.IsStopped),
		Port: portOf(in.Port), CreatedAt: in.CreatedAt,
	}
	if in.Compute != nil {
		request.CPUs, request.MemoryMB = (*float64)(in.Compute.CPUs), wholeOf(in.Compute.Memory)
		request.ShmMB, request.Processes, request.GPUs = wholeOf(in.Compute.Shm), wholeOf(in.Compute.Processes), wholeOf(in.Compute.GPUs)
	}
	if in.Storage != nil {
		request.Volume = in.Storage.Volume
		request.VolumeMB, request.ContainerMB = wholeOf(in.Storage.VolumeSize), wholeOf(in.Storage.ContainerSize)
	}
	return request
}

// Request turns input into what the manager understands.
func (in WorkspaceUpdate) Request() manager.UpdateRequest {
	request := manager.UpdateRequest{
		DisplayName: in.DisplayName, Image: in.ContainerImage, Profile: in.Profile,
		IdleTimeout: in.IdleTimeout.duration(), ClearVolumeOnStop: (*bool)(in.ClearVolumeOnStop),
		Port: portOf(in.Port),
	}
	if in.Compute != nil {
		request.CPUs, request.MemoryMB = (*float64)(in.Compute.CPUs), wholeOf(in.Compute.Memory)
		request.ShmMB, request.Processes, request.GPUs = wholeOf(in.Compute.Shm), wholeOf(in.Compute.Processes), wholeOf(in.Compute.GPUs)
	}
	if in.Storage != nil {
		request.Volume = in.Storage.Volume
		request.VolumeMB, request.ContainerMB = wholeOf(in.Storage.VolumeSize), wholeOf(in.Storage.ContainerSize)
	}
	return request
}

// wholeOf cuts the fraction off, as upstream does, and keeps absurd values inside int64, where limits refuse them.
func wholeOf(n *Number) *int64 {
	if n == nil {
		return nil
	}
	whole := int64(math.Max(math.MinInt64/2, math.Min(math.MaxInt64/2, math.Trunc(float64(*n)))))
	return &whole
}

// portOf keeps absurd values absurd, so that they are refused.
func portOf(n *Number) *int {
	whole := wholeOf(n)
	if whole == nil {
		return nil
	}
	port := int(max(-1, min(*whole, math.MaxUint16+1)))
	return &port
}

func isTrue(f *Flag) bool { return f != nil && bool(*f) }
