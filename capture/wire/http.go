package wire

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gctap/capture"
)

// httpConn reads HTTP/1.1: REST commands, callbacks, and the upgrade to a
// WebSocket, which takes over from there.
//
// A request whose body is a command makes a record, and so does a request or a
// response whose body is an event; other exchanges are notes. Headers of such
// rows: http.method, http.target (secrets masked), http.host, http.status,
// http.content-type, http.length. Of a note the body is kept only where it is
// JSON that answers a command: all else is not GC's, and may hold secrets in
// forms that nobody would mask.
type httpConn struct {
	c       *Conn
	halves  [2]httpHalf
	waiting []*httpRequest // requests without their response, oldest first
	upgrade protocol       // what the connection went over to
}

type httpRequest struct {
	method, target, host string
	ws                   bool
	command              bool // its body was one
}

// httpHalf is where one side is in its message.
type httpHalf struct {
	scanned int
	head    *httpHead // the head that was read and whose body is coming
	body    []byte
	left    int64 // bytes of body, or of chunk, still to come; < 0: until the end
	chunked bool
	trailer bool
	dropped int64 // bytes of body over the limit
}

type httpHead struct {
	first   [3]string // method, target, version or version, status, reason
	headers []capture.Header
	request *httpRequest // of a response: what it answers
	at      time.Time
}

func (h *httpHead) get(name string) string {
	for _, header := range h.headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// response reports whether the head is that of a response.
func (h *httpHead) response() bool { return strings.HasPrefix(h.first[0], "HTTP/") }

var httpWords = [][]byte{
	[]byte("GET "), []byte("POST "), []byte("PUT "), []byte("DELETE "), []byte("PATCH "), []byte("HEAD "), []byte("OPTIONS "), []byte("HTTP/1."),
}

func newHTTP(c *Conn) protocol { return &httpConn{c: c} }

func detectHTTP(b []byte, whole bool) verdict {
	if v := startsWithWord(b, httpWords); v != never || whole {
		return v
	}
	if _, found := httpResync(b); found {
		return sure
	}
	return never
}

func (h *httpConn) name() string {
	if h.upgrade != nil {
		return h.upgrade.name()
	}
	return "HTTP"
}

// httpResync finds a request line or status line at the beginning of a line.
func httpResync(b []byte) (drop int, found bool) {
	for at := 0; at < len(b); {
		if startsWithWord(b[at:], httpWords) == sure {
			line, _, ended := bytes.Cut(b[at:], []byte("\n"))
			line = bytes.TrimSuffix(line, []byte("\r"))
			if bytes.HasPrefix(line, []byte("HTTP/1.")) || bytes.HasSuffix(line, []byte(" HTTP/1.1")) || bytes.HasSuffix(line, []byte(" HTTP/1.0")) {
				return at, true
			}
			if !ended && len(line) < maxHTTPHead {
				return at, false
			}
		}
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return max(at, len(b)-1), false
		}
		at += i + 1
	}
	return len(b), false
}

func (h *httpConn) resync(from Side, b []byte) (int, bool) {
	if h.upgrade != nil {
		return h.upgrade.resync(from, b)
	}
	h.halves[from] = httpHalf{}
	return httpResync(b)
}

const maxHTTPHead = 1 << 20

func (h *httpConn) frame(from Side, at time.Time, b []byte) step {
	if h.upgrade != nil {
		return h.upgrade.frame(from, at, b)
	}
	half := &h.halves[from]
	if half.head == nil {
		return h.headOf(from, at, b)
	}
	if half.chunked && half.left == 0 {
		return h.chunk(from, at, b)
	}
	n := len(b)
	if half.left >= 0 {
		n = int(min(half.left, int64(n)))
		half.left -= int64(n)
	}
	if keep := min(n, max(0, h.c.d.cfg.Limit-len(half.body))); keep > 0 {
		half.body = append(half.body, b[:keep]...)
		half.dropped += int64(n - keep)
	} else {
		half.dropped += int64(n)
	}
	if half.left == 0 && !half.chunked {
		h.complete(from, at)
	}
	return step{used: n}
}

// headOf reads a request or status line with its headers.
func (h *httpConn) headOf(from Side, at time.Time, b []byte) step {
	half := &h.halves[from]
	if blank := len(b) - len(bytes.TrimLeft(b, "\r\n")); blank > 0 {
		return step{used: blank}
	}
	if startsWithWord(b, httpWords) == never {
		return step{lost: true, bad: "no request or response begins here"}
	}
	raw, bodyAt := stompHead(b, max(0, min(half.scanned, len(b))-3))
	if bodyAt < 0 {
		if half.scanned = len(b); len(b) > maxHTTPHead {
			half.scanned = 0
			return step{lost: true, bad: "headers do not end"}
		}
		return step{need: len(b) + 1}
	}
	*half = httpHalf{}
	lines := strings.Split(strings.TrimRight(string(raw), "\r\n"), "\n")
	head := &httpHead{at: at, request: &httpRequest{}}
	copy(head.first[:], strings.SplitN(strings.TrimSuffix(lines[0], "\r"), " ", 3))
	for _, line := range lines[1:] {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":"); ok {
			head.headers = append(head.headers, capture.Header{Name: name, Value: strings.TrimSpace(value)})
		}
	}
	half.head = head
	if why := h.begin(from, at, half); why != "" {
		*half = httpHalf{}
		return step{used: bodyAt, bad: why}
	}
	return step{used: bodyAt}
}

// maxWaiting bounds requests without a response.
const maxWaiting = 1000

// begin works out what body follows a head.
func (h *httpConn) begin(from Side, at time.Time, half *httpHalf) (bad string) {
	head := half.head
	if head.response() {
		if len(h.waiting) > 0 {
			head.request = h.waiting[0]
			if status := head.first[1]; status == "101" || !strings.HasPrefix(status, "1") {
				h.waiting = h.waiting[1:]
			}
		}
	} else {
		head.request = &httpRequest{method: strings.Clone(head.first[0]), target: strings.Clone(maskAddress(head.first[1])), host: strings.Clone(head.get("Host")),
			ws: strings.EqualFold(head.get("Upgrade"), "websocket")}
		if len(h.waiting) < maxWaiting {
			h.waiting = append(h.waiting, head.request)
		}
	}
	if head.response() && head.first[1] == "101" {
		h.upgraded(from, at, head)
		return ""
	}
	if bodiless(head) {
		h.complete(from, at)
		return ""
	}
	switch length := head.get("Content-Length"); {
	case strings.HasSuffix(strings.ToLower(head.get("Transfer-Encoding")), "chunked"):
		half.chunked = true
	case length != "":
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil || n < 0 {
			return "a Content-Length that is no length"
		}
		half.left = n
	case head.response():
		half.left = -1
	}
	if half.left == 0 && !half.chunked {
		h.complete(from, at)
	}
	return ""
}

// bodiless reports whether a response has no body whatever its headers say.
func bodiless(head *httpHead) bool {
	status := head.first[1]
	return head.response() && (head.request.method == "HEAD" || strings.HasPrefix(status, "1") || status == "204" || status == "304")
}

// chunk reads the line in front of a chunk, the break after one, or the
// trailer.
func (h *httpConn) chunk(from Side, at time.Time, b []byte) step {
	half := &h.halves[from]
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(b) > 4096 {
			return step{lost: true, bad: "a chunk's length does not end"}
		}
		return step{need: len(b) + 1}
	}
	line := strings.TrimSpace(string(b[:i]))
	switch {
	case half.trailer && line == "":
		h.complete(from, at)
	case half.trailer, line == "": // a trailing header, or the break after a chunk
	default:
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
		if err != nil || n < 0 {
			return step{lost: true, bad: "a chunk's length is no length"}
		}
		half.left, half.trailer = n, n == 0
	}
	return step{used: i + 1}
}

// complete makes a row of a message whose body has come.
func (h *httpConn) complete(from Side, at time.Time) {
	half := h.halves[from]
	h.halves[from] = httpHalf{}
	head := half.head
	body, truncated := unpack(half.body, head.get("Content-Encoding"), h.c.d.cfg.Limit)
	rec := capture.Record{
		CapturedAt: at, Source: "rest", Via: h.c.Via, Conn: h.c.String(), From: h.c.endpoint(from), To: h.c.endpoint(from.other()),
		BodyKind: capture.Text, Body: body, Truncated: half.dropped + truncated,
	}
	if len(body) == 0 {
		rec.BodyKind, rec.Body = capture.None, nil
	}
	add := func(name, value string) {
		if value != "" {
			rec.Headers = append(rec.Headers, capture.Header{Name: name, Value: value})
		}
	}
	add("http.method", head.request.method)
	add("http.target", head.request.target)
	add("http.host", head.request.host)
	if head.response() {
		add("http.status", head.first[1])
	}
	add("http.content-type", head.get("Content-Type"))
	rec.Direction = h.direction(&rec, head)
	head.request.command = head.request.command || !head.response() && rec.Direction == capture.Command
	if rec.Direction == capture.Note {
		add("amq.note", pick(head.response(), "response", "request"))
		if !head.response() || !head.request.command || !isJSON(body) {
			if n := int64(len(body)) + rec.Truncated; n > 0 {
				add("http.length", strconv.FormatInt(n, 10))
			}
			rec.BodyKind, rec.Body, rec.Truncated = capture.Text, []byte(summary(head)), 0
		}
	}
	rec.Headers = h.c.ends(rec.Headers, from)
	h.c.d.cfg.Emit(rec)
}

func summary(head *httpHead) string {
	if head.response() {
		return fmt.Sprintf("%s to %s %s", head.first[1], head.request.method, head.request.target)
	}
	return head.request.method + " " + head.request.target
}

// direction says what an HTTP message is: a REST command, an event by callback
// or in a response, or a note.
func (h *httpConn) direction(rec *capture.Record, head *httpHead) capture.Direction {
	switch {
	case !isJSON(rec.Body):
		return capture.Note
	case h.c.d.cfg.Guess != nil:
		if d := h.c.d.cfg.Guess(rec); d != "" {
			return d
		}
		return capture.Note
	case head.response():
		return capture.Note
	case bytes.Contains(rec.Body, []byte(`"data"`)):
		return capture.Command
	}
	return capture.Event
}

// isJSON reports whether a body looks like a JSON object or array.
func isJSON(body []byte) bool {
	text := bytes.TrimLeft(body, " \t\r\n")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// unpack undoes a Content-Encoding; what it cannot undo stays as it came.
func unpack(body []byte, encoding string, limit int) (plain []byte, truncated int64) {
	var r io.Reader
	var err error
	switch strings.ToLower(encoding) {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return body, 0
	}
	if err != nil {
		return body, 0
	}
	plain, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return body, 0
	}
	if len(plain) > limit {
		return plain[:limit], 1
	}
	return plain, 0
}

// upgraded hands the connection over to the WebSocket reader.
func (h *httpConn) upgraded(from Side, at time.Time, head *httpHead) {
	n := note{kind: "upgrade", text: "went over to " + head.get("Upgrade")}
	n.add("http.target", head.request.target)
	n.add("http.host", head.request.host)
	n.add("ws.protocol", head.get("Sec-WebSocket-Protocol"))
	n.add("ws.extensions", head.get("Sec-WebSocket-Extensions"))
	h.c.note(at, from, n)
	if head.request.ws || strings.EqualFold(head.get("Upgrade"), "websocket") {
		h.upgrade = newWebSocket(h.c, head)
	} else {
		h.upgrade = unknown{}
	}
	h.c.proto = h.upgrade
	t := h.c.d.trafficOf(h.upgrade.name(), h.c.Server)
	h.c.traffic = t
	h.halves = [2]httpHalf{}
}

// lose gives up the body that is coming. Which response answers which request
// is not known any more.
func (h *httpConn) lose(from Side, n int64) int64 {
	taken := len(h.halves[from].body)
	h.halves[from] = httpHalf{}
	h.waiting = nil
	return int64(taken)
}

func (h *httpConn) held() int {
	n := len(h.halves[0].body) + len(h.halves[1].body)
	for _, r := range h.waiting {
		n += idSize + len(r.target) + len(r.host)
	}
	return n
}

// end completes a response that goes on until the connection ends.
func (h *httpConn) end(from Side, at time.Time, rest []byte) []byte {
	half := &h.halves[from]
	if half.head == nil {
		return bytes.TrimSpace(rest)
	}
	if half.left < 0 {
		half.body = append(half.body, rest...)
		h.complete(from, at)
		return nil
	}
	rest = append(half.body, rest...)
	h.halves[from] = httpHalf{}
	return rest
}

// secretNames are the parameters of an address whose values are never kept.
var secretNames = []string{"password", "passcode", "token", "secret", "passwd", "pwd"}

// maskAddress replaces the secrets in a request's target.
func maskAddress(target string) string {
	if scheme, rest, ok := strings.Cut(target, "://"); ok {
		if at := strings.IndexByte(rest, '@'); at >= 0 && !strings.ContainsAny(rest[:at], "/?") {
			target = scheme + "://***" + rest[at:]
		}
	}
	path, query, has := strings.Cut(target, "?")
	if !has {
		return target
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		for _, secret := range secretNames {
			if strings.Contains(strings.ToLower(plain), secret) {
				parts[i] = name + "=***"
			}
		}
	}
	return path + "?" + strings.Join(parts, "&")
}
