// Package api is the HTTP contract: ML Lab's extension API as upstream intended it, and ours on top.
//
// It owns the wire format (paths, fields, status codes, error bodies, the OpenAPI document) and the event stream. It
// must not know Docker, SQL, configuration files or how callers are authenticated: it is told who calls. The desktop
// window uses the same Presenter and the same types, so that both transports say the same.
//
// Everything here is safe for concurrent use.
package api
