package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay"
	"gctap/replay/diff"
	"gctap/store"
)

var began = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// A seeded makes sessions whose values are unmistakable: what it made can be
// searched for byte by byte.
type seeded struct {
	*rand.Rand
	secrets []string
	records []capture.Record
}

func newSeeded(seed uint64) *seeded { return &seeded{Rand: rand.New(rand.NewPCG(seed, 2))} }

func (s *seeded) secret(format func() string) string {
	text := format()
	s.secrets = append(s.secrets, text)
	return text
}

// number is long enough never to be a time or another number by accident.
func (s *seeded) number() string {
	return s.secret(func() string { return fmt.Sprintf("%d%08d", 1+s.IntN(9), s.IntN(1e8)) })
}

func (s *seeded) name() string {
	return s.secret(func() string {
		b := []rune{rune('A' + s.IntN(26))}
		for range 7 + s.IntN(4) {
			b = append(b, []rune("abcdefghijklmnopqrstuvwxyzüéßжשع田")[s.IntN(33)])
		}
		return string(b)
	})
}

func (s *seeded) add(rec capture.Record) {
	rec.Seq = int64(len(s.records) + 1)
	rec.Mono = time.Duration(rec.Seq) * 100 * time.Millisecond
	rec.CapturedAt = began.Add(rec.Mono)
	rec.Source, rec.Via, rec.BodyKind = "stomp", "mirror", capture.Text
	s.records = append(s.records, rec)
}

// everyKind adds a message of every form of the grammar, its data replaced by
// unmistakable values.
func (s *seeded) everyKind(t *testing.T) {
	for _, specs := range [][]*decode.Spec{decode.Commands(), decode.Events(), decode.JSONEvents()} {
		for _, spec := range specs {
			if spec.Protocol == decode.GCJSON {
				s.example(t, spec, nil)
			}
			for i := range spec.Forms {
				s.example(t, spec, &spec.Forms[i])
			}
		}
	}
}

func (s *seeded) example(t *testing.T, spec *decode.Spec, form *decode.Form) {
	m := spec.Example(form)
	in, err := decode.Encode(&m)
	if err != nil {
		t.Fatal(err)
	}
	m = decode.Decode(in, decode.Options{})
	for _, place := range m.Places() {
		v, ok := m.Get(place.Path)
		if !ok || place.Head || len(v.Parts) > 0 || !data(&m, place.Path) {
			continue
		}
		value := s.name()
		if strings.Trim(v.Text, "0123456789") == "" {
			value = s.number()
		}
		if changed, err := decode.Rewrite(&m, map[string]string{place.Path: value}); err == nil {
			m = decode.Decode(changed, decode.Options{})
			in = changed
		} else {
			s.secrets = s.secrets[:len(s.secrets)-1]
		}
	}
	if changed, err := decode.Rewrite(&m, map[string]string{"agent": s.number()}); err == nil {
		in = changed
	} else {
		s.secrets = s.secrets[:len(s.secrets)-1]
	}
	s.message(in, spec.Kind)
}

// data reports whether a field holds somebody's data and not the protocol's.
func data(m *decode.Message, path string) bool {
	arg := m.Spec().Arg(path)
	if arg == nil {
		return false
	}
	return arg.Class.ID() || arg.Class == decode.ClassText && arg.Values == nil
}

func (s *seeded) message(in decode.Input, kind string) {
	host := s.name()
	rec := capture.Record{JMSType: in.Type, Body: in.Body, Direction: capture.Event, To: "topic://" + host, Conn: "ID:" + s.name() + "-1-2-3:4",
		MessageID: "ID:" + s.name() + "-34479-" + s.number() + "-3:3:1:1:" + fmt.Sprint(len(s.records)), ReplyTo: "temp-topic://" + s.name(),
		Headers: []capture.Header{{Name: "priority", Value: "4"}, {Name: "agent", Value: s.number()}, {Name: "text", Value: "see " + s.name()}}}
	if kind == decode.KindCommand {
		rec.Direction, rec.To = capture.Command, "queue://"+host
	}
	s.add(rec)
}

// odd adds what is malformed or unknown, with data in it all the same.
func (s *seeded) odd() {
	unknown := "Frobnicate#" + s.number()
	for _, body := range []string{
		s.number() + "#Unheard#" + s.name(), s.number() + "#State#READY#" + s.name() + "#" + s.name() + "#" + s.name() + "#x#y#z#" + s.number(),
		"just " + s.name() + " talking", `{"type":"Unheard","who":"` + s.name() + `","n":` + s.number() + `,"deep":[{"x":"` + s.name() + `"}]}`,
		`{"type":"State","broken":"` + s.name(), s.number() + "#NewInboundCall#" + s.number() + "#no pair " + s.name() + "|ani=" + s.number() + "#DialogID:" + s.number(),
		"\xe9t\xe9 of " + s.name(), s.number() + "#Error#" + s.name(), "", s.number() + "#InboundCall#NOWHERE#" + s.number(),
	} {
		s.message(decode.Input{Type: nil, Body: []byte(body)}, decode.KindEvent)
		s.message(decode.Input{Type: &unknown, Body: []byte(body)}, decode.KindCommand)
	}
	lost := int64(2)
	gap := capture.Gap{From: began, To: began, Reason: capture.GapReconnect, Lost: &lost}.Record()
	s.add(gap)
	s.records[len(s.records)-1].Direction = capture.GapRow
}

func record(t *testing.T, records []capture.Record) (*store.Store, int64) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "gctap.db"), store.Record)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w, err := s.NewSession(t.Context(), store.SessionInfo{Name: "source", Origin: store.OriginRecord, StartedAt: began, Redacted: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), capture.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	return s, w.Session().ID
}

func pseudonymised(t *testing.T, records []capture.Record, p *store.Pseudonymiser) (path string, got []capture.Record, report *store.PseudonymReport) {
	t.Helper()
	s, id := record(t, records)
	path = filepath.Join(t.TempDir(), "pseudonymised.db")
	_, report, err := s.ExportPseudonymised(t.Context(), id, path, nil, p)
	if err != nil {
		t.Fatal(err)
	}
	out, err := store.Open(t.Context(), path, store.Read)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for rec, err := range out.Records(t.Context(), 1, 1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec)
	}
	v, err := out.Verify(t.Context(), 1, nil)
	if err != nil || !v.OK() || v.Derived == nil || v.Derived.How != "pseudonymise" || v.Derived.Head == "" {
		t.Errorf("%v, %v", v.Describe(), err)
	}
	return path, got, report
}

func keyOf(seed uint64) []byte {
	key := make([]byte, store.PseudonymKeySize)
	key[0], key[1] = byte(seed), byte(seed>>8)
	return key
}

// reading is what must be the same before and after: kind, name, findings and
// the paths of fields.
func reading(rec *capture.Record, names bool) string {
	m := flow.Decode(rec, decode.Options{})
	var b strings.Builder
	fmt.Fprint(&b, m.Protocol, " ", m.Kind, " ", m.Variant)
	if m.Spec() != nil {
		fmt.Fprint(&b, " ", m.Name)
	}
	for _, f := range m.Findings {
		fmt.Fprint(&b, " ", f.Code)
		if names {
			fmt.Fprint(&b, " at ", f.Field)
		}
	}
	if names {
		for _, p := range m.Places() {
			fmt.Fprint(&b, " ", p.Path)
		}
	}
	return b.String()
}

func TestPseudonymisedSessionReadsTheSameAndNamesNobody(t *testing.T) {
	seeds := uint64(50)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		s := newSeeded(seed)
		s.everyKind(t)
		s.odd()
		path, got, report := pseudonymised(t, s.records, store.NewPseudonymiser(keyOf(seed)))
		if len(got) != len(s.records) || report.Masked != 0 {
			t.Fatalf("seed %d: %d of %d records, %d masked whole: %v", seed, len(got), len(s.records), report.Masked, report.Hidden)
		}
		for i := range got {
			m := flow.Decode(&s.records[i], decode.Options{})
			names := !m.Has(decode.BadKey) // then what was read as a name may be data
			if before, after := reading(&s.records[i], names), reading(&got[i], names); before != after {
				t.Errorf("seed %d, record %d: %q\nwas   %s\nreads %s in %q", seed, i+1, s.records[i].Body, before, after, got[i].Body)
			}
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range s.secrets {
			if bytes.Contains(file, []byte(secret)) {
				t.Errorf("seed %d: %q is in the file", seed, secret)
			}
		}
	}
}

// The messages of the corpus decode to the same codes and paths.
func TestPseudonymisedCorpus(t *testing.T) {
	files, err := filepath.Glob("../../shared/corpus/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Skip("no corpus beside the checkout")
	}
	s := newSeeded(1)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var c struct {
				Type             *string
				Body, BodyBase64 *string
				Direction        capture.Direction
			}
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			rec := capture.Record{JMSType: c.Type, Direction: c.Direction}
			if c.Body != nil {
				rec.Body = []byte(*c.Body)
			}
			if c.BodyBase64 != nil {
				if rec.Body, err = base64.StdEncoding.DecodeString(*c.BodyBase64); err != nil {
					t.Fatal(err)
				}
			}
			if rec.Direction != capture.Command {
				rec.Direction = capture.Event
			}
			s.add(rec)
		}
	}
	_, got, report := pseudonymised(t, s.records, store.NewPseudonymiser(keyOf(1)))
	if report.Masked > 0 {
		t.Errorf("masked whole: %v", report.Hidden)
	}
	for i := range got {
		m := flow.Decode(&s.records[i], decode.Options{})
		names := !m.Has(decode.BadKey)
		if before, after := reading(&s.records[i], names), reading(&got[i], names); before != after {
			t.Errorf("record %d: %q\nwas   %s\nreads %s in %q", i+1, s.records[i].Body, before, after, got[i].Body)
		}
	}
}

// conversation is an agent's shift of one call, in the run's own dialog ids.
func (s *seeded) conversation(agent, ext, caller, first, last, dialog string, shift int) {
	topic := "topic://client-" + agent
	say := func(kind capture.Direction, word, body string) {
		rec := capture.Record{Direction: kind, Body: []byte(body), To: topic}
		if kind == capture.Command {
			rec.JMSType, rec.To = &word, "queue://Connector1"
		}
		s.add(rec)
	}
	at := fmt.Sprintf("2026-11-21 09:00:%02d", shift)
	say(capture.Command, "Connect#"+agent, "client-"+agent+",***")
	say(capture.Command, "Login#"+agent, "***,"+ext)
	state := func(name string) string {
		return agent + "#State#" + name + "##" + at + "##" + at + "#" + first + " " + last + "#" + agent + "#" + ext + "#" + name + "#" + first + " " + last + "#" + last
	}
	say(capture.Event, "", state("NOT_READY"))
	say(capture.Command, "MakeReady#"+agent, "")
	say(capture.Event, "", state("READY"))
	say(capture.Event, "", agent+"#NewInboundCall#"+caller+"#ani="+caller+"|callVariable1="+last+"#DialogID:"+dialog+"#CallType:ACD_IN#"+at)
	say(capture.Command, "AnswerCall#"+agent, dialog)
	say(capture.Event, "", agent+"#InboundCall#ACTIVE#DialogID:"+dialog+"#"+caller+"#ani="+caller+"#"+at+"#CallType:ACD_IN#ParticipantsCount:2#participants:"+
		caller+",ACTIVE,OUT,,"+at+"|"+ext+",ACTIVE,AGENT_DEVICE,,"+at)
	say(capture.Command, "ReleaseCall#"+agent, dialog)
	say(capture.Event, "", agent+"#InboundCall#DROPPED#DialogID:"+dialog+"#"+caller+"#ani="+caller+"#"+at+"#CallType:ACD_IN#ParticipantsCount:0#participants:")
}

func each(records []capture.Record) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// What is the same stays the same under one key, what differs differs, and a
// replay is planned as before.
func TestPseudonymisedSessionsCompareAndReplay(t *testing.T) {
	for seed := range uint64(50) {
		names := newSeeded(seed)
		agent, ext, caller, first, last := names.number(), names.number(), names.number(), names.name(), names.name()
		a, b, c := newSeeded(seed), newSeeded(seed), newSeeded(seed)
		a.conversation(agent, ext, caller, first, last, a.number(), 0)
		b.number()
		b.conversation(agent, ext, caller, first, last, b.number(), 1)
		c.conversation(agent, ext, caller, first, last+"x", a.secrets[0], 0)
		p := store.NewPseudonymiser(keyOf(seed))
		var hidden [3][]capture.Record
		for i, s := range []*seeded{a, b, c} {
			_, hidden[i], _ = pseudonymised(t, s.records, p)
		}
		for _, pair := range []struct {
			left, right []capture.Record
			want        string
		}{{a.records, b.records, diff.Same}, {hidden[0], hidden[1], diff.Same}, {a.records, c.records, diff.Different}, {hidden[0], hidden[2], diff.Different}} {
			r, err := diff.Compare(each(pair.left), each(pair.right), diff.Options{})
			if err != nil || r.Verdict != pair.want {
				t.Fatalf("seed %d: %v, %v: %+v", seed, r.Verdict, err, r.Differences)
			}
		}
		before, after := plan(t, a.records), plan(t, hidden[0])
		if before != after {
			t.Errorf("seed %d: planned\n%s\nwas\n%s", seed, after, before)
		}
	}
}

// plan says what a replay of records would do, without naming anybody.
func plan(t *testing.T, records []capture.Record) string {
	p, err := replay.BuildPlan(each(records), replay.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintln(&b, len(p.Stimuli), len(p.Conversations), len(p.Births), len(p.Topics), len(p.Agents), p.Gaps)
	for _, s := range p.Steps {
		fmt.Fprintln(&b, s.Record.Seq, s.Name, s.At, len(s.Uses), s.Secret, s.Blocked)
		for _, c := range s.Causes {
			fmt.Fprintln(&b, " ", c.Kind, c.Seq, c.Event.Name, c.N)
		}
	}
	return b.String()
}

// A token keeps the shape of its word, is the only one, and leads back.
func TestTokensAreOneToOne(t *testing.T) {
	p := store.NewPseudonymiser(keyOf(7))
	seen := map[string]string{}
	for n := range 10_000 {
		word := fmt.Sprint(n)
		token := p.Text(word)
		if other, taken := seen[token]; taken || len(token) != len(word) || strings.Trim(token, "0123456789") != "" || token[0] == '0' && word[0] != '0' {
			t.Fatalf("%s became %s, as %s", word, token, other)
		}
		seen[token] = word
		if p.Reveal(token) != word {
			t.Fatalf("%s became %s, which is revealed as %s", word, token, p.Reveal(token))
		}
	}
	for _, word := range []string{"Müller", "Ivanov Пётр", "田中", "O'Neill-Smith", "a", "Z", "x00100011y", "100011", "007", "a_b", "srv-01.example.org:61613"} {
		token := p.Text(word)
		if len(token) != len(word) || p.Reveal(token) != word {
			t.Errorf("%q became %q, which is revealed as %q", word, token, p.Reveal(token))
		}
		if strings.Contains(word, "100011") != strings.Contains(token, "100011") {
			t.Errorf("%q became %q: an escaped # came or went", word, token)
		}
	}
	for _, word := range []string{"", "null", "-1", "0", "READY", "NOT_READY", "true", "topic://", "***"} {
		if token := p.Text(word); token != word && word != "-1" {
			t.Errorf("%q became %q", word, token)
		}
	}
	if p.Text("Schmidt") == store.NewPseudonymiser(keyOf(8)).Text("Schmidt") {
		t.Error("another key gives the same token")
	}
}

func TestMapLinesLeadBack(t *testing.T) {
	s := newSeeded(3)
	agent, ext := s.number(), s.number()
	s.conversation(agent, ext, s.number(), s.name(), s.name(), s.number(), 0)
	p := store.NewPseudonymiser(keyOf(3))
	path, _, _ := pseudonymised(t, s.records, p)
	out, err := store.Open(context.Background(), path, store.Read)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	lines, err := out.MapLines(t.Context(), 1, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"agent:" + p.Text(agent) + "=" + agent, "ext:" + p.Text(ext) + "=" + ext, "dest:" + p.Text("client-"+agent) + "=client-" + agent} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is not among %q", want, lines)
		}
	}
}

// TestPseudonymsOfTheWire: what a capture noted names nobody, and who was
// handed what can still be told.
func TestPseudonymsOfTheWire(t *testing.T) {
	p := store.NewPseudonymiser([]byte("a key of thirty-two bytes, about"))
	header := func(name, value string) capture.Header { return capture.Header{Name: name, Value: value} }
	note := capture.Record{
		Direction: capture.Note, Source: "pcap", Conn: "ID:gc-host-1-2:1", To: "queue://Connector1", Body: []byte("handed to consumer ID:gc-host-1-2:1 of user jmuller"),
		Headers: []capture.Header{header("amq.note", "dispatch"), header("amq.message-id", "ID:desk-host-3-4:1:1:1:1"), header("amq.client-id", "jmuller"),
			header("amq.ack", "standard"), header("tcp.from", "10.1.2.3:61616")},
	}
	message := capture.Record{Direction: capture.Command, MessageID: "ID:desk-host-3-4:1:1:1:1", JMSType: new("MakeReady#1001")}
	web := capture.Record{Direction: capture.Note, Source: "rest", Body: []byte("GET /agents/jmuller"), Headers: []capture.Header{header("amq.note", "request")}}
	report := store.PseudonymReport{Fields: map[string]int64{}}
	for _, rec := range []*capture.Record{&note, &message, &web} {
		p.Record(rec, &report)
	}
	all := fmt.Sprintf("%s %s %s %v %v", note.Body, web.Body, note.Conn, note.Headers, web.Headers)
	for _, told := range []string{"jmuller", "gc-host", "desk-host", "10.1.2.3"} {
		if strings.Contains(all, told) {
			t.Errorf("%s is still in %s", told, all)
		}
	}
	if string(note.Body) != "dispatch" || note.Header("amq.note") != "dispatch" || note.Header("amq.ack") != "standard" {
		t.Errorf("%s %v", note.Body, note.Headers)
	}
	if note.Header("amq.message-id") != message.MessageID {
		t.Errorf("the note is about %s, the message is %s", note.Header("amq.message-id"), message.MessageID)
	}
}
