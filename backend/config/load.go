package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"lab-workspace-manager/backend/profile"
)

// LoadOptions say where to look.
type LoadOptions struct {
	// File must exist; "" = config.toml in the configuration folder, if it is there.
	File string
	// Environ is the environment in the form of os.Environ; nil = that of the process.
	Environ []string
}

// Loaded is a configuration that can be used, and where its values came from.
type Loaded struct {
	Config  Config
	Folders Folders
	File    string // the configuration file that was read; "" = none

	loader *loader
}

// Origin says where the value of a key came from: "default", "/path/config.toml:12", "environment WORKSPACE_MAX_CPUS".
// Keys are written as in the file, "limits.cpus.max", and "image[0].name" in lists.
func (l Loaded) Origin(key string) string { return l.loader.origin(key) }

// Load reads the configuration: defaults, over them the file, over it the environment. An error is one sentence that
// says where, which key, what is wrong with it and what is allowed.
func Load(options LoadOptions) (Loaded, error) {
	env := environment(options.Environ)
	if options.Environ == nil {
		env = os.Environ()
	}
	folders, err := findFolders(env)
	if err != nil {
		return Loaded{}, err
	}
	l := newLoader()
	file, text, err := readFile(options.File, folders)
	if err != nil {
		return Loaded{}, err
	}
	if file != "" {
		if err := l.applyFile(file, text); err != nil {
			return Loaded{}, err
		}
	}
	if err := l.applyEnvironment(env); err != nil {
		return Loaded{}, err
	}
	if err := l.settle(); err != nil {
		return Loaded{}, err
	}
	return Loaded{Config: l.config, Folders: folders, File: file, loader: l}, nil
}

// loader is a configuration in the making.
type loader struct {
	config   Config
	settings []field[Config]
	origins  map[string]string // of the keys that somebody set

	imageOrigins   []imageOrigin
	profileOrigins map[string]map[string]string // by profile and key
}

// imageOrigin says where each key of an image came from.
type imageOrigin map[string]string

func everyKey(origin string) imageOrigin {
	origins := imageOrigin{}
	for _, name := range names(imageFields()) {
		origins[name] = origin
	}
	return origins
}

func newLoader() *loader {
	l := &loader{config: Default(), settings: settings(), origins: map[string]string{}, profileOrigins: map[string]map[string]string{}}
	l.imageOrigins = make([]imageOrigin, len(l.config.Images))
	return l
}

const byDefault = "default"

func (l *loader) isSet(key string) bool { return l.origins[key] != "" }

// maxFileSize is far above any configuration and far below what hurts.
const maxFileSize = 1 << 20

func usualFile(folders Folders) string { return filepath.Join(folders.Config, "config.toml") }

// readFile reads the named file, or the usual one if there is one.
func readFile(named string, folders Folders) (file string, text []byte, err error) {
	file = named
	if named == "" {
		file = usualFile(folders)
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", nil, fmt.Errorf("find the configuration file %s: %w", named, err)
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist) && named == "":
		return "", nil, nil
	case errors.Is(err, os.ErrNotExist):
		return "", nil, fmt.Errorf("there is no configuration file %s", file)
	case err == nil && !info.Mode().IsRegular():
		return "", nil, fmt.Errorf("the configuration file %s is not a file", file)
	case err == nil && info.Size() > maxFileSize:
		return "", nil, fmt.Errorf("the configuration file %s is larger than %d bytes", file, maxFileSize)
	case err == nil:
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return "", nil, fmt.Errorf("the configuration file %s cannot be read: %w", file, err)
	}
	return file, text, nil
}

// wrong is the sentence about a value that cannot be used.
func wrong(where, key string, value any, allowed string, err error) error {
	if errors.Is(err, errNotAllowed) {
		return fmt.Errorf("%s: %s is %s; it must be %s", where, key, describe(value), allowed)
	}
	return fmt.Errorf("%s: %s is %s; it %w", where, key, describe(value), err)
}

// settle checks what concerns more than one key, and lets what nobody set follow what somebody did.
func (l *loader) settle() error {
	if err := l.settleLimits(); err != nil {
		return err
	}
	for i, image := range l.config.Images {
		if _, known := profile.Find(l.config.Profiles, image.Profile); !known {
			return fmt.Errorf("%s: image %q has the profile %q, which is not there; it must be %s",
				l.origin(join(element(imageTables, i), "profile")), image.Name, image.Profile, profileNames(l.config.Profiles))
		}
	}
	return l.settleListeners()
}

// settleListeners refuses one address for two listeners where both were asked for.
func (l *loader) settleListeners() error {
	access, movable := l.config.Server.Access()
	if _, port, _ := net.SplitHostPort(access); access != l.config.Server.Listen || movable || port == "0" {
		return nil
	}
	key := keyAccessListen
	if l.config.Server.AccessPort != 0 {
		key = keyAccessPort
	}
	return fmt.Errorf("%s: %s puts the access listener at %s, where %s is (%s); they need a port each",
		l.origin(key), key, access, keyListen, l.origin(keyListen))
}
