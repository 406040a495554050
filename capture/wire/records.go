package wire

import (
	"hash/maphash"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"gctap/capture"
)

// A note is something seen beside messages. Its row has these headers:
//
//	amq.note           dispatch, ack, connect, subscribe, unsubscribe, disconnect, begin,
//	                   commit, rollback, error, joined, tls, upgrade, response, close
//	amq.message-id     of a dispatch; of an ack one for each message it is known to cover;
//	                   of a commit or rollback one for each message sent within:
//	                   what was rolled back was never on its queue
//	amq.first-id       of an ack of several messages
//	amq.last-id
//	amq.count
//	amq.ack            standard, individual, delivered, redelivered, poison, expired, unmatched, negative
//	amq.ack-mode       of a STOMP subscription: auto means that no ack will come
//	amq.consumer       the consumer's id
//	amq.browser        true: the consumer looks at a queue and takes nothing
//	amq.client-id, amq.user
//	                   as its connection gave them
//	amq.redelivered    how often a dispatch was tried before
//	amq.transaction
//	tcp.from, tcp.to   ends of the connection it was seen on
//
// Its body is one line for people. It has no MessageID: that is for messages.
type note struct {
	kind    string
	text    string
	dest    string
	conn    string // empty: the connection's own name
	headers []capture.Header
}

// add appends a header that has a value.
func (n *note) add(name, value string) {
	if value != "" {
		n.headers = append(n.headers, capture.Header{Name: name, Value: value})
	}
}

func (c *Conn) note(at time.Time, from Side, n note) {
	headers := make([]capture.Header, 0, 3+len(n.headers))
	headers = append(headers, capture.Header{Name: "amq.note", Value: n.kind})
	headers = append(headers, n.headers...)
	conn := n.conn
	if conn == "" {
		conn = c.String()
	}
	c.d.cfg.Emit(capture.Record{
		CapturedAt: at, Direction: capture.Note, Source: c.d.cfg.Source, Via: c.Via, Conn: conn, From: c.endpoint(from), To: n.dest,
		BodyKind: capture.Text, Body: []byte(n.text), Headers: c.ends(headers, from),
	})
}

// ends adds the ends of the connection, as seen from who sent.
func (c *Conn) ends(headers []capture.Header, from Side) []capture.Header {
	return append(headers,
		capture.Header{Name: "tcp.from", Value: c.endpoint(from)}, capture.Header{Name: "tcp.to", Value: c.endpoint(from.other())})
}

// A gap is a stretch of a stream that was not read. Its row has the headers
// tcp.from, tcp.to, tcp.protocol, tcp.offset (where it begins in what tcp.from
// has sent, from 0), tcp.missing (bytes not captured), tcp.unread (bytes
// captured and not readable) and tcp.why.
type gap struct {
	reason string
	from   time.Time
	offset int64
	bytes  int64 // not captured; < 0: not known how many
	unread int64
	why    string
}

func (c *Conn) gap(at time.Time, from Side, g gap) {
	rec := capture.Gap{From: g.from, To: at, Reason: g.reason}.Record()
	rec.Source, rec.Via, rec.Conn, rec.From = c.d.cfg.Source, c.Via, c.String(), c.endpoint(from)
	h := c.ends(nil, from)
	h = append(h, capture.Header{Name: "tcp.protocol", Value: c.proto.name()},
		capture.Header{Name: "tcp.offset", Value: strconv.FormatInt(g.offset, 10)})
	if g.bytes < 0 {
		h = append(h, capture.Header{Name: "tcp.missing", Value: "unknown"})
	} else if g.bytes > 0 {
		h = append(h, capture.Header{Name: "tcp.missing", Value: strconv.FormatInt(g.bytes, 10)})
	}
	if g.unread > 0 {
		h = append(h, capture.Header{Name: "tcp.unread", Value: strconv.FormatInt(g.unread, 10)})
	}
	rec.Headers = append(h, capture.Header{Name: "tcp.why", Value: g.why})
	c.d.cfg.Emit(rec)
}

// gapUnreadable tells of the bytes that were dropped while no frame was found.
func (c *Conn) gapUnreadable(from Side, at time.Time) {
	h := &c.halves[from]
	if h.bad == 0 {
		return
	}
	g := gap{reason: capture.GapUnreadable, from: h.badAt, offset: h.badFrom, unread: h.bad, why: h.why}
	h.bad = 0
	if !c.quiet() {
		c.gap(at, from, g)
	}
}

// Places that are not GC's own.
const (
	advisoryTopic = "topic://ActiveMQ.Advisory."
	peerTopic     = "topic://ConnectorSync"
	mirrorTopic   = "topic://VirtualTopic.Mirror."
	consumerQueue = "queue://Consumer."
)

// place returns what a message to dest is, and where it was sent: a copy on a
// mirror topic, or on the queue of a virtual topic's consumer, was sent to the
// queue that is mirrored. original is the broker's own word for that, if any.
func place(dest, original string) (to string, direction capture.Direction) {
	to = dest
	if strings.HasPrefix(original, "queue://") || strings.HasPrefix(original, "topic://") {
		to = original
	}
	if rest, ok := strings.CutPrefix(to, consumerQueue); ok {
		if _, topic, ok := strings.Cut(rest, ".VirtualTopic."); ok {
			to = "topic://VirtualTopic." + topic
		}
	}
	if queue, ok := strings.CutPrefix(to, mirrorTopic); ok {
		to = "queue://" + queue
	}
	switch {
	case to == peerTopic:
		return to, capture.Peer
	case strings.HasPrefix(to, "queue://"), strings.HasPrefix(to, "temp-queue://"):
		return to, capture.Command
	case to == "":
		return to, ""
	}
	return to, capture.Event
}

// message emits a record whose To is the place it was read from.
func (c *Conn) message(rec capture.Record, dest, original string) {
	rec.Source, rec.Via = c.d.cfg.Source, c.Via
	rec.To, rec.Direction = place(dest, original)
	rec.OriginalTo = original
	if rec.To != dest && dest != "" {
		rec.Headers = append(rec.Headers, capture.Header{Name: "amq.destination", Value: dest})
	}
	if rec.Direction == "" {
		rec.Direction = c.guess(&rec)
		rec.Headers = append(rec.Headers, capture.Header{Name: "amq.destination", Value: "unknown"})
	}
	c.d.cfg.Emit(rec)
}

// guess says what a message is where its place does not tell.
func (c *Conn) guess(rec *capture.Record) capture.Direction {
	if c.d.cfg.Guess != nil {
		if d := c.d.cfg.Guess(rec); d != "" {
			return d
		}
	}
	return capture.Event
}

// seen remembers which messages were met, the last size of them at least.
// Eight bytes stand for one: among 400,000 ids the chance that any two share
// theirs is below one in 200 million. It takes its memory with the first
// message and never more, however many come.
type seen struct {
	size       int
	seed       maphash.Seed
	old, young []uint64 // hash tables; 0: free
	n          int      // of young
}

func newSeen(size int) seen { return seen{size: size, seed: maphash.MakeSeed()} }

// add reports whether id is new.
func (s *seen) add(id string) bool {
	if s.young == nil {
		slots := 1 << bits.Len(uint(s.size+s.size/4)) // at most four of five are taken
		s.old, s.young = make([]uint64, slots), make([]uint64, slots)
	}
	key := max(1, maphash.String(s.seed, id))
	at := place64(s.young, key)
	if s.young[at] == key || s.old[place64(s.old, key)] == key {
		return false
	}
	if s.n >= s.size {
		s.old, s.young, s.n = s.young, s.old, 0
		clear(s.young)
		at = place64(s.young, key)
	}
	s.young[at] = key
	s.n++
	return true
}

// place64 returns where key is in a table, or the free place where it would be.
func place64(table []uint64, key uint64) int {
	at := int(key) & (len(table) - 1)
	for table[at] != 0 && table[at] != key {
		at = (at + 1) & (len(table) - 1)
	}
	return at
}

// unnamed counts messages that were sent without an id, so that their dispatch,
// which has one, is not taken for another message: a STOMP sender's id is made
// by the broker and known only to who saw the connection begin.
type unnamed struct {
	seed       maphash.Seed
	old, young map[uint64]int
}

const unnamedMessages = 10_000

func newUnnamed() unnamed {
	return unnamed{seed: maphash.MakeSeed(), old: map[uint64]int{}, young: map[uint64]int{}}
}

func (u *unnamed) key(dest, typ string, body []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(u.seed)
	h.WriteString(dest)
	h.WriteByte(0)
	h.WriteString(typ)
	h.WriteByte(0)
	h.Write(body)
	return h.Sum64()
}

func (u *unnamed) add(key uint64) {
	if len(u.young) >= unnamedMessages {
		u.old, u.young = u.young, map[uint64]int{}
	}
	u.young[key]++
}

// take reports whether such a message was sent and its dispatch not yet seen.
func (u *unnamed) take(key uint64) bool {
	for _, m := range []map[uint64]int{u.old, u.young} {
		if n := m[key]; n > 1 {
			m[key]--
			return true
		} else if n == 1 {
			delete(m, key)
			return true
		}
	}
	return false
}

func (u *unnamed) empty() bool { return len(u.old)+len(u.young) == 0 }

// maxRemembered is how long what is remembered of one thing may be: ids and
// names are shorter by far, and those of a hostile sender are not kept.
const maxRemembered = 1 << 10

// memorable reports whether texts are short enough to be remembered together.
func memorable(texts ...string) bool {
	n := 0
	for _, text := range texts {
		n += len(text)
	}
	return n <= maxRemembered
}

// transactions are the messages that were sent within those still open.
type transactions struct {
	sentIn   map[string][]string
	messages int
}

const maxInTransactions = 10_000 // messages, of one connection

func (t *transactions) sent(tx, mid string) {
	if tx == "" || mid == "" || t.messages >= maxInTransactions || !memorable(tx, mid) {
		return
	}
	if t.sentIn == nil {
		t.sentIn = map[string][]string{}
	}
	t.sentIn[strings.Clone(tx)] = append(t.sentIn[tx], mid)
	t.messages++
}

// end returns the messages of a transaction that is committed or rolled back.
func (t *transactions) end(tx string) []string {
	ids := t.sentIn[tx]
	delete(t.sentIn, tx)
	t.messages -= len(ids)
	return ids
}
