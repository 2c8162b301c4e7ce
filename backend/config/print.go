package config

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// origin says where the value of a key came from.
func (l *loader) origin(key string) string {
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
	return cmp.Or(l.origins[key], byDefault)
}

// Print writes every value and where it came from, as a file that could be loaded.
func (l Loaded) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# configuration file: %s\n", cmp.Or(l.File, "none, it would be "+usualFile(l.Folders)))
	fmt.Fprintf(&b, "# state folder: %s\n", l.Folders.State)
	var rows []row
	table := ""
	for _, setting := range l.loader.settings {
		section, name, nested := strings.Cut(setting.name, ".")
		if !nested {
			section, name = "", setting.name
		}
		if section != table {
			writeTable(&b, heading("[%s]", table), rows)
			table, rows = section, nil
		}
		rows = append(rows, row{name, setting.show(&l.Config), l.Origin(setting.name)})
	}
	writeTable(&b, heading("[%s]", table), rows)
	for i := range l.Config.Images {
		writeTable(&b, heading("[[%s]]", imageTables), rowsOf(l, element(imageTables, i), imageFields(), &l.Config.Images[i]))
	}
	for i := range l.Config.Profiles {
		writeTable(&b, heading("[[%s]]", profileTables), rowsOf(l, element(profileTables, i), profileFields(), &l.Config.Profiles[i]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// row is one printed key.
type row struct{ name, value, origin string }

func rowsOf[S any](l Loaded, path string, fields []field[S], of *S) []row {
	rows := make([]row, len(fields))
	for i, f := range fields {
		rows[i] = row{f.name, f.show(of), l.Origin(join(path, f.name))}
	}
	return rows
}

func heading(format, table string) string {
	if table == "" {
		return ""
	}
	return fmt.Sprintf(format, table) + "\n"
}

// writeTable writes rows with their values and origins below each other. A very long value moves only its own origin.
func writeTable(b *strings.Builder, heading string, rows []row) {
	const maxAligned = 40
	nameWidth, valueWidth := 0, 0
	for _, r := range rows {
		nameWidth = max(nameWidth, len(r.name))
		if width := utf8.RuneCountInString(r.value); width <= maxAligned {
			valueWidth = max(valueWidth, width)
		}
	}
	b.WriteString("\n" + heading)
	for _, r := range rows {
		fmt.Fprintf(b, "%-*s = %-*s  # %s\n", nameWidth, r.name, valueWidth, r.value, r.origin)
	}
}
