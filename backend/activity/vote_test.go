package activity

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func traffic(minutes int) Vote {
	return Vote{Kind: KindTraffic, At: at(minutes), Reason: "somebody worked in it"}
}

func busy(minutes int) Vote {
	return Vote{Kind: KindKernel, Active: true, At: at(minutes), Reason: "a cell of thesis.ipynb runs"}
}

func TestDecide(t *testing.T) {
	hour := time.Hour
	for name, c := range map[string]struct {
		votes   []Vote
		timeout time.Duration
		now     int
		stops   int // minutes after noon
		never   bool
		inUse   bool
		reason  string
	}{
		"somebody works":                       {[]Vote{Started(at(-300)), traffic(0)}, hour, 0, 60, false, false, "Somebody worked in it just now."},
		"a while ago":                          {[]Vote{Started(at(-300)), traffic(0)}, hour, 12, 60, false, false, "Somebody worked in it 12 min ago."},
		"due":                                  {[]Vote{Started(at(-300)), traffic(0)}, hour, 60, 60, false, false, "Somebody worked in it 1 h ago."},
		"only started":                         {[]Vote{Started(at(0))}, hour, 3, 60, false, false, "It was started 3 min ago."},
		"the manager was restarted":            {[]Vote{Started(at(-5000)), ManagerStarted(at(0))}, hour, 3, 60, false, false, "The workspace manager was started 3 min ago."},
		"a silent cell, for days":              {[]Vote{Started(at(-9000)), traffic(-8000), busy(0)}, hour, 0, 0, true, true, "A cell of thesis.ipynb runs."},
		"no timeout":                           {[]Vote{traffic(-9000)}, 0, 0, 0, true, false, "Somebody worked in it 6 days ago."},
		"negative timeout":                     {[]Vote{traffic(-9000)}, -hour, 0, 0, true, false, "Somebody worked in it 6 days ago."},
		"extended":                             {[]Vote{traffic(0), Extended(at(240))}, hour, 50, 240, false, false, "Its owner asked for more time: it is kept for another 3 h."},
		"extended for less than it has anyway": {[]Vote{traffic(0), Extended(at(30))}, hour, 20, 60, false, false, "Somebody worked in it 20 min ago."},
		"an extension that is over":            {[]Vote{traffic(0), Extended(at(240))}, hour, 240, 240, false, false, "Somebody worked in it 4 h ago."},
		"extended, without timeout":            {[]Vote{traffic(0), Extended(at(30))}, 0, 20, 0, true, false, "Its owner asked for more time: it is kept for another 10 min."},
		"busy and extended":                    {[]Vote{busy(0), Extended(at(30))}, hour, 20, 0, true, true, "A cell of thesis.ipynb runs."},
		"nothing known":                        {nil, hour, 0, 60, false, false, "Nothing is known of it before just now."},
		"evidence of later":                    {[]Vote{traffic(30)}, hour, 0, 90, false, false, "Somebody worked in it just now."},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := Decide(c.votes, c.timeout, at(c.now))
			require.Equal(t, c.inUse, verdict.InUse)
			require.Equal(t, c.inUse, verdict.IdleSince.IsZero())
			require.Equal(t, c.reason, verdict.Reason)
			require.Len(t, verdict.Votes, len(c.votes))
			if c.never {
				require.Zero(t, verdict.StopsAt)
				require.False(t, verdict.Due(at(1e6)))
				return
			}
			require.Equal(t, at(c.stops), verdict.StopsAt)
			require.False(t, verdict.Due(at(c.stops).Add(-time.Nanosecond)))
			require.True(t, verdict.Due(at(c.stops)))
		})
	}
}

var anyTime = rapid.Custom(func(t *rapid.T) time.Time {
	if rapid.IntRange(0, 5).Draw(t, "none") == 0 {
		return time.Time{}
	}
	return noon.Add(time.Duration(rapid.Int64Range(-1e6, 1e6).Draw(t, "seconds")) * time.Second)
})

var anyVote = rapid.Custom(func(t *rapid.T) Vote {
	return Vote{
		Kind:   rapid.SampledFrom([]string{KindTraffic, KindKernel, KindTerminal, KindExtended, "gpu", ""}).Draw(t, "kind"),
		Active: rapid.IntRange(0, 9).Draw(t, "active") == 0,
		At:     anyTime.Draw(t, "at"),
		Until:  anyTime.Draw(t, "until"),
		Reason: "r" + rapid.String().Draw(t, "reason"),
	}
})

// evidence is a vote that says when it was used: without any, a workspace counts as used now.
func evidence(t *rapid.T) Vote {
	return Vote{Kind: KindStarted, At: noon.Add(time.Duration(rapid.Int64Range(-1e6, 1e6).Draw(t, "started")) * time.Second), Reason: "it was started"}
}

// orNever makes "never" later than all times.
func orNever(stops time.Time) time.Time {
	if stops.IsZero() {
		return noon.AddDate(1000, 0, 0)
	}
	return stops
}

func TestDecide_HoldsForAnyVotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes := append(rapid.SliceOf(anyVote).Draw(t, "votes"), evidence(t))
		timeout := time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "timeout")) * time.Second
		now := noon.Add(time.Duration(rapid.Int64Range(-1e6, 1e6).Draw(t, "now")) * time.Second)
		given := slices.Clone(votes)
		verdict := Decide(votes, timeout, now)
		require.Equal(t, given, votes, "what was given is left alone")
		require.NotEmpty(t, verdict.Reason)
		if timeout == 0 {
			require.Zero(t, verdict.StopsAt)
		}
		for _, vote := range votes {
			if vote.Active {
				require.True(t, verdict.InUse)
				require.Zero(t, verdict.StopsAt)
			} else if !verdict.StopsAt.IsZero() {
				require.False(t, verdict.StopsAt.Before(vote.At.Add(timeout)))
				require.False(t, verdict.StopsAt.Before(vote.Until))
			}
		}
		more := Decide(append(votes, rapid.SliceOf(anyVote).Draw(t, "more")...), timeout, now)
		require.False(t, orNever(more.StopsAt).Before(orNever(verdict.StopsAt)), "more evidence stops nothing earlier")

		require.Equal(t, verdict, Decide(rapid.Permutation(votes).Draw(t, "order"), timeout, now))

		earlier := Decide(votes, timeout, now.Add(-time.Duration(rapid.Int64Range(0, 1e7).Draw(t, "back"))*time.Second))
		require.Equal(t, verdict.StopsAt, earlier.StopsAt, "a clock that is set back")
		require.Equal(t, verdict.IdleSince, earlier.IdleSince)
	})
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "just now", 0: "just now", 59 * time.Second: "just now", time.Minute: "1 min ago", 59*time.Minute + 59*time.Second: "59 min ago",
		time.Hour: "1 h ago", 23 * time.Hour: "23 h ago", 24 * time.Hour: "1 day ago", 49 * time.Hour: "2 days ago",
	} {
		require.Equal(t, want, ago(d))
	}
}
