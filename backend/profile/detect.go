package profile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// Label is the label by which an image names its profile itself.
const Label = "lab-workspace-manager.profile"

// Proposal is what is made of an image that nobody has given a profile.
type Proposal struct {
	Profile string // "" = not known before the image is here
	Port    int    // where the IDE listens, for the workspace's spec; 0 = where the profile says
	Why     string // one sentence for people
	Sure    bool   // false = a person should look at it before relying on it
}

// Detect proposes one of the profiles for an image, from what the image says of itself, or from its name alone while it
// is not here (facts is nil). Its own label wins, then what it starts counts for more than what it is made from, and
// what is not recognised is a plain HTTP server on the port that it exposes.
func Detect(ref string, facts *workspace.ImageFacts, profiles []Profile) Proposal {
	if facts == nil {
		return detectName(ref, profiles)
	}
	seen := look(*facts)
	label := facts.Labels[Label]
	if found, ok := Find(profiles, label); ok {
		return Proposal{Profile: label, Port: seen.portFor(found, true), Why: fmt.Sprintf("Its label asks for the profile %q.", label), Sure: true}
	}
	proposal := detectFacts(seen, profiles)
	if label != "" {
		proposal.Sure = false
		proposal.Why = fmt.Sprintf("Its label asks for the profile %q, which there is not, and i%s", clip(label), strings.TrimPrefix(proposal.Why, "I"))
	}
	return proposal
}

// clip shortens what an image says of itself for a sentence.
func clip(text string) string {
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return text
}

// sight is what of an image's facts tells what it is.
type sight struct {
	workspace.ImageFacts
	ports   []int // that can be, ascending, each once
	env     map[string]string
	entry   []string // the words of the entry point, programs without their folder
	command []string // likewise of the command
	home    string   // where it begins
	root    bool     // it runs as root
}

func look(facts workspace.ImageFacts) sight {
	seen := sight{ImageFacts: facts, env: map[string]string{}, entry: words(facts.Entrypoint), command: words(facts.Command)}
	for _, port := range facts.Ports {
		if port > 0 && port < 1<<16 {
			seen.ports = append(seen.ports, port)
		}
	}
	slices.Sort(seen.ports)
	seen.ports = slices.Compact(seen.ports)
	for _, variable := range facts.Env {
		name, value, _ := strings.Cut(variable, "=")
		seen.env[name] = value
	}
	if seen.home = seen.env["HOME"]; seen.home == "" {
		seen.home = facts.WorkingDir
	}
	user, _, _ := strings.Cut(facts.User, ":")
	seen.root = user == "" || user == "root" || user == "0"
	return seen
}

// words are those of a command line, the ones inside of "sh -c …" too. Programs lose their folder.
func words(line []string) []string {
	all := strings.FieldsFunc(strings.Join(line, " "), func(r rune) bool { return strings.ContainsRune(" \t\r\n;&|()\"'`", r) })
	for i, word := range all {
		if strings.HasPrefix(word, "/") {
			all[i] = path.Base(word)
		}
	}
	return all
}

// starts reports whether the entry point or the command name one of these programs.
func (s sight) starts(programs ...string) bool {
	return containsAny(s.entry, programs) || containsAny(s.command, programs)
}

func containsAny(list, wanted []string) bool {
	return slices.ContainsFunc(list, func(word string) bool { return slices.Contains(wanted, word) })
}

// names reports whether entry point or command contain a text as it is written.
func (s sight) names(text string) bool {
	return slices.ContainsFunc(slices.Concat(s.Entrypoint, s.Command), func(word string) bool { return strings.Contains(word, text) })
}

// detectFacts goes through what is known of images, the surest signs first.
func detectFacts(seen sight, profiles []Profile) Proposal {
	for _, recognise := range []func(sight) (name string, why sentence){
		recogniseOurs, recogniseMLWorkspace, recogniseDockerStacks, recogniseLinuxServer, recogniseCodeServer, recogniseRStudio,
		recogniseJupyter, recogniseMLWorkspaceRemains,
	} {
		name, why := recognise(seen)
		if found, ok := Find(profiles, name); ok && name != "" {
			sure := len(why.but) == 0
			return Proposal{Profile: name, Port: seen.portFor(found, sure), Why: why.String(), Sure: sure}
		}
	}
	found, ok := Find(profiles, Custom.Name)
	if !ok {
		return Proposal{Why: "It is none of the images that the configured profiles are for."}
	}
	_, why := seen.likelyPort(found.Port)
	return Proposal{Profile: found.Name, Port: seen.portFor(found, false), Why: why.String(), Sure: len(why.but) == 0}
}

// sentence says why: what is so, what it is a sign of, and what speaks against it.
type sentence struct {
	so  []string
	as  string
	but []string
}

func (s sentence) String() string {
	text := "It " + list(s.so)
	if s.as != "" {
		text += ", as " + s.as
	}
	if len(s.but) > 0 {
		text += ", but " + list(s.but)
	}
	return text + "."
}

// list joins parts as people do: "a, b and c".
func list(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// portFor is where the IDE of a profile listens in this image, as Proposal.Port has it. sure says that the image is what
// the profile is for.
func (s sight) portFor(p Profile, sure bool) int {
	port := p.Port
	switch {
	case p.Name == Custom.Name:
		port, _ = s.likelyPort(p.Port)
	case sure && p.tellsPort(): // it listens there whatever it exposes
	case len(s.ports) == 1:
		port = s.ports[0]
	}
	if port == p.Port {
		return 0
	}
	return port
}

// tellsPort reports whether the image is told on which port to listen.
func (p Profile) tellsPort() bool {
	for _, value := range p.Env {
		if strings.Contains(value, "{port}") {
			return true
		}
	}
	return slices.ContainsFunc(p.Args, func(arg string) bool { return strings.Contains(arg, "{port}") })
}

// likelyPort is where a program of which nothing is known may serve a web page, and why.
func (s sight) likelyPort(otherwise int) (int, sentence) {
	if len(s.ports) == 0 {
		return otherwise, sentence{so: []string{"exposes no port"}, but: []string{fmt.Sprintf("%d is usual for web pages", otherwise)}}
	}
	why := sentence{so: []string{"exposes " + portsTitle(s.ports)}}
	if lab, other := jupyterIn(s.entry); lab || other {
		why.but = append(why.but, "its entry point starts Jupyter, which cannot be told its path that way")
	}
	candidates := slices.Clone(s.ports)
	drop := func(port int, because string) {
		if !slices.Contains(candidates, port) {
			return
		}
		if !slices.Contains(why.but, because) {
			why.but = append(why.but, because)
		}
		if len(candidates) > 1 {
			candidates = slices.DeleteFunc(candidates, func(candidate int) bool { return candidate == port })
		}
	}
	// What an image is made from leaves its port behind although something else is started.
	if s.env["NB_USER"] != "" {
		drop(DockerStacks.Port, "it is only like Jupyter's docker-stacks")
	}
	if s.env["RSTUDIO_VERSION"] != "" {
		drop(RStudio.Port, "it is only like Rocker's images with RStudio")
	}
	for _, port := range []int{22, 3306, 5432, 5900, 6379} { // SSH, MySQL, PostgreSQL, VNC, Redis
		drop(port, fmt.Sprintf("%d is not usual for web pages", port))
	}
	port := candidates[0]
	if len(s.ports) > 1 {
		port = usualPort(candidates)
		why.but = append(why.but, fmt.Sprintf("only one port can be opened, most likely %d", port))
	} else if len(why.but) == 0 {
		why.so = append(why.so, "is none of the images we know")
	}
	return port, why
}

// usualPort is the most usual one for web pages: of notebooks and web programs, of Streamlit and Gradio, of RStudio.
func usualPort(ports []int) int {
	for _, usual := range []int{8888, 8080, 8000, 3000, 5000, 8501, 7860, 8787, 8081, 9000, 80} {
		if slices.Contains(ports, usual) {
			return usual
		}
	}
	return ports[0]
}

// portsTitle is "port 80" or "ports 80 and 8080". Of very many it names the first ones.
func portsTitle(ports []int) string {
	if len(ports) == 1 {
		return fmt.Sprintf("port %d", ports[0])
	}
	var names []string
	for _, port := range ports[:min(len(ports), 5)] {
		names = append(names, fmt.Sprint(port))
	}
	if more := len(ports) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return "ports " + list(names)
}
