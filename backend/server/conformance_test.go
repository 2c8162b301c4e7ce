package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
)

// conformanceCase is a case of testdata/conformance.toml, which says what the fields mean.
type conformanceCase struct {
	Name        string
	As          string
	Token       string
	Direct      bool
	Request     string
	ContentType string `toml:"content_type"`
	Content     string
	Body        string
	Status      int
	Answer      string
	Save        map[string]string
	Until       string
	Standalone  difference
	Lab         difference
}

// difference is what is otherwise in one of the places, and why.
type difference struct {
	Status    int
	Answer    string
	Why, Skip string
}

func conformanceCases(t *testing.T) []conformanceCase {
	t.Helper()
	text, err := os.ReadFile("testdata/conformance.toml")
	require.NoError(t, err)
	var read struct{ Case []conformanceCase }
	meta, err := toml.Decode(string(text), &read)
	require.NoError(t, err)
	require.Empty(t, meta.Undecoded())
	require.Greater(t, len(read.Case), 60)
	return read.Case
}

// conformancePlace is where the cases are tried.
type conformancePlace struct {
	inLab  bool
	api    string            // address of the API
	direct string            // address at which the server itself answers, past the lab's proxy
	tokens map[string]string // by who asks
	known  map[string]string // what {…} stands for
}

func (p *conformancePlace) fill(text string) string {
	for name, value := range p.known {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// try runs every case in its order: later ones use what earlier ones have made.
func (p *conformancePlace) try(t *testing.T) {
	for _, c := range conformanceCases(t) {
		other := c.Standalone
		if p.inLab {
			other = c.Lab
		}
		if other.Status != 0 || other.Answer != "" {
			require.NotEmpty(t, other.Why, c.Name)
			c.Status, c.Answer = other.Status, other.Answer
		}
		if c.As == "" {
			c.As = "ada"
		}
		if token, known := p.tokens[c.As]; other.Skip != "" || (!known && token == "") {
			continue
		}
		t.Run(strings.ReplaceAll(c.Name, "/", " "), func(t *testing.T) { p.tryOne(t, c) })
	}
}

const conformanceDeadline = 90 * time.Second

func (p *conformancePlace) tryOne(t *testing.T, c conformanceCase) {
	var status int
	var header http.Header
	var text string
	if c.Until == "" {
		status, header, text = p.ask(t, c)
	} else {
		require.Eventually(t, func() bool {
			status, header, text = p.ask(t, c)
			var shown struct{ Status string }
			return json.Unmarshal([]byte(text), &shown) == nil && shown.Status == c.Until
		}, conformanceDeadline, 200*time.Millisecond, "never %s: %s", c.Until, text)
	}
	require.Equal(t, c.Status, status, text)
	if c.Content != "" {
		require.Contains(t, header.Get("Content-Type"), c.Content)
	}
	if c.Answer != "" {
		var wanted, answered any
		require.NoError(t, json.Unmarshal([]byte(p.fill(c.Answer)), &wanted), c.Answer)
		require.NoError(t, json.Unmarshal([]byte(text), &answered), text)
		require.Empty(t, differences("answer", wanted, answered), text)
	}
	for name, field := range c.Save {
		var answered map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &answered))
		p.known[name] = fmt.Sprint(answered[field])
	}
}

func (p *conformancePlace) ask(t *testing.T, c conformanceCase) (int, http.Header, string) {
	t.Helper()
	method, path, _ := strings.Cut(p.fill(c.Request), " ")
	base := p.api
	if c.Direct || c.Token == "query" || c.Token == "header" {
		base = p.direct
	}
	token := p.tokens[c.As]
	if c.Token == "query" {
		path += "?ct_token=" + url.QueryEscape(token)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(p.fill(c.Body)))
	require.NoError(t, err)
	if c.Body != "" {
		request.Header.Set("Content-Type", "application/json")
		if c.ContentType != "" {
			request.Header.Set("Content-Type", c.ContentType)
		}
	}
	switch {
	case token == "" || c.Token == "query":
	case c.Token == "header":
		request.Header.Set("ct_token", token)
	case c.Token == "cookie":
		request.AddCookie(&http.Cookie{Name: "ct_token", Value: token})
	default:
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, response.Header, string(text)
}

// differences lists where an answer is not as it should be. Fields that nobody asked for may be there.
func differences(at string, wanted, answered any) (found []string) {
	switch wanted := wanted.(type) {
	case map[string]any:
		fields, is := answered.(map[string]any)
		if !is {
			return []string{fmt.Sprintf("%s is %v, no object", at, answered)}
		}
		for name, value := range wanted {
			got, there := fields[name]
			if !there {
				found = append(found, at+" has no "+name)
				continue
			}
			found = append(found, differences(at+"."+name, value, got)...)
		}
		return found
	case []any:
		list, is := answered.([]any)
		if !is || len(list) != len(wanted) {
			return []string{fmt.Sprintf("%s is %v, no list of %d", at, answered, len(wanted))}
		}
		for i, value := range wanted {
			found = append(found, differences(fmt.Sprintf("%s[%d]", at, i), value, list[i])...)
		}
		return found
	case string:
		if strings.Contains(wanted, "*") {
			if wanted == "*" || matches(wanted, fmt.Sprint(answered)) {
				return nil
			}
			return []string{fmt.Sprintf("%s is %v, not like %s", at, answered, wanted)}
		}
	}
	if wanted != answered {
		found = append(found, fmt.Sprintf("%s is %v, not %v", at, answered, wanted))
	}
	return found
}

// matches compares a text with one in which * stands for any part.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) || !strings.HasSuffix(text, parts[len(parts)-1]) {
		return false
	}
	for _, part := range parts {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

func TestConformance_Standalone(t *testing.T) {
	p := newProgram(t)
	p.config = `
[limits]
cpus = { default = 1, max = 4 }
memory = { default = 1000, max = 8000 }
idle_timeout = { default = 0, choices = [] }

[[image]]
name = "JupyterLab"
image = "` + workspaceImage + `"
profile = "workspace-minimal"
`
	p.start()
	address := fmt.Sprintf("http://127.0.0.1:%d/api", p.port)
	(&conformancePlace{
		api: address, direct: address,
		tokens: map[string]string{"ada": p.secret, "nobody": "", "bogus": strings.Repeat("0123456789", 4)},
		known:  map[string]string{"ada": p.owner, "image": workspaceImage},
	}).try(t)
}
