package access

import (
	"bufio"
	"encoding/binary"
	"math"
	"net"
	"net/http"
	"strings"
	"time"
)

// Signs hears of the signs of life of one workspace. Its methods are called from many goroutines at once, for every
// frame that a person causes, so they must be quick and wait for nothing.
type Signs interface {
	// Touched says that a person did something in a page of the workspace.
	Touched(at time.Time)
	// Connected says that a page opened a WebSocket. Pages do so by themselves, too, when they have lost the connection;
	// but an IDE may take it for use, and whoever asks the IDE must know better.
	Connected(at time.Time)
}

// greeting is for how long after a WebSocket was opened nothing that the page sends counts. Pages introduce themselves
// when they have connected, and a forgotten one connects again after every change of network and every wake of the
// computer; tried with JupyterLab, its kernel_info_request comes within 10 ms. Who opens a page is known by the visit.
const greeting = 10 * time.Second

// causedByPerson reports whether a request is a sign that somebody works in the workspace: the visit of a page, or
// something that changes and that no page does by itself. path is the request's without the access path.
func causedByPerson(r *http.Request, path string, polls []string) bool {
	switch r.Method {
	case http.MethodGet:
		return isVisit(r)
	case http.MethodHead, http.MethodOptions:
		return false
	}
	for _, poll := range polls {
		if matches(path, poll) {
			return false
		}
	}
	return true
}

// matches reports whether a pattern describes the whole path. "*" stands for any part of it, also for none and for one
// with slashes. It takes len(path)*len(pattern) steps at worst.
func matches(path, pattern string) bool {
	star, from := -1, 0 // where the last star is, and up to where it reaches
	p := 0
	for i := 0; i < len(path); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == path[i]:
			p++
			i++
		case star >= 0: // the star reaches further
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// note tells of what a request has done. What was refused has done nothing: a forgotten page saves again and again what
// cannot be saved, as onto a full disk.
func (v *visit) note(res *http.Response) {
	if v.caused && res.StatusCode < http.StatusBadRequest {
		v.target.Signs.Touched(v.proxy.now())
	}
}

// tunnel is the answer to a request for a WebSocket, with which we listen to what the page sends.
type tunnel struct {
	finalOnly
	visit *visit
}

// Hijack implements http.Hijacker.
func (t tunnel) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	target, now := &t.visit.target, t.visit.proxy.now
	target.Signs.Connected(now())
	return &overheard{Conn: conn, page: frames{quiet: uint64(max(0, target.QuietFrame)), signs: target.Signs, now: now, greeted: now().Add(greeting)}}, buffered, nil
}

// overheard is the connection to a page.
type overheard struct {
	net.Conn
	page frames
}

// Read implements net.Conn.
func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	o.page.pass(p[:n])
	return n, err
}

// CloseWrite tells the page that the workspace has said everything, where the connection can.
func (o *overheard) CloseWrite() error {
	if half, can := o.Conn.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return net.ErrClosed // whoever wants to close one half closes both then
}

// Opcodes of WebSocket frames (RFC 6455, 5.2) that carry data; the others are the connection's own.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
)

// frames follows a stream of WebSocket frames by their headers alone. It keeps no payload. With permessage-deflate,
// sizes are those on the line. A stream that is no WebSocket's makes it count wrongly, and nothing else.
type frames struct {
	quiet   uint64 // size in bytes of messages that a page sends by itself
	signs   Signs
	now     func() time.Time
	greeted time.Time

	head    [10]byte // of the frame that begins, as far as it is here
	have    int
	left    uint64 // of the frame, with its mask: bytes to pass over
	message uint64 // bytes of the message so far
}

// pass takes the next piece of the stream, however it is cut.
func (f *frames) pass(piece []byte) {
	for len(piece) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(piece)))
			f.left -= n
			piece = piece[n:]
			continue
		}
		n := copy(f.head[f.have:f.need()], piece)
		f.have += n
		piece = piece[n:]
		if f.have == f.need() {
			f.begin()
			f.have = 0
		}
	}
}

// need is the length of the header without mask, as far as it can be told.
func (f *frames) need() int {
	if f.have < 2 {
		return 2
	}
	switch f.head[1] & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// begin looks at a whole header.
func (f *frames) begin() {
	length := uint64(f.head[1] & 0x7f)
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(f.head[2:4]))
	case 127:
		length = binary.BigEndian.Uint64(f.head[2:10])
	}
	f.left = length
	if f.head[1]&0x80 != 0 {
		f.left = plus(length, 4) // the mask
	}
	switch f.head[0] & 0x0f {
	case opText, opBinary:
		f.message = length
	case opContinuation:
		f.message = plus(f.message, length)
	default:
		return
	}
	if f.message <= f.quiet {
		return
	}
	if now := f.now(); !now.Before(f.greeted) {
		f.signs.Touched(now)
	}
}

// plus adds without running over.
func plus(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
