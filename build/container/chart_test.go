package container_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const chart = "helm/lab-workspace-manager"

// tool is the path of a program that `make test` builds before.
func tool(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv("LAB_TEST_TOOLS")
	if folder == "" {
		t.Skip("needs helm and kubectl-validate: set LAB_TEST_TOOLS to the folder that they are in")
	}
	return filepath.Join(folder, name)
}

// render has helm make manifests of the chart; settings are as after --set.
func render(t *testing.T, settings ...string) (manifests string, err error) {
	t.Helper()
	args := []string{"template", "mine", chart, "--namespace", "ml", "--kube-version", "1.30.0"}
	for _, setting := range settings {
		args = append(args, "--set-string", setting)
	}
	var out, problems bytes.Buffer
	command := exec.Command(tool(t, "helm"), args...)
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return "", errors.New(problems.String())
	}
	return out.String(), nil
}

const withLabAt = "lab.apiEndpoint=http://ml-machine-learning-lab-backend:8080/api"

// validate checks manifests against the schemas of Kubernetes itself.
func validate(t *testing.T, version, manifests string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	require.NoError(t, os.WriteFile(file, []byte(manifests), 0o600))
	if out, err := exec.Command(tool(t, "kubectl-validate"), "--version", version, file).CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	return nil
}

// byKind decodes manifests, of which there is one of each kind.
func byKind(t *testing.T, manifests string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for decoder := yaml.NewDecoder(strings.NewReader(manifests)); ; {
		var one map[string]any
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		kind := one["kind"].(string)
		require.NotContains(t, found, kind)
		found[kind] = one
	}
}

// at walks into decoded YAML, by keys and numbers.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for _, part := range path {
		switch part := part.(type) {
		case string:
			in, isMap := value.(map[string]any)
			require.True(t, isMap, "%v in %v", part, path)
			value = in[part]
		case int:
			in, isList := value.([]any)
			require.True(t, isList && part < len(in), "%v in %v", part, path)
			value = in[part]
		}
	}
	return value
}

func TestChart_IsValidKubernetes(t *testing.T) {
	manifests, err := render(t, withLabAt, `config=[quota.user]`+"\n"+`running = 3`, "lab.baseUrl=/lab")
	require.NoError(t, err)
	for _, version := range []string{"1.27", "1.30"} {
		require.NoError(t, validate(t, version, manifests))
	}
	require.Len(t, byKind(t, manifests), 3)
	require.Error(t, validate(t, "1.30", strings.Replace(manifests, "runAsNonRoot", "runAsNonroot", 1)), "a mistake is found")
	out, err := exec.Command(tool(t, "helm"), "lint", "--strict", chart, "--set", withLabAt).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestChart_IsFoundByTheLab(t *testing.T) {
	manifests, err := render(t, withLabAt)
	require.NoError(t, err)
	found := byKind(t, manifests)
	require.Len(t, found, 2)
	deployment, service := found["Deployment"], found["Service"]

	const name = "lab-p-ctxy-global-s-workspace-manager"
	require.Equal(t, name, at(t, deployment, "metadata", "name"))
	require.Equal(t, name, at(t, service, "metadata", "name"), "the lab's proxy asks for this name")
	require.Equal(t, 8080, at(t, service, "spec", "ports", 0, "port"))
	pod := at(t, deployment, "spec", "template")
	require.Equal(t, at(t, deployment, "spec", "selector", "matchLabels"), at(t, service, "spec", "selector"))
	for label, value := range at(t, service, "spec", "selector").(map[string]any) {
		require.Equal(t, value, at(t, pod, "metadata", "labels", label))
	}
	for label, value := range map[string]string{"ctxy.namespace": "lab", "ctxy.projectName": "ctxy-global", "ctxy.deploymentType": "extension"} {
		require.Equal(t, value, at(t, deployment, "metadata", "labels", label))
		require.Equal(t, value, at(t, pod, "metadata", "labels", label), "by which the lab's network policy lets its backend in")
	}
	for annotation, value := range map[string]string{
		"ctxy.displayName": "Workspaces", "ctxy.icon": "code", "ctxy.endpoints": "8080", "display_priority": "95",
		"ctxy.ui_extension_endpoint": "8080/app#/users/{env.userId}/workspace", "ctxy.api_extension_endpoint": "8080/api",
	} {
		require.Equal(t, value, at(t, deployment, "metadata", "annotations", annotation))
	}

	manager := at(t, pod, "spec", "containers", 0)
	environment := map[string]any{}
	for _, variable := range at(t, manager, "env").([]any) {
		environment[at(t, variable, "name").(string)] = at(t, variable, "value")
	}
	require.Equal(t, map[string]any{
		"CONTAXY_API_ENDPOINT": "http://ml-machine-learning-lab-backend:8080/api", "CONTAXY_BASE_URL": "", "CONTAXY_DEPLOYMENT_NAME": name,
		"WORKSPACE_MAX_MEMORY_MB": "8000", "WORKSPACE_MAX_CPUS": "4",
	}, environment)

	elsewhere, err := render(t, withLabAt, "lab.namespace=lab2", "lab.baseUrl=/lab", "env.WORKSPACE_MAX_CPUS=2")
	require.NoError(t, err)
	require.Equal(t, "lab2-p-ctxy-global-s-workspace-manager", at(t, byKind(t, elsewhere)["Service"], "metadata", "name"))
}

// The lab reads all Deployments to list its extensions, and lists none where it cannot read one: numbers without their units,
// and of the memory that is requested at least four.
func TestChart_LetsTheLabReadItsResources(t *testing.T) {
	for memory, readable := range map[string]bool{
		"64Mi": true, "4Mi": true, "1000Mi": true, "1500M": true, "2049Mi": true,
		"1Gi": false, "1024Mi": false, "2048Mi": false, "1000M": false, "3000M": false, "3Mi": false, "64": false, "0.5Gi": false, "1e9": false, "64 Mi": false,
	} {
		_, err := render(t, withLabAt, "resources.requests.memory="+memory)
		if readable {
			require.NoError(t, err, memory)
			continue
		}
		require.ErrorContains(t, err, "resources.requests.memory is", memory)
	}
	manifests, err := render(t, withLabAt)
	require.NoError(t, err)
	for _, part := range []string{"requests", "limits"} {
		for _, resource := range []string{"cpu", "memory"} {
			require.Regexp(t, "^[0-9]+[a-zA-Z]*$", at(t, byKind(t, manifests)["Deployment"], "spec", "template", "spec", "containers", 0, "resources", part, resource))
		}
	}
}

func TestChart_GivesAwayNothing(t *testing.T) {
	manifests, err := render(t, withLabAt, "config=log_level = \"debug\"")
	require.NoError(t, err)
	found := byKind(t, manifests)
	pod := at(t, found["Deployment"], "spec", "template", "spec")
	manager := at(t, pod, "containers", 0)
	require.Equal(t, false, at(t, pod, "automountServiceAccountToken"))
	require.Equal(t, true, at(t, pod, "securityContext", "runAsNonRoot"))
	require.Equal(t, "RuntimeDefault", at(t, pod, "securityContext", "seccompProfile", "type"))
	require.Equal(t, false, at(t, manager, "securityContext", "allowPrivilegeEscalation"))
	require.Equal(t, true, at(t, manager, "securityContext", "readOnlyRootFilesystem"))
	require.Equal(t, []any{"ALL"}, at(t, manager, "securityContext", "capabilities", "drop"))
	require.Equal(t, "/healthy", at(t, manager, "readinessProbe", "httpGet", "path"))
	require.Equal(t, "/healthy", at(t, manager, "livenessProbe", "httpGet", "path"))
	require.Equal(t, "/tmp", at(t, manager, "volumeMounts", 0, "mountPath"))
	require.Contains(t, at(t, pod, "volumes", 0), "emptyDir")
	require.Equal(t, "/etc/lab-workspace-manager", at(t, manager, "volumeMounts", 1, "mountPath"))
	require.Equal(t, "log_level = \"debug\"\n", at(t, found["ConfigMap"], "data", "config.toml"))
	require.NotContains(t, manifests, "hostPath")
}

func TestChart_SaysWhatIsMissing(t *testing.T) {
	_, err := render(t)
	require.ErrorContains(t, err, "lab.apiEndpoint must be set to the address of the lab's API in the cluster")
}
