package auth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	sessionLifetime = 30 * 24 * time.Hour
	// sessionRenewal is the age at which a session that is in use gets a new cookie.
	sessionRenewal = 24 * time.Hour

	sessionNonce  = 16
	sessionHead   = 8 + sessionNonce // expiry, nonce
	sessionLength = sessionHead + sha256.Size
)

// sessions makes and checks session cookies. A cookie is {expiry, nonce} with a MAC under a key derived from the token,
// so that it outlives a restart of the manager, needs no storage, and dies with the token.
type sessions struct {
	cookie string
	key    []byte
	now    func() time.Time
}

// newSessions names the cookie after the instance, because browsers send cookies to all ports of a host.
func newSessions(token Token, instance string, now func() time.Time) (*sessions, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "lab-workspace-manager session "+instance, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the session key: %w", err)
	}
	return &sessions{cookie: "lwm_session_" + instance, key: key, now: now}, nil
}

func (s *sessions) mac(head []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	_, _ = mac.Write(head) // never fails (hash.Hash)
	return mac.Sum(nil)
}

// seal makes the value of a new cookie.
func (s *sessions) seal() string {
	value := make([]byte, sessionHead, sessionLength)
	binary.BigEndian.PutUint64(value, uint64(s.now().Add(sessionLifetime).Unix())) //nolint:gosec // after 1970
	_, _ = rand.Read(value[8:])                                                    // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(append(value, s.mac(value)...))
}

// expiry returns when a session ends, and false if the value is not one of a living session.
func (s *sessions) expiry(value string) (time.Time, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) != sessionLength {
		return time.Time{}, false
	}
	if !hmac.Equal(raw[sessionHead:], s.mac(raw[:sessionHead])) {
		return time.Time{}, false
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0) //nolint:gosec // we wrote it
	return expires, s.now().Before(expires)
}

// of returns when the request's session ends. Of several cookies with the name (another path, another port's page may
// have set one) any that is ours will do.
func (s *sessions) of(r *http.Request) (time.Time, bool) {
	for _, cookie := range r.CookiesNamed(s.cookie) {
		if expires, ok := s.expiry(cookie.Value); ok {
			return expires, true
		}
	}
	return time.Time{}, false
}

// start gives the browser a session.
func (s *sessions) start(w http.ResponseWriter, r *http.Request) {
	s.set(w, r, s.seal(), int(sessionLifetime/time.Second))
}

// end takes the session from the browser.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) { s.set(w, r, "", -1) }

func (s *sessions) set(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: overTLS(r),
	})
}

// overTLS reports whether the browser speaks TLS. A forwarded header is believed here because a lie about it can only
// harm the liar.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
