package config

import "slices"

// Value is one key of the configuration in force.
type Value struct {
	Key    string // "limits.memory.max", "image[0].name"
	Value  string // as TOML
	Origin string // where it came from
}

// Values lists everything in force, in the order in which Print shows it.
func (l Loaded) Values() (values []Value) {
	for _, t := range slices.Concat(l.settingTables(), l.groupTables(), l.imageTables(), l.overrideTables(), l.profileTables()) {
		for _, r := range t.rows {
			values = append(values, Value{Key: join(t.key, r.name), Value: r.value, Origin: r.origin})
		}
	}
	return values
}
