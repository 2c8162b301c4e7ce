package auth

import (
	"net/http"

	"lab-workspace-manager/backend/workspace"
)

// The ways by which a caller can be known.
const (
	ViaToken   = "token"
	ViaSession = "session"
)

// Identity is who is calling.
type Identity struct {
	User  workspace.Owner
	Admin bool
	Via   string // ViaToken or ViaSession
}

// Authenticator finds out who is calling. Its errors carry CodeUnauthenticated and a sentence for the caller.
type Authenticator interface {
	Authenticate(r *http.Request) (Identity, error)
}

// ProblemWriter answers a request with an error. It is given to this package so that errors look the same wherever they
// come from.
type ProblemWriter func(w http.ResponseWriter, status int, code workspace.Code, detail string)
