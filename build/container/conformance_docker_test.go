//go:build linux

package container_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/conformance"
	"lab-workspace-manager/backend/contaxy/contaxytest"
)

const (
	workspaceImage = "lab-workspace-minimal:latest"
	vscodeImage    = "lab-workspace-vscode:latest"
)

// The extension as the lab's users reach it: through the lab's own proxy, with the lab's own tokens.
func TestConformance_InLab(t *testing.T) {
	needsImage(t)
	lab := contaxytest.Start(t, contaxytest.Options{})
	output, err := register(lab, lab.Admin, "--param", "WORKSPACE_IMAGE_DEFAULT="+workspaceImage)
	require.NoError(t, err, output)
	id := lab.Namespace + "-p-ctxy-global-s-workspaces"
	access := "/projects/ctxy-global/services/" + id + "/access/8080/api"
	lab.WaitUntilReachable(t, lab.Ada.Token, "ctxy-global", id, "/api/healthy")
	address := inspect(t, id, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
	(&conformance.Place{
		InLab: true, API: lab.URL + access, Direct: "http://" + address + ":8080/api",
		Tokens: map[string]string{
			"ada": lab.Ada.Token, "bob": lab.Bob.Token, "admin": lab.Admin.Token, "nobody": "", "bogus": strings.Repeat("0123456789", 4),
		},
		Known: map[string]string{"ada": lab.Ada.ID, "bob": lab.Bob.ID, "image": workspaceImage},
	}).Try(t)
	var services []struct{ ID string }
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, "/api/projects/"+lab.Ada.ID+"/services", nil), http.StatusOK, &services)
	require.Empty(t, services, "nothing is left in the lab")
}

// A lab below a path of its host, as behind a front of a company: what a user does first works there, too.
func TestWorkspace_InALabBelowAPath(t *testing.T) {
	needsImage(t)
	lab := contaxytest.Start(t, contaxytest.Options{BaseURL: "/lab"})
	output, err := register(lab, lab.Admin, "--param", "WORKSPACE_IMAGE_DEFAULT="+workspaceImage)
	require.NoError(t, err, output)
	id := lab.Namespace + "-p-ctxy-global-s-workspaces"
	lab.WaitUntilReachable(t, lab.Ada.Token, "ctxy-global", id, "/api/healthy")
	workspaces := "/projects/ctxy-global/services/" + id + "/access/8080/api/users/" + lab.Ada.ID + "/workspace"
	var made struct {
		ID, Status string
		AccessURL  *string `json:"access_url"`
	}
	contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodPost, workspaces, map[string]any{"display_name": "thesis"}), http.StatusOK, &made)
	require.Eventually(t, func() bool {
		contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, workspaces+"/"+made.ID, nil), http.StatusOK, &made)
		return made.Status == "running"
	}, 2*time.Minute, 200*time.Millisecond)
	require.Equal(t, "/lab"+contaxytest.AccessPath(lab.Ada.ID, made.ID, "8080b"), *made.AccessURL)
	status, text := get(t, lab.Browser(t, lab.Ada), strings.TrimSuffix(lab.URL, "/lab")+*made.AccessURL+"/api")
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, "version", "it is JupyterLab that answers")
}
