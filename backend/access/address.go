package access

import (
	"net"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// mode is how a browser addresses a workspace.
type mode string

const (
	// byHost gives each workspace an origin of its own: {id}.localhost.
	byHost mode = "host"
	// byPath is for browsers that do not resolve those names. All workspaces share one origin.
	byPath mode = "loopback"
)

// splitHost takes a Host header apart into a lower-case name (an IP address without brackets) and the port with its
// colon. It returns "" for what is not a host.
func splitHost(host string) (name, port string) {
	colon := strings.LastIndexByte(host, ':')
	if colon > strings.LastIndexByte(host, ']') {
		host, port = host[:colon], host[colon:]
		if len(port) < 2 || len(port) > 6 || !isDigits(port[1:]) {
			return "", ""
		}
	}
	if inner, found := strings.CutPrefix(host, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		if !found || net.ParseIP(inner) == nil {
			return "", ""
		}
		return strings.ToLower(inner), port
	}
	return strings.ToLower(host), port
}

// idOfHost returns the workspace whose own host this is.
func idOfHost(name, suffix string) (workspace.ID, bool) {
	label, found := strings.CutSuffix(name, suffix)
	if !found {
		return "", false
	}
	label, found = strings.CutSuffix(label, ".")
	return workspace.ID(label), found && isLabel(label)
}

// address is what a path of ours says: which workspace, and what of it.
type address struct {
	owner workspace.Owner
	id    workspace.ID
	// inside is our own part below the workspace ("status"), "" for the workspace itself.
	inside string
	port   string
	strip  bool // the workspace sees the path without base
	base   string
}

// The words of a path. ML Lab matches them in any case.
const (
	projectsPart = "/projects/"
	servicesPart = "/services/"
	accessPart   = "/access/"
	insidePart   = "/_lab/"
)

// parsePath takes ML Lab's path apart:
//
//	/projects/{owner}/services/{id}/access/{port}[b][/…]
//	/projects/{owner}/services/{id}/_lab/{inside}
//
// Escapes are left alone: what has to be escaped in these parts is none of them.
func parsePath(path string) (address, bool) {
	var a address
	rest, found := cutWord(path, projectsPart)
	if !found {
		return address{}, false
	}
	owner, rest := cutName(rest)
	rest, found = cutWord(rest, servicesPart)
	if !found || owner == "" {
		return address{}, false
	}
	id, rest := cutName(rest)
	if id == "" {
		return address{}, false
	}
	a.owner, a.id = workspace.Owner(strings.ToLower(owner)), workspace.ID(strings.ToLower(id))
	if inside, found := strings.CutPrefix(rest, insidePart); found {
		a.inside = inside
		return a, inside != "" && !strings.Contains(inside, "/")
	}
	rest, found = cutWord(rest, accessPart)
	if !found {
		return address{}, false
	}
	digits := 0
	for digits < len(rest) && isDigit(rest[digits]) {
		digits++
	}
	a.port, rest = rest[:digits], rest[digits:]
	a.strip = true
	if rest != "" && (rest[0] == 'b' || rest[0] == 'B') {
		a.strip, rest = false, rest[1:]
	}
	a.base = path[:len(path)-len(rest)]
	return a, digits > 0 && digits <= 5 && (rest == "" || rest[0] == '/')
}

// cutWord removes a prefix of any case.
func cutWord(text, word string) (rest string, found bool) {
	if len(text) < len(word) || !strings.EqualFold(text[:len(word)], word) {
		return text, false
	}
	return text[len(word):], true
}

// cutName splits after the characters that ML Lab allows in ids.
func cutName(text string) (name, rest string) {
	end := 0
	for end < len(text) && isNameByte(text[end]) {
		end++
	}
	return text[:end], text[end:]
}

func isLabel(text string) bool {
	name, rest := cutName(text)
	return name != "" && rest == "" && len(text) <= 63
}

func isNameByte(c byte) bool {
	return c == '-' || isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isDigits(text string) bool {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return false
		}
	}
	return true
}
