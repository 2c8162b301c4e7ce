package quota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func sample() Limits {
	return Limits{
		CPUs:        Range[float64]{Default: 1, Max: 4},
		MemoryMB:    Range[int64]{Default: 2000, Max: 8000},
		Processes:   Range[int64]{Default: 4096},
		VolumeMB:    Range[int64]{Default: 5000, Max: 50_000},
		ContainerMB: Range[int64]{Default: 5000, Max: 20_000},
		IdleTimeout: Range[time.Duration]{Choices: []time.Duration{0, time.Hour}},
	}
}

func TestLimits_Complete(t *testing.T) {
	spec := sample().Complete(workspace.Spec{Compute: workspace.Compute{MemoryMB: 3000}})
	require.Equal(t, workspace.Compute{CPUs: 1, MemoryMB: 3000, ShmMB: 1500, Processes: 4096}, spec.Compute)
	require.Equal(t, workspace.Storage{VolumeMB: 5000, ContainerMB: 5000}, spec.Storage)
	require.Zero(t, spec.IdleTimeout, "never is a choice, not a gap")
}

func TestLimits_Check(t *testing.T) {
	limits := sample()
	base := limits.Complete(workspace.Spec{})
	for name, c := range map[string]struct {
		change func(*workspace.Spec)
		field  string
		says   string
	}{
		"fits":               {func(s *workspace.Spec) { s.Compute.CPUs = 0.5 }, "", ""},
		"too many CPUs":      {func(s *workspace.Spec) { s.Compute.CPUs = 99 }, "compute.cpus", "99 CPUs are more than the 4 allowed."},
		"negative CPUs":      {func(s *workspace.Spec) { s.Compute.CPUs = -1 }, "compute.cpus", "too little"},
		"too much memory":    {func(s *workspace.Spec) { s.Compute.MemoryMB = 9000 }, "compute.memory", "9 GB of memory are more than the 8 GB allowed."},
		"too little memory":  {func(s *workspace.Spec) { s.Compute.MemoryMB = 5 }, "compute.memory", "at least 6 MB"},
		"too many processes": {func(s *workspace.Spec) { s.Compute.Processes = 4_194_305 }, "compute.processes", "4194305 processes are more than Linux can number, which is 4194304."},
		"no choice":          {func(s *workspace.Spec) { s.IdleTimeout = time.Minute }, "idle_timeout", "not among the choices"},
		"too large a volume": {func(s *workspace.Spec) { s.Storage.VolumeMB = 60_000 }, "storage.volume_size", "60 GB of files"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := base
			c.change(&spec)
			err := limits.Check(spec, nil)
			if c.field == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
			require.ErrorContains(t, err, c.says)
			coded, _ := err.(*workspace.Error)
			require.Equal(t, c.field, coded.Field)
		})
	}
}

func TestLimits_CheckLeavesAloneWhatDoesNotChange(t *testing.T) {
	before := sample().Complete(workspace.Spec{})
	before.Compute.MemoryMB = 16_000 // from before the limit was lowered
	after := before
	after.Compute.CPUs = 2
	require.NoError(t, sample().Check(after, &before))
	after.Compute.MemoryMB = 15_000
	require.Error(t, sample().Check(after, &before))
}

func TestLimits_CapToHost(t *testing.T) {
	limits := sample()
	limits.CPUs.Choices = []float64{1, 2, 4}
	capped := limits.CapToHost(2, 1000, 1)
	require.Equal(t, Range[float64]{Default: 1, Max: 2, Choices: []float64{1, 2}}, capped.CPUs)
	require.Equal(t, int64(1000), capped.MemoryMB.Max)
	require.Equal(t, int64(1000), capped.MemoryMB.Default)
	require.Equal(t, []float64{1, 2, 4}, limits.CPUs.Choices, "the configured limits stay as they are")
	require.Equal(t, limits.MemoryMB, limits.CapToHost(0, 0, 0).MemoryMB, "an unknown host caps nothing")
}

func TestLimits_GPUs(t *testing.T) {
	limits := sample()
	spec := limits.Complete(workspace.Spec{Compute: workspace.Compute{GPUs: 1}})
	require.ErrorContains(t, limits.Check(spec, nil), "none are given out")
	limits.GPUs = Range[int64]{Default: 1, Max: 4}
	require.NoError(t, limits.Check(spec, nil))
	require.Equal(t, Range[int64]{Default: 1, Max: 2}, limits.CapToHost(8, 8000, 2).GPUs)
	require.Equal(t, Range[int64]{}, limits.CapToHost(8, 8000, 0).GPUs, "a machine without GPUs gives none")
}

func TestLimits_SharedMemory(t *testing.T) {
	limits := sample()
	limits.ShmMB.Max = 3000
	for _, c := range []struct{ asked, memory, configured, want int64 }{
		{0, 4000, 0, 2000}, {0, 4000, 500, 500}, {1000, 4000, 500, 1000}, {0, 300, 500, 300},
	} {
		limits.ShmMB.Default = c.configured
		spec := limits.Complete(workspace.Spec{AskedShmMB: c.asked, Compute: workspace.Compute{MemoryMB: c.memory}})
		require.Equal(t, c.want, spec.Compute.ShmMB, "%+v", c)
		require.NoError(t, limits.Check(spec, nil))
	}
	spec := limits.Complete(workspace.Spec{AskedShmMB: 2500})
	require.ErrorContains(t, limits.Check(spec, nil), "more than the memory, 2 GB")
	spec.AskedShmMB = 3500
	require.ErrorContains(t, limits.Check(spec, nil), "more than the 3 GB allowed")
}

func TestLimits_NeverIsLongerThanAnyMaximum(t *testing.T) {
	policy := Policy{Limits: sample()}
	policy.Limits.IdleTimeout = Range[time.Duration]{Max: 4 * time.Hour}
	limits := policy.LimitsFor("ada0", "")
	require.Equal(t, 4*time.Hour, limits.IdleTimeout.Default)
	spec := limits.Complete(workspace.Spec{})
	require.ErrorContains(t, limits.Check(spec, nil), "4 h at most")
	spec.IdleTimeout = time.Hour
	require.NoError(t, limits.Check(spec, nil))
	policy.Limits.IdleTimeout.Choices = []time.Duration{0, time.Hour}
	require.Zero(t, policy.LimitsFor("ada0", "").IdleTimeout.Default)
}

func TestLimits_LoweredOnesAreMetAtTheNextStart(t *testing.T) {
	limits := sample()
	spec := limits.Complete(workspace.Spec{Compute: workspace.Compute{CPUs: 4, MemoryMB: 8000}})
	require.Empty(t, limits.Above(spec))
	met, told := limits.Meet(spec)
	require.Equal(t, spec, met)
	require.Empty(t, told)
	limits.MemoryMB.Max, limits.CPUs.Max, limits.IdleTimeout = 3000, 1, Range[time.Duration]{Max: time.Hour}
	require.Equal(t, []string{"compute.cpus", "compute.memory", "idle_timeout"}, limits.Above(spec))
	met, told = limits.Meet(spec)
	require.Equal(t, "The limits have been lowered since: it now has 1 CPU instead of 4 CPUs, 3 GB of memory instead of 8 GB of memory, an idle timeout of 1 h instead of no idle timeout.", told)
	require.Equal(t, int64(1500), met.Compute.ShmMB)
	require.Empty(t, limits.Above(met))
}
