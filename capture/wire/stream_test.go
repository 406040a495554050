package wire

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gctap/capture"
)

// fed returns what a decoder makes of what the client and the server say, in
// pieces of n bytes each.
func fed(whole bool, n int, turns ...[2]string) *collector {
	d, c := testDecoder(Config{})
	conn := d.Connect(Endpoints{Client: "a:1", Server: "b:2", Via: "test", Whole: whole})
	for _, turn := range turns {
		for s, text := range turn {
			for b := range pieces([]byte(text), n) {
				conn.Data(Side(s), testTime, b)
			}
		}
	}
	d.Close(testTime)
	return c
}

func pieces(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			m := min(n, len(b))
			if !yield(b[:m]) {
				return
			}
			b = b[m:]
		}
	}
}

var pieceSizes = []int{1, 2, 3, 7, 64, 1 << 20}

func TestStompFrames(t *testing.T) {
	const body = "a\x00SEND\ndestination:/queue/no\n\nb\x00"
	for _, n := range pieceSizes {
		c := fed(true, n,
			[2]string{"CONNECT\naccept-version:1.2\nlogin:u\npasscode:hush\n\n\x00", "CONNECTED\nversion:1.2\nsession:ID:b-1\n\n\x00\n"},
			[2]string{"\n\r\nSEND\r\ndestination:/queue/Connector1\r\nJMSType:Login#1\r\nk\\cey:a\\\\b\\nc\\r\r\n\r\nx,1\x00\n\n", ""},
			[2]string{fmt.Sprintf("SEND\ndestination:/queue/Connector1\ncontent-length:%d\n\n%s\x00", len(body), body), ""},
			[2]string{"SEND\ndestination:/topic/t\npasscode:hush\n\n\x00", "\n\n\n"},
		)
		if got := fmt.Sprintf("%q", bodiesOf(c)); got != fmt.Sprintf("%q", []string{"x,1", body, ""}) {
			t.Errorf("pieces of %d: %s", n, got)
		}
		if v := c.of(capture.Command)[0].Header("k:ey"); v != "a\\b\nc\r" {
			t.Errorf("unescaped to %q", v)
		}
		if g := gapsOf(t, c); len(g) > 0 {
			t.Errorf("gaps %v", g)
		}
		if strings.Contains(fmt.Sprintf("%+v", c.records), "hush") {
			t.Error("a password is in the records")
		}
	}
}

// In 1.0 nothing is escaped, from the first SEND on.
func TestStomp10EscapesNothing(t *testing.T) {
	c := fed(true, 1<<20, [2]string{"CONNECT\nlogin:u\n\n\x00SEND\ndestination:/queue/q\nk:a\\nb\n\nx\x00", "CONNECTED\nsession:ID:b-1\n\n\x00"},
		[2]string{"SEND\ndestination:/queue/q\nk:a\\nb\n\ny\x00", ""})
	for _, r := range c.of(capture.Command) {
		if v := r.Header("k"); v != `a\nb` {
			t.Errorf("%s: %q", r.Body, v)
		}
	}
	if n := len(c.of(capture.Command)); n != 2 {
		t.Errorf("%d commands", n)
	}
}

// An ACK in mode client is for all messages before it too.
func TestStompCumulativeAck(t *testing.T) {
	message := func(n int) string {
		return fmt.Sprintf("MESSAGE\ndestination:/queue/q\nsubscription:s\nmessage-id:ID:p-1:1:1:1:%d\nack:a%d\n\nm\x00", n, n)
	}
	for mode, want := range map[string]string{"client": "2 1", "client-individual": "1 0", "auto": "0 0"} {
		ack := "ACK\nid:a2\n\n\x00"
		if mode == "auto" {
			ack = ""
		}
		c := fed(true, 1<<20, [2]string{"STOMP\naccept-version:1.2\n\n\x00", "CONNECTED\nversion:1.2\n\n\x00"},
			[2]string{"SUBSCRIBE\nid:s\ndestination:/queue/q\nack:" + mode + "\n\n\x00", message(1) + message(2) + message(3)}, [2]string{ack, ""})
		acked, standard := 0, 0
		for _, r := range c.of(capture.Note) {
			if r.Header("amq.note") != "ack" {
				continue
			}
			for _, h := range r.Headers {
				if h.Name == "amq.message-id" {
					acked++
				}
			}
			if r.Header("amq.ack") == "standard" {
				standard++
			}
		}
		if got := fmt.Sprint(acked, standard); got != want {
			t.Errorf("%s: %s messages acknowledged, acks of kind standard; want %s", mode, got, want)
		}
	}
}

// After a SEND that could not be read, the broker's numbers are not known.
func TestBrokenSendMakesIdsUnknown(t *testing.T) {
	send := func(body string) string { return "SEND\ndestination:/queue/q\n\n" + body + "\x00" }
	c := fed(true, 1<<20, [2]string{"STOMP\naccept-version:1.2\n\n\x00", "CONNECTED\nversion:1.2\nsession:ID:b-1\n\n\x00"},
		[2]string{send("1") + "SEMD\ndestination:/queue/q\n\nbroken\x00" + send("3"), ""})
	r := c.of(capture.Command)
	if len(r) != 2 || r[0].MessageID != "ID:b-1:-1:1:1" || r[1].MessageID != "" {
		t.Errorf("%+v", r)
	}
}

// A content-length that is too long swallows nothing for good.
func TestDamagedContentLength(t *testing.T) {
	send := func(body string) string {
		return fmt.Sprintf("SEND\ndestination:/queue/q\ncontent-length:%d\n\n%s\x00", len(body), body)
	}
	c := fed(true, 100, [2]string{"STOMP\naccept-version:1.2\n\n\x00", "CONNECTED\nversion:1.2\n\n\x00"},
		[2]string{send("1") + "SEND\ndestination:/queue/q\ncontent-length:999999\n\n2\x00" + send("3") + send("4"), ""})
	if got := fmt.Sprint(bodiesOf(c)); got != "[1 3 4]" {
		t.Errorf("%s", got)
	}
	if g := gapsOf(t, c); len(g) != 1 {
		t.Errorf("gaps %v", g)
	}
}

func TestHTTPExchanges(t *testing.T) {
	post := "POST /gc?token=hush HTTP/1.1\r\nHost: gc\r\nAuthorization: Basic hush\r\nContent-Type: application/json\r\nContent-Length: 35\r\nExpect: 100-continue\r\n\r\n"
	command := `{"data":{"type":"Beat#1","body":1}}`
	ok := "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;x=y\r\n{\"a\":\r\n3\r\n\"b\"\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n"
	for _, n := range pieceSizes {
		c := fed(true, n,
			[2]string{post, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"},
			[2]string{command, strings.Replace(ok, "gzip, ", "", 1)},
			// two at once, and a form with a password
			[2]string{"GET /a HTTP/1.1\r\n\r\nPOST /login HTTP/1.1\r\nContent-Length: 13\r\n\r\npassword=hush", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nhushHTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n"},
			[2]string{"HEAD /c HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"},
			[2]string{"POST /tok HTTP/1.1\r\nContent-Length: 14\r\n\r\n{\"user\":\"me\"}\n", "HTTP/1.0 200 OK\r\n\r\n{\"sesame\":\"hush\"}"},
		)
		var got []string
		for _, r := range c.records {
			got = append(got, fmt.Sprintf("%s %s %s %s %s", r.Direction, r.Header("http.method"), r.Header("http.target"), r.Header("http.status"), r.Body))
		}
		want := []string{
			"note POST /gc?token=*** 103 103 to POST /gc?token=***", "note POST /gc?token=*** 100 100 to POST /gc?token=***",
			"command POST /gc?token=***  " + command, "note POST /gc?token=*** 200 {\"a\":\"b\"}",
			"note GET /a  GET /a", "note POST /login  POST /login", "note GET /a 404 404 to GET /a", "note POST /login 204 204 to POST /login",
			"note HEAD /c  HEAD /c", "note HEAD /c 200 200 to HEAD /c", "event POST /tok  {\"user\":\"me\"}\n", "note POST /tok 200 200 to POST /tok",
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("pieces of %d:\n got %q\nwant %q", n, got, want)
		}
		if g := gapsOf(t, c); len(g) > 0 {
			t.Errorf("gaps %v", g)
		}
		if strings.Contains(fmt.Sprintf("%s", got), "hush") {
			t.Error("a secret is in the records")
		}
	}
}

func TestHTTPLossLeavesTheNextRequest(t *testing.T) {
	request := func(n int) string {
		return fmt.Sprintf("POST /%d HTTP/1.1\r\nContent-Length: 20\r\n\r\n{\"data\":{\"type\":%04d", n, n)
	}
	d, c := testDecoder(Config{})
	conn := wholeConn(d)
	conn.Data(Client, testTime, []byte(request(1)+request(2)[:40]))
	conn.Lost(Client, testTime, int64(len(request(2))-40))
	conn.Data(Client, testTime, []byte(request(3)+request(4)[:45]))
	d.Close(testTime)
	if got := fmt.Sprint(bodiesOf(c)); got != `[{"data":{"type":0001 {"data":{"type":0003]` {
		t.Errorf("%s", got)
	}
	g := gapsOf(t, c)
	if len(g) != 2 || !strings.HasPrefix(g[0], "missing missing=") || !strings.HasPrefix(g[1], "unreadable") {
		t.Errorf("gaps %v", g)
	}
}

// wsBytes writes a frame.
func wsBytes(from Side, first byte, payload []byte) []byte {
	mask := byte(0)
	if from == Client {
		mask = 0x80
	}
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = append(b, mask|126, byte(n>>8), byte(n))
	default:
		b = append(b, mask|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if from == Server {
		return append(b, payload...)
	}
	key := []byte{1, 2, 3, 4}
	b = append(b, key...)
	for i, c := range payload {
		b = append(b, c^key[i&3])
	}
	return b
}

// deflater compresses messages as permessage-deflate does.
type deflater struct {
	buf   bytes.Buffer
	w     *flate.Writer
	fresh bool
}

func (d *deflater) message(text string) []byte {
	if d.w == nil || d.fresh {
		d.buf.Reset()
		d.w, _ = flate.NewWriter(&d.buf, 6)
	}
	d.w.Write([]byte(text))
	d.w.Flush()
	b := bytes.Clone(bytes.TrimSuffix(d.buf.Bytes(), []byte{0, 0, 0xFF, 0xFF}))
	d.buf.Reset()
	return b
}

const (
	wsAsk = "GET /xuc?token=hush HTTP/1.1\r\nHost: xuc\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n"
	wsYes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nSec-WebSocket-Extensions: permessage-deflate%s\r\n\r\n"
)

func TestWebSocketMessages(t *testing.T) {
	long := strings.Repeat(`{"msgType":"AgentStateEvent"}`, 3000)
	for _, fresh := range []bool{false, true} {
		var client, server bytes.Buffer
		packs := [2]*deflater{{fresh: fresh}, {fresh: fresh}}
		var want []string
		for i, text := range []string{"one", "one", long, "one more", long, ""} {
			for s, buf := range []*bytes.Buffer{&client, &server} {
				from := Side(s)
				packed := packs[s].message(text)
				half := len(packed) / 2
				switch i % 3 {
				case 0:
					buf.Write(wsBytes(from, 0xC1, packed))
				case 1: // fragments, with a ping between
					buf.Write(wsBytes(from, 0x41, packed[:half]))
					buf.Write(wsBytes(from, 0x89, []byte("ping")))
					buf.Write(wsBytes(from, 0x80, packed[half:]))
				case 2: // not compressed, in three parts, one of them empty
					packs[s].w = nil // the next is not compressed with this one
					packs[s].buf.Reset()
					buf.Write(wsBytes(from, 0x01, []byte(text[:len(text)/2])))
					buf.Write(wsBytes(from, 0x00, nil))
					buf.Write(wsBytes(from, 0x80, []byte(text[len(text)/2:])))
				}
			}
			want = append(want, text)
		}
		for _, n := range []int{1, 5, 1448, 1 << 20} {
			extra := ""
			if fresh {
				extra = "; client_no_context_takeover; server_no_context_takeover"
			}
			c := fed(true, n, [2]string{wsAsk, fmt.Sprintf(wsYes, extra)}, [2]string{client.String(), server.String()},
				[2]string{string(wsBytes(Client, 0x88, []byte{3, 232, 'b', 'y', 'e'})), ""})
			for _, d := range []capture.Direction{capture.Command, capture.Event} {
				var got []string
				for _, r := range c.of(d) {
					got = append(got, string(r.Body))
				}
				if strings.Join(got, "|") != strings.Join(want, "|") {
					t.Errorf("fresh %t, pieces of %d, %s: %d messages differ from %d", fresh, n, d, len(got), len(want))
				}
			}
			if got := fmt.Sprint(notesOf(c)); got != "[request upgrade close]" {
				t.Errorf("notes %s", got)
			}
			if g := gapsOf(t, c); len(g) > 0 {
				t.Errorf("gaps %v", g)
			}
			if strings.Contains(fmt.Sprintf("%+v", c.records), "hush") {
				t.Error("a token is in the records")
			}
		}
	}
}

func TestWebSocketJoinedInTheMiddle(t *testing.T) {
	var client, server string
	for i := range 5 {
		client += string(wsBytes(Client, 0x81, fmt.Appendf(nil, `{"claz":"web","command":"c%d"}`, i)))
		server += string(wsBytes(Server, 0x81, fmt.Appendf(nil, `{"msgType":"m%d"}`, i)))
	}
	c := fed(false, 50, [2]string{client[5:], server[5:]})
	var got []string
	for _, r := range c.records {
		if r.Direction == capture.Command || r.Direction == capture.Event {
			got = append(got, string(r.Body))
		}
	}
	if len(got) != 8 {
		t.Errorf("%d messages, want the last 4 of each side: %q", len(got), got)
	}
	if n := notesOf(c); len(n) != 1 || n[0] != "joined" {
		t.Errorf("notes %v", n)
	}
}

// A STOMP client in a browser.
func TestStompInWebSocket(t *testing.T) {
	yes := "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n"
	send := "SEND\ndestination:/queue/q\n\nhello\x00"
	c := fed(true, 9, [2]string{wsAsk, yes}, [2]string{string(wsBytes(Client, 0x81, []byte(send[:10]))) + string(wsBytes(Client, 0x81, []byte(send[10:]+"\n"))), ""})
	if got := fmt.Sprint(bodiesOf(c)); got != "[hello]" {
		t.Errorf("%s", got)
	}
}

// What is none of ours is counted, costs no memory, and disturbs nobody.
func TestUnknownConnections(t *testing.T) {
	d, c := testDecoder(Config{})
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(r.Uint32()) | 0x80
	}
	for i := range 300 {
		conn := d.Connect(Endpoints{Client: "a:1", Server: "b:2", Whole: i%2 == 0})
		for range 50 {
			conn.Data(Side(i%2), testTime, noise)
		}
		if i%3 == 0 {
			conn.Close(testTime)
		}
	}
	d.Close(testTime)
	if d.buffered != 0 || len(d.conns) != 0 {
		t.Errorf("%d bytes and %d connections are still held", d.buffered, len(d.conns))
	}
	tr := d.Traffic()
	if len(tr) != 1 || tr[0].Protocol != "unknown" || tr[0].Connections != 300 || tr[0].Bytes != 300*50*3000 {
		t.Errorf("%+v", tr)
	}
	if len(c.records) > 0 {
		t.Errorf("%d records of what nobody understands", len(c.records))
	}
}

// Many connections that wait for the rest of a frame are bounded together, and
// what is given up is told.
func TestWaitingIsBounded(t *testing.T) {
	d, c := testDecoder(Config{})
	d.most = 1 << 20
	var conns []*Conn
	for range 100 {
		conn := d.Connect(Endpoints{Client: "a:1", Server: "b:2", Whole: true})
		conn.Data(Client, testTime, []byte("SEND\ndestination:/queue/q\ncontent-length:1000000\n\n"))
		conns = append(conns, conn)
	}
	chunk := bytes.Repeat([]byte{'x'}, 1000)
	for range 40 {
		for _, conn := range conns {
			conn.Data(Client, testTime, chunk)
			if d.buffered > d.most {
				t.Fatalf("%d bytes are held", d.buffered)
			}
		}
	}
	for _, conn := range conns { // and goes on with the next frame
		conn.Data(Client, testTime, []byte("\x00SEND\ndestination:/queue/q\n\nafter\x00"))
	}
	d.Close(testTime)
	if n := len(bodiesOf(c)); n != 100 {
		t.Errorf("%d of 100 are read after it", n)
	}
	if n := len(gapsOf(t, c)); n != 100 {
		t.Errorf("%d gaps, want one for each", n)
	}
	if d.buffered != 0 {
		t.Errorf("%d bytes are still held", d.buffered)
	}
}

// More connections than are kept: those put aside are taken up again.
func TestConnectionsPutAside(t *testing.T) {
	d, c := testDecoder(Config{})
	d.open = 10
	f := format{version: 12, tight: true, stackTraces: true}
	var talks []*openWireTalk
	for range 40 {
		talks = append(talks, startTalk(d, f))
	}
	for round := range 3 {
		for i, talk := range talks {
			talk.say(Client, textThing("queue://q", fmt.Sprintf("ID:%d", i), round+1, "A#1", fmt.Sprint(round)))
		}
	}
	if len(d.conns) > 11 {
		t.Errorf("%d connections are held", len(d.conns))
	}
	d.Close(testTime)
	if n := len(bodiesOf(c)); n != 120 {
		t.Errorf("%d messages of 120", n)
	}
	if tr := d.Traffic(); len(tr) != 1 || tr[0].Connections != 40 {
		t.Errorf("%+v", tr)
	}
}
