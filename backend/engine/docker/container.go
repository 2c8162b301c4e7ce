package docker

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"lab-workspace-manager/backend/workspace"
)

const (
	// secretVariable carries the IDE's secret in every workspace, so that it can be read back whatever the image's own
	// variables are called.
	secretVariable = "LAB_WORKSPACE_SECRET"
	mebibyte       = 1 << 20
	// stopsOnlyHere is the restart policy of every workspace: what ends is judged by the manager, not restarted blindly.
	stopsOnlyHere = container.RestartPolicyDisabled
)

// newSecret makes the secret that locks an IDE: 256 random bits in hex.
func newSecret() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return hex.EncodeToString(random[:])
}

// containerSpec is what Docker is asked to make.
type containerSpec struct {
	config  *container.Config
	host    *container.HostConfig
	network *network.NetworkingConfig
}

// The bounds of every container: no capability but those that its image is known to need, and no way to more.
const (
	dropAll         = "ALL"
	noNewPrivileges = "no-new-privileges"
)

// surroundings is what a container gets besides its deployment: from this engine and its machine.
type surroundings struct {
	labels     map[string]string
	secret     string            // "" = its IDE is not locked
	lab        map[string]string // variables about the lab, which win over all; nil = there is none
	network    ownerNetwork
	rotateLogs bool
	sizeBytes  int64             // to which Docker holds it; 0 where it does not
	bundle     string            // file of the host with the certificates that it trusts, bound into the container; "" = not bound
	env        map[string]string // variables that the deployment's own win over
	ownInit    bool              // the image brings its own first process
}

// specOf computes the container of a deployment. It is pure and complete: whatever is not written here stays at
// Docker's default, and nothing of a client's input is copied through (security rules 12 and 13).
func specOf(d workspace.Deployment, s surroundings) containerSpec {
	port := nat.Port(fmt.Sprintf("%d/tcp", d.Port))
	grace := int(d.StopGrace.Seconds())
	withInit := !s.ownInit
	pids := d.Compute.Processes
	spec := containerSpec{
		config: &container.Config{
			Image:        d.Image,
			Hostname:     hostname(d),
			Cmd:          slices.Clone(d.Args),
			Env:          environment(d, s),
			Labels:       s.labels,
			ExposedPorts: nat.PortSet{port: {}},
			StopTimeout:  &grace,
		},
		host: &container.HostConfig{
			NetworkMode:   container.NetworkMode(s.network.name),
			RestartPolicy: container.RestartPolicy{Name: stopsOnlyHere},
			Init:          &withInit,
			CapDrop:       []string{dropAll},
			CapAdd:        slices.Clone(d.Capabilities),
			SecurityOpt:   []string{noNewPrivileges},
			ShmSize:       d.Compute.ShmMB * mebibyte,
			Mounts:        []mount.Mount{{Type: mount.TypeVolume, Source: d.Volume, Target: d.MountPath}},
			Resources:     liveResources(d.Compute),
		},
		network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{s.network.name: {}}},
	}
	spec.host.DeviceRequests = deviceRequests(d.GPUs)
	if pids > 0 {
		spec.host.PidsLimit = &pids
	}
	if s.bundle != "" {
		spec.host.Mounts = append(spec.host.Mounts, mount.Mount{Type: mount.TypeBind, Source: s.bundle, Target: bundleInside, ReadOnly: true})
	}
	if s.sizeBytes > 0 {
		spec.host.StorageOpt = map[string]string{sizeOption: strconv.FormatInt(s.sizeBytes, 10)}
	}
	if s.rotateLogs {
		spec.host.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}}
	}
	if s.network.publish {
		spec.host.PortBindings = nat.PortMap{port: {{HostIP: "127.0.0.1"}}}
	}
	return spec
}

// bringsInit reports whether what an image starts wants to be the first process itself, and refuses to be anything else,
// as the /init of s6-overlay does. Anything but such a program gets Docker's, which passes signals on and buries the dead.
func bringsInit(entrypoint, command, args []string) bool {
	if len(args) > 0 {
		command = args
	}
	line := slices.Concat(entrypoint, command)
	return len(line) > 0 && path.Base(line[0]) == "init"
}

// liveResources are the limits that can change while the container runs. Memory and swap are the same, so that there is
// no swap beyond the limit.
func liveResources(compute workspace.Compute) container.Resources {
	return container.Resources{
		NanoCPUs:   int64(compute.CPUs*1e9 + 0.5),
		Memory:     compute.MemoryMB * mebibyte,
		MemorySwap: compute.MemoryMB * mebibyte,
	}
}

// hostname is what a terminal's prompt shows: the slug of the id.
func hostname(d workspace.Deployment) string {
	id := string(d.ID)
	if at := strings.LastIndex(id, "-s-"); at >= 0 {
		return id[at+len("-s-"):]
	}
	return id
}

func environment(d workspace.Deployment, s surroundings) []string {
	env := map[string]string{}
	maps.Copy(env, s.env)
	maps.Copy(env, d.Env)
	env[visibleDevices] = visibleGPUs(d.GPUs)
	if s.secret != "" {
		env[secretVariable] = s.secret
		for _, name := range d.SecretEnv {
			env[name] = s.secret
		}
	}
	maps.Copy(env, s.lab)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// observedOf reads what Docker says of a container back into the domain's words.
func observedOf(found container.InspectResponse) workspace.Observed {
	labels := found.Config.Labels
	observed := workspace.Observed{
		ID: workspace.ID(labels[labelDeployment]), Owner: workspace.Owner(labels[labelOwner]),
		UID: labels[labelUID], Fingerprint: labels[labelFingerprint], Profile: labels[labelProfile], DisplayName: labels[labelDisplayName],
		Handle: found.ID, Image: found.Config.Image, ImageID: found.Image, State: stateOf(found.State),
		StartedAt: parseTime(found.State.StartedAt), FinishedAt: parseTime(found.State.FinishedAt),
		ExitCode: found.State.ExitCode, OOMKilled: found.State.OOMKilled,
		Secret: secretOf(found.Config.Env),
	}
	observed.Attempt, _ = strconv.ParseInt(labels[labelAttempt], 10, 64) // 0 for what an older version made
	if found.HostConfig != nil {
		observed.Compute = workspace.Compute{
			CPUs:     float64(found.HostConfig.NanoCPUs) / 1e9,
			MemoryMB: found.HostConfig.Memory / mebibyte,
			ShmMB:    found.HostConfig.ShmSize / mebibyte,
		}
		if found.HostConfig.PidsLimit != nil {
			observed.Compute.Processes = *found.HostConfig.PidsLimit
		}
		observed.Devices = devicesIn(found.HostConfig.DeviceRequests)
		observed.Compute.GPUs = int64(len(workspace.Lease{Devices: observed.Devices}.List()))
		if found.HostConfig.StorageOpt[sizeOption] != "" {
			// The option itself may count the image as well.
			observed.ContainerMB, _ = strconv.ParseInt(labels[labelContainerMB], 10, 64)
		}
	}
	for _, mounted := range found.Mounts {
		if mounted.Type == mount.TypeVolume && mounted.Destination == labels[labelVolumePath] {
			observed.Volume = mounted.Name
		}
	}
	if observed.State == workspace.ContainerRunning {
		observed.Endpoint = endpointOf(found, labels[labelPort])
	}
	return observed
}

// isOfOurMaking reports whether a container is held as we hold all. A lab that restarts a service makes its container anew, with
// all of our labels and none of our bounds. Only beside a lab is there one to ask this of: what speaks Docker's API may tell the
// same bounds in other words.
func isOfOurMaking(host *container.HostConfig) bool {
	return slices.Contains(host.CapDrop, dropAll) && slices.Contains(host.SecurityOpt, noNewPrivileges)
}

// endpointOf is how the manager reaches the IDE: the published port where there is one, else the container's address.
func endpointOf(found container.InspectResponse, port string) string {
	if found.NetworkSettings == nil || port == "" {
		return ""
	}
	for _, binding := range found.NetworkSettings.Ports[nat.Port(port+"/tcp")] {
		if binding.HostPort != "" {
			return "http://127.0.0.1:" + binding.HostPort
		}
	}
	if found.ContainerJSONBase != nil && found.HostConfig != nil {
		// It may be in others, by another hand. This one is its owner's.
		if joined := found.NetworkSettings.Networks[string(found.HostConfig.NetworkMode)]; joined != nil && joined.IPAddress != "" {
			return "http://" + joined.IPAddress + ":" + port
		}
	}
	for _, joined := range found.NetworkSettings.Networks {
		if joined.IPAddress != "" {
			return "http://" + joined.IPAddress + ":" + port
		}
	}
	return ""
}

func secretOf(env []string) string {
	for _, variable := range env {
		if secret, found := strings.CutPrefix(variable, secretVariable+"="); found {
			return secret
		}
	}
	return ""
}

func stateOf(state *container.State) workspace.ContainerState {
	switch {
	case state.Dead, state.Status == container.StateRemoving:
		return workspace.ContainerDead
	case state.Paused:
		return workspace.ContainerPaused
	case state.Running:
		return workspace.ContainerRunning
	case state.Status == container.StateCreated:
		return workspace.ContainerCreated
	}
	return workspace.ContainerExited
}
