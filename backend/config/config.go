// Package config is what an administrator can decide: the configuration file, the environment, the defaults, and the
// folders that the program keeps its things in.
//
// It owns the names and the meaning of every key, the checks that a value can be used, and the sentences that say why
// not. It is the only reader of the environment and of the XDG paths; everything else receives values. It must not know
// what the rest of the program does with them, ask an engine, or write anything.
//
// Everything here is a value or a function without state, and safe for concurrent use, but for the Watcher, which says
// itself what it is.
package config

import (
	"log/slog"
	"net"
	"strconv"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// Config is everything that can be decided. Its Policy is not yet capped by what the host has.
type Config struct {
	Engine string // EngineAuto, EngineDocker or EngineMLLab; see Drives
	MLLab  MLLab
	Server Server
	Docker Docker
	Policy quota.Policy
	// FullGrace is how long a workspace whose volume or container is full may run after it was started again, so that its
	// owner can clean up.
	FullGrace   time.Duration
	GPUs        GPUs
	ImagePolicy ImagePolicy
	Images      []Image // what the create dialog offers; never empty, the first is the default
	Profiles    []profile.Profile
	LogLevel    slog.Level
}

// The engines there are so far.
const (
	EngineAuto   = "auto"
	EngineDocker = "docker"
	EngineMLLab  = "mllab"
)

// MLLab is the lab that this program is an extension of: it says who may do what, and, unless Docker is driven, runs the
// workspaces.
type MLLab struct {
	Endpoint string // of its API, as it gives it to extensions; "" = there is none
	BaseURL  string // path below which browsers reach the lab, without a slash at the end; "" = at the root
}

// Drives is the engine in use, and why it is where nobody has named one.
func (c Config) Drives() (engine, why string) {
	switch {
	case c.Engine != EngineAuto:
		return c.Engine, ""
	case c.MLLab.Endpoint != "":
		return EngineMLLab, "mllab.endpoint is set"
	}
	return EngineDocker, "no mllab.endpoint is set"
}

// DockerInLab reports whether Docker runs the workspaces of an ML Lab.
func (c Config) DockerInLab() bool {
	engine, _ := c.Drives()
	return engine == EngineDocker && c.MLLab.Endpoint != ""
}

// Server is where the program listens and who may come, when it runs without a window.
type Server struct {
	Listen         string   // address of API and pages
	AccessListen   string   // address of the access proxy into the workspaces
	AccessPort     int      // in place of the port of AccessListen; 0 = not set
	AllowedHosts   []string // names by which browsers may reach it, besides those of this machine
	AllowedOrigins []string // origins of other sites whose pages may call the API
}

// Access is the address the access proxy listens on. movable says that nobody asked for this very port: when it is
// taken, a free one serves as well.
func (s Server) Access() (address string, movable bool) {
	if s.AccessPort != 0 {
		return withPort(s.AccessListen, s.AccessPort), false
	}
	return s.AccessListen, s.AccessListen == Default().Server.AccessListen
}

// withPort replaces the port of an address that was checked to have one.
func withPort(address string, port int) string {
	host, _, _ := net.SplitHostPort(address)
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Docker is how the Docker engine is reached and what it may use.
type Docker struct {
	Host       string // "" = that of the current Docker context, else the usual socket
	Reach      string // ReachAuto, ReachAddress or ReachPort
	SubnetPool string // range that the networks of the owners are cut from, in CIDR notation
}

// How the manager reaches the workspaces.
const (
	ReachAuto    = "auto"
	ReachAddress = "address" // the address of the container
	ReachPort    = "port"    // a port of the loopback interface
)

// GPUs is how the devices of the machine are found.
type GPUs struct {
	Discover bool     // ask the machine; false where Devices are named
	Devices  []string // ids as the machine's own tools show them
}

// ImagePolicy is what is true of all images.
type ImagePolicy struct {
	TrustHostCA  bool                 // builds and workspaces trust the certificate authorities of this host
	UseHostProxy bool                 // builds and workspaces get the proxy settings of the manager's environment
	Allowed      []string             // patterns of names in which * stands for any characters; never empty
	Pull         workspace.PullPolicy // unless an image says otherwise
	CheckUpdates time.Duration        // between two questions to a registry whether a tag moved; 0 = never
}

// Image is an entry of the catalogue that workspaces are created from.
type Image struct {
	Name        string // what people read
	Image       string // what the engine is asked for
	Profile     string
	Description string
	Pull        workspace.PullPolicy // "" = as ImagePolicy says
}

// Default is the configuration of who configures nothing.
func Default() Config {
	return Config{
		Engine: EngineAuto,
		Server: Server{Listen: "127.0.0.1:8080", AccessListen: "127.0.0.1:8081"},
		Docker: Docker{Reach: ReachAuto, SubnetPool: "172.29.0.0/16"},
		Policy: quota.Policy{
			Limits: quota.Limits{
				CPUs:        quota.Range[float64]{Default: 1, Max: 4},
				MemoryMB:    quota.Range[int64]{Default: 2000, Max: 8000},
				Processes:   quota.Range[int64]{Default: 4096},
				GPUs:        quota.Range[int64]{Max: 8},
				VolumeMB:    quota.Range[int64]{Default: 5000, Max: 50_000},
				ContainerMB: quota.Range[int64]{Default: 5000, Max: 20_000},
				IdleTimeout: quota.Range[time.Duration]{Choices: []time.Duration{0, time.Hour, 4 * time.Hour}},
			},
			User:      quota.Sums{OnExceed: quota.Queue},
			Host:      quota.HostQuota{ReserveCPUs: 0.5, ReserveMemoryMB: 1000, OnExceed: quota.Queue},
			GPUShares: 1,
		},
		FullGrace: 30 * time.Minute,
		GPUs:      GPUs{Discover: true},
		ImagePolicy: ImagePolicy{
			TrustHostCA: true, UseHostProxy: true, Allowed: []string{"*"}, Pull: workspace.PullMissing, CheckUpdates: 6 * time.Hour,
		},
		Images: []Image{{
			Name: "JupyterLab", Image: "lab-workspace-minimal:latest", Profile: profile.Minimal.Name,
			Description: "Notebooks, terminals and a file browser with Python; small and quick to start.",
		}, {
			Name: "VS Code", Image: "lab-workspace-vscode:latest", Profile: profile.VSCode.Name,
			Description: "An editor with terminals, git and Python.",
		}},
		Profiles: profile.Builtin(),
		LogLevel: slog.LevelInfo,
	}
}
