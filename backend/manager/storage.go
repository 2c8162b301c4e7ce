package manager

import (
	"context"
	"fmt"
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
		pause := max(next, measureRest*time.Since(began))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-m.measureNow:
			timer.Stop()
		}
	}
}

// measureSoon asks for a look at what is due. It never waits.
func (m *Manager) measureSoon() {
	select {
	case m.measureNow <- struct{}{}:
	default:
	}
}

// due is one place that shall be measured.
type due struct {
	e         *entry
	container bool
	started   time.Time // of the container
	running   bool
}

// measureDue measures every place whose time has come, and returns how long until the next one.
func (m *Manager) measureDue(ctx context.Context) time.Duration {
	m.mu.Lock()
	var places []workspace.Place
	var whose []due
	now := m.Now()
	if m.engine.up {
		for _, e := range m.entries {
			for _, candidate := range m.duePlaces(e, now) {
				places = append(places, candidate.place)
				whose = append(whose, candidate.due)
			}
		}
	}
	helpers := m.helpers("")
	m.mu.Unlock()
	more := len(whose) > measureAtOnce
	if more {
		whose, places = firstToMeasure(whose, places)
	}
	var measured []workspace.Measurement
	var err error
	if len(places) > 0 {
		measured, err = m.Options.Engine.Measure(ctx, places, workspace.Measuring{Helpers: helpers, Gentle: true})
	}
	if ctx.Err() != nil {
		return measureEvery
	}
	if err != nil {
		m.Log.Warn("storage not measured", "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, place := range whose {
		if err == nil {
			m.noteMeasurement(place, measured[i])
		} else {
			m.noteMeasurement(place, workspace.Measurement{Err: err})
		}
	}
	if more {
		return time.Second / 10 // and what the rest after a walk takes
	}
	return m.nextMeasurement()
}

// firstToMeasure picks what is measured first where much is due: what runs, since only that grows.
func firstToMeasure(whose []due, places []workspace.Place) ([]due, []workspace.Place) {
	var first []due
	var its []workspace.Place
	for _, running := range []bool{true, false} {
		for i, one := range whose {
			if len(first) < measureAtOnce && one.running == running {
				first, its = append(first, one), append(its, places[i])
			}
		}
	}
	return first, its
}

type duePlace struct {
	place workspace.Place
	due   due
}

// duePlaces lists what of a workspace shall be measured now. What does not run does not write: its volume is measured
// once. The caller holds the lock.
func (m *Manager) duePlaces(e *entry, now time.Time) (places []duePlace) {
	running := e.observed != nil && e.observed.State == workspace.ContainerRunning
	if running && !e.observed.StartedAt.Equal(e.use.startedAt) { // a new container, or the same one again
		e.use.container, e.use.startedAt = workspace.Usage{}, e.observed.StartedAt
		e.use.containerDue, e.use.volumeDue = now.Add(m.MeasureEvery/4), now.Add(m.MeasureEvery/4) // not while it boots
	}
	_, hasVolume := m.volumes[e.record.Volume]
	if hasVolume && now.After(e.use.volumeDue) && (running || e.use.volume.MeasuredAt.IsZero() || e.use.volume.MeasuredAt.Before(e.stoppedAt())) {
		places = append(places, duePlace{workspace.Place{Volume: e.record.Volume}, due{e: e, running: running}})
	}
	if running && now.After(e.use.containerDue) {
		places = append(places, duePlace{workspace.Place{Container: e.observed.Handle}, due{e: e, container: true, started: e.observed.StartedAt, running: true}})
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
func (m *Manager) noteMeasurement(place due, measured workspace.Measurement) {
	e, now := place.e, m.Now()
	if e.removed || (place.container && !place.started.Equal(e.use.startedAt)) {
		return
	}
	usage, limitMB, next := &e.use.volume, e.record.Spec.Storage.VolumeMB, &e.use.volumeDue
	if place.container {
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
	if !wantsToRun(e.record) || !e.record.QueuedAt.IsZero() || e.observed == nil || !alive(e.observed) {
		return
	}
	full, sentence := fullness(e.record.Spec, e.use, m.watches(e))
	if !full || m.Now().Before(e.record.GraceUntil) {
		return
	}
	m.stopFor(e, workspace.ReasonStorageFull, "Stopped because it is full. "+sentence+" It can always be started to clean up.", false)
}

// stopFor stops a workspace for a reason of the manager's own. clears says whether it is a stop like any other, which
// may clear its files. The caller holds the lock.
func (m *Manager) stopFor(e *entry, code, sentence string, clears bool) {
	stopRecord(&e.record, code, sentence)
	if !clears {
		e.record.DeleteVolume = false
	}
	e.record.UpdatedAt, e.record.DesiredAt = m.Now(), m.Now()
	m.Log.Info("workspace stopped", "id", e.record.ID, "cause", code, "reason", sentence)
	m.save(e)
	m.redirect(e)
}

// watches says which sizes of a workspace the engine does not hold by itself. The caller holds the lock.
func (m *Manager) watches(e *entry) watched {
	return watched{
		volume:    !m.volumes[e.record.Volume].Enforced,
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
		VolumeMB: megabytes(e.use.volume), VolumeAt: e.use.volume.MeasuredAt, VolumeEnforced: !who.volume,
		ContainerMB: megabytes(e.use.container), ContainerAt: e.use.container.MeasuredAt, ContainerEnforced: !who.container,
		Warning: sentence, Unknown: e.use.unknown,
	}
}

// megabytes rounds up, so that something is never nothing.
func megabytes(usage workspace.Usage) int64 { return (usage.Bytes + mebibyte - 1) / mebibyte }
