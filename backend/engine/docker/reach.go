package docker

import (
	"context"
	"net"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"lab-workspace-manager/backend/workspace"
)

// way is how the manager reaches the workspaces in a network.
type way int

const (
	byAddress way = iota // its bridge is an interface of this machine
	byJoining            // likewise, after our own container has joined it
	byPort               // through a port of 127.0.0.1: the bridge is an interface of a virtual or another machine
)

// wayOf decides how workspaces are reached: as was said, or by what there is.
func wayOf(reach string, self ownContainer, bridgeIsHere bool) way {
	switch {
	case reach == ReachPort:
		return byPort
	case self.joins():
		return byJoining
	case reach == ReachAddress || bridgeIsHere:
		return byAddress
	}
	return byPort
}

func (e *Engine) wayTo(found network.Inspect) way {
	return wayOf(e.reach, e.selfNow(), bridgeIsHere(found))
}

func (e *Engine) selfNow() ownContainer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.self
}

// bridgeIsHere reports whether the network's gateway is an address of this machine.
func bridgeIsHere(found network.Inspect) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, config := range found.IPAM.Config {
		if slices.ContainsFunc(addresses, func(address net.Addr) bool {
			own, ok := address.(*net.IPNet)
			return ok && own.IP.String() == config.Gateway
		}) {
			return true
		}
	}
	return false
}

// guest is a container that is in the network of an owner, and no workspace.
type guest struct {
	id    string
	alias string // by which it is known there besides its name; "" = by none
}

// guests are who has to be in every owner's network: our own container where the manager reaches workspaces by joining, and
// the lab's, which takes visitors to them.
func (e *Engine) guests(ctx context.Context, way way) ([]guest, error) {
	var guests []guest
	if self := e.selfNow(); way == byJoining {
		guests = append(guests, guest{id: self.id})
	}
	if e.lab == nil {
		return guests, nil
	}
	id, err := e.findLab(ctx)
	if err != nil {
		return nil, err
	}
	lab := guest{id: id}
	if host := e.lab.Host(); net.ParseIP(host) == nil {
		lab.alias = host
	}
	return append(guests, lab), nil
}

// letIn connects the guests with an owner's network.
func (e *Engine) letIn(ctx context.Context, found network.Inspect, way way) error {
	if way == byPort && e.selfNow().joins() {
		return workspace.Errorf(workspace.CodeInvalid, `docker.reach is "port", and 127.0.0.1 of the machine cannot be reached from the container that this program runs in. Set it to "auto".`)
	}
	guests, err := e.guests(ctx, way)
	if err != nil {
		return err
	}
	for _, one := range guests {
		// Not as the way out: connections of the container to elsewhere would end.
		settings := &network.EndpointSettings{GwPriority: -1}
		if one.alias != "" {
			settings.Aliases = []string{one.alias}
		}
		there, err := e.client.ContainerInspect(ctx, one.id)
		if err != nil {
			return e.translate(err, "look at a container that shall join the owner's network")
		}
		if isIn(there, found.ID) {
			continue
		}
		if err := e.client.NetworkConnect(ctx, found.ID, one.id, settings); err != nil && !isThereAlready(err) {
			return e.translate(err, "connect a container with the owner's network")
		}
	}
	return nil
}

func isIn(there container.InspectResponse, networkID string) bool {
	if there.NetworkSettings == nil {
		return false
	}
	for _, joined := range there.NetworkSettings.Networks {
		if joined != nil && joined.NetworkID == networkID {
			return true
		}
	}
	return false
}

// isThereAlready reports that somebody else was quicker to connect a container.
func isThereAlready(err error) bool {
	return errdefs.IsPermissionDenied(err) && containsAny(err.Error(), "already exists in network")
}

// showOut disconnects the guests from an owner's network, unless there is anybody else in it. One that is stopped could not
// be started again without the network, so the networks of containers are asked for, and not the containers of the network.
func (e *Engine) showOut(ctx context.Context, found network.Inspect) (empty bool, err error) {
	guests, err := e.guests(ctx, e.wayTo(found))
	if err != nil {
		return false, err
	}
	if len(guests) == 0 {
		return true, nil // Docker removes no network with others in it
	}
	there, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("network", found.ID))})
	if err != nil {
		return false, e.translate(err, "list who is in the owner's network")
	}
	for _, one := range there {
		if !slices.ContainsFunc(guests, func(g guest) bool { return g.id == one.ID }) {
			return false, nil
		}
	}
	for _, one := range there {
		if err := e.client.NetworkDisconnect(ctx, found.ID, one.ID, true); err != nil && !errdefs.IsNotFound(err) {
			return false, e.translate(err, "disconnect a container from the owner's network")
		}
	}
	return true, nil
}
