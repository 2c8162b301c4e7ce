package profile

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Builtin returns the profiles that need no configuration.
func Builtin() []Profile {
	profiles := []Profile{Minimal, MLWorkspace, VSCode, CodeServer, LinuxServerVSCode, DockerStacks, Jupyter, RStudio, Custom}
	for i, p := range profiles { // who changes one must not change them for all
		profiles[i].Env, profiles[i].Headers = maps.Clone(p.Env), maps.Clone(p.Headers)
		profiles[i].Args, profiles[i].SecretEnv = slices.Clone(p.Args), slices.Clone(p.SecretEnv)
		profiles[i].OpenArgs, profiles[i].OpenEnv = slices.Clone(p.OpenArgs), maps.Clone(p.OpenEnv)
		profiles[i].Activity.Polls, profiles[i].Capabilities = slices.Clone(p.Activity.Polls), slices.Clone(p.Capabilities)
		profiles[i].Activity.Typed = slices.Clone(p.Activity.Typed)
	}
	return profiles
}

// MLWorkspace is the contract of ML Lab's ml-workspace images and of our own workspace-minimal
// (facts: upstream's Dockerfile and README). It needs some capabilities because upstream's image runs as root and
// starts its tools as other users.
var MLWorkspace = Profile{
	Name:       "ml-workspace",
	Title:      "The workspace", // what speaks this contract need not be JupyterLab
	Port:       8080,
	MountPath:  "/workspace",
	KeepsPath:  true,
	HealthPath: "/api",
	Activity:   jupyterActivity(),
	Env: map[string]string{
		"WORKSPACE_BASE_URL":    "{access_path}",
		"WORKSPACE_PORT":        "{port}",
		"SSH_JUMPHOST_TARGET":   "{id}",
		"WORKSPACE_SSL_ENABLED": "false",
	},
	SecretEnv:         []string{"AUTHENTICATE_VIA_JUPYTER"},
	SecretHeaderName:  "Authorization",
	SecretHeaderValue: "token {secret}",
	Capabilities:      []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE", "SYS_CHROOT"},
	AnswerDeadline:    3 * time.Minute,
	StopGrace:         10 * time.Second,
}

// Minimal is MLWorkspace for our own image, which runs as an ordinary user and needs no capability at all.
var Minimal = func() Profile {
	p := MLWorkspace
	p.Name, p.Title = "workspace-minimal", "JupyterLab"
	p.Capabilities = nil
	p.AnswerDeadline = time.Minute
	return p
}()

// VSCode is our own image with code-server, which runs as the ordinary user 1000 and keeps home and work in one folder.
//
// code-server answers with relative addresses only, so the proxy takes the path away (its guide: "Expose code-server",
// behind a path nothing has to be configured). It takes a hashed password without "$argon" for a SHA-256 hash, and a
// session cookie that equals the hash opens it (src/node/util.ts: getPasswordMethod, isCookieValid). Our secret is given
// as such a hash: the cookie opens it, and as nobody knows a text with this hash, no password does. The size of its quiet
// frames is that of the keep-alives and acknowledgements of VS Code's protocol, rounded up.
var VSCode = Profile{
	Name:              "workspace-vscode",
	Title:             "VS Code",
	Port:              8080,
	MountPath:         "/workspace",
	HealthPath:        "/healthz",
	Activity:          vscodeActivity(),
	Env:               map[string]string{"WORKSPACE_PORT": "{port}"},
	SecretEnv:         []string{"HASHED_PASSWORD"},
	SecretHeaderName:  "Cookie",
	SecretHeaderValue: "code-server-session={secret}",
	AnswerDeadline:    time.Minute,
	StopGrace:         10 * time.Second,
}

// CodeServer is Coder's own image, codercom/code-server (coder/code-server: ci/release-image/Dockerfile, entrypoint.sh),
// locked as VSCode is. The whole home is kept: settings, extensions and work are all in it.
//
// It needs no capabilities. Its entry point runs fixuid, which is setuid root and fails without new privileges; the
// script goes on all the same, and as the user 1000 of the image there is nothing to fix. sudo in it does not work.
var CodeServer = func() Profile {
	p := VSCode
	p.Name, p.Title = "code-server", "VS Code (code-server)"
	p.MountPath, p.Env = "/home/coder", map[string]string{}
	p.OpenArgs = []string{"--auth", "none"}
	p.AnswerDeadline = 3 * time.Minute
	return p
}()

// LinuxServerVSCode is LinuxServer.io's image of code-server (linuxserver/docker-code-server: Dockerfile and
// root/etc/s6-overlay). Everything it keeps is in /config, and it hands HASHED_PASSWORD on, so VSCode's lock fits.
// It begins as root under s6, makes its folders belong to its user "abc" and becomes that user: hence the capabilities.
var LinuxServerVSCode = func() Profile {
	p := CodeServer
	p.Name, p.Title = "linuxserver-code-server", "VS Code (LinuxServer.io)"
	p.Port, p.MountPath = 8443, "/config"
	p.OpenArgs = nil // without a password its script asks for none
	p.Capabilities = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"}
	return p
}()

// DockerStacks is the family of Jupyter's own images (jupyter/docker-stacks: images/docker-stacks-foundation and
// images/base-notebook). start-notebook.py and the older start-notebook.sh both hand NOTEBOOK_ARGS on to Jupyter, and
// Jupyter itself reads JUPYTER_PORT and JUPYTER_TOKEN. As user 1000, start.sh changes nothing of the system and needs
// no capabilities.
//
// The volume is the whole home, not ~/work: Jupyter starts in the home, so what people make without a thought is there,
// and settings, shell history and ~/.local are too. The price: a newer image brings no newer files of the home. What pip
// and conda install is in /opt/conda and is gone with the container either way.
var DockerStacks = Profile{
	Name:       "jupyter-docker-stacks",
	Title:      "JupyterLab (docker-stacks)",
	Port:       8888,
	MountPath:  "/home/jovyan",
	KeepsPath:  true,
	HealthPath: "/api",
	Activity:   jupyterActivity(),
	Env: map[string]string{
		"NOTEBOOK_ARGS": "--ServerApp.base_url={access_path}",
		"JUPYTER_PORT":  "{port}",
	},
	OpenEnv:           map[string]string{"NOTEBOOK_ARGS": "--ServerApp.base_url={access_path} " + strings.Join(jupyterOpen, " ")},
	SecretEnv:         []string{"JUPYTER_TOKEN"},
	SecretHeaderName:  "Authorization",
	SecretHeaderValue: "token {secret}",
	AnswerDeadline:    3 * time.Minute,
	StopGrace:         10 * time.Second,
}

// jupyterOpen has Jupyter ask for no token. Without a word it makes one up; an empty JUPYTER_TOKEN is no word. The second is for
// servers before 2.0, which do not know the first (tried with 2: it takes both).
var jupyterOpen = []string{"--IdentityProvider.token=", "--ServerApp.token="}

// Jupyter is any other image with JupyterLab in it, such as TensorFlow's and NVIDIA's: we start it ourselves, after the
// image's entry point, because such images can be told a base URL in no other way (facts: jupyter_server's options).
// --allow-root, because most of them run as root. It gets no capabilities, so root is root only of what belongs to it.
var Jupyter = Profile{
	Name:       "jupyter",
	Title:      "JupyterLab (any image)",
	Port:       8888,
	MountPath:  "/workspace",
	KeepsPath:  true,
	HealthPath: "/api",
	Activity:   jupyterActivity(),
	Env:        map[string]string{},
	Args: []string{
		"jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=0.0.0.0", "--ServerApp.port={port}",
		"--ServerApp.base_url={access_path}", "--ServerApp.root_dir=/workspace",
	},
	OpenArgs:          jupyterOpen,
	SecretEnv:         []string{"JUPYTER_TOKEN"},
	SecretHeaderName:  "Authorization",
	SecretHeaderValue: "token {secret}",
	Note:              "The image must have JupyterLab in it. Only what is in /workspace is kept.",
	AnswerDeadline:    3 * time.Minute,
	StopGrace:         10 * time.Second,
}

// RStudio is Rocker's images with RStudio Server (rocker-org/rocker-versioned2: scripts/install_rstudio.sh and
// init_userconf.sh). RStudio serves at "/" and makes its addresses from X-RStudio-Root-Path (Posit: "Running with a
// proxy"). Its only lock is a login form, which no header opens, so it is switched off. A page that is open asks
// /events/get_events again and again, with POST.
//
// The capabilities are those with which s6 and rserver, which begin as root, prepare their folders, set a password
// through PAM (which fails without AUDIT_WRITE) and run and end R as the user "rstudio". They were read from the
// scripts, and are fewer than Docker's own.
var RStudio = Profile{
	Name:           "rstudio",
	Title:          "RStudio",
	Port:           8787,
	MountPath:      "/home/rstudio",
	HealthPath:     "/",
	Activity:       Activity{Polls: []string{"/events/get_events"}},
	Env:            map[string]string{"DISABLE_AUTH": "true"},
	Headers:        map[string]string{"X-RStudio-Root-Path": "{access_path}"},
	Note:           "RStudio cannot be locked with a secret: other programs on this machine that reach its port can use it.",
	Capabilities:   []string{"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"},
	AnswerDeadline: 3 * time.Minute,
	StopGrace:      10 * time.Second,
}

// Custom is any image that serves something over plain HTTP, on the port that its workspace says. Nothing else is known
// of it: it is asked at its root, and whatever it answers is a sign that it is up. It is told its path in the one way that
// is Gradio's, whose pages have absolute addresses and no styles otherwise; Streamlit and TensorBoard need nothing (tried).
var Custom = Profile{
	Name:       "custom",
	Title:      "The web program",
	Port:       8080,
	MountPath:  "/workspace",
	HealthPath: "/",
	AnyAnswer:  true,
	Env:        map[string]string{"GRADIO_ROOT_PATH": "{access_path}"},
	Note: "The program is not locked with a secret: other programs on this machine that reach its port can use it. " +
		"It must work below any path, and only what is in /workspace is kept.",
	AnswerDeadline: 3 * time.Minute,
	StopGrace:      10 * time.Second,
}

// jupyterActivity is how to tell that somebody works in JupyterLab. It saves the layout of its windows every ten seconds,
// whether somebody is there or not (recorded).
func jupyterActivity() Activity {
	return Activity{Probe: ProbeJupyter, Polls: []string{"/lab/api/workspaces/*"}}
}

// vscodeActivity is how to tell that somebody works in code-server: its pages keep talking by themselves, in messages of up
// to 199 bytes (recorded), and what is typed into a terminal is shorter than that.
func vscodeActivity() Activity {
	return Activity{QuietFrame: 256, Typed: []string{"$acceptTerminalInteraction"}}
}
