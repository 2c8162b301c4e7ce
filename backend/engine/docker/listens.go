package docker

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// listener is a port on which something in a container waits for connections.
type listener struct {
	port   int
	inside bool // only programs in the container itself reach it
}

// dockersNames is where Docker's own name server listens in every container.
var dockersNames = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// whyNoAnswer looks, when a deadline has passed, for what keeps a workspace from answering: one sentence, "" when nobody
// knows. status is what was answered last at the place that was asked, 0 = nothing.
func (e *Engine) whyNoAnswer(ctx context.Context, d workspace.Deployment, status int) string {
	if status != 0 {
		return fmt.Sprintf("Something answers there, but not as it should: %d %s.", status, http.StatusText(status))
	}
	if e.remote {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	found, err := e.client.ContainerInspect(ctx, string(d.ID))
	if err != nil || found.ContainerJSONBase == nil || found.State == nil || !found.State.Running {
		return ""
	}
	listeners, seen := listenersOf(procFolder, found.ID, found.State.Pid)
	if !seen {
		return ""
	}
	return whereItListens(d.Port, listeners)
}

// whereItListens says in a sentence where a program listens that was expected on a port; "" if it is there.
func whereItListens(port int, listeners []listener) string {
	var reached, inside []int
	for _, one := range listeners {
		if one.inside {
			inside = append(inside, one.port)
		} else {
			reached = append(reached, one.port)
		}
	}
	const itself = "only for programs in its own container (127.0.0.1)"
	switch {
	case slices.Contains(reached, port):
		return ""
	case slices.Contains(inside, port):
		return fmt.Sprintf("It listens on port %d, but %s: tell it to listen on 0.0.0.0.", port, itself)
	case len(reached) > 0:
		return fmt.Sprintf("It listens on %s instead: change its port in the settings.", portsTitle(reached))
	case len(inside) > 0:
		return fmt.Sprintf("It listens on %s instead, and %s.", portsTitle(inside), itself)
	}
	return "Nothing in it listens on any port."
}

// portsTitle names a few ports: "port 80", "ports 80, 443".
func portsTitle(ports []int) string {
	slices.Sort(ports)
	ports = slices.Compact(ports)
	if len(ports) == 1 {
		return fmt.Sprintf("port %d", ports[0])
	}
	var names []string
	for _, port := range ports[:min(len(ports), 5)] {
		names = append(names, strconv.Itoa(port))
	}
	return "ports " + strings.Join(names, ", ")
}

// listenersOf reads from the kernel on which ports a container listens, by the process that it started with; seen is false
// where that cannot be read from here.
func listenersOf(proc, handle string, pid int) (listeners []listener, seen bool) {
	if _, err := findMeter(proc, pid, handle); err != nil {
		return nil, false // somebody else may have this number here
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(path.Join(proc, strconv.Itoa(pid), "net", table))
		if err != nil {
			continue // a kernel without IPv6
		}
		seen = true
		listeners = append(listeners, parseListeners(string(text))...)
	}
	return listeners, seen
}

// parseListeners reads a table of sockets: "0: 0100007F:1F40 00000000:0000 0A …", where 0A says that it listens.
func parseListeners(table string) []listener {
	var listeners []listener
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "0A" {
			continue
		}
		address, number, _ := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(number, 16, 16)
		where, ok := parseKernelAddress(address)
		if err != nil || !ok || where == dockersNames {
			continue
		}
		listeners = append(listeners, listener{port: int(port), inside: where.IsLoopback()})
	}
	return listeners
}

// parseKernelAddress reads an address as the kernel prints it: words of four bytes in this machine's order.
func parseKernelAddress(text string) (netip.Addr, bool) {
	words, err := hex.DecodeString(text)
	if err != nil || len(words)%4 != 0 {
		return netip.Addr{}, false
	}
	for at := 0; at < len(words); at += 4 {
		binary.NativeEndian.PutUint32(words[at:], binary.BigEndian.Uint32(words[at:]))
	}
	address, ok := netip.AddrFromSlice(words)
	return address.Unmap(), ok
}
