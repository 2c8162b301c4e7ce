package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"sync"
	"time"

	"lab-workspace-manager/backend/workspace"
)

const (
	linkLifetime = time.Minute
	// maxLinks bounds how many links can be open at once; the oldest gives way.
	maxLinks  = 256
	codeBytes = 24 // 192 bits
)

// Link makes an address that lets one browser into the owner's workspace, once and soon. how is "host" for the
// workspace's own host (also when empty) or "loopback" for a path. base is where browsers reach this listener:
// "http://127.0.0.1:8081".
func (p *Proxy) Link(owner workspace.Owner, id workspace.ID, how, base string) (link string, expires time.Time, err error) {
	m := mode(how)
	switch m {
	case "":
		m = byHost
	case byHost, byPath:
	default:
		return "", time.Time{}, workspace.Invalid("address", "The address is neither \"host\" nor \"loopback\".")
	}
	target, err := p.resolver.Resolve(id)
	if err != nil {
		return "", time.Time{}, err
	}
	if target.Owner != owner {
		return "", time.Time{}, unknownWorkspace()
	}
	to, err := url.Parse(base)
	if err != nil || to.Host == "" {
		return "", time.Time{}, workspace.Errorf(workspace.CodeInternal, "the access listener's address %q is none", base)
	}
	if m == byHost {
		_, port := splitHost(to.Host)
		to.Host = string(id) + "." + p.suffix + port
		to.Path = insidePart + insideOpen
	} else {
		to.Path = prefixOf(&target) + insidePart + insideOpen
	}
	code, expires := p.links.issue(grant{id: id, uid: target.UID, mode: m})
	to.RawQuery = "code=" + code
	return to.String(), expires, nil
}

func unknownWorkspace() error {
	return workspace.Errorf(workspace.CodeNotFound, "There is no such workspace. It may have been deleted.")
}

// grant is what a link is good for.
type grant struct {
	id   workspace.ID
	uid  string
	mode mode
}

// links are the open one-time codes.
type links struct {
	now func() time.Time

	mu   sync.Mutex
	open []openLink // oldest first
}

type openLink struct {
	digest  [sha256.Size]byte
	grant   grant
	expires time.Time
}

func (l *links) issue(g grant) (code string, expires time.Time) {
	var random [codeBytes]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	code = base64.RawURLEncoding.EncodeToString(random[:])
	expires = l.now().Add(linkLifetime)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= maxLinks {
		l.open = l.open[1:]
	}
	l.open = append(l.open, openLink{digest: sha256.Sum256([]byte(code)), grant: g, expires: expires})
	return code, expires
}

// redeem returns what the code is good for, and closes it. A code that is shown at the wrong door is closed, too.
func (l *links) redeem(code string) (grant, bool) {
	digest := sha256.Sum256([]byte(code))
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var granted grant
	found := false
	kept := l.open[:0]
	for _, link := range l.open {
		switch {
		case subtle.ConstantTimeCompare(link.digest[:], digest[:]) == 1:
			granted, found = link.grant, link.expires.After(now)
		case link.expires.After(now):
			kept = append(kept, link)
		}
	}
	l.open = kept
	return granted, found
}

func (l *links) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = nil
}
