// Package profile knows what the manager must know of an image: where its IDE listens, how it is told its base URL and
// its secret, where its data goes, how to ask whether it is ready.
//
// It owns profiles as data and pure functions over them. It must not know engines, configuration files or who asks.
// Everything here is safe for concurrent use.
package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// Profile is what the manager must know of a kind of image.
type Profile struct {
	Name  string // how the configuration and the API call it
	Title string // what people call it: "JupyterLab"

	Port      int    // where the IDE listens
	MountPath string // where its data goes
	// KeepsPath says that the IDE knows the path at which it is reached and is asked below it. Otherwise the access proxy
	// takes the path away, and the IDE must use relative addresses.
	KeepsPath bool
	// HealthPath is asked until it answers with anything but a server error or "not found".
	HealthPath string
	// AnyAnswer takes "not found" for an answer, too: nothing is known of what the image serves.
	AnyAnswer bool
	// Args take the place of the image's own command; nil = that one. {access_path} and {id} are filled in as in Env.
	Args []string
	// Env is given to the container. {access_path} in a value becomes the workspace's base URL, {id} its id.
	Env map[string]string
	// SecretEnv names the variables through which the image hears the secret that locks its IDE.
	SecretEnv []string
	// SecretHeaderName and SecretHeaderValue are how the access proxy tells the IDE the secret, with {secret} in it; "" = the image has no lock.
	// A Cookie is added to those of the visitor; {access_path} is filled in, too.
	SecretHeaderName  string
	SecretHeaderValue string
	// Headers are sent to the IDE with every request; {access_path} and {id} are filled in as in Env.
	Headers map[string]string
	// Note is a sentence that people should know before they use it, as of an IDE that no secret can lock; "" = none.
	Note string
	// Activity is how to tell that somebody works in it.
	Activity Activity
	// Capabilities are the Linux capabilities the image needs; everything else is dropped.
	Capabilities   []string
	AnswerDeadline time.Duration // how long a start may take until the IDE answers
	StopGrace      time.Duration // between SIGTERM and SIGKILL
}

// Activity is how to tell that somebody works in a workspace. Requests that change something, visits of pages and what is
// typed into a WebSocket count for every profile; this is what else there is to know.
type Activity struct {
	// Probe is who is asked for busy kernels and terminals: ProbeJupyter, or "" for nobody.
	Probe string
	// Polls are paths, without the part of the access path, of requests that a forgotten tab makes by itself although they
	// do not look like it. "*" stands for any part of a path.
	Polls []string
	// QuietFrame is the size in bytes up to which what a page sends through a WebSocket is a sign of life of the page, not
	// of a person; 0 = whatever is sent comes from a person.
	QuietFrame int
	// Typed are words in messages of up to QuietFrame bytes, within their first 256, that a page sends only when somebody
	// types.
	Typed []string
}

// ProbeJupyter asks Jupyter's own interface.
const ProbeJupyter = "jupyter"

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
	// JupyterLab saves the layout of its windows every ten seconds, whether somebody is there or not (recorded).
	Activity: Activity{Probe: ProbeJupyter, Polls: []string{"/lab/api/workspaces/*"}},
	Env: map[string]string{
		"WORKSPACE_BASE_URL":    "{access_path}",
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

// Builtin returns the profiles that need no configuration.
func Builtin() []Profile {
	profiles := []Profile{Minimal, MLWorkspace}
	for i, p := range profiles { // who changes one must not change them for all
		profiles[i].Env = maps.Clone(p.Env)
		profiles[i].SecretEnv, profiles[i].Capabilities = slices.Clone(p.SecretEnv), slices.Clone(p.Capabilities)
		profiles[i].Activity.Polls, profiles[i].Activity.Typed = slices.Clone(p.Activity.Polls), slices.Clone(p.Activity.Typed)
	}
	return profiles
}

// Find returns the profile of that name.
func Find(profiles []Profile, name string) (Profile, bool) {
	for _, p := range profiles {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// AccessPath is where the workspace is reached on every one of our listeners and in ML Lab. The trailing b says that the
// path is forwarded whole, so the IDE must know it as its base URL (facts: ML Lab's access path has two spellings).
func (p Profile) AccessPath(owner workspace.Owner, id workspace.ID) string {
	return fmt.Sprintf("/projects/%s/services/%s/access/%db", owner, id, p.Port)
}

// Environment is what the container of that workspace gets, without the secret.
func (p Profile) Environment(owner workspace.Owner, id workspace.ID) map[string]string {
	fill := strings.NewReplacer("{access_path}", p.AccessPath(owner, id), "{id}", string(id))
	env := maps.Clone(p.Env)
	for name, value := range env {
		env[name] = fill.Replace(value)
	}
	return env
}
