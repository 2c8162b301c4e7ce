package config

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/quota"
)

func loadWith(t *testing.T, variables ...string) Loaded {
	t.Helper()
	loaded, err := Load(LoadOptions{Environ: append([]string{"HOME=" + t.TempDir()}, variables...)})
	require.NoError(t, err)
	return loaded
}

func TestMLLab_HasUpstreamsDefaultsForAllThatNobodyHasSet(t *testing.T) {
	in := loadWith(t, "CONTAXY_API_ENDPOINT=http://ml-lab-backend:8080/api", "CONTAXY_BASE_URL=/lab").Config
	require.Equal(t, MLLab{Endpoint: "http://ml-lab-backend:8080/api", BaseURL: "/lab"}, in.MLLab)
	limits := in.Policy.Limits
	require.Equal(t, quota.Range[int64]{Default: 1000, Max: 8000}, limits.MemoryMB)
	require.Equal(t, quota.Range[float64]{Default: 1, Max: 4}, limits.CPUs)
	require.Equal(t, quota.Range[time.Duration]{}, limits.IdleTimeout)
	require.Equal(t, []int64{5000, 5000}, []int64{limits.VolumeMB.Default, limits.ContainerMB.Default})
	require.Equal(t, []Image{{Name: "Default Minimal Workspace", Image: "mltooling/ml-workspace-minimal", Profile: "ml-workspace"}}, in.Images)

	set := loadWith(t, "CONTAXY_API_ENDPOINT=http://ml-lab-backend:8080/api", "WORKSPACE_MAX_MEMORY_MB=500", "WORKSPACE_IDLE_TIMEOUT_OPTIONS=0,3600",
		`WORKSPACE_IMAGE_DEFAULT={"image": "mine", "display_name": "Mine"}`)
	require.Equal(t, quota.Range[int64]{Default: 500, Max: 500}, set.Config.Policy.Limits.MemoryMB, "a maximum lowers a default that nobody set")
	require.Equal(t, []time.Duration{0, time.Hour}, set.Config.Policy.Limits.IdleTimeout.Choices)
	require.Equal(t, "mine", set.Config.Images[0].Image)
	require.Equal(t, "default in ML Lab", set.Origin("limits.cpus.default"))
}

func TestMLLab_TheEngineThatIsUsedSaysWhy(t *testing.T) {
	const endpoint = "CONTAXY_API_ENDPOINT=http://ml-lab-backend:8080/api"
	for _, c := range []struct {
		variables []string
		drives    string
		head      string
	}{
		{nil, EngineDocker, "# engine in use: docker, because no mllab.endpoint is set\n"},
		{[]string{endpoint}, EngineMLLab, "# engine in use: mllab, because mllab.endpoint is set\n"},
	} {
		loaded := loadWith(t, c.variables...)
		drives, _ := loaded.Config.Drives()
		require.Equal(t, c.drives, drives)
		var printed bytes.Buffer
		require.NoError(t, loaded.Print(&printed))
		require.Contains(t, printed.String(), c.head)
	}
}

func TestDockerInLab(t *testing.T) {
	const lab = "[mllab]\nendpoint = \"http://ml-lab-backend:8080/api\"\n"
	for text, is := range map[string]bool{
		``: false, lab: false, `engine = "docker"`: false, "engine = \"docker\"\n" + lab: true, "engine = \"mllab\"\n" + lab: false,
	} {
		require.Equal(t, is, mustLoad(t, text).Config.DockerInLab(), text)
	}

	const pool = "\n[docker]\nsubnet_pool = \"10.213.0.0/16\""
	mustLoad(t, lab+pool) // the lab runs them, and takes its own networks
	mustLoad(t, `engine = "docker"`+pool)
	_, err := Load(LoadOptions{File: write(t, "engine = \"docker\"\n"+lab+pool), Environ: home(t)})
	require.ErrorContains(t, err, `:6: docker.subnet_pool is "10.213.0.0/16"; it must be outside of 10.0.0.0/8, which ML Lab takes for itself, where Docker runs its workspaces`)

	var printed strings.Builder
	require.NoError(t, mustLoad(t, "engine = \"docker\"\n"+lab).Print(&printed))
	require.Contains(t, printed.String(), "# the ML Lab at http://ml-lab-backend:8080/api says who may do what, lists what runs, and its proxy leads there\n")
}
