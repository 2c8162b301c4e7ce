package manager

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

const (
	// measureEvery is how often what a running workspace has written is measured, and measureOften how often once it is
	// nearly full. Measuring itself is gentle; this bounds how late a full disk is noticed.
	measureEvery = time.Minute
	measureOften = 10 * time.Second
	// measureRest is how many times as long as a walk took nothing is measured after it, whatever else is due.
	measureRest = 4
	// measureAtOnce bounds how many places one round walks through, so that the many that are due after a start, or one
	// with millions of files, do not keep the others waiting for long.
	measureAtOnce = 32
	// nearlyFull is the part of a limit from which on the owner is warned.
	nearlyFull = 0.8
	mebibyte   = 1 << 20
)

// stored is what was last measured of a workspace.
type stored struct {
	volume, container       workspace.Usage // MeasuredAt is zero when nothing is known
	volumeDue, containerDue time.Time
	unknown                 string // why nothing could be measured; "" when it could
	startedAt               time.Time
}

// storageLevel is how full something is.
type storageLevel int

const (
	roomy storageLevel = iota
	nearly
	overfull
)

// levelOf compares what was measured with a limit in MB; 0 = no limit.
func levelOf(usage workspace.Usage, limitMB int64) storageLevel {
	switch limit := limitMB * mebibyte; {
	case usage.MeasuredAt.IsZero() || limitMB == 0:
		return roomy
	case usage.Bytes >= limit:
		return overfull
	case float64(usage.Bytes) >= nearlyFull*float64(limit):
		return nearly
	}
	return roomy
}

// watched says which sizes of a workspace nobody but the manager holds.
type watched struct{ volume, container bool }

// fullness decides what follows from a measurement: whether the workspace has written more than it may where nobody else
// keeps it from that, and the sentence for its owner; "" while there is room.
func fullness(spec workspace.Spec, use stored, who watched) (full bool, sentence string) {
	volume, container := levelOf(use.volume, spec.Storage.VolumeMB), levelOf(use.container, spec.Storage.ContainerMB)
	tell := func(what string, usage workspace.Usage, limitMB int64, help string) string {
		return fmt.Sprintf("%s: %s of %s are used. %s", what, quota.FormatMB(usage.Bytes/mebibyte), quota.FormatMB(limitMB), help)
	}
	full = (volume == overfull && who.volume) || (container == overfull && who.container)
	switch {
	case volume == overfull && (who.volume || !full):
		return full, tell("Its files have filled its volume", use.volume, spec.Storage.VolumeMB, "Delete files, or give it a larger volume.")
	case container == overfull:
		return full, tell("Its container is full", use.container, spec.Storage.ContainerMB, "A restart empties what is outside of its files.")
	case volume == nearly:
		return false, tell("Its volume is nearly full", use.volume, spec.Storage.VolumeMB, "Delete files, or give it a larger volume.")
	case container == nearly:
		return false, tell("Its container is nearly full", use.container, spec.Storage.ContainerMB, "A restart empties what is outside of its files.")
	}
	return false, ""
}

// full reports whether a workspace has written more than it may, as far as is known.
func (e *entry) full() bool {
	full, _ := fullness(e.record.Spec, e.use, watched{volume: true, container: false}) // a new container is empty
	return full
}

// watchStorage measures what running workspaces write until ctx ends, and stops what is full.
func (m *Manager) watchStorage(ctx context.Context) {
	for {
		began := time.Now()
		next := m.measureDue(ctx)
		if !m.measureNow.wait(ctx, max(next, measureRest*time.Since(began))) {
			return
		}
	}
}

// due is one place of a workspace that shall be measured.
type due struct {
	e       *entry
	place   workspace.Place
	running bool
	started time.Time // of the container that runs
}

// measureDue measures the places whose time has come, and returns how long until the next one.
func (m *Manager) measureDue(ctx context.Context) time.Duration {
	m.mu.Lock()
	var whose []due
	now := m.Now()
	if m.engine.up && m.can.Measures {
		for _, e := range m.entries {
			whose = append(whose, m.duePlaces(e, now)...)
		}
	}
	helpers := m.helpers("")
	m.mu.Unlock()
	more := len(whose) > measureAtOnce
	if more { // what runs first, since only that grows
		slices.SortStableFunc(whose, func(a, b due) int { return later(a) - later(b) })
		whose = whose[:measureAtOnce]
	}
	places := make([]workspace.Place, len(whose))
	for i, one := range whose {
		places[i] = one.place
	}
	var measured []workspace.Measurement
	if len(places) > 0 {
		answers, err := m.Options.Engine.Measure(ctx, places, workspace.Measuring{Helpers: helpers, Gentle: true})
		if ctx.Err() != nil {
			return measureEvery
		}
		if err != nil {
			m.Log.Warn("storage not measured", "error", err)
			answers = slices.Repeat([]workspace.Measurement{{Err: err}}, len(whose))
		}
		measured = answers
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, one := range whose {
		m.noteMeasurement(one, measured[i])
	}
	if more {
		return time.Second / 10 // and what the rest after a walk takes
	}
	return m.nextMeasurement()
}

func later(d due) int {
	if d.running {
		return 0
	}
	return 1
}

// duePlaces lists what of a workspace shall be measured now. What does not run does not write: its volume is measured
// once. The caller holds the lock.
func (m *Manager) duePlaces(e *entry, now time.Time) (places []due) {
	one := due{e: e, running: e.observed != nil && e.observed.State == workspace.ContainerRunning}
	if one.running {
		one.started = e.observed.StartedAt
	}
	if one.running && !e.observed.StartedAt.Equal(e.use.startedAt) { // a new container, or the same one again
		e.use.container, e.use.startedAt = workspace.Usage{}, e.observed.StartedAt
		e.use.containerDue, e.use.volumeDue = now.Add(m.MeasureEvery/4), now.Add(m.MeasureEvery/4) // not while it boots
	}
	_, hasVolume := m.volumes[e.record.Volume]
	if hasVolume && now.After(e.use.volumeDue) && (one.running || e.use.volume.MeasuredAt.IsZero() || e.use.volume.MeasuredAt.Before(e.stoppedAt())) {
		one.place = workspace.Place{Volume: e.record.Volume}
		places = append(places, one)
	}
	if one.running && now.After(e.use.containerDue) {
		one.place = workspace.Place{Container: e.observed.Handle}
		places = append(places, one)
	}
	return places
}

// stoppedAt is when a workspace that does not run ended, as far as is known.
func (e *entry) stoppedAt() time.Time {
	if e.record.Outcome != nil {
		return e.record.Outcome.At
	}
	return e.record.DesiredAt
}

// noteMeasurement takes a measurement into the model and follows it. The caller holds the lock.
func (m *Manager) noteMeasurement(one due, measured workspace.Measurement) {
	e, now, container := one.e, m.Now(), one.place.Container != ""
	if e.removed || (container && !one.started.Equal(e.use.startedAt)) {
		return
	}
	usage, limitMB, next := &e.use.volume, e.record.Spec.Storage.VolumeMB, &e.use.volumeDue
	if container {
		usage, limitMB, next = &e.use.container, e.record.Spec.Storage.ContainerMB, &e.use.containerDue
	}
	*next = now.Add(m.MeasureEvery)
	if measured.Err != nil {
		e.use.unknown = workspace.MessageOf(measured.Err)
		m.publish(e)
		return
	}
	e.use.unknown = ""
	*usage = measured.Usage
	if levelOf(*usage, limitMB) != roomy {
		*next = now.Add(min(m.MeasureEvery, measureOften))
	}
	m.stopIfFull(e)
	m.publish(e)
}

// stopIfFull stops a workspace that has written more than it may, unless its owner is cleaning up. Nothing is deleted,
// not even where every stop clears its files. The caller holds the lock.
func (m *Manager) stopIfFull(e *entry) {
	if !isAdmitted(e.record) || e.observed == nil || !alive(e.observed) || len(e.giving()) > 0 {
		return // of one that is being started just now, the time to clean up begins when that is done
	}
	full, sentence := fullness(e.record.Spec, e.use, m.watches(e))
	if !full || m.Now().Before(e.record.GraceUntil) {
		return
	}
	m.stopFor(e, workspace.ReasonStorageFull, "Stopped because it is full. "+sentence+" It can always be started to clean up.")
}

// stopFor stops a workspace for a reason of the manager's own. The caller holds the lock.
func (m *Manager) stopFor(e *entry, code, sentence string) {
	stopRecord(&e.record, code, sentence)
	e.record.UpdatedAt, e.record.DesiredAt = m.Now(), m.Now()
	m.Log.Info("workspace stopped", "id", e.record.ID, "cause", code, "reason", sentence)
	m.save(e)
	m.redirect(e)
}

// watches says which sizes of a workspace the engine does not hold by itself. The caller holds the lock.
func (m *Manager) watches(e *entry) watched {
	volume := m.volumes[e.record.Volume]
	return watched{
		volume:    !volume.Enforced || e.record.Spec.Storage.VolumeMB < heldTo(volume), // it was made for more
		container: e.observed == nil || e.observed.ContainerMB == 0,
	}
}

// nextMeasurement returns how long until something is due, the end of a grace among it. The caller holds the lock.
func (m *Manager) nextMeasurement() time.Duration {
	now := m.Now()
	next := m.MeasureEvery
	for _, e := range m.entries {
		if e.observed == nil || !alive(e.observed) {
			continue
		}
		for _, at := range []time.Time{e.use.volumeDue, e.use.containerDue, e.record.GraceUntil} {
			if at.After(now) {
				next = min(next, at.Sub(now))
			} else if at.Equal(e.record.GraceUntil) && !at.IsZero() {
				m.stopIfFull(e)
			}
		}
	}
	return max(next, time.Second/10)
}

// helpers are images that can serve to measure: what is offered, and that of a workspace. The caller holds the lock.
func (m *Manager) helpers(own string) (images []string) {
	for _, offered := range m.settings.Load().Catalog {
		images = append(images, offered.Image)
	}
	if own != "" {
		images = append(images, own)
	}
	return images
}

// storageView is what surfaces show of what a workspace has written. The caller holds the lock.
func (m *Manager) storageView(e *entry) workspace.StorageUse {
	_, sentence := fullness(e.record.Spec, e.use, watched{})
	who := m.watches(e)
	return workspace.StorageUse{
		VolumeMB: megabytes(e.use.volume.Bytes), VolumeAt: e.use.volume.MeasuredAt, VolumeEnforced: !who.volume,
		ContainerMB: megabytes(e.use.container.Bytes), ContainerAt: e.use.container.MeasuredAt, ContainerEnforced: !who.container,
		Warning: sentence, Unknown: e.use.unknown,
	}
}

// megabytes rounds up, so that something is never nothing.
func megabytes(bytes int64) int64 { return (bytes + mebibyte - 1) / mebibyte }
