package server_test

import (
	"fmt"
	"strings"
	"testing"

	"lab-workspace-manager/backend/conformance"
)

func TestConformance_Standalone(t *testing.T) {
	p := newProgram(t)
	p.config = `
[limits]
cpus = { default = 1, max = 4 }
memory = { default = 1000, max = 8000 }
idle_timeout = { default = 0, choices = [] }

[[image]]
name = "JupyterLab"
image = "` + workspaceImage + `"
profile = "workspace-minimal"
`
	p.start()
	address := fmt.Sprintf("http://127.0.0.1:%d/api", p.port)
	(&conformance.Place{
		API: address, Direct: address,
		Tokens: map[string]string{"ada": p.token(), "nobody": "", "bogus": strings.Repeat("0123456789", 4)},
		Known:  map[string]string{"ada": p.owner, "image": workspaceImage},
	}).Try(t)
}
