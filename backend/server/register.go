package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// Registration is how this program becomes an extension of an ML Lab.
type Registration struct {
	Lab   string // address of the lab, as people open it or with "/api"
	Token string // of an administrator of the lab; "" = ask Login
	// Login asks a person for the name and the password of an administrator; nil = there is nobody to ask.
	Login      func() (user, password string, err error)
	Image      string
	Name       string            // what people of the lab read; its id is made from it
	Parameters map[string]string // environment of the extension. Every user of the lab can read it
	MemoryMB   int64
	CPUs       float64
	DryRun     bool   // say what would be done
	Version    string // of this program
}

// The port that the image listens on, and what is below it.
const (
	extensionPort     = "8080"
	extensionUI       = extensionPort + "/app#/users/{env.userId}/workspace"
	extensionAPI      = extensionPort + "/api"
	extensionHealth   = extensionAPI + "/healthy"
	extensionPriority = "95"                        // among the lab's other pages, as ML Lab itself sets it
	imageTitle        = "ML Lab Workspaces Manager" // label of the image, from its Dockerfile
)

// How long an extension may take from its start to its first answer, and how often it is asked.
const (
	registeredWithin = 2 * time.Minute
	registeredPoll   = 200 * time.Millisecond
	leaveTimeout     = 5 * time.Second
)

// Register makes this program an extension that every user of a lab sees, unless it is one, waits until it answers through
// the lab, and prints what it does and where the pages are. It never prints a token or a password. Errors say in one sentence
// why the lab does not want it, and what to do.
func Register(ctx context.Context, r Registration, w io.Writer) error {
	endpoint, err := labEndpoint(r.Lab)
	if err != nil {
		return err
	}
	input, err := r.extension(endpoint)
	if err != nil {
		return err
	}
	lab, err := contaxy.New(endpoint)
	if err != nil {
		return workspace.Errorf(workspace.CodeInvalid, "--lab cannot be used: %w", err)
	}
	defer lab.Close()
	printRequest(w, endpoint, input)
	if r.DryRun && r.Token == "" {
		_, err := fmt.Fprintln(w, "Nothing was sent. With a token it would have been compared with what the lab has.")
		return err
	}
	info, err := lab.Info(ctx)
	if err != nil {
		return noLab(err)
	}
	if info.State == contaxy.StateUninitialized {
		return &workspace.Error{
			Code: workspace.CodeUnavailable, Message: "The ML Lab at " + endpoint + " was never initialised, so that it has no administrator yet.",
			Hint: "Open it in a browser, or do it once with: curl -X POST " + endpoint + "/system/initialize",
		}
	}
	registrar := registrar{lab: lab, w: w, input: input, id: workspace.LabID(info.Namespace, contaxy.GlobalProject, input.DisplayName), dry: r.DryRun, version: r.Version}
	if registrar.token = r.Token; registrar.token == "" {
		leave, err := registrar.login(ctx, r.Login)
		if err != nil {
			return err
		}
		defer leave()
	}
	return registrar.register(ctx)
}

// labEndpoint is the address of a lab's API, from what people know: the address that they open it at, or that of the API.
func labEndpoint(address string) (string, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return "", workspace.Errorf(workspace.CodeInvalid, "--lab must be the address at which ML Lab is opened, such as http://localhost:30010.")
	}
	if parsed.User != nil {
		return "", workspace.Errorf(workspace.CodeInvalid, "--lab must hold no name or password: leave them out, you will be asked for them.")
	}
	path := strings.TrimRight(parsed.Path, "/")
	path = strings.TrimSuffix(strings.TrimSuffix(path, "/api"), "/app")
	return parsed.Scheme + "://" + parsed.Host + path + "/api", nil
}

var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// extension is what the lab is asked for. What the extension itself would not start with is refused here already.
func (r Registration) extension(endpoint string) (contaxy.ExtensionInput, error) {
	const shortest = 4 // of a name, says the lab
	refuse := func(text string, args ...any) (contaxy.ExtensionInput, error) {
		return contaxy.ExtensionInput{}, workspace.Errorf(workspace.CodeInvalid, text, args...)
	}
	if len(r.Name) < shortest || len(r.Name) > workspace.MaxDisplayNameLength || strings.IndexFunc(r.Name, func(c rune) bool { return c < ' ' || c > '~' }) >= 0 {
		return refuse("--name must have %d to %d characters of ASCII: ML Lab makes the name of the container from it.", shortest, workspace.MaxDisplayNameLength)
	}
	if r.Image == "" {
		return refuse("--image must name the image of this program that was made with `make image`.")
	}
	if r.MemoryMB < leastMemoryMB {
		return refuse("--memory must be at least %d (MB): ML Lab gives nobody less.", leastMemoryMB)
	}
	if r.CPUs <= 0 {
		return refuse("--cpus must be more than 0.")
	}
	environment := []string{"HOME=/nonexistent", "CONTAXY_API_ENDPOINT=" + endpoint}
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		if !parameterName.MatchString(name) {
			return refuse("--param must be NAME=VALUE, and %q is no name of a variable.", name)
		}
		environment = append(environment, name+"="+r.Parameters[name])
	}
	if _, err := config.Load(config.LoadOptions{Environ: environment}); err != nil {
		return refuse("With these parameters the extension would not start: %w.", err)
	}
	least, leastCPUs := min(r.MemoryMB, leastMemoryMB), min(r.CPUs, leastCPUs)
	parameters := maps.Clone(r.Parameters)
	if parameters == nil {
		parameters = map[string]string{}
	}
	return contaxy.ExtensionInput{
		ContainerImage: r.Image, DisplayName: r.Name, Icon: "code",
		Description: "Lets each user spawn machine-learning workspaces.",
		Endpoints:   []string{extensionPort}, UIEndpoint: extensionUI, APIEndpoint: extensionAPI,
		Metadata: map[string]string{"display_priority": extensionPriority}, Parameters: parameters,
		// Left out, the lab asks for more memory than it then allows, which no cluster can run.
		Compute: contaxy.Compute{MinCPUs: &leastCPUs, MaxCPUs: &r.CPUs, MinMemory: &least, MaxMemory: &r.MemoryMB},
	}, nil
}

// What an extension is promised, whatever it is allowed. The least memory is also what ML Lab never goes below.
const (
	leastMemoryMB = 100
	leastCPUs     = 0.1
)

// tellsSecret is true of the names of variables that people keep secrets in.
func tellsSecret(name string) bool {
	name = strings.ToUpper(name)
	return slices.ContainsFunc([]string{"TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "PRIVATE"}, func(word string) bool { return strings.Contains(name, word) })
}

func printRequest(w io.Writer, endpoint string, input contaxy.ExtensionInput) {
	shown := input
	shown.Parameters = maps.Clone(input.Parameters)
	secret := ""
	for name := range shown.Parameters {
		if tellsSecret(name) {
			shown.Parameters[name], secret = "(not shown)", name
		}
	}
	var body strings.Builder
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(shown) // maps and texts
	_, _ = fmt.Fprintf(w, "POST %s/projects/%s/extensions\n%s", endpoint, contaxy.GlobalProject, body.String())
	if secret != "" {
		_, _ = fmt.Fprintf(w, "Every user of the lab can read the parameters of an extension, %s too.\n", secret)
	}
}

// noLab says for a person with a command line that there is no lab to speak to.
func noLab(err error) error {
	problem, coded := errors.AsType[*workspace.Error](err)
	if !coded || !errors.Is(err, contaxy.ErrNoLab) {
		return err
	}
	told := *problem
	told.Hint = "--lab must be the address at which ML Lab is opened in a browser, such as http://localhost:30010."
	return &told
}

// registrar is one registration with a lab that answers.
type registrar struct {
	lab   *contaxy.Client
	w     io.Writer
	token string
	input contaxy.ExtensionInput
	id    workspace.ID // that the lab will give it
	dry   bool

	version string // of this program
}

func (r *registrar) say(text string, args ...any) { _, _ = fmt.Fprintf(r.w, text+"\n", args...) }

// login takes a token by name and password. leave gives it back.
func (r *registrar) login(ctx context.Context, ask func() (user, password string, err error)) (leave func(), err error) {
	if ask == nil {
		return nil, &workspace.Error{
			Code: workspace.CodeUnauthenticated, Message: "ML Lab wants to know who you are, and there is no terminal to ask you at.",
			Hint: "Set LAB_TOKEN to a token of an administrator of the lab.",
		}
	}
	user, password, err := ask()
	if err != nil {
		return nil, err
	}
	if r.token, err = r.lab.Login(ctx, user, password); err != nil {
		return nil, noLab(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		if err := r.lab.Logout(ctx, r.token); err != nil {
			r.say("The token of this login could not be given back: %s", workspace.MessageOf(err))
		}
	}, nil
}

func (r *registrar) register(ctx context.Context) error {
	if err := r.mayInstall(ctx); err != nil {
		return err
	}
	there, err := r.lab.Extensions(ctx, r.token, contaxy.GlobalProject)
	if err != nil {
		return err
	}
	step, err := nextStep(there, string(r.id), r.input, r.version)
	if err != nil {
		return err
	}
	if r.dry {
		r.say("Nothing was sent. It would %s.", step.would)
		return nil
	}
	err = r.carryOut(ctx, step)
	if errors.Is(err, contaxy.ErrNoLab) {
		err = r.outlastCut(ctx, step.id, err)
	}
	if err != nil {
		return err
	}
	r.say("Waiting until %s answers through the lab …", step.id)
	return r.await(ctx, step.id)
}

func (r *registrar) mayInstall(ctx context.Context) error {
	_, err := r.lab.Verify(ctx, r.token, everything)
	switch workspace.CodeOf(err) {
	case workspace.CodeUnauthenticated:
		return &workspace.Error{Code: workspace.CodeUnauthenticated, Message: "ML Lab does not take this token.", Hint: "Get another one, or leave it out and log in.", Err: err}
	case workspace.CodeForbidden:
		return &workspace.Error{
			Code: workspace.CodeForbidden, Message: "Only an administrator of the lab can install what all its users see, and this user is none.",
			Hint: "Log in as one, or ask one to run this command.", Err: err,
		}
	}
	return err
}

// step is what is to be done for the lab to have the extension as it shall be.
type step struct {
	id      string
	would   string // "install it"
	forget  bool   // the record of one that has no container, before the lab makes it anew
	install bool
	change  *contaxy.Extension // the record that is to be changed first; nil = none
	start   bool
}

// nextStep compares what the lab has with what it shall have. It fails where the lab's API cannot make the one from the
// other: that knows extensions only to make them, and takes those that run for containers of somebody else.
func nextStep(there []contaxy.Extension, id string, input contaxy.ExtensionInput, version string) (step, error) {
	sameID := slices.IndexFunc(there, func(e contaxy.Extension) bool { return e.ID == id })
	sameName := slices.IndexFunc(there, func(e contaxy.Extension) bool { return e.DisplayName == input.DisplayName })
	switch {
	case sameID < 0 && sameName < 0:
		return step{id: id, would: "install it", install: true}, nil
	case sameID < 0:
		return found(there[sameName], input, version)
	}
	here := there[sameID]
	if here.DisplayName != input.DisplayName {
		return step{}, &workspace.Error{
			Code: workspace.CodeConflict, Message: fmt.Sprintf("ML Lab makes the same id, %s, of the name %q, which it has an extension of already, and of %q.", id, here.DisplayName, input.DisplayName),
			Hint: "Choose another --name.",
		}
	}
	differ := differences(here, input)
	switch here.Status {
	case contaxy.StatusStopped:
		if moved(here) != "" { // what the lab has told it of itself changes only where it makes it anew
			return step{id: id, would: "install it anew, in place of the one that is there and has no container: " + strings.Join(differ, "; "), forget: true, install: true}, nil
		}
		if len(differ) == 0 {
			return step{id: id, would: "start the one that is there and has no container", start: true}, nil
		}
		return step{id: id, would: "change the one that is there and has no container, and start it: " + strings.Join(differ, "; "), change: &here, start: true}, nil
	case contaxy.StatusRunning, contaxy.StatusPending:
		if len(differ) == 0 {
			return step{id: id, would: "do nothing: it is there as it should be"}, nil
		}
		return step{}, containerInTheWay(id, fmt.Sprintf("%s is there already, but not like this: %s. ML Lab cannot change an extension that runs.", input.DisplayName, strings.Join(differ, "; ")))
	}
	return step{}, containerInTheWay(id, fmt.Sprintf("%s is there already and does not run: its container is %q, and `docker logs %s` on the lab's machine says why. ML Lab cannot start it anew.", input.DisplayName, here.Status, id))
}

// containerInTheWay tells how to get rid of a container that the lab's API does not find: then the lab knows of none, and
// its record can be changed and started.
func containerInTheWay(id, message string) error {
	return &workspace.Error{
		Code: workspace.CodeConflict, Message: message,
		Hint: fmt.Sprintf("Remove its container on the lab's machine with `docker rm -f %s` and run this command again: it changes what the lab has written down and starts it anew. Workspaces go on meanwhile.", id),
	}
}

// isThisProgram reports whether an extension that was found by its labels is this version of this program, by the labels of
// its image: of several names that an image has, the lab tells the first in the order of the alphabet.
func isThisProgram(here contaxy.Extension, version string) bool {
	return here.Metadata["org.opencontainers.image.title"] == imageTitle && here.Metadata["org.opencontainers.image.version"] == version
}

// found decides about an extension of that name that was not made through the API: the lab has found its container by
// labels, and who made the container looks after it.
func found(here contaxy.Extension, input contaxy.ExtensionInput, version string) (step, error) {
	switch {
	case here.Status == contaxy.StatusStopped:
		return step{}, &workspace.Error{
			Code: workspace.CodeConflict, Message: fmt.Sprintf("The lab still lists an extension named %s, %s, whose container is gone.", here.DisplayName, here.ID),
			Hint: fmt.Sprintf("Start that container again, or have the lab forget it with DELETE …/api/projects/%s/services/%s and run this command again.", contaxy.GlobalProject, here.ID),
		}
	case withTag(here.ContainerImage) == withTag(input.ContainerImage) || isThisProgram(here, version):
		return step{id: here.ID, would: "do nothing: it is there, found by its labels"}, nil
	}
	return step{}, &workspace.Error{
		Code:    workspace.CodeConflict,
		Message: fmt.Sprintf("The lab has another extension named %s already: %s, of the image %s, which it has found by its labels.", here.DisplayName, here.ID, here.ContainerImage),
		Hint:    "Take it out of the compose file or Helm values that it comes from, or choose another --name.",
	}
}

// differences says in what an extension is not as it should be, in a fixed order.
func differences(here contaxy.Extension, input contaxy.ExtensionInput) (differ []string) {
	compare := func(what, is, shall string) {
		if is != shall {
			differ = append(differ, fmt.Sprintf("%s is %s and should be %s", what, cmp.Or(is, "not set"), cmp.Or(shall, "not set")))
		}
	}
	if where := moved(here); where != "" {
		differ = append(differ, where)
	}
	compare("the image", withTag(here.ContainerImage), withTag(input.ContainerImage))
	compare("the icon", here.Icon, input.Icon)
	compare("the port", strings.Join(here.Endpoints, ","), strings.Join(input.Endpoints, ","))
	compare("the page", here.UIEndpoint(), input.UIEndpoint)
	compare("the API", here.APIEndpoint(), input.APIEndpoint)
	compare("the memory", inFull(here.Compute.MaxMemory), inFull(input.Compute.MaxMemory))
	compare("the number of CPUs", inFull(here.Compute.MaxCPUs), inFull(input.Compute.MaxCPUs))
	names := map[string]bool{}
	for name := range input.Parameters {
		names[name] = true
	}
	for name := range here.Parameters {
		if strings.HasPrefix(name, "WORKSPACE_") { // the lab lists the image's own variables, too, of what it has found
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		is, shall := here.Parameters[name], input.Parameters[name]
		switch {
		case is == shall:
		case tellsSecret(name):
			differ = append(differ, name+" is another")
		default:
			compare(name, is, shall)
		}
	}
	return differ
}

// moved says that the lab is below another path than when it made an extension; "" when it is not. What the extension was told
// of the lab, and links that it makes from that, then lead nowhere.
func moved(here contaxy.Extension) string {
	if here.MadeAt == nil || here.UI == "" || *here.MadeAt == here.BelowNow() {
		return ""
	}
	return fmt.Sprintf("the path of the lab was %s when it was installed and is %s", cmp.Or(*here.MadeAt, "/"), cmp.Or(here.BelowNow(), "/"))
}

func inFull[N int64 | float64](number *N) string {
	if number == nil {
		return ""
	}
	return fmt.Sprint(*number)
}

// withTag writes the tag of an image that was named without one.
func withTag(image string) string {
	if strings.LastIndex(image, ":") > strings.LastIndex(image, "/") || strings.Contains(image, "@") {
		return image
	}
	return image + ":latest"
}

func (r *registrar) carryOut(ctx context.Context, next step) error {
	if next.forget {
		if err := r.lab.Delete(ctx, r.token, contaxy.GlobalProject, next.id, false); err != nil && workspace.CodeOf(err) != workspace.CodeNotFound {
			return r.refused(err)
		}
	}
	switch {
	case next.install:
		if _, err := r.lab.InstallExtension(ctx, r.token, contaxy.GlobalProject, r.input); err != nil {
			return r.refused(err)
		}
		r.say("Installed as %s.", next.id)
	case next.start:
		if next.change != nil {
			if err := r.lab.ChangeExtension(ctx, r.token, contaxy.GlobalProject, *next.change, r.input); err != nil {
				return r.refused(err)
			}
			r.say("%s was there without a container; what the lab has written down of it is changed.", r.input.DisplayName)
		}
		if err := r.lab.Act(ctx, r.token, contaxy.GlobalProject, next.id, contaxy.ActionStart); err != nil {
			return r.refused(err)
		}
		r.say("Started %s.", next.id)
	default:
		r.say("%s is there already, as %s.", r.input.DisplayName, next.id)
	}
	return nil
}

// outlastCut finds out what became of a request whose answer was lost. The first extension of a lab on Docker makes its
// backend join a new network; if that comes first by its name, Docker moves the backend's ports there, and cuts what is open.
func (r *registrar) outlastCut(ctx context.Context, id string, lost error) error {
	r.say("The connection was cut while the lab was at work. Looking what became of it …")
	deadline := time.NewTimer(registeredWithin)
	defer deadline.Stop()
	for {
		if here, known := r.look(ctx, id); known && here.Status != contaxy.StatusStopped {
			r.say("%s is there.", id)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return noLab(lost)
		case <-time.After(registeredPoll):
		}
	}
}

// refused says what to do about the lab's no.
func (r *registrar) refused(err error) error {
	problem, coded := errors.AsType[*workspace.Error](err)
	if !coded {
		return err
	}
	told := workspace.Error{Code: problem.Code, Message: problem.Message, Hint: problem.Hint, Err: err}
	switch problem.Code {
	case workspace.CodeInvalid:
		told.Message = "ML Lab refuses it: " + problem.Message
		if strings.Contains(problem.Message, "allowed") {
			name, tag, _ := strings.Cut(withTag(r.input.ContainerImage), ":")
			told.Hint = fmt.Sprintf(`An administrator allows the image with POST %s/system/allowed-images {"image_name": %q, "image_tags": [%q]}.`, r.lab.Endpoint(), name, tag)
		}
	case workspace.CodeConflict:
		told.Message = fmt.Sprintf("The lab has a service %s in its project %s that is no extension.", r.id, contaxy.GlobalProject)
		told.Hint = "Choose another --name, or delete that service."
	case workspace.CodeInternal:
		told.Message = fmt.Sprintf("ML Lab could not start a container of %s, and does not say why.", r.input.ContainerImage)
		told.Hint = fmt.Sprintf("Mostly the image is not there: `docker image ls` on the lab's machine must show it; copy it with `docker save %s | ssh MACHINE docker load`, and run this command again.", r.input.ContainerImage)
	}
	return &told
}

// await waits until the extension answers through the lab's proxy, and says where.
func (r *registrar) await(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, registeredWithin)
	defer cancel()
	for {
		status, err := r.lab.Visit(ctx, r.token, contaxy.GlobalProject, id, extensionHealth)
		if err == nil && status == http.StatusOK {
			return r.tellWhere(ctx, id)
		}
		if here, known := r.look(ctx, id); known && (here.Status == contaxy.StatusFailed || here.Status == contaxy.StatusSucceeded) {
			return &workspace.Error{
				Code: workspace.CodeUnavailable, Message: fmt.Sprintf("The container %s has ended.", id),
				Hint: fmt.Sprintf("`docker logs %s` on the lab's machine says why.", id),
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return &workspace.Error{
				Code: workspace.CodeUnavailable, Message: fmt.Sprintf("%s is installed, but does not answer through the lab (status %d).", id, status),
				Hint: fmt.Sprintf("`docker logs %s` on the lab's machine says what it does.", id),
			}
		case <-time.After(registeredPoll):
		}
	}
}

// look asks the lab how an extension is.
func (r *registrar) look(ctx context.Context, id string) (contaxy.Extension, bool) {
	there, err := r.lab.Extensions(ctx, r.token, contaxy.GlobalProject)
	if err != nil {
		return contaxy.Extension{}, false
	}
	at := slices.IndexFunc(there, func(e contaxy.Extension) bool { return e.ID == id })
	if at < 0 {
		return contaxy.Extension{}, false
	}
	return there[at], true
}

func (r *registrar) tellWhere(ctx context.Context, id string) error {
	here, known := r.look(ctx, id)
	if !known {
		return workspace.Errorf(workspace.CodeNotFound, "%s answers, and the lab does not list it.", id)
	}
	r.say("\n%s is in the menu of the lab. Your own page there:\n\n  %s\n", r.input.DisplayName, at(r.lab.Root(), here.UI))
	return nil
}

// at puts a path that begins at the lab's host, or below where the lab is, after the lab's address.
func at(root, path string) string {
	address, err := url.Parse(root)
	if err != nil {
		return root + path
	}
	if address.Path != "" && strings.HasPrefix(path, address.Path+"/") {
		path = strings.TrimPrefix(path, address.Path)
	}
	return root + path
}
