package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

const groupsTable = "groups"

// loginName is the name of a person as the system or an identity provider has it, or the owner id that we made of it.
func loginName() kind[workspace.Owner] {
	return kind[workspace.Owner]{
		allowed: fmt.Sprintf(`a login name of %d characters at most, such as "ada", or an owner id`, maxLineLength),
		decode: func(value any) (workspace.Owner, error) {
			name, _ := value.(string)
			said := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
			if _, err := line(1).decode(name); err != nil || !strings.ContainsFunc(name, said) {
				return "", errNotAllowed
			}
			return workspace.OwnerFromName(name), nil
		},
		show: func(owner workspace.Owner) string { return quote(string(owner)) },
	}
}

const maxMembers = 10_000

// people is a list of login names. Two that become the same owner are refused, because one of them is a mistake or
// stands for somebody else.
func people() kind[[]workspace.Owner] {
	list := listOfUpTo(maxMembers, loginName())
	decode := list.decode
	list.decode = func(value any) ([]workspace.Owner, error) {
		owners, err := decode(value)
		first := make(map[workspace.Owner]any, len(owners))
		for i, owner := range owners {
			name := value.([]any)[i]
			if before, known := first[owner]; known {
				return nil, entryError{index: i, value: name, err: fmt.Errorf("is the same user, %s, as %s before it; each must be there once", owner, describe(before))}
			}
			first[owner] = name
		}
		return owners, err
	}
	return list
}

func groupName() kind[string] { return profileName() }

// applyGroups reads [groups]: a list of members for each name.
func (l *loader) applyGroups(doc document, value any) error {
	table, isTable := value.(map[string]any)
	if !isTable {
		return wrong(doc.at(groupsTable), groupsTable, value, "a table, [groups]", errNotAllowed)
	}
	names, members := groupName(), at("members", people(), func(g *quota.Group) *[]workspace.Owner { return &g.Members })
	for _, name := range doc.inOrder(groupsTable, table) {
		key := join(groupsTable, name)
		if err := checkGroupName(doc, names, key, name); err != nil {
			return err
		}
		group := l.group(name)
		if err := setField(doc, members, key, &group, table[name]); err != nil {
			return err
		}
		l.config.Policy.Groups[name], l.origins[key] = group, doc.at(key)
	}
	return nil
}

// applyGroupQuotas reads the tables [quota.group.NAME]. Whether [groups] has the name is asked when all is read.
func (l *loader) applyGroupQuotas(doc document, value any) error {
	table, isTable := value.(map[string]any)
	if !isTable {
		return wrong(doc.at(groupQuota), groupQuota, value, "a table with a table for each group, [quota.group.NAME]", errNotAllowed)
	}
	names, fields := groupName(), groupQuotaFields()
	for _, name := range doc.inOrder(groupQuota, table) {
		key := join(groupQuota, name)
		if err := checkGroupName(doc, names, key, name); err != nil {
			return err
		}
		sums, isTable := table[name].(map[string]any)
		if !isTable {
			return wrong(doc.at(key), key, table[name], fmt.Sprintf("a table, [%s]", key), errNotAllowed)
		}
		group := l.group(name)
		into := filler[quota.Sums]{doc: doc, base: key, fields: fields, into: &group.Quota, note: func(name, place string) { l.origins[join(key, name)] = place }}
		if err := into.fill("", sums); err != nil {
			return err
		}
		l.config.Policy.Groups[name], l.origins[key] = group, doc.at(key)
	}
	return nil
}

func checkGroupName(doc document, kind kind[string], key, name string) error {
	if _, err := kind.decode(name); err != nil {
		return wrong(doc.at(key), "the name of a group", name, kind.allowed, err)
	}
	return nil
}

// group is what was read of a group so far.
func (l *loader) group(name string) quota.Group {
	if l.config.Policy.Groups == nil {
		l.config.Policy.Groups = map[string]quota.Group{}
	}
	group, known := l.config.Policy.Groups[name]
	if !known {
		group.Quota.OnExceed = quota.Queue
	}
	return group
}

// settleGroups refuses a quota for a group that nobody is in because it is not there.
func (l *loader) settleGroups() error {
	for _, name := range slices.Sorted(maps.Keys(l.config.Policy.Groups)) {
		if key := join(groupQuota, name); !l.isSet(join(groupsTable, name)) {
			return notThere(l.origins[key], key+" is for the group", name, l.groupNames(), "[groups] has none")
		}
	}
	return nil
}

// groupNames are the groups that [groups] has.
func (l *loader) groupNames() (names []string) {
	for name := range l.config.Policy.Groups {
		if l.isSet(join(groupsTable, name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// notThere is the sentence about a name that should be one of some others. It names the nearest of them, or all if
// they are few.
func notThere(where, what, name string, others []string, none string) error {
	const few = 12
	said := fmt.Sprintf("%s: %s %s, which is not there; ", where, what, quote(shorten(name)))
	nearest := nearestOf(name, others)
	switch {
	case len(others) == 0:
		return errors.New(said + none)
	case len(others) <= few:
		return errors.New(said + "it must be " + oneOf(others...).allowed)
	case nearest != "":
		return errors.New(said + "did you mean " + quote(nearest) + "?")
	}
	return errors.New(said + "it must be " + oneOf(others[:few]...).allowed + " or another of them")
}
