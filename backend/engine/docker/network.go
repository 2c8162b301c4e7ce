package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"lab-workspace-manager/backend/workspace"
)

// ownerBits is the size of an owner's network: a /26 has room for 61 workspaces, and the default pool for 1,024 owners.
// Docker's own default pools end near 30 networks.
const ownerBits = 26

// ownerNetwork is the bridge of one owner. Owners cannot reach each other's workspaces.
type ownerNetwork struct {
	name    string
	publish bool // workspaces on it are reached through published ports
}

func (e *Engine) networkName(owner workspace.Owner) string {
	return fmt.Sprintf("%s-p-%s-network", e.namespaceNow(), owner)
}

// networkFor returns the owner's network and makes it the first time.
func (e *Engine) networkFor(ctx context.Context, owner workspace.Owner) (ownerNetwork, error) {
	e.mu.Lock()
	known, there := e.networks[owner]
	e.mu.Unlock()
	if there {
		return known, nil
	}
	// Docker makes two networks of one name when asked twice at once, and then refuses both as ambiguous.
	e.making.Lock()
	defer e.making.Unlock()
	name := e.networkName(owner)
	found, there, err := e.findNetwork(ctx, owner)
	if err == nil && !there {
		if err = e.makeNetwork(ctx, owner, name); err == nil {
			found, there, err = e.findNetwork(ctx, owner)
		}
	}
	if err != nil {
		return ownerNetwork{}, e.translate(err, "make the owner's network")
	}
	if !there {
		return ownerNetwork{}, workspace.Errorf(workspace.CodeConflict, "There is a network %s that is not ours.", name)
	}
	way := e.wayTo(found)
	if err := e.letIn(ctx, found, way); err != nil {
		return ownerNetwork{}, err
	}
	made := ownerNetwork{name: name, publish: way == byPort}
	if made.publish && e.remote {
		return ownerNetwork{}, &workspace.Error{
			Code:    workspace.CodeInvalid,
			Message: fmt.Sprintf("Docker runs on another machine (%s), and its workspaces cannot be reached from here.", e.endpoint),
			Hint:    `Run the manager on that machine, or route its container networks here and set docker.reach = "address".`,
		}
	}
	e.mu.Lock()
	e.networks[owner] = made
	e.mu.Unlock()
	return made, nil
}

// findNetwork finds the owner's network by its labels. Docker can have several of one name and then refuses the name as
// ambiguous; the one that is used stays, or the oldest, and the others go.
func (e *Engine) findNetwork(ctx context.Context, owner workspace.Owner) (found network.Inspect, there bool, err error) {
	listed, err := e.client.NetworkList(ctx, network.ListOptions{Filters: e.networksOf(owner)})
	if e.lab != nil { // other networks of the owner's project are the lab's business
		name := e.networkName(owner)
		listed = slices.DeleteFunc(listed, func(n network.Summary) bool { return n.Name != name })
	}
	switch {
	case err != nil || len(listed) == 0:
		return found, false, err
	case len(listed) == 1:
		return listed[0], true, nil
	}
	slices.SortFunc(listed, func(a, b network.Summary) int { return a.Created.Compare(b.Created) })
	var all []network.Inspect
	for _, one := range listed {
		full, err := e.client.NetworkInspect(ctx, one.ID, network.InspectOptions{})
		switch {
		case errdefs.IsNotFound(err):
		case err != nil:
			return found, false, err
		default:
			all = append(all, full)
		}
	}
	if len(all) == 0 {
		return found, false, nil
	}
	keep := max(0, slices.IndexFunc(all, func(n network.Inspect) bool { return len(n.Containers) > 0 }))
	for i, extra := range all {
		if i != keep {
			if err := e.client.NetworkRemove(ctx, extra.ID); err != nil && !isInUse(err) && !errdefs.IsNotFound(err) {
				return found, false, err
			}
		}
	}
	return all[keep], true, nil
}

// forgetNetwork makes the next use look for the network again: somebody removed it.
func (e *Engine) forgetNetwork(owner workspace.Owner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.networks, owner)
}

// join notes that a container is being made for the owner's network, until the returned function is called: Docker lists it
// only when it is there.
func (e *Engine) join(owner workspace.Owner) (made func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.joining[owner]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.joining[owner]--; e.joining[owner] == 0 {
			delete(e.joining, owner)
		}
	}
}

// leaveUnlessJoined forgets the owner's network, so that who comes later looks for it anew, unless a container is being made
// for it.
func (e *Engine) leaveUnlessJoined(owner workspace.Owner) (left bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.joining[owner] > 0 {
		return false
	}
	delete(e.networks, owner)
	return true
}

// releaseNetwork removes the owner's network when no container of the owner is left and none is being made.
func (e *Engine) releaseNetwork(ctx context.Context, owner workspace.Owner) error {
	e.making.Lock()
	defer e.making.Unlock()
	if !e.leaveUnlessJoined(owner) {
		return nil
	}
	left, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: e.ownedBy(owner)})
	if err != nil {
		return e.translate(err, "list the owner's containers")
	}
	if len(left) > 0 {
		return nil
	}
	found, there, err := e.findNetwork(ctx, owner)
	if err != nil || !there {
		return e.translate(err, "find the owner's network")
	}
	if e.lab != nil && found.Labels[labelInstance] != e.instance {
		return nil // the lab has made it, and removes none
	}
	empty, err := e.showOut(ctx, found)
	if err != nil || !empty {
		return err
	}
	err = e.client.NetworkRemove(ctx, found.ID)
	switch {
	case errdefs.IsNotFound(err):
		return nil // somebody has removed it
	case isInUse(err): // somebody has a container of their own in it
		return e.letIn(ctx, found, e.wayTo(found))
	}
	return e.translate(err, "remove the owner's network")
}

// networksOf filters for the networks of an owner. Beside a lab that may have made them they carry the lab's labels only.
func (e *Engine) networksOf(owner workspace.Owner) filters.Args {
	if e.lab == nil {
		return e.ownedBy(owner)
	}
	return filters.NewArgs(filters.Arg("label", labelNamespace+"="+e.namespaceNow()), filters.Arg("label", labelOwner+"="+string(owner)))
}

func (e *Engine) makeNetwork(ctx context.Context, owner workspace.Owner, name string) error {
	taken, err := e.takenSubnets(ctx)
	if err != nil {
		return err
	}
	for {
		subnet, ok := freeSubnet(e.pool, ownerBits, taken)
		if !ok {
			return workspace.Errorf(workspace.CodeConflict, "The address range %s for the networks of owners is used up. Give a larger docker.subnet_pool.", e.pool)
		}
		_, err := e.client.NetworkCreate(ctx, name, network.CreateOptions{
			Driver: "bridge", Labels: e.baseLabels(owner),
			IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet.String(), Gateway: subnet.Addr().Next().String()}}},
		})
		switch {
		case err == nil, errdefs.IsConflict(err): // two first workspaces of one owner: the other one made it
			return nil
		case !isOverlap(err):
			return err
		}
		taken = append(taken, subnet) // Docker knows of a use that we do not
	}
}

// isInUse reports that a network has containers in it.
func isInUse(err error) bool { return errdefs.IsPermissionDenied(err) || errdefs.IsConflict(err) }

func isNetworkMissing(err error) bool {
	return errdefs.IsNotFound(err) && containsAny(err.Error(), "network")
}

func isOverlap(err error) bool {
	return errdefs.IsPermissionDenied(err) || containsAny(err.Error(), "overlap", "Pool")
}

// takenSubnets lists what must not be used: networks of Docker and of this machine.
func (e *Engine) takenSubnets(ctx context.Context) ([]netip.Prefix, error) {
	networks, err := e.client.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs()})
	if err != nil {
		return nil, err
	}
	var taken []netip.Prefix
	for _, found := range networks {
		for _, config := range found.IPAM.Config {
			if prefix, err := netip.ParsePrefix(config.Subnet); err == nil {
				taken = append(taken, prefix)
			}
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return taken, nil //nolint:nilerr // Docker itself refuses an overlap with this machine
	}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			taken = append(taken, prefix.Masked())
		}
	}
	return taken, nil
}

// freeSubnet returns the first block of the size inside the pool that overlaps nothing that is taken.
func freeSubnet(pool netip.Prefix, bits int, taken []netip.Prefix) (netip.Prefix, bool) {
	for block := netip.PrefixFrom(pool.Masked().Addr(), max(bits, pool.Bits())); pool.Contains(block.Addr()); {
		clash := slices.IndexFunc(taken, block.Overlaps)
		if clash < 0 {
			return block, true
		}
		next, ok := after(block)
		if !ok {
			break
		}
		block = next
	}
	return netip.Prefix{}, false
}

// after returns the block of the same size behind a block.
func after(block netip.Prefix) (netip.Prefix, bool) {
	if !block.Addr().Is4() {
		return netip.Prefix{}, false
	}
	address := block.Addr().As4()
	number := uint32(address[0])<<24 | uint32(address[1])<<16 | uint32(address[2])<<8 | uint32(address[3])
	next := number + 1<<(32-block.Bits())
	if next < number {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(next >> 24), byte(next >> 16), byte(next >> 8), byte(next)}), block.Bits()), true
}
