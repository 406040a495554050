package check

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
)

const (
	gcQueue = "queue://Connector1"
	oneLast = "ID:desk-1-2:1:1:1:1"
)

// wireRow is a row of a capture of the wire, some seconds after the start.
func wireRow(seconds float64, direction capture.Direction, to, body string, headers ...string) capture.Record {
	rec := capture.Record{
		CapturedAt: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second))),
		Direction:  direction, Source: "pcap", To: to, BodyKind: capture.Text, Body: []byte(body),
	}
	for i := 0; i < len(headers); i += 2 {
		rec.Headers = append(rec.Headers, capture.Header{Name: headers[i], Value: headers[i+1]})
	}
	return rec
}

func ready(seconds float64) capture.Record {
	rec := wireRow(seconds, capture.Command, gcQueue, "")
	rec.JMSType, rec.MessageID = new("MakeReady#1001"), oneLast
	return rec
}

func handed(seconds float64, to, id, client string) capture.Record {
	return wireRow(seconds, capture.Note, to, "handed over", "amq.note", "dispatch", "amq.message-id", id,
		"amq.consumer", "ID:gc-9:1:1:1", "amq.client-id", client, "tcp.to", "10.0.0.5:4000")
}

func acked(seconds float64, kind string, ids ...string) capture.Record {
	headers := []string{"amq.note", "ack", "amq.ack", kind}
	for _, id := range ids {
		headers = append(headers, "amq.message-id", id)
	}
	return wireRow(seconds, capture.Note, gcQueue, "acknowledged", headers...)
}

// browsing is a note of one who looks at GC's queue and takes nothing.
func browsing(seconds float64, kind string) capture.Record {
	return wireRow(seconds, capture.Note, gcQueue, "browsed", "amq.note", kind, "amq.ack", "standard", "amq.message-id", oneLast,
		"amq.consumer", "ID:look-1:1:1:1", "amq.browser", "true")
}

func numbered(rows []capture.Record) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for i, rec := range rows {
			rec.Seq = int64(i + 1)
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// TestWhoTookTheCommand: notes of the wire tell a command that nobody took from
// one that was taken and not answered, and by whom. Without them it is only
// unanswered.
func TestWhoTookTheCommand(t *testing.T) {
	subscribed := wireRow(0, capture.Note, gcQueue, "subscribed", "amq.note", "subscribe")
	noID := ready(1)
	noID.MessageID = ""
	auto := handed(2, gcQueue, oneLast, "gc-1")
	auto.Headers = append(auto.Headers, capture.Header{Name: "amq.ack-mode", Value: "auto"})
	state := wireRow(3, capture.Event, "topic://desk.1", "1001#State#READY####2026-11-21 09:00:02#A#1001#3001##A#a")
	for _, c := range []struct {
		name string
		rows []capture.Record
		rule string
		text string
	}{
		{"nothing is known of consumers", []capture.Record{ready(1)}, Unanswered, "MakeReady got no answer in 30s"},
		{"a consumer is there and does not take it", []capture.Record{subscribed, ready(1)}, NotTaken, "MakeReady was not taken from " + gcQueue + " in 30s"},
		{"a consumer took others before", []capture.Record{handed(0, gcQueue, "ID:other", "gc-1"), ready(1)}, NotTaken, "was not taken from"},
		{"a consumer of another queue", []capture.Record{handed(0, "queue://Connector2", "ID:other", "gc-2"), ready(1)}, Unanswered, "got no answer"},
		{"taken", []capture.Record{subscribed, ready(1), handed(2, gcQueue, oneLast, "gc-1")}, TakenUnanswered,
			"MakeReady was taken by gc-1 at 10.0.0.5:4000, not acknowledged and not answered in 30s"},
		{"by one without a client id", []capture.Record{ready(1), handed(2, gcQueue, oneLast, "")}, TakenUnanswered, "was taken by ID:gc-9:1:1:1 at 10.0.0.5:4000, not"},
		{"taken and acknowledged", []capture.Record{ready(1), handed(2, gcQueue, oneLast, "gc-1"), acked(2, "standard", "ID:a", oneLast)}, TakenUnanswered,
			"was taken by gc-1 at 10.0.0.5:4000, acknowledged and not answered"},
		{"not yet acknowledged for good", []capture.Record{ready(1), handed(2, gcQueue, oneLast, "gc-1"), acked(2, "delivered", oneLast)}, TakenUnanswered, ", not acknowledged"},
		{"taken twice", []capture.Record{ready(1), handed(2, gcQueue, oneLast, "gc-1"), acked(2, "standard", oneLast), handed(3, gcQueue, oneLast, "gc-2")}, TakenUnanswered,
			"was taken by gc-2 at 10.0.0.5:4000 (handed out 2 times), not acknowledged"},
		{"by one that never acknowledges", []capture.Record{ready(1), auto}, TakenUnanswered, "was taken by gc-1 at 10.0.0.5:4000 and not answered"},
		{"only a tap's copy was handed out", []capture.Record{subscribed, ready(1), handed(2, "topic://VirtualTopic.Mirror.Connector1", oneLast, "tap")}, NotTaken, "was not taken"},
		{"only a browser looked at it", []capture.Record{browsing(0, "subscribe"), ready(1), browsing(2, "dispatch"), browsing(2, "ack")}, Unanswered, "got no answer"},
		{"a browser looked at what GC took", []capture.Record{ready(1), handed(2, gcQueue, oneLast, "gc-1"), browsing(3, "dispatch"), browsing(3, "ack")}, TakenUnanswered,
			"was taken by gc-1 at 10.0.0.5:4000, not acknowledged"},
		{"its message-id is not known", []capture.Record{subscribed, noID, handed(2, gcQueue, oneLast, "gc-1")}, Unanswered, "got no answer"},
		{"rolled back with its transaction", []capture.Record{subscribed, ready(1), wireRow(2, capture.Note, "", "rollback", "amq.note", "rollback", "amq.message-id", "ID:other", "amq.message-id", oneLast)}, "", ""},
		{"committed and not taken", []capture.Record{subscribed, ready(1), wireRow(2, capture.Note, "", "commit", "amq.note", "commit", "amq.message-id", oneLast)}, NotTaken, "was not taken from"},
		{"answered", []capture.Record{ready(1), handed(2, gcQueue, oneLast, "gc-1"), state}, "", ""},
	} {
		var got []Finding
		until := c.rows[0].CapturedAt.Add(time.Minute)
		err := Run(numbered(c.rows), Options{Until: until}, NewChecker(CheckOptions{}, func(f Finding) {
			if f.Severity == decode.Error {
				got = append(got, f)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if c.rule == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Rule != c.rule || !strings.Contains(got[0].Text, c.text) {
			t.Errorf("%s: %s, want %s: %s", c.name, told(got), c.rule, c.text)
			continue
		}
		if c.rule == TakenUnanswered && len(got[0].Seqs) != 2 {
			t.Errorf("%s: names %v, want the command and the note", c.name, got[0].Seqs)
		}
	}
}

// TestRolledBackCountsNowhere: the command never came to GC.
func TestRolledBackCountsNowhere(t *testing.T) {
	call := ready(1)
	call.JMSType, call.Body = new("MakeCall#1001"), []byte("5551234")
	rows := []capture.Record{
		wireRow(0, capture.Event, "topic://desk.1", "1001#State#READY####2026-11-21 09:00:02#A#1001#3001##A#a"), call,
		wireRow(2, capture.Note, "", "rollback", "amq.note", "rollback", "amq.message-id", oneLast),
	}
	stats, audit := NewStats(), NewAudit(AuditOptions{}, func(*Entry) {})
	if err := Run(numbered(rows), Options{Until: rows[0].CapturedAt.Add(time.Minute)}, stats, audit); err != nil {
		t.Fatal(err)
	}
	if l := stats.Summary().Latency; len(l) > 0 {
		t.Errorf("%+v", l)
	}
	for _, d := range audit.Result().Days {
		if d.Counts[Made].Count > 0 {
			t.Errorf("%+v", d)
		}
	}
}

// TestGapSaysWhereOnTheWire: with its bytes and its reason.
func TestGapSaysWhereOnTheWire(t *testing.T) {
	gap := capture.Gap{Reason: capture.GapMissing}.Record()
	gap.Headers = []capture.Header{{Name: "tcp.from", Value: "10.0.0.1:5"}, {Name: "tcp.to", Value: "10.0.0.2:61616"}, {Name: "tcp.offset", Value: "17"},
		{Name: "tcp.missing", Value: "1448"}, {Name: "tcp.unread", Value: "12"}, {Name: "tcp.why", Value: "not captured"}}
	var got []Finding
	if err := Run(numbered([]capture.Record{gap}), Options{}, NewChecker(CheckOptions{}, func(f Finding) { got = append(got, f) })); err != nil {
		t.Fatal(err)
	}
	const want = "1448 bytes not captured, 12 bytes not readable from 10.0.0.1:5 to 10.0.0.2:61616 at byte 17: not captured"
	if len(got) != 1 || !strings.HasSuffix(got[0].Text, want) {
		t.Errorf("%s, want %s", fmt.Sprint(got), want)
	}
}
