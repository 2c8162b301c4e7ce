package manager

import "lab-workspace-manager/backend/workspace"

// This file is about a lab beside an engine that keeps nothing by itself: people may start workspaces there, too.

// startedElsewhere reports whether the lab has made and started a container for a workspace that was at rest by then.
func startedElsewhere(record workspace.Record, observed *workspace.Observed) bool {
	if observed == nil || !observed.Copied || observed.State != workspace.ContainerRunning || observed.UID != record.UID {
		return false
	}
	switch {
	case record.Desired == workspace.DesiredStopped:
		return observed.StartedAt.After(record.DesiredAt)
	case record.Desired == workspace.DesiredRunning && record.Outcome != nil:
		return observed.StartedAt.After(record.Outcome.At)
	}
	return false
}

// startAsElsewhere starts a workspace that somebody has started in the lab, as if they had asked here: what the lab has made for
// it gives way to a container of ours. The caller holds the lock.
func (m *Manager) startAsElsewhere(e *entry) {
	record, copied := e.record, e.observed
	e.observed = nil // it takes nothing: it is not the one that runs then
	err := m.startAnew(e, &record)
	e.observed = copied
	now := m.Now()
	if err != nil {
		record = e.record
		stopRecord(&record, workspace.ReasonOverQuota, "It was started in ML Lab, and ended again: "+workspace.MessageOf(err))
	}
	record.UpdatedAt, record.DesiredAt = now, now
	e.record, e.steps = record, nil
	m.Log.Info("workspace was started in the lab", "id", record.ID, "refused", err)
	m.save(e)
}
