// Package auth finds out who is calling (the owner, or in an ML Lab whoever the lab knows), and keeps browsers from being used against their users.
//
// It owns the owner's token and its file, the one-time codes of links, the session cookies of the pages, and the guard
// in front of every handler: host names, origins and security headers. It must not know workspaces beyond the owner's id,
// what the callers want, or how the pages look. Who may do what is the manager's business.
//
// Everything here is safe for concurrent use after it was made. Nothing here logs a token, a cookie, a code or a query.
package auth
