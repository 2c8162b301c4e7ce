package docker

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProxyEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		host     map[string]string
		want     map[string]string
		unusable []string
	}{
		"none":               {},
		"only what to avoid": {host: map[string]string{"NO_PROXY": "lab.lan"}},
		"both cases, with a password": {
			host: map[string]string{"https_proxy": "http://ada:s3cret@proxy.lan:3128"},
			want: map[string]string{
				"HTTPS_PROXY": "http://ada:s3cret@proxy.lan:3128", "https_proxy": "http://ada:s3cret@proxy.lan:3128",
				"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1",
			},
		},
		"what is direct stays so": {
			host: map[string]string{"HTTP_PROXY": "proxy.lan:3128", "http_proxy": "older.lan:3128", "no_proxy": "lab.lan, 127.0.0.1"},
			want: map[string]string{
				"HTTP_PROXY": "proxy.lan:3128", "http_proxy": "proxy.lan:3128", "NO_PROXY": "lab.lan,127.0.0.1,localhost", "no_proxy": "lab.lan,127.0.0.1,localhost",
			},
		},
		"loopback": {
			host:     map[string]string{"HTTP_PROXY": "http://127.0.0.1:3128", "HTTPS_PROXY": "localhost:3128"},
			unusable: []string{"HTTP_PROXY", "HTTPS_PROXY"},
		},
		"one of them": {
			host:     map[string]string{"HTTP_PROXY": "socks5://[::1]:1080", "HTTPS_PROXY": "http://proxy.lan", "NO_PROXY": "*"},
			want:     map[string]string{"HTTPS_PROXY": "http://proxy.lan", "https_proxy": "http://proxy.lan", "NO_PROXY": "*", "no_proxy": "*"},
			unusable: []string{"HTTP_PROXY"},
		},
	} {
		env, unusable := proxyEnvironment(func(name string) string { return c.host[name] })
		require.Equal(t, c.want, env, name)
		require.Equal(t, c.unusable, unusable, name)
	}
}

func TestNew_NeverLogsThePasswordOfAProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://ada:s3cret@127.0.0.1:3128")
	t.Setenv("HTTPS_PROXY", "http://ada:s3cret@proxy.lan:3128")
	var log bytes.Buffer
	e, err := New(Options{Endpoint: "unix:///nowhere", UseHostProxy: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	require.Contains(t, log.String(), "HTTP_PROXY")
	require.NotContains(t, log.String(), "s3cret")
	require.Equal(t, "http://ada:s3cret@proxy.lan:3128", e.proxies["https_proxy"])
	e, err = New(Options{Endpoint: "unix:///nowhere", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Nil(t, e.proxies)
}

func TestTrustEnvironment_LeavesTheLastWordToTheDeployment(t *testing.T) {
	proxies := map[string]string{"HTTP_PROXY": "p", "http_proxy": "p", "HTTPS_PROXY": "p", "https_proxy": "p"}
	own := map[string]string{"http_proxy": "", "PIP_CERT": "/mine"}
	env := trustEnvironment(true, proxies, own)
	require.Equal(t, []string{"", "", "p", "p"}, []string{env["HTTP_PROXY"], env["http_proxy"], env["HTTPS_PROXY"], env["https_proxy"]})
	require.Equal(t, bundleInside, env["SSL_CERT_FILE"])
	d := thesis
	d.Env = own
	require.Contains(t, specOf(d, surroundings{env: env}).config.Env, "PIP_CERT=/mine")
	require.Empty(t, trustEnvironment(false, nil, nil))
}

func TestHostBundle_IsAFileThatNoLinkLeadsTo(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	real, link := filepath.Join(folder, "real.pem"), filepath.Join(folder, "link.pem")
	require.NoError(t, os.WriteFile(real, []byte("certificates"), 0o600))
	require.NoError(t, os.Symlink(real, link))
	t.Setenv("SSL_CERT_FILE", link)
	require.Equal(t, real, hostBundle())
	require.Equal(t, "certificates", string(hostCertificates()))
	t.Setenv("SSL_CERT_FILE", folder)
	require.NotEqual(t, folder, hostBundle(), "a folder is no bundle")
	t.Setenv("SSL_CERT_FILE", filepath.Join(folder, "nowhere"))
	require.NotContains(t, hostBundle(), folder)
}
