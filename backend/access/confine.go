package access

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// borders are what an answer of a workspace is held within.
type borders struct {
	accessPath string // with the b, unless the workspace is asked without it
	endpoint   string // the workspace as we know it
	host       string // as its visitor knows it
}

// confine keeps an answer of a workspace from acting beyond it.
func (b borders) confine(res *http.Response) {
	header := res.Header
	if cookies := header["Set-Cookie"]; len(cookies) > 0 {
		kept := cookies[:0]
		for _, cookie := range cookies {
			if confined, ok := b.cookie(cookie); ok {
				kept = append(kept, confined)
			}
		}
		header["Set-Cookie"] = kept
	}
	if location, found := header["Location"]; found {
		if confined, ok := b.location(location[0], res.Request.URL); ok {
			header["Location"] = []string{confined}
		} else {
			delete(header, "Location")
		}
	}
	// A worker may have all of its own workspace, which it gets without this header, too, if its script lies there. Programs
	// that do not know their path ask for "/".
	if _, asks := header["Service-Worker-Allowed"]; asks {
		header["Service-Worker-Allowed"] = []string{b.accessPath + "/"}
	}
	// These would act on our cookies, or on all paths or ports of the host.
	for _, name := range []string{"Clear-Site-Data", "Strict-Transport-Security", "Alt-Svc"} {
		delete(header, name)
	}
}

// cookie returns a Set-Cookie header held within the workspace, and false if it must not pass.
func (b borders) cookie(header string) (string, bool) {
	pair, attributes, _ := strings.Cut(header, ";")
	name, _, found := strings.Cut(pair, "=")
	name = strings.TrimSpace(name)
	// A cookie without a name is sent back as its bare value, which may look like one of ours.
	if !found || name == "" || isOurs(name) {
		return "", false
	}
	kept := []string{strings.TrimSpace(pair)}
	for attribute := range strings.SplitSeq(attributes, ";") {
		attribute = strings.TrimSpace(attribute)
		key, value, _ := strings.Cut(attribute, "=")
		switch key = strings.TrimSpace(key); {
		case key == "":
		case strings.EqualFold(key, "Domain"):
			return "", false
		case strings.EqualFold(key, "Path"):
			kept = append(kept, "Path="+b.cookiePath(strings.TrimSpace(value)))
		default:
			kept = append(kept, attribute)
		}
	}
	return strings.Join(kept, "; "), true
}

// cookiePath leaves a path within the workspace as it is. Any other one (the workspace may not know its prefix) becomes
// all of the workspace, whichever of its two spellings the visitor uses.
func (b borders) cookiePath(path string) string {
	if b.within(path) && !strings.Contains(path, "..") && !strings.Contains(path, "%") {
		return path
	}
	return b.accessPath[:strings.LastIndexByte(b.accessPath, '/')+1]
}

func (b borders) within(path string) bool {
	rest, found := strings.CutPrefix(path, b.accessPath)
	return found && (rest == "" || rest[0] == '/')
}

// location returns a redirect held within the workspace if it leads to the workspace itself. One to another site may
// pass, as a link in a page may, but only to a web address. asked is what the workspace was asked.
func (b borders) location(location string, asked *url.URL) (string, bool) {
	to, err := url.Parse(location)
	if err != nil || to.Opaque != "" {
		return "", false
	}
	if to.Host != "" && !b.isItself(to.Host) {
		return location, to.Scheme == "" || to.Scheme == "http" || to.Scheme == "https"
	}
	if to.Host == "" && to.Scheme != "" {
		return "", false // "javascript:", "file:///"
	}
	within := asked.ResolveReference(&url.URL{Path: to.Path, RawPath: to.RawPath, RawQuery: to.RawQuery, ForceQuery: to.ForceQuery, Fragment: to.Fragment, RawFragment: to.RawFragment})
	path := within.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if !b.within(path) {
		path = strings.TrimSuffix(b.accessPath, "b") + path // the workspace speaks of its own root
	}
	return path + afterPath(within), true
}

// afterPath is the query and the fragment of an address.
func afterPath(u *url.URL) string {
	after := ""
	if u.RawQuery != "" || u.ForceQuery {
		after = "?" + u.RawQuery
	}
	if u.Fragment != "" {
		after += "#" + u.EscapedFragment()
	}
	return after
}

// isItself is true for the names by which a workspace may call itself: those that it was asked by, and any loopback,
// which cannot mean anything else in there.
func (b borders) isItself(host string) bool {
	if strings.EqualFold(host, b.endpoint) || strings.EqualFold(host, b.host) {
		return true
	}
	name, _ := splitHost(host)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(name).IsLoopback()
}
