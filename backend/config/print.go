package config

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// origin says where the value of a key came from.
func (l *loader) origin(key string) string {
	if origin := l.origins[key]; origin != "" {
		return origin
	}
	for i, origins := range l.imageOrigins {
		if name, inside := strings.CutPrefix(key, element(imageTables, i)+"."); inside {
			return cmp.Or(origins[name], byDefault)
		}
	}
	for i, p := range l.config.Profiles {
		if name, inside := strings.CutPrefix(key, element(profileTables, i)+"."); inside {
			return cmp.Or(l.profileOrigins[p.Name][name], byDefault)
		}
	}
	return byDefault
}

// Print writes every value and where it came from, as a file that could be loaded.
func (l Loaded) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# configuration file: %s\n", cmp.Or(l.File, "none, it would be "+usualFile(l.Folders)))
	fmt.Fprintf(&b, "# state folder: %s\n", l.Folders.State)
	if engine, why := l.Config.Drives(); why != "" {
		fmt.Fprintf(&b, "# engine in use: %s, because %s\n", engine, why)
	}
	if l.Config.DockerInLab() {
		fmt.Fprintf(&b, "# the ML Lab at %s says who may do what, lists what runs, and its proxy leads there\n", l.Config.MLLab.Endpoint)
	}
	for _, t := range slices.Concat(l.settingTables(), l.groupTables(), l.imageTables(), l.overrideTables(), l.profileTables()) {
		t.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table is a table of the file with its values.
type table struct {
	heading string // as the file has it; "" = the part before all tables
	key     string // of the table itself; "override[1]"
	rows    []row
}

// row is one key with its value.
type row struct {
	name   string // in its table
	value  string // as TOML
	origin string
	open   bool // printed as a comment, because it would contradict something if it were set
}

// settingTables are the tables whose keys are all known.
func (l Loaded) settingTables() (tables []table) {
	for _, setting := range l.loader.settings {
		section, name := sectionOf(setting.name)
		if len(tables) == 0 || tables[len(tables)-1].key != section {
			tables = append(tables, table{heading: heading("[%s]", section), key: section})
		}
		last := &tables[len(tables)-1]
		r := row{name: name, value: setting.show(&l.Config), origin: l.Origin(setting.name)}
		if !l.loader.isSet(setting.name) && l.loader.mustStayOpen(setting.name) {
			r.open = true
			r.origin += "; not set, so that it follows a lower maximum of an override"
		}
		last.rows = append(last.rows, r)
	}
	return tables
}

// sectionOf parts a key into the [table] under which the file shows it and its name there.
func sectionOf(key string) (section, name string) {
	if rest, inside := strings.CutPrefix(key, quotaTable+"."); inside {
		section, name, _ = strings.Cut(rest, ".")
		return join(quotaTable, section), name
	}
	section, name, nested := strings.Cut(key, ".")
	if !nested {
		return "", key
	}
	return section, name
}

func (l *loader) mustStayOpen(key string) bool {
	return slices.ContainsFunc(l.limits, func(limit limit) bool { return limit.mustStayOpen(l.config.Policy, key) })
}

// groupTables are [groups] and the quotas that somebody set for groups.
func (l Loaded) groupTables() []table {
	members := table{heading: heading("[%s]", groupsTable), key: groupsTable}
	var quotas []table
	fields := groupQuotaFields()
	for _, name := range slices.Sorted(maps.Keys(l.Config.Policy.Groups)) {
		group := l.Config.Policy.Groups[name]
		members.rows = append(members.rows, row{name: name, value: people().show(group.Members), origin: l.Origin(join(groupsTable, name))})
		if key := join(groupQuota, name); l.loader.isSet(key) {
			quotas = append(quotas, table{heading("[%s]", key), key, rowsOf(l, key, fields, &group.Quota)})
		}
	}
	return append([]table{members}, quotas...)
}

func (l Loaded) imageTables() []table {
	return tablesOf(l, imageTables, imageFields(), l.Config.Images)
}

func (l Loaded) profileTables() []table {
	return tablesOf(l, profileTables, profileFields(), l.Config.Profiles)
}

func (l Loaded) overrideTables() []table {
	return tablesOf(l, overrideTables, overrideFields(), l.Config.Policy.Overrides)
}

func tablesOf[S any](l Loaded, name string, fields []field[S], list []S) []table {
	tables := make([]table, len(list))
	for i := range list {
		key := element(name, i)
		tables[i] = table{heading("[[%s]]", name), key, rowsOf(l, key, fields, &list[i])}
	}
	return tables
}

// rowsOf are the keys of a table but for those that are not there.
func rowsOf[S any](l Loaded, path string, fields []field[S], of *S) []row {
	rows := make([]row, 0, len(fields))
	for _, f := range fields {
		if value := f.show(of); value != "" {
			rows = append(rows, row{name: f.name, value: value, origin: l.Origin(join(path, f.name))})
		}
	}
	return rows
}

func heading(format, table string) string {
	if table == "" {
		return ""
	}
	return fmt.Sprintf(format, table) + "\n"
}

// write writes the rows with their values and origins below each other. A very long value moves only its own origin.
func (t table) write(b *strings.Builder) {
	if len(t.rows) == 0 {
		return
	}
	const maxAligned = 40
	nameWidth, valueWidth := 0, 0
	for _, r := range t.rows {
		nameWidth = max(nameWidth, len(r.label()))
		if width := utf8.RuneCountInString(r.value); width <= maxAligned {
			valueWidth = max(valueWidth, width)
		}
	}
	b.WriteString("\n" + t.heading)
	for _, r := range t.rows {
		fmt.Fprintf(b, "%-*s = %-*s  # %s\n", nameWidth, r.label(), valueWidth, r.value, r.origin)
	}
}

func (r row) label() string {
	if r.open {
		return "# " + r.name
	}
	return r.name
}
