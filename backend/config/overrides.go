package config

import (
	"fmt"
	"slices"
	"strings"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

const overrideTables = "override"

const (
	keyUsers    = "users"
	keyGroups   = "groups"
	keyProfiles = "profiles"
)

// overrideFields are the keys of an [[override]].
func overrideFields() []field[quota.Override] {
	fields := []field[quota.Override]{
		hiddenWhenEmpty(at(keyUsers, people(), func(o *quota.Override) *[]workspace.Owner { return &o.Users })),
		hiddenWhenEmpty(at(keyGroups, distinct(listOf(groupName())), func(o *quota.Override) *[]string { return &o.Groups })),
		hiddenWhenEmpty(at(keyProfiles, distinct(listOf(profileName())), func(o *quota.Override) *[]string { return &o.Profiles })),
	}
	for _, l := range limits() {
		fields = append(fields, l.patches()...)
	}
	fields = append(fields, atPart(keyAlwaysClear, flag(), func(o *quota.Override) **bool { return &o.Limits.AlwaysClearVolumeOnStop }))
	for _, s := range sums() {
		fields = append(fields, s.patch())
	}
	return fields
}

func (r limitOf[T]) patches() []field[quota.Override] {
	in := func(o *quota.Override) *quota.RangePatch[T] { return r.patchOf(&o.Limits) }
	return []field[quota.Override]{
		atPart(r.name+partDefault, r.normal, func(o *quota.Override) **T { return &in(o).Default }),
		atPart(r.name+partMax, r.most, func(o *quota.Override) **T { return &in(o).Max }),
		atPart(r.name+partChoices, choicesOf(r.choice), func(o *quota.Override) **[]T { return &in(o).Choices }),
	}
}

const maxOverrides = 10_000

func (l *loader) applyOverrides(doc document, value any) error {
	list, err := tables(doc, overrideTables, value)
	if err != nil {
		return err
	}
	if len(list) > maxOverrides {
		return fmt.Errorf("%s: there are %d overrides; there may be %d", doc.at(overrideTables), len(list), maxOverrides)
	}
	fields := overrideFields()
	l.config.Policy.Overrides = slices.Grow(l.config.Policy.Overrides, len(list))
	for i, table := range list {
		path, read := element(overrideTables, i), quota.Override{}
		into := filler[quota.Override]{doc: doc, base: path, fields: fields, into: &read, note: func(name, place string) { l.origins[join(path, name)] = place }}
		if err := into.fill("", table); err != nil {
			return err
		}
		l.origins[path] = doc.at(path)
		for _, list := range []struct {
			key   string
			names []string
		}{{keyGroups, read.Groups}, {keyProfiles, read.Profiles}} {
			for j := range list.names {
				entry := element(join(path, list.key), j)
				l.origins[entry] = doc.at(entry)
			}
		}
		l.config.Policy.Overrides = append(l.config.Policy.Overrides, read)
	}
	return nil
}

// settleOverrides checks each override against what else is configured.
func (l *loader) settleOverrides() error {
	groups, profiles := l.groupNames(), profileNames(l.config.Profiles)
	for i, o := range l.config.Policy.Overrides {
		path := element(overrideTables, i)
		if err := l.checkOverride(path, o); err != nil {
			return err
		}
		if err := l.allThere(join(path, keyGroups), o.Groups, groups, "[groups] has none"); err != nil {
			return err
		}
		if err := l.allThere(join(path, keyProfiles), o.Profiles, profiles, ""); err != nil {
			return err
		}
		for _, limit := range l.limits {
			if err := limit.settlePatch(l, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOverride refuses an override that is for nobody, that changes nothing, or that asks for what cannot be told
// apart.
func (l *loader) checkOverride(path string, o quota.Override) error {
	changesLimits, changesQuota := o.Limits != (quota.LimitsPatch{}), o.Quota != (quota.SumsPatch{})
	switch {
	case len(o.Users)+len(o.Groups)+len(o.Profiles) == 0:
		return fmt.Errorf("%s: %s is for nobody; it must have users, groups or profiles", l.origins[path], path)
	case !changesLimits && !changesQuota:
		return fmt.Errorf("%s: %s changes nothing; it must have limits or a quota", l.origins[path], path)
	case changesQuota && len(o.Profiles) > 0:
		return fmt.Errorf("%s: %s has a quota and profiles; it must be without one of them, because a quota counts the workspaces of all profiles together",
			l.origins[join(path, keyProfiles)], path)
	}
	return nil
}

// allThere refuses a name that is none of those there are.
func (l *loader) allThere(key string, names, known []string, none string) error {
	for i, name := range names {
		if !slices.Contains(known, name) {
			return notThere(l.origins[element(key, i)], element(key, i)+" is", name, known, none)
		}
	}
	return nil
}

func (r limitOf[T]) settlePatch(l *loader, index int) error {
	patch, base := r.patchOf(&l.config.Policy.Overrides[index].Limits), *r.of(&l.config.Policy.Limits)
	if *patch == (quota.RangePatch[T]{}) {
		return nil
	}
	keyDefault, normal := inForce(index, r.name+partDefault, patch.Default, base.Default)
	keyMax, most := inForce(index, r.name+partMax, patch.Max, base.Max)
	keyChoices, choices := inForce(index, r.name+partChoices, patch.Choices, base.Choices)
	for _, part := range []struct {
		key   string
		value T
	}{{keyDefault, normal}, {keyChoices, slices.Max(append([]T{0}, choices...))}} {
		switch {
		case !r.tooMuch(most)(part.value) || !l.isSet(part.key):
			// It fits, or it follows wherever the override is applied.
		case l.isSet(keyMax):
			return l.overrideContradiction(index, part.key, keyMax)
		default:
			if other := r.boundElsewhere(l, index); other >= 0 {
				otherKey := join(element(overrideTables, other), r.name+partMax)
				return fmt.Errorf("%s: %s is %s, more than %s, which nobody set; set %s.max, too, because for some of the same people %s is %s (%s)",
					l.origin(part.key), part.key, l.shown(index, part.key), keyMax, join(element(overrideTables, index), r.name), otherKey, l.shown(other, otherKey), l.origin(otherKey))
			}
			most = part.value
			patch.Max = &most
			keyMax = join(element(overrideTables, index), r.name+partMax)
			l.follow(keyMax, "raised to", part.key)
		}
	}
	return nil
}

// inForce is a part of a limit where only this override fits, and its key.
func inForce[T any](index int, name string, patch *T, base T) (string, T) {
	if patch == nil {
		return name, base
	}
	return join(element(overrideTables, index), name), *patch
}

// overrideContradiction names the two places that disagree, that of the override first.
func (l *loader) overrideContradiction(index int, key, keyMax string) error {
	first, relation, second := key, "more", keyMax
	if strings.HasPrefix(keyMax, overrideTables) {
		first, relation, second = keyMax, "less", key
	}
	return fmt.Errorf("%s: %s is %s, %s than %s, which is %s (%s); change one of them, or set both in the override",
		l.origin(first), first, l.shown(index, first), relation, second, l.shown(index, second), l.origin(second))
}

// shown is a value as TOML, of a setting or of the override at index.
func (l *loader) shown(index int, key string) string {
	if name, ours := strings.CutPrefix(key, element(overrideTables, index)+"."); ours {
		patch, _ := find(overrideFields(), name)
		return patch.show(&l.config.Policy.Overrides[index])
	}
	setting, _ := find(l.settings, key)
	return setting.show(&l.config)
}

// boundElsewhere is the index of an override that sets this maximum for some of the people of another one, and that the
// other one goes before; -1 = none. Where there is one, a maximum that nobody set for the other cannot follow: it would
// take the place of one that somebody set.
func (r limitOf[T]) boundElsewhere(l *loader, index int) int {
	policy := l.config.Policy
	mine := policy.Overrides[index]
	var people reach // found out when it is needed
	for i, other := range policy.Overrides {
		if i == index || !l.isSet(join(element(overrideTables, i), r.name+partMax)) {
			continue
		}
		if people == nil {
			people = reachOf(policy, mine)
		}
		user, profile, both := inBoth(people, reachOf(policy, other), mine.Profiles, other.Profiles)
		if !both {
			continue
		}
		first, second := min(i, index), max(i, index)
		pair := quota.Policy{Groups: policy.Groups, Overrides: []quota.Override{policy.Overrides[first], policy.Overrides[second]}}
		if fitting := pair.Fitting(user, profile); len(fitting) == 2 && (fitting[0] == 0) == (i < index) {
			return i
		}
	}
	return -1
}

// reach is the users whom an override is for. Somebody whom no user or group names has the empty name.
type reach map[workspace.Owner]bool

const anybody workspace.Owner = ""

func reachOf(policy quota.Policy, o quota.Override) reach {
	if len(o.Users)+len(o.Groups) == 0 {
		return reach{anybody: true}
	}
	users, members := reach{}, reach{}
	for _, user := range o.Users {
		users[user] = true
	}
	for _, group := range o.Groups {
		for _, member := range policy.Groups[group].Members {
			if len(users) == 0 || users[member] {
				members[member] = true
			}
		}
	}
	if len(o.Groups) == 0 {
		return users
	}
	return members
}

// inBoth finds a user and a profile ("" = any) that two overrides are for.
func inBoth(a, b reach, aProfiles, bProfiles []string) (user workspace.Owner, profile string, ok bool) {
	if b[anybody] {
		a, b = b, a
	}
	found := false
	for candidate := range b {
		if a[anybody] || a[candidate] {
			user, found = candidate, true
			break
		}
	}
	switch {
	case len(aProfiles) == 0 && len(bProfiles) == 0:
		return user, "", found
	case len(aProfiles) == 0 || len(bProfiles) == 0:
		return user, slices.Concat(aProfiles, bProfiles)[0], found
	}
	for _, candidate := range aProfiles {
		if slices.Contains(bProfiles, candidate) {
			return user, candidate, found
		}
	}
	return "", "", false
}

// mustStayOpen is true of a default and of choices that are cut where an override sets a lower maximum.
func (r limitOf[T]) mustStayOpen(policy quota.Policy, key string) bool {
	base := *r.of(&policy.Limits)
	if key == r.name+partMax || !strings.HasPrefix(key, r.name+".") {
		return false
	}
	for i := range policy.Overrides {
		patch := r.patchOf(&policy.Overrides[i].Limits)
		if patch.Max == nil {
			continue
		}
		tooMuch := r.tooMuch(*patch.Max)
		if (key == r.name+partDefault && patch.Default == nil && tooMuch(base.Default)) ||
			(key == r.name+partChoices && patch.Choices == nil && slices.ContainsFunc(base.Choices, tooMuch)) {
			return true
		}
	}
	return false
}
