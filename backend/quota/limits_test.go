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
	capped := limits.CapToHost(2, 1000)
	require.Equal(t, Range[float64]{Default: 1, Max: 2, Choices: []float64{1, 2}}, capped.CPUs)
	require.Equal(t, int64(1000), capped.MemoryMB.Max)
	require.Equal(t, int64(1000), capped.MemoryMB.Default)
	require.Equal(t, []float64{1, 2, 4}, limits.CPUs.Choices, "the configured limits stay as they are")
	require.Equal(t, limits.MemoryMB, limits.CapToHost(0, 0).MemoryMB, "an unknown host caps nothing")
}
