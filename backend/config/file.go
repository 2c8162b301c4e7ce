package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
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
	return l.applyRoot(document{file: file, lines: keyLines(string(text))}, root)
}

// applyRoot applies the table that is the whole file.
func (l *loader) applyRoot(doc document, root map[string]any) error {
	settings := filler[Config]{
		doc: doc, fields: l.settings, into: &l.config, note: func(name, place string) { l.origins[name] = place },
		others: []other{
			{groupsTable, l.applyGroups}, {groupQuota, l.applyGroupQuotas}, {overrideTables, l.applyOverrides},
			{imageTables, l.applyImages}, {profileTables, l.applyProfiles},
		},
	}
	return settings.fill("", root)
}

// other is a key whose value is no single one: a table with names of the administrator's, or a [[list of tables]].
type other struct {
	name  string
	apply func(doc document, value any) error
}

// filler sets the keys of a table, and of the tables below it, that are kept in an S.
type filler[S any] struct {
	doc    document
	base   string // path of the table; "" = the file
	fields []field[S]
	into   *S
	note   func(name, place string) // hears of every key that is set
	others []other
}

// fill sets what stands in the table at base and inner.
func (f filler[S]) fill(inner string, table map[string]any) error {
	path := join(f.base, inner)
	for _, key := range f.doc.inOrder(path, table) {
		if err := f.fillKey(inner, key, table[key]); err != nil {
			return err
		}
	}
	return nil
}

func (f filler[S]) fillKey(inner, key string, value any) error {
	name := join(inner, key)
	full := join(f.base, name)
	if field, known := find(f.fields, name); known {
		f.note(name, f.doc.at(full))
		return setField(f.doc, field, full, f.into, value)
	}
	for _, other := range f.others {
		if other.name == name {
			return other.apply(f.doc, value)
		}
	}
	if !f.hasBelow(name) {
		return unknownKey(f.doc, f.base, inner, key, f.names())
	}
	table, isTable := value.(map[string]any)
	if !isTable {
		return wrong(f.doc.at(full), full, value, fmt.Sprintf("a table, [%s]", tableName(full)), errNotAllowed)
	}
	return f.fill(name, table)
}

// hasBelow says that there are keys below a name, so that it is a table.
func (f filler[S]) hasBelow(name string) bool {
	below := name + "."
	return slices.ContainsFunc(f.fields, func(known field[S]) bool { return strings.HasPrefix(known.name, below) }) ||
		slices.ContainsFunc(f.others, func(known other) bool { return strings.HasPrefix(known.name, below) })
}

func (f filler[S]) names() []string {
	known := names(f.fields)
	for _, other := range f.others {
		known = append(known, other.name)
	}
	return known
}

// tableName is how a table is headed in the file: in [override.limits] which of the overrides is meant is where it stands.
func tableName(path string) string { return indexPattern.ReplaceAllString(path, "") }

var indexPattern = regexp.MustCompile(`\[[0-9]+\]`)

func setField[S any](doc document, f field[S], key string, into *S, value any) error {
	err := f.set(into, value)
	if entry, isEntry := errors.AsType[entryError](err); isEntry {
		key = element(key, entry.index)
		return wrong(doc.at(key), key, entry.value, entry.allowed, entry.err)
	}
	if err != nil {
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
	f := filler[S]{doc: doc, base: path, fields: fields, into: into, note: func(name, place string) { origins[name] = place }}
	return origins, f.fill("", table)
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
	changed := profile.Profile{KeepsPath: true, AnswerDeadline: time.Minute, StopGrace: 10 * time.Second, HealthPath: "/", Env: map[string]string{}}
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

func profileNames(profiles []profile.Profile) []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.Name
	}
	return names
}
