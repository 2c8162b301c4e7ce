// Package access is the reverse proxy into workspaces, on a listener of its own.
//
// It owns how a workspace is addressed from a browser (a host of its own, or a path), the one-time links and cookies that
// let a browser in, what crosses the border in either direction, and the pages a visitor sees while a workspace is not
// there. It must not know how workspaces are made or who calls the API; it asks a Resolver where a workspace is.
//
// Everything in a workspace is hostile: none of our credentials reaches it, and nothing it answers reaches beyond it.
//
// A Proxy is safe for concurrent use. Nothing here logs a cookie, a code or a query.
package access
