package wire

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"gctap/capture"
)

// openWireConn reads one connection between a JMS client, or another broker,
// and ActiveMQ.
type openWireConn struct {
	c       *Conn
	readers [2]reader
	infos   [2]*format // what each side said it can do; nil: not said yet
	agreed  bool       // formats are known, by the two infos or by a guess
	guessed bool

	clients   map[string]client   // by connection id
	consumers map[string]consumer // by consumer id
	order     []string            // of consumers, oldest first
	waiting   int                 // message-ids in all consumers' pending
	open      transactions
}

type client struct{ id, user string }

type consumer struct {
	dest    string
	pending *[]string // ids of dispatched messages, oldest first
	browser bool      // looks and takes nothing
}

// Bounds of what one connection is remembered by.
const (
	maxClients   = 1000
	maxConsumers = 2000
	maxPending   = 1000 // messages dispatched to one consumer and not acknowledged

	idSize = 128 // about what remembering a message-id takes
)

func newOpenWire(c *Conn) protocol {
	o := &openWireConn{c: c, clients: map[string]client{}, consumers: map[string]consumer{}}
	for s := range o.readers {
		o.readers[s].format = plainFormat
	}
	return o
}

func (o *openWireConn) name() string { return "OpenWire" }

const magic = "ActiveMQ"

// detectOpenWire knows the WireFormatInfo that both sides begin with. Where the
// beginning was not captured, a frame that cannot be taken for another thing.
func detectOpenWire(b []byte, whole bool) verdict {
	for _, front := range []int{4, 0} {
		if len(b) >= front+1+len(magic) {
			if b[front] == 1 && string(b[front+1:front+1+len(magic)]) == magic {
				return sure
			}
		} else if len(b) <= front || b[front] == 1 {
			return maybe
		}
	}
	if whole {
		return never
	}
	var probe openWireConn
	probe.c = &Conn{d: &Decoder{cfg: Config{Limit: DefaultLimit}}}
	if _, found := probe.resync(Client, b); found && strong(probe.readers[Client].lastCode) {
		return sure
	}
	return maybe
}

// strong reports whether a frame of this type has enough structure not to be
// found by accident: messages, dispatches, acks, and what makes and removes
// connections, consumers and producers.
func strong(code byte) bool {
	switch code {
	case 3, 5, 6, 21, 22:
		return true
	}
	return code >= 23 && code <= 29
}

// frame reads one command.
func (o *openWireConn) frame(from Side, at time.Time, data []byte) step {
	r := &o.readers[from]
	if o.infos[from] != nil && !o.agreed {
		return step{lost: true, bad: "the other side's WireFormatInfo was not seen"}
	}
	if r.format.noPrefix {
		return o.bareFrame(from, at, data)
	}
	if len(data) < 5 {
		return step{need: 5}
	}
	length := int64(int32(binary.BigEndian.Uint32(data)))
	if length < 1 || length > 1<<30 {
		return step{lost: true, bad: fmt.Sprintf("no frame has %d bytes", length)}
	}
	total := 4 + length
	if total > int64(o.c.d.cfg.Limit) {
		return step{lost: true, bad: fmt.Sprintf("a frame of %d bytes is over the limit of %d", total, o.c.d.cfg.Limit)}
	}
	if int64(len(data)) < total {
		return o.begun(r, data, int(total))
	}
	object, used, _, err := r.frame(data[4:total])
	if err != nil || used != int(length) {
		return o.broken(from, data, int(total), err == nil)
	}
	r.commit()
	o.handle(from, at, object, r.unresolved)
	return step{used: int(total)}
}

// longFrame is a length that is not believed without a look at what has come:
// a damaged one would make all that follows wait for its end.
const longFrame = 16 << 10

// begun is a frame whose end has not come.
func (o *openWireConn) begun(r *reader, data []byte, total int) step {
	if !o.plausible(data) {
		return step{lost: true, bad: "no frame begins here"}
	}
	if total <= longFrame {
		return step{need: total, total: total}
	}
	_, used, need, err := r.frame(data[4:])
	if err == nil && used != total-4 || err != nil && (need == 0 || need > total-4) {
		return step{lost: true, bad: fmt.Sprintf("a frame of type %d is not as long as it says", data[4])}
	}
	return step{need: min(total, 2*len(data)), total: total}
}

// plausible reports whether data may begin with a frame, by its length and type.
func (o *openWireConn) plausible(data []byte) bool {
	if len(data) < 5 {
		return true
	}
	length := int32(binary.BigEndian.Uint32(data))
	return length >= 1 && length <= 1<<30 && (data[4] == 0 && length == 1 || openWireLayouts()[openWireVersions][data[4]] != nil)
}

// broken is a frame that does not read, or that is shorter than it says. When
// another begins where it ends, its length was right and only it is given up.
func (o *openWireConn) broken(from Side, data []byte, total int, shorter bool) step {
	if o.guessed {
		o.agreed, o.guessed = false, false
		return step{lost: true, bad: "what was guessed of this connection is wrong"}
	}
	next := data[total:]
	if !shorter {
		if v, _ := o.fit(from, next, o.readers[from].format); v != never {
			return step{used: total, bad: fmt.Sprintf("a broken frame of type %d", data[4])}
		}
	}
	return step{lost: true, bad: fmt.Sprintf("a frame of type %d is not as long as it says", data[4])}
}

// bareFrame reads a command without its length in front.
func (o *openWireConn) bareFrame(from Side, at time.Time, data []byte) step {
	r := &o.readers[from]
	object, used, need, err := r.frame(data)
	if err != nil {
		if need > len(data) && need <= o.c.d.cfg.Limit {
			return step{need: need}
		}
		return step{lost: true, bad: "a broken frame, and none has its length in front"}
	}
	r.commit()
	o.handle(from, at, object, r.unresolved)
	return step{used: used}
}

// resync finds a frame by trying to read one at each place: it has to be whole,
// as long as it says, and followed by what may be another.
func (o *openWireConn) resync(from Side, data []byte) (drop int, found bool) {
	formats := guesses()
	if o.agreed {
		formats = []format{o.readers[from].format}
	}
	first := len(data)
	for at := range data {
		fit := o.fits(from, data[at:], formats)
		if fit == sure {
			return at, true
		}
		if fit == maybe && at < first {
			first = at
		}
	}
	return first, false
}

// fits reports whether a frame begins at data, in one of the formats, and takes
// on the format in which it does.
func (o *openWireConn) fits(from Side, data []byte, formats []format) verdict {
	prefixed, bare := mayBegin(data)
	if !prefixed && !bare {
		return never
	}
	if !o.agreed && len(data) > 5+len(magic) && data[4] == 1 && string(data[5:5+len(magic)]) == magic {
		return sure // the negotiation itself
	}
	best := never
	for _, f := range formats {
		if f.noPrefix && !bare || !f.noPrefix && !prefixed {
			continue
		}
		v, code := o.fit(from, data, f)
		if v == sure && (o.agreed || strong(code)) {
			o.readers[from].lastCode = code
			o.settle(f, !o.agreed)
			return sure
		}
		if v == maybe {
			best = maybe
		}
	}
	return best
}

// resyncFrame is the longest frame that is waited for while none is found.
const resyncFrame = 1 << 20

// mayBegin looks at the first bytes only: may they be a frame with its length
// in front, may they be one without?
func mayBegin(data []byte) (prefixed, bare bool) {
	newest := &openWireLayouts()[openWireVersions]
	bare = strong(data[0])
	if len(data) < 5 {
		return data[0] == 0, bare
	}
	length := binary.BigEndian.Uint32(data)
	return length >= 2 && length <= resyncFrame && newest[data[4]] != nil, bare
}

func (o *openWireConn) fit(from Side, data []byte, f format) (verdict, byte) {
	front, length := 4, -1
	if f.noPrefix {
		front = 0
	}
	if len(data) <= front {
		return maybe, 0
	}
	code := data[front]
	if openWireLayouts()[f.version][code] == nil || (f.noPrefix || !o.agreed) && !strong(code) {
		return never, 0
	}
	body := data[front:]
	if !f.noPrefix {
		if length = int(binary.BigEndian.Uint32(data)); length < 2 || length > resyncFrame {
			return never, 0
		}
		body = body[:min(length, len(body))]
	}
	probe := o.readers[from].probe(f)
	_, used, need, err := probe.frame(body)
	switch {
	case err != nil && need > len(body) && need <= resyncFrame && (length < 0 || need <= length):
		return maybe, code
	case err != nil, length >= 0 && used != length:
		return never, 0
	}
	next := data[front+used:]
	if f.noPrefix && len(next) > 0 && openWireLayouts()[f.version][next[0]] == nil || !f.noPrefix && !o.plausible(next) {
		return never, 0
	}
	return sure, code
}

// guesses are the formats to try on a connection whose beginning was not
// captured, the likely ones first.
func guesses() (all []format) {
	for _, noPrefix := range []bool{false, true} {
		for _, version := range []int{12, 9, 6, 5, 3, 2, 1} { // those between write the same messages and acks
			for _, tight := range []bool{true, false} {
				for _, cached := range []bool{true, false} {
					all = append(all, format{version: version, tight: tight, cached: cached, stackTraces: true, noPrefix: noPrefix})
				}
			}
		}
	}
	return all
}

// settle makes f the format of both directions.
func (o *openWireConn) settle(f format, guessed bool) {
	if o.agreed {
		return
	}
	o.agreed, o.guessed = true, guessed
	for s := range o.readers {
		o.readers[s].format = f
	}
}

// lose forgets what a command among the lost may have made the other end
// remember otherwise, and which transactions are open.
func (o *openWireConn) lose(from Side, n int64) int64 {
	o.readers[from].cache.doubt(n)
	if from == Client {
		o.open = transactions{}
	}
	return 0
}

func (o *openWireConn) end(_ Side, _ time.Time, rest []byte) []byte { return rest }

func (o *openWireConn) held() int {
	return o.readers[0].cache.size + o.readers[1].cache.size + (o.waiting+o.open.messages+len(o.order)+len(o.clients))*idSize
}

// handle takes one command.
func (o *openWireConn) handle(from Side, at time.Time, m *object, unresolved int) {
	if m == nil {
		return
	}
	if o.c.d.trace != nil {
		o.c.d.trace(o.c, from, at, m)
	}
	switch {
	case m.message:
		o.sent(from, at, m)
	case m.name == "MessageDispatch":
		o.dispatched(from, at, m)
	case m.name == "MessageAck":
		o.acknowledged(from, at, m)
	case m.name == "WireFormatInfo":
		o.negotiate(from, m)
	case m.name == "ConnectionInfo":
		o.connected(from, at, m)
	case m.name == "ConsumerInfo":
		o.subscribed(from, at, m)
	case m.name == "RemoveInfo":
		o.removed(from, at, m)
	case m.name == "TransactionInfo":
		o.transaction(from, at, m)
	case m.name == "ExceptionResponse", m.name == "ConnectionError":
		o.c.note(at, from, note{kind: "error", text: "refused: " + m.text("exception")})
	}
}

// negotiate works out what the two ends agree on: the lower version, and of
// each option whether both have it.
func (o *openWireConn) negotiate(from Side, m *object) {
	f := &format{version: int(m.number("version"))}
	for _, p := range properties(m.get("properties").bytes) {
		on := p.Value == "true"
		switch p.Name {
		case "TightEncodingEnabled":
			f.tight = on
		case "CacheEnabled":
			f.cached = on
		case "StackTraceEnabled":
			f.stackTraces = on
		case "SizePrefixDisabled":
			f.noPrefix = on
		}
	}
	o.infos[from] = f
	other := o.infos[from.other()]
	if other == nil || o.agreed && !o.guessed {
		return
	}
	o.agreed = false
	o.settle(format{
		version: max(1, min(f.version, other.version, openWireVersions)),
		tight:   f.tight && other.tight, cached: f.cached && other.cached,
		stackTraces: f.stackTraces && other.stackTraces, noPrefix: f.noPrefix && other.noPrefix,
	}, false)
}

func (o *openWireConn) connected(from Side, at time.Time, m *object) {
	conn := id(m.object("connectionId"))
	cl := client{id: m.text("clientId"), user: m.text("userName")}
	if len(o.clients) < maxClients && conn != "" && memorable(conn, cl.id, cl.user) {
		o.clients[conn] = cl
	}
	text := "connected with " + o.readers[from].format.String()
	if cl.id != "" {
		text += " as client " + cl.id
	}
	if cl.user != "" {
		text += ", user " + cl.user
	}
	n := note{kind: "connect", conn: conn, text: text}
	n.add("amq.client-id", cl.id)
	n.add("amq.user", cl.user)
	o.c.note(at, from, n)
}

func (o *openWireConn) subscribed(from Side, at time.Time, m *object) {
	cid, dest := id(m.object("consumerId")), destination(m.object("destination"))
	if strings.HasPrefix(dest, advisoryTopic) {
		return
	}
	if cid != "" {
		if cons := o.remember(cid, dest); cons.pending != nil {
			cons.browser = m.is("browser")
			o.consumers[cid] = cons
		}
	}
	text := "subscribed to " + orUnknown(dest)
	n := note{kind: "subscribe", dest: dest, conn: connectionOf(m.object("consumerId"))}
	o.consumer(&n, m.object("consumerId"))
	if s := m.text("selector"); s != "" {
		n.add("amq.selector", s)
		text += " where " + s
	}
	if m.is("browser") {
		text += ", to look only"
	}
	n.add("amq.subscription", m.text("subscription"))
	n.text = text
	o.c.note(at, from, n)
}

// remember keeps a consumer, and forgets the oldest one when there are too many.
// One whose id is too long has no pending: it is not kept.
func (o *openWireConn) remember(cid, dest string) consumer {
	if cons, ok := o.consumers[cid]; ok {
		if cons.dest == "" {
			cons.dest = dest
			o.consumers[cid] = cons
		}
		return cons
	}
	if !memorable(cid, dest) {
		return consumer{dest: dest}
	}
	if len(o.order) >= maxConsumers {
		o.waiting -= len(*o.consumers[o.order[0]].pending)
		delete(o.consumers, o.order[0])
		o.order = o.order[1:]
	}
	cons := consumer{dest: dest, pending: new([]string)}
	o.consumers[cid] = cons
	o.order = append(o.order, cid)
	return cons
}

// consumer names a consumer and its client in a note.
func (o *openWireConn) consumer(n *note, cid *object) {
	n.add("amq.consumer", id(cid))
	n.add("amq.browser", pick(o.consumers[id(cid)].browser, "true", ""))
	cl := o.clients[connectionOf(cid)]
	n.add("amq.client-id", cl.id)
	n.add("amq.user", cl.user)
}

func orUnknown(dest string) string {
	if dest == "" {
		return "an unknown place"
	}
	return dest
}

func (o *openWireConn) removed(from Side, at time.Time, m *object) {
	switch what := m.object("objectId"); {
	case what == nil:
	case what.name == "ConnectionId":
		conn := id(what)
		o.c.note(at, from, note{kind: "disconnect", conn: conn, text: "disconnected"})
		delete(o.clients, conn)
	case what.name == "ConsumerId":
		cid := id(what)
		cons, known := o.consumers[cid]
		if !known {
			return
		}
		n := note{kind: "unsubscribe", dest: cons.dest, conn: connectionOf(what), text: "no longer subscribed to " + orUnknown(cons.dest)}
		o.consumer(&n, what)
		o.c.note(at, from, n)
		o.waiting -= len(*cons.pending)
		delete(o.consumers, cid)
		for i, other := range o.order {
			if other == cid {
				o.order = append(o.order[:i], o.order[i+1:]...)
				break
			}
		}
	}
}

// transactionSteps are the types of TransactionInfo that end up in a note.
var transactionSteps = map[int64]string{0: "begin", 2: "commit", 3: "commit", 4: "rollback"}

func (o *openWireConn) transaction(from Side, at time.Time, m *object) {
	kind := transactionSteps[m.number("type")]
	if kind == "" {
		return
	}
	tx := id(m.object("transactionId"))
	n := note{kind: kind, conn: id(m.object("connectionId")), text: kind + " of transaction " + tx}
	n.add("amq.transaction", tx)
	if kind != "begin" {
		for _, mid := range o.open.end(tx) {
			n.add("amq.message-id", mid)
		}
	}
	o.c.note(at, from, n)
}

// key returns a message's id, and what it is remembered by: the id, or where
// the producer is not known what else tells it from others.
func (o *openWireConn) key(m *object) (mid, key string) {
	mid = messageID(m.object("messageId"))
	if mid != "" {
		return mid, mid
	}
	content := maphash.Bytes(o.c.d.seen.seed, m.get("content").bytes)
	return "", fmt.Sprintf("?%d:%d:%s:%x", m.object("messageId").number("sequence"), m.number("timestamp"), m.get("type").bytes, content)
}

// sent takes a message from its producer.
func (o *openWireConn) sent(from Side, at time.Time, m *object) {
	dest := destination(m.object("destination"))
	if strings.HasPrefix(dest, advisoryTopic) {
		o.c.d.cfg.Skip(dest)
		return
	}
	mid, key := o.key(m)
	if !o.c.d.seen.add(key) { // a copy that was dispatched came first, or a failover sent it again
		n := note{kind: "send", dest: dest, conn: connectionOf(m.object("producerId")), text: "sent again"}
		n.add("amq.message-id", mid)
		o.c.note(at, from, n)
		return
	}
	rec := o.record(at, m, mid)
	o.open.sent(rec.Header("amq.transaction"), mid)
	rec.From = o.c.endpoint(from)
	if cl := o.clients[rec.Conn]; cl.id != "" {
		rec.Headers = append(rec.Headers, capture.Header{Name: "amq.client-id", Value: cl.id})
	}
	o.c.message(rec, dest, destination(m.object("originalDestination")))
}

// dispatched takes a message that the broker hands to a consumer.
func (o *openWireConn) dispatched(from Side, at time.Time, d *object) {
	m := d.object("message")
	if m == nil { // the end of a browse or of a pull
		return
	}
	dest := destination(d.object("destination"))
	own := destination(m.object("destination"))
	if strings.HasPrefix(dest, advisoryTopic) || strings.HasPrefix(own, advisoryTopic) {
		o.c.d.cfg.Skip(own)
		return
	}
	cid := id(d.object("consumerId"))
	cons := o.consumers[cid]
	if cons.pending == nil && cid != "" {
		cons = o.remember(cid, dest)
	}
	if own == "" {
		own = dest
	}
	if own == "" {
		own = cons.dest
	}
	mid, key := o.key(m)
	if o.c.d.seen.add(key) {
		rec := o.record(at, m, mid)
		if !o.sentUnnamed(&rec, own) {
			o.c.message(rec, own, destination(m.object("originalDestination")))
		}
	}
	if cons.pending != nil && mid != "" && memorable(mid) {
		before := len(*cons.pending)
		if before >= maxPending {
			*cons.pending = append((*cons.pending)[:0], (*cons.pending)[maxPending/2:]...)
		}
		*cons.pending = append(*cons.pending, mid)
		o.waiting += len(*cons.pending) - before
	}
	n := note{kind: "dispatch", dest: own, conn: connectionOf(d.object("consumerId")), headers: make([]capture.Header, 0, 8)}
	n.add("amq.message-id", mid)
	o.consumer(&n, d.object("consumerId"))
	if k := d.number("redelivery"); k > 0 {
		n.add("amq.redelivered", strconv.FormatInt(k, 10))
	}
	n.text = "handed to consumer " + orUnknownID(cid)
	o.c.note(at, from, n)
}

func orUnknownID(id string) string {
	if id == "" {
		return "of unknown id"
	}
	return id
}

// sentUnnamed reports whether the message is one that a STOMP client was seen
// to send, without an id.
func (o *openWireConn) sentUnnamed(rec *capture.Record, dest string) bool {
	u := &o.c.d.unnamed
	if u.empty() {
		return false
	}
	to, _ := place(dest, "")
	return u.take(u.key(to, rec.Type(), rec.Body))
}

var ackNames = []string{"delivered", "poison", "standard", "redelivered", "individual", "unmatched", "expired"}

// acknowledged takes a consumer's word for one message or a row of them.
func (o *openWireConn) acknowledged(from Side, at time.Time, m *object) {
	dest := destination(m.object("destination"))
	if strings.HasPrefix(dest, advisoryTopic) {
		return
	}
	cid := id(m.object("consumerId"))
	cons := o.consumers[cid]
	if dest == "" {
		dest = cons.dest
	}
	kind := strconv.FormatInt(m.number("type"), 10)
	if t := m.number("type"); t >= 0 && t < int64(len(ackNames)) {
		kind = ackNames[t]
	}
	first, last := messageID(m.object("firstMessageId")), messageID(m.object("lastMessageId"))
	count := m.number("count")
	n := note{kind: "ack", dest: dest, conn: connectionOf(m.object("consumerId")), headers: make([]capture.Header, 0, 10)}
	done := kind != "delivered"
	if cons.pending != nil {
		o.waiting -= len(*cons.pending)
	}
	for _, mid := range cons.covered(first, last, count, done) {
		n.add("amq.message-id", mid)
	}
	if cons.pending != nil {
		o.waiting += len(*cons.pending)
	}
	n.add("amq.ack", kind)
	if count != 1 {
		n.add("amq.first-id", first)
		n.add("amq.last-id", last)
		n.add("amq.count", strconv.FormatInt(count, 10))
	}
	o.consumer(&n, m.object("consumerId"))
	n.add("amq.transaction", id(m.object("transactionId")))
	if cause := m.text("poison"); cause != "" {
		n.add("amq.cause", cause)
	}
	n.text = fmt.Sprintf("%s of %d by consumer %s", kind, count, orUnknownID(cid))
	o.c.note(at, from, n)
}

// covered returns the messages that an ack is about, oldest first, as far as
// their dispatch was seen. done takes them from those that wait.
func (cons consumer) covered(first, last string, count int64, done bool) []string {
	if last == "" {
		return nil
	}
	if cons.pending == nil {
		return []string{last}
	}
	pending := *cons.pending
	to := slices.Index(pending, last) // near the front, mostly
	if to < 0 {
		return []string{last}
	}
	begin := to
	if count != 1 {
		begin = max(0, to-int(max(0, min(count, maxPending)))+1)
		for i := 0; first != "" && i < to; i++ {
			if pending[i] == first {
				begin = i
			}
		}
	}
	ids := append([]string(nil), pending[begin:to+1]...)
	if done {
		*cons.pending = append(pending[:begin], pending[to+1:]...)
	}
	return ids
}

// record makes a Record of a message; its place is for the caller.
func (o *openWireConn) record(at time.Time, m *object, mid string) capture.Record {
	rec := capture.Record{
		CapturedAt: at, Conn: connectionOf(m.object("messageId").object("producerId")), MessageID: mid,
		ReplyTo: destination(m.object("replyTo")), CorrelationID: m.text("correlationId"),
	}
	if t := m.get("type").bytes; t != nil {
		rec.JMSType = new(string(t))
	}
	if ms := m.number("timestamp"); ms != 0 {
		rec.SentAt = new(time.UnixMilli(ms).UTC())
	}
	b := jmsBody(m, o.c.d.cfg.Limit)
	rec.Body, rec.BodyKind, rec.Truncated = b.bytes, b.kind, b.truncated
	given := properties(m.get("properties").bytes)
	h := make([]capture.Header, 0, 6+len(given))
	add := func(name, value string) { h = append(h, capture.Header{Name: name, Value: value}) }
	add("expires", strconv.FormatInt(m.number("expiration"), 10))
	if m.is("persistent") {
		add("persistent", "true")
	}
	add("priority", strconv.FormatInt(int64(int8(m.number("priority"))), 10))
	if m.number("redelivery") > 0 {
		add("redelivered", "true")
	}
	if v := m.text("userId"); v != "" {
		add("JMSXUserID", v)
	}
	if v := m.text("groupId"); v != "" {
		add("JMSXGroupID", v)
		add("JMSXGroupSeq", strconv.FormatInt(m.number("groupSequence"), 10))
	}
	h = append(h, given...)
	if tx := id(m.object("transactionId")); tx != "" {
		add("amq.transaction", tx)
	}
	if b.what != "" {
		add("amq.body", b.what)
	}
	if m.is("compressed") {
		add("amq.compressed", "true")
	}
	rec.Headers = h
	return rec
}
