package wire

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gctap/capture"
)

func TestOpenWireInEveryFormat(t *testing.T) {
	for version := 1; version <= openWireVersions; version++ {
		for _, f := range testFormats() {
			f.version = version
			t.Run(f.String(), func(t *testing.T) {
				d, c := testDecoder(Config{})
				talk := startTalk(d, f)
				talk.say(Client, thing{"ConnectionInfo", map[string]any{"connectionId": connectionThing("ID:a"), "clientId": "gc", "userName": "u", "password": "hush"}})
				for n := 1; n <= 3; n++ {
					m := textThing("queue://Connector1", "ID:a", n, "Login#1001", "hidden,300"+fmt.Sprint(n))
					talk.say(Client, m)
					talk.say(Server, dispatchThing(m, "ID:b"))
				}
				talk.say(Client, thing{"MessageAck", map[string]any{"consumerId": consumerThing("ID:b"), "type": 2, "count": 3,
					"lastMessageId": thing{"MessageId", map[string]any{"producerId": producerThing("ID:a"), "sequence": 3}}}})
				d.Close(testTime)
				if got := fmt.Sprint(bodiesOf(c)); got != "[hidden,3001 hidden,3002 hidden,3003]" {
					t.Errorf("bodies %s", got)
				}
				if got := fmt.Sprint(notesOf(c)); got != "[connect dispatch dispatch dispatch ack]" {
					t.Errorf("notes %s", got)
				}
				if g := gapsOf(t, c); len(g) > 0 {
					t.Errorf("gaps %v", g)
				}
				ack := c.records[len(c.records)-1]
				var ids []string
				for _, h := range ack.Headers {
					if h.Name == "amq.message-id" {
						ids = append(ids, h.Value)
					}
				}
				if got := fmt.Sprint(ids); got != "[ID:a:1:1:1 ID:a:1:1:2 ID:a:1:1:3]" {
					t.Errorf("the ack is of %s", got)
				}
				for _, r := range c.records {
					if strings.Contains(fmt.Sprintf("%s %+v", r.Body, r), "hush") {
						t.Errorf("a password in %+v", r)
					}
				}
			})
		}
	}
}

// A frame with more booleans than fit a byte's count of bytes.
func TestTightFrameOfManyBooleans(t *testing.T) {
	for _, n := range []int{10, 400, 3000, 30_000} {
		f := format{version: 12, tight: true, stackTraces: true}
		d, c := testDecoder(Config{})
		talk := startTalk(d, f)
		m := textThing("queue://Connector1", "ID:a", 1, "Beat#1", "many")
		path := make([]thing, n)
		for i := range path {
			path[i] = thing{"BrokerId", map[string]any{"value": "b"}}
		}
		m.fields["brokerPath"] = path
		talk.say(Client, m)
		talk.say(Client, textThing("queue://Connector1", "ID:a", 2, "Beat#1", "after"))
		if got := fmt.Sprint(bodiesOf(c)); got != "[many after]" {
			t.Errorf("%d brokers: %s", n, got)
		}
	}
}

// The writer begins its numbers again, and then old ones mean new objects.
func TestCacheGoesRound(t *testing.T) {
	f := format{version: 12, tight: true, cached: true, stackTraces: true}
	d, c := testDecoder(Config{})
	talk := startTalk(d, f)
	const n = 2*cacheNumbers + 10
	for i := range n {
		talk.say(Client, textThing(fmt.Sprintf("queue://q%d", i), "ID:a", i+1, "Beat#1", fmt.Sprint(i)))
	}
	records := c.of(capture.Command)
	if len(records) != n {
		t.Fatalf("%d of %d", len(records), n)
	}
	for i, r := range records {
		if want := fmt.Sprintf("queue://q%d", i); r.To != want || r.MessageID != fmt.Sprintf("ID:a:1:1:%d", i+1) {
			t.Fatalf("message %d went to %s with id %s", i, r.To, r.MessageID)
		}
	}
}

// After a loss a number may stand for another object than before: no
// destination is better than a wrong one.
func TestLossMakesNumbersDoubtful(t *testing.T) {
	f := format{version: 12, cached: true, stackTraces: true}
	d, c := testDecoder(Config{})
	talk := startTalk(d, f)
	for i := range cacheNumbers + 5 {
		talk.say(Client, textThing(fmt.Sprintf("queue://q%d", i), "ID:a", i+1, "Beat#1", "x"))
	}
	// The next object takes the number of the 8th queue or so, unseen.
	lost := talk.sides[Client].frame(textThing("queue://new", "ID:a", 70_000, "Beat#1", "lost"))
	number := talk.sides[Client].cache[fmt.Sprint(thing{"Queue", map[string]any{"name": "new"}})]
	talk.Lost(Client, testTime, int64(len(lost)))
	talk.say(Client, textThing("queue://new", "ID:a", 70_001, "Beat#1", "after"))
	talk.say(Client, textThing("queue://q16000", "ID:a", 70_002, "Beat#1", "far"))
	last := c.records[len(c.records)-2:]
	if last[0].To != "" || string(last[0].Body) != "after" {
		t.Errorf("number %d was taken for %s", number, last[0].To)
	}
	if last[1].To != "queue://q16000" {
		t.Errorf("q16000 is forgotten: %q", last[1].To)
	}
}

func TestRollbackNamesItsMessages(t *testing.T) {
	d, c := testDecoder(Config{})
	talk := startTalk(d, format{version: 12, tight: true, cached: true})
	tx := func(n int) thing {
		return thing{"LocalTransactionId", map[string]any{"connectionId": connectionThing("ID:a"), "value": n}}
	}
	for n, kind := range []int{4, 2} {
		m := textThing("queue://Connector1", "ID:a", n+1, "Ready#1001", "x")
		m.fields["transactionId"] = tx(n)
		talk.say(Client, m)
		talk.say(Client, thing{"TransactionInfo", map[string]any{"connectionId": connectionThing("ID:a"), "transactionId": tx(n), "type": kind}})
	}
	var got []string
	for _, r := range c.of(capture.Note) {
		got = append(got, r.Header("amq.note")+" "+r.Header("amq.message-id"))
	}
	if fmt.Sprint(got) != "[rollback ID:a:1:1:1 commit ID:a:1:1:2]" {
		t.Errorf("%v", got)
	}
}

// Who browses a queue is marked in all that is told of him.
func TestBrowsersAreMarked(t *testing.T) {
	d, c := testDecoder(Config{})
	talk := startTalk(d, format{version: 12, tight: true, cached: true})
	m := textThing("queue://Connector1", "ID:a", 1, "Ready#1001", "x")
	talk.say(Client, thing{"ConsumerInfo", map[string]any{"consumerId": consumerThing("ID:look"), "destination": m.fields["destination"], "browser": true}})
	talk.say(Server, dispatchThing(m, "ID:look"))
	talk.say(Client, thing{"MessageAck", map[string]any{"consumerId": consumerThing("ID:look"), "type": 2, "count": 1, "destination": m.fields["destination"], "lastMessageId": m.fields["messageId"]}})
	stomp := wholeConn(d)
	stomp.Data(Client, testTime, []byte("STOMP\naccept-version:1.2\n\n\x00SUBSCRIBE\nid:1\ndestination:/queue/Connector1\nack:client\nbrowser:true\n\n\x00"))
	stomp.Data(Server, testTime, []byte("CONNECTED\nversion:1.2\n\n\x00MESSAGE\nsubscription:1\ndestination:/queue/Connector1\nmessage-id:ID:a-1:1:1:1:2\nack:a\n\ny\x00"+
		"MESSAGE\nsubscription:1\ndestination:/queue/Connector1\nmessage-id:0\nbrowser:end\n\n\x00"))
	stomp.Data(Client, testTime, []byte("ACK\nid:a\n\n\x00"))
	for _, r := range c.of(capture.Note) {
		if r.Header("amq.note") != "connect" && r.Header("amq.browser") != "true" {
			t.Errorf("%s: %v", r.Body, r.Headers)
		}
	}
	if got := fmt.Sprint(notesOf(c), bodiesOf(c)); got != "[subscribe dispatch ack subscribe connect dispatch ack] [x y]" {
		t.Errorf("%s", got)
	}
}

// talkBytes is what a client sends: the info, then messages with the bodies 0, 1, 2 …
// The places are where frames begin.
func talkBytes(f format, n int) (stream []byte, places []int) {
	w := openWireWriter{format: f}
	stream = info(f)
	for i := range n {
		places = append(places, len(stream))
		stream = append(stream, w.frame(textThing("queue://Connector1", "ID:a", 1_000_003*(i+1), "MakeCall#1001", fmt.Sprintf("%d %s", i, strings.Repeat("x", i%50))))...)
	}
	return stream, append(places, len(stream))
}

// Every bit of one frame is flipped in turn: those after it are read.
func TestFlippedBitCostsOneFrame(t *testing.T) {
	for _, f := range testFormats() {
		if f.noPrefix { // nothing says where the next frame begins
			continue
		}
		stream, places := talkBytes(f, 8)
		for at := places[2]; at < places[3]; at++ {
			for bit := range 8 {
				damaged := slices.Clone(stream)
				damaged[at] ^= 1 << bit
				d, c := testDecoder(Config{})
				conn := wholeConn(d)
				conn.Data(Server, testTime, info(f))
				conn.Data(Client, testTime, damaged)
				d.Close(testTime)
				bodies := bodiesOf(c)
				for _, want := range []int{0, 1, 4, 5, 6, 7} { // the one behind may be swallowed by a wrong length
					if !slices.Contains(bodies, fmt.Sprintf("%d %s", want, strings.Repeat("x", want))) {
						t.Fatalf("%s, byte %d (%d of its frame) bit %d: message %d is lost; there are %q", f, at, at-places[2], bit, want, bodies)
					}
				}
			}
		}
	}
}

// A length that says 16 MB must not make all that follows wait.
func TestDamagedLengthDoesNotSwallow(t *testing.T) {
	f := format{version: 12, tight: true, cached: true, stackTraces: true}
	stream, places := talkBytes(f, 400)
	stream[places[1]] = 1 // 16 MB and some
	d, c := testDecoder(Config{})
	conn := wholeConn(d)
	conn.Data(Server, testTime, info(f))
	for b := range slices.Chunk(stream, 1448) {
		conn.Data(Client, testTime, b)
	}
	if n := len(bodiesOf(c)); n != 399 {
		t.Errorf("%d messages are read while the connection is open, want 399", n)
	}
	if g := gapsOf(t, c); len(g) != 1 {
		t.Errorf("gaps %v, want one", g)
	}
}

func TestJoinedInTheMiddle(t *testing.T) {
	for _, f := range testFormats() {
		f.version = 12
		t.Run(f.String(), func(t *testing.T) {
			stream, places := talkBytes(f, 40)
			d, c := testDecoder(Config{})
			conn := d.Connect(Endpoints{Client: "a:1", Server: "b:61616"})
			conn.Data(Client, testTime, stream[places[3]+7:])
			d.Close(testTime)
			bodies := bodiesOf(c)
			if len(bodies) != 36 || bodies[0][:2] != "4 " {
				t.Errorf("%d messages, %.20q first; want 36 from 4 on", len(bodies), bodies[:min(1, len(bodies))])
			}
			if n := notesOf(c); len(n) == 0 || n[0] != "joined" {
				t.Errorf("notes %v, want joined", n)
			}
		})
	}
}

func TestFrameOverTheLimit(t *testing.T) {
	f := format{version: 12, tight: true, stackTraces: true}
	d, c := testDecoder(Config{Limit: 10_000})
	talk := startTalk(d, f)
	talk.say(Client, textThing("queue://q", "ID:a", 1, "A#1", strings.Repeat("x", 20_000)))
	talk.say(Client, textThing("queue://q", "ID:a", 2, "A#1", "after"))
	d.Close(testTime)
	if got := fmt.Sprint(bodiesOf(c)); got != "[after]" {
		t.Errorf("%.100s", got)
	}
	if g := gapsOf(t, c); len(g) != 1 || !strings.HasPrefix(g[0], "unreadable missing= unread=20") {
		t.Errorf("gaps %v", g)
	}
}

// Lengths that lie must not make anything allocate: neither arrays, nor texts,
// nor a compressed body.
func TestLyingLengthsAllocateNothing(t *testing.T) {
	f := format{version: 12, stackTraces: true}
	w := openWireWriter{format: f}
	frame := w.frame(thing{"ConnectionInfo", map[string]any{"connectionId": connectionThing("ID:a"), "clientId": "gc"}})
	for at := 5; at+4 <= len(frame); at++ {
		lie := slices.Clone(frame)
		binary.BigEndian.PutUint32(lie[at:], 0x7FFFFFF0)
		r := reader{format: f}
		r.frame(frame[4:]) // its slabs
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r.frame(lie[4:])
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		if allocated > 1<<16 {
			t.Fatalf("byte %d: %d bytes", at, allocated)
		}
	}
}
