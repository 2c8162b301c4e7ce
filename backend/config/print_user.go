package config

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// PrintUser writes the limits and the quota of a user, given by a login name or an owner id, each with the place that
// decided it, then what differs with images of each profile. What the machine has is not considered. It is an error if
// the name can be nobody's.
func (l Loaded) PrintUser(w io.Writer, name string) error {
	kind := loginName()
	user, err := kind.decode(name)
	if err != nil {
		return wrong("command line", "--user", name, kind.allowed, err)
	}
	base := l.settlementFor(user, "")
	var b strings.Builder
	fmt.Fprintf(&b, "# What is decided for the user %s. The size of the machine bounds it further.\n", user)
	membership, limits := l.membershipOf(user), base.limits()
	if len(membership.rows) == 0 {
		b.WriteString("# In no group.\n")
	}
	for _, t := range slices.Concat([]table{membership, limits, base.sums()}, l.groupQuotasOf(user)) {
		t.write(&b)
	}
	for _, p := range l.Config.Profiles {
		with := l.settlementFor(user, p.Name).limits()
		with.rows = slices.DeleteFunc(with.rows, func(r row) bool {
			return slices.ContainsFunc(limits.rows, func(other row) bool { return other.name == r.name && other.value == r.value })
		})
		with.heading = "# with images of the profile " + p.Name + "\n"
		with.write(&b)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// membershipOf tells the groups of a user.
func (l Loaded) membershipOf(user workspace.Owner) table {
	t := table{heading: heading("[%s]", groupsTable)}
	for _, name := range l.Config.Policy.GroupsOf(user) {
		t.rows = append(t.rows, row{name: name, value: people().show([]workspace.Owner{user}), origin: l.Origin(join(groupsTable, name))})
	}
	return t
}

// groupQuotasOf are the quotas that a user shares with the other members of a group.
func (l Loaded) groupQuotasOf(user workspace.Owner) (tables []table) {
	mine := l.Config.Policy.GroupsOf(user)
	for _, t := range l.groupTables() {
		if name, isQuota := strings.CutPrefix(t.key, groupQuota+"."); isQuota && slices.Contains(mine, name) {
			tables = append(tables, t)
		}
	}
	return tables
}

// settlement is what applies to a user with images of a profile.
type settlement struct {
	loaded  Loaded
	config  Config // with the limits and the quota of the user
	fitting []int  // overrides, the last one that says something wins
}

func (l Loaded) settlementFor(user workspace.Owner, profile string) settlement {
	policy := l.Config.Policy
	s := settlement{loaded: l, config: l.Config, fitting: policy.Fitting(user, profile)}
	s.config.Policy.Limits, s.config.Policy.User = policy.LimitsFor(user, profile), policy.SumsFor(user)
	return s
}

func (s settlement) limits() table { return s.table("limits", "limits") }

func (s settlement) sums() table { return s.table(userQuota, quotaTable) }

// table shows the settings below a key. Overrides have them below another.
func (s settlement) table(below, belowInOverride string) table {
	t := table{heading: heading("[%s]", below)}
	patches := overrideFields()
	for _, setting := range s.loaded.loader.settings {
		name, inside := strings.CutPrefix(setting.name, below+".")
		if !inside {
			continue
		}
		origin := s.loaded.Origin(setting.name)
		said := setting.show(&s.loaded.Config)
		if patch, patched := find(patches, join(belowInOverride, name)); patched {
			if i := s.winner(patch); i >= 0 {
				said = patch.show(&s.config.Policy.Overrides[i])
				origin = s.loaded.Origin(join(element(overrideTables, i), patch.name))
			}
		}
		value := setting.show(&s.config)
		if value != said {
			origin += s.follows(setting.name, patches)
		}
		t.rows = append(t.rows, row{name: name, value: value, origin: origin})
	}
	return t
}

// winner is the override that has the last word on a key; -1 = none.
func (s settlement) winner(patch field[quota.Override]) int {
	for _, i := range slices.Backward(s.fitting) {
		if patch.show(&s.config.Policy.Overrides[i]) != "" {
			return i
		}
	}
	return -1
}

// follows says which maximum a value had to give way to.
func (s settlement) follows(key string, patches []field[quota.Override]) string {
	keyMax := strings.TrimSuffix(strings.TrimSuffix(key, partDefault), partChoices) + partMax
	if patch, patched := find(patches, keyMax); patched {
		if i := s.winner(patch); i >= 0 {
			keyMax = join(element(overrideTables, i), keyMax)
		}
	}
	return fmt.Sprintf(", bound by %s (%s)", keyMax, s.loaded.Origin(keyMax))
}
