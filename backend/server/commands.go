package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"lab-workspace-manager/backend/auth"
	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/engine/docker"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/build/images"
)

// imageOf is how an image that comes with the program is called in an engine.
func imageOf(name string) string { return "lab-" + name + ":latest" }

// BuildImage builds an image that comes with the program, unless this very version of it is here, and prints the steps.
func BuildImage(ctx context.Context, loaded config.Loaded, name string, force bool, w io.Writer) error {
	if _, err := images.Context(name); err != nil {
		return workspace.Errorf(workspace.CodeNotFound, "There is no image %q to build. There are: %s.", name, strings.Join(images.Names(), ", "))
	}
	engine, err := newEngine(loaded, "images", namespacePrefix+"images", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { _ = engine.Close() }() // nothing is left to lose
	image := imageOf(name)
	states, err := engine.Images(ctx, []string{image})
	if err != nil {
		return err
	}
	if states[0].Here && !states[0].Outdated && !force {
		_, err := fmt.Fprintf(w, "%s is here (%d MB).\n", image, states[0].SizeBytes/1e6)
		return err
	}
	_, _ = fmt.Fprintf(w, "Building %s …\n", image)
	last := ""
	err = engine.Build(ctx, image, force, func(progress workspace.Progress) {
		if progress.Detail != last && progress.Detail != "" {
			last = progress.Detail
			_, _ = fmt.Fprintln(w, "  "+last)
		}
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "Built %s.\n", image)
	return err
}

// newEngine makes the engine of an instance, beside a lab unless that is nil. It does not connect yet.
func newEngine(loaded config.Loaded, instance, namespace string, lab docker.Lab, log *slog.Logger) (*docker.Engine, error) {
	settings := loaded.Config.Docker
	pool, err := netip.ParsePrefix(settings.SubnetPool)
	if err != nil {
		return nil, workspace.Errorf(workspace.CodeInvalid, "docker.subnet_pool is no range of addresses: %w", err)
	}
	builds := map[string]docker.Build{}
	for _, name := range images.Names() {
		files, err := images.Context(name)
		if err != nil {
			return nil, err
		}
		builds[imageOf(name)] = docker.Build{
			Context: files, CAFile: images.HostCertificates,
			BaseArg: images.BaseArgument, PublicBase: images.PublicBase, LocalBase: images.LocalBase, BaseScript: images.BaseScript,
		}
	}
	return docker.New(docker.Options{
		Endpoint: settings.Host, Instance: instance, Namespace: namespace, SubnetPool: pool, Reach: settings.Reach,
		Builds: builds, TrustHostCA: loaded.Config.ImagePolicy.TrustHostCA, UseHostProxy: loaded.Config.ImagePolicy.UseHostProxy,
		GPUs: docker.GPUOptions{Devices: loaded.Config.GPUs.Devices, Discover: loaded.Config.GPUs.Discover}, Lab: lab, Log: log,
	})
}

// ShowToken prints the owner's token, and makes it if there is none yet.
func ShowToken(loaded config.Loaded, w io.Writer) error {
	token, err := auth.OpenToken(loaded.Folders.TokenFile())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, token)
	return err
}

// RotateToken replaces the owner's token. A running manager notices.
func RotateToken(loaded config.Loaded, w io.Writer) error {
	if _, err := auth.RotateToken(loaded.Folders.TokenFile()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "The token in %s is new. A manager that runs takes it up within a second or two and ends the sessions of the old one.\n", loaded.Folders.TokenFile())
	return err
}

// healthTimeout is what an orchestrator would wait, too.
const healthTimeout = 2 * time.Second

// CheckHealth asks the server that runs beside it with the same configuration whether it serves. It is for containers of
// images that have no other program to ask with.
func CheckHealth(ctx context.Context, loaded config.Loaded) error {
	host, port, err := net.SplitHostPort(loaded.Config.Server.Listen)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthy", nil)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("nothing answers at %s: %s", net.JoinHostPort(host, port), plainCause(err))
	}
	_ = response.Body.Close() // its content is of no interest
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server at %s answers %d", net.JoinHostPort(host, port), response.StatusCode)
	}
	return nil
}
