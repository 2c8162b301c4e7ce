package docker

import (
	"context"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
)

// ownContainer is the container that this program runs in. The zero value is none of the daemon's.
type ownContainer struct {
	id string
	// mode is how Docker has connected it: "host" and "container:…" have no networks of their own.
	mode container.NetworkMode
	// namespace is the one of the lab that it was started for, by its labels; "" = for none.
	namespace string
	// ports are those of the machine by which its own are reached, by these; nil = not told.
	ports map[int]int
}

// joins reports whether this program has to join a network to reach what is in it: Docker keeps its networks apart.
func (c ownContainer) joins() bool {
	return c.id != "" && !c.mode.IsHost() && !c.mode.IsContainer() && !c.mode.IsNone()
}

// ownID is the id of the container that this program runs in, whichever daemon's; "" = none.
func ownID() string {
	mounts, err := os.ReadFile(path.Join(procFolder, "self", "mountinfo"))
	if err != nil {
		return "" // no Linux, and so no container of the daemon's
	}
	return containerIn(string(mounts))
}

// findSelf asks the daemon for the container that this program runs in. One that it does not know is another daemon's.
func (e *Engine) findSelf(ctx context.Context) (ownContainer, error) {
	id := ownID()
	if id == "" {
		return ownContainer{}, nil
	}
	found, err := e.client.ContainerInspect(ctx, id)
	if errdefs.IsNotFound(err) {
		return ownContainer{}, nil
	}
	if err != nil {
		return ownContainer{}, e.translate(err, "look at our own container")
	}
	self := ownContainer{id: id}
	if found.ContainerJSONBase != nil && found.HostConfig != nil {
		self.mode = found.HostConfig.NetworkMode
	}
	if found.Config != nil {
		self.namespace = found.Config.Labels[labelNamespace]
	}
	if found.NetworkSettings != nil {
		self.ports = publishedOf(found.NetworkSettings.Ports)
	}
	return self, nil
}

// Published tells by which ports of the machine those of the container that this program runs in are reached, by the ports in
// the container; nil where Docker does not say. contained is false where its ports are the machine's own.
func (e *Engine) Published(ctx context.Context) (ports map[int]int, contained bool) {
	self, err := e.findSelf(ctx)
	if err != nil || self.id == "" { // or of another daemon's
		// Not by inContainerMark: machines that were made of an image have that, too.
		return nil, ownID() != ""
	}
	if !self.joins() {
		return nil, !self.mode.IsHost()
	}
	return self.ports, true
}

func publishedOf(bound nat.PortMap) map[int]int {
	ports := map[int]int{}
	for inside, bindings := range bound {
		for _, binding := range bindings {
			if port, err := strconv.Atoi(binding.HostPort); err == nil && inside.Proto() == "tcp" {
				ports[inside.Int()] = port
			}
		}
	}
	return ports
}

// dockersFolder is where a daemon has what is of one container, whichever its data root is.
var dockersFolder = regexp.MustCompile(`/containers/([0-9a-f]{64})/`)

// containerIn finds the id of a container in the mounts of a process in it: Docker mounts some files of the container's
// folder there. A host name would say less: it can be set, or be the name of somebody else's container. "" = in none.
func containerIn(mountinfo string) (id string) {
	for line := range strings.Lines(mountinfo) {
		// 514 496 254:0 /var/lib/docker/containers/20173e…/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		switch fields[4] {
		case "/etc/hostname", "/etc/hosts", "/etc/resolv.conf":
			if found := dockersFolder.FindStringSubmatch(fields[3]); found != nil {
				return found[1]
			}
		}
	}
	return ""
}
