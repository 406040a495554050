package model

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/store"
)

var update = flag.Bool("update", false, "write the goldens anew")

// A sheet is a Canvas of text. What is selected or lit stands between marks.
type sheet struct {
	width, height int
	cells         [][]string
	styles        [][]Style
}

func newSheet(width, height int) *sheet {
	s := &sheet{width: width, height: height}
	for range height {
		s.cells = append(s.cells, strings.Split(strings.Repeat(" ", width), ""))
		s.styles = append(s.styles, make([]Style, width))
	}
	return s
}

func (s *sheet) Size() (int, int) { return s.width, s.height }

func (s *sheet) Put(x, y, limit int, text string, style Style) int {
	for _, r := range text {
		w := runewidth.RuneWidth(r)
		if y < 0 || y >= s.height || x < 0 || x+w > min(limit, s.width) {
			break
		}
		s.cells[y][x], s.styles[y][x] = string(r), style
		for i := 1; i < w; i++ {
			s.cells[y][x+i] = ""
		}
		x += w
	}
	return x
}

func (s *sheet) Fill(y int, style Style) {
	for x := range s.width {
		s.Put(x, y, s.width, " ", style)
	}
}

// String shows the text, and behind each line the colours in it.
func (s *sheet) String() string {
	var b strings.Builder
	for y := range s.height {
		line := strings.TrimRight(strings.Join(s.cells[y], ""), " ")
		if s.styles[y][0].IsSelected() {
			line = ">" + line
		} else {
			line = " " + line
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// draw is what a model's view looks like, its title above.
func draw(m *Model) *sheet {
	width, height := m.Size()
	s := newSheet(width, height-frameLines)
	m.Top().Draw(s)
	return s
}

// shift is a session in which two agents take calls, one consults the other, a
// supervisor forces one out, and the tap misses half a minute.
func shift() (records []capture.Record) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	begin := at
	add := func(d time.Duration, direction capture.Direction, to, typ, body string) {
		at = at.Add(d)
		rec := capture.Record{Direction: direction, Source: "stomp", To: to, BodyKind: capture.Text, Body: []byte(body), CapturedAt: at, Mono: at.Sub(begin) + 1}
		if typ != "" {
			rec.JMSType = &typ
		}
		if agent := strings.SplitN(typ, "#", 2); len(agent) == 2 {
			rec.MessageID = "ID:desk" + agent[1] + "-1-2:1:1:1"
		}
		records = append(records, rec)
	}
	ms := time.Millisecond
	command := func(d time.Duration, typ, body string) { add(d, capture.Command, "queue://Connector1", typ, body) }
	event := func(d time.Duration, body string) {
		add(d, capture.Event, "topic://desk."+strings.SplitN(body, "#", 2)[0], "", body)
	}
	state := func(d time.Duration, agent, state, reason, label string) {
		event(d, fmt.Sprintf("%s#State#%s#%s###2026-11-23 09:00:00#José Müller#%s#3%s#%s#José Müller#agent%s", agent, state, reason, agent, agent[1:], label, agent))
	}
	login := func(agent, name, supervisor string) {
		command(time.Second, "Connect#"+agent, "desk."+agent+",***")
		command(10*ms, "Login#"+agent, "***,3"+agent[1:])
		event(40*ms, agent+"#AgentInfo#"+name+"#x#"+supervisor+"#OPTIONAL#5#"+name+" x#agent"+agent)
		state(10*ms, agent, "NOT_READY", "-1", "")
	}
	call := func(d time.Duration, agent, name, dialog, from string) {
		event(d, agent+"#"+name+"#DialogID:"+dialog+"#"+from+"#ani="+from+"#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:")
	}
	add(0, capture.Command, "queue://Connector1", "Hello#desk.1001", "")
	add(5*ms, capture.Event, "topic://desk.1001", "", "System#IN_SERVICE")
	login("1001", "José", "False")
	login("1002", "漢字", "False")
	login("1010", "Boss", "True")
	command(5*time.Second, "MakeReady#1001", "")
	state(40*ms, "1001", "READY", "", "")
	command(time.Second, "MakeReady#1002", "")
	state(45*ms, "1002", "READY", "", "")
	state(10*time.Second, "1001", "RESERVED", "", "")
	event(10*ms, "1001#NewInboundCall#42512#ani=42512#DialogID:17000001#CallType:PREROUTE_ACD_IN#x")
	command(2*time.Second, "AnswerCall#1001", "17000001")
	call(30*ms, "1001", "InboundCall#ACTIVE", "17000001", "42512")
	state(10*ms, "1001", "TALKING", "", "")
	event(3*time.Second, "1002#NewInboundCall#777#ani=777#DialogID:17000002#CallType:PREROUTE_ACD_IN#x")
	command(time.Second, "AnswerCall#1002", "17000002")
	call(700*ms, "1002", "InboundCall#ACTIVE", "17000002", "777")
	state(10*ms, "1002", "TALKING", "", "")
	command(8*time.Second, "HoldCall#1001", "17000001")
	call(30*ms, "1001", "InboundCall#HELD", "17000001", "42512")
	state(10*ms, "1001", "HOLD", "", "")
	lost := int64(4)
	gap := capture.Gap{From: at, To: at.Add(30 * time.Second), Reason: capture.GapReconnect, Lost: &lost}.Record()
	at = at.Add(30 * time.Second)
	gap.Mono = at.Sub(begin) + 1
	records = append(records, gap)
	call(time.Second, "1001", "InboundCall#DROPPED", "17000001", "42512")
	state(10*ms, "1001", "READY", "", "")
	call(2*time.Second, "1002", "InboundCall#DROPPED", "17000002", "777")
	state(10*ms, "1002", "READY", "", "")
	command(20*time.Second, "MakeNotReadyWithReason#1002", "32")
	state(50*ms, "1002", "NOT_READY", "32", "Lunch\x1b")
	command(40*time.Second, "force_logout#1001", "")
	records[len(records)-1].MessageID = "ID:desk1010-1-2:1:1:9"
	state(60*ms, "1001", "LOGOUT", "", "")
	command(3*time.Second, "NoSuchThing#1002", "x")
	return records
}

// stored writes records into a store of its own.
func stored(t testing.TB, records []capture.Record) (*store.Store, store.Session) {
	t.Helper()
	ctx := context.Background()
	t.Setenv("GCTAP_KEY", filepath.Join(t.TempDir(), "signing.key"))
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "t.db"), store.Record)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w, err := s.NewSession(ctx, store.SessionInfo{Name: "shift", Origin: store.OriginRecord, StartedAt: records[0].CapturedAt})
	if err != nil {
		t.Fatal(err)
	}
	for len(records) > 0 {
		n := min(len(records), 5000)
		if err := w.Write(ctx, capture.Batch{Records: records[:n]}); err != nil {
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

// golden holds what is drawn against a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// utc has times written in UTC for the length of a test.
func utc(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
}

func TestLadderIsDrawn(t *testing.T) {
	utc(t)
	s, one := stored(t, shift())
	for _, size := range [][2]int{{80, 24}, {150, 50}} {
		m := New()
		m.Resize(size[0], size[1])
		m.Open(one)
		settle(t, m, s)
		press(t, m, s, "G", "2", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k")
		golden(t, fmt.Sprintf("ladder-%d", size[0]), m.Top().Title()+"\n"+draw(m).String())
		press(t, m, s, "3")
		golden(t, fmt.Sprintf("timeline-%d", size[0]), m.Top().Title()+"\n"+draw(m).String())
	}
}

// opening returns a model that shows a session in a tab, and what drives it.
func opening(t *testing.T, width, height int, tab string) (*Model, func(keys ...string)) {
	t.Helper()
	utc(t)
	s, one := stored(t, shift())
	m := New()
	m.Resize(width, height)
	m.Open(one)
	settle(t, m, s)
	press(t, m, s, tab)
	return m, func(keys ...string) {
		t.Helper()
		press(t, m, s, keys...)
	}
}

// line returns the line of a view that holds a text.
func line(t *testing.T, m *Model, text string) string {
	t.Helper()
	for line := range strings.Lines(draw(m).String()) {
		if strings.Contains(line, text) {
			return strings.TrimRight(line, "\n")
		}
	}
	t.Fatalf("%q is not in\n%s", text, draw(m))
	return ""
}

func TestLadderGoesBetweenCommandAndAnswers(t *testing.T) {
	m, press := opening(t, 100, 60, "2")
	v := m.Top().(*LadderView)
	at := func(want int64) {
		t.Helper()
		if v.Selected != want {
			t.Errorf("at %d, want %d; %s", v.Selected, want, m.Notice)
		}
	}
	v.goTo(4) // Login
	press("a")
	at(5)
	press("a")
	at(6)
	press("a") // round
	at(5)
	press("A")
	at(4)
	if text := line(t, m, "AgentInfo"); !strings.Contains(text, "•") {
		t.Errorf("the answer is not marked: %s", text)
	}
	v.goTo(40)
	press("a")
	at(40)
	if m.Notice != "the recording holds no answer to this command" {
		t.Errorf("says %q", m.Notice)
	}
	v.goTo(19)
	press("A")
	if !strings.Contains(m.Notice, "neither a command nor the answer") {
		t.Errorf("says %q", m.Notice)
	}
	press("Enter")
	if m.View() != Detail || m.Reader.Record() == nil || m.Reader.Record().Seq != 19 {
		t.Errorf("Enter shows %s of %+v", m.View(), m.Reader.Record())
	}
}

func TestLadderLanesScrollAndFold(t *testing.T) {
	m, press := opening(t, 80, 24, "2")
	press("g")
	heads := func() string { return strings.Join(strings.Fields(strings.Split(draw(m).String(), "\n")[0])[2:], " ") }
	shows := func(want string) {
		t.Helper()
		if got := heads(); got != want {
			t.Errorf("the lanes are %s, want %s", got, want)
		}
	}
	shows("…k.1001 1001 ‹0 2› GC 17000001")
	press("l")
	shows("1001 1002 ‹1 1› GC 17000001")
	press("l", "l", "h")
	shows("1001 1002 ‹1 1› GC 17000001")
	press("h", "j", "j", "z") // Connect of 1001
	if shows("…k.1001 1002 ‹0 2› GC 17000001"); !strings.HasPrefix(m.Top().Title(), "1 lane folded") {
		t.Errorf("the title is %s", m.Top().Title())
	}
	if text := line(t, m, "Login 3001"); !strings.Contains(text, "› others: Login 3001") && !strings.Contains(text, "›─ others: Login 3001") {
		t.Errorf("a folded lane's message is %s", text)
	}
	press("Z")
	if got := heads(); !strings.Contains(got, "1001") {
		t.Errorf("after Z the lanes are %s", got)
	}
	press("c")
	shows("…k.1001 1001 1002 ‹0 1› GC")
}

// TestLadderShowsTheSelectedLane, wherever the selection goes.
func TestLadderShowsTheSelectedLane(t *testing.T) {
	m, press := opening(t, 70, 24, "2")
	press("g")
	for range 39 {
		press("j")
		for line := range strings.Lines(draw(m).String()) {
			if strings.HasPrefix(line, ">") && strings.ContainsAny(line, "‹›") {
				t.Errorf("the selected message's lane is off the screen: %s", line)
			}
		}
	}
}

func TestLadderIsAPlaceOfTheList(t *testing.T) {
	m, press := opening(t, 80, 24, "2")
	press("g", "j", "j", "1")
	if m.View() != MessageList || m.Messages.Selected != 3 {
		t.Errorf("the list is at %d", m.Messages.Selected)
	}
	press("j", "2")
	if v := m.Top().(*LadderView); v.Selected != 4 {
		t.Errorf("the ladder is at %d", v.Selected)
	}
	m.Click(40, 8)
	if v := m.Top().(*LadderView); v.Selected != v.Visible()[6].Seq {
		t.Errorf("a click selects %d", v.Selected)
	}
	m.Click(40, 8)
	if m.View() != Detail {
		t.Errorf("a second click shows %s", m.View())
	}
}

// TestLadderHoldsTheRowsNearTheScreen only.
func TestLadderHoldsTheRowsNearTheScreen(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 100_000, false)}}
	m := messages(t, src, 1)
	press(t, m, src, "2")
	v := m.Top().(*LadderView)
	for range 200 {
		press(t, m, src, "PgDn")
		if len(v.rungs) > maxItems || len(v.items) > maxItems {
			t.Fatalf("%d arrows of %d rows are held", len(v.rungs), len(v.items))
		}
	}
	if text := line(t, m, fmt.Sprint(v.Selected)); !strings.Contains(text, "◄") || !strings.Contains(text, "State READY") {
		t.Errorf("the selected row is %s", text)
	}
}

func TestTimelineKeys(t *testing.T) {
	m, press := opening(t, 80, 24, "3")
	v := m.Top().(*TimelineView)
	under := func(want string) {
		t.Helper()
		got := "nothing"
		if e := v.under(); e != nil {
			got = e.Text
		}
		if got != want {
			t.Errorf("under the cursor is %q, want %q\n%s", got, want, draw(m))
		}
	}
	v.line, v.column = 1, 0
	under("NOT_READY -1")
	press("w")
	under("READY")
	press("w")
	under("RESERVED")
	press("b", "b")
	under("NOT_READY -1")
	span := v.to.Sub(v.from)
	press("+")
	if got := v.to.Sub(v.from); got != span/2 {
		t.Errorf("zoomed in, the screen shows %s of %s", got, span)
	}
	under("NOT_READY -1")
	press("=", ">", "L", "<", "H", "-", "-")
	if got := v.to.Sub(v.from); got != span {
		t.Errorf("zoomed out, the screen shows %s, not %s", got, span)
	}
	press("+", "+", "+", "a")
	if !v.from.Equal(v.spool.from) || v.to.Sub(v.from) != span {
		t.Errorf("all is %s from %s", v.to.Sub(v.from), v.from)
	}
	v.line, v.column = 0, 0
	press("w")
	under("call 17000001 42512 PREROUTE_ACD_IN")
	press("Enter")
	if m.View() != MessageList || m.Messages.Selected != 20 {
		t.Errorf("Enter leads to message %d in %s", m.Messages.Selected, m.View())
	}
	press("3", "R")
	if m.Top() != v || v.spool == nil {
		t.Error("not read again")
	}
	under("RESERVED") // of which the announcement of the call is a part
}

// TestTimelineShowsSupervisors on the line of both.
func TestTimelineShowsSupervisors(t *testing.T) {
	m, press := opening(t, 80, 24, "3")
	v := m.Top().(*TimelineView)
	for line, want := range []string{"ForceLogout by 1010", "", "", "", "ForceLogout 1001"} {
		if want == "" {
			continue
		}
		v.line, v.column = line, 0
		press("w", "w", "w", "w")
		for v.under() != nil && v.under().Text != want && v.column < v.columns()-1 {
			press("l")
		}
		if text := lastLine(m); !strings.Contains(text, "#38  "+want) {
			t.Errorf("line %d: %s", line, text)
		}
	}
}

func lastLine(m *Model) string {
	lines := strings.Split(strings.TrimRight(draw(m).String(), "\n"), "\n")
	return lines[len(lines)-1]
}

// TestTimelineTellsWhatIsUncertain behind a gap.
func TestTimelineTellsWhatIsUncertain(t *testing.T) {
	m, press := opening(t, 120, 24, "3")
	v := m.Top().(*TimelineView)
	v.line, v.column = 5, 0 // of the supervisor, whose state nobody tells again
	press("w")
	if text := lastLine(m); !strings.Contains(text, "NOT_READY -1") || !strings.Contains(text, "uncertain") {
		t.Error(text)
	}
	v.toTime(v.spool.gaps[0].From.Add(time.Second))
	if text := lastLine(m); !strings.Contains(text, "in a gap") {
		t.Error(text)
	}
}

// TestTimelineAddsUpWhatIsTooShort: a cell shows the state that took most of
// it, not the longest single stretch.
func TestTimelineAddsUpWhatIsTooShort(t *testing.T) {
	var records []capture.Record
	at := noon
	add := func(d time.Duration, state string) {
		records = append(records, capture.Record{Direction: capture.Event, To: "topic://c", BodyKind: capture.Text, CapturedAt: at, Mono: at.Sub(noon) + 1,
			Body: fmt.Appendf(nil, "1001#State#%s#0###2026-11-23 09:00:00#x#1001#3001##x#agent1001", state)})
		at = at.Add(d)
	}
	for range 100 { // 50 s READY in one piece, 90 s TALKING in many
		add(500*time.Millisecond, "READY")
		add(900*time.Millisecond, "TALKING")
	}
	add(10*time.Second, "WORK")
	add(0, "LOGOUT")
	s, one := stored(t, records)
	m := New()
	m.Resize(timeLabel+3, 24) // three cells
	m.Open(one)
	settle(t, m, s)
	press(t, m, s, "3")
	v := m.Top().(*TimelineView)
	for x, cell := range v.drawn.lines[0].states {
		if got := v.drawn.entries[cell-1].Text; got != "TALKING" {
			t.Errorf("cell %d shows %s", x, got)
		}
	}
}

// TestTimelineCanBeStopped, and tried again.
func TestTimelineCanBeStopped(t *testing.T) {
	s, one := stored(t, shift())
	m := New()
	m.Open(one)
	settle(t, m, s)
	m.Key("3")
	task := m.Next()
	task.Progress("reading what agents did … 3 %")
	if m.Key("Esc"); !m.Stop(task) {
		t.Fatal("Esc does not stop it")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	do(ctx, m, s, task)
	if m.View() != Timeline || m.Next() != nil || !strings.Contains(draw(m).String(), "not read: R tries again") {
		t.Errorf("shows\n%s", draw(m))
	}
	press(t, m, s, "R")
	if v := m.Top().(*TimelineView); v.spool == nil {
		t.Error("not read when asked again")
	}
}

// TestLadderFollowsOne conversation, or one call, and keeps the gaps.
func TestLadderFollowsOne(t *testing.T) {
	m, press := opening(t, 100, 60, "2")
	v := m.Top().(*LadderView)
	seqs := func() (list []int64) {
		for _, item := range v.Visible() {
			list = append(list, item.Seq)
		}
		return list
	}
	v.goTo(26) // a call of 1002
	press("o")
	if got := seqs(); !slices.Equal(got, []int64{7, 8, 9, 10, 17, 18, 24, 25, 26, 27, 31, 34, 35, 36, 37, 40}) {
		t.Errorf("the conversation is %v", got)
	}
	if v.Selected != 26 || !strings.Contains(v.Title(), `conversation == "1002"`) {
		t.Errorf("at %d in %s", v.Selected, v.Title())
	}
	if text := line(t, m, "InboundCall ACTIVE"); !strings.Contains(text, "(+700ms)") {
		t.Errorf("no latency in %s", text)
	}
	press("\\", "d")
	if got := seqs(); !slices.Equal(got, []int64{24, 25, 26, 31, 34}) {
		t.Errorf("the call is %v", got)
	}
	press("\\")
	if got := len(seqs()); got != 40 {
		t.Errorf("everything is %d messages", got)
	}
	v.goTo(1)
	press("d")
	if m.Notice != "this message belongs to no call" {
		t.Errorf("says %q", m.Notice)
	}
}

// TestLadderTakesTheFilterOfTheList, and keeps its own until that changes.
func TestLadderTakesTheFilterOfTheList(t *testing.T) {
	m, press := opening(t, 100, 60, "1")
	filter := func(text string) {
		f, err := store.CompileFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		m.SetFilter(f)
		press("g")
	}
	shows := func(want int) {
		t.Helper()
		if v := m.Top().(*LadderView); len(v.Visible()) != want {
			t.Errorf("the ladder shows %d messages, not %d: %s", len(v.Visible()), want, v.Title())
		}
	}
	filter(`agent == "1010"`)
	press("2")
	shows(4)
	press("3", "2")
	shows(4)
	press("\\")
	shows(40)
	press("1", "2")
	shows(40)
	press("1")
	filter(`name == "State"`)
	press("2")
	shows(13) // the States; the gap is none
}

// TestLadderIsOpenedWhereTheListIsGoing: the user need not wait for the list.
func TestLadderIsOpenedWhereTheListIsGoing(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 100_000, false)}}
	m := messages(t, src, 1)
	m.Goto(70_000)
	press(t, m, src, "2")
	if v := m.Top().(*LadderView); v.Selected != 70_000 {
		t.Errorf("the ladder is at %d", v.Selected)
	}
}

// TestLadderKnowsMarksMadeElsewhere goes to marks that were made in the list,
// or while a message was read, after the ladder was opened.
func TestLadderKnowsMarksMadeElsewhere(t *testing.T) {
	src, one := stored(t, shift())
	m := New()
	m.Desk = Desk{Mark: src.Mark, Unmark: src.Unmark}
	m.Open(one)
	settle(t, m, src)
	press(t, m, src, "2", "1", "g", "j", "j", "m", "g", "2", "]")
	v := m.Top().(*LadderView)
	if v.Selected != 3 {
		t.Errorf("] goes to %d, the mark is on 3: %s", v.Selected, m.Notice)
	}
	if line := strings.Split(draw(m).String(), "\n")[3]; !strings.Contains(line, "3*") {
		t.Errorf("the mark is not seen: %q", line)
	}
	press(t, m, src, "j", "Enter", "m", "q", "g", "]", "]")
	if v.Selected != 4 {
		t.Errorf("] goes to %d, the mark is on 4: %s", v.Selected, m.Notice)
	}
}
