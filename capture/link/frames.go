package link

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-stomp/stomp/v3/frame"
)

// STOMP's names for its versions, newest first in what a link asks for.
const (
	v10 = "1.0"
	v11 = "1.1"
	v12 = "1.2"
)

// A TooBig says that a frame was longer than the link takes. It ends the
// connection, for the rest of the frame would have to be read to get past it.
type TooBig struct{ Size, Max int64 }

func (e *TooBig) Error() string {
	return fmt.Sprintf("a frame of at least %d bytes is over the limit of %d: a message this big is not recorded", e.Size, e.Max)
}

// A guard stands between a connection and a frame.Reader and does three things
// that the latter leaves undone: it stops a frame over the limit before room is
// made for it, it doubles the backslashes of headers where the peer writes them
// plain (STOMP 1.0 knows no escapes, the reader always undoes them), and it
// looks at the first bytes of all, to tell a port that speaks something else.
type guard struct {
	src   io.Reader
	max   int64
	plain bool // the peer's headers hold no escapes

	buf   []byte // read and not yet passed on
	room  []byte
	part  part
	size  int64  // of the frame so far
	line  []byte // the current header line, its first bytes
	long  bool   // the line goes on after them
	twice bool   // a backslash is to be passed once more
	body  int64  // bytes of body to come; -1: up to a NUL
	said  bool   // content-length was seen: only the first counts
	begun bool
}

// part says where in a frame the guard is.
type part int

const (
	between part = iota
	inHead
	inBody
)

// lineKept is how much of a header line is looked at.
const lineKept = 64

func newGuard(src io.Reader, max int64) *guard {
	return &guard{src: src, max: max, room: make([]byte, 32<<10), body: -1}
}

// Read passes bytes on, as frame.Reader's bufio.Reader asks for them.
func (g *guard) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		if len(g.buf) == 0 && !g.twice {
			m, err := g.src.Read(g.room)
			if m == 0 && err != nil {
				return 0, err
			}
			g.buf = g.room[:m]
			if err := g.first(); err != nil {
				return 0, err
			}
		}
		if n, err = g.pass(p); err != nil {
			return n, err
		}
	}
	return n, nil
}

// pass moves what it can from buf to p.
func (g *guard) pass(p []byte) (n int, err error) {
	for n < len(p) {
		switch {
		case g.twice:
			p[n], g.twice = '\\', false
			n++
		case len(g.buf) == 0:
			return n, nil
		case g.part == inBody:
			n += g.passBody(p[n:])
		default:
			if p[n], err = g.passHead(); err != nil {
				return n, err
			}
			n++
		}
		if g.size > g.max {
			return n, &TooBig{g.size, g.max}
		}
	}
	return n, nil
}

// passBody moves bytes of a body, or the NUL behind it.
func (g *guard) passBody(p []byte) int {
	end := len(g.buf)
	switch {
	case g.body > 0:
		end = int(min(g.body, int64(end)))
	case g.body == 0:
		end = 1 // the NUL; frame.Reader checks that it is one
	default:
		if i := bytes.IndexByte(g.buf, 0); i >= 0 {
			end = i + 1
		}
	}
	n := copy(p, g.buf[:end])
	last := g.buf[n-1]
	g.buf, g.size = g.buf[n:], g.size+int64(n)
	switch {
	case g.body > 0:
		g.body -= int64(n)
	case g.body == 0 || last == 0:
		g.part, g.size, g.body, g.said = between, 0, -1, false
	}
	return n
}

// passHead returns the next byte of a command or header line.
func (g *guard) passHead() (c byte, err error) {
	c = g.buf[0]
	if c == '\n' {
		if err := g.endLine(); err != nil {
			return 0, err
		}
	} else if len(g.line) < lineKept {
		g.line = append(g.line, c)
	} else {
		g.long = true
	}
	g.buf = g.buf[1:]
	if g.part != between {
		g.size++
	}
	g.twice = c == '\\' && g.plain
	return c, nil
}

// endLine looks at a line that is complete.
func (g *guard) endLine() error {
	line, long := bytes.TrimSuffix(g.line, []byte{'\r'}), g.long
	g.line, g.long = g.line[:0], false
	if g.part == between {
		if len(line) > 0 {
			g.part, g.size = inHead, int64(len(line))
		}
		return nil
	}
	if len(line) == 0 {
		g.part = inBody
		if g.body > g.max-g.size {
			return &TooBig{g.size + g.body, g.max}
		}
		return nil
	}
	if value, ok := bytes.CutPrefix(line, []byte(frame.ContentLength+":")); ok && !long && !g.said {
		g.said = true
		if n, err := strconv.ParseUint(string(value), 10, 32); err == nil {
			g.body = int64(n)
		}
	}
	return nil
}

// first looks at the first bytes that the broker sent.
func (g *guard) first() error {
	if g.begun || len(g.buf) == 0 {
		return nil
	}
	g.begun = true
	if strings.IndexByte("CERM\r\n", g.buf[0]) >= 0 { // a broker's frames, heartbeat
		return nil
	}
	return &notStomp{first: string(g.buf[:min(len(g.buf), 32)])}
}

// notStomp says that the peer speaks another protocol.
type notStomp struct{ first string }

func (e *notStomp) Error() string {
	switch {
	case strings.Contains(e.first, "ActiveMQ"):
		return "it speaks OpenWire, not STOMP: give the port of the broker's STOMP connector, 61613 unless changed"
	case strings.HasPrefix(e.first, "\x15\x03"):
		return "it speaks TLS: write stomp+ssl:// instead of stomp://"
	case strings.HasPrefix(e.first, "HTTP/"):
		return "it speaks HTTP, not STOMP: give the port of the broker's STOMP connector, 61613 unless changed"
	case strings.HasPrefix(e.first, "AMQP"):
		return "it speaks AMQP, not STOMP: give the port of the broker's STOMP connector, 61613 unless changed"
	}
	return "it does not speak STOMP: give the port of the broker's STOMP connector, 61613 unless changed"
}

// appendFrame writes f as the version wants it: headers of CONNECT and all of
// STOMP 1.0 go out plain, others escaped. A line break in a plain header cannot
// be written.
func appendFrame(dst []byte, f *frame.Frame, version string) ([]byte, error) {
	plain := version == v10 || f.Command == frame.CONNECT
	dst = append(dst, f.Command...)
	dst = append(dst, '\n')
	for i := range f.Header.Len() {
		name, value := f.Header.GetAt(i)
		if plain && (strings.ContainsAny(name, ":\r\n\x00") || strings.ContainsAny(value, "\r\n\x00")) {
			return nil, fmt.Errorf("header %s holds a line break or the like, which cannot be sent", strconv.Quote(name))
		}
		if strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0 {
			return nil, fmt.Errorf("header %s holds a NUL, which cannot be sent", strconv.Quote(name))
		}
		dst = appendHeader(dst, name, value, plain)
	}
	dst = append(dst, '\n')
	dst = append(dst, f.Body...)
	return append(dst, 0), nil
}

func appendHeader(dst []byte, name, value string, plain bool) []byte {
	if plain {
		dst = append(dst, name...)
		dst = append(dst, ':')
		dst = append(dst, value...)
		return append(dst, '\n')
	}
	dst = appendEscaped(dst, name)
	dst = append(dst, ':')
	dst = appendEscaped(dst, value)
	return append(dst, '\n')
}

// appendEscaped writes the escapes of STOMP 1.1 and 1.2. A carriage return has
// one in 1.2 only; brokers of 1.1 read it all the same or take it as it is.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\':
			dst = append(dst, `\\`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\n':
			dst = append(dst, `\n`...)
		case ':':
			dst = append(dst, `\c`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
