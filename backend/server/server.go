package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"lab-workspace-manager/backend/access"
	"lab-workspace-manager/backend/activity"
	"lab-workspace-manager/backend/activity/jupyter"
	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/auth"
	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/filewatch"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

// Options are what a Server is made of. Loaded and Log are required.
type Options struct {
	Loaded  config.Loaded
	Version string
	Log     *slog.Logger
	// LogLevel is set when the configuration changes it; nil = nothing follows.
	LogLevel *slog.LevelVar
	// Watch is how Loaded was loaded: the file is followed while the program runs. nil = it is not.
	Watch *config.LoadOptions
	// API serves the HTTP API and the pages of Frontend. The window needs neither: it opens no port but that of the access
	// proxy, which browsers reach workspaces by.
	API      bool
	Frontend fs.FS
	// Engine replaces Docker in tests and measurements; nil = Docker.
	Engine workspace.Engine
}

// Server is a running program without its surface: the window calls Manager and Presenter, browsers come by HTTP.
type Server struct {
	Manager   *manager.Manager
	Presenter *api.Presenter

	log           *slog.Logger
	instance      *instance
	engine        workspace.Engine
	configuration *configuration
	watcher       *config.Watcher // nil = the file is not followed
	logLevel      *slog.LevelVar
	activity      *activity.Ledger // what the access proxy sees of people
	jupyter       *jupyter.Prober
	proxy         *access.Proxy // nil where ML Lab's own proxy serves the workspaces
	owner         *auth.Owner   // nil without API, and where an ML Lab says who may do what
	lab           *lab          // nil where this is no extension of one
	folders       config.Folders
	access        *listener // nil without proxy
	api           *listener // nil without API
	outside       outside
	resolves      hostProbe
	tokenFile     string
	token         auth.Token
}

// New opens the state folder, makes the parts and takes the ports, so that whatever cannot work is known before anything
// is promised. Nothing is served before Run. CodeConflict when the state folder or a port is in use.
func New(ctx context.Context, options Options) (srv *Server, err error) {
	s := &Server{log: options.Log, folders: options.Loaded.Folders, activity: &activity.Ledger{}, jupyter: jupyter.New(nil), logLevel: options.LogLevel, configuration: &configuration{loaded: options.Loaded}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if options.API && options.Loaded.Config.MLLab.Endpoint != "" {
		if s.lab, err = newLab(options); err != nil {
			return nil, err
		}
	} else if drives, _ := options.Loaded.Config.Drives(); options.API && drives == config.EngineMLLab {
		return nil, workspace.Errorf(workspace.CodeInvalid, "engine is %q, and mllab.endpoint (variable CONTAXY_API_ENDPOINT) does not say where the lab is.", config.EngineMLLab)
	}
	if s.lab.keepsNothing() {
		if s.folders, err = temporaryFolders(s.folders); err != nil {
			return nil, err
		}
	}
	newID := newInstanceID
	if s.lab.aboveDocker() != nil {
		newID = func() string { return extensionID(os.Getenv("CONTAXY_DEPLOYMENT_NAME")) }
	}
	if s.instance, err = openInstance(ctx, s.folders, newID); err != nil {
		return nil, err
	}
	s.tokenFile = s.folders.TokenFile()
	s.token, err = auth.OpenToken(s.tokenFile)
	if err != nil {
		return nil, err
	}
	if err := s.makeManager(ctx, options); err != nil {
		return nil, err
	}
	s.Presenter = &api.Presenter{
		Manager: s.Manager,
		Product: api.Product{Name: "lab-workspace-manager", Version: options.Version},
		InLab:   s.lab != nil,

		Configuration: s.configuration,
	}
	if s.lab != nil {
		s.Presenter.AccessBase = s.lab.base
	}
	if s.lab == nil { // else its own proxy leads to workspaces
		if err := s.makeAccess(options); err != nil {
			return nil, err
		}
		s.outside = outsideOf(ctx, s.engine)
		s.Presenter.Access = api.AccessInfo{Port: s.outside.port(s.access.port()), HostSuffix: hostSuffix}
	}
	if options.Watch != nil {
		s.watcher = config.NewWatcher(*options.Watch, options.Loaded, s.reloaded)
	}
	if options.API {
		if err := s.makeAPI(options); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Server) makeManager(ctx context.Context, options Options) error {
	s.engine = options.Engine
	startsAtOnce := 0
	if s.lab.keepsNothing() {
		s.engine, startsAtOnce = s.lab.engine, startsThroughLab
	}
	if s.engine == nil {
		engine, err := newEngine(options.Loaded, s.instance.id, s.instance.namespace(), s.lab.forDocker(), options.Log)
		if err != nil {
			return err
		}
		s.engine = engine
		if above := s.lab.aboveDocker(); above != nil {
			above.variable = engine.Variable
		}
	}
	var err error
	s.Manager, err = manager.New(ctx, manager.Options{
		Engine: s.engine, Store: s.instance.store, Namespace: s.instance.namespace(),
		Settings: settingsOf(options.Loaded.Config), Log: options.Log, Activity: s.activity, Ask: s.ask,
		StartsAtOnce: startsAtOnce,
	})
	return err
}

// ask asks a workspace whether it computes.
func (s *Server) ask(ctx context.Context, target manager.ProbeTarget) ([]activity.Vote, error) {
	if target.Kind != profile.ProbeJupyter {
		return nil, nil // nobody to ask, which is no error
	}
	if s.lab != nil { // where nothing is locked
		target.SecretHeaderName, target.SecretHeaderValue = "", ""
		if target.Path != "" {
			target.Path = s.lab.base + target.Path
		}
	}
	return s.jupyter.Probe(ctx, jupyter.Target{
		Endpoint: target.Endpoint, Path: target.Path, SecretHeaderName: target.SecretHeaderName, SecretHeaderValue: target.SecretHeaderValue,
	})
}

func (s *Server) makeAccess(options Options) error {
	var err error
	s.proxy, err = access.New(access.Options{
		Resolver: resolver{s.Manager, s.activity}, Key: []byte(s.token), Instance: s.instance.id, Problem: api.WriteProblem,
		HostSuffix: hostSuffix, Hosts: options.Loaded.Config.Server.AllowedHosts, Log: options.Log,
	})
	if err != nil {
		return err
	}
	address, movable := options.Loaded.Config.Server.Access()
	s.access, err = listen(address, movable, "the access proxy (server.access_listen)", newAccessServer(s.proxy, options.Log))
	return err
}

func (s *Server) makeAPI(options Options) error {
	settings := options.Loaded.Config.Server
	guard, err := auth.NewGuard(auth.GuardOptions{
		Problem: api.WriteProblem, Hosts: settings.AllowedHosts, Origins: settings.AllowedOrigins, Log: options.Log,
		// Browsers reach us by the name of the lab, which nobody has told us, and within its frame.
		AnyHost: s.lab != nil, FramedBySelf: s.lab != nil,
	})
	if err != nil {
		return err
	}
	sessions := func(next http.Handler) http.Handler { return next } // in a lab they are the lab's
	if s.lab == nil {
		s.owner, err = auth.NewOwner(auth.OwnerOptions{
			User: s.instance.owner, Token: s.token, Instance: s.instance.id, Problem: api.WriteProblem, Log: options.Log,
		})
		if err != nil {
			return err
		}
		sessions = s.owner.Sessions
	}
	handler := guard.Wrap(sessions(s.routes(options.Frontend)))
	s.api, err = listen(settings.Listen, false, "API and pages (server.listen, PORT)", newAPIServer(handler, options.Log))
	if err == nil && s.lab == nil && !s.api.isLocal() {
		options.Log.Warn("other machines reach the pages without encryption: put a front with TLS before them, and have them listen on 127.0.0.1", "listen", s.api.address())
	}
	return err
}

// Owner is on whose behalf the window acts: who runs the program, and so its administrator.
func (s *Server) Owner() manager.Caller { return manager.Caller{User: s.instance.owner, Admin: true} }

// Greet tells where the pages are, with a link that logs one browser in, and how somebody who sits elsewhere gets there.
func (s *Server) Greet(w io.Writer) {
	if s.lab != nil {
		_, _ = fmt.Fprintf(w, "Serving at port %d as an extension of the ML Lab at %s.\n", s.api.port(), s.lab.client.Endpoint())
		return
	}
	port, accessPort := s.outside.port(s.api.port()), s.outside.port(s.access.port())
	host := s.api.host()
	_, _ = fmt.Fprintf(w, "\nWorkspaces are here:\n\n  http://%s/enter?code=%s\n\n", net.JoinHostPort(host, fmt.Sprint(port)), s.owner.NewCode())
	_, _ = fmt.Fprintln(w, "The link logs one browser in, once, within ten minutes. Later the page asks for the token:")
	_, _ = fmt.Fprintln(w, "`lab-workspace-manager token show` prints it.")
	if doubt := s.outside.doubt(s.api.port(), s.access.port()); doubt != "" {
		_, _ = fmt.Fprintf(w, "\n%s", doubt)
	}
	name, here := loginName(), "MACHINE"
	if s.outside.contained { // which has names of its own
		name = "NAME"
	} else if known, err := os.Hostname(); err == nil {
		here = known
	}
	_, _ = fmt.Fprintf(w, "\nYou sit elsewhere? Run this there first, and use the same link:\n\n  ssh -L %d:127.0.0.1:%d -L %d:127.0.0.1:%d %s@%s\n\n",
		port, port, accessPort, accessPort, name, here)
}

// Run serves until ctx ends, then lets requests finish, ends the manager and gives up the state folder. Workspaces go on.
func (s *Server) Run(ctx context.Context) error {
	defer func() { s.log.Info("ended; workspaces go on") }()
	managing, stopManaging := context.WithCancel(context.WithoutCancel(ctx))
	defer stopManaging()
	var running sync.WaitGroup
	running.Go(func() { s.Manager.Run(managing) })
	running.Go(func() { s.followToken(managing) })
	if s.lab.aboveDocker() != nil {
		running.Go(func() { s.followVisits(managing) })
	}
	if s.watcher != nil {
		running.Go(func() { s.watcher.Run(managing, filewatch.Slowly) })
	}

	failed := make(chan error, 2)
	for _, l := range s.listeners() {
		go func() { failed <- l.serve() }()
	}
	if s.lab == nil {
		s.log.Info("serving", "access", s.access.address(), "owner", s.instance.owner, "state", s.instance.id)
	} else {
		s.log.Info("serving", "address", s.api.address(), "lab", s.lab.client.Endpoint(), "state", s.instance.id)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	if s.proxy != nil {
		s.proxy.Close()
	}
	for _, l := range s.listeners() {
		err = errors.Join(err, l.shutdown())
	}
	stopManaging()
	running.Wait()
	return errors.Join(err, s.close())
}

// followToken takes up a token that was rotated while we run, and ends everything that the old one had begun.
func (s *Server) followToken(ctx context.Context) {
	var known os.FileInfo // none at first: whatever came since the token was read is noticed
	look := func() {
		now, err := os.Stat(s.tokenFile)
		if err != nil || (known != nil && os.SameFile(known, now) && known.ModTime().Equal(now.ModTime())) {
			return
		}
		known = now
		s.takeToken()
	}
	filewatch.Watch(ctx, s.tokenFile, filewatch.Slowly, filewatch.Quickly, look)
}

// takeToken puts the token in its file in the place of the present one.
func (s *Server) takeToken() {
	token, err := auth.OpenToken(s.tokenFile)
	if err == nil && token == s.token {
		return
	}
	if err == nil && s.owner != nil {
		err = s.owner.Rekey(token)
	}
	if err == nil && s.proxy != nil {
		err = s.proxy.Rekey([]byte(token))
	}
	if err != nil {
		s.log.Error("the new token is not used", "error", err)
		return
	}
	s.token = token
	s.log.Info("the token was rotated; sessions of the old one have ended")
}

func (s *Server) listeners() (there []*listener) {
	for _, l := range []*listener{s.access, s.api} {
		if l != nil {
			there = append(there, l)
		}
	}
	return there
}

// close gives up what New took, as far as it got.
func (s *Server) close() error {
	var errs []error
	for _, l := range s.listeners() {
		errs = append(errs, l.close())
	}
	s.jupyter.Close()
	if engine, closes := s.engine.(io.Closer); closes {
		errs = append(errs, engine.Close())
	}
	if s.instance != nil {
		errs = append(errs, s.instance.close())
	}
	return errors.Join(append(errs, s.lab.close(s.folders))...)
}

// resolver shows the manager's workspaces to the access proxy.
type resolver struct {
	manager  *manager.Manager
	activity *activity.Ledger
}

var _ access.Resolver = resolver{}

func (r resolver) Resolve(id workspace.ID) (access.Target, error) {
	route, err := r.manager.Route(id)
	if err != nil {
		return access.Target{}, err
	}
	view := route.Workspace
	return access.Target{
		Owner: view.Record.Owner, ID: view.Record.ID, UID: view.Record.UID, DisplayName: view.Record.Spec.DisplayName,
		Status: view.Status, Reason: view.Reason, Endpoint: route.Endpoint, AccessPath: route.AccessPath,
		SecretHeaderName: route.SecretHeaderName, SecretHeaderValue: route.SecretHeaderValue, Headers: route.Headers, Progress: view.Steps,
		Signs: r.activity.Trace(view.Record.UID), Polls: route.Polls, QuietFrame: route.QuietFrame, Typed: route.Typed,
	}, nil
}

// Start is what a visit to a stopped workspace does. Who comes with the workspace's cookie acts for its owner.
func (r resolver) Start(ctx context.Context, owner workspace.Owner, id workspace.ID) error {
	return r.manager.Start(ctx, manager.Caller{User: owner}, owner, id)
}

// Link makes a one-time address of a workspace for a browser on this machine. address is "host", "loopback", or "" to
// let the server choose.
func (s *Server) Link(ctx context.Context, view *workspace.Workspace, address string) (api.Link, error) {
	return s.link(ctx, view, address, "127.0.0.1")
}

// link makes a one-time address for a browser that reached us by the host name. Only where that is a loopback name do
// hosts of the workspace's own lead to this machine.
func (s *Server) link(ctx context.Context, view *workspace.Workspace, address, host string) (api.Link, error) {
	if s.lab != nil {
		return s.lab.link(ctx, s.Manager.AccessPath(view)), nil
	}
	switch {
	case address == "" && isLoopback(host) && s.resolves.ask(ctx, string(view.Record.ID)+"."+hostSuffix):
		address = "host"
	case address == "" || (address == "host" && !isLoopback(host)):
		address = "loopback"
	}
	base := "http://" + net.JoinHostPort(host, fmt.Sprint(s.outside.port(s.access.port())))
	url, expires, err := s.proxy.Link(view.Record.Owner, view.Record.ID, address, base)
	return api.Link{URL: url, ExpiresAt: expires}, err
}

// hostSuffix is below what workspaces have hosts of their own. Browsers take it to be this machine.
const hostSuffix = "localhost"

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// hostProbe remembers for a while whether the system's own resolver knows names below localhost. Browsers do without it,
// scripts do not. The zero value is ready to use.
type hostProbe struct {
	mu    sync.Mutex
	until time.Time
	known bool
}

const (
	probeLasts   = time.Minute
	probeTimeout = 200 * time.Millisecond
)

func (p *hostProbe) ask(ctx context.Context, name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return p.known
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	p.known = err == nil && len(addresses) > 0 && isLoopback(addresses[0])
	p.until = time.Now().Add(probeLasts)
	return p.known
}
