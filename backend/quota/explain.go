package quota

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// say writes an amount of a resource as people do: "2 CPUs", "4 GB of memory".
func (r Resource) say(n int64) string {
	switch r {
	case ResourceCPUs:
		return plural(formatCPUs(float64(n)/1e9), "CPU")
	case ResourceMemory:
		return FormatMB(n) + " of memory"
	case ResourceStorage:
		return FormatMB(n) + " of storage"
	case ResourceGPUs:
		return plural(fmt.Sprint(n), "GPU")
	case ResourceRunning:
		return plural(fmt.Sprint(n), "running workspace")
	}
	return plural(fmt.Sprint(n), "workspace")
}

// sayShort leaves out what was said a moment ago.
func (r Resource) sayShort(n int64) string {
	if r == ResourceMemory || r == ResourceStorage {
		return FormatMB(n)
	}
	return r.say(n)
}

func plural(n, noun string) string {
	if n == "1" {
		return n + " " + noun
	}
	return n + " " + noun + "s"
}

// whose names a scope as the one who reads it would.
func (l Line) whose() string {
	switch l.Scope {
	case ScopeUser:
		return "your quota"
	case ScopeGroup:
		return "the quota of the group " + l.Group
	}
	return "what this machine gives out"
}

// summarize says in a few words what stands against a request.
func summarize(short []shortage) string { return first(short).summary() }

func (s shortage) summary() string {
	switch {
	case s.ahead:
		return "others wait for the same and came first"
	case s.Resource == ResourceGPUs && s.Scope == ScopeHost && s.Bound == 0:
		return "this machine has no GPU"
	}
	return fmt.Sprintf("over %s by %s", s.whose(), s.Resource.say(s.over(s.wanted)))
}

// first is the shortage that matters most: one that nothing helps against, then the narrowest scope.
func first(short []shortage) shortage {
	return slices.MinFunc(short, func(x, y shortage) int {
		return cmp.Or(rank(x.alone)-rank(y.alone), rank(!x.ahead)-rank(!y.ahead))
	})
}

// explain says what stands against a claim, with the numbers, and what would make it fit.
func (b *Books) explain(c *Claim, short []shortage) string {
	s := first(short)
	if s.alone {
		return s.explainHopeless()
	}
	if s.ahead {
		return fmt.Sprintf("Others wait for %s and came first.", map[Resource]string{
			ResourceGPUs: "a GPU", ResourceMemory: "memory", ResourceCPUs: "CPUs", ResourceRunning: "a place to run",
		}[s.Resource])
	}
	sentence := fmt.Sprintf("%s is %s: %s taken, and this needs %s.", upperFirst(s.whose()), s.Resource.say(s.Bound), are(s.Resource, s.Taken), s.Resource.sayShort(s.wanted))
	if s.Resource == ResourceRunning {
		sentence = fmt.Sprintf("%s is %s at once, and %d %s.", upperFirst(s.whose()), s.Resource.say(s.Bound), s.Taken, verb(s.Taken, "runs", "run"))
	}
	if advice := b.advise(c, short); advice != "" {
		sentence += " " + advice
	}
	return sentence
}

func verb(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func are(r Resource, n int64) string {
	said := r.sayShort(n)
	if strings.HasPrefix(said, "1 ") && !strings.HasSuffix(said, "B") {
		return said + " is"
	}
	return said + " are"
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// explainHopeless speaks of something that would not fit if there were nothing else.
func (s shortage) explainHopeless() string {
	if s.Resource == ResourceGPUs && s.Scope == ScopeHost && s.Bound == 0 {
		return "This machine has no GPU to give."
	}
	return fmt.Sprintf("%s is %s in all, and this needs %s. Ask for at most %s.",
		upperFirst(s.whose()), s.Resource.say(s.Bound), s.Resource.sayShort(s.wanted), s.Resource.sayShort(s.Bound))
}

// explainStorage speaks of what counts as long as it exists.
func (s shortage) explainStorage() string {
	if s.Resource == ResourceWorkspaces {
		return fmt.Sprintf("%s is %s, and %d %s there. Delete one that is not needed any more.",
			upperFirst(s.whose()), s.Resource.say(s.Bound), s.Taken, verb(s.Taken, "is", "are"))
	}
	sentence := fmt.Sprintf("%s is %s: %s there, and this would be %s more.",
		upperFirst(s.whose()), s.Resource.say(s.Bound), are(s.Resource, s.Taken), s.Resource.sayShort(s.wanted))
	if left := s.Bound - s.Taken; left > 0 {
		return sentence + fmt.Sprintf(" Ask for at most %s, or delete files that were kept.", s.Resource.sayShort(left))
	}
	return sentence + " Delete a workspace with its files, or files that were kept."
}

// frees says what is won by that; of a place to run it goes without saying.
func (s shortage) frees(freed Amounts) string {
	if s.Resource == ResourceRunning {
		return ""
	}
	return " to free " + s.Resource.sayShort(freed.of(s.Resource))
}

// mostAdvised is how many workspaces are advised to be stopped at most; more is no advice.
const mostAdvised = 3

// advise says what would make a claim fit: the fewest of its owner's own workspaces to stop, or a smaller wish. What
// others have is nobody's business.
func (b *Books) advise(c *Claim, short []shortage) string {
	type candidate struct {
		name  string
		frees Amounts
	}
	var candidates []candidate
	for _, i := range b.claimsOf(c.Owner) {
		if other := &b.claims[i]; other.ID != c.ID && other.Held.Running > 0 {
			candidates = append(candidates, candidate{other.Name, other.Held})
		}
	}
	main := first(short)
	enough := func(freed Amounts) bool {
		return !slices.ContainsFunc(short, func(s shortage) bool { return !s.ahead && freed.of(s.Resource) < s.over(s.wanted) })
	}
	slices.SortStableFunc(candidates, func(x, y candidate) int {
		return cmp.Compare(x.frees.of(main.Resource), y.frees.of(main.Resource))
	})
	var advice []string
	if at := slices.IndexFunc(candidates, func(x candidate) bool { return enough(x.frees) }); at >= 0 {
		advice = append(advice, fmt.Sprintf("Stop %q%s", candidates[at].name, main.frees(candidates[at].frees)))
	} else {
		largest, freed := 0, Amounts{}
		for largest < min(mostAdvised, len(candidates)) && !enough(freed) {
			largest++
			freed = freed.Plus(candidates[len(candidates)-largest].frees)
		}
		if largest > 1 && enough(freed) {
			var names []string
			for _, x := range candidates[len(candidates)-largest:] {
				names = append(names, fmt.Sprintf("%q", x.name))
			}
			slices.Reverse(names) // what frees most comes first
			advice = append(advice, fmt.Sprintf("Stop %s and %s%s", strings.Join(names[:len(names)-1], ", "), names[len(names)-1], main.frees(freed)))
		}
	}
	left := main.Bound - main.Taken
	if left > 0 && (main.Resource == ResourceMemory || main.Resource == ResourceCPUs || main.Resource == ResourceGPUs) && len(short) == 1 {
		advice = append(advice, "ask for at most "+main.Resource.sayShort(left))
	}
	switch {
	case len(advice) > 0:
		return upperFirst(strings.Join(advice, ", or ")) + "."
	case main.Scope == ScopeUser:
		return ""
	}
	return "It fits when others stop theirs."
}
