package docker

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

const someID = "20173e5ed9ed7578f9ba6c39496b071854644420590ab13930421bbea3986388"

func TestContainerIn(t *testing.T) {
	line := func(root, at string) string {
		return "514 496 254:0 " + root + " " + at + " rw,relatime - ext4 /dev/vda rw\n"
	}
	for name, test := range map[string]struct{ mounts, id string }{
		"Docker's usual folder":          {line("/var/lib/docker/containers/"+someID+"/hostname", "/etc/hostname"), someID},
		"a data root that is a mount":    {line("/containers/"+someID+"/resolv.conf", "/etc/resolv.conf"), someID},
		"after others":                   {line("/", "/") + "\n" + line("/docker/containers/"+someID+"/hosts", "/etc/hosts"), someID},
		"no container":                   {line("/", "/") + line("/etc/hostname", "/etc/hostname"), ""},
		"somebody else's files in it":    {line("/var/lib/docker/containers/"+someID+"/x.log", "/logs"), ""},
		"the folder itself":              {line("/var/lib/docker/containers", "/var/lib/docker/containers"), ""},
		"Kubernetes":                     {line("/var/lib/kubelet/pods/9d1c/etc-hosts", "/etc/hosts"), ""},
		"garbage":                        {"\n a b\n" + strings.Repeat("x ", 9), ""},
		"what looks like one, too short": {line("/var/lib/docker/containers/"+someID[:12]+"/hosts", "/etc/hosts"), ""},
	} {
		require.Equal(t, test.id, containerIn(test.mounts), name)
	}
}

func TestWayOf(t *testing.T) {
	outside, inside := ownContainer{}, ownContainer{id: someID, mode: "lab_default"}
	inHost, inOther := ownContainer{id: someID, mode: "host"}, ownContainer{id: someID, mode: "container:other"}
	for _, test := range []struct {
		reach string
		self  ownContainer
		here  bool
		way   way
	}{
		{ReachAuto, outside, true, byAddress},
		{ReachAuto, outside, false, byPort}, // Docker Desktop
		{ReachAuto, inside, false, byJoining},
		{ReachAuto, ownContainer{id: someID, mode: "default"}, false, byJoining},
		{ReachAuto, inHost, true, byAddress},
		{ReachAuto, inOther, false, byPort},
		{ReachAddress, outside, false, byAddress},
		{ReachAddress, inside, false, byJoining},
		{ReachPort, outside, true, byPort},
		{ReachPort, inside, false, byPort},
	} {
		require.Equal(t, test.way, wayOf(test.reach, test.self, test.here), "%+v", test)
	}
}

func TestLetIn_APortOfTheMachineIsNoneOfTheContainers(t *testing.T) {
	e := &Engine{self: ownContainer{id: someID, mode: "bridge"}}
	err := e.letIn(t.Context(), network.Inspect{}, byPort)
	require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err))
	require.Equal(t, `Set docker.reach to "auto".`, workspace.HintOf(err))
}

func TestLabAmong(t *testing.T) {
	at := func(id, name string, addresses ...string) container.Summary {
		networks := map[string]*network.EndpointSettings{}
		for i, address := range addresses {
			networks[name+string(rune('a'+i))] = &network.EndpointSettings{IPAddress: address}
		}
		return container.Summary{ID: id, Names: []string{"/" + name}, NetworkSettings: &container.NetworkSettingsSummary{Networks: networks}}
	}
	there := []container.Summary{{ID: "bare"}, at("1", "other", "172.18.0.2", ""), at("2", "backend", "172.18.0.3", "172.29.0.3"), at("3", "ml-lab-backend")}
	require.Equal(t, "2", labAmong(there, "ml-lab-backend", []string{"172.29.0.3"}), "an address says more than a name")
	require.Equal(t, "3", labAmong(there, "ml-lab-backend", nil), "one that is stopped has none")
	require.Equal(t, "3", labAmong(there, "ml-lab-backend", []string{"192.0.2.1"}))
	require.Equal(t, "", labAmong(there, "lab.example.org", []string{"192.0.2.1"}))
	require.Equal(t, "", labAmong(there, "lab", []string{""}), "no address is no address")
}

type labBelow struct {
	Lab
	base string
}

func (l labBelow) BaseURL() string { return l.base }

func TestInLab_TheIDEKnowsThePathOfTheLab(t *testing.T) {
	d := workspace.Deployment{
		AccessPath: "/projects/ada0/services/x/access/8080b", Env: map[string]string{"BASE": "/projects/ada0/services/x/access/8080b", "OTHER": "x"},
		Args: []string{"--base=/projects/ada0/services/x/access/8080b"},
	}
	below := (&Engine{lab: labBelow{base: "/lab"}}).inLab(d)
	const path = "/lab/projects/ada0/services/x/access/8080b"
	require.Equal(t, path, below.AccessPath)
	require.Equal(t, map[string]string{"BASE": path, "OTHER": "x"}, below.Env)
	require.Equal(t, []string{"--base=" + path}, below.Args)
	require.Equal(t, "/projects/ada0/services/x/access/8080b", d.Env["BASE"], "what was asked for stays as it was")
	require.Equal(t, d, (&Engine{lab: labBelow{}}).inLab(d))
	require.Equal(t, d, (&Engine{}).inLab(d))
}

func TestContainerLabels_AreShortEnoughForALab(t *testing.T) {
	e := &Engine{instance: "i", namespace: "pylab"}
	labels := e.containerLabels(workspace.Deployment{DisplayName: "thesis", Port: 8080, KeepsPath: true, Profile: "workspace-minimal"})
	require.Equal(t, "WS thesis", labels["ctxy.displayName"])
	require.NotContains(t, labels, labelLabName)
	require.NotContains(t, labels, labelLabProfile)
	long := strings.Repeat("ü", workspace.MaxDisplayNameLength)
	labels = e.containerLabels(workspace.Deployment{DisplayName: long, Port: 8080, Profile: "custom"})
	require.Equal(t, 128, utf8.RuneCountInString(labels["ctxy.displayName"]))
	require.Equal(t, long, labels[labelLabName])
	require.Equal(t, "custom", labels[labelLabProfile])
}

func TestSpecOf_InALabNothingIsLockedAndTheLabHasTheLastWord(t *testing.T) {
	d := thesis
	d.Env = map[string]string{"WORKSPACE_BASE_URL": "/x", "MINE": "1", "LAB_API_TOKEN": "of the profile"}
	d.SecretEnv = []string{"AUTHENTICATE_VIA_JUPYTER"}
	env := variablesOf(specOf(d, surroundings{lab: map[string]string{"LAB_API_TOKEN": "a=b", "WORKSPACE_BASE_URL": "/lab/x"}}).config.Env)
	require.Equal(t, map[string]string{
		"WORKSPACE_BASE_URL": "/lab/x", "MINE": "1", "LAB_API_TOKEN": "a=b", visibleDevices: env[visibleDevices],
	}, env)
}

func TestWhyAway(t *testing.T) {
	for hint, us := range map[string]surroundingsOfUs{
		"sudo systemctl start docker":           {},
		"sudo usermod -aG docker $USER":         {refused: true},
		"--group-add":                           {refused: true, inContainer: true, inLab: true},
		"DOCKER_SOCKET for docker compose":      {refused: true, folder: true, inContainer: true, inLab: true},
		"Remove it, and start Docker anew":      {refused: true, folder: true},
		"which was not given the socket":        {noSocket: true, inContainer: true},
		`or leave engine at "auto"`:             {noSocket: true, inLab: true},
		"Everything comes back by itself":       {inContainer: true, inLab: true},
		"on most Linux machines: sudo":          {noSocket: true},
		"docker-compose.docker.yml does, or":    {noSocket: true, inLab: true, inContainer: true},
		"start that with --volume /var/run/doc": {noSocket: true, inContainer: true},
	} {
		message, said := whyAway("unix:///var/run/docker.sock", us)
		require.Contains(t, said, hint, "%+v", us)
		require.Contains(t, message, "/var/run/docker.sock")
		require.Equal(t, us.folder, strings.Contains(message, "There is a folder at"))
	}
}

func TestPublishedOf(t *testing.T) {
	ports := publishedOf(nat.PortMap{
		"8080/tcp": {{HostIP: "127.0.0.1", HostPort: "9000"}}, "8081/tcp": nil, "53/udp": {{HostPort: "53"}},
	})
	require.Equal(t, map[int]int{8080: 9000}, ports)
	require.NotNil(t, publishedOf(nil), "nothing is published, which is told")
}

func TestMissedBy(t *testing.T) {
	require.Empty(t, missedBy("pylab", "pylab"))
	require.Empty(t, missedBy("pylab", ""), "nobody has started it for a lab by labels")
	require.Contains(t, missedBy("mine", "pylab"), "LAB_NAMESPACE=mine")
}

// Else what we make would be replaced for ever.
func TestIsOfOurMaking_WhatWeMakeIs(t *testing.T) {
	made := specOf(workspace.Deployment{Capabilities: []string{"CHOWN"}}, surroundings{}).host
	require.True(t, isOfOurMaking(made))
	require.False(t, isOfOurMaking(&container.HostConfig{CapDrop: made.CapDrop}))
	require.False(t, isOfOurMaking(&container.HostConfig{SecurityOpt: made.SecurityOpt}))
}
