//go:build linux

package container_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy/contaxytest"
)

const globalExtensions = "/api/projects/ctxy-global/extensions"

// extension is one as the lab tells of it.
type extension struct {
	ID          string
	DisplayName string `json:"display_name"`
	Icon        string
	Status      string
	UI          string `json:"ui_extension_endpoint"`
	API         string `json:"api_extension_endpoint"`
	Parameters  map[string]string
	Metadata    map[string]string
}

func extensions(t *testing.T, lab *contaxytest.Lab, user contaxytest.User) (listed []extension) {
	t.Helper()
	contaxytest.Read(t, lab.Do(t, user.Token, http.MethodGet, globalExtensions, nil), http.StatusOK, &listed)
	return listed
}

// register runs the command of the image itself, as an administrator with nothing but Docker does.
func register(lab *contaxytest.Lab, user contaxytest.User, args ...string) (output string, err error) {
	command := exec.Command("docker", append([]string{"run", "--rm", "--network", "host", "--env", "LAB_TOKEN", image, "register", "--lab", lab.URL}, args...)...)
	command.Env = append(os.Environ(), "LAB_TOKEN="+user.Token)
	out, err := command.CombinedOutput()
	return string(out), err
}

// requireInstalled checks what a user of the lab sees of an extension that was installed, in whichever way.
func requireInstalled(t *testing.T, lab *contaxytest.Lab, base, id string) {
	t.Helper()
	listed := extensions(t, lab, lab.Ada) // which also makes the lab know what it finds by labels
	require.Len(t, listed, 1)
	one, access := listed[0], base+"/projects/ctxy-global/services/"+id+"/access/"
	require.Equal(t, id, one.ID)
	require.Equal(t, "Workspaces", one.DisplayName)
	require.Equal(t, "code", one.Icon)
	require.Equal(t, "95", one.Metadata["display_priority"])
	require.Equal(t, access+"8080/app#/users/"+lab.Ada.ID+"/workspace", one.UI)
	require.Equal(t, access+"8080/api", one.API)
	require.Equal(t, id, one.Parameters["CONTAXY_DEPLOYMENT_NAME"], "the lab's pages have the address of the page from it")

	browser := lab.Browser(t, lab.Ada)
	origin := strings.TrimSuffix(lab.URL, base)
	require.Eventually(t, func() bool {
		status, _ := get(t, browser, origin+access+"8080/api/healthy")
		return status == http.StatusOK
	}, time.Minute, 50*time.Millisecond, "it does not answer through the lab")

	// The page of the menu, and everything that it names, by addresses that hold wherever the lab has put it.
	page := origin + access + "8080/app"
	response, err := browser.Get(page)
	require.NoError(t, err)
	_ = response.Body.Close()
	require.Equal(t, http.StatusTemporaryRedirect, response.StatusCode)
	require.Equal(t, "app/", response.Header.Get("Location"))
	status, html := get(t, browser, page+"/")
	require.Equal(t, http.StatusOK, status)
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		relative, err := url.Parse(name[1])
		require.NoError(t, err)
		require.False(t, relative.IsAbs() || strings.HasPrefix(name[1], "/"), "%s is not relative", name[1])
		status, _ := get(t, browser, page+"/"+strings.TrimPrefix(name[1], "./"))
		require.Equal(t, http.StatusOK, status, name[1])
	}

	// The lab says who they are: their own workspaces, and nobody else's.
	workspaces := origin + access + "8080/api/users/"
	status, text := get(t, browser, workspaces+lab.Ada.ID+"/workspace")
	require.Equal(t, http.StatusOK, status, text)
	require.JSONEq(t, "[]", text)
	status, text = get(t, browser, workspaces+lab.Bob.ID+"/workspace")
	require.Equal(t, http.StatusForbidden, status, text)
}

func get(t *testing.T, client *http.Client, address string) (status int, text string) {
	t.Helper()
	response, err := client.Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// labs are one at the root of its host, and one below a path.
func labs(t *testing.T, test func(t *testing.T, lab *contaxytest.Lab, base string)) {
	needsImage(t)
	for name, base := range map[string]string{"at the root": "", "below a path": "/lab"} {
		t.Run(name, func(t *testing.T) { test(t, contaxytest.Start(t, contaxytest.Options{BaseURL: base}), base) })
	}
}

func TestInstall_ThroughTheAPI(t *testing.T) {
	labs(t, func(t *testing.T, lab *contaxytest.Lab, base string) {
		output, err := register(lab, lab.Admin, "--param", "WORKSPACE_MAX_MEMORY_MB=2000", "--param", "WORKSPACE_CPUS_OPTIONS=1,2")
		require.NoError(t, err, output)
		id := lab.Namespace + "-p-ctxy-global-s-workspaces"
		require.Contains(t, output, `"ui_extension_endpoint": "8080/app#/users/{env.userId}/workspace"`, "it prints what it sends")
		require.Contains(t, output, lab.URL+"/projects/ctxy-global/services/"+id+"/access/8080/app#/users/"+lab.Admin.ID+"/workspace", "and where it is then")
		require.NotContains(t, output, lab.Admin.Token)
		requireInstalled(t, lab, base, id)

		// It lives within what the lab gives what it was told nothing about.
		require.Equal(t, "104857600 1000000000 false", inspect(t, id, "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.State.OOMKilled}}"))
		require.Less(t, memoryOf(t, id), 30.0)

		var config struct {
			MemoryMax   int   `json:"memory_max"`
			CPUsOptions []int `json:"cpus_options"`
		}
		contaxytest.Read(t, lab.Do(t, lab.Ada.Token, http.MethodGet, "/projects/ctxy-global/services/"+id+"/access/8080/api/config", nil), http.StatusOK, &config)
		require.Equal(t, 2000, config.MemoryMax)
		require.Equal(t, []int{1, 2}, config.CPUsOptions)
	})
}

func TestRegister_TwiceChangesNothing(t *testing.T) {
	needsImage(t)
	lab := contaxytest.Start(t, contaxytest.Options{})
	output, err := register(lab, lab.Admin, "--dry-run")
	require.NoError(t, err, output)
	require.Contains(t, output, "It would install it.")
	require.Empty(t, extensions(t, lab, lab.Admin))

	output, err = register(lab, lab.Admin)
	require.NoError(t, err, output)
	id := lab.Namespace + "-p-ctxy-global-s-workspaces"
	before := inspect(t, id, "{{.Id}}")
	output, err = register(lab, lab.Admin)
	require.NoError(t, err, output)
	require.Contains(t, output, "Workspaces is there already, as "+id+".")
	require.Equal(t, before, inspect(t, id, "{{.Id}}"))

	// What runs cannot be changed; the way that the command names leads there.
	output, err = register(lab, lab.Admin, "--param", "WORKSPACE_MAX_CPUS=2", "--memory", "200")
	require.Error(t, err)
	require.Contains(t, output, "the memory is 100 and should be 200; WORKSPACE_MAX_CPUS is not set and should be 2")
	require.Contains(t, output, "docker rm -f "+id)
	docker(t, "rm", "--force", id)
	output, err = register(lab, lab.Admin, "--param", "WORKSPACE_MAX_CPUS=2", "--memory", "200")
	require.NoError(t, err, output)
	require.Equal(t, "209715200", inspect(t, id, "{{.HostConfig.Memory}}"))
	require.Contains(t, inspect(t, id, "{{.Config.Env}}"), "WORKSPACE_MAX_CPUS=2")
	require.Len(t, extensions(t, lab, lab.Admin), 1)

	// And without it again: what was set and is no longer goes.
	docker(t, "rm", "--force", id)
	output, err = register(lab, lab.Admin)
	require.NoError(t, err, output)
	require.NotContains(t, inspect(t, id, "{{.Config.Env}}"), "WORKSPACE_MAX_CPUS")
}

func TestRegister_SaysWhatToDoWhenTheLabRefuses(t *testing.T) {
	needsImage(t)
	lab := contaxytest.Start(t, contaxytest.Options{})
	refused := func(user contaxytest.User, args ...string) string {
		t.Helper()
		output, err := register(lab, user, args...)
		require.Error(t, err, output)
		_, sentence, found := strings.Cut(output, "lab-workspace-manager: ")
		require.True(t, found, output)
		return strings.TrimSpace(sentence)
	}
	require.Equal(t, "Only an administrator of the lab can install what all its users see, and this user is none. Log in as one, or ask one to run this command.", refused(lab.Ada))
	require.Equal(t, "ML Lab does not take this token. Get another one, or leave it out and log in.", refused(contaxytest.User{Token: strings.Repeat("0", 40)}))
	require.Contains(t, refused(contaxytest.User{}), "Set LAB_TOKEN to a token of an administrator")
	require.Contains(t, refused(lab.Admin, "--param", "WORKSPACE_CPUS_MAX=many"), `WORKSPACE_CPUS_MAX: limits.cpus.max is "many"`)

	// An image that is not there leaves a record without container; the same command mends it.
	require.Contains(t, refused(lab.Admin, "--image", "registry.invalid/not-there:1"), "could not start a container of registry.invalid/not-there:1")
	listed := extensions(t, lab, lab.Admin)
	require.Len(t, listed, 1)
	require.Equal(t, "stopped", listed[0].Status)
	output, err := register(lab, lab.Admin)
	require.NoError(t, err, output)
	require.Equal(t, "running", extensions(t, lab, lab.Admin)[0].Status)

	contaxytest.Read(t, lab.Do(t, lab.Admin.Token, http.MethodPost, "/api/system/allowed-images", map[string]any{"image_name": "only-this", "image_tags": []string{"*"}}), http.StatusOK, nil)
	t.Cleanup(func() {
		lab.Do(t, lab.Admin.Token, http.MethodDelete, "/api/system/allowed-images?image_name=only-this", nil)
	})
	sentence := refused(lab.Admin, "--name", "Another one")
	require.Contains(t, sentence, "is not on the list of allowed images")
	require.Contains(t, sentence, `/api/system/allowed-images {"image_name": "lab-workspace-manager", "image_tags": ["latest"]}`)
}

// compose runs Debian's docker-compose with the file as it is.
func compose(t *testing.T, lab *contaxytest.Lab, base string, args ...string) {
	t.Helper()
	runCompose(t, lab, base, []string{"--file", "docker-compose.yml"}, nil, args...)
}

func runCompose(t *testing.T, lab *contaxytest.Lab, base string, files, variables []string, args ...string) {
	t.Helper()
	command := exec.Command("docker-compose", slices.Concat([]string{"--project-name", lab.Network + "-manager"}, files, args)...)
	command.Env = append(append(os.Environ(), variables...), "LAB_MANAGER_IMAGE="+image, "LAB_NAMESPACE="+lab.Namespace, "LAB_NETWORK="+lab.Network, "CONTAXY_API_ENDPOINT="+lab.Endpoint, "CONTAXY_BASE_URL="+base)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "docker-compose %v: %s", args, out)
}

func TestInstall_ByCompose(t *testing.T) {
	labs(t, func(t *testing.T, lab *contaxytest.Lab, base string) {
		id := lab.Namespace + "-p-ctxy-global-s-workspace-manager"
		t.Cleanup(func() { compose(t, lab, base, "down", "--volumes") })
		compose(t, lab, base, "up", "--detach")
		requireInstalled(t, lab, base, id)
		require.NotContains(t, extensions(t, lab, lab.Ada)[0].Parameters, "CONTAXY_API_TOKEN")
		require.Equal(t, "true [ALL] [no-new-privileges:true] unless-stopped", inspect(t, id, "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.RestartPolicy.Name}}"))

		output, err := register(lab, lab.Admin)
		require.NoError(t, err, output)
		require.Contains(t, output, "Workspaces is there already, as "+id+".", "one that was found by its labels needs no second")
		require.Len(t, extensions(t, lab, lab.Ada), 1)
	})
}
