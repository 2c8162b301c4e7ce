package profile_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

// image is what an image says of itself, shorter to write.
func image(entry, command []string, user, dir string, ports []int, env ...string) workspace.ImageFacts {
	return workspace.ImageFacts{Entrypoint: entry, Command: command, User: user, WorkingDir: dir, Ports: ports, Env: env}
}

func labelled(facts workspace.ImageFacts, pairs ...string) workspace.ImageFacts {
	facts.Labels = map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		facts.Labels[pairs[i]] = pairs[i+1]
	}
	return facts
}

// The configurations of well-known images, from their Dockerfiles.
var (
	stacksEnv = []string{
		"PATH=/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "CONDA_DIR=/opt/conda", "SHELL=/bin/bash",
		"NB_USER=jovyan", "NB_UID=1000", "NB_GID=100", "LC_ALL=C.UTF-8", "HOME=/home/jovyan", "JUPYTER_PORT=8888",
	}
	stacksEntry = []string{"tini", "-g", "--", "start.sh"}
	rockerEnv   = []string{"R_VERSION=4.4.1", "R_HOME=/usr/local/lib/R", "TZ=Etc/UTC", "S6_VERSION=v2.1.0.2", "RSTUDIO_VERSION=2024.09.1+394", "DEFAULT_USER=rstudio"}
	wsEnv       = []string{"HOME=/root", "WORKSPACE_HOME=/workspace", "WORKSPACE_FLAVOR=full", "WORKSPACE_BASE_URL=/", "WORKSPACE_PORT=8080", "AUTHENTICATE_VIA_JUPYTER=false"}
	coderEntry  = []string{"/usr/bin/entrypoint.sh", "--bind-addr", "0.0.0.0:8080", "."}
	coderEnv    = []string{"LANG=en_US.UTF-8", "ENTRYPOINTD=/entrypoint.d", "USER=coder"}
	ourEntry    = []string{"tini", "--"}
	ourEnv      = []string{"HOME=/workspace", "SHELL=/bin/bash", "LANG=C.UTF-8"}
	serve       = []string{"python3", "-s", "/usr/local/lib/lab-workspace/serve.py"}
	nvidia      = []string{"/opt/nvidia/nvidia_entrypoint.sh"}
)

func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		facts workspace.ImageFacts
		want  profile.Proposal
	}{
		"our JupyterLab": {
			image(ourEntry, serve, "1000:1000", "/workspace", []int{8080}, append(ourEnv, "JUPYTER_RUNTIME_DIR=/tmp/jupyter-runtime")...),
			profile.Proposal{Profile: "workspace-minimal", Sure: true, Why: "It sets JUPYTER_RUNTIME_DIR and starts lab-workspace/serve.py, as our own JupyterLab image does."},
		},
		"our VS Code": {
			image(ourEntry, serve, "1000:1000", "/workspace", []int{8080}, ourEnv...),
			profile.Proposal{Profile: "workspace-vscode", Sure: true, Why: "It starts lab-workspace/serve.py without Jupyter, as our own VS Code image does."},
		},
		"mltooling/ml-workspace": {
			image([]string{"/tini", "-g", "--"}, []string{"python", "/resources/docker-entrypoint.py"}, "", "", []int{8080}, wsEnv...),
			profile.Proposal{Profile: "ml-workspace", Sure: true, Why: "It sets WORKSPACE_HOME and starts /resources/docker-entrypoint.py, as ML Lab's ml-workspace does."},
		},
		"made from ml-workspace, with Jupyter's port beside 8080": {
			image([]string{"/tini", "-g", "--"}, []string{"python", "/resources/docker-entrypoint.py"}, "", "", []int{8080, 8888}, wsEnv...),
			profile.Proposal{Profile: "ml-workspace", Sure: true, Why: "It sets WORKSPACE_HOME and starts /resources/docker-entrypoint.py, as ML Lab's ml-workspace does."},
		},
		"made from ml-workspace, with a script around it": {
			image([]string{"/tini", "-g", "--"}, []string{"/prepare.sh"}, "", "", []int{8080}, wsEnv...),
			profile.Proposal{Profile: "ml-workspace", Why: "It sets WORKSPACE_HOME and WORKSPACE_FLAVOR, as ML Lab's ml-workspace does, but it starts a program of its own."},
		},
		"quay.io/jupyter/scipy-notebook": {
			image(stacksEntry, []string{"start-notebook.py"}, "1000", "/home/jovyan", []int{8888}, stacksEnv...),
			profile.Proposal{Profile: "jupyter-docker-stacks", Sure: true, Why: "It exposes port 8888, runs as jovyan and starts start-notebook.py, as Jupyter's docker-stacks do."},
		},
		"jupyter/datascience-notebook of 2022": {
			image([]string{"tini", "-g", "--"}, []string{"start-notebook.sh"}, "1000", "/home/jovyan", []int{8888}, stacksEnv...),
			profile.Proposal{Profile: "jupyter-docker-stacks", Sure: true, Why: "It exposes port 8888, runs as jovyan and starts start-notebook.sh, as Jupyter's docker-stacks do."},
		},
		"quay.io/jupyter/pyspark-notebook, with Spark's port": {
			image(stacksEntry, []string{"start-notebook.py"}, "1000", "/home/jovyan", []int{4040, 8888}, stacksEnv...),
			profile.Proposal{Profile: "jupyter-docker-stacks", Sure: true, Why: "It exposes ports 4040 and 8888, runs as jovyan and starts start-notebook.py, as Jupyter's docker-stacks do."},
		},
		"made from docker-stacks, without a token": {
			image(stacksEntry, []string{"/bin/sh", "-c", "start-notebook.sh --NotebookApp.token=''"}, "1000", "/home/jovyan", []int{8888}, stacksEnv...),
			profile.Proposal{Profile: "jupyter-docker-stacks", Why: "It exposes port 8888, runs as jovyan and starts start-notebook.sh, as Jupyter's docker-stacks do, but its command sets options of its own, which may undo ours."},
		},
		"made from docker-stacks, left as root": {
			image(stacksEntry, []string{"start-notebook.sh"}, "root", "/home/jovyan", []int{8888}, stacksEnv...),
			profile.Proposal{Profile: "jupyter-docker-stacks", Why: "It exposes port 8888 and starts start-notebook.sh, as Jupyter's docker-stacks do, but it runs as root, which needs rights that workspaces do not have."},
		},
		"made from docker-stacks, for Streamlit": {
			image(stacksEntry, []string{"streamlit", "run", "app.py"}, "1000", "/home/jovyan", []int{8501, 8888}, stacksEnv...),
			profile.Proposal{Profile: "custom", Port: 8501, Why: "It exposes ports 8501 and 8888, but it is only like Jupyter's docker-stacks and only one port can be opened, most likely 8501."},
		},
		"made from docker-stacks, with an entry point of its own": {
			image([]string{"/opt/run.sh"}, nil, "1000", "/home/jovyan", []int{8888}, stacksEnv...),
			profile.Proposal{Profile: "custom", Port: 8888, Why: "It exposes port 8888, but it is only like Jupyter's docker-stacks."},
		},
		"made from docker-stacks, starts jupyter lab itself": {
			image(stacksEntry, []string{"jupyter", "lab", "--ip=0.0.0.0"}, "1000", "/home/jovyan", []int{8888}, stacksEnv...),
			profile.Proposal{Profile: "jupyter", Sure: true, Why: "It starts JupyterLab in its command."},
		},
		"codercom/code-server": {
			image(coderEntry, nil, "1000", "/home/coder", []int{8080}, coderEnv...),
			profile.Proposal{Profile: "code-server", Sure: true, Why: "It starts code-server in /home/coder, as Coder's own image does."},
		},
		"made from codercom/code-server, on another port": {
			image([]string{"dumb-init", "/usr/bin/code-server", "--bind-addr", "0.0.0.0:9000", "."}, nil, "1000", "/home/coder", []int{9000}, coderEnv...),
			profile.Proposal{Profile: "code-server", Port: 9000, Sure: true, Why: "It starts code-server in /home/coder, as Coder's own image does."},
		},
		"code-server without a lock": {
			image(nil, []string{"code-server", "--auth", "none"}, "1000", "/home/coder", []int{8080}),
			profile.Proposal{Profile: "code-server", Why: "It starts code-server in /home/coder, as Coder's own image does, but without a password, so it is not locked."},
		},
		"code-server at another home": {
			image(nil, []string{"/opt/code-server/bin/code-server"}, "dev", "/home/dev", []int{8080}),
			profile.Proposal{Profile: "code-server", Why: "It starts code-server, but its home is not /home/coder, which is all that is kept."},
		},
		"code-server in /workspace, not ours": {
			image(nil, []string{"code-server"}, "1000", "/workspace", []int{8443}),
			profile.Proposal{Profile: "workspace-vscode", Port: 8443, Why: "It starts code-server in /workspace, but it is not our own VS Code image."},
		},
		"an entry point of the same name as Coder's": {
			image([]string{"/usr/bin/entrypoint.sh"}, []string{"serve"}, "", "/app", []int{8080}),
			profile.Proposal{Profile: "custom", Sure: true, Why: "It exposes port 8080 and is none of the images we know."},
		},
		"linuxserver/code-server": {
			labelled(image([]string{"/init"}, nil, "", "/", []int{8443}, "HOME=/config", "LSIO_FIRST_PARTY=true"),
				"build_version", "Linuxserver.io version:- 4.96.4 Build-date:- 2025-01-20T00:00:00+00:00", "maintainer", "aptalca",
				"org.opencontainers.image.vendor", "linuxserver.io", "org.opencontainers.image.source", "https://github.com/linuxserver/docker-code-server"),
			profile.Proposal{Profile: "linuxserver-code-server", Sure: true, Why: "It has LinuxServer.io's labels and starts /init, as their code-server does."},
		},
		"linuxserver/code-server of 2022": {
			labelled(image([]string{"/init"}, nil, "", "", []int{8443}, "HOME=/config"), "build_version", "Linuxserver.io version:- 4.8.0 Build-date:- 2022-11-07"),
			profile.Proposal{Profile: "linuxserver-code-server", Sure: true, Why: "It has LinuxServer.io's labels and starts /init, as their code-server does."},
		},
		"another image of LinuxServer.io": {
			labelled(image([]string{"/init"}, nil, "", "/", []int{3000, 3001}, "HOME=/config"), "build_version", "Linuxserver.io version:- 1", "org.opencontainers.image.title", "Webtop"),
			profile.Proposal{Profile: "custom", Port: 3000, Why: "It exposes ports 3000 and 3001, but only one port can be opened, most likely 3000."},
		},
		"rocker/rstudio": {
			image(nil, []string{"/init"}, "", "", []int{8787}, rockerEnv...),
			profile.Proposal{Profile: "rstudio", Sure: true, Why: "It sets RSTUDIO_VERSION and starts /init, as Rocker's images with RStudio do."},
		},
		"rocker/verse, with Shiny beside it": {
			image(nil, []string{"/init"}, "", "", []int{3838, 8787}, rockerEnv...),
			profile.Proposal{Profile: "rstudio", Sure: true, Why: "It sets RSTUDIO_VERSION and starts /init, as Rocker's images with RStudio do."},
		},
		"rocker/shiny": {
			image(nil, []string{"/init"}, "", "", []int{3838}, "R_VERSION=4.4.1", "S6_VERSION=v2.1.0.2", "SHINY_SERVER_VERSION=latest"),
			profile.Proposal{Profile: "custom", Port: 3838, Sure: true, Why: "It exposes port 3838 and is none of the images we know."},
		},
		"made from rocker/rstudio, for Shiny": {
			image(nil, []string{"Rscript", "/app.R"}, "", "", []int{3838, 8787}, rockerEnv...),
			profile.Proposal{Profile: "custom", Port: 3838, Why: "It exposes ports 3838 and 8787, but it is only like Rocker's images with RStudio and only one port can be opened, most likely 3838."},
		},
		"RStudio started by hand": {
			image(nil, []string{"/usr/lib/rstudio-server/bin/rserver", "--server-daemonize=0"}, "", "", []int{8787}),
			profile.Proposal{Profile: "rstudio", Why: "It starts RStudio Server, but not as Rocker's images do, so it may ask for a login and keep its files elsewhere."},
		},
		"tensorflow/tensorflow:latest-jupyter": {
			image(nil, []string{"bash", "-c", "source /etc/bash.bashrc && jupyter notebook --notebook-dir=/tf --ip 0.0.0.0 --no-browser --allow-root"}, "", "/tf", []int{8888}),
			profile.Proposal{Profile: "jupyter", Why: "It starts Jupyter in its command, but JupyterLab, which we start instead, may not be in it."},
		},
		"JupyterLab of another maker": {
			image([]string{"tini", "--"}, []string{"jupyter", "lab", "--ip=0.0.0.0", "--allow-root"}, "", "/notebooks", []int{8888}),
			profile.Proposal{Profile: "jupyter", Sure: true, Why: "It starts JupyterLab in its command."},
		},
		"JupyterLab of another maker, on another port": {
			image(nil, []string{"/usr/local/bin/jupyter-lab", "--port=9999"}, "0", "/", []int{9999}),
			profile.Proposal{Profile: "jupyter", Sure: true, Why: "It starts JupyterLab in its command."},
		},
		"JupyterLab as the entry point": {
			image([]string{"/bin/sh", "-c", `jupyter lab --notebook-dir="${HOME}" --ip=0.0.0.0 --ServerApp.base_url="${NB_PREFIX}"`}, nil, "jovyan", "", []int{8888}, "NB_PREFIX=/"),
			profile.Proposal{Profile: "custom", Port: 8888, Why: "It exposes port 8888, but its entry point starts Jupyter, which cannot be told its path that way."},
		},
		"nvcr.io/nvidia/pytorch": {
			image(nvidia, nil, "", "/workspace", []int{6006, 8888}, "JUPYTER_PORT=8888", "TENSORBOARD_PORT=6006"),
			profile.Proposal{Profile: "jupyter", Why: "It sets JUPYTER_PORT and starts nothing, but JupyterLab, which we start, may not be in it."},
		},
		"kubeflow's notebooks, which only look like docker-stacks": {
			image([]string{"/init"}, nil, "1000", "/home/jovyan", []int{8888}, "NB_USER=jovyan", "NB_UID=1000", "NB_PREFIX=/", "HOME=/home/jovyan"),
			profile.Proposal{Profile: "custom", Port: 8888, Why: "It exposes port 8888, but it is only like Jupyter's docker-stacks."},
		},
		"streamlit": {
			image([]string{"streamlit", "run"}, nil, "", "/app", []int{8501}),
			profile.Proposal{Profile: "custom", Port: 8501, Sure: true, Why: "It exposes port 8501 and is none of the images we know."},
		},
		"nginx": {
			image([]string{"/docker-entrypoint.sh"}, []string{"nginx", "-g", "daemon off;"}, "", "", []int{80}),
			profile.Proposal{Profile: "custom", Port: 80, Sure: true, Why: "It exposes port 80 and is none of the images we know."},
		},
		"a page and a shell": {
			image(nvidia, []string{"/start.sh"}, "", "", []int{22, 9999}),
			profile.Proposal{Profile: "custom", Port: 9999, Why: "It exposes ports 22 and 9999, but 22 is not usual for web pages and only one port can be opened, most likely 9999."},
		},
		"postgres": {
			image([]string{"docker-entrypoint.sh"}, []string{"postgres"}, "", "", []int{5432}),
			profile.Proposal{Profile: "custom", Port: 5432, Why: "It exposes port 5432, but 5432 is not usual for web pages."},
		},
		"python": {
			image(nil, []string{"python3"}, "", "", nil),
			profile.Proposal{Profile: "custom", Why: "It exposes no port, but 8080 is usual for web pages."},
		},
		"very many ports": {
			image(nil, nil, "", "", []int{9, 8, 7, 7, 6, 5, 4, 0, -1, 70000, 8000}),
			profile.Proposal{Profile: "custom", Port: 8000, Why: "It exposes ports 4, 5, 6, 7, 8 and 2 more, but only one port can be opened, most likely 8000."},
		},
		"its label wins": {
			labelled(image(stacksEntry, []string{"start-notebook.py"}, "1000", "/home/jovyan", []int{8888}, stacksEnv...), profile.Label, "rstudio"),
			profile.Proposal{Profile: "rstudio", Port: 8888, Sure: true, Why: `Its label asks for the profile "rstudio".`},
		},
		"its label asks for any program": {
			labelled(image(nil, []string{"start-notebook.py"}, "1000", "", []int{22, 7860}), profile.Label, "custom"),
			profile.Proposal{Profile: "custom", Port: 7860, Sure: true, Why: `Its label asks for the profile "custom".`},
		},
		"its label asks for a configured profile": {
			labelled(image(nil, nil, "", "", []int{1, 2}), profile.Label, "mine"),
			profile.Proposal{Profile: "mine", Sure: true, Why: `Its label asks for the profile "mine".`},
		},
		"its label asks for what is not there": {
			labelled(image(nil, []string{"/init"}, "", "", []int{8787}, rockerEnv...), profile.Label, "other\n"+strings.Repeat("x", 100)),
			profile.Proposal{Profile: "rstudio", Why: `Its label asks for the profile "other\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…", which there is not, and it sets RSTUDIO_VERSION and starts /init, as Rocker's images with RStudio do.`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			profiles := append(profile.Builtin(), profile.Profile{Name: "mine", Port: 1})
			require.Equal(t, c.want, profile.Detect("example.org/any/image:1", &c.facts, profiles))
		})
	}
}

func TestDetect_ByName(t *testing.T) {
	const notSure = ", but it comes from elsewhere."
	for ref, want := range map[string]struct{ profile, why string }{
		"lab-workspace-minimal:latest":                         {"workspace-minimal", "By its name it is our own JupyterLab image."},
		"lab-workspace-vscode":                                 {"workspace-vscode", "By its name it is our own VS Code image."},
		"registry.example.org:5000/lab/lab-workspace-vscode:1": {"workspace-vscode", "By its name it is our own VS Code image" + notSure},
		"mltooling/ml-workspace:0.13.2":                        {"ml-workspace", "By its name it is ML Lab's ml-workspace."},
		"mltooling/ml-workspace-gpu":                           {"ml-workspace", "By its name it is ML Lab's ml-workspace."},
		"jupyter/scipy-notebook":                               {"jupyter-docker-stacks", "By its name it is one of Jupyter's docker-stacks."},
		"docker.io/jupyter/minimal-notebook:x":                 {"jupyter-docker-stacks", "By its name it is one of Jupyter's docker-stacks."},
		"quay.io/jupyter/pytorch-notebook:cuda12" + digestA:    {"jupyter-docker-stacks", "By its name it is one of Jupyter's docker-stacks."},
		"registry.example.org/jupyter/scipy-notebook":          {"jupyter-docker-stacks", "By its name it is one of Jupyter's docker-stacks" + notSure},
		"registry.example.org/hub/jupyter/scipy-notebook":      {"jupyter-docker-stacks", "By its name it is one of Jupyter's docker-stacks" + notSure},
		"codercom/code-server:4.96.4":                          {"code-server", "By its name it is Coder's code-server."},
		"ghcr.io/coder/code-server":                            {"code-server", "By its name it is Coder's code-server."},
		"linuxserver/code-server":                              {"linuxserver-code-server", "By its name it is LinuxServer.io's code-server."},
		"lscr.io/linuxserver/code-server:latest":               {"linuxserver-code-server", "By its name it is LinuxServer.io's code-server."},
		"rocker/rstudio:4.4.1":                                 {"rstudio", "By its name it is Rocker's image with RStudio."},
		"rocker/tidyverse":                                     {"rstudio", "By its name it is Rocker's image with RStudio."},
		"ghcr.io/rocker-org/ml-verse":                          {"rstudio", "By its name it is Rocker's image with RStudio."},
		"tensorflow/tensorflow:latest-gpu-jupyter":             {"jupyter", "By its name it is TensorFlow's image with Jupyter."},
		"tensorflow/tensorflow":                                {}, // has no Jupyter
		"rocker/shiny":                                         {},
		"rocker/r-ver:4":                                       {},
		"jupyter/repo2docker":                                  {},
		"python:3.12":                                          {},
		"evil-lab-workspace-minimal":                           {},
		"Not A Name":                                           {},
		"":                                                     {},
		digestA[1:]:                                            {},
	} {
		t.Run(ref, func(t *testing.T) {
			got := profile.Detect(ref, nil, profile.Builtin())
			if want.profile == "" {
				want.why = "The image is not here yet, and its name says nothing: what it is will be known once it is pulled."
			}
			sure := want.profile != "" && !strings.HasSuffix(want.why, notSure)
			require.Equal(t, profile.Proposal{Profile: want.profile, Why: want.why, Sure: sure}, got)
		})
	}
}

func TestDetect_ProposesOnlyWhatThereIs(t *testing.T) {
	stacks := image(stacksEntry, []string{"start-notebook.py"}, "1000", "/home/jovyan", []int{8888}, stacksEnv...)
	require.Equal(t, profile.Proposal{Why: "It is none of the images that the configured profiles are for."}, profile.Detect("x", &stacks, nil))
	require.Empty(t, profile.Detect("jupyter/scipy-notebook", nil, nil).Profile)
	require.Equal(t, "custom", profile.Detect("x", &stacks, []profile.Profile{profile.Custom}).Profile)
}

func FuzzDetect(f *testing.F) {
	f.Add("quay.io/jupyter/scipy-notebook", "tini\x00-g\x00--\x00start.sh", "start-notebook.py", "1000", "NB_USER=jovyan\x00HOME=/home/jovyan", "", 8888, 4040, 511, true)
	f.Add("x", "/init", "", "", "RSTUDIO_VERSION=1", "rstudio", 8787, 0, 511, true)
	f.Add("x", "/usr/bin/entrypoint.sh\x00--bind-addr", "jupyter", "0:0", "HOME=/home/coder", "other", -1, 70000, 3, true)
	f.Add("rocker/rstudio", "", "", "", "", "", 0, 0, 511, false)
	f.Fuzz(func(t *testing.T, ref, entry, command, user, env, label string, port, other, which int, here bool) {
		var profiles []profile.Profile
		for i, p := range profile.Builtin() {
			if which>>i&1 == 1 {
				profiles = append(profiles, p)
			}
		}
		split := func(text string) []string { return strings.Split(text, "\x00") }
		facts := image(split(entry), split(command), user, label, []int{port, other}, split(env)...)
		facts.Labels = map[string]string{profile.Label: label, "build_version": env}
		asked := &facts
		if !here {
			asked = nil
		}
		got := profile.Detect(ref, asked, profiles)
		if got.Profile != "" {
			_, known := profile.Find(profiles, got.Profile)
			require.True(t, known, got.Profile)
		}
		require.False(t, got.Sure && got.Profile == "")
		require.True(t, got.Port >= 0 && got.Port < 1<<16, got.Port)
		require.True(t, strings.HasSuffix(got.Why, "."))
		require.False(t, strings.ContainsFunc(got.Why, unicode.IsControl), "%q", got.Why)
		require.Less(t, len(got.Why), 1000)
		require.Equal(t, fmt.Sprint(got), fmt.Sprint(profile.Detect(ref, asked, profiles)), "it is always the same")
	})
}
