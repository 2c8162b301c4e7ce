package profile

import (
	"slices"
	"strings"
)

// recogniseOurs tells our own images apart by what only Jupyter needs: both start a program of the same name.
func recogniseOurs(s sight) (string, sentence) {
	switch {
	case !s.names("/lab-workspace/serve.py"):
		return "", sentence{}
	case s.env["JUPYTER_RUNTIME_DIR"] != "":
		return Minimal.Name, sentence{so: []string{"sets JUPYTER_RUNTIME_DIR", "starts lab-workspace/serve.py"}, as: "our own JupyterLab image does"}
	}
	return VSCode.Name, sentence{so: []string{"starts lab-workspace/serve.py without Jupyter"}, as: "our own VS Code image does"}
}

func recogniseMLWorkspace(s sight) (string, sentence) {
	if s.env["WORKSPACE_HOME"] == "" || !s.names("/resources/docker-entrypoint.py") {
		return "", sentence{}
	}
	return MLWorkspace.Name, sentence{so: []string{"sets WORKSPACE_HOME", "starts /resources/docker-entrypoint.py"}, as: "ML Lab's ml-workspace does"}
}

// recogniseMLWorkspaceRemains is for images made from ml-workspace that start something else, which mostly ends in
// starting it after all.
func recogniseMLWorkspaceRemains(s sight) (string, sentence) {
	if s.env["WORKSPACE_HOME"] == "" || s.env["WORKSPACE_FLAVOR"] == "" {
		return "", sentence{}
	}
	return MLWorkspace.Name, sentence{
		so: []string{"sets WORKSPACE_HOME and WORKSPACE_FLAVOR"}, as: "ML Lab's ml-workspace does",
		but: []string{"it starts a program of its own"},
	}
}

func recogniseDockerStacks(s sight) (string, sentence) {
	programs := []string{"start-notebook.py", "start-notebook.sh", "start-notebook"}
	if !s.starts(programs...) {
		return "", sentence{}
	}
	why := sentence{as: "Jupyter's docker-stacks do"}
	if len(s.ports) > 0 {
		why.so = append(why.so, "exposes "+portsTitle(s.ports))
	}
	if s.env["NB_USER"] == "jovyan" && !s.root {
		why.so = append(why.so, "runs as jovyan")
	}
	why.so = append(why.so, "starts "+firstOf(s.command, s.entry, programs))
	if s.root {
		why.but = append(why.but, "it runs as root, which needs rights that workspaces do not have")
	}
	if s.env["HOME"] != DockerStacks.MountPath {
		why.but = append(why.but, "its home is not "+DockerStacks.MountPath)
	}
	if slices.ContainsFunc(s.command, func(word string) bool { return strings.HasPrefix(word, "--") }) {
		why.but = append(why.but, "its command sets options of its own, which may undo ours")
	}
	return DockerStacks.Name, why
}

// firstOf is the first of the programs that a command line names.
func firstOf(command, entry, programs []string) string {
	for _, word := range slices.Concat(command, entry) {
		if slices.Contains(programs, word) {
			return word
		}
	}
	return ""
}

// recogniseLinuxServer goes by the labels: everything that image starts is hidden behind /init.
func recogniseLinuxServer(s sight) (string, sentence) {
	says := strings.ToLower(strings.Join([]string{
		s.Labels["build_version"], s.Labels["org.opencontainers.image.vendor"], s.Labels["org.opencontainers.image.source"], s.Labels["org.opencontainers.image.title"],
	}, " "))
	// Older ones do not say in a label which of LinuxServer.io's images they are.
	isCodeServer := strings.Contains(says, "code-server") || (s.home == LinuxServerVSCode.MountPath && slices.Contains(s.ports, LinuxServerVSCode.Port))
	if !s.starts("init") || !strings.Contains(says, "linuxserver") || !isCodeServer {
		return "", sentence{}
	}
	return LinuxServerVSCode.Name, sentence{so: []string{"has LinuxServer.io's labels", "starts /init"}, as: "their code-server does"}
}

func recogniseCodeServer(s sight) (string, sentence) {
	// Coder's own image names code-server nowhere: its entry point is a script that ends in it.
	scripted := s.starts("entrypoint.sh", "entrypoint-catatonit.sh") && s.names("--bind-addr") && s.home == CodeServer.MountPath
	if !scripted && !s.starts("code-server") {
		return "", sentence{}
	}
	found, why := CodeServer, sentence{so: []string{"starts code-server in " + CodeServer.MountPath}, as: "Coder's own image does"}
	switch s.home {
	case CodeServer.MountPath:
	case VSCode.MountPath:
		found, why = VSCode, sentence{so: []string{"starts code-server in " + VSCode.MountPath}, but: []string{"it is not our own VS Code image"}}
	default:
		why = sentence{so: []string{"starts code-server"}, but: []string{"its home is not " + CodeServer.MountPath + ", which is all that is kept"}}
	}
	if s.names("--auth=none") || (s.names("--auth") && s.starts("none")) {
		why.but = append(why.but, "without a password, so it is not locked")
	}
	return found.Name, why
}

func recogniseRStudio(s sight) (string, sentence) {
	switch {
	case s.env["RSTUDIO_VERSION"] != "" && s.starts("init"):
		return RStudio.Name, sentence{so: []string{"sets RSTUDIO_VERSION", "starts /init"}, as: "Rocker's images with RStudio do"}
	case s.starts("rserver", "rstudio-server"):
		return RStudio.Name, sentence{so: []string{"starts RStudio Server"}, but: []string{"not as Rocker's images do, so it may ask for a login and keep its files elsewhere"}}
	}
	return "", sentence{}
}

// recogniseJupyter is for images that start Jupyter in their command, or leave the command to others. One that starts it
// in its entry point cannot be given another command.
func recogniseJupyter(s sight) (string, sentence) {
	lab, other := jupyterIn(s.command)
	why := sentence{}
	switch entryLab, entryOther := jupyterIn(s.entry); {
	case entryLab || entryOther:
		return "", sentence{}
	case lab:
		why.so = []string{"starts JupyterLab in its command"}
	case other:
		why.so, why.but = []string{"starts Jupyter in its command"}, []string{"JupyterLab, which we start instead, may not be in it"}
	case len(s.Command) == 0 && s.env["JUPYTER_PORT"] != "" && s.starts("nvidia_entrypoint.sh"): // which starts any command
		why.so, why.but = []string{"sets JUPYTER_PORT", "starts nothing"}, []string{"JupyterLab, which we start, may not be in it"}
	default:
		return "", sentence{}
	}
	return Jupyter.Name, why
}

// jupyterIn reports whether a command line starts JupyterLab, or any other of Jupyter's servers.
func jupyterIn(line []string) (lab, other bool) {
	for i, word := range line {
		if next := i + 1; word == "jupyter" && next < len(line) {
			word += "-" + line[next]
		}
		switch word {
		case "jupyter-lab", "jupyterlab":
			lab = true
		case "jupyter-notebook", "jupyter-server", "jupyter-nbclassic":
			other = true
		}
	}
	return lab, other
}
