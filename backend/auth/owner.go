package auth

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// tokenName is how ML Lab calls its token in queries, headers and cookies.
const tokenName = "ct_token"

const defaultCodeLifetime = 10 * time.Minute

// OwnerOptions are what an Owner is made of. User, Token, Instance and Problem are required.
type OwnerOptions struct {
	User     workspace.Owner
	Token    Token
	Instance string // letters, digits and hyphens; part of the cookie's name
	Problem  ProblemWriter

	UI           string           // where the pages are, relative to Enter's address; "" = "app/"
	CodeLifetime time.Duration    // 0 = 10 minutes
	Now          func() time.Time // nil = time.Now
	Log          *slog.Logger     // nil = none
}

// Owner is the mode in which one person holds everything: who shows the token, or a session that the token or a
// one-time code began, is that person.
type Owner struct {
	user     workspace.Owner
	instance string
	now      func() time.Time
	secrets  atomic.Pointer[secrets]
	codes    *codes
	attempts *attempts
	problem  ProblemWriter
	ui       string
	log      *slog.Logger
}

var _ Authenticator = (*Owner)(nil)

// secrets are the token and what is derived from it.
type secrets struct {
	token    [sha256.Size]byte
	sessions *sessions
}

// NewOwner makes an Owner.
func NewOwner(options OwnerOptions) (*Owner, error) {
	switch {
	case !options.User.Valid():
		return nil, errors.New("auth: the owner's id is not valid")
	case !options.Token.wellFormed():
		return nil, errors.New("auth: the token is not one of OpenToken's")
	case !cookieSafe(options.Instance):
		return nil, errors.New("auth: the instance cannot be part of a cookie's name")
	case options.Problem == nil:
		return nil, errors.New("auth: a way to answer with errors is required")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	o := &Owner{
		user:     options.User,
		instance: options.Instance,
		now:      options.Now,
		codes:    &codes{lifetime: cmp.Or(options.CodeLifetime, defaultCodeLifetime), now: options.Now},
		attempts: newAttempts(options.Now),
		problem:  options.Problem,
		ui:       cmp.Or(options.UI, "app/"),
		log:      options.Log,
	}
	if err := o.Rekey(options.Token); err != nil {
		return nil, err
	}
	return o, nil
}

// Rekey puts another token in the place of the present one. Every session that was begun ends, and no link opens one.
func (o *Owner) Rekey(token Token) error {
	sessions, err := newSessions(token, o.instance, o.now)
	if err != nil {
		return err
	}
	o.codes.clear()
	o.secrets.Store(&secrets{token: token.digest(), sessions: sessions})
	return nil
}

func (o *Owner) sessions() *sessions { return o.secrets.Load().sessions }

func cookieSafe(instance string) bool {
	return instance != "" && strings.IndexFunc(instance, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}) < 0
}

// NewCode makes a code that starts one session, for a link that people click.
func (o *Owner) NewCode() string { return o.codes.issue() }

// Redeem reports whether the code is an open one, and closes it.
func (o *Owner) Redeem(code string) bool { return o.codes.redeem(code) }

// Authenticate looks for a token where ML Lab does and in its order: query, header, Authorization, cookie; then for a
// session of ours. A token that was shown on purpose decides. A cookie does not, since a lab on another port of the same
// host may have left one of that name in the browser.
func (o *Owner) Authenticate(r *http.Request) (Identity, error) {
	if shown := shownToken(r); shown != "" {
		if !o.holds(shown) {
			return Identity{}, o.refuse(r)
		}
		return o.identity(ViaToken), nil
	}
	for _, cookie := range r.CookiesNamed(tokenName) {
		if o.holds(Token(cookie.Value)) {
			return o.identity(ViaToken), nil
		}
	}
	if _, ok := o.sessions().of(r); ok {
		return o.identity(ViaSession), nil
	}
	return Identity{}, workspace.Errorf(workspace.CodeUnauthenticated, "No API token was provided.")
}

// identity is the owner: who has the token runs the program, and so is its administrator.
func (o *Owner) identity(via string) Identity { return Identity{User: o.user, Admin: true, Via: via} }

func (o *Owner) holds(token Token) bool { return sameDigest(token.digest(), o.secrets.Load().token) }

// refuse notes a wrong token.
func (o *Owner) refuse(r *http.Request) error {
	if o.attempts.failed() {
		return workspace.Errorf(workspace.CodeUnauthenticated, "The API token is wrong, as many before it. Wait a few seconds before the next attempt.")
	}
	o.log.WarnContext(r.Context(), "a wrong token was refused", "from", r.RemoteAddr)
	return workspace.Errorf(workspace.CodeUnauthenticated, "The API token is wrong.")
}

// shownToken returns the token that the caller put into the request on purpose, "" if there is none.
func shownToken(r *http.Request) Token {
	if token := queryToken(r); token != "" {
		return token
	}
	if token := r.Header.Get(tokenName); token != "" {
		return Token(token)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return Token(strings.TrimSpace(token))
	}
	return ""
}

func queryToken(r *http.Request) Token {
	if r.URL.RawQuery == "" {
		return ""
	}
	return Token(r.URL.Query().Get(tokenName))
}
