package manager

import (
	"context"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// volumeMade notes that a workspace's volume exists. The caller holds the lock.
func (m *Manager) volumeMade(e *entry, step workspace.Step) {
	if _, known := m.volumes[e.record.Volume]; known {
		return
	}
	m.volumeChanges++
	m.volumes[e.record.Volume] = workspace.Volume{
		Name: e.record.Volume, Owner: e.record.Owner, UID: step.Deployment.UID,
		DisplayName: e.record.Spec.DisplayName, SizeMB: e.record.Spec.Storage.VolumeMB, CreatedAt: m.Now(),
	}
}

// volumeRemoved notes that a workspace's files are gone because its owner said so. The caller holds the lock.
func (m *Manager) volumeRemoved(e *entry) {
	if _, there := m.volumes[e.record.Volume]; !there || m.holdsFilesOf(e) {
		delete(m.volumes, e.record.Volume)
		m.volumeChanges++
		m.forgetKept(e.record.Volume)
	}
	e.record.DeleteVolume, e.record.VolumeAdopted, e.record.Cleared = false, false, true
	m.save(e)
}

// holdsFilesOf reports whether a workspace's volume is known and its own, not one of the same name that was there before
// (a state folder restored from an older copy). The caller holds the lock.
func (m *Manager) holdsFilesOf(e *entry) bool {
	volume, there := m.volumes[e.record.Volume]
	// An engine that keeps what should be has one volume a workspace.
	return there && (m.can.Keeps || e.record.VolumeAdopted || volume.UID == e.record.UID)
}

// filesGone reports whether a workspace has had files and its volume is not there: somebody has removed it at the engine, which
// refuses that while there is a container. The caller holds the lock.
func (m *Manager) filesGone(e *entry) bool {
	if m.can.Keeps || !m.volumesKnown || e.observed != nil || !e.record.HasFiles() {
		return false
	}
	_, there := m.volumes[e.record.Volume]
	return !there
}

func (m *Manager) forgetKept(name string) {
	delete(m.kept, name)
	if err := m.Store.ForgetVolume(context.Background(), name); err != nil {
		m.Log.Warn("memory of a volume not dropped", "volume", name, "error", err)
	}
}

// rememberVolume keeps the name of a deleted workspace with its volume, if the volume stays. The caller holds the lock.
func (m *Manager) rememberVolume(e *entry) error {
	if !m.holdsFilesOf(e) {
		return nil
	}
	volume := m.volumes[e.record.Volume]
	volume.DisplayName, volume.KeptSince, volume.SizeMB = e.record.Spec.DisplayName, m.Now(), m.storageOf(e)
	if err := m.Store.KeepVolume(context.Background(), volume); err != nil {
		return err
	}
	m.kept[volume.Name] = volume
	return nil
}

// addVolumes takes up volumes that the engine has told of. The caller holds the lock.
func (m *Manager) addVolumes(volumes []workspace.Volume) {
	for _, volume := range volumes {
		m.volumes[volume.Name] = volume
		m.volumeChanges++
		m.board.announce(EventVolumes, volume.Owner)
	}
}

// setVolumes takes over what the engine holds. The caller holds the lock.
func (m *Manager) setVolumes(volumes []workspace.Volume) {
	now := make(map[string]workspace.Volume, len(volumes))
	for _, volume := range volumes {
		now[volume.Name] = volume
	}
	owners := map[workspace.Owner]bool{}
	for name, volume := range now {
		if _, known := m.volumes[name]; !known {
			owners[volume.Owner] = true
		}
	}
	for name, volume := range m.volumes {
		if _, still := now[name]; !still {
			owners[volume.Owner] = true
		}
	}
	known, before := m.volumesKnown, m.volumes
	m.volumes, m.volumesKnown = now, true
	for _, e := range m.entries {
		_, was := before[e.record.Volume]
		if _, is := now[e.record.Volume]; is != was || !is && !known {
			m.publish(e) // whether its files are there is part of what is shown
		}
	}
	for owner := range owners {
		m.board.announce(EventVolumes, owner)
	}
}

// userOf returns which workspace uses a volume, "" for a kept one. The caller holds the lock.
func (m *Manager) userOf(volume string) workspace.ID {
	for id, e := range m.entries {
		if e.record.Volume == volume {
			return id
		}
	}
	return ""
}

// Volumes lists the owner's volumes, those in use first, then by the name of their workspace.
func (m *Manager) Volumes(caller Caller, owner workspace.Owner) ([]workspace.Volume, error) {
	if err := caller.mayActFor(owner); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	users := make(map[string]*entry, len(m.entries))
	for _, e := range m.entries {
		users[e.record.Volume] = e
	}
	list := []workspace.Volume{}
	for name, volume := range m.volumes {
		if volume.Owner != owner {
			continue
		}
		if remembered, kept := m.kept[name]; kept {
			volume.DisplayName, volume.KeptSince = remembered.DisplayName, remembered.KeptSince
		}
		volume.UsedBy = "" // the engine's word may be older
		if user := users[name]; user != nil {
			volume.UsedBy, volume.DisplayName, volume.KeptSince = user.record.ID, user.record.Spec.DisplayName, time.Time{}
		}
		list = append(list, volume)
	}
	slices.SortFunc(list, func(a, b workspace.Volume) int {
		if (a.UsedBy == "") != (b.UsedBy == "") {
			if a.UsedBy != "" {
				return -1
			}
			return 1
		}
		if c := strings.Compare(a.DisplayName, b.DisplayName); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, nil
}

// keptVolume returns a volume of the owner that no workspace uses. The caller holds the lock.
func (m *Manager) keptVolume(owner workspace.Owner, name string) (workspace.Volume, error) {
	volume, there := m.volumes[name]
	if !there || volume.Owner != owner {
		return workspace.Volume{}, workspace.Errorf(workspace.CodeNotFound, "There is no volume %q.", name)
	}
	if user := m.userOf(name); user != "" {
		return workspace.Volume{}, workspace.Errorf(workspace.CodeConflict, "The volume %q belongs to the workspace %q. Delete the workspace first.",
			name, m.entries[user].record.Spec.DisplayName)
	}
	return volume, nil
}

// DeleteVolume deletes a kept volume and the files in it for good. CodeConflict while a workspace uses it.
func (m *Manager) DeleteVolume(ctx context.Context, caller Caller, owner workspace.Owner, name string) error {
	if err := caller.mayActFor(owner); err != nil {
		return err
	}
	m.mu.Lock()
	_, err := m.keptVolume(owner, name)
	if err == nil {
		err = m.refuseWithoutEngine()
	}
	if err == nil && m.deleting[name] {
		err = workspace.Errorf(workspace.CodeConflict, "The volume %q is being deleted already.", name)
	}
	if err != nil {
		m.mu.Unlock()
		return err
	}
	// While it is being deleted nobody can choose it for a new workspace.
	m.deleting[name] = true
	m.mu.Unlock()
	err = m.Options.Engine.RemoveVolume(ctx, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.deleting, name)
	if err != nil && workspace.CodeOf(err) != workspace.CodeNotFound {
		return err
	}
	delete(m.volumes, name)
	m.volumeChanges++
	m.forgetKept(name)
	m.board.announce(EventVolumes, owner)
	return nil
}

// VolumeUsage measures a volume of the owner. It can take seconds. CodeWrongState where the engine cannot do that at all: trying
// again later helps nobody.
func (m *Manager) VolumeUsage(ctx context.Context, caller Caller, owner workspace.Owner, name string) (workspace.Usage, error) {
	if err := caller.mayActFor(owner); err != nil {
		return workspace.Usage{}, err
	}
	m.mu.Lock()
	volume, there := m.volumes[name]
	own := ""
	if user := m.userOf(name); user != "" {
		own = m.entries[user].record.Spec.Image
	}
	helpers := m.helpers(own)
	err := m.refuseWithoutEngine()
	m.mu.Unlock()
	switch {
	case !there || volume.Owner != owner:
		return workspace.Usage{}, workspace.Errorf(workspace.CodeNotFound, "There is no volume %q.", name)
	case !m.can.Measures:
		return workspace.Usage{}, &workspace.Error{
			Code: workspace.CodeWrongState, Message: "Files cannot be measured: ML Lab does not tell how large they are.",
			Hint: "A terminal in the workspace does: du --summarize --human-readable, and the folder.",
		}
	case err != nil:
		return workspace.Usage{}, err
	}
	measured, err := m.Options.Engine.Measure(ctx, []workspace.Place{{Volume: name}}, workspace.Measuring{Helpers: helpers})
	if err != nil {
		return workspace.Usage{}, err
	}
	return measured[0].Usage, measured[0].Err
}

// Usage measures the files of a workspace. A workspace that never ran has none.
func (m *Manager) Usage(ctx context.Context, caller Caller, owner workspace.Owner, id workspace.ID) (workspace.Usage, error) {
	view, err := m.Get(caller, owner, id)
	if err != nil {
		return workspace.Usage{}, err
	}
	usage, err := m.VolumeUsage(ctx, caller, owner, view.Record.Volume)
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return workspace.Usage{MeasuredAt: m.Now()}, nil
	}
	return usage, err
}
