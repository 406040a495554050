package wire

import (
	"bytes"
	"time"
)

// detectLimit is how many bytes of a side are looked at before a connection is
// called unknown.
const detectLimit = 64 << 10

// A verdict is what the first bytes of a side say about a protocol.
type verdict int

const (
	never verdict = iota // it is another protocol
	maybe                // more bytes are needed
	sure
)

// detectors are asked in this order. Each looks at what one side has sent so
// far, from the beginning of what was captured; whole says that this is where
// the side began.
var detectors = []struct {
	ask  func(b []byte, whole bool) verdict
	make func(c *Conn) protocol
}{
	{detectTLS, newTLS},
	{detectHTTP, newHTTP},
	{detectStomp, newStomp},
	{detectOpenWire, newOpenWire},
}

// detect finds out what a connection speaks. It reports whether b can be read.
func (c *Conn) detect(from Side, at time.Time, b []byte) bool {
	waiting := false
	for _, d := range detectors {
		switch d.ask(b, c.Whole) {
		case sure:
			c.begin(d.make(c), from, at)
			return true
		case maybe:
			waiting = true
		}
	}
	if !waiting || len(b) > detectLimit {
		other := &c.halves[from.other()]
		// A side that says nothing to go by may still be told by the other.
		if c.Whole || len(b) > detectLimit || len(other.buf) > detectLimit {
			c.giveUp(at)
			return false
		}
	}
	return false
}

// begin settles on a protocol, and reads what the other side has sent before.
func (c *Conn) begin(p protocol, from Side, at time.Time) {
	c.proto = p
	c.traffic = c.d.trafficOf(p.name(), c.Server)
	c.traffic.Bytes += int64(len(c.halves[0].buf) + len(c.halves[1].buf))
	if !c.Whole {
		c.note(at, from, note{kind: "joined", text: "the capture begins in the middle of this " + p.name() + " connection: what was agreed before is guessed"})
		c.halves[0].lost, c.halves[1].lost = true, true
		c.halves[0].badAt, c.halves[1].badAt = at, at
		for s := range c.halves {
			c.halves[s].why = "before the first frame that begins in the capture"
		}
	}
	if other := &c.halves[from.other()]; len(other.buf) > 0 {
		c.read(from.other(), at, other.buf)
	}
}

// giveUp counts the connection as one that cannot be read.
func (c *Conn) giveUp(at time.Time) {
	bytes := int64(0)
	for s := range c.halves {
		bytes += int64(len(c.halves[s].buf))
	}
	if bytes == 0 {
		c.forget()
		return
	}
	c.begin(unknown{}, Client, at)
	for s := range c.halves {
		c.halves[s].lost = false
		c.hold(&c.halves[s], nil)
	}
}

// unknown swallows a connection that is none of ours.
type unknown struct{}

func (unknown) name() string                             { return "unknown" }
func (unknown) frame(_ Side, _ time.Time, b []byte) step { return step{used: len(b)} }
func (unknown) resync(Side, []byte) (int, bool)          { return 0, true }
func (unknown) end(Side, time.Time, []byte)              {}
func (unknown) quiet()                                   {}

// encrypted names a connection that cannot be read without its keys.
type encrypted struct {
	c    *Conn
	said bool
}

func newTLS(c *Conn) protocol { return &encrypted{c: c} }

// detectTLS knows a handshake record: type 22, version 3.x.
func detectTLS(b []byte, _ bool) verdict {
	if b[0] != 22 {
		return never
	}
	if len(b) < 6 {
		return maybe
	}
	if b[1] == 3 && b[2] <= 4 && (b[5] == 1 || b[5] == 2) {
		return sure
	}
	return never
}

func (*encrypted) name() string { return "TLS" }

func (t *encrypted) frame(from Side, at time.Time, b []byte) step {
	if !t.said {
		t.said = true
		t.c.note(at, from, note{kind: "tls", text: "encrypted with TLS: it cannot be read; let the proxy end the encryption, or tap the broker"})
	}
	return step{used: len(b)}
}

func (*encrypted) resync(Side, []byte) (int, bool) { return 0, true }
func (*encrypted) end(Side, time.Time, []byte)     {}
func (*encrypted) quiet()                          {}

// startsWithWord reports whether b is, or may become, one of the words.
func startsWithWord(b []byte, words [][]byte) verdict {
	best := never
	for _, w := range words {
		if bytes.HasPrefix(b, w) {
			return sure
		}
		if bytes.HasPrefix(w, b) {
			best = maybe
		}
	}
	return best
}
