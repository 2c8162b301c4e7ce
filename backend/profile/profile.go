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
	"strconv"
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
	// Args take the place of the image's own command, after its entry point; nil = that one. They are filled in as Env is.
	Args []string
	// Env is given to the container. {access_path} in a value becomes the workspace's base URL, {id} its id, {port} the port
	// where its IDE is expected.
	Env map[string]string
	// SecretEnv names the variables through which the image hears the secret that locks its IDE.
	SecretEnv []string
	// OpenArgs and OpenEnv are added to Args and Env where there is no secret, as in an ML Lab, whose own proxy takes visitors to
	// the IDE: an image that is told nothing may lock itself with a secret of its own making, which nobody knows.
	OpenArgs []string
	OpenEnv  map[string]string
	// SecretHeaderName and SecretHeaderValue are how the access proxy tells the IDE the secret, with {secret} in it; "" = the
	// image has no lock. A Cookie is added to those of the visitor. The value is filled in as Env is, too.
	SecretHeaderName  string
	SecretHeaderValue string
	// Headers are sent to the IDE with every request; they are filled in as Env is.
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

// Find returns the profile of that name.
func Find(profiles []Profile, name string) (Profile, bool) {
	for _, p := range profiles {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// Open is the profile for an engine that locks nothing.
func (p Profile) Open() Profile {
	if len(p.OpenArgs) > 0 {
		p.Args = slices.Concat(p.Args, p.OpenArgs)
	}
	if len(p.OpenEnv) > 0 {
		env := maps.Clone(p.Env)
		if env == nil {
			env = map[string]string{}
		}
		maps.Copy(env, p.OpenEnv)
		p.Env = env
	}
	p.SecretEnv = nil
	return p
}

// WithPort is the profile of a workspace whose IDE listens elsewhere; 0 leaves the profile's own port.
func (p Profile) WithPort(port int) Profile {
	if port != 0 {
		p.Port = port
	}
	return p
}

// AccessPath is where the workspace is reached on every one of our listeners and in ML Lab. A trailing b says that the
// path is forwarded whole, so the IDE must know it as its base URL; without it the IDE is asked at its root (facts: ML
// Lab's access path has two spellings).
func (p Profile) AccessPath(owner workspace.Owner, id workspace.ID) string {
	path := fmt.Sprintf("/projects/%s/services/%s/access/%d", owner, id, p.Port)
	if p.KeepsPath {
		path += "b"
	}
	return path
}

// Environment is what the container of that workspace gets, without the secret.
func (p Profile) Environment(owner workspace.Owner, id workspace.ID) map[string]string {
	return p.filledAll(p.Env, owner, id)
}

// RequestHeaders are sent to the IDE of that workspace with every request, besides the one with the secret.
func (p Profile) RequestHeaders(owner workspace.Owner, id workspace.ID) map[string]string {
	return p.filledAll(p.Headers, owner, id)
}

// Arguments take the place of the image's own command; nil = that one.
func (p Profile) Arguments(owner workspace.Owner, id workspace.ID) []string {
	fill := p.filler(owner, id)
	args := slices.Clone(p.Args)
	for i, arg := range args {
		args[i] = fill.Replace(arg)
	}
	return args
}

// SecretValue is what the header SecretHeaderName says of that workspace; "" = the image has no lock.
func (p Profile) SecretValue(owner workspace.Owner, id workspace.ID, secret string) string {
	return strings.ReplaceAll(p.filler(owner, id).Replace(p.SecretHeaderValue), "{secret}", secret)
}

func (p Profile) filledAll(values map[string]string, owner workspace.Owner, id workspace.ID) map[string]string {
	fill := p.filler(owner, id)
	filled := maps.Clone(values)
	for name, value := range filled {
		filled[name] = fill.Replace(value)
	}
	return filled
}

// filler fills in what a profile says of any workspace with what is true of one.
func (p Profile) filler(owner workspace.Owner, id workspace.ID) *strings.Replacer {
	return strings.NewReplacer("{access_path}", p.AccessPath(owner, id), "{id}", string(id), "{port}", strconv.Itoa(p.Port))
}
