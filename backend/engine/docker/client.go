package docker

import (
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"

	"github.com/docker/cli/cli/config"
	contextdocker "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/client"

	"lab-workspace-manager/backend/workspace"
)

// How the manager reaches workspaces.
const (
	ReachAuto    = "auto"    // by address where the bridge is one of this machine's, else by port
	ReachAddress = "address" // by the address of the container
	ReachPort    = "port"    // by a port published on 127.0.0.1
)

// Build is how an image is made on this machine.
type Build struct {
	Context    fs.FS
	BaseArg    string // build argument that names the image to build upon
	PublicBase string // that image where a registry answers
	LocalBase  string // its name where it was made here
	BaseScript string // shell script that writes LocalBase as tar to its output; needs root
	CAFile     string // file of the context that carries the certificates this host trusts
}

// Options are what an Engine is made of.
type Options struct {
	Endpoint    string // "" = DOCKER_HOST, else the current Docker context, else the usual socket
	Instance    string // tells our things from those of other managers on the same engine
	Namespace   string // first part of all names, where no Lab says it
	SubnetPool  netip.Prefix
	Reach       string // ReachAuto when empty
	Builds      map[string]Build
	TrustHostCA bool // builds and workspaces trust the certificates that this machine trusts
	// UseHostProxy gives workspaces the proxies of this process's environment, with the passwords in them. Builds always
	// have them.
	UseHostProxy bool
	GPUs         GPUOptions
	Lab          Lab // nil = there is none
	Log          *slog.Logger
}

// Engine drives one Docker Engine.
type Engine struct {
	client      *client.Client
	endpoint    string
	instance    string
	pool        netip.Prefix
	reach       string
	remote      bool // it runs on another machine
	builds      map[string]Build
	trustHostCA bool
	proxies     map[string]string // variables for workspaces; nil = none
	gpus        GPUOptions
	lab         Lab
	log         *slog.Logger

	acquisitions acquisitions // pulls and builds that go on
	meters       meters

	making sync.Mutex // held while a network is looked for and made

	looking sync.Mutex // held while a snapshot is taken

	trying sync.Mutex // held while it is tried which sizes the daemon holds

	mu        sync.Mutex
	namespace string       // first part of all names; "" = the lab has not said it yet
	self      ownContainer // that this program runs in
	// labContainer is the one of the lab, as it was found last.
	labContainer string
	missed       string                           // what was last said of a lab that does not find this program
	networks     map[workspace.Owner]ownerNetwork // known to exist
	joining      map[workspace.Owner]int          // containers that are being made for their network
	looks        map[string]look                  // what the last look at each container found
	forgotten    map[string]struct{}              // containers that have changed since the last look began
	kills        map[string]kill                  // newest kill request per container
	logDrive     string                           // of the daemon, "" = not known yet
	daemon       daemon                           // the one that answers
}

var _ workspace.Engine = (*Engine)(nil)

// Capabilities says that Docker can do everything, but keeps nothing by itself and ends nothing for being idle. Beside a lab
// nothing is locked by a secret: visitors come through the lab's proxy, which knows none.
func (e *Engine) Capabilities() workspace.Capabilities {
	can := workspace.AllButKeeping
	can.Locks = e.lab == nil
	return can
}

// New makes an Engine. It does not connect: an engine that is away is noticed by the first call.
func New(options Options) (*Engine, error) {
	endpoint, how, err := resolveEndpoint(options.Endpoint)
	if err != nil {
		return nil, workspace.Errorf(workspace.CodeInvalid, "The Docker endpoint cannot be used: %w", err)
	}
	// Not client.FromEnv: DOCKER_API_VERSION would switch the negotiation off (facts on Docker's client).
	settings := append(how, client.WithAPIVersionNegotiation(), client.WithUserAgent("lab-workspace-manager"))
	docker, err := client.NewClientWithOpts(settings...)
	if err != nil {
		return nil, workspace.Errorf(workspace.CodeInvalid, "The Docker endpoint %s cannot be used: %w", endpoint, err)
	}
	reach := options.Reach
	if reach == "" {
		reach = ReachAuto
	}
	var proxies map[string]string
	if options.UseHostProxy {
		var unusable []string
		if proxies, unusable = proxyEnvironment(os.Getenv); len(unusable) > 0 {
			options.Log.Warn("workspaces do without the proxy of this machine: a loopback address cannot be reached inside", "variables", unusable)
		}
	}
	return &Engine{
		client: docker, endpoint: endpoint, instance: options.Instance, namespace: options.Namespace,
		pool: options.SubnetPool, reach: reach, remote: isRemote(docker.DaemonHost()), builds: options.Builds, trustHostCA: options.TrustHostCA, proxies: proxies, gpus: options.GPUs, lab: options.Lab, log: options.Log,
		acquisitions: acquisitions{running: map[string]*acquisition{}},
		meters:       meters{known: map[string]meter{}},
		networks:     map[workspace.Owner]ownerNetwork{},
		joining:      map[workspace.Owner]int{},
		looks:        map[string]look{},
		forgotten:    map[string]struct{}{},
		kills:        map[string]kill{},
	}, nil
}

// isRemote reports whether an endpoint is on another machine: what is published there on 127.0.0.1 is not here.
func isRemote(endpoint string) bool {
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Scheme == "unix" || parsed.Scheme == "npipe" {
		return false
	}
	name := parsed.Hostname()
	ip := net.ParseIP(name)
	if name == "localhost" || (ip != nil && ip.IsLoopback()) {
		return false
	}
	own, err := net.InterfaceAddrs()
	return err != nil || !slices.ContainsFunc(own, func(address net.Addr) bool {
		mine, ok := address.(*net.IPNet)
		return ok && mine.IP.Equal(ip)
	})
}

// Close ends idle connections.
func (e *Engine) Close() error { return e.client.Close() }

// resolveEndpoint finds the engine as Docker's own client does: what was said, DOCKER_HOST, the current Docker context,
// the usual socket. DOCKER_CERT_PATH and a context's own certificates bring TLS.
func resolveEndpoint(said string) (endpoint string, how []client.Opt, err error) {
	if said == "" {
		said = os.Getenv(client.EnvOverrideHost)
	}
	if said != "" {
		return said, []client.Opt{client.WithTLSClientConfigFromEnv(), client.WithHost(said)}, nil
	}
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		// A client configuration that cannot be read must not hide a socket that works.
		if file, err := config.Load(""); err == nil {
			name = file.CurrentContext
		}
	}
	if name == "" || name == "default" {
		return client.DefaultDockerHost, []client.Opt{client.WithHost(client.DefaultDockerHost)}, nil
	}
	contexts := store.New(config.Dir()+"/contexts", store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(contextdocker.DockerEndpoint, func() any { return &contextdocker.EndpointMeta{} }),
	))
	metadata, err := contexts.GetMetadata(name)
	if err != nil {
		return "", nil, err
	}
	meta, err := contextdocker.EndpointFromContext(metadata)
	if err != nil {
		return "", nil, err
	}
	found, err := contextdocker.WithTLSData(contexts, name, meta)
	if err != nil {
		return "", nil, err
	}
	how, err = found.ClientOpts()
	return found.Host, how, err
}
