//go:build linux

package contaxytest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Image is the image of the lab itself. With the argument "echo" it is the simplest thing that a lab can run: a web server
// on port 8080 that answers what it was asked (see build/lab/echo.py).
const Image = "lab-test-mllab:latest"

// Echo is what to send to the lab for a service, or an extension, that runs the echo of Image.
func Echo(displayName string) map[string]any {
	return map[string]any{
		"container_image": Image, "args": []string{"echo"}, "display_name": displayName, "endpoints": []string{"8080"},
	}
}

// Echoed is what the echo was asked.
type Echoed struct {
	Method      string
	Target      string      // path and query
	Headers     [][2]string // as they came
	Body        string
	Environment map[string]string // of its container
}

// Header returns all values of a header, by its name as it came.
func (e Echoed) Header(name string) []string {
	var values []string
	for _, header := range e.Headers {
		if header[0] == name {
			values = append(values, header[1])
		}
	}
	return values
}

// AccessPath is where the front serves a port of a service: "8080", or "8080b" for one that is told its whole path.
func AccessPath(project, service, port string) string {
	return "/projects/" + project + "/services/" + service + "/access/" + port
}

// WaitUntilReachable waits until a service answers at a path of its own, such as "/healthy", through the front.
func (l *Lab) WaitUntilReachable(t testing.TB, token, project, service, path string) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := l.Try(t, token, http.MethodGet, AccessPath(project, service, "8080")+path, nil)
		return err == nil && answer.StatusCode == http.StatusOK
	}, answersWithin, pause, "the service %s does not answer", service)
}
