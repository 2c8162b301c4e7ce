package jupyter

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"lab-workspace-manager/backend/activity"
)

const (
	// maxVotes bounds how many kernels, and how many terminals, are told of. More would say nothing more.
	maxVotes = 20
	maxName  = 60 // characters
)

// list is an array in an answer; what else there is in its elements does not matter.
type list[T any] []T

func (l *list[T]) parse(body []byte) error { return json.Unmarshal(body, (*[]T)(l)) }

type kernel struct {
	ID    string `json:"id"`
	State string `json:"execution_state"`
}

// busy reports whether it computes. Its last_activity is not looked at: it moves with every message, also with those
// that a forgotten page sends when it connects again.
func (k kernel) busy() bool { return k.State == "busy" }

type session struct {
	Path   string `json:"path"`
	Type   string `json:"type"` // "notebook", "console" …
	Kernel kernel `json:"kernel"`
}

type terminal struct {
	Name string `json:"name"`
	// LastActivity moves with output, whether a page shows it or not, with input, and when a page connects.
	LastActivity string `json:"last_activity"`
}

// findings are the answers of a server.
type findings struct {
	kernels   list[kernel]
	sessions  list[session]
	terminals list[terminal]
}

func (f *findings) isBusy() bool { return slices.ContainsFunc(f.kernels, kernel.busy) }

// votes makes votes of the answers. skew is by how much the server's clock is behind ours.
func (f *findings) votes(now time.Time, skew time.Duration) []activity.Vote {
	var votes []activity.Vote
	busy := 0
	for _, k := range f.kernels {
		if !k.busy() || busy == maxVotes {
			continue
		}
		busy++
		is, was := f.describe(k)
		votes = append(votes,
			activity.Vote{Kind: activity.KindKernel, Active: true, At: now, Reason: is},
			// For when it has ended.
			activity.Vote{Kind: activity.KindKernel, At: now, Reason: was})
	}
	var printed []activity.Vote
	for _, t := range f.terminals {
		at, err := time.Parse(time.RFC3339, t.LastActivity)
		if err != nil {
			continue
		}
		if at = at.Add(skew); at.After(now) {
			at = now
		}
		printed = append(printed, activity.Vote{Kind: activity.KindTerminal, At: at, Reason: strings.TrimSpace("terminal "+shown(t.Name)) + " printed something"})
	}
	slices.SortStableFunc(printed, func(a, b activity.Vote) int { return b.At.Compare(a.At) })
	return append(votes, printed[:min(len(printed), maxVotes)]...)
}

// describe says of a busy kernel what it does, and what it did.
func (f *findings) describe(k kernel) (is, was string) {
	for _, s := range f.sessions {
		if s.Kernel.ID != k.ID {
			continue
		}
		name := shown(path.Base(s.Path))
		switch {
		case name == "" || name == ".":
		case s.Type == "notebook":
			return "a cell of " + name + " runs", "a cell of " + name + " ran"
		default:
			return "the kernel of " + name + " computes", "the kernel of " + name + " computed"
		}
	}
	return "a kernel computes", "a kernel computed"
}

// shown makes a name fit to be shown: a workspace chooses its names itself.
func shown(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name))
	if runes := []rune(name); len(runes) > maxName {
		return string(runes[:maxName-1]) + "…"
	}
	return name
}
