package access

import (
	"bufio"
	"bytes"
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
	page := frames{
		quiet: uint64(max(0, target.QuietFrame)), typed: target.Typed,
		signs: target.Signs, now: now, greeted: now().Add(greeting),
	}
	return &overheard{Conn: conn, page: page}, buffered, nil
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

// glance is how much of a short message is looked at, in bytes.
const glance = 256

// frames follows a stream of WebSocket frames by their headers alone. It keeps no payload, except, where words say that
// somebody typed, the beginning of one short frame. A stream that is no WebSocket's makes it count wrongly, and nothing
// else.
type frames struct {
	quiet   uint64   // size in bytes of messages that a page sends by itself
	typed   []string // what is in those of them that a person causes
	signs   Signs
	now     func() time.Time
	greeted time.Time

	head    [14]byte // of the frame that begins, as far as it is here
	have    int
	left    uint64 // bytes of the frame to pass over
	message uint64 // bytes of the message so far

	looks bool // at the frame that passes
	seen  int  // bytes of it
	begun [glance]byte
}

// pass takes the next piece of the stream, however it is cut.
func (f *frames) pass(piece []byte) {
	for len(piece) > 0 {
		if f.left > 0 {
			n := int(min(f.left, uint64(len(piece)))) //nolint:gosec // no longer than the piece
			if f.looks {
				f.look(piece[:n])
			}
			f.left -= uint64(n) //nolint:gosec // not negative
			piece = piece[n:]
			if f.left == 0 && f.looks {
				f.read()
			}
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

// need is the length of the header, as far as it can be told.
func (f *frames) need() int {
	if f.have < 2 {
		return 2
	}
	need := 2
	switch f.head[1] & 0x7f {
	case 126:
		need += 2
	case 127:
		need += 8
	}
	if f.isMasked() {
		need += 4
	}
	return need
}

func (f *frames) isMasked() bool { return f.head[1]&0x80 != 0 }

// begin looks at a whole header.
func (f *frames) begin() {
	length := uint64(f.head[1] & 0x7f)
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(f.head[2:4]))
	case 127:
		length = binary.BigEndian.Uint64(f.head[2:10])
	}
	f.left, f.looks, f.seen = length, false, 0
	switch f.head[0] & 0x0f {
	case opText, opBinary:
		f.message = length
	case opContinuation:
		f.message = plus(f.message, length)
	default:
		return
	}
	if f.message > f.quiet {
		f.touch()
		return
	}
	f.looks = len(f.typed) > 0 && length > 0
	if f.isMasked() {
		copy(f.head[10:14], f.head[f.have-4:f.have]) // where it stays until the frame has passed
	}
}

// look keeps the beginning of the frame, without its mask.
func (f *frames) look(piece []byte) {
	for _, b := range piece[:min(len(piece), glance-f.seen)] {
		if f.isMasked() {
			b ^= f.head[10+f.seen%4]
		}
		f.begun[f.seen] = b
		f.seen++
	}
}

// read looks for the words in what was kept.
func (f *frames) read() {
	f.looks = false
	for _, word := range f.typed {
		if bytes.Contains(f.begun[:f.seen], []byte(word)) {
			f.touch()
			return
		}
	}
}

func (f *frames) touch() {
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
