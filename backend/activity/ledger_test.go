package activity

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func terminal(name string, when time.Time) Vote {
	return Vote{Kind: KindTerminal, At: when, Reason: "terminal " + name + " printed something"}
}

// stopsAt is when the workspace stops with a timeout of an hour, in minutes after noon, or -1.
func stopsAt(l *Ledger, now int) int {
	stops := Decide(append(l.Votes("uid"), Started(at(0))), time.Hour, at(now)).StopsAt
	if stops.IsZero() {
		return -1
	}
	return int(stops.Sub(noon) / time.Minute)
}

func TestLedger_KnowsNothingAtFirst(t *testing.T) {
	var l Ledger
	require.Empty(t, l.Votes("uid"))
}

func TestLedger_KeepsTheNewestTraffic(t *testing.T) {
	var l Ledger
	l.Touch("uid", at(5))
	l.Touch("uid", at(5).Add(finest-time.Nanosecond))
	require.Equal(t, []Vote{{Kind: KindTraffic, At: at(5).Local(), Reason: "somebody worked in it"}}, l.Votes("uid"))
	l.Touch("uid", at(7))
	require.Equal(t, 67, stopsAt(&l, 8))
	l.Touch("uid", at(3))
	require.Equal(t, 63, stopsAt(&l, 8), "the clock was set back")
	require.Empty(t, l.Votes("another"))
	l.Forget("uid")
	require.Empty(t, l.Votes("uid"))
}

func TestLedger_ASilentCellLivesAndItsEndCounts(t *testing.T) {
	var l Ledger
	for minute := 1; minute < 1000; minute++ {
		l.Put("uid", []Vote{busy(minute)})
		require.Equal(t, -1, stopsAt(&l, minute))
	}
	l.Put("uid", nil)
	require.Equal(t, 999+60, stopsAt(&l, 1000), "it was seen busy a minute before")
	l.Put("uid", nil)
	require.Equal(t, 999+60, stopsAt(&l, 1001))
}

func TestLedger_AProbeSaysInItsOwnWordsWhatHasEnded(t *testing.T) {
	var l Ledger
	l.Trace("uid").Connected(at(1)) // by which it was made to run
	l.Put("uid", []Vote{busy(1), {Kind: KindKernel, At: at(1), Reason: "a cell of thesis.ipynb ran"}})
	require.Equal(t, []Vote{busy(1)}, l.Votes("uid"), "not before it has")
	l.Put("uid", nil)
	require.Equal(t, []Vote{{Kind: KindKernel, At: at(1), Reason: "a cell of thesis.ipynb ran"}}, l.Votes("uid"))
}

func TestLedger_WhatCannotBeAskedIsKeptForAWhileIfItWasBusy(t *testing.T) {
	var l Ledger
	l.Put("uid", []Vote{terminal("1", at(0))})
	l.Unanswered("uid")
	require.Equal(t, 60, stopsAt(&l, 1), "it was not busy")

	l.Put("uid", []Vote{busy(100)})
	for minute := 101; minute < 129; minute++ {
		l.Unanswered("uid")
		verdict := Decide(l.Votes("uid"), time.Minute, at(minute))
		require.Equal(t, at(130), verdict.StopsAt, "not longer with every question")
		require.Contains(t, verdict.Reason, "A cell of thesis.ipynb runs, as it said when it last answered: it is kept for another ")
	}
	require.Equal(t, 160, stopsAt(&l, 129), "a longer timeout counts from when it was busy")
	l.Put("uid", nil)
	require.Equal(t, at(101), Decide(l.Votes("uid"), time.Minute, at(131)).StopsAt, "it answers, and is not busy")
}

func TestLedger_APageThatConnectsAgainIsNoTerminalOutput(t *testing.T) {
	var l Ledger
	l.Put("uid", []Vote{terminal("1", at(2))})
	for minute := 3; minute < 300; minute++ {
		opening := at(minute)
		l.Trace("uid").Connected(opening)
		l.Put("uid", []Vote{terminal("1", opening.Add(20*time.Millisecond))})
		require.Equal(t, 62, stopsAt(&l, minute))
	}
	// Many more open, until the one that explains it is forgotten.
	for second := range openings {
		l.Trace("uid").Connected(at(300).Add(time.Duration(second) * time.Second))
		l.Put("uid", []Vote{terminal("1", at(299).Add(20*time.Millisecond))})
		require.Equal(t, 62, stopsAt(&l, 300))
	}
	l.Put("uid", []Vote{terminal("1", at(310)), terminal("2", at(300))})
	require.Equal(t, 370, stopsAt(&l, 311), "now it printed something")
}

func TestLedger_OpeningsAtOnceAreOne(t *testing.T) {
	var trace Trace
	for range 1000 {
		trace.Connected(at(1))
	}
	require.Len(t, trace.opened, 1)
	for minute := range 1000 {
		trace.Connected(at(minute))
	}
	require.Len(t, trace.opened, openings)
	require.Equal(t, at(999), trace.opened[openings-1])
}

func TestLedger_OlderEvidenceChangesNothing(t *testing.T) {
	var l Ledger
	l.Put("uid", []Vote{terminal("1", at(5)), terminal("2", at(9)), terminal("3", at(7))})
	require.Equal(t, 69, stopsAt(&l, 10))
	l.Put("uid", []Vote{terminal("1", at(5))})
	require.Equal(t, 69, stopsAt(&l, 10), "the terminal was closed, but it had printed")
}

func TestLedger_ManyAtOnce(t *testing.T) {
	var l Ledger
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 2000 {
				l.Touch("uid", at(i))
				switch worker {
				case 0:
					l.Put("uid", []Vote{busy(i)})
				case 1:
					l.Unanswered("uid")
				case 2:
					l.Trace("uid").Connected(at(i))
				case 3:
					Decide(l.Votes("uid"), time.Hour, at(i))
				case 4:
					l.Forget("uid")
				}
			}
		})
	}
	group.Wait()
	l.Touch("uid", at(1e5))
	require.True(t, slices.ContainsFunc(l.Votes("uid"), func(v Vote) bool { return v.At.Equal(at(1e5)) }))
}

func BenchmarkTouch(b *testing.B) {
	var l Ledger
	trace := l.Trace("uid")
	for name, touch := range map[string]func(time.Time){
		"ledger": func(now time.Time) { l.Touch("uid", now) },
		"trace":  trace.Touched,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				now := noon
				for pb.Next() {
					now = now.Add(time.Millisecond)
					touch(now)
				}
			})
		})
	}
}
