package access

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	sessionLifetime = 7 * 24 * time.Hour
	// sessionRenewal is what must have passed of it until a visitor gets a new cookie.
	sessionRenewal = 24 * time.Hour

	sessionHead   = 8 // expiry
	sessionLength = sessionHead + sha256.Size
)

// sessions makes and checks the cookies that let a browser into one workspace. A cookie is {expiry} with a MAC over all
// that it is good for, so that it needs no storage, outlives a restart of the manager, and dies with the workspace and
// with the key.
type sessions struct {
	prefix string // of cookie names; browsers send cookies to all ports of a host, so it carries the instance
	key    []byte
	now    func() time.Time
}

func newSessions(key []byte, instance string, now func() time.Time) (*sessions, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "lab-workspace-manager access "+instance, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the access cookies: %w", err)
	}
	return &sessions{prefix: "lwm_access_" + instance + "_", key: derived, now: now}, nil
}

// mac covers the mode, too: the cookie of a path must not open a host, where no other workspace could have sent it.
// It takes a microsecond, so nothing remembers which cookies were good.
func (s *sessions) mac(head []byte, target *Target, m mode) []byte {
	message := make([]byte, 0, 256)
	message = append(message, head...)
	for _, part := range []string{string(m), string(target.Owner), string(target.ID), target.UID} {
		message = binary.BigEndian.AppendUint32(message, uint32(len(part))) //nolint:gosec // short
		message = append(message, part...)
	}
	mac := hmac.New(sha256.New, s.key)
	_, _ = mac.Write(message) // never fails (hash.Hash)
	return mac.Sum(nil)
}

// cookie makes a new cookie for the workspace.
func (s *sessions) cookie(r *http.Request, target *Target, m mode) *http.Cookie {
	value := make([]byte, sessionHead, sessionLength)
	binary.BigEndian.PutUint64(value, uint64(s.now().Add(sessionLifetime).Unix())) //nolint:gosec // after 1970
	path := "/"
	if m == byPath {
		path = prefixOf(target) + "/"
	}
	return &http.Cookie{
		Name: s.prefix + string(target.ID), Value: base64.RawURLEncoding.EncodeToString(append(value, s.mac(value, target, m)...)),
		Path: path, MaxAge: int(sessionLifetime / time.Second), HttpOnly: true,
		// A Strict cookie would not be sent on the redirect that follows the one-time code.
		SameSite: http.SameSiteLaxMode,
		Secure:   r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// prefixOf is the part of the path that names a workspace.
func prefixOf(target *Target) string {
	return projectsPart + string(target.Owner) + servicesPart + string(target.ID)
}

// expiry returns when the visitor's session ends, and false if there is none. Pages of a workspace may have set cookies
// of the same name, so any that is ours will do.
func (s *sessions) expiry(r *http.Request, target *Target, m mode) (time.Time, bool) {
	name := s.prefix + string(target.ID)
	for _, header := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(header, ";") {
			if value, found := strings.CutPrefix(strings.TrimSpace(pair), name); found && strings.HasPrefix(value, "=") {
				if expires, ok := s.check(value[1:], target, m); ok {
					return expires, true
				}
			}
		}
	}
	return time.Time{}, false
}

func (s *sessions) check(value string, target *Target, m mode) (time.Time, bool) {
	if len(value) != base64.RawURLEncoding.EncodedLen(sessionLength) {
		return time.Time{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || !hmac.Equal(raw[sessionHead:], s.mac(raw[:sessionHead], target, m)) {
		return time.Time{}, false
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0) //nolint:gosec // we wrote it
	return expires, s.now().Before(expires)
}
