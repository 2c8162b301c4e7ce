package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"lab-workspace-manager/backend/profile"
)

const (
	imageTables   = "image"
	profileTables = "profile"
)

// document is a configuration file with its lines.
type document struct {
	file  string
	lines map[string]int
}

// at is the place of a key.
func (d document) at(key string) string {
	return fmt.Sprintf("%s:%d", d.file, max(1, d.lines[key]))
}

// inOrder lists the keys of a table as they stand in the file, so that the first mistake is the one reported.
func (d document) inOrder(path string, table map[string]any) []string {
	return slices.SortedFunc(maps.Keys(table), func(a, b string) int {
		return cmp.Or(cmp.Compare(d.lines[join(path, a)], d.lines[join(path, b)]), cmp.Compare(a, b))
	})
}

// applyFile lets the file have its say over the defaults.
func (l *loader) applyFile(file string, text []byte) error {
	var root map[string]any
	if err := toml.Unmarshal(text, &root); err != nil {
		if syntax, ok := errors.AsType[toml.ParseError](err); ok {
			message := strings.Join(strings.Fields(syntax.Message), " ") // it may quote a line end
			return fmt.Errorf("%s:%d: this is not TOML: %s", file, max(1, syntax.Position.Line), strings.TrimSuffix(message, "."))
		}
		return fmt.Errorf("%s: this is not TOML: %w", file, err)
	}
	return l.applyTable(document{file: file, lines: keyLines(string(text))}, "", root)
}

// applyTable applies a table of the file and those below it.
func (l *loader) applyTable(doc document, path string, table map[string]any) error {
	for _, name := range doc.inOrder(path, table) {
		key, value := join(path, name), table[name]
		var err error
		if setting, known := find(l.settings, key); known {
			err = setField(doc, setting, key, &l.config, value)
			l.origins[key] = doc.at(key)
		} else {
			err = l.applyGroup(doc, path, name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// applyGroup applies what is not a single value: [table] or [[list of tables]].
func (l *loader) applyGroup(doc document, path, name string, value any) error {
	switch key := join(path, name); {
	case key == imageTables:
		return l.applyImages(doc, value)
	case key == profileTables:
		return l.applyProfiles(doc, value)
	case !slices.ContainsFunc(l.settings, func(s field[Config]) bool { return strings.HasPrefix(s.name, key+".") }):
		return unknownKey(doc, path, name, append(names(l.settings), imageTables, profileTables))
	default:
		table, isTable := value.(map[string]any)
		if !isTable {
			return wrong(doc.at(key), key, value, fmt.Sprintf("a table, [%s]", key), errNotAllowed)
		}
		return l.applyTable(doc, key, table)
	}
}

func setField[S any](doc document, f field[S], key string, into *S, value any) error {
	if err := f.set(into, value); err != nil {
		return wrong(doc.at(key), key, value, f.allowed, err)
	}
	return nil
}

// tables takes a list of tables in either of TOML's spellings.
func tables(doc document, key string, value any) ([]map[string]any, error) {
	switch value := value.(type) {
	case []map[string]any:
		return value, nil
	case []any:
		list := make([]map[string]any, len(value))
		for i, item := range value {
			table, isTable := item.(map[string]any)
			if !isTable {
				return nil, wrong(doc.at(element(key, i)), element(key, i), item, "a table", errNotAllowed)
			}
			list[i] = table
		}
		return list, nil
	}
	return nil, wrong(doc.at(key), key, value, fmt.Sprintf("a list of tables, each [[%s]]", key), errNotAllowed)
}

// setFields sets the keys of one table of a list and returns where each of them stands.
func setFields[S any](doc document, path string, fields []field[S], into *S, table map[string]any) (map[string]string, error) {
	origins := map[string]string{}
	for _, name := range doc.inOrder(path, table) {
		key := join(path, name)
		f, known := find(fields, name)
		if !known {
			return nil, unknownKey(doc, path, name, names(fields))
		}
		if err := setField(doc, f, key, into, table[name]); err != nil {
			return nil, err
		}
		origins[name] = doc.at(key)
	}
	return origins, nil
}

func missing(doc document, path, name, allowed string) error {
	return fmt.Errorf("%s: %s is missing; it must be %s", doc.at(path), join(path, name), allowed)
}

// applyImages puts the images of the file in place of the default ones.
func (l *loader) applyImages(doc document, value any) error {
	list, err := tables(doc, imageTables, value)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return wrong(doc.at(imageTables), imageTables, value, "a list with an image at least", errNotAllowed)
	}
	fields := imageFields()
	l.config.Images, l.imageOrigins = nil, nil
	for i, table := range list {
		path := element(imageTables, i)
		image := Image{Profile: profile.MLWorkspace.Name}
		origins, err := setFields(doc, path, fields, &image, table)
		if err != nil {
			return err
		}
		for _, name := range []string{"name", "image"} {
			if f, _ := find(fields, name); origins[name] == "" {
				return missing(doc, path, name, f.allowed)
			}
		}
		if slices.ContainsFunc(l.config.Images, func(other Image) bool { return other.Name == image.Name || other.Image == image.Image }) {
			return fmt.Errorf("%s: %s has the name or the image of an earlier one; each must be there once", doc.at(path), path)
		}
		l.config.Images = append(l.config.Images, image)
		l.imageOrigins = append(l.imageOrigins, origins)
	}
	return nil
}

// applyProfiles adds the profiles of the file; one with the name of a profile that is there changes it.
func (l *loader) applyProfiles(doc document, value any) error {
	list, err := tables(doc, profileTables, value)
	if err != nil {
		return err
	}
	for i, table := range list {
		if err := l.applyProfile(doc, element(profileTables, i), table); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) applyProfile(doc document, path string, table map[string]any) error {
	name, _ := table["name"].(string)
	changed := profile.Profile{AnswerDeadline: time.Minute, StopGrace: 10 * time.Second, HealthPath: "/", Env: map[string]string{}}
	index := slices.IndexFunc(l.config.Profiles, func(p profile.Profile) bool { return p.Name == name })
	if index >= 0 {
		changed = l.config.Profiles[index]
	}
	fields := profileFields()
	origins, err := setFields(doc, path, fields, &changed, table)
	if err != nil {
		return err
	}
	switch header, value := changed.SecretHeaderName, changed.SecretHeaderValue; {
	case l.profileOrigins[name] != nil:
		return fmt.Errorf("%s: there is a [[profile]] %q above already; each must be there once", doc.at(path), name)
	case (header == "") != (value == "") || (value != "" && !strings.Contains(value, "{secret}")):
		return wrong(doc.at(path), join(path, "secret_header_value"), value,
			`a text with {secret} in it together with secret_header_name, or both ""`, errNotAllowed)
	}
	for _, required := range []string{"name", "title", "port", "mount_path"} {
		if f, _ := find(fields, required); origins[required] == "" && (index < 0 || required == "name") {
			return missing(doc, path, required, f.allowed)
		}
	}
	l.profileOrigins[name] = origins
	if index < 0 {
		l.config.Profiles = append(l.config.Profiles, changed)
	} else {
		l.config.Profiles[index] = changed
	}
	return nil
}

func profileNames(profiles []profile.Profile) string {
	quoted := make([]string, len(profiles))
	for i, p := range profiles {
		quoted[i] = quote(p.Name)
	}
	return strings.Join(quoted, " or ")
}
