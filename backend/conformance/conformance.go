// Package conformance holds an HTTP server to the extension API of ML Lab's workspace manager: requests and what has to be
// answered, as data in cases.toml, for the server alone and for one in a lab. Only tests may import it.
//
// It must not know how the server is made, and sees it by HTTP only. A Place belongs to one test at a time.
package conformance

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
)

// oneCase is a case of testdata/conformance.toml, which says what the fields mean.
type oneCase struct {
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
	ByLab       difference `toml:"by_lab"`
}

// difference is what is otherwise in one of the places, and why.
type difference struct {
	Status    int
	Answer    string
	Why, Skip string
}

//go:embed cases.toml
var text string

func cases(t *testing.T) []oneCase {
	t.Helper()
	var read struct{ Case []oneCase }
	meta, err := toml.Decode(text, &read)
	require.NoError(t, err)
	require.Empty(t, meta.Undecoded())
	require.Greater(t, len(read.Case), 60)
	return read.Case
}

// Place is where the cases are tried. Who has no token in it asks nothing there; "nobody" has an empty one.
type Place struct {
	InLab  bool
	Docker bool              // in a lab, Docker runs the workspaces, and not the lab
	API    string            // address of the API
	Direct string            // address at which the server itself answers, past the lab's proxy
	Tokens map[string]string // by who asks: "ada", "bob", "admin", "nobody", "bogus"
	Known  map[string]string // what {…} stands for: "ada" and "bob", the ids of users, and "image", one that answers
}

func (p *Place) fill(text string) string {
	for name, value := range p.Known {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// Try runs every case in its order: later ones use what earlier ones have made.
func (p *Place) Try(t *testing.T) {
	for _, c := range cases(t) {
		other := c.Standalone
		switch {
		case p.InLab && !p.Docker && c.ByLab != (difference{}):
			other = c.ByLab
		case p.InLab:
			other = c.Lab
		}
		if other.Status != 0 || other.Answer != "" {
			require.NotEmpty(t, other.Why, c.Name)
			c.Status, c.Answer = other.Status, other.Answer
		}
		if c.As == "" {
			c.As = "ada"
		}
		if token, known := p.Tokens[c.As]; other.Skip != "" || (!known && token == "") {
			continue
		}
		passed := t.Run(strings.ReplaceAll(c.Name, "/", " "), func(t *testing.T) { p.tryOne(t, c) })
		if !passed && (len(c.Save) > 0 || c.Until != "") {
			t.Fatal("what follows makes no sense without it")
		}
	}
}

const deadline = 90 * time.Second

func (p *Place) tryOne(t *testing.T, c oneCase) {
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
		}, deadline, 200*time.Millisecond, "never %s: %s", c.Until, text)
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
		p.Known[name] = fmt.Sprint(answered[field])
	}
}

func (p *Place) ask(t *testing.T, c oneCase) (int, http.Header, string) {
	t.Helper()
	method, path, _ := strings.Cut(p.fill(c.Request), " ")
	base := p.API
	if c.Direct || c.Token == "query" || c.Token == "header" {
		base = p.Direct
	}
	token := p.Tokens[c.As]
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
