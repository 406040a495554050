package wire

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gctap/capture"
)

// stomp reads one connection between a STOMP client and its broker, versions
// 1.0 to 1.2.
type stomp struct {
	c       *Conn
	version string // as agreed; empty: not seen, headers are read as in 1.1
	session string // the broker's name of the connection; empty: not known
	sends   int64  // SENDs since the beginning; < 0: not known
	user    string
	client  string

	scanned [2]int         // bytes of a frame in which its end is known not to be
	heads   [2]*stompFrame // the frame, once all of its headers have come
	bodies  [2]int         // where its body begins

	subs map[string]*stompSub // by subscription id
	acks map[string]stompAck  // messages that wait for an ACK, by what it will name
	old  map[string]stompAck  // the generation of acks before
	open transactions
}

type stompSub struct {
	dest, mode string
	browser    string   // true: it looks and takes nothing
	pending    []string // of mode client: ids of dispatched messages, oldest first
}

// stompAck is a message that waits to be acknowledged.
type stompAck struct{ mid, sub string }

const maxStompAcks = 20_000

func newStomp(c *Conn) protocol {
	s := &stomp{c: c, subs: map[string]*stompSub{}, acks: map[string]stompAck{}}
	if !c.Whole {
		s.sends = -1
	}
	return s
}

func (s *stomp) name() string { return "STOMP" }

// stompCommands are the words that frames begin with, the longer first where
// one begins with another.
var stompCommands = [][]byte{
	[]byte("CONNECTED\n"), []byte("CONNECT\n"), []byte("STOMP\n"), []byte("SEND\n"), []byte("SUBSCRIBE\n"), []byte("UNSUBSCRIBE\n"),
	[]byte("ACK\n"), []byte("NACK\n"), []byte("BEGIN\n"), []byte("COMMIT\n"), []byte("ABORT\n"), []byte("DISCONNECT\n"),
	[]byte("MESSAGE\n"), []byte("RECEIPT\n"), []byte("ERROR\n"),
}

// stompBegins reports whether b begins with a command on a line of its own.
func stompBegins(b []byte) verdict {
	if i := bytes.IndexByte(b[:min(len(b), 16)], '\r'); i >= 0 {
		b = append(append([]byte(nil), b[:i]...), b[i+1:min(len(b), 16)]...)
	}
	return startsWithWord(b, stompCommands)
}

func detectStomp(b []byte, whole bool) verdict {
	if whole {
		return stompBegins(bytes.TrimLeft(b, "\r\n"))
	}
	if _, found := stompResync(b); found {
		return sure
	}
	return never
}

// stompResync finds a command after the NUL that ends a frame, or at the front.
func stompResync(b []byte) (drop int, found bool) {
	for at := 0; at < len(b); {
		head := bytes.TrimLeft(b[at:], "\r\n")
		if v := stompBegins(head); v == sure {
			return len(b) - len(head), true
		} else if v == maybe && len(head) > 0 {
			return len(b) - len(head), false
		}
		i := bytes.IndexByte(b[at:], 0)
		if i < 0 {
			return len(b), false
		}
		at += i + 1
	}
	return len(b), false
}

func (s *stomp) resync(_ Side, b []byte) (drop int, found bool) { return stompResync(b) }

// stompFrame is one frame; its body points into the bytes it was read from.
type stompFrame struct {
	command string
	headers []capture.Header // unescaped
	body    []byte
	length  bool // it has a content-length
}

func (f *stompFrame) get(name string) string {
	for _, h := range f.headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// maxStompHead is the longest command with headers, in bytes.
const maxStompHead = 1 << 20

// frame reads a frame, or the line breaks between two.
func (s *stomp) frame(from Side, at time.Time, b []byte) step {
	if blank := len(b) - len(bytes.TrimLeft(b, "\r\n")); blank > 0 {
		return step{used: blank} // heartbeats
	}
	if stompBegins(b) == never {
		return step{lost: true, bad: "no frame begins here"}
	}
	scanned := min(s.scanned[from], len(b))
	if s.heads[from] == nil {
		head, bodyAt := stompHead(b, max(0, scanned-3))
		if bodyAt < 0 {
			if len(b) > maxStompHead {
				s.restart(from)
				return step{lost: true, bad: "a frame's headers do not end"}
			}
			s.scanned[from] = len(b)
			return step{need: len(b) + 1}
		}
		s.heads[from], s.bodies[from] = s.parse(head), bodyAt
	}
	f, bodyAt := s.heads[from], s.bodies[from]
	end, exact := -1, false
	if text := f.get("content-length"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/2 {
			s.restart(from)
			return step{lost: true, bad: "a content-length that is no length"}
		}
		total := int64(bodyAt) + n + 1
		if total > int64(s.c.d.cfg.Limit) { // which a damaged digit makes too: the next frame is looked for
			s.restart(from)
			return step{lost: true, bad: fmt.Sprintf("a frame of %d bytes is over the limit of %d", total, s.c.d.cfg.Limit)}
		}
		if int64(len(b)) < total {
			return step{need: int(total), total: int(total)}
		}
		end, exact = bodyAt+int(n), true
	} else if i := bytes.IndexByte(b[max(bodyAt, scanned):], 0); i >= 0 {
		end = max(bodyAt, scanned) + i
	}
	if end < 0 {
		s.scanned[from] = len(b)
		return step{need: len(b) + 1}
	}
	s.restart(from)
	if b[end] != 0 {
		return step{lost: true, bad: "a body is longer than its content-length"}
	}
	f.body, f.length = b[bodyAt:end], exact
	s.handle(from, at, f)
	return step{used: end + 1}
}

// restart begins at the front of what comes next.
func (s *stomp) restart(from Side) { s.scanned[from], s.heads[from] = 0, nil }

// stompHead returns the command and headers, and where the body begins; -1
// where the blank line between has not come. It looks from scanned on.
func stompHead(b []byte, scanned int) (head []byte, bodyAt int) {
	for at := scanned; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return nil, -1
		}
		at += i + 1
		if at < len(b) && b[at] == '\n' {
			return b[:at], at + 1
		}
		if at+1 < len(b) && b[at] == '\r' && b[at+1] == '\n' {
			return b[:at], at + 2
		}
	}
}

// parse reads the command and headers. Of a header that comes twice both are
// kept, and the first counts.
func (s *stomp) parse(head []byte) *stompFrame {
	lines := strings.Split(strings.TrimRight(string(head), "\r\n"), "\n")
	f := &stompFrame{command: strings.TrimSuffix(lines[0], "\r"), headers: make([]capture.Header, 0, len(lines)-1)}
	escaped := s.version != "1.0" && f.command != "CONNECT" && f.command != "CONNECTED" && f.command != "STOMP"
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok {
			continue
		}
		if escaped {
			name, value = stompUnescape.Replace(name), stompUnescape.Replace(value)
		}
		f.headers = append(f.headers, capture.Header{Name: name, Value: value})
	}
	return f
}

var stompUnescape = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\c`, ":", `\r`, "\r")

// lose: among the lost may have been a SEND, and the ids of those after it
// come of their number.
func (s *stomp) lose(from Side, _ int64) int64 {
	s.restart(from)
	if from == Client {
		s.sends, s.open = -1, transactions{}
	}
	return 0
}

func (s *stomp) end(_ Side, _ time.Time, rest []byte) []byte {
	return bytes.TrimLeft(rest, "\r\n\x00")
}

func (s *stomp) held() int {
	n := len(s.acks) + len(s.old) + s.open.messages
	for _, sub := range s.subs {
		n += 1 + len(sub.pending)
	}
	return n * idSize
}

func (s *stomp) handle(from Side, at time.Time, f *stompFrame) {
	switch f.command {
	case "CONNECT", "STOMP":
		s.user, s.client = strings.Clone(f.get("login")), strings.Clone(f.get("client-id"))
		if f.get("accept-version") == "" {
			s.version = "1.0" // and it may send before it is answered
		}
	case "CONNECTED":
		s.connected(from, at, f)
	case "SEND":
		s.sent(from, at, f)
	case "MESSAGE":
		s.dispatched(from, at, f)
	case "SUBSCRIBE":
		s.subscribe(from, at, f)
	case "UNSUBSCRIBE":
		s.unsubscribe(from, at, f)
	case "ACK", "NACK":
		s.acknowledged(from, at, f)
	case "BEGIN", "COMMIT", "ABORT":
		n := note{kind: map[string]string{"BEGIN": "begin", "COMMIT": "commit", "ABORT": "rollback"}[f.command]}
		n.add("amq.transaction", f.get("transaction"))
		n.text = n.kind + " of transaction " + f.get("transaction")
		if n.kind != "begin" {
			for _, mid := range s.open.end(f.get("transaction")) {
				n.add("amq.message-id", mid)
			}
		}
		s.note(at, from, n)
	case "DISCONNECT":
		s.note(at, from, note{kind: "disconnect", text: "disconnected"})
	case "ERROR":
		s.note(at, from, note{kind: "error", text: "refused: " + strings.ToValidUTF8(f.get("message"), "�")})
	}
}

// note names the connection as the broker does, where that is known.
func (s *stomp) note(at time.Time, from Side, n note) {
	n.conn = s.session
	n.add("amq.client-id", s.client)
	n.add("amq.user", s.user)
	s.c.note(at, from, n)
}

func (s *stomp) connected(from Side, at time.Time, f *stompFrame) {
	s.version, s.session = strings.Clone(f.get("version")), strings.Clone(f.get("session"))
	if s.version == "" {
		s.version = "1.0"
	}
	if server := f.get("server"); server != "" && !strings.HasPrefix(server, "ActiveMQ/") {
		s.sends = -1 // another broker makes other ids
	}
	text := "connected with STOMP " + s.version
	if s.client != "" {
		text += " as client " + s.client
	}
	if s.user != "" {
		text += ", user " + s.user
	}
	s.note(at, from, note{kind: "connect", text: text})
}

// brokerID returns the id that ActiveMQ gives the message that was sent last:
// it counts the SENDs of a connection, whose name it told as the session.
func (s *stomp) brokerID() string {
	if s.sends < 0 || !strings.HasPrefix(s.session, "ID:") {
		return ""
	}
	return join(s.session, -1, 1, s.sends)
}

// stompPlaces are STOMP's spellings of destinations, and ours.
var stompPlaces = []struct{ wire, ours string }{
	{"/queue/", "queue://"}, {"/topic/", "topic://"}, {"/remote-temp-topic/", "temp-topic://"}, {"/temp-topic/", "temp-topic://"},
	{"/remote-temp-queue/", "temp-queue://"}, {"/temp-queue/", "temp-queue://"},
}

func stompPlace(s string) string {
	for _, p := range stompPlaces {
		if name, ok := strings.CutPrefix(s, p.wire); ok {
			return p.ours + name
		}
	}
	return s
}

func (s *stomp) sent(from Side, at time.Time, f *stompFrame) {
	if s.sends >= 0 {
		s.sends++
	}
	dest := stompPlace(f.get("destination"))
	rec := s.record(at, f)
	rec.Conn, rec.From, rec.MessageID = s.session, s.c.endpoint(from), s.brokerID()
	if rec.Conn == "" {
		rec.Conn = s.c.String()
	}
	s.open.sent(f.get("transaction"), rec.MessageID)
	if rec.MessageID == "" {
		to, _ := place(dest, "")
		s.c.d.unnamed.add(s.c.d.unnamed.key(to, rec.Type(), rec.Body))
	} else if !s.c.d.seen.add(rec.MessageID) {
		return
	}
	s.c.message(rec, dest, "")
}

func (s *stomp) dispatched(from Side, at time.Time, f *stompFrame) {
	if f.get("browser") == "end" { // and no message
		return
	}
	dest := stompPlace(f.get("destination"))
	if strings.HasPrefix(dest, advisoryTopic) {
		s.c.d.cfg.Skip(dest)
		return
	}
	original := stompPlace(f.get("original-destination"))
	mid := f.get("message-id")
	if s.version == "" { // read as 1.1, where only an escaped id has no colons
		mid = strings.ReplaceAll(mid, `\c`, ":")
	}
	if s.c.d.seen.add(mid) {
		rec := s.record(at, f)
		rec.MessageID, rec.Conn = mid, producerOf(mid)
		to, _ := place(dest, original)
		if s.c.d.unnamed.empty() || !s.c.d.unnamed.take(s.c.d.unnamed.key(to, rec.Type(), rec.Body)) {
			s.c.message(rec, dest, original)
		}
	}
	sub := s.sub(f.get("subscription"))
	s.keepAck(f, mid, sub)
	n := note{kind: "dispatch", dest: dest, text: "handed to subscription " + f.get("subscription")}
	n.add("amq.message-id", mid)
	n.add("amq.consumer", s.consumer(f.get("subscription")))
	n.add("amq.browser", sub.browser)
	n.add("amq.ack-mode", sub.mode)
	if f.get("redelivered") == "true" {
		n.add("amq.redelivered", "1")
	}
	s.note(at, from, n)
}

// consumer names a subscription, for people and to tell consumers apart.
func (s *stomp) consumer(sub string) string {
	if s.session == "" {
		return s.c.String() + "/" + sub
	}
	return s.session + "/" + sub
}

// sub returns a subscription; one that was not seen to begin is empty.
func (s *stomp) sub(id string) *stompSub {
	if sub := s.subs[id]; sub != nil {
		return sub
	}
	return &stompSub{}
}

// keepAck remembers a message until it is acknowledged.
func (s *stomp) keepAck(f *stompFrame, mid string, sub *stompSub) {
	if sub.mode == "auto" {
		return
	}
	ack := f.get("ack")
	if ack == "" {
		ack = mid
	}
	if !memorable(ack, mid, f.get("subscription")) {
		return
	}
	if len(s.acks) >= maxStompAcks {
		s.old, s.acks = s.acks, map[string]stompAck{}
	}
	mid = strings.Clone(mid) // or all of the frame's headers were kept with it
	s.acks[strings.Clone(ack)] = stompAck{mid, strings.Clone(f.get("subscription"))}
	if sub.mode == "client" {
		if len(sub.pending) >= maxPending {
			sub.pending = append(sub.pending[:0], sub.pending[maxPending/2:]...)
		}
		sub.pending = append(sub.pending, mid)
	}
}

func (s *stomp) subscribe(from Side, at time.Time, f *stompFrame) {
	sub := &stompSub{dest: strings.Clone(stompPlace(f.get("destination"))), mode: strings.Clone(f.get("ack"))}
	if sub.mode == "" {
		sub.mode = "auto"
	}
	if f.get("browser") == "true" {
		sub.browser = "true"
	}
	if len(s.subs) < maxConsumers && memorable(f.get("id"), sub.dest, sub.mode) {
		s.subs[strings.Clone(f.get("id"))] = sub
	}
	n := note{kind: "subscribe", dest: sub.dest, text: "subscribed to " + sub.dest}
	n.add("amq.consumer", s.consumer(f.get("id")))
	n.add("amq.browser", sub.browser)
	n.add("amq.ack-mode", sub.mode)
	n.add("amq.selector", f.get("selector"))
	s.note(at, from, n)
}

func (s *stomp) unsubscribe(from Side, at time.Time, f *stompFrame) {
	sub := s.sub(f.get("id"))
	delete(s.subs, f.get("id"))
	n := note{kind: "unsubscribe", dest: sub.dest, text: "no longer subscribed to " + orUnknown(sub.dest)}
	n.add("amq.consumer", s.consumer(f.get("id")))
	s.note(at, from, n)
}

// acknowledged takes an ACK: of the message whose ack header it repeats (1.2),
// or that it names. Mode client means that message and all before it.
func (s *stomp) acknowledged(from Side, at time.Time, f *stompFrame) {
	ack, given := f.get("id"), stompAck{f.get("message-id"), f.get("subscription")}
	if ack == "" {
		ack = given.mid
	}
	for _, acks := range []map[string]stompAck{s.old, s.acks} {
		if a, known := acks[ack]; known {
			given = a
			delete(acks, ack)
		}
	}
	sub := s.sub(given.sub)
	n := note{kind: "ack", dest: sub.dest, text: "acknowledged"}
	covered := []string{given.mid}
	if i := slices.Index(sub.pending, given.mid); i >= 0 {
		covered = slices.Clone(sub.pending[:i+1])
		sub.pending = append(sub.pending[:0], sub.pending[i+1:]...)
	}
	for _, mid := range covered {
		n.add("amq.message-id", mid)
	}
	kind := pick(sub.mode == "client", "standard", "individual")
	n.add("amq.ack", pick(f.command == "ACK", kind, "negative"))
	if f.command == "NACK" {
		n.text = "refused by the consumer"
	}
	n.add("amq.ack-mode", sub.mode)
	n.add("amq.consumer", s.consumer(given.sub))
	n.add("amq.browser", sub.browser)
	n.add("amq.transaction", f.get("transaction"))
	s.note(at, from, n)
}

// producerOf returns the connection an ActiveMQ message-id begins with: the id
// less its last three numbers.
func producerOf(id string) string {
	if !strings.HasPrefix(id, "ID:") {
		return ""
	}
	end := len(id)
	for range 3 {
		if end = strings.LastIndexByte(id[:end], ':'); end < 0 {
			return ""
		}
	}
	if strings.Count(id[:end], ":") < 2 {
		return ""
	}
	return id[:end]
}

// stompPlumbing are headers that belong to a frame and not to its message.
var stompPlumbing = map[string]bool{
	"login": true, "passcode": true, // a broker's, wherever they stand
	"subscription": true, "ack": true, "content-length": true, "receipt": true, "transaction": true, "id": true, "message-id": true, "selector": true,
}

// record makes a Record of a SEND or MESSAGE; its place is for the caller. A
// header that has a field of its own is left out of Headers once.
func (s *stomp) record(at time.Time, f *stompFrame) capture.Record {
	rec := capture.Record{CapturedAt: at, Body: bytes.Clone(f.body), BodyKind: stompKind(f)}
	if rec.Body == nil {
		rec.Body = []byte{}
	}
	if f.command == "MESSAGE" {
		rec.Body = s.text(&rec)
	}
	taken := map[string]bool{}
	for _, h := range f.headers {
		if stompPlumbing[h.Name] {
			continue
		}
		if !taken[h.Name] && stompField(&rec, h) {
			taken[h.Name] = true
			continue
		}
		rec.Headers = append(rec.Headers, h)
	}
	if tx := f.get("transaction"); tx != "" {
		rec.Headers = append(rec.Headers, capture.Header{Name: "amq.transaction", Value: tx})
	}
	if f.command == "SEND" && s.client != "" {
		rec.Headers = append(rec.Headers, capture.Header{Name: "amq.client-id", Value: s.client})
	}
	return rec
}

// text returns a body as UTF-8: ActiveMQ hands a JMS text to STOMP in Java's
// modified UTF-8, which a text of STOMP's own is not unless it is broken.
func (s *stomp) text(rec *capture.Record) []byte {
	if rec.BodyKind == capture.Text && !utf8.Valid(rec.Body) {
		return javaUTF8(rec.Body)
	}
	return rec.Body
}

// stompField puts a header into the Record's field for it, if it has one.
func stompField(rec *capture.Record, h capture.Header) bool {
	switch h.Name {
	case "destination", "original-destination":
	case "type", "JMSType":
		if rec.JMSType != nil {
			return false
		}
		rec.JMSType = new(h.Value)
	case "reply-to":
		rec.ReplyTo = stompPlace(h.Value)
	case "correlation-id":
		rec.CorrelationID = h.Value
	case "timestamp":
		ms, err := strconv.ParseInt(h.Value, 10, 64)
		if err != nil {
			return false
		}
		if ms != 0 {
			rec.SentAt = new(time.UnixMilli(ms).UTC())
		}
	default:
		return false
	}
	return true
}

// stompKind tells the JMS kind that ActiveMQ makes of a SEND, or made a MESSAGE
// from.
func stompKind(f *stompFrame) capture.BodyKind {
	switch {
	case strings.HasPrefix(f.get("transformation"), "jms-map"):
		return capture.Map
	case f.get("amq-msg-type") == "text" && len(f.body) > 0:
		return capture.Text
	case f.length:
		return capture.Bytes
	case len(f.body) == 0:
		return capture.Unknown
	}
	return capture.Text
}
