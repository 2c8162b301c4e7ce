package access

import (
	"net/http"
	"net/url"
	"strings"
)

const tokenName = "ct_token" // ML Lab's, in queries, headers and cookies

// isOurs is true for names of cookies that no workspace may see or set: ours and ML Lab's.
func isOurs(cookie string) bool {
	const prefix = "lwm_"
	if len(cookie) >= len(prefix) && strings.EqualFold(cookie[:len(prefix)], prefix) {
		return true
	}
	return strings.EqualFold(cookie, tokenName) || strings.EqualFold(cookie, "ct_session_token") ||
		strings.EqualFold(cookie, "ctxy_authorized_user")
}

// withoutOurCookies returns the Cookie headers without what no workspace may see; the rest stays byte for byte.
func withoutOurCookies(headers []string) []string { return withoutCookies(headers, isOurs) }

// withoutCookies returns the Cookie headers without those that are to go, by name; the rest stays byte for byte.
func withoutCookies(headers []string, goes func(name string) bool) []string {
	var kept []string
	for _, header := range headers {
		var pairs []string
		for pair := range strings.SplitSeq(header, ";") {
			pair = strings.TrimSpace(pair)
			if pair != "" && !goes(nameOf(pair)) {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	return kept
}

func nameOf(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return strings.TrimSpace(name)
}

// addCookies adds cookies to those of the visitor, who cannot choose another value for them. All go in one header: not
// every server reads a second one.
func addCookies(header http.Header, added string) {
	names := map[string]bool{}
	for pair := range strings.SplitSeq(added, ";") {
		names[nameOf(pair)] = true
	}
	kept := withoutCookies(header["Cookie"], func(name string) bool { return names[name] })
	header["Cookie"] = []string{strings.Join(append(kept, added), "; ")}
}

// withoutToken returns a query without ML Lab's token; the rest stays byte for byte.
func withoutToken(query string) string {
	if !strings.Contains(query, "%") && !strings.Contains(query, tokenName) {
		return query
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err != nil || decoded != tokenName {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// stripCredentials takes from a request what is ours: cookies, tokens, and what only a proxy may say.
func stripCredentials(header http.Header) {
	if cookies, found := header["Cookie"]; found {
		if kept := withoutOurCookies(cookies); len(kept) > 0 {
			header["Cookie"] = kept
		} else {
			delete(header, "Cookie")
		}
	}
	for _, name := range []string{"Authorization", "Ct_token", "X-Real-Ip", "X-Scheme", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server"} {
		delete(header, name)
	}
}
