// Package contaxy speaks to the backend of an ML Lab: a client for the part of its HTTP API that workspaces need.
//
// It owns addresses, wire formats and the reading of errors of contaxy 0.0.23, the last released version. It must not know
// workspaces, limits or who asks for what; who calls it passes the token on whose behalf a request is made. It keeps no
// token and writes none into errors or logs.
//
// Everything here is safe for concurrent use.
package contaxy
