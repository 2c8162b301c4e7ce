package manager

import (
	"context"
	"fmt"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

// This file is about engines that keep what should be by themselves (workspace.Capabilities.Keeps). The store then only
// remembers what such an engine does not keep; which workspaces there are, and what they should be, is the engine's word,
// unless a step of ours is about to change it.

// toldOtherwise is what an engine knows of a workspace that it keeps otherwise than it should be; see entry.told.
const toldOtherwise = "otherwise"

// surelyBooted is how long after its start a workspace of which nothing else is known is taken to have answered: that it has not
// is remembered from then on. Asking it would count as use of it.
const surelyBooted = time.Minute

// takeKept takes up what the engine keeps of a workspace and what is of it, as it was at a time. The caller holds the lock.
func (m *Manager) takeKept(kept workspace.Kept, at time.Time) *entry {
	if !kept.ID.Valid() || !kept.Owner.Valid() {
		return nil
	}
	if _, known := m.volumes[kept.Volume]; kept.HasFiles && !known {
		m.addVolumes([]workspace.Volume{{
			Name: kept.Volume, Owner: kept.Owner, DisplayName: kept.Spec.DisplayName, SizeMB: kept.Spec.Storage.VolumeMB, CreatedAt: kept.CreatedAt, UsedBy: kept.ID,
		}})
	}
	e, known := m.entries[kept.ID]
	if !known {
		return m.adoptKept(kept)
	}
	if at.Before(e.stepEnded) { // a step of ours has been quicker than the news
		m.resync.ring()
		return e
	}
	if e.record.Desired == workspace.DesiredDeleted || e.working {
		m.observe(e, kept.Observed)
		return e
	}
	record := e.record
	if e.found != nil && record == *e.found { // its memory comes late
		record = recall(record, kept)
		e.memory = kept.Memory
		m.goOnAsking(e, record.AskedSince)
	}
	record.Spec = m.specOf(kept, record.Spec)
	if told := keeping(Deploy(record, m.around(e, record.Spec))); told != e.told {
		m.Log.Info("workspace was changed at its engine", "id", kept.ID)
		e.told, e.toldSpec = told, record.Spec
	} else {
		record.Spec = e.record.Spec
	}
	now := m.Now()
	switch {
	case kept.Stopped && record.Desired == workspace.DesiredRunning && (hasEnded(e) || isAdmitted(record) && record.Launched == record.Attempt):
		// A look in the middle of a stop sees a container that has ended by itself.
		stopRecord(&record, kept.Code, kept.Reason)
		record.DeleteVolume, record.DesiredAt = false, now // whoever stopped it has cleared what is cleared
		m.Log.Info("workspace was stopped at its engine", "id", kept.ID, "reason", kept.Reason)
	case !kept.Stopped && record.Desired == workspace.DesiredStopped && kept.Observed != nil && alive(kept.Observed):
		record.Desired, record.Notice, record.NoticeCode, record.DeleteVolume = workspace.DesiredRunning, "", "", false
		if kept.Observed.UID != record.UID || kept.Observed.Attempt != record.Attempt { // else it only seemed to be stopped
			record.Attempt++
		}
		record.Launched, record.DesiredAt = record.Attempt, now
		m.Log.Info("workspace was started at its engine", "id", kept.ID)
	}
	if record != e.record {
		record.UpdatedAt = now
		e.record = record
		m.save(e)
	}
	m.observe(e, kept.Observed)
	return e
}

// hasEnded reports whether the container of a workspace was last seen when it had ended without us.
func hasEnded(e *entry) bool {
	return e.record.Outcome != nil && e.observed != nil && e.observed.State == workspace.ContainerExited && !endedByUs(e.record.Outcome)
}

// endedByUs reports whether an attempt ended because we gave it up: then we have ended its container, too.
func endedByUs(outcome *workspace.Outcome) bool {
	switch outcome.Code {
	case workspace.ReasonExited, workspace.ReasonOutOfMemory, workspace.ReasonKilled, workspace.ReasonDockerRequest:
		return false
	}
	return true
}

// adoptKept makes a record for a workspace that the engine keeps and nobody here knows. The caller holds the lock.
func (m *Manager) adoptKept(kept workspace.Kept) *entry {
	record := workspace.Record{
		ID: kept.ID, UID: m.NewUID(), Owner: kept.Owner, Volume: kept.Volume, VolumeAdopted: true, Attempt: 1,
		Desired: workspace.DesiredRunning, CreatedAt: kept.CreatedAt, UpdatedAt: m.Now(), DesiredAt: kept.CreatedAt,
	}
	record.Spec = m.specOf(kept, workspace.Spec{})
	if kept.Observed != nil {
		record.Launched = 1
		if !kept.Observed.StartedAt.IsZero() {
			record.DesiredAt = kept.Observed.StartedAt
		}
	}
	if kept.Stopped { // why, only who saw it happen can tell
		record.Desired = workspace.DesiredStopped
		if kept.Code == workspace.ReasonRemoved { // this one can be seen at any time
			record.Notice, record.NoticeCode = kept.Reason, kept.Code
		}
	}
	switch kept.Removal { // nobody else would end what was begun
	case workspace.RemovalOfAll:
		record.Desired, record.DeleteVolume = workspace.DesiredDeleted, true
		m.Log.Info("a deletion goes on that was begun before", "id", kept.ID)
	case workspace.RemovalOfFiles:
		record.Desired, record.DeleteVolume, record.Launched = workspace.DesiredStopped, true, 0
		m.Log.Info("the clearing of files goes on that was begun before", "id", kept.ID)
	}
	e := &entry{memory: kept.Memory}
	e.record = recall(record, kept)
	if record = e.record; kept.Memory == (workspace.Memory{}) {
		e.found = &record
	}
	e.told, e.toldSpec = keeping(Deploy(record, m.around(e, record.Spec))), record.Spec
	e.observed = present(kept.Observed, e)
	m.goOnAsking(e, record.AskedSince)
	m.insert(e)
	m.save(e)
	m.judge(e)
	return e
}

// goOnAsking says since when a workspace that was found is asked whether it answers: since then, if that was written down, unless
// somebody has started it later; else since its start, unless it surely has answered.
func (m *Manager) goOnAsking(e *entry, askedSince time.Time) {
	if e.observed == nil {
		return
	}
	e.ready = ""
	e.asked = asking{of: incarnation(e.observed), since: e.observed.StartedAt}
	switch {
	case !askedSince.IsZero():
		e.asked.since = newer(askedSince, e.observed.StartedAt)
	case m.Now().Sub(e.observed.StartedAt) > surelyBooted:
		e.ready = e.asked.of
	}
}

// recall fills in what was remembered of a workspace, of which nothing else is known than what its engine keeps.
func recall(record workspace.Record, kept workspace.Kept) workspace.Record {
	if kept.Removal != "" {
		return record // what is being removed goes on being so
	}
	memory := kept.Memory
	if memory.Notice != "" && memory.NoticeCode != workspace.ReasonRemoved { // which is seen, or is so no more
		record.Notice, record.NoticeCode = memory.Notice, memory.NoticeCode
	}
	runs := kept.Observed != nil && alive(kept.Observed)
	switch {
	case runs: // it has had its turn, or somebody has started it again
		record.AskedSince = memory.AskedSince
	case memory.Outcome.Status != "":
		record.Desired, record.Outcome, record.DesiredAt = workspace.DesiredRunning, &memory.Outcome, memory.Outcome.At
	case !memory.QueuedAt.IsZero() && kept.Stopped:
		record.Desired, record.QueuedAt, record.DesiredAt = workspace.DesiredRunning, memory.QueuedAt, memory.QueuedAt
	}
	return record
}

// remembererOf is the engine, if it remembers what there is to know of workspaces besides what it keeps; nil = it does not.
func remembererOf(engine workspace.Engine) workspace.Rememberer {
	remembers, _ := engine.(workspace.Rememberer)
	return remembers
}

// remember has the engine remember what it does not keep, if that has changed. The caller holds the lock.
func (m *Manager) remember(e *entry) {
	if m.remembers == nil || e.record.Desired == workspace.DesiredDeleted {
		return
	}
	if memory := workspace.MemoryOf(e.record); memory != e.memory {
		e.memory = memory
		m.remembers.Remember(e.record.Owner, e.record.ID, memory)
	}
}

// whenTold waits until an engine that keeps what should be knows what a workspace should be, and returns what is shown of it
// then; or the engine's refusal, which has been taken back where it could be.
func (m *Manager) whenTold(ctx context.Context, e *entry) (*workspace.Workspace, error) {
	var refused error
	err := m.waitFor(ctx, e, func(e *entry) bool {
		refused = e.refused
		return m.isTold(e)
	})
	if refused != nil {
		return nil, refused
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.published, err
}

// whenBegun waits until a change of what runs is under way, or has nothing to do, and returns the workspace as it is then:
// whoever reads that it runs goes there, and would be interrupted.
func (m *Manager) whenBegun(ctx context.Context, e *entry) (begun *workspace.Workspace, err error) {
	err = m.waitFor(ctx, e, func(e *entry) bool {
		begun = e.published // not what it is when we wake up
		return e.now != nil || m.isTold(e)
	})
	return begun, err
}

// isTold reports whether an engine that keeps what should be knows what a workspace should be, or will not. The caller holds the
// lock.
func (m *Manager) isTold(e *entry) bool {
	return e.removed || e.refused != nil || e.record.Outcome != nil || e.told == keeping(Deploy(e.record, m.around(e, e.record.Spec)))
}

// runs reports whether a workspace has a container that lives.
func (m *Manager) runs(e *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.observed != nil && alive(e.observed)
}

// isRefusal reports whether an engine has understood what it is told and does not want it. Trying again helps nobody.
func isRefusal(err error) bool {
	switch workspace.CodeOf(err) {
	case workspace.CodeInvalid, workspace.CodeForbidden, workspace.CodeConflict, workspace.CodeWrongState:
		return true
	}
	return false
}

// takeBack follows the refusal of an engine that keeps what should be: what it keeps stays, and what it does not know at all
// is forgotten. The caller holds the lock.
func (m *Manager) takeBack(e *entry, err error) {
	m.Log.Info("the engine refuses a workspace as it should be", "id", e.record.ID, "error", err)
	e.refused = err
	if e.told == "" {
		if err := m.Store.DeleteRecord(context.Background(), e.record.ID); err != nil {
			m.Log.Error("state not written", "id", e.record.ID, "error", err)
		}
		m.remove(e, "")
		return
	}
	e.record.Spec = e.toldSpec
	m.noticeNow(e, "It could not be changed: "+workspace.MessageOf(err))
}

// dropKept removes a workspace that the engine keeps no more: somebody has deleted it there. The caller holds the lock.
func (m *Manager) dropKept(e *entry) {
	if e.working || e.told == "" {
		return // it is about to be made, or deleted by us
	}
	m.Log.Info("workspace was deleted at its engine", "id", e.record.ID)
	if err := m.Store.DeleteRecord(context.Background(), e.record.ID); err != nil {
		m.Log.Error("state not written", "id", e.record.ID, "error", err)
	}
	m.remove(e, fmt.Sprintf("%s was deleted in ML Lab. Files that were not deleted with it are kept.", e.record.Spec.DisplayName))
}

// takeAllKept compares all that an engine keeps with the model. before is the number of changes when the look began, at its
// time. The caller holds the lock.
func (m *Manager) takeAllKept(all []workspace.Kept, before uint64, at time.Time) {
	there := make(map[workspace.ID]bool, len(all))
	for _, kept := range all {
		there[kept.ID] = true
		if e, known := m.entries[kept.ID]; !known || e.changed <= before {
			m.takeKept(kept, at)
		}
	}
	for id, e := range m.entries {
		if !there[id] && e.changed <= before && !at.Before(e.stepEnded) {
			m.dropKept(e)
		}
	}
}

// specOf fills in what an engine keeps of a workspace. The rest stays as it was, or is what the limits say.
func (m *Manager) specOf(kept workspace.Kept, before workspace.Spec) workspace.Spec {
	spec := before
	spec.DisplayName, spec.Image, spec.Port = kept.Spec.DisplayName, kept.Spec.Image, kept.Spec.Port
	spec.Profile = m.profileOfKept(kept.Spec, before)
	spec.Compute.CPUs, spec.Compute.MemoryMB = kept.Spec.Compute.CPUs, kept.Spec.Compute.MemoryMB
	spec.Storage, spec.IdleTimeout, spec.ClearVolumeOnStop = kept.Spec.Storage, kept.Spec.IdleTimeout, kept.Spec.ClearVolumeOnStop
	if prof, there := profile.Find(m.settings.Load().Profiles, spec.Profile); there && prof.Port == spec.Port {
		spec.Port = 0
	}
	return m.LimitsFor(kept.Owner, spec.Profile).Complete(spec)
}

// profileOfKept is the profile that the engine has kept. One that says nothing of a profile keeps what listens where ML Lab's
// workspaces do: then it is what it was before, for nobody has changed what is not told; else that of the image in the
// catalogue; else theirs.
func (m *Manager) profileOfKept(spec, before workspace.Spec) string {
	now := m.settings.Load()
	if _, there := profile.Find(now.Profiles, spec.Profile); there {
		return spec.Profile
	}
	if spec.Profile != "" {
		return profile.MLWorkspace.Name
	}
	guesses := []string{}
	if before.Image == spec.Image {
		guesses = append(guesses, before.Profile)
	}
	if offered, there := now.offered(spec.Image); there {
		guesses = append(guesses, offered.Profile)
	}
	for _, guess := range guesses {
		prof, known := profile.Find(now.Profiles, guess)
		if known && prof.Port == profile.MLWorkspace.Port && prof.KeepsPath == profile.MLWorkspace.KeepsPath {
			return prof.Name
		}
	}
	return profile.MLWorkspace.Name
}

// present fills in what such an engine cannot say of a container that somebody else has made: it is what it was taken to be
// when it was first seen, and that is the one that should be.
func present(observed *workspace.Observed, e *entry) *workspace.Observed {
	if observed == nil || observed.UID != "" {
		return observed
	}
	filled := *observed
	if known := e.observed; known != nil && known.Handle == observed.Handle {
		filled.UID, filled.Attempt, filled.Fingerprint = known.UID, known.Attempt, known.Fingerprint
		return &filled
	}
	filled.UID, filled.Attempt, filled.Fingerprint = e.record.UID, e.record.Attempt, e.told
	return &filled
}
