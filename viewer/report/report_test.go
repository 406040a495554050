package report

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/check"
	"gctap/replay/diff"
	"gctap/store"
	"gctap/viewer/model"
)

// password is what no page may hold.
const password = "s3cr3t-Passw0rd"

// hostile are texts that act on a page which does not escape them.
var hostile = []string{
	`<script>window.owned=1</script>`,
	`"><img src=x onerror="window.owned=1">`,
	`</title></style></script><script>window.owned=1</script>`,
	`</text></svg><script>window.owned=1</script>`,
	`javascript:window.owned=1`,
	`' onmouseover='window.owned=1`,
}

// day is a session with a bit of everything: calls, faults, a gap, hostile
// texts wherever a message can hold one, and a password that was kept.
func day(extra int) (records []capture.Record) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	add := func(d time.Duration, direction capture.Direction, to, typ, body string) {
		at = at.Add(d)
		rec := capture.Record{Direction: direction, Source: "stomp", To: to, BodyKind: capture.Text, Body: []byte(body), CapturedAt: at}
		if typ != "" {
			rec.JMSType = &typ
		}
		records = append(records, rec)
	}
	command := func(d time.Duration, typ, body string) { add(d, capture.Command, "queue://Connector1", typ, body) }
	event := func(d time.Duration, body string) { add(d, capture.Event, "topic://desk", "", body) }
	state := func(d time.Duration, state, reason, label string) {
		event(d, "1001#State#"+state+"#"+reason+"###2026-11-23 09:00:00#José Müller#1001#3001#"+label+"#José Müller#agent1001")
	}
	command(0, "Connect#1001", "desk,"+password)
	command(time.Second, "Login#1001", password+",3001")
	event(50*time.Millisecond, "1001#AgentInfo#José#"+hostile[0]+"#False#OPTIONAL#5#José Müller#agent1001")
	state(10*time.Millisecond, "NOT_READY", "-1", hostile[1])
	command(time.Minute, "MakeReady#1001", "")
	state(40*time.Millisecond, "READY", "", "")
	for i := range max(extra, 1) {
		id := fmt.Sprint(17000000 + i)
		state(10*time.Second, "RESERVED", "", "")
		event(10*time.Millisecond, "1001#NewInboundCall#42512#ani=42512|callVariable1="+hostile[2]+"#DialogID:"+id+"#CallType:PREROUTE_ACD_IN#x")
		command(time.Second, "AnswerCall#1001", id)
		event(30*time.Millisecond, "1001#InboundCall#ACTIVE#DialogID:"+id+"#42512#ani=42512#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:")
		state(10*time.Millisecond, "TALKING", "", "")
		command(9*time.Second, "ReleaseCall#1001", id)
		event(30*time.Millisecond, "1001#InboundCall#DROPPED#DialogID:"+id+"#42512#ani=42512#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:")
		state(10*time.Millisecond, "READY", "", "")
	}
	for _, text := range hostile {
		command(time.Second, "HoldCall#"+text, text)
		event(time.Second, text+"#Error#"+text)
		event(time.Second, "1001#Control#PrintStatusBar#"+text+" "+password)
	}
	command(time.Second, "MakeNotReady#1001", "")
	gap := capture.Gap{From: at, To: at.Add(40 * time.Second), Reason: capture.GapReconnect}.Record()
	records = append(records, gap)
	at = at.Add(40 * time.Second)
	state(time.Second, "WORK", "", "")
	command(time.Second, "MakeReady#1001", "")
	event(40*time.Second, "System#OUT_OF_SERVICE")
	return records
}

// session writes records into a store of its own, with a hostile destination in
// the ledger.
func session(t testing.TB, records []capture.Record, info store.SessionInfo) (*store.Store, store.Session) {
	t.Helper()
	return sessionOf(t, records, info, "topic://"+hostile[0])
}

func sessionOf(t testing.TB, records []capture.Record, info store.SessionInfo, destination string) (*store.Store, store.Session) {
	t.Helper()
	ctx := context.Background()
	t.Setenv("GCTAP_KEY", filepath.Join(t.TempDir(), "signing.key"))
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "t.db"), store.Record)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w, err := s.NewSession(ctx, info)
	if err != nil {
		t.Fatal(err)
	}
	for len(records) > 0 {
		n := min(len(records), 5000)
		batch := capture.Batch{Records: records[:n], Ledger: []capture.Counts{{Destination: destination, Received: int64(n), Stored: int64(n)}}}
		if err := w.Write(ctx, batch); err != nil {
			t.Fatal(err)
		}
		records = records[n:]
	}
	if err := w.End(ctx, "stopped"); err != nil {
		t.Fatal(err)
	}
	one, err := s.Session(ctx, w.Session().ID)
	if err != nil {
		t.Fatal(err)
	}
	return s, one
}

var options = Options{Program: "gctap test", Summary: func(rec *capture.Record, msg *decode.Message) string { return string(rec.Body) }}

// page makes the page of the day, with extra calls.
func page(t testing.TB, extra int) string {
	t.Helper()
	s, one := session(t, day(extra), store.SessionInfo{Name: "a day", Origin: store.OriginRecord, Note: hostile[1], Broker: hostile[4], StartedAt: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)})
	p, err := Session(context.Background(), s, one, options)
	if err != nil {
		t.Fatal(err)
	}
	var b, again bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the second page is not the same as the first: ", err)
	}
	return b.String()
}

func TestPageTellsAll(t *testing.T) {
	text := page(t, 1)
	for _, want := range []string{
		"Loss ledger", "What goes against the protocol", "unanswered", "Time in each state", "First answers to commands", "reconnect", "#m", "InboundCall ACTIVE",
		`<svg role="group"`, "Sign-ins and sign-outs", "uncertain", "José Müller", `id="ladder-t"`, `class="talking"`, `class="callbar"`, `class="gapline"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
}

// TestPageHoldsNoPassword though the session does, in Login and wherever else
// it turns up.
func TestPageHoldsNoPassword(t *testing.T) {
	if strings.Contains(page(t, 1), password) {
		t.Error("the page holds the password")
	}
}

// outside are the ways of a page to anything that is not in it.
var outside = regexp.MustCompile(`(?i)<(link|iframe|object|embed|base|img|form|video|audio|source)\b|\s(src|srcset|action|data)\s*=|href="[^#]|url\(|@import|\bon[a-z]+\s*=`)

// reaches returns what in the tags or style of a page leads outside or runs.
func reaches(text string) string {
	for _, tag := range regexp.MustCompile(`<[a-zA-Z][^>]*>`).FindAllString(strings.Replace(text, scriptText, "", 1), -1) {
		if at := outside.FindString(tag); at != "" && !strings.HasPrefix(tag, "<meta http-equiv=\"Content-Security-Policy\"") {
			return tag
		}
	}
	return outside.FindString(styleText)
}

// TestPageRunsAndLoadsNothing: one script, the page's own; no handler, nothing
// from elsewhere.
func TestPageRunsAndLoadsNothing(t *testing.T) {
	text := page(t, 1)
	if n := strings.Count(strings.ToLower(text), "<script"); n != 1 {
		t.Errorf("%d scripts, want 1", n)
	}
	if at := reaches(text); at != "" {
		t.Errorf("the page has %q", at)
	}
	for _, want := range []string{"default-src &#39;none&#39;", strings.ReplaceAll(strings.ReplaceAll(hash(scriptText), "'", "&#39;"), "+", "&#43;")} {
		if !strings.Contains(text, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	if !strings.Contains(text, "<script>"+scriptText+"</script>") || !strings.Contains(text, "<style>"+styleText+"</style>") {
		t.Error("script or style were changed: the policy's hashes do not fit")
	}
}

// TestPageStaysSmall with fifty thousand messages.
func TestPageStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a large session")
	}
	text := page(t, 6250)
	if n := len(text); n > 5<<20 {
		t.Errorf("the page has %d bytes", n)
	}
	if n := strings.Count(text, "<line"); n > DefaultRungs+laneLimit+50 {
		t.Errorf("the ladder has %d lines", n)
	}
	if !strings.Contains(text, "50038: ") && !strings.Contains(text, "Messages</dt><dd>500") {
		t.Error("the page does not count all messages")
	}
}

func ladderOf(t *testing.T, o LadderOptions) *Ladder {
	t.Helper()
	l := NewLadder(o)
	records := func(yield func(capture.Record, error) bool) {
		for i, rec := range day(1) {
			rec.Seq = int64(i + 1)
			if !yield(rec, nil) {
				return
			}
		}
	}
	if err := check.Run(records, check.Options{}, l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLadderAsText(t *testing.T) {
	got := ladderOf(t, LadderOptions{Stretch: model.Stretch{From: 5, To: 14, Conversation: "1001"}}).Text()
	want := `      #               1001                                        GC
      5  09:01:01.060 |-- MakeReady ----------------------------->|
      6  09:01:01.100 |<- State READY (+40ms) --------------------|
      7  09:01:11.100 |<- State RESERVED -------------------------|
      8  09:01:11.110 |<- NewInboundCall 17000000 ----------------|
      9  09:01:12.110 |-- AnswerCall 17000000 ------------------->|
     10  09:01:12.140 |<- InboundCall ACTIVE 17000000 (+30ms) ----|
     11  09:01:12.150 |<- State TALKING --------------------------|
     12  09:01:21.150 |-- ReleaseCall 17000000 ------------------>|
     13  09:01:21.180 |<- InboundCall DROPPED 17000000 (+30ms) ---|
     14  09:01:21.190 |<- State READY ----------------------------|
`
	if trimLines(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestLadderAsMermaid(t *testing.T) {
	got := ladderOf(t, LadderOptions{Stretch: model.Stretch{From: 9, To: 17}, Limit: 5}).Mermaid()
	want := `sequenceDiagram
  participant L0 as 1001
  participant L1 as GC
  L0->>L1: 09:01:12.110 AnswerCall 17000000
  L1-->>L0: 09:01:12.140 InboundCall ACTIVE 17000000 (+30ms)
  L1-->>L0: 09:01:12.150 State TALKING
  L0->>L1: 09:01:21.150 ReleaseCall 17000000
  L1-->>L0: 09:01:21.180 InboundCall DROPPED 17000000 (+30ms)
  Note over L0: 4 more messages are left out
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if text := ladderOf(t, LadderOptions{}).Mermaid(); strings.Contains(text, "<script>") || !strings.Contains(text, "#60;script#62;") {
		t.Error("Mermaid would read a label as its own")
	}
}

func TestLadderAsPicture(t *testing.T) {
	var b bytes.Buffer
	if err := ladderOf(t, LadderOptions{}).SVG(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if !strings.HasPrefix(text, `<svg xmlns="http://www.w3.org/2000/svg"`) || !strings.Contains(text, "gap, reconnect, 40s: lost unknown how many") || strings.Contains(text, "<script>") {
		t.Errorf("not the picture of the ladder: %.300s", text)
	}
}

func TestLadderFoldsItsLanes(t *testing.T) {
	l := model.Lanes{Limit: laneLimit}
	place := func(name string) int { return l.Place(name, model.Printable) }
	for i := range 40 {
		place(fmt.Sprint(1000 + i))
	}
	if len(l.Names) != laneLimit || l.Names[laneLimit-1] != "others" || place("1039") != laneLimit-1 || place("1000") != 0 {
		t.Errorf("lanes %v", l.Names)
	}
}

// aDifference is a comparison that found something.
func aDifference() *diff.Report {
	seq, value := int64(7), hostile[0]
	return &diff.Report{Verdict: diff.Different, Ignored: []diff.Ignored{{Rule: "noise:x", Count: 3, Why: "wobbled in 2 of 3 baseline runs"}},
		Latency: []diff.Latency{{Name: "MakeReady", Left: diff.Figures{N: 30, P95: time.Millisecond}, Right: diff.Figures{N: 31, P95: time.Second}, Regressed: true}}, Differences: []diff.Difference{{
			Class: "changed", Kind: diff.Data, Conversation: "1001", Name: "State", Left: &seq, Fields: []diff.FieldChange{{Field: "reasonCode", Left: &value}}, Why: hostile[1],
		}}}
}

// TestComparisonPage holds what diff says.
func TestComparisonPage(t *testing.T) {
	d := aDifference()
	var b bytes.Buffer
	if err := Comparison(d, options).Write(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"different", "#7", "(absent)", "&lt;script&gt;window.owned=1", "wobbled in 2 of 3 baseline runs", "<td>slower</td>", "<td class=\"n\">1</td><td>data</td><td>changed</td>"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if strings.Count(text, "<script") != 1 || reaches(text) != "" {
		t.Error("the page runs or loads something")
	}
}

// TestTimelineReachesTheEnd leaves out what is too short to be seen, not what
// comes last.
func TestTimelineReachesTheEnd(t *testing.T) {
	s, one := session(t, day(timeBars/3), store.SessionInfo{Name: "a long day", Origin: store.OriginRecord, StartedAt: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)})
	p, err := Session(context.Background(), s, one, options)
	if err != nil {
		t.Fatal(err)
	}
	bars := p.timeline.Bars
	if len(bars) > timeBars || p.timeline.Omitted == 0 {
		t.Fatalf("%d bars, %d left out: nothing had to be", len(bars), p.timeline.Omitted)
	}
	if last := bars[len(bars)-1]; last.X < timeLeft+timeWidth*0.99 {
		t.Errorf("the last bar begins at %v of %d: %s", last.X-timeLeft, timeWidth, last.Title)
	}
}

// TestEntriesKeepTheLongest in a bounded number.
func TestEntriesKeepTheLongest(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	kept := longest{most: 10}
	for i := range 1000 {
		kept.add(&check.Entry{From: at, To: at.Add(time.Duration(i%100) * time.Second), Seqs: []int64{int64(i)}})
		if n := len(kept.entries); n > 20 {
			t.Fatalf("%d entries are held", n)
		}
	}
	entries, left := kept.result()
	if len(entries) != 10 || left != 990 {
		t.Fatalf("%d entries, %d left out", len(entries), left)
	}
	for i, e := range entries {
		if want := int64(99 + 100*i); e.Seqs[0] != want {
			t.Errorf("entry %d is %d of %v, want %d", i, e.Seqs[0], e.To.Sub(e.From), want)
		}
	}
}
