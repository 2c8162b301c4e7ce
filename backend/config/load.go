package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

	loader  *loader
	content content // of the file
	says    bool    // there is something in it
}

// Origin says where the value of a key came from: "default", "/path/config.toml:12", "environment WORKSPACE_MAX_CPUS".
// Keys are written as in the file, "limits.cpus.max", and "image[0].name" in lists.
func (l Loaded) Origin(key string) string { return l.loader.origin(key) }

// Load reads the configuration: defaults, over them the file, over it the environment. An error is one sentence that
// says where, which key, what is wrong with it and what is allowed.
func Load(options LoadOptions) (Loaded, error) {
	folders, err := options.folders()
	if err != nil {
		return Loaded{}, err
	}
	return options.load(folders, readSource(options.File, folders))
}

func (o LoadOptions) environment() environment {
	if o.Environ == nil {
		return os.Environ()
	}
	return o.Environ
}

func (o LoadOptions) folders() (Folders, error) { return findFolders(o.environment()) }

// load makes a configuration of what a file holds.
func (o LoadOptions) load(folders Folders, from source) (Loaded, error) {
	if from.err != nil {
		return Loaded{}, from.err
	}
	l := newLoader()
	if from.file != "" {
		if err := l.applyFile(from.file, from.text); err != nil {
			return Loaded{}, err
		}
	}
	if err := l.applyEnvironment(o.environment()); err != nil {
		return Loaded{}, err
	}
	if err := l.settle(); err != nil {
		return Loaded{}, err
	}
	return Loaded{Config: l.config, Folders: folders, File: from.file, loader: l, content: from.content(), says: !from.saysNothing()}, nil
}

// loader is a configuration in the making.
type loader struct {
	config   Config
	settings []field[Config]
	limits   []limit
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
	l := &loader{config: Default(), settings: settings(), limits: limits(), origins: map[string]string{}, profileOrigins: map[string]map[string]string{}}
	l.imageOrigins = make([]imageOrigin, len(l.config.Images))
	return l
}

const byDefault = "default"

// isSet says that somebody set a key, and not that it follows another.
func (l *loader) isSet(key string) bool {
	origin := l.origins[key]
	return origin != "" && !strings.HasPrefix(origin, byDefault)
}

// maxFileSize is far above any configuration and far below what hurts.
const maxFileSize = 1 << 20

func usualFile(folders Folders) string { return filepath.Join(folders.Config, "config.toml") }

// source is a configuration file as it was found.
type source struct {
	file string // absolute; "" = there is none
	text []byte
	err  error // why it cannot be used
}

func (s source) saysNothing() bool { return s.err == nil && len(bytes.TrimSpace(s.text)) == 0 }

// content stands for what was found: two of them are equal where what was found is. The zero value is nothing yet.
type content struct {
	known bool
	file  string
	hash  [sha256.Size]byte
	err   string
}

func (s source) content() content {
	c := content{known: true, file: s.file, hash: sha256.Sum256(s.text)}
	if s.err != nil {
		c.err = s.err.Error()
	}
	return c
}

// readSource reads the named file, or the usual one if there is one.
func readSource(named string, folders Folders) source {
	file, err := filepath.Abs(cmp.Or(named, usualFile(folders)))
	if err != nil {
		return source{err: fmt.Errorf("find the configuration file %s: %w", named, err)}
	}
	var text []byte
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist) && named == "":
		return source{}
	case errors.Is(err, os.ErrNotExist):
		return source{err: fmt.Errorf("there is no configuration file %s", file)}
	case err == nil && !info.Mode().IsRegular():
		return source{err: fmt.Errorf("the configuration file %s is not a file", file)}
	case err == nil && info.Size() > maxFileSize:
		return source{err: fmt.Errorf("the configuration file %s is larger than %d bytes", file, maxFileSize)}
	case err == nil:
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return source{err: fmt.Errorf("the configuration file %s cannot be read: %w", file, err)}
	}
	return source{file: file, text: text}
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
	l.settleLab()
	for _, settle := range []func() error{l.settleLimits, l.settleGroups, l.settleOverrides, l.settleImages, l.settleListeners, l.settleNetworks} {
		if err := settle(); err != nil {
			return err
		}
	}
	if len(l.config.GPUs.Devices) > 0 && l.config.GPUs.Discover {
		l.config.GPUs.Discover = false
		l.follow(keyDiscover, "switched off by", keyDevices)
	}
	return nil
}

// inLab is the origin of defaults that hold in ML Lab only.
const inLab = byDefault + " in ML Lab"

// settleLab gives an extension of an ML Lab the defaults of upstream's workspace manager, for all that nobody has set
// (facts: its config.py at v0.0.24).
func (l *loader) settleLab() {
	if l.config.MLLab.Endpoint == "" {
		return
	}
	for key, value := range map[string]string{
		keyMemory + partDefault: "1000", keyMemory + partMax: "8000", keyMemory + partChoices: "",
		keyCPUs + partDefault: "1", keyCPUs + partMax: "4", keyCPUs + partChoices: "",
		keyVolume + partDefault: "5000", keyContainer + partDefault: "5000",
		keyIdleTimeout + partDefault: "0", keyIdleTimeout + partChoices: "",
	} {
		if setting, known := find(l.settings, key); known && !l.isSet(key) && setting.parse(&l.config, value) == nil {
			l.origins[key] = inLab
		}
	}
	if !slices.ContainsFunc(l.imageOrigins, func(o imageOrigin) bool { return o != nil }) {
		l.config.Images = []Image{{Name: "Default Minimal Workspace", Image: "mltooling/ml-workspace-minimal", Profile: profile.MLWorkspace.Name}}
		l.imageOrigins = []imageOrigin{everyKey(inLab)}
	}
}

func (l *loader) settleImages() error {
	for i, image := range l.config.Images {
		if _, known := profile.Find(l.config.Profiles, image.Profile); !known {
			what := fmt.Sprintf("image %q has the profile", image.Name)
			return notThere(l.origin(join(element(imageTables, i), "profile")), what, image.Profile, profileNames(l.config.Profiles), "")
		}
	}
	return nil
}

// labNetworks is from where ML Lab takes the networks of its projects: it counts on from the highest that it finds there, also
// of others, and stumbles over one of another size than its own.
var labNetworks = netip.MustParsePrefix("10.0.0.0/8")

// settleNetworks keeps our networks out of those of an ML Lab on the same Docker.
func (l *loader) settleNetworks() error {
	pool, err := netip.ParsePrefix(l.config.Docker.SubnetPool)
	if err != nil || !l.config.DockerInLab() || !pool.Overlaps(labNetworks) {
		return nil //nolint:nilerr // it was checked before
	}
	return wrong(l.origin(keySubnetPool), keySubnetPool, l.config.Docker.SubnetPool,
		"outside of 10.0.0.0/8, which ML Lab takes for itself, where Docker runs its workspaces", errNotAllowed)
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
