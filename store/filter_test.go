package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// filterSession is a session with one of each thing a filter can ask for.
func filterSession(t testing.TB) (*Store, int64) {
	t.Helper()
	s := newStore(t)
	w := newSession(t, s, "filter")
	sent := noon.Add(time.Minute)
	login, unknown := "Login#1001", "Frobnicate#1001"
	lost := int64(3)
	recs := []capture.Record{
		{Direction: capture.Command, To: "queue://Connector1", JMSType: &login, Body: []byte("***,3001"), MessageID: "ID:a", SentAt: &sent,
			Headers: []capture.Header{{Name: "agent", Value: "1001"}}, Masked: []capture.Mask{{Field: "password", Start: 0, End: 3}}},
		{Direction: capture.Event, To: "topic://192.168.1.72", Body: []byte("1001#State#READY#0#2022-07-22 18:16:47")},
		{Direction: capture.Event, To: "topic://192.168.1.72", Body: []byte("1001#InboundCall#ACTIVE#DialogID:16777")},
		{Direction: capture.Event, To: "topic://client.2", Body: []byte("1002#Error#CF_INVALID_STATE")},
		capture.Gap{From: noon, To: noon.Add(time.Second), Reason: capture.GapReconnect, Lost: &lost}.Record(),
		{Direction: capture.Command, To: "queue://Connector1", JMSType: &unknown, Body: []byte("x")},
		{Direction: capture.Event, To: "topic://client.2", Body: []byte(`{"type":"System","status":"IN_SERVICE","site":"DialogID:167"}`)},
		{Direction: capture.Event, To: "topic://client.2", Body: nil},
	}
	for i := range recs {
		recs[i].CapturedAt = noon.Add(time.Duration(i) * time.Minute)
		recs[i].BodyKind = capture.Text
		recs[i].Source = "stomp"
	}
	write(t, w, recs...)
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	return s, w.session.ID
}

func mustFilter(t testing.TB, text string) *Filter {
	t.Helper()
	f, err := CompileFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func filteredSeqs(t testing.TB, s *Store, session int64, f *Filter) string {
	t.Helper()
	var rows []Row
	for row, err := range s.Filtered(t.Context(), session, f, 1) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return seqs(rows, func(r Row) int64 { return r.Seq })
}

func TestFilter(t *testing.T) {
	s, session := filterSession(t)
	for _, c := range []struct{ text, want string }{
		{``, "1 2 3 4 5 6 7 8"},
		{`agent == "1001"`, "1 2 3 6"},
		{`agent == "1001" && name in ["State","InboundCall"] && fields.state == "READY"`, "2"},
		{`direction == "command" && seq >= 2 && capturedAt > "2026-11-21T09:00:00Z"`, "6"},
		{`capturedAt < "2026-11-21T12:01:30Z"`, "1 2"},
		{`"2026-11-21T12:01:30Z" > capturedAt`, "1 2"},
		{`sentAt >= "2026-11-21T12:01:00Z"`, "1"},
		{`sentAt != "2026-11-21T12:00:00Z"`, "1"},
		{`body contains "DialogID:167" || destination matches "192\\.168\\..*"`, "2 3 7"},
		{`finding("missing-field")`, "2 3"},
		{`finding("unknown-name") || name == "Error" && fields.errorCode startsWith "CF_"`, "4 6 8"},
		{`name == "Error" or name == "System"`, "4 7"},
		{`not (agent == "1001")`, "4 5 7 8"},
		{`!(direction in ["command", "event"])`, "5"},
		{`agent != "1001"`, "4 5 7 8"},
		{`agent == ""`, "5 7 8"},
		{`agent == "nobody"`, ""},
		{`agent != "nobody" && seq < 3`, "1 2"},
		{`fields.state != "READY"`, "3"},
		{`!(fields.state == "READY") && direction == "event"`, "3 4 7 8"},
		{`fields["status"] == "IN_SERVICE"`, "7"},
		{`fields["site"] contains "Dialog"`, "7"},
		{`fields.dialogId == "16777"`, "3"},
		{`fields.dialogId startsWith "16"`, "3"},
		{`num(fields.dialogId) > 16000 && num(fields.dialogId) < 17000`, "3"},
		{`num(fields.state) > 1`, ""},
		{`decoded.fields.state in ["READY", "ACTIVE"]`, "2 3"},
		{`decoded.name == "State"`, "2"},
		{`properties.agent == "1001"`, "1"},
		{`redacted`, "1"},
		{`any(masked, .field == "password")`, "1"},
		{`reason == "reconnect" && lost > 2`, "5"},
		{`reason in ["missing", "unreadable"]`, ""},
		{`lost == nil`, ""},
		{`jmsType startsWith "Login"`, "1"},
		{`jmsType == ""`, ""},
		{`body == ""`, "8"},
		{`body contains ""`, "1 2 3 4 5 6 7 8"},
		{`protocol == "gc-json"`, "7"},
		{`kind == "command"`, "1 6"},
		{`messageId == "ID:a"`, "1"},
		{`conversation == "1001" && seq > 2`, "3 6"},
		{`sender.basis == "unknown"`, "1 6"},
		{`len(body) > 40`, "5 7"},
		{`let a = agent; a == "1002"`, "4"},
		{`fields?.state == "READY"`, "2"},
		{`seq in [1, 3]`, "1 3"},
		{`lower(name) == "state"`, "2"},
	} {
		if got := filteredSeqs(t, s, session, mustFilter(t, c.text)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.text, got, c.want)
		}
	}
}

// In the text, ∑ marks the column that the error points at.
func TestFilterErrorsPointAtTheirColumn(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`∑agnet == "1001"`, "nearest: agent"},
		{`seq > 1 && ∑stat == "READY"`, "no name"},
		{`fields.∑stat == "READY"`, "nearest: state"},
		{`fields.participants[0].∑adress == "1"`, "nearest: address"},
		{`∑state == "READY"`, "fields.state"},
		{`capturedAt > ∑"yesterday"`, "2026-11-21T09:00:00Z"},
		{`direction == ∑"comand"`, "nearest: command"},
		{`finding(∑"mising-field")`, "nearest: missing-field"},
		{`∑findnig("missing-field")`, "nearest: finding"},
		{`fields.totalNumberOfTeams > ∑5`, "num("},
		{`num(fields.totalNumberOfTeams) > ∑"5"`, "quotes"},
		{`fields.∑state && seq > 1`, "condition"},
		{`fields.supervisor == ∑true`, `"true"`},
		{`∑fields == "x"`, "field"},
		{`∑__field("x") == "y"`, "no function"},
		{`seq ∑== "1"`, "mismatched types"},
		{`fields.state matches ∑"("`, "missing closing"},
		{`decoded.∑nam == "x"`, "nearest"},
	} {
		want := 1 + len([]rune(c.text[:strings.Index(c.text, "∑")]))
		text := strings.Replace(c.text, "∑", "", 1)
		_, err := CompileFilter(text)
		e, ok := errors.AsType[*FilterError](err)
		if !ok {
			t.Errorf("%s: got %v, want an error", text, err)
			continue
		}
		if e.Column != want || !strings.Contains(e.Error(), c.want) || strings.Contains(e.Error(), "\n") {
			t.Errorf("%s: got column %d, %v; want column %d, …%s…", text, e.Column, e, want, c.want)
		}
	}
	if _, err := CompileFilter(`seq >`); err == nil {
		t.Error("half an expression compiles")
	}
}

func TestFilterFailuresAreCounted(t *testing.T) {
	s, session := filterSession(t)
	f := mustFilter(t, `lower(fields.state) == "ready"`)
	if got := filteredSeqs(t, s, session, f); got != "2" {
		t.Errorf("got %s", got)
	}
	if n, err := f.Failures(); n != 6 || err == nil || !strings.HasPrefix(err.Error(), "record 1: ") {
		t.Errorf("got %d failures, the first %v", n, err)
	}
}

// anyFilter draws an expression of parts that SQL knows and parts it does not.
func anyFilter(t *rapid.T, depth int) string {
	if depth > 0 && rapid.Bool().Draw(t, "deep") {
		left, right := anyFilter(t, depth-1), anyFilter(t, depth-1)
		return rapid.SampledFrom([]string{
			"(" + left + " && " + right + ")", "(" + left + " || " + right + ")", "!(" + left + ")",
		}).Draw(t, "shape")
	}
	return rapid.SampledFrom([]string{
		`agent == "1001"`, `agent == ""`, `agent != "1003"`, `name in ["State", "Nope"]`, `name == "NewInboundCall"`, `conversation == "1002"`,
		`fields.dialogId == "7"`, `fields.dialogId != "7"`, `seq > 40`, `seq in [3, 90, 91]`, `seq <= 60`, `450 < seq`, `seq == 501`, `seq >= -5`, `seq != 9`, `seq < 0`, `direction == "command"`, `direction != "event"`,
		`body contains "State#READY"`, `body contains "7"`, `finding("missing-field")`, `destination == "topic://client.1001"`,
		`fields.state == "READY"`, `messageId endsWith "7"`, `capturedAt >= "2026-11-21T12:01:00Z"`, `num(fields.dialogId) % 2 == 1`, `truncated == 0`,
	}).Draw(t, "part")
}

// What the index says never leaves out a row that the filter accepts.
func TestFilterThroughTheIndexIsTheFilter(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "index")
	batch := traffic(1)
	batch[40] = capture.Gap{From: noon, To: noon, Reason: capture.GapStopped}.Record()
	batch[40].Seq = 41
	write(t, w, batch...)
	session := w.Session().ID
	w.Close() // crashed: a worked-out gap row ends it
	all := []Row{}
	for row, err := range s.Rows(t.Context(), session, 1) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := anyFilter(rt, 3)
		f, err := CompileFilter(text)
		if err != nil {
			rt.Fatal(err)
		}
		var want []int64
		for i := range all {
			if f.Match(session, &all[i]) {
				want = append(want, all[i].Seq)
			}
		}
		for _, back := range []bool{false, true} {
			scan := s.Scan(session, f, map[bool]int64{false: 0, true: maxSeq}[back], back)
			var got []int64
			for !scan.Done() {
				rows, err := scan.Next(context.Background())
				if err != nil {
					rt.Fatal(err)
				}
				for _, r := range rows {
					got = append(got, r.Seq)
				}
			}
			if back {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				rt.Fatalf("%s, back %v: got %v, want %v", text, back, got, want)
			}
		}
	})
}

func TestSieveKnowsConversations(t *testing.T) {
	sieve := NewSieve(mustFilter(t, `conversation == "1001" && sender.basis == "connection"`))
	login, get := "Login#1001", "GetState#1001"
	kept := 0
	for i, typ := range []*string{&login, &get} {
		rec := capture.Record{Seq: int64(i + 1), Direction: capture.Command, To: "queue://Connector1", JMSType: typ, MessageID: fmt.Sprint("ID:h-1-2-3:4:1:1:", i)}
		if sieve.Keep(&rec) {
			kept++
		}
	}
	gap := capture.Gap{From: noon, To: noon, Reason: capture.GapStopped}.Record()
	if kept != 2 || !sieve.Keep(&gap) {
		t.Errorf("kept %d of 2 commands; a gap row must always be kept", kept)
	}
}

func TestFilterMatchesDecodedMessage(t *testing.T) {
	rec := capture.Record{Direction: capture.Event, Body: []byte("1001#State#READY#0#2022-07-22 18:16:47")}
	msg := flow.Decode(&rec, decode.Options{})
	if !mustFilter(t, `fields.state == "READY"`).MatchMessage(1, &Row{Record: rec}, &msg) {
		t.Error("a decoded message does not match")
	}
}

// Every field of the table is a name of the language.
func TestFilterKnowsEveryField(t *testing.T) {
	for _, name := range fieldNames() {
		if _, err := CompileFilter(fmt.Sprintf("fields.%s == \"x\"", name)); err != nil {
			t.Error(err)
		}
	}
	for name := range filterNames {
		if !slices.Contains(FilterNames(), name) {
			t.Errorf("completion lacks %s", name)
		}
	}
}
