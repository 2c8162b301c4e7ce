package docker

import (
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config"
	"github.com/docker/docker/api/types/registry"
)

// dockerHub is how Docker's configuration calls the registry of names without one.
const dockerHub = "https://index.docker.io/v1/"

// registryLogin returns what the daemon has to show the registry of an image, as Docker's own client finds it: in its
// configuration (DOCKER_CONFIG, else ~/.docker), or from the credential helper that is named there. "" when there is
// nothing to show. It is looked up for every pull, so that a "docker login" acts at once.
func registryLogin(ref string) (encoded string, err error) {
	key := registryOf(ref)
	switch key {
	case "":
		return "", nil // the daemon says what is wrong with the name
	case "docker.io":
		key = dockerHub
	}
	login, err := config.LoadDefaultConfigFile(io.Discard).GetAuthConfig(key)
	if err != nil {
		return "", fmt.Errorf("the credential helper for %s failed: %w", key, err)
	}
	if login.Username == "" && login.Password == "" && login.Auth == "" && login.IdentityToken == "" && login.RegistryToken == "" {
		return "", nil
	}
	return registry.EncodeAuthConfig(registry.AuthConfig(login))
}

// registryOf is the registry of an image, "" when the name is none.
func registryOf(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	return reference.Domain(named)
}
