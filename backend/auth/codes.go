package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

const (
	codeBytes = 24 // 192 bits
	// maxCodes bounds how many links can be open at once; the oldest gives way.
	maxCodes = 64
)

// codes are one-time codes: short-lived stand-ins for the token in links.
type codes struct {
	lifetime time.Duration
	now      func() time.Time

	mu   sync.Mutex
	open []openCode // oldest first
}

type openCode struct {
	digest  [sha256.Size]byte
	expires time.Time
}

func (c *codes) issue() string {
	var random [codeBytes]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	code := base64.RawURLEncoding.EncodeToString(random[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= maxCodes {
		c.open = c.open[1:]
	}
	c.open = append(c.open, openCode{digest: sha256.Sum256([]byte(code)), expires: c.now().Add(c.lifetime)})
	return code
}

// redeem reports whether the code was open, and closes it.
func (c *codes) redeem(code string) bool {
	digest := sha256.Sum256([]byte(code))
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	found := false
	kept := c.open[:0]
	for _, candidate := range c.open {
		switch {
		case sameDigest(candidate.digest, digest):
			found = candidate.expires.After(now)
		case candidate.expires.After(now):
			kept = append(kept, candidate)
		}
	}
	c.open = kept
	return found
}

func (c *codes) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = nil
}
