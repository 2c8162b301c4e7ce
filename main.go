// Command lab-workspace-manager lets each user spawn machine-learning workspaces in containers, inside limits that a
// configuration file sets: as a desktop window (the default), as a headless server (--serve), or from scripts.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
	"golang.org/x/term"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/server"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/frontend"
)

// version is set when a release is built.
var version = "dev"

// commandLine is everything that can be said on the command line.
type commandLine struct {
	Serve       bool   `help:"Serve the HTTP API and the web page instead of opening a window."`
	PrintConfig bool   `help:"Print every setting with where it came from, and end."`
	User        string `help:"With --print-config: print what applies to this user, a login name or an owner id." placeholder:"NAME"`
	WindowTest  string `hidden:"" help:"Write what the window shows to this file; for tests." placeholder:"FILE"`

	Config string `help:"Configuration file; by default config.toml in the configuration folder, if it is there." placeholder:"FILE" type:"path"`

	Run         struct{}        `cmd:"" default:"1" hidden:""` // opens the window, or serves
	Images      imagesCommand   `cmd:"" help:"Workspace images."`
	Token       tokenCommand    `cmd:"" help:"The owner's token."`
	Register    registerCommand `cmd:"" help:"Install this program into an ML Lab, as an extension that all its users see."`
	Healthcheck struct{}        `cmd:"" hidden:""` // for the image, which has no other program
	OpenAPI     openapiCommand  `cmd:"" name:"openapi" help:"Print the OpenAPI document of the HTTP API."`
	Version     versionCommand  `cmd:"" help:"Print the version."`
}

type imagesCommand struct {
	Build struct {
		Name  string `arg:"" help:"Image to build." default:"workspace-minimal"`
		Force bool   `help:"Build it anew even if it is here, with the newest packages."`
	} `cmd:"" help:"Build a workspace image that comes with the program."`
}

type tokenCommand struct {
	Show   struct{} `cmd:"" help:"Print the token."`
	Rotate struct{} `cmd:"" help:"Replace the token; every session ends."`
}

type registerCommand struct {
	Lab    string            `required:"" help:"Address at which the lab is opened: http://localhost:30010." placeholder:"URL"`
	Token  string            `env:"LAB_TOKEN" help:"Token of an administrator of the lab; without one you are asked for name and password." placeholder:"TOKEN"`
	Image  string            `default:"lab-workspace-manager:latest" help:"Image of this program, as the lab's Docker knows it."`
	Name   string            `default:"Workspaces" help:"What the lab's menu calls it."`
	Param  map[string]string `help:"Variables of the extension, each NAME=VALUE: its limits, for example WORKSPACE_MAX_MEMORY_MB=8000." placeholder:"NAME=VALUE" mapsep:"none"`
	Memory int64             `default:"100" help:"Memory of the extension, in MB." placeholder:"MB"`
	CPUs   float64           `name:"cpus" default:"1" help:"Processors of the extension." placeholder:"N"`
	DryRun bool              `help:"Say what would be done, and do nothing."`
}

type (
	openapiCommand struct{}
	versionCommand struct{}
)

// collectsEarly has the garbage collected when there is half as much as is in use, not as much: 2 MB less are resident of a
// server that is idle, which are a fifteenth of it, and the proxy still passes 3.5 times what its peer does (make bench). GOGC
// says otherwise.
const collectsEarly = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectsEarly)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "lab-workspace-manager: "+sentenceOf(err))
		os.Exit(1)
	}
}

// sentenceOf says what went wrong and what to do about it, without a stack of causes that only the log needs.
func sentenceOf(err error) string {
	if _, coded := errors.AsType[*workspace.Error](err); !coded {
		return err.Error()
	}
	sentence := workspace.MessageOf(err)
	if hint := workspace.HintOf(err); hint != "" {
		sentence += " " + hint
	}
	return sentence
}

// run parses the command line and does what it says. Tests call it like a shell would.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var cli commandLine
	parser, err := kong.New(&cli,
		kong.Name("lab-workspace-manager"),
		kong.Description("Workspaces for machine learning, in containers. Without arguments it opens its window."),
		kong.Writers(stdout, stderr),
		kong.UsageOnError(),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	if command.Command() == "version" {
		_, err := fmt.Fprintln(stdout, version)
		return err
	}
	if command.Command() == "openapi" {
		document, err := api.OpenAPI()
		if err == nil {
			_, err = stdout.Write(append(document, '\n'))
		}
		return err
	}
	if command.Command() == "register" {
		return register(ctx, cli.Register, stdout)
	}
	if cli.User != "" && !cli.PrintConfig {
		return errors.New("--user goes with --print-config only")
	}
	from := config.LoadOptions{File: cli.Config}
	loaded, err := config.Load(from)
	if err != nil {
		if opensWindow(command.Command(), cli) {
			return desktop(ctx, from, loaded, err, "", stderr)
		}
		return err
	}
	switch command.Command() {
	case "images build <name>", "images build":
		return server.BuildImage(ctx, loaded, cli.Images.Build.Name, cli.Images.Build.Force, stdout)
	case "healthcheck":
		return server.CheckHealth(ctx, loaded)
	case "token show":
		return server.ShowToken(loaded, stdout)
	case "token rotate":
		return server.RotateToken(loaded, stdout)
	}
	switch {
	case cli.PrintConfig && cli.User != "":
		return loaded.PrintUser(stdout, cli.User)
	case cli.PrintConfig:
		return loaded.Print(stdout)
	case cli.Serve:
		return serve(ctx, from, loaded, stdout, stderr)
	case !hasWindow:
		return errors.New("this program was built without a window. Run it with --serve and open the link it prints, or build it with `make build`")
	}
	return desktop(ctx, from, loaded, nil, cli.WindowTest, stderr)
}

// register makes this program an extension of a lab, on behalf of who sits at the terminal.
func register(ctx context.Context, command registerCommand, stdout io.Writer) error {
	registration := server.Registration{
		Lab: command.Lab, Token: strings.TrimSpace(command.Token), Image: command.Image, Name: command.Name,
		Parameters: command.Param, MemoryMB: command.Memory, CPUs: command.CPUs, DryRun: command.DryRun, Version: version,
	}
	if terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		defer func() { _ = terminal.Close() }() // nothing is left to lose
		registration.Login = func() (user, password string, err error) { return askLogin(ctx, terminal, "ML Lab") }
	}
	return server.Register(ctx, registration, stdout)
}

// askLogin asks for a name and a password, which is not shown, until ctx ends.
func askLogin(ctx context.Context, terminal *os.File, of string) (user, password string, err error) {
	descriptor := int(terminal.Fd())
	before, err := term.GetState(descriptor)
	if err != nil {
		return "", "", fmt.Errorf("use the terminal: %w", err)
	}
	type answer struct {
		user, password string
		err            error
	}
	answers := make(chan answer, 1)
	go func() { // nothing but the end of the program ends a read of a terminal
		user, password, err := readLogin(terminal, of)
		answers <- answer{user, password, err}
	}()
	select {
	case given := <-answers:
		return given.user, given.password, given.err
	case <-ctx.Done():
		_ = term.Restore(descriptor, before) // it shows again what is typed
		return "", "", ctx.Err()
	}
}

func readLogin(terminal *os.File, of string) (user, password string, err error) {
	_, _ = fmt.Fprintf(terminal, "User of %s: ", of)
	if user, err = bufio.NewReader(terminal).ReadString('\n'); err != nil {
		return "", "", fmt.Errorf("read the name: %w", err)
	}
	_, _ = fmt.Fprint(terminal, "Password: ")
	secret, err := term.ReadPassword(int(terminal.Fd()))
	_, _ = fmt.Fprintln(terminal)
	if err != nil {
		return "", "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimSpace(user), string(secret), nil
}

func opensWindow(command string, cli commandLine) bool {
	return hasWindow && command == "run" && !cli.Serve && !cli.PrintConfig
}

// newLog makes the program's log and what its level is changed by.
func newLog(loaded config.Loaded, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	level.Set(loaded.Config.LogLevel)
	logger := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
	// What Go's own HTTP client says there of a workspace that answers nonsense is the workspace's words.
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(logger.Handler(), slog.LevelDebug).Writer())
	return logger, level
}

// reloadOnHangUp has the configuration read again whenever the process gets SIGHUP, until ctx ends. The system sends the
// same signal when the terminal is closed that the program was started in; then it ends, as people expect.
func reloadOnHangUp(ctx context.Context, srv *server.Server, end func()) {
	hadTerminal := hasTerminal()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	go func() {
		defer signal.Stop(asked)
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
				if hadTerminal && !hasTerminal() {
					end()
					return
				}
				srv.Reload()
			}
		}
	}()
}

func hasTerminal() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	_ = terminal.Close() // nothing was written
	return true
}

// serve runs the headless server until ctx ends.
func serve(ctx context.Context, from config.LoadOptions, loaded config.Loaded, stdout, stderr io.Writer) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	logger, level := newLog(loaded, stderr)
	srv, err := server.New(ctx, server.Options{
		Loaded: loaded, Watch: &from, Frontend: frontend.Assets(), Version: version, Log: logger, LogLevel: level, API: true,
	})
	if err != nil {
		return err
	}
	reloadOnHangUp(ctx, srv, end)
	srv.Greet(stdout)
	return srv.Run(ctx)
}

// desktop runs the window until it is closed. loadErr is why the configuration could not be read; the window says it.
func desktop(ctx context.Context, from config.LoadOptions, loaded config.Loaded, loadErr error, report string, stderr io.Writer) error {
	logger, level := newLog(loaded, stderr)
	app := newApp(logger, report)
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	var runErr error
	start := func(context.Context) (*server.Server, error) {
		if loadErr != nil {
			return nil, loadErr
		}
		srv, err := server.New(ctx, server.Options{Loaded: loaded, Watch: &from, Version: version, Log: logger, LogLevel: level})
		if err != nil {
			return nil, err
		}
		reloadOnHangUp(ctx, srv, stop)
		running.Go(func() { runErr = srv.Run(ctx) })
		return srv, nil
	}
	err := openWindow(app, assetserver.Options{Assets: frontend.Assets()}, loaded.Folders.State, start)
	stop()
	running.Wait()
	if loadErr != nil {
		return loadErr // the configuration is wrong, with and without a window
	}
	return errors.Join(err, runErr)
}
