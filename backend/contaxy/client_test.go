package contaxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
)

// The front of a lab that is loaded anew closes connections that are in use.
func TestVerify_IsAskedAgainWhereTheConnectionEndsUnderIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var connections, asked atomic.Int32
	read := func(from *bufio.Reader) bool {
		request, err := http.ReadRequest(from)
		if err != nil {
			return false
		}
		asked.Add(1)
		_, _ = io.Copy(io.Discard, request.Body)
		return true
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			from := bufio.NewReader(connection)
			if read(from) {
				const answer = `{"authorized_subject": "users/ada0"}`
				_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n"+answer)
				read(from) // and nobody is told
			}
			_ = connection.Close()
		}
	}()
	lab, err := contaxy.New("http://" + listener.Addr().String() + "/api")
	require.NoError(t, err)
	t.Cleanup(lab.Close)
	for range 2 {
		user, err := lab.Verify(t.Context(), "token", "")
		require.NoError(t, err)
		require.Equal(t, "ada0", user)
	}
	require.Equal(t, int32(2), connections.Load())
	require.Equal(t, int32(3), asked.Load(), "once in vain")
}
