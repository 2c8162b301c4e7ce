package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lab-workspace-manager/backend/profile"
)

// environment is the variables in the form of os.Environ.
type environment []string

func (e environment) lookup(name string) (string, bool) {
	return e.find(func(candidate string) bool { return candidate == name })
}

// lookupAnyCase also finds a name in other letters, as upstream's manager does for its own variables. The exact name
// comes first.
func (e environment) lookupAnyCase(name string) (string, bool) {
	if value, found := e.lookup(name); found {
		return value, true
	}
	return e.find(func(candidate string) bool { return strings.EqualFold(candidate, name) })
}

func (e environment) find(matches func(string) bool) (string, bool) {
	for _, entry := range slices.Backward(e) { // of two, a shell's later one counts
		if name, value, _ := strings.Cut(entry, "="); matches(name) {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// variable is an environment variable that sets one key.
type variable struct{ name, key string }

// limitVariables are those of the first versions of upstream's manager, which later ones ignore although its own
// deployment still sets them, followed by those of the later versions.
func limitVariables() []variable {
	return []variable{
		{"WORKSPACE_MAX_MEMORY_MB", keyMemory + partMax},
		{"WORKSPACE_MAX_CPUS", keyCPUs + partMax},
		{"WORKSPACE_MAX_VOLUME_SIZE", keyVolume + partMax},
		{"WORKSPACE_MAX_CONTAINER_SIZE", keyContainer + partMax},

		{"WORKSPACE_MEMORY_MB_DEFAULT", keyMemory + partDefault},
		{"WORKSPACE_MEMORY_MB_MAX", keyMemory + partMax},
		{"WORKSPACE_MEMORY_MB_OPTIONS", keyMemory + partChoices},
		{"WORKSPACE_CPUS_DEFAULT", keyCPUs + partDefault},
		{"WORKSPACE_CPUS_MAX", keyCPUs + partMax},
		{"WORKSPACE_CPUS_OPTIONS", keyCPUs + partChoices},
		{"WORKSPACE_VOLUME_SIZE", keyVolume + partDefault},
		{"WORKSPACE_CONTAINER_SIZE", keyContainer + partDefault},
		{"WORKSPACE_IDLE_TIMEOUT_DEFAULT", keyIdleTimeout + partDefault},
		{"WORKSPACE_IDLE_TIMEOUT_OPTIONS", keyIdleTimeout + partChoices},
		{"WORKSPACE_ALWAYS_CLEAR_VOLUME_ON_STOP", keyAlwaysClear},
		{"BACKEND_CORS_ORIGINS", keyOrigins},
		{"CONTAXY_API_ENDPOINT", keyLabEndpoint},
		{"CONTAXY_BASE_URL", keyLabBase},
	}
}

func fromEnvironment(name string) string { return "environment " + name }

// applyEnvironment lets the environment have the last word over the file.
func (l *loader) applyEnvironment(env environment) error {
	for _, v := range limitVariables() {
		if text, found := env.lookupAnyCase(v.name); found {
			if err := l.applyVariable(v, text); err != nil {
				return err
			}
		}
	}
	if text, found := env.lookup("LOG_LEVEL"); found {
		if err := l.applyVariable(variable{"LOG_LEVEL", keyLogLevel}, text); err != nil {
			return err
		}
	}
	// Who named a daemon in the file means it, whatever a shell is set to.
	if text, found := env.lookup("DOCKER_HOST"); found && l.config.Docker.Host == "" {
		if err := l.applyVariable(variable{"DOCKER_HOST", keyDockerHost}, text); err != nil {
			return err
		}
	}
	if text, found := env.lookup("LAB_WORKSPACE_MANAGER_LISTEN"); found { // for images, which must be reached from outside
		if err := l.applyVariable(variable{"LAB_WORKSPACE_MANAGER_LISTEN", keyListen}, text); err != nil {
			return err
		}
	}
	if text, found := env.lookup("PORT"); found {
		if err := l.applyPort(text); err != nil {
			return err
		}
	}
	return l.applyImageVariables(env)
}

// applyVariable sets a key from a variable. An empty variable is one that is not set, but for a list.
func (l *loader) applyVariable(v variable, text string) error {
	setting, _ := find(l.settings, v.key)
	if text == "" && !strings.HasSuffix(v.key, partChoices) && v.key != keyOrigins {
		return nil
	}
	where, before, shown := fromEnvironment(v.name), l.origins[v.key], setting.show(&l.config)
	if err := setting.parse(&l.config, text); err != nil {
		return wrong(where, v.key, text, setting.allowed, err)
	}
	if now := setting.show(&l.config); strings.HasPrefix(before, fromEnvironment("")) && now != shown {
		return fmt.Errorf("%s and %s say different things, %s and %s, for %s; set one of them only", before, where, shown, now, v.key)
	}
	l.origins[v.key] = where
	return nil
}

// applyPort changes the port of the listener of the API, not its address.
func (l *loader) applyPort(text string) error {
	if text == "" {
		return nil
	}
	where, setting := fromEnvironment("PORT"), port(0, "a port from 1 to 65535, or 0 for any free one")
	number, err := setting.parse(text)
	if err != nil {
		return wrong(where, "the port of "+keyListen, text, setting.allowed, err)
	}
	l.config.Server.Listen = withPort(l.config.Server.Listen, number)
	if l.isSet(keyListen) {
		where = fmt.Sprintf("%s, its port from %s", l.origins[keyListen], where)
	}
	l.origins[keyListen] = where
	return nil
}

// applyImageVariables puts upstream's default image first and its options in place of the other images.
func (l *loader) applyImageVariables(env environment) error {
	const defaultName, optionsName = "WORKSPACE_IMAGE_DEFAULT", "WORKSPACE_IMAGE_OPTIONS"
	first, others := l.config.Images[:1], l.config.Images[1:]
	firstOrigin, otherOrigins := l.imageOrigins[:1], l.imageOrigins[1:]
	if text, _ := env.lookupAnyCase(defaultName); text != "" {
		if firstOrigin[0] == nil { // who names an image means it, and not others that come with the program beside it
			others, otherOrigins = nil, nil
		}
		if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, `"`) {
			text = quote(text) // a bare name
		}
		image, err := l.readImage(defaultName, json.RawMessage(text))
		if err != nil {
			return err
		}
		first, firstOrigin = []Image{image}, []imageOrigin{everyKey(fromEnvironment(defaultName))}
	}
	if text, found := env.lookupAnyCase(optionsName); found {
		options, err := l.readImages(optionsName, text)
		if err != nil {
			return err
		}
		others, otherOrigins = options, slices.Repeat([]imageOrigin{everyKey(fromEnvironment(optionsName))}, len(options))
	}
	l.config.Images, l.imageOrigins = slices.Clone(first), slices.Clone(firstOrigin)
	for i, image := range others {
		if !slices.ContainsFunc(l.config.Images, func(known Image) bool { return known.Image == image.Image }) {
			l.config.Images = append(l.config.Images, image)
			l.imageOrigins = append(l.imageOrigins, otherOrigins[i])
		}
	}
	return nil
}

const imageVariableAllowed = `the name of an image or {"image": …, "display_name": …}`

// readImages reads a JSON array of images, one JSON image, or names with commas between them.
func (l *loader) readImages(variable, text string) (images []Image, err error) {
	var items []json.RawMessage
	if strings.HasPrefix(text, "{") {
		items = []json.RawMessage{json.RawMessage(text)}
	} else if !strings.HasPrefix(text, "[") {
		names, _ := splitList(text)
		for _, name := range names {
			items = append(items, json.RawMessage(quote(name)))
		}
	} else if err := json.Unmarshal([]byte(text), &items); err != nil {
		return nil, wrong(fromEnvironment(variable), imageTables, text, "a list, each of its entries "+imageVariableAllowed, errNotAllowed)
	}
	if len(items) > maxListLength {
		return nil, fmt.Errorf("%s: there are more than %d images", fromEnvironment(variable), maxListLength)
	}
	for _, item := range items {
		image, err := l.readImage(variable, item)
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

// readImage reads {"image": …, "display_name": …} or a JSON string.
func (l *loader) readImage(variable string, text json.RawMessage) (Image, error) {
	var read struct {
		Image       string `json:"image"`
		DisplayName string `json:"display_name"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	into := any(&read)
	if !bytes.HasPrefix(text, []byte("{")) {
		into = &read.Image
	}
	err := decoder.Decode(into)
	trailing := decoder.InputOffset() < int64(len(text)) // as in {"image": "a"} and more
	name := cmp.Or(read.DisplayName, read.Image)
	_, badImage := imageName().decode(read.Image)
	_, badName := line(1).decode(name)
	if err != nil || trailing || badImage != nil || badName != nil {
		return Image{}, wrong(fromEnvironment(variable), imageTables, string(text), imageVariableAllowed, errNotAllowed)
	}
	return Image{Name: name, Image: read.Image, Profile: l.profileOf(read.Image)}, nil
}

// profileOf is the profile of an image that was named without one: that of the same image in the catalogue, else that
// of ML Lab's images, which these variables were made for.
func (l *loader) profileOf(name string) string {
	for _, image := range slices.Concat(l.config.Images, Default().Images) {
		if image.Image == name {
			return image.Profile
		}
	}
	return profile.MLWorkspace.Name
}
