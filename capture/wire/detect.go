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
	{detectWebSocket, joinWebSocket},
	{detectOpenWire, newOpenWire},
}

// detect finds out what a connection speaks from what from has sent; last says
// that it will send no more. It reports whether that can now be read.
func (c *Conn) detect(from Side, at time.Time, last bool) bool {
	h := &c.halves[from]
	if len(h.buf) == 0 || len(h.buf) < h.need && !last {
		return false
	}
	waiting := false
	for _, d := range detectors {
		switch d.ask(h.buf, c.Whole) {
		case sure:
			c.begin(d.make(c), from, at)
			return true
		case maybe:
			waiting = true
		}
	}
	// A side that says nothing to go by may still be told by the other, where
	// the beginning was not captured.
	if c.Whole && !waiting || len(h.buf) > detectLimit {
		c.giveUp(at)
		return false
	}
	if !c.Whole { // looking through all of it is not done for every segment
		h.need = 2 * len(h.buf)
	}
	return false
}

// begin settles on a protocol, and reads what the other side has sent before.
func (c *Conn) begin(p protocol, from Side, at time.Time) {
	c.proto = p
	if c.traffic == nil || c.traffic.Protocol != p.name() {
		c.traffic = c.d.trafficOf(p.name(), c.Server)
		c.traffic.Bytes += int64(len(c.halves[0].buf) + len(c.halves[1].buf))
	}
	if !c.Whole && !c.quiet() {
		c.joined(from, at)
	}
	c.halves[0].need, c.halves[1].need = 0, 0
	other := from.other()
	if h := &c.halves[other]; h.ended {
		c.finish(other, at)
	} else if len(h.buf) > 0 {
		c.read(other, at, h.buf)
	}
}

// joined tells of a connection whose beginning was not captured: what was
// missed of it, and that its frames have to be found.
func (c *Conn) joined(from Side, at time.Time) {
	c.note(at, from, note{kind: "joined", text: "the capture begins in the middle of this " + c.proto.name() + " connection: what was agreed before is guessed"})
	c.gapMissed(at)
	for s := range c.halves {
		h := &c.halves[s]
		h.lost, h.badAt, h.badFrom, h.why = true, at, h.offset, "before the first frame that begins in the capture"
	}
}

// gapMissed tells of the bytes that did not come before the protocol was known.
func (c *Conn) gapMissed(at time.Time) {
	for s := range c.halves {
		h := &c.halves[s]
		if h.missed > 0 {
			c.traffic.Missing += h.missed
			c.gap(at, Side(s), gap{reason: c.d.lossReason(), from: at, bytes: h.missed, offset: h.offset - h.missed, why: c.d.lossWhy()})
			h.missed = 0
		}
	}
}

// giveUp counts the connection as one that cannot be read. Where that may be
// for want of what did not come, it is told.
func (c *Conn) giveUp(at time.Time) {
	seen, missed := len(c.halves[0].buf)+len(c.halves[1].buf), c.halves[0].missed+c.halves[1].missed
	if seen == 0 && missed == 0 {
		c.forget()
		return
	}
	c.begin(unknown{}, Client, at)
	if seen == 0 || c.d.cfg.Source == "proxy" {
		c.gapMissed(at)
	}
	for s := range c.halves {
		c.halves[s].buf = nil
	}
	c.account()
}

// unknown swallows a connection that is none of ours.
type unknown struct{}

func (unknown) name() string                             { return "unknown" }
func (unknown) frame(_ Side, _ time.Time, b []byte) step { return step{used: len(b)} }
func (unknown) resync(Side, []byte) (int, bool)          { return 0, true }
func (unknown) lose(Side, int64) int64                   { return 0 }
func (unknown) end(Side, time.Time, []byte) []byte       { return nil }
func (unknown) held() int                                { return 0 }
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

func (*encrypted) resync(Side, []byte) (int, bool)    { return 0, true }
func (*encrypted) lose(Side, int64) int64             { return 0 }
func (*encrypted) end(Side, time.Time, []byte) []byte { return nil }
func (*encrypted) held() int                          { return 0 }
func (*encrypted) quiet()                             {}

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
