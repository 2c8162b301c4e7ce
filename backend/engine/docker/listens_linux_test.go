package docker

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// kernelAddress prints an address as the kernel of this machine does.
func kernelAddress(bytes ...byte) string {
	text := ""
	for at := 0; at < len(bytes); at += 4 {
		text += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(bytes[at:]))
	}
	return text
}

func TestListenersOf_ReadsTheKernelsTables(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	row := func(address string, port int, state string) string {
		return fmt.Sprintf("   0: %s:%04X 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 1 1\n", address, port, state)
	}
	handle := "0123456789abcdef"
	files := map[string]string{
		"proc/7/cgroup":       "0::/docker/" + handle + "\n",
		"proc/self/mountinfo": "30 25 0:26 / ROOT/cg rw - cgroup2 cgroup2 rw\n",
		"proc/7/net/tcp": head + row(kernelAddress(0, 0, 0, 0), 8888, "0A") + row(kernelAddress(127, 0, 0, 1), 8000, "0A") +
			row(kernelAddress(127, 0, 0, 11), 40001, "0A") + // Docker's name server
			row(kernelAddress(10, 0, 0, 2), 9999, "01"), // a connection
		"proc/7/net/tcp6": head + row(kernelAddress(make([]byte, 16)...), 443, "0A") +
			row(kernelAddress(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1), 81, "0A") + "nonsense\n0: x:y z 0A\n",
	}
	_, proc := fakeKernel(t, files)
	found, seen := listenersOf(proc, handle, 7)
	require.True(t, seen)
	require.Equal(t, []listener{{8888, false}, {8000, true}, {443, false}, {81, true}}, found)
	_, seen = listenersOf(proc, "somebody else", 7)
	require.False(t, seen)
}

func TestWhereItListens(t *testing.T) {
	for want, listeners := range map[string][]listener{
		"": {{8000, true}, {8000, false}},
		"It listens on port 8000, but only for programs in its own container (127.0.0.1): tell it to listen on 0.0.0.0.": {{8000, true}, {9000, false}},
		"It listens on port 5555 instead: change its port in the settings.":                                              {{5555, false}, {5555, false}, {1, true}},
		"It listens on ports 22, 5555 instead: change its port in the settings.":                                         {{5555, false}, {22, false}},
		"It listens on port 5555 instead, and only for programs in its own container (127.0.0.1).":                       {{5555, true}},
		"Nothing in it listens on any port.":                                                                             nil,
	} {
		require.Equal(t, want, whereItListens(8000, listeners))
	}
}
