// Package wire makes Records of the bytes that pass between programs: of a
// packet capture ([ReadPcap]) or of connections that go through a [Proxy].
//
// It reads OpenWire (versions 1 to 12), STOMP (1.0 to 1.2), HTTP/1.1 and
// WebSocket, found by content and not by port. It listens only, so nothing it
// reads can be trusted: no length makes it allocate, whatever is broken becomes
// a gap row with its place in the stream, and reading goes on at the next frame
// that can be found.
//
// One message is seen several times: when its producer sends it, and each time
// the broker hands it to a consumer. The message row is the first sight of it,
// which is the send wherever that was captured. Every dispatch and every
// acknowledgement is a note, so that one can tell "never taken from the queue"
// from "taken and not answered", and by whom. Headers of notes are named in
// [note].
//
// A message to a queue is a command, one to a topic an event, one to the topic
// ConnectorSync is between GCs; a copy that the broker made for a tap counts as
// what it is a copy of. REST requests and xuc frames from the client are
// commands, what comes back is events. What a message means is not known here.
//
// Broker logins never leave this package. Secrets inside bodies are masked by
// the function handed to whoever stores the records.
package wire

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"gctap/capture"
)

// DefaultLimit is the largest frame or body that is read, in bytes.
const DefaultLimit = 64 << 20

// Bounds of what all connections together make a Decoder hold.
const (
	maxBuffered    = 256 << 20 // bytes of frames that are not complete, and what protocols remember
	maxConnections = 20_000
	seenMessages   = 200_000 // message-ids remembered to tell a dispatch from a message
)

// Config says what becomes of what a Decoder reads.
type Config struct {
	Source string               // pcap or proxy: Record.Source of what passed a broker
	Limit  int                  // largest frame; 0: DefaultLimit
	Emit   func(capture.Record) // takes the records, in order
	Skip   func(dest string)    // counts a message of the broker's own (advisories); may be nil

	// Guess says what a message is whose destination is not known, and what a
	// REST body is: command, event or, where it is neither, note. Nil: REST
	// requests are commands, all else events.
	Guess func(*capture.Record) capture.Direction
}

// A Decoder reads any number of connections. It is used by one goroutine.
type Decoder struct {
	cfg      Config
	conns    map[*Conn]struct{}
	number   int
	buffered int   // of all connections, as Conn.held
	most     int   // of buffered; maxBuffered but in tests
	open     int   // of connections; maxConnections but in tests
	clock    int64 // counts calls, to find the connection that was quiet longest
	seen     seen
	unnamed  unnamed
	flate    io.ReadCloser // undoes permessage-deflate; used again for each message
	traffic  map[string]*Traffic
	stopped  bool                                                    // it is the capture that ends, and not the connections
	trace    func(c *Conn, from Side, at time.Time, command *object) // tests look at every OpenWire command
}

// NewDecoder returns a Decoder that hands records to cfg.Emit.
func NewDecoder(cfg Config) *Decoder {
	if cfg.Limit <= 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Skip == nil {
		cfg.Skip = func(string) {}
	}
	return &Decoder{
		cfg: cfg, conns: map[*Conn]struct{}{}, seen: newSeen(seenMessages), unnamed: newUnnamed(), traffic: map[string]*Traffic{},
		most: maxBuffered, open: maxConnections,
	}
}

// A Side is an end of a connection, as the one that sends.
type Side int

const (
	Client Side = iota // opened the connection, as far as is known
	Server
)

func (s Side) other() Side { return 1 - s }

// Endpoints names the ends of a connection.
type Endpoints struct {
	Client, Server string // host:port
	Via            string // Record.Via: file or listener
	// Whole says that the connection is seen from its first byte on.
	Whole bool
}

// Traffic is what was read of one protocol.
type Traffic struct {
	Protocol    string // OpenWire, STOMP, HTTP, WebSocket, TLS or unknown
	Connections int
	Bytes       int64 // of both sides
	Missing     int64 // bytes that the capture does not hold
	Unreadable  int64 // bytes in which no frame could be found, or a broken one
	Servers     []string
}

// Traffic returns what was read so far, protocols in alphabetical order.
func (d *Decoder) Traffic() []Traffic {
	var all []Traffic
	for _, t := range d.traffic {
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Traffic) int { return cmp.Compare(a.Protocol, b.Protocol) })
	return all
}

// trafficOf adds a connection to what is counted of its protocol.
func (d *Decoder) trafficOf(protocol, server string) *Traffic {
	t := d.traffic[protocol]
	if t == nil {
		t = &Traffic{Protocol: protocol}
		d.traffic[protocol] = t
	}
	t.Connections++
	if len(t.Servers) < 20 && !slices.Contains(t.Servers, server) {
		t.Servers = append(t.Servers, server)
	}
	return t
}

// A Conn is one connection being read.
type Conn struct {
	Endpoints
	d       *Decoder
	number  int // counts connections, from 1
	halves  [2]half
	proto   protocol // nil: not known yet
	traffic *Traffic // nil with proto
	used    int64    // Decoder.clock when data came last
	last    time.Time
	held    int  // bytes it makes the Decoder hold
	aside   bool // put aside for others, see evict; read again when more comes
	ended   bool
}

// A protocol reads the frames of both sides of one connection.
type protocol interface {
	// name is what Traffic calls it.
	name() string
	// frame reads what data begins with: the bytes that from has sent and that
	// were not taken yet. It may keep none of data.
	frame(from Side, at time.Time, data []byte) step
	// resync looks for the next place where a frame begins, after bytes were
	// lost or unreadable. It returns how many bytes to drop, and whether a
	// frame begins after them; if not, what is left is offered again with more.
	resync(from Side, data []byte) (drop int, found bool)
	// lose is called when n bytes of from were lost or unreadable, < 0: not
	// known how many. It forgets what they may have changed, and what it has
	// taken of a message that is not complete, of which it returns the bytes.
	lose(from Side, n int64) (taken int64)
	// end is called when from will send no more. It makes of rest what it can
	// and returns what it can not: the beginning of a frame without its end.
	end(from Side, at time.Time, rest []byte) []byte
	// held is about how many bytes it remembers.
	held() int
}

// A step is what frame made of the bytes it was given.
type step struct {
	used  int    // bytes taken
	need  int    // bytes there must be before frame can go on; more than it had
	total int    // the length of the frame that is not complete; 0: not known
	bad   string // why what was used is no frame, or why no frame begins here
	lost  bool   // no frame begins here: resync
}

// A half is what one side has sent.
type half struct {
	buf     []byte
	offset  int64 // in the stream, of buf[0]
	need    int   // length of buf at which to read again
	total   int   // the length of the frame that has begun; 0: not known
	skip    int64 // bytes to drop as they come: the rest of a frame that lost some
	missed  int64 // bytes that were not captured before the protocol was known
	lost    bool  // looking for the next frame
	ended   bool
	bad     int64     // bytes dropped while looking
	failed  int64     // where no frame was found last, plus 1
	badAt   time.Time // when that began
	badFrom int64     // where in the stream
	why     string
}

// Connect begins a connection.
func (d *Decoder) Connect(e Endpoints) *Conn {
	d.number++
	c := &Conn{Endpoints: e, d: d, number: d.number}
	d.clock++
	c.used = d.clock
	d.admit(c)
	return c
}

// admit counts a connection among those that are held.
func (d *Decoder) admit(c *Conn) {
	d.conns[c] = struct{}{}
	if len(d.conns) > d.open {
		d.evict(c)
	}
}

// evict puts aside the connections that were quiet longest, to make room for
// fresh.
func (d *Decoder) evict(fresh *Conn) {
	all := make([]*Conn, 0, len(d.conns))
	for c := range d.conns {
		if c != fresh {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *Conn) int { return cmp.Compare(a.used, b.used) })
	for _, c := range all[:min(len(all), len(all)/10+1)] {
		c.putAside()
	}
}

// putAside forgets what is known of a connection. When more of it comes it is
// read like one whose beginning was not captured.
func (c *Conn) putAside() {
	for s := range c.halves {
		h := &c.halves[s]
		c.giveAway(h, Side(s), "too many connections at once")
		if c.proto != nil {
			c.gapUnreadable(Side(s), c.last)
		}
		c.halves[s] = half{offset: h.offset, skip: h.skip, missed: h.missed, ended: h.ended}
	}
	c.proto, c.Whole, c.aside = nil, false, true
	c.account()
	delete(c.d.conns, c)
}

// giveAway drops what a side waits for.
func (c *Conn) giveAway(h *half, from Side, why string) {
	if c.proto == nil {
		h.missed += int64(len(h.buf))
		h.offset += int64(len(h.buf))
		c.Whole = false
	} else if !h.ended {
		h.lose(c.last, why)
		c.drop(h, from, h.buf, len(h.buf))
		h.bad += c.proto.lose(from, -1)
	}
	h.buf, h.need, h.total = nil, 0, 0
}

// forget gives back what the connection holds. More of it is counted only.
func (c *Conn) forget() {
	for s := range c.halves {
		c.halves[s].buf = nil
	}
	c.ended, c.proto = true, nil
	c.account()
	delete(c.d.conns, c)
}

// account adds what the connection holds to what all hold.
func (c *Conn) account() {
	n := len(c.halves[0].buf) + len(c.halves[1].buf)
	if c.proto != nil {
		n += c.proto.held()
	}
	c.d.buffered += n - c.held
	c.held = n
}

func (c *Conn) endpoint(s Side) string {
	if s == Client {
		return c.Client
	}
	return c.Server
}

// String names the connection for people and for Record.Conn where there is no
// better name.
func (c *Conn) String() string { return fmt.Sprintf("%s>%s", c.Client, c.Server) }

// Data takes bytes that from has sent, in their order. They are not kept.
func (c *Conn) Data(from Side, at time.Time, b []byte) {
	h := &c.halves[from]
	c.d.clock++
	c.used, c.last = c.d.clock, at
	if c.traffic != nil {
		c.traffic.Bytes += int64(len(b))
	}
	if c.ended || len(b) == 0 {
		return
	}
	if c.aside {
		c.aside = false
		c.d.admit(c)
	}
	if h.skip > 0 {
		n := min(h.skip, int64(len(b)))
		h.skip -= n
		h.offset += n
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
	if len(h.buf) > 0 || c.proto == nil {
		h.buf = append(h.buf, b...)
		b = h.buf
	}
	if c.proto != nil || c.detect(from, at, false) {
		c.read(from, at, b)
	}
	c.account()
	for c.d.buffered > c.d.most && c.d.relieve() {
	}
}

// read takes frames off the front of b until it needs more.
func (c *Conn) read(from Side, at time.Time, b []byte) {
	h := &c.halves[from]
	for len(b) > 0 && len(b) >= h.need && !c.ended {
		if h.lost {
			drop, found := c.proto.resync(from, b)
			b = c.drop(h, from, b, drop)
			if !found {
				h.need = len(b) + len(b)/4 + 1 // not at every byte that comes
				break
			}
			h.lost = false
			c.gapUnreadable(from, at)
		}
		s := c.proto.frame(from, at, b)
		h.need, h.total = 0, 0
		if s.used == 0 && s.need > c.d.cfg.Limit {
			s.lost, s.bad = true, fmt.Sprintf("a frame of %d bytes is over the limit of %d", s.need, c.d.cfg.Limit)
		}
		switch {
		case s.lost:
			h.lose(at, s.bad)
			if h.failed == h.offset+1 { // the frame that was found here is none
				b = c.drop(h, from, b, 1)
			} else {
				h.failed = h.offset + 1
			}
		case s.bad != "":
			h.lose(at, s.bad)
			b = c.drop(h, from, b, s.used)
			h.lost = false
			c.gapUnreadable(from, at)
		case s.used == 0:
			h.need, h.total = max(s.need, len(b)+1), s.total
		default:
			b = h.pass(b, s.used)
		}
	}
	c.hold(h, b)
}

// pass drops n bytes that were read.
func (h *half) pass(b []byte, n int) []byte {
	h.offset += int64(n)
	return b[n:]
}

// drop drops n bytes that could not be read.
func (c *Conn) drop(h *half, from Side, b []byte, n int) []byte {
	if n > 0 {
		h.bad += int64(n) + c.proto.lose(from, int64(n))
		c.traffic.Unreadable += int64(n)
	}
	return h.pass(b, n)
}

// lose begins a stretch of bytes that cannot be read.
func (h *half) lose(at time.Time, why string) {
	if !h.lost && h.bad == 0 {
		h.badAt, h.badFrom, h.why = at, h.offset, why
	}
	h.lost = true
}

// hold keeps what was not taken, and gives back memory that is not needed.
func (c *Conn) hold(h *half, rest []byte) {
	before := len(h.buf)
	switch {
	case len(rest) == 0 || c.ended:
		h.buf = h.buf[:0]
		if cap(h.buf) > 1<<12 { // most connections are quiet most of the time
			h.buf = nil
		}
	case before > 0 && &h.buf[before-1] == &rest[len(rest)-1]: // the end of buf
		if len(rest) < before {
			h.buf = h.buf[:copy(h.buf, rest)]
		}
	default:
		h.buf = append(h.buf[:0], rest...)
	}
}

// relieve gives up what the connection that holds most is waiting for. It
// reports whether that was anything.
func (d *Decoder) relieve() bool {
	var most *Conn
	for c := range d.conns {
		if most == nil || c.held > most.held || c.held == most.held && c.number < most.number {
			most = c
		}
	}
	if most == nil || most.held == 0 {
		return false
	}
	before := d.buffered
	for s := range most.halves {
		most.giveAway(&most.halves[s], Side(s), "too much is waiting for its end")
	}
	most.account()
	return d.buffered < before
}

// Lost says that n bytes that from has sent were not captured; n < 0: not known
// how many.
func (c *Conn) Lost(from Side, at time.Time, n int64) {
	if c.ended {
		return
	}
	h := &c.halves[from]
	lost, inFrame := max(n, 0), int64(len(h.buf))
	c.last = at
	if c.proto != nil {
		c.traffic.Missing += lost
	}
	if c.proto == nil || c.quiet() {
		c.Whole = false
		h.missed += lost + inFrame
		h.offset += inFrame + lost
		h.buf, h.need = nil, 0
		c.account()
		return
	}
	skipped := min(h.skip, lost)
	left := int64(h.total) - inFrame // of the frame that has begun
	h.skip -= skipped
	rest := lost - skipped
	goesOn := n >= 0 && (rest == 0 || h.total > 0 && inFrame > 0 && rest <= left)
	if rest > 0 || n < 0 {
		c.traffic.Unreadable += inFrame
		inFrame += c.proto.lose(from, n)
	}
	c.gap(at, from, gap{reason: c.d.lossReason(), from: at, offset: h.offset, bytes: n, unread: h.bad + inFrame, why: c.d.lossWhy()})
	h.bad = 0
	if rest == 0 && n >= 0 { // within a frame that is dropped anyway
		h.offset += lost
		return
	}
	h.offset += int64(len(h.buf)) + lost
	if goesOn {
		h.skip = left - rest
	} else {
		h.skip, h.lost = 0, true
		h.badAt, h.badFrom, h.why = at, h.offset, "no frame begins here"
	}
	h.buf, h.need, h.total = nil, 0, 0
	c.account()
}

// lossReason and lossWhy say what becomes of bytes that do not reach the
// decoder: a capture does not hold them, a proxy has left them out.
func (d *Decoder) lossReason() string {
	return pick(d.cfg.Source == "proxy", capture.GapOverflow, capture.GapMissing)
}

func (d *Decoder) lossWhy() string {
	return pick(d.cfg.Source == "proxy", "passed on and not recorded: decoding could not keep up", "the capture does not hold these bytes")
}

// quiet reports whether nothing of the connection is read.
func (c *Conn) quiet() bool {
	q, ok := c.proto.(interface{ quiet() })
	if ok {
		q.quiet()
	}
	return ok
}

// End says that from sends no more.
func (c *Conn) End(from Side, at time.Time) {
	h := &c.halves[from]
	if h.ended || c.ended {
		return
	}
	h.ended = true
	if c.proto == nil && !c.detect(from, at, true) && c.halves[from.other()].ended {
		c.giveUp(at)
	}
	if c.proto != nil {
		c.finish(from, at)
	}
	if c.halves[from.other()].ended {
		c.forget()
	}
}

// finish reads what is left of a side that has ended. A frame that has no end
// may have begun with a length that was damaged, so that others are found in
// it.
func (c *Conn) finish(from Side, at time.Time) {
	h := &c.halves[from]
	h.need = 0
	c.read(from, at, h.buf)
	for !h.lost && !c.ended {
		rest := c.proto.end(from, at, h.buf)
		if len(rest) == 0 {
			break
		}
		h.offset -= int64(max(0, len(rest)-len(h.buf))) // what the protocol had taken already
		h.lose(at, pick(c.d.stopped, "the capture", "the connection")+" ends within a frame")
		h.need = 0
		c.read(from, at, c.drop(h, from, rest, 1))
	}
	if h.lost {
		c.drop(h, from, h.buf, len(h.buf))
	}
	h.buf, h.lost = nil, false
	c.gapUnreadable(from, at)
	c.account()
}

// Close ends the connection from both sides.
func (c *Conn) Close(at time.Time) {
	c.End(Client, at)
	c.End(Server, at)
}

// Close ends what is still open, oldest connection first.
func (d *Decoder) Close(at time.Time) {
	all := make([]*Conn, 0, len(d.conns))
	for c := range d.conns {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Conn) int { return cmp.Compare(a.number, b.number) })
	for _, c := range all {
		c.Close(at)
	}
}
