package wire

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"gctap/capture"
)

// webSocket reads the frames of RFC 6455, with permessage-deflate (RFC 7692).
// What the client sends is a command, what it gets an event: that is how xuc
// uses it. Where the sub-protocol is STOMP, the payload is read as STOMP.
// Headers of its rows: ws.target (secrets masked), ws.opcode where it is not
// text.
type webSocket struct {
	c       *Conn
	target  string
	deflate bool
	fresh   [2]bool // each message is compressed on its own
	sides   [2]wsSide
	inner   *stomp
	rest    [2][]byte // of inner's frames
	joined  bool      // its beginning was not captured: what it carries is guessed
}

type wsSide struct {
	message []byte // fragments so far
	opcode  byte
	packed  bool
	open    bool // a message has begun and not ended
	dropped int64
	window  []byte // the last 32 KiB of what was inflated
	broken  bool   // the window is lost: nothing compressed can be read any more
}

func newWebSocket(c *Conn, head *httpHead) protocol {
	w := &webSocket{c: c, target: head.request.target}
	ext := strings.ToLower(head.get("Sec-WebSocket-Extensions"))
	w.deflate = strings.Contains(ext, "permessage-deflate")
	w.fresh[Client] = strings.Contains(ext, "client_no_context_takeover")
	w.fresh[Server] = strings.Contains(ext, "server_no_context_takeover")
	if strings.Contains(strings.ToLower(head.get("Sec-WebSocket-Protocol")), "stomp") {
		w.inner = newStomp(c).(*stomp)
	}
	return w
}

// joinWebSocket reads one whose upgrade was not captured. What was compressed
// with what came before can not be read.
func joinWebSocket(c *Conn) protocol {
	return &webSocket{c: c, joined: true, deflate: true, sides: [2]wsSide{{broken: true}, {broken: true}}}
}

// detectWebSocket knows a whole frame with a JSON object, or with STOMP, in the
// middle of a connection. Where the beginning was captured HTTP finds it.
func detectWebSocket(b []byte, whole bool) verdict {
	if whole {
		return never
	}
	for at := range b {
		if b[at] != 0x81 {
			continue
		}
		h, need, ok := wsHeader(b[at:])
		if !ok || need > 0 || h.length < 2 || h.length > int64(len(b)-at-h.size) {
			continue
		}
		payload := unmasked(h, b[at+h.size:at+h.size+int(h.length)])
		if utf8.Valid(payload) && (payload[0] == '{' && payload[len(payload)-1] == '}' || stompBegins(payload) == sure) {
			return sure
		}
	}
	return maybe
}

func (w *webSocket) name() string { return "WebSocket" }

// resync finds a frame by what a frame of the side has to look like. Client
// frames are masked and all but random, so only an unmasked text or a masked
// frame at the very front is taken.
func (w *webSocket) resync(from Side, b []byte) (drop int, found bool) {
	for at := range b {
		h, need, ok := wsHeader(b[at:])
		if need > 0 {
			return at, false
		}
		if !ok || h.masked != (from == Client) || h.op > 2 && h.op < 8 || h.op == 0 || h.length > 1<<20 || h.rsv&^4 != 0 || h.rsv != 0 && !w.deflate {
			continue
		}
		end := at + h.size + int(h.length)
		if end > len(b) {
			if at == 0 {
				return 0, false
			}
			continue
		}
		if _, need, ok = wsHeader(b[end:]); !ok && need == 0 && end < len(b) {
			continue
		}
		payload := unmasked(h, b[at+h.size:end])
		if h.op == 1 && h.rsv == 0 && !utf8.Valid(payload) {
			continue
		}
		w.sides[from] = wsSide{broken: w.sides[from].broken}
		return at, true
	}
	return len(b), false
}

// wsHead is the front of a frame.
type wsHead struct {
	fin    bool
	rsv    byte
	op     byte
	masked bool
	key    [4]byte
	length int64
	size   int // of the front itself
}

// wsHeader reads the front of a frame. need: how many bytes it takes, when
// there are fewer.
func wsHeader(b []byte) (h wsHead, need int, ok bool) {
	if len(b) < 2 {
		return h, 2, false
	}
	h = wsHead{fin: b[0]&0x80 != 0, rsv: b[0] >> 4 & 7, op: b[0] & 15, masked: b[1]&0x80 != 0, length: int64(b[1] & 0x7F), size: 2}
	switch h.length {
	case 126:
		h.size = 4
	case 127:
		h.size = 10
	}
	if h.masked {
		h.size += 4
	}
	if len(b) < h.size {
		return h, h.size, false
	}
	switch h.length {
	case 126:
		h.length = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		n := binary.BigEndian.Uint64(b[2:])
		if n > 1<<62 {
			return h, 0, false
		}
		h.length = int64(n)
	}
	if h.masked {
		copy(h.key[:], b[h.size-4:])
	}
	control := h.op >= 8
	if h.op > 2 && h.op < 8 || h.op > 10 || control && (!h.fin || h.length > 125) {
		return h, 0, false
	}
	return h, 0, true
}

func unmasked(h wsHead, b []byte) []byte {
	out := bytes.Clone(b)
	if h.masked {
		for i := range out {
			out[i] ^= h.key[i&3]
		}
	}
	return out
}

func (w *webSocket) frame(from Side, at time.Time, b []byte) step {
	h, need, ok := wsHeader(b)
	if need > 0 {
		return step{need: need}
	}
	if !ok || h.rsv != 0 && (!w.deflate || h.rsv != 4) || h.masked != (from == Client) {
		return step{lost: true, bad: "no frame begins here"}
	}
	total := int64(h.size) + h.length
	if total > int64(w.c.d.cfg.Limit) {
		return step{lost: true, bad: fmt.Sprintf("a frame of %d bytes is over the limit of %d", total, w.c.d.cfg.Limit)}
	}
	if int64(len(b)) < total {
		return step{need: int(total), total: int(total)}
	}
	payload := unmasked(h, b[h.size:total])
	if h.op >= 8 {
		w.control(from, at, h.op, payload)
		return step{used: int(total)}
	}
	return step{used: int(total), bad: w.data(from, at, h, payload)}
}

// data takes a frame of a message: its first, a later one, its last.
func (w *webSocket) data(from Side, at time.Time, h wsHead, payload []byte) (bad string) {
	s := &w.sides[from]
	if h.op != 0 {
		s.message, s.opcode, s.packed, s.open, s.dropped = nil, h.op, h.rsv == 4, true, 0
	} else if !s.open {
		return "a fragment of a message whose beginning was not seen"
	}
	if room := w.c.d.cfg.Limit - len(s.message); len(payload) > room {
		s.dropped += int64(len(payload) - room)
		payload = payload[:room]
	}
	if s.message == nil {
		s.message = payload
	} else {
		s.message = append(s.message, payload...)
	}
	if !h.fin {
		return ""
	}
	message := s.message
	s.message, s.open = nil, false
	if s.packed {
		plain, ok := w.inflate(from, message)
		if !ok {
			return "a compressed message that cannot be read without those before it"
		}
		message = plain
	}
	w.message(from, at, s.opcode, message, s.dropped)
	return ""
}

// wsWindow is how far back deflate may refer.
const wsWindow = 32 << 10

// inflate undoes permessage-deflate: each message is a deflate stream less its
// last four bytes, and refers back to the messages before.
func (w *webSocket) inflate(from Side, b []byte) (plain []byte, ok bool) {
	s := &w.sides[from]
	if s.broken && !w.fresh[from] {
		return nil, false
	}
	tail := []byte{0, 0, 0xFF, 0xFF, 1, 0, 0, 0xFF, 0xFF} // what was left out, and an empty last block
	window := s.window
	if w.fresh[from] {
		window = nil
	}
	in := io.MultiReader(bytes.NewReader(b), bytes.NewReader(tail))
	d := w.c.d
	if d.flate == nil {
		d.flate = flate.NewReader(nil)
	}
	if err := d.flate.(flate.Resetter).Reset(in, window); err != nil {
		return nil, false
	}
	plain, err := io.ReadAll(io.LimitReader(d.flate, int64(d.cfg.Limit)+1))
	if err != nil || len(plain) > d.cfg.Limit {
		s.broken = true
		return nil, false
	}
	if !w.fresh[from] {
		s.window = append(s.window, plain...)
		if len(s.window) > wsWindow {
			s.window = bytes.Clone(s.window[len(s.window)-wsWindow:])
		}
	}
	return plain, true
}

func (w *webSocket) message(from Side, at time.Time, op byte, b []byte, dropped int64) {
	if w.joined && w.inner == nil && op == 1 && stompBegins(b) == sure {
		w.inner = newStomp(w.c).(*stomp)
	}
	if w.inner != nil {
		w.stomp(from, at, b)
		return
	}
	rec := capture.Record{
		CapturedAt: at, Direction: capture.Event, Source: "xuc", Via: w.c.Via, Conn: w.c.String(), From: w.c.endpoint(from),
		To: w.c.endpoint(from.other()), BodyKind: capture.Text, Body: b, Truncated: dropped,
	}
	if from == Client {
		rec.Direction = capture.Command
	}
	rec.Headers = append(rec.Headers, capture.Header{Name: "ws.target", Value: w.target})
	if op != 1 {
		rec.BodyKind = capture.Bytes
		rec.Headers = append(rec.Headers, capture.Header{Name: "ws.opcode", Value: fmt.Sprint(op)})
	}
	rec.Headers = w.c.ends(rec.Headers, from)
	w.c.d.cfg.Emit(rec)
}

// stomp reads the payload as STOMP; a frame may be split over messages.
func (w *webSocket) stomp(from Side, at time.Time, b []byte) {
	data := append(w.rest[from], b...)
	for len(data) > 0 {
		s := w.inner.frame(from, at, data)
		if s.used == 0 && s.bad == "" && len(data) > w.c.d.cfg.Limit {
			s.bad = "a frame is over the limit"
		}
		if s.lost || s.bad != "" {
			w.inner.lose(from, int64(len(data)))
			h := &w.c.halves[from]
			h.bad += int64(len(data))
			h.badAt, h.badFrom, h.why = at, h.offset, s.bad
			w.c.gapUnreadable(from, at)
			data = nil
			break
		}
		if s.used == 0 {
			break
		}
		data = data[s.used:]
	}
	if rest := w.rest[from]; len(data) > 0 && len(rest)+len(b) == len(data) {
		w.rest[from] = data // nothing was taken
	} else {
		w.rest[from] = bytes.Clone(data)
	}
}

// control takes a close frame; pings and pongs say nothing.
func (w *webSocket) control(from Side, at time.Time, op byte, b []byte) {
	if op != 8 {
		return
	}
	text := "closed"
	if len(b) >= 2 {
		text = fmt.Sprintf("closed with %d %s", binary.BigEndian.Uint16(b), strings.ToValidUTF8(string(b[2:]), "�"))
	}
	w.c.note(at, from, note{kind: "close", text: strings.TrimSpace(text)})
}

// lose: what is compressed after a loss refers to what was lost.
func (w *webSocket) lose(from Side, n int64) int64 {
	taken := len(w.sides[from].message) + len(w.rest[from])
	w.sides[from] = wsSide{broken: w.deflate}
	w.rest[from] = nil
	if w.inner != nil {
		w.inner.lose(from, n)
	}
	return int64(taken)
}

func (w *webSocket) end(_ Side, _ time.Time, rest []byte) []byte { return rest }

func (w *webSocket) held() int {
	n := 0
	for s := range w.sides {
		n += len(w.sides[s].message) + len(w.sides[s].window) + len(w.rest[s])
	}
	if w.inner != nil {
		n += w.inner.held()
	}
	return n
}
