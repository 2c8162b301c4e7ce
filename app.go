package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	goruntime "runtime"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/pkg/browser"
	"github.com/wailsapp/wails/v2"
	"github.com/wailsapp/wails/v2/pkg/options"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
	"github.com/wailsapp/wails/v2/pkg/options/linux"
	"github.com/wailsapp/wails/v2/pkg/runtime"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/server"
	"lab-workspace-manager/backend/workspace"
)

// App is what the window's page can call: every use case of the manager as a bound method, and events for what changes.
// All methods are safe for concurrent use; Wails calls each from a goroutine of its own. A returned error reaches the
// page as {code, detail}.
//
// Only pages of the binary itself may reach these methods: the window never loads or frames a workspace, because on
// Linux a frame of another origin can call bindings too (facts on Wails, section 3.4).
type App struct {
	log    *slog.Logger
	report string // file for what the page shows; "" = nobody wants to know

	ready  chan struct{} // closed when the manager answers
	server *server.Server

	mu      sync.Mutex
	ctx     context.Context // Wails' context, for its events
	streams map[string]context.CancelFunc
	follow  context.CancelFunc
}

func newApp(log *slog.Logger, report string) *App {
	return &App{log: log, report: report, ready: make(chan struct{}), streams: map[string]context.CancelFunc{}}
}

// Rendered is what a page reports that it shows.
type Rendered struct {
	Route      string              `json:"route"`
	Workspaces []RenderedWorkspace `json:"workspaces"`
}

// RenderedWorkspace is one row that a page shows.
type RenderedWorkspace struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	State string `json:"state"`
}

const (
	eventChannel = "lab:event"
	logChannel   = "lab:logs:"
	callTimeout  = 5 * time.Minute // a delete waits for its container
	maxStreams   = 64              // logs that pages follow at once

	browserPatience = 2 * time.Second // for the system to say that it has no browser
)

// errNoWindow says that there is no place for a window.
var errNoWindow = errors.New("the window cannot be opened. Run the program with --serve, and open the link that it prints in a browser")

// openWindow shows the window and returns when it is closed. start brings the manager up; its error is shown, too,
// because whoever clicks on an icon sees nothing else. state is the state folder: a second window on it only raises the
// first. errNoWindow when there is no place for one.
func openWindow(app *App, assets assetserver.Options, state string, start func(context.Context) (*server.Server, error)) (err error) {
	defer func() {
		if cause := recover(); cause != nil { // Wails has no other way to say that there is no display
			err = fmt.Errorf("%v: %w", cause, errNoWindow)
		}
	}()
	var startErr error
	err = wails.Run(&options.App{
		Title:     "Workspaces",
		Width:     1280,
		Height:    840,
		MinWidth:  360,
		MinHeight: 480,
		// The paper of the light theme, so that the window does not flash while the page loads.
		BackgroundColour: options.NewRGB(0xFB, 0xFA, 0xF8),
		AssetServer:      &assets,
		Linux:            &linux.Options{ProgramName: "lab-workspace-manager"},
		SingleInstanceLock: &options.SingleInstanceLock{
			UniqueId:               fmt.Sprintf("lab-workspace-manager-%08x", crc32.ChecksumIEEE([]byte(state))),
			OnSecondInstanceLaunch: func(options.SecondInstanceData) { app.raise() },
		},
		ErrorFormatter: formatError,
		Bind:           []any{app},
		OnStartup: func(ctx context.Context) {
			app.mu.Lock()
			app.ctx = ctx
			app.mu.Unlock()
			app.server, startErr = start(ctx)
			if startErr != nil {
				showStartError(ctx, startErr)
				runtime.Quit(ctx)
				return
			}
			close(app.ready)
		},
		OnShutdown: func(context.Context) { app.stopStreams() },
	})
	return errors.Join(err, startErr)
}

// raise brings the window to the front, once there is one.
func (a *App) raise() {
	a.mu.Lock()
	window := a.ctx
	a.mu.Unlock()
	if window != nil {
		runtime.WindowUnminimise(window)
		runtime.Show(window)
	}
}

// showStartError returns when it has been read. Wails hears no signal meanwhile, and nothing runs that had to be ended.
func showStartError(ctx context.Context, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	go func() {
		<-signals
		os.Exit(1)
	}()
	_, _ = runtime.MessageDialog(ctx, runtime.MessageDialogOptions{
		Type: runtime.ErrorDialog, Title: "Workspaces cannot start", Message: sentenceOf(err),
	})
}

// formatError turns an error into what the page rejects with.
func formatError(err error) any {
	said := map[string]string{"code": string(workspace.CodeOf(err)), "detail": workspace.MessageOf(err), "hint": workspace.HintOf(err)}
	if coded, ok := errors.AsType[*workspace.Error](err); ok && coded.Field != "" {
		said["field"] = coded.Field
	}
	return said
}

// use waits until the manager answers and returns what a method needs.
func (a *App) use() (*server.Server, manager.Caller, context.Context, context.CancelFunc) {
	<-a.ready
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	return a.server, a.server.Owner(), ctx, cancel
}

// Me tells who works at this desktop.
func (a *App) Me() api.User {
	_, caller, _, done := a.use()
	defer done()
	return api.User{ID: string(caller.User), Name: string(caller.User), Admin: caller.Admin}
}

// Config tells what a create dialog needs.
func (a *App) Config() api.Config {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Config(caller.User)
}

// Host tells of the engine, its machine and the limits.
func (a *App) Host() api.Host {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Host(caller, caller.User)
}

// Images lists the images that are offered.
func (a *App) Images() ([]api.Image, error) {
	srv, _, ctx, done := a.use()
	defer done()
	return srv.Presenter.Images(ctx)
}

// List lists the workspaces, sorted by creation.
func (a *App) List() ([]api.Workspace, error) {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Workspaces(caller, caller.User)
}

// Get returns one workspace.
func (a *App) Get(id string) (api.Workspace, error) {
	srv, caller, _, done := a.use()
	defer done()
	return shown(srv)(srv.Manager.Get(caller, caller.User, workspace.ID(id)))
}

// Create creates a workspace and, unless asked otherwise, starts it.
func (a *App) Create(input api.WorkspaceInput) (api.Workspace, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return shown(srv)(srv.Manager.Create(ctx, caller, caller.User, input.Request()))
}

// Update changes a workspace.
func (a *App) Update(id string, update api.WorkspaceUpdate) (api.Workspace, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return shown(srv)(srv.Manager.Update(ctx, caller, caller.User, workspace.ID(id), update.Request()))
}

// shown turns what the manager answers into what the page shows.
func shown(srv *server.Server) func(*workspace.Workspace, error) (api.Workspace, error) {
	return func(view *workspace.Workspace, err error) (api.Workspace, error) {
		if err != nil {
			return api.Workspace{}, err
		}
		return srv.Presenter.Workspace(view), nil
	}
}

// Start starts a workspace that is stopped or has ended.
func (a *App) Start(id string) error {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Manager.Start(ctx, caller, caller.User, workspace.ID(id))
}

// Stop stops a workspace, or calls its start off.
func (a *App) Stop(id string) error {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Manager.Stop(ctx, caller, caller.User, workspace.ID(id))
}

// Keep takes the deletion of a workspace back whose files could not be deleted.
func (a *App) Keep(id string) error {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Manager.Keep(ctx, caller, caller.User, workspace.ID(id))
}

// Restart replaces the container of a workspace.
func (a *App) Restart(id string) error {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Manager.Restart(ctx, caller, caller.User, workspace.ID(id))
}

// Delete deletes a workspace and, only if asked, its files.
func (a *App) Delete(id string, deleteVolumes bool) error {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Manager.Delete(ctx, caller, caller.User, workspace.ID(id), deleteVolumes)
}

// Open opens a workspace in the system's browser and returns the one-time address, for a page that wants to show it.
func (a *App) Open(id string) (string, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	view, err := srv.Manager.Get(caller, caller.User, workspace.ID(id))
	if err != nil {
		return "", err
	}
	link, err := srv.Link(ctx, view, browserAddress())
	if err != nil {
		return "", err
	}
	return link.URL, openInBrowser(link.URL)
}

// browserAddress is the kind of address that the system's browser takes. Chrome, Edge and Firefox know names below
// localhost without asking the system; Safari asks it.
func browserAddress() string {
	if goruntime.GOOS == "darwin" {
		return ""
	}
	return "host"
}

// OpenExternal opens a web address in the system's browser.
func (a *App) OpenExternal(address string) error { return openInBrowser(address) }

// openInBrowser opens web addresses only: anything else could start programs.
func openInBrowser(address string) error {
	parsed, err := url.Parse(address)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return workspace.Invalid("url", "Only web addresses can be opened.")
	}
	// Where there is no desktop environment the call lasts until the browser ends; a failure shows at once.
	opened := make(chan error, 1)
	go func() { opened <- browser.OpenURL(parsed.String()) }()
	select {
	case err = <-opened:
	case <-time.After(browserPatience):
	}
	if err != nil {
		return &workspace.Error{Code: workspace.CodeUnavailable, Message: "No browser could be opened.", Hint: "Open this address yourself: " + address, Err: err}
	}
	return nil
}

// Usage measures the files of a workspace.
func (a *App) Usage(id string) (api.Usage, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	usage, err := srv.Manager.Usage(ctx, caller, caller.User, workspace.ID(id))
	return api.UsageOf(usage), err
}

// Quota tells what may be had, and what is taken.
func (a *App) Quota() (api.Quota, error) {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Quota(caller, caller.User)
}

// Limits tells the limits of one workspace with an image of a profile.
func (a *App) Limits(profile string) api.Limits {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Limits(caller.User, profile)
}

// Profiles lists the kinds of image there are.
func (a *App) Profiles() []api.Profile {
	srv, _, _, done := a.use()
	defer done()
	return srv.Presenter.Profiles()
}

// DetectImage says what kind of image it seems to be, and why.
func (a *App) DetectImage(image string) (api.Proposal, error) {
	srv, _, ctx, done := a.use()
	defer done()
	return srv.Presenter.Detect(ctx, image)
}

// Check says whether a new workspace would fit.
func (a *App) Check(input api.WorkspaceInput) (api.Check, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Presenter.Check(ctx, caller, caller.User, input)
}

// CheckUpdate says whether a change of a workspace would fit.
func (a *App) CheckUpdate(id string, update api.WorkspaceUpdate) (api.Check, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Presenter.CheckUpdate(ctx, caller, caller.User, workspace.ID(id), update)
}

// Extend keeps a workspace from being stopped for being unused; 0 seconds are its idle timeout once more.
func (a *App) Extend(id string, seconds float64) (api.Workspace, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return shown(srv)(srv.Manager.Extend(ctx, caller, caller.User, workspace.ID(id), api.Seconds(seconds).Duration()))
}

// AdminOverview tells who has what.
func (a *App) AdminOverview() (api.Overview, error) {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Overview(caller)
}

// AdminAudit tells what administrators did.
func (a *App) AdminAudit() ([]api.AuditEntry, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Presenter.Audit(ctx, caller)
}

// AdminConfig tells the configuration in force, with its sources.
func (a *App) AdminConfig() ([]api.Setting, error) {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Settings(caller)
}

// AdminStop stops anybody's workspace; the reason is shown to its owner.
func (a *App) AdminStop(id, reason string) error {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Manager.AdminStop(ctx, caller, workspace.ID(id), reason)
}

// AdminCheck says whether a change of anybody's workspace would fit.
func (a *App) AdminCheck(id string, update api.WorkspaceUpdate) (api.Check, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Presenter.AdminCheck(ctx, caller, workspace.ID(id), update)
}

// AdminResize changes the limits of anybody's workspace.
func (a *App) AdminResize(id string, update api.WorkspaceUpdate) (api.Workspace, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	return shown(srv)(srv.Manager.AdminUpdate(ctx, caller, workspace.ID(id), update.Request()))
}

// Volumes lists the volumes, those of deleted workspaces among them.
func (a *App) Volumes() ([]api.Volume, error) {
	srv, caller, _, done := a.use()
	defer done()
	return srv.Presenter.Volumes(caller, caller.User)
}

// DeleteVolume deletes a kept volume and the files in it for good.
func (a *App) DeleteVolume(name string) error {
	srv, caller, ctx, done := a.use()
	defer done()
	return srv.Manager.DeleteVolume(ctx, caller, caller.User, name)
}

// VolumeUsage measures a volume.
func (a *App) VolumeUsage(name string) (api.Usage, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	usage, err := srv.Manager.VolumeUsage(ctx, caller, caller.User, name)
	return api.UsageOf(usage), err
}

// Subscribe sends the present state and then every change as events on "lab:event". A page that loads anew subscribes
// anew; the subscription before ends.
func (a *App) Subscribe() {
	srv, caller, _, done := a.use()
	done()
	ctx, cancel := context.WithCancel(context.Background())
	a.mu.Lock()
	if a.follow != nil {
		a.follow()
	}
	a.follow = cancel
	window := a.ctx
	a.mu.Unlock()
	go func() {
		err := srv.Presenter.Follow(ctx, caller, caller.User, func(event api.Event) error {
			emit(window, eventChannel, event)
			return ctx.Err()
		})
		if err != nil && ctx.Err() == nil {
			a.log.Error("events ended", "error", err)
		}
	}()
}

// emit sends an event as the same JSON that the HTTP API sends. Wails encodes values itself, but without the names that
// custom encoders give them; decoded JSON has no such traps.
func emit(window context.Context, channel string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		return // every value is plain; there is nothing that cannot be encoded
	}
	runtime.EventsEmit(window, channel, json.RawMessage(text))
}

// Logs returns the last lines of a workspace's log.
func (a *App) Logs(id string, lines int) (string, error) {
	srv, caller, ctx, done := a.use()
	defer done()
	var text writeString
	err := srv.Manager.Logs(ctx, caller, caller.User, workspace.ID(id), lines, false, &text)
	return string(text), err
}

type writeString []byte

func (w *writeString) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// FollowLogs sends the last lines of a log and what comes as events on "lab:logs:<stream>": texts, and at the end an
// object that carries the error, if there was one. The page chooses the name of the stream and listens before it calls,
// or it would miss what is sent first.
func (a *App) FollowLogs(stream, id string, lines int) error {
	srv, caller, _, done := a.use()
	done()
	ctx, cancel := context.WithCancel(context.Background())
	a.mu.Lock()
	if _, taken := a.streams[stream]; taken || len(a.streams) >= maxStreams {
		a.mu.Unlock()
		cancel()
		return workspace.Errorf(workspace.CodeConflict, "Too many logs are followed at once. Close one of them.")
	}
	a.streams[stream] = cancel
	window := a.ctx
	a.mu.Unlock()
	channel := logChannel + stream
	go func() {
		defer a.StopLogs(stream)
		err := srv.Manager.Logs(ctx, caller, caller.User, workspace.ID(id), lines, true, &emitter{send: func(text string) { runtime.EventsEmit(window, channel, text) }})
		if ctx.Err() == nil {
			runtime.EventsEmit(window, channel, endOf(err))
		}
	}()
	return nil
}

// endOf is the last event of a stream.
func endOf(err error) map[string]any {
	if err == nil {
		return map[string]any{}
	}
	return map[string]any{"error": formatError(err)}
}

// emitter is a writer whose text goes to the page in whole characters: what comes may be cut anywhere.
type emitter struct {
	send func(text string)
	rest []byte // the beginning of a character
}

var _ io.Writer = (*emitter)(nil)

func (e *emitter) Write(p []byte) (int, error) {
	text := append(e.rest, p...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if last := text[len(text)-back:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= back
			}
			break
		}
	}
	e.rest = append([]byte(nil), text[whole:]...)
	if whole > 0 {
		e.send(string(text[:whole]))
	}
	return len(p), nil
}

// StopLogs ends a stream of FollowLogs.
func (a *App) StopLogs(stream string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cancel, open := a.streams[stream]; open {
		cancel()
		delete(a.streams, stream)
	}
}

func (a *App) stopStreams() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.follow != nil {
		a.follow()
	}
	for stream, cancel := range a.streams {
		cancel()
		delete(a.streams, stream)
	}
}

// Rendered hears what the page shows. It changes nothing; the smoke test of the window reads it.
func (a *App) Rendered(report Rendered) error {
	if a.report == "" {
		return nil
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	a.mu.Lock() // reports come from goroutines of their own, and must not mix
	defer a.mu.Unlock()
	return os.WriteFile(a.report, append(text, '\n'), 0o600)
}
