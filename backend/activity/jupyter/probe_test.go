package jupyter

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/activity"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// server plays Jupyter with fixed answers.
type server struct {
	answers map[string]string
	status  map[string]int
	asked   []*http.Request
	date    time.Time
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r)
	w.Header().Set("Date", s.date.Format(http.TimeFormat))
	answer, known := s.answers[r.URL.Path]
	switch status := s.status[r.URL.Path]; {
	case status != 0:
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
	case !known:
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, answer)
}

const below = "/projects/ada0/services/x/access/8080b"

func ask(t testing.TB, s *server) ([]activity.Vote, error) {
	t.Helper()
	back := httptest.NewServer(s)
	defer back.Close()
	p := New(func() time.Time { return noon })
	defer p.Close()
	return p.Probe(context.Background(), Target{Endpoint: back.URL, Path: below, SecretHeaderName: "Authorization", SecretHeaderValue: "token x"})
}

// idle is a server with nothing in use.
func idle() *server {
	return &server{date: noon, status: map[string]int{}, answers: map[string]string{
		below + "/api/kernels":   `[{"id":"k1","name":"python3","last_activity":"2026-03-02T11:59:59.9Z","execution_state":"idle","connections":1}]`,
		below + "/api/sessions":  `[{"id":"s","path":"work/thesis.ipynb","name":"thesis.ipynb","type":"notebook","kernel":{"id":"k1","execution_state":"idle"},"notebook":{}}]`,
		below + "/api/terminals": `[]`,
	}}
}

func TestProbe_AnIdleKernelIsNoEvidence(t *testing.T) {
	s := idle()
	votes, err := ask(t, s)
	require.NoError(t, err)
	require.Empty(t, votes)
	for _, r := range s.asked {
		require.Equal(t, "token x", r.Header.Get("Authorization"))
		require.Equal(t, "no_track_activity=1", r.URL.RawQuery)
		require.Equal(t, http.MethodGet, r.Method)
	}
}

func TestProbe_ABusyKernel(t *testing.T) {
	for state, busy := range map[string]bool{"busy": true, "idle": false, "starting": false, "restarting": false, "dead": false, "unknown": false, "": false} {
		s := idle()
		s.answers[below+"/api/kernels"] = `[{"id":"k1","execution_state":"` + state + `"}]`
		votes, err := ask(t, s)
		require.NoError(t, err)
		if !busy {
			require.Empty(t, votes, state)
			continue
		}
		require.Equal(t, []activity.Vote{
			{Kind: activity.KindKernel, Active: true, At: noon, Reason: "a cell of thesis.ipynb runs"},
			{Kind: activity.KindKernel, At: noon, Reason: "a cell of thesis.ipynb ran"},
		}, votes)
	}
}

func TestProbe_NamesWhatItCan(t *testing.T) {
	for sessions, want := range map[string]string{
		`[{"path":"a/b c.ipynb","type":"notebook","kernel":{"id":"k1"}}]`: "a cell of b c.ipynb runs",
		`[{"path":"console-1-9f","type":"console","kernel":{"id":"k1"}}]`: "the kernel of console-1-9f computes",
		`[{"path":"x.ipynb","type":"notebook","kernel":{"id":"k2"}}]`:     "a kernel computes",
		`[{"path":"","type":"notebook","kernel":{"id":"k1"}}]`:            "a kernel computes",
		`[{"path":"/","type":"notebook","kernel":null}]`:                  "a kernel computes",
		`[`: "a kernel computes",
		`[{"path":"a\u0000\u202eb\n.ipynb\u0007","type":"notebook","kernel":{"id":"k1"}}]`:                 "a cell of ab.ipynb runs",
		`[{"path":"` + strings.Repeat("ä", 500) + `.ipynb","type":"notebook","kernel":{"id":"k1"}}]`:       "a cell of " + strings.Repeat("ä", maxName-1) + "… runs",
		`[{"path":"` + strings.Repeat("x", maxAnswer) + `.ipynb","type":"notebook","kernel":{"id":"k1"}}]`: "a kernel computes",
	} {
		s := idle()
		s.answers[below+"/api/kernels"] = `[{"id":"k1","execution_state":"busy"}]`
		s.answers[below+"/api/sessions"] = sessions
		votes, err := ask(t, s)
		require.NoError(t, err)
		require.Equal(t, want, votes[0].Reason)
	}
}

func TestProbe_Terminals(t *testing.T) {
	s := idle()
	s.answers[below+"/api/terminals"] = `[{"name":"1","last_activity":"2026-03-02T11:40:00.123456Z"},{"name":"2","last_activity":"2026-03-02T11:50:00Z"},` +
		`{"name":"3","last_activity":"2027-01-01T00:00:00Z"},{"name":"4","last_activity":"yesterday"},{"name":"5"}]`
	votes, err := ask(t, s)
	require.NoError(t, err)
	require.Equal(t, []activity.Vote{
		{Kind: activity.KindTerminal, At: noon, Reason: "terminal 3 printed something"},
		{Kind: activity.KindTerminal, At: noon.Add(-10 * time.Minute), Reason: "terminal 2 printed something"},
		{Kind: activity.KindTerminal, At: noon.Add(-20*time.Minute + 123456*time.Microsecond), Reason: "terminal 1 printed something"},
	}, votes)
}

func TestProbe_AClockThatIsWrongIsCorrected(t *testing.T) {
	for behind, want := range map[time.Duration]time.Time{
		0:               noon.Add(-10 * time.Minute),
		time.Second:     noon.Add(-10 * time.Minute),
		5 * time.Minute: noon.Add(-5 * time.Minute),
		time.Hour:       noon, // not later
		-time.Minute:    noon.Add(-11 * time.Minute),
	} {
		s := idle()
		s.date = noon.Add(-behind)
		s.answers[below+"/api/terminals"] = `[{"name":"1","last_activity":"2026-03-02T11:50:00Z"}]`
		votes, err := ask(t, s)
		require.NoError(t, err)
		require.True(t, want.Equal(votes[0].At), "%s behind: %s", behind, votes[0].At)
	}
}

func TestProbe_AServerWithoutTerminals(t *testing.T) {
	s := idle()
	delete(s.answers, below+"/api/terminals")
	s.answers[below+"/api/kernels"] = `[{"id":"k1","execution_state":"busy"}]`
	votes, err := ask(t, s)
	require.NoError(t, err)
	require.Len(t, votes, 2)
}

func TestProbe_SaysWhenItLearnedNothing(t *testing.T) {
	for name, spoil := range map[string]func(*server){
		"no such address":       func(s *server) { delete(s.answers, below+"/api/kernels") },
		"wrong secret":          func(s *server) { s.status[below+"/api/kernels"] = http.StatusForbidden },
		"leads elsewhere":       func(s *server) { s.status[below+"/api/kernels"] = http.StatusFound },
		"server error":          func(s *server) { s.status[below+"/api/kernels"] = http.StatusInternalServerError },
		"terminals, error":      func(s *server) { s.status[below+"/api/terminals"] = http.StatusInternalServerError },
		"a page":                func(s *server) { s.answers[below+"/api/kernels"] = "<html>" },
		"an object":             func(s *server) { s.answers[below+"/api/kernels"] = "{}" },
		"too long":              func(s *server) { s.answers[below+"/api/kernels"] = "[" + strings.Repeat(" ", maxAnswer) + "]" },
		"deep":                  func(s *server) { s.answers[below+"/api/kernels"] = strings.Repeat("[", 100000) },
		"a state that is none":  func(s *server) { s.answers[below+"/api/kernels"] = `[{"execution_state":{"busy":1}}]` },
		"a terminal, misshapen": func(s *server) { s.answers[below+"/api/terminals"] = `[{"name":1}]` },
	} {
		t.Run(name, func(t *testing.T) {
			s := idle()
			spoil(s)
			votes, err := ask(t, s)
			require.Error(t, err)
			require.Empty(t, votes)
		})
	}
}

func TestProbe_ManyKernelsAreFewVotes(t *testing.T) {
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf(`{"id":"k%d","execution_state":"busy"}`, i))
	}
	s := idle()
	s.answers[below+"/api/kernels"] = "[" + strings.Join(many, ",") + "]"
	votes, err := ask(t, s)
	require.NoError(t, err)
	require.Len(t, votes, 2*maxVotes)
}

func TestProbe_EndsWithItsContextAndItsDeadline(t *testing.T) {
	stuck := make(chan struct{})
	back := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer back.Close()
	defer close(stuck)
	p := New(nil)
	defer p.Close()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Probe(ctx, Target{Endpoint: back.URL})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begin), deadline)
	_, err = p.Probe(t.Context(), Target{Endpoint: "http://127.0.0.1:1"})
	require.Error(t, err)
	_, err = p.Probe(t.Context(), Target{Endpoint: "::"})
	require.Error(t, err)
}

func FuzzAnswers(f *testing.F) {
	s := idle()
	f.Add([]byte(s.answers[below+"/api/kernels"]), []byte(s.answers[below+"/api/sessions"]), []byte(`[{"name":"1","last_activity":"2026-03-02T11:40:00Z"}]`), int64(0))
	f.Add([]byte(`[{"id":"k1","execution_state":"busy"}]`), []byte(`null`), []byte(`[{"name":"1","last_activity":"9999-12-31T23:59:59Z"}]`), int64(time.Hour))
	f.Fuzz(func(t *testing.T, kernels, sessions, terminals []byte, skew int64) {
		var found findings
		_ = found.kernels.parse(kernels)
		_ = found.sessions.parse(sessions)
		_ = found.terminals.parse(terminals)
		votes := found.votes(noon, time.Duration(skew))
		require.LessOrEqual(t, len(votes), 3*maxVotes)
		for _, vote := range votes {
			require.False(t, vote.At.After(noon))
			require.LessOrEqual(t, len(vote.Reason), 4*maxName+40)
			require.NotContains(t, vote.Reason, "\n")
			require.Zero(t, vote.Until, "no workspace makes promises")
		}
	})
}
