package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"lab-workspace-manager/backend/workspace"
)

// bundleInside is where a workspace finds the certificates that its host trusts.
const bundleInside = "/run/lab-workspace/host-ca.crt"

// certificateBundles are where systems keep the certificates they trust (Debian, Fedora, Alpine and SUSE, macOS).
var certificateBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

// bundleVariables tell programs which certificates to trust: OpenSSL, Python's requests, curl, pip, Node, git, the AWS
// tools, gRPC, httplib2, the Google Cloud tools and Cargo. Each knows its own.
var bundleVariables = []string{
	"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
	"AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "HTTPLIB2_CA_CERTS", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "CARGO_HTTP_CAINFO",
}

// hostBundle is the file with the certificates that this machine trusts, by the path that no link leads to; "" when there
// is none.
func hostBundle() string {
	for _, candidate := range append([]string{os.Getenv("SSL_CERT_FILE")}, certificateBundles...) {
		if candidate == "" {
			continue
		}
		real, err := filepath.EvalSymlinks(candidate)
		if err != nil {
			continue
		}
		if real, err = filepath.Abs(real); err != nil {
			continue
		}
		if found, err := os.Stat(real); err == nil && found.Mode().IsRegular() {
			return real
		}
	}
	return ""
}

// hostCertificates are the certificates that this machine trusts; nil when they cannot be read.
func hostCertificates() []byte {
	text, err := os.ReadFile(hostBundle())
	if err != nil {
		return nil
	}
	return text
}

// proxyVariables are the variables for proxies, which programs read in either case.
var proxyVariables = []string{"HTTP_PROXY", "HTTPS_PROXY"}

const (
	noProxyVariable = "NO_PROXY"
	// directHosts are never asked through a proxy: inside a workspace they are the workspace itself.
	directHosts = "localhost,127.0.0.1"
)

// proxyEnvironment computes what workspaces are told of the proxies that this machine uses, and names the variables that
// cannot be passed on: a loopback address is another one inside. Values may carry passwords.
func proxyEnvironment(lookup func(string) string) (env map[string]string, unusable []string) {
	env = map[string]string{}
	set := func(name, value string) { env[name], env[strings.ToLower(name)] = value, value }
	either := func(name string) string {
		if value := lookup(name); value != "" {
			return value
		}
		return lookup(strings.ToLower(name))
	}
	for _, name := range proxyVariables {
		switch value := either(name); {
		case value == "":
		case isLoopback(value):
			unusable = append(unusable, name)
		default:
			set(name, value)
		}
	}
	if len(env) == 0 {
		return nil, unusable
	}
	direct := either(noProxyVariable)
	listed := strings.FieldsFunc(direct, func(r rune) bool { return r == ',' || r == ' ' })
	for host := range strings.SplitSeq(directHosts, ",") {
		if direct != "*" && !slices.Contains(listed, host) {
			listed = append(listed, host)
		}
	}
	set(noProxyVariable, strings.Join(listed, ","))
	return env, unusable
}

// isLoopback reports whether a proxy is on this machine's loopback. Its scheme may be missing.
func isLoopback(proxy string) bool {
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	parsed, err := url.Parse(proxy)
	if err != nil {
		return false // whoever uses it will say what is wrong
	}
	ip := net.ParseIP(parsed.Hostname())
	return parsed.Hostname() == "localhost" || (ip != nil && (ip.IsLoopback() || ip.IsUnspecified()))
}

// trustEnvironment is what a container is told of its host's certificates and proxies. The deployment's own variables
// win, in either case of letters.
func trustEnvironment(hasBundle bool, proxies, own map[string]string) map[string]string {
	env := map[string]string{}
	if hasBundle {
		for _, name := range bundleVariables {
			env[name] = bundleInside
		}
	}
	for name, value := range proxies {
		_, upper := own[strings.ToUpper(name)]
		_, lower := own[strings.ToLower(name)]
		if !upper && !lower {
			env[name] = value
		}
	}
	return env
}

// bundleFor is the bundle for workspaces; "" where they shall not have it, or there is none.
func (e *Engine) bundleFor() string {
	if !e.trustHostCA {
		return ""
	}
	return hostBundle()
}

// copiesBundle reports that the daemon does not see this machine's files, so that the bundle is copied into containers.
func (e *Engine) copiesBundle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.daemon.copies
}

// rememberToCopy notes that this daemon refused to give the bundle to a container.
func (e *Engine) rememberToCopy() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.daemon.copies = true
}

// copyBundle puts the bundle into a container that was created and does not run yet.
func (e *Engine) copyBundle(ctx context.Context, handle, bundle string) error {
	text, err := os.ReadFile(bundle)
	if err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The certificates that this machine trusts cannot be read: %w", err)
	}
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	// Folders are left to Docker: an entry for /run would replace it where it is a link.
	if err := packFile(archive, strings.TrimPrefix(bundleInside, "/"), text); err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The certificates that this machine trusts cannot be packed: %w", err)
	}
	if err := archive.Close(); err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The certificates that this machine trusts cannot be packed: %w", err)
	}
	return e.translate(e.client.CopyToContainer(ctx, handle, "/", &packed, container.CopyToContainerOptions{}), "copy certificates into the container")
}
