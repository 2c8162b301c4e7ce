package config

import (
	"slices"
	"strings"
)

// Change is one key whose value is another than before.
type Change struct {
	Key    string // "limits.memory.max", "override[1].limits.memory.max", "profile[ml-workspace].port"
	Before string // as TOML; "" = it was not there
	After  string // as TOML; "" = it is no longer there
	Origin string // where After came from, or where Before had come from if there is no After
	// Live says that it can take effect in a manager that runs. Anything else waits for a restart.
	Live bool
}

// Diff returns what is different, in the order in which Print shows it. Overrides and images are counted as in the
// configuration they are in, and those that only moved up or down because of another are not named.
func Diff(before, after Loaded) []Change {
	changes := diffTables(pairByKey(slices.Concat(before.settingTables(), before.groupTables()), slices.Concat(after.settingTables(), after.groupTables())))
	changes = append(changes, diffTables(pairInOrder(before.imageTables(), after.imageTables()))...)
	changes = append(changes, diffTables(pairInOrder(before.overrideTables(), after.overrideTables()))...)
	return append(changes, diffTables(pairByKey(byName(before), byName(after)))...)
}

// live tells what the parts of a running manager can take up: not who is driven, who is listened to, and what is there.
func live(key string) bool {
	section, _ := sectionOf(key)
	return key != keyEngine && section != "server" && section != "docker" && section != "mllab" && key != keyDiscover && key != keyDevices && key != keyTrustCA && key != keyUseProxy
}

// byName are the tables of the profiles, with names in their keys in place of numbers.
func byName(l Loaded) []table {
	tables := l.profileTables()
	for i := range tables {
		tables[i].key = profileTables + "[" + l.Config.Profiles[i].Name + "]"
	}
	return tables
}

// pair is a table before and after; one without rows is not there.
type pair struct{ before, after table }

// pairByKey brings together what has the same key.
func pairByKey(before, after []table) (pairs []pair) {
	rest := slices.Clone(before)
	for _, now := range after {
		p := pair{after: now}
		if i := slices.IndexFunc(rest, func(t table) bool { return t.key == now.key }); i >= 0 {
			p.before = rest[i]
			rest = slices.Delete(rest, i, i+1)
		}
		pairs = append(pairs, p)
	}
	for _, gone := range rest {
		pairs = append(pairs, pair{before: gone})
	}
	return pairs
}

// pairInOrder brings together what stands at the same place, after what is the same at the beginning and at the end has
// been left out.
func pairInOrder(before, after []table) (pairs []pair) {
	for len(before) > 0 && len(after) > 0 && same(before[0], after[0]) {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && same(before[len(before)-1], after[len(after)-1]) {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	for i := range max(len(before), len(after)) {
		var p pair
		if i < len(before) {
			p.before = before[i]
		}
		if i < len(after) {
			p.after = after[i]
		}
		pairs = append(pairs, p)
	}
	return pairs
}

func same(a, b table) bool {
	return slices.EqualFunc(a.rows, b.rows, func(a, b row) bool { return a.name == b.name && a.value == b.value })
}

func diffTables(pairs []pair) (changes []Change) {
	for _, p := range pairs {
		for _, now := range p.after.rows {
			was, known := p.before.row(now.name)
			// What came with a new table and has its usual value was not changed by anybody.
			if was.value == now.value || (!known && now.origin == byDefault) {
				continue
			}
			key := join(p.after.key, now.name)
			changes = append(changes, Change{Key: key, Before: was.value, After: now.value, Origin: now.origin, Live: live(key)})
		}
		for _, was := range p.before.rows {
			if _, known := p.after.row(was.name); known || was.origin == byDefault {
				continue
			}
			key := join(p.before.key, was.name)
			changes = append(changes, Change{Key: key, Before: was.value, Origin: was.origin, Live: live(key)})
		}
	}
	return changes
}

func (t table) row(name string) (row, bool) {
	i := slices.IndexFunc(t.rows, func(r row) bool { return r.name == name })
	if i < 0 {
		return row{}, false
	}
	return t.rows[i], true
}

// String is the change in a line: "limits.cpus.max: 4 → 8 (/etc/config.toml:12)".
func (c Change) String() string {
	show := func(value string) string {
		if value == "" {
			return "nothing"
		}
		return value
	}
	var b strings.Builder
	b.WriteString(c.Key + ": " + show(c.Before) + " → " + show(c.After) + " (" + c.Origin + ")")
	if !c.Live {
		b.WriteString(", after a restart")
	}
	return b.String()
}
