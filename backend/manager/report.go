package manager

import (
	"slices"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// QuotaReport is what a user may have, and what is taken.
type QuotaReport struct {
	Lines  []quota.Line
	Groups []string
	// Used is what the user's own workspaces really use, as far as it was measured: CPUs and memory while somebody looks,
	// storage as it was last measured.
	UsedCPUs     float64
	UsedMemoryMB int64
	StorageMB    int64
	// Reserved is what they may use: the sum of their limits.
	Reserved        quota.Amounts
	ReservedStorage int64
	Waiting         int // starts in the queue
}

// Quota reports on a user. The caller must be that user, or an administrator.
func (m *Manager) Quota(caller Caller, owner workspace.Owner) (QuotaReport, error) {
	if err := caller.mayActFor(owner); err != nil {
		return QuotaReport{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	books := m.books()
	report := QuotaReport{Lines: books.Report(owner), Groups: m.settings.Load().Policy.GroupsOf(owner)}
	for _, e := range m.entries {
		if e.record.Owner != owner {
			continue
		}
		report.Reserved = report.Reserved.Plus(e.held())
		report.ReservedStorage += m.storageOf(e)
		report.StorageMB += megabytes(e.use.volume.Bytes)
		if !e.record.QueuedAt.IsZero() {
			report.Waiting++
		}
	}
	for _, use := range m.usesOf(owner) {
		report.UsedCPUs += max(0, use.CPUs)
		report.UsedMemoryMB += megabytes(use.MemoryBytes)
	}
	return report, nil
}

// GPUHold is one device and who holds it.
type GPUHold struct {
	Device  workspace.GPU
	Holders []GPUHolder // at most as many as may share it
}

// GPUHolder holds a device.
type GPUHolder struct {
	Owner     workspace.Owner
	Workspace string // its name
	ID        workspace.ID
	Lease     workspace.Lease
}

// GPUs tells who holds what since when. Devices that are gone from the machine and still held are listed, too.
func (m *Manager) GPUs() []GPUHold {
	m.mu.Lock()
	defer m.mu.Unlock()
	holds := make([]GPUHold, len(m.engine.host.GPUs))
	for i, gpu := range m.engine.host.GPUs {
		holds[i].Device = gpu
	}
	for _, e := range m.leased {
		for _, device := range e.record.Lease.List() {
			at := slices.IndexFunc(holds, func(h GPUHold) bool { return h.Device.ID == device })
			if at < 0 {
				at = len(holds)
				holds = append(holds, GPUHold{Device: workspace.GPU{ID: device}})
			}
			holds[at].Holders = append(holds[at].Holders, GPUHolder{
				Owner: e.record.Owner, Workspace: e.record.Spec.DisplayName, ID: e.record.ID, Lease: e.record.Lease,
			})
		}
	}
	for _, hold := range holds {
		slices.SortFunc(hold.Holders, func(a, b GPUHolder) int { return a.Lease.Since.Compare(b.Lease.Since) })
	}
	return holds
}
