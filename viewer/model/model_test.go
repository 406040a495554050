package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/store"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fake is a Source of sessions whose records are made up from their seq.
type fake struct {
	sessions []store.Session
	asked    int
	err      error
}

func (f *fake) Sessions(context.Context) ([]store.Session, error) {
	return slices.Clone(f.sessions), f.err
}

func (f *fake) Session(_ context.Context, id int64) (store.Session, error) {
	return f.sessions[id-1], f.err
}

func (f *fake) After(_ context.Context, session, seq int64, n int) ([]store.Row, error) {
	f.asked++
	session = max(session, -session) // of TwoSources
	var rows []store.Row
	for seq++; seq <= f.sessions[session-1].LastSeq && len(rows) < n; seq++ {
		rows = append(rows, row(seq))
	}
	return rows, f.err
}

func (f *fake) Marks(context.Context, int64) ([]store.Annotation, error) { return nil, f.err }

func (f *fake) Scan(int64, *store.Filter, int64, bool) *store.Scan { return nil }

func (f *fake) Before(_ context.Context, session, seq int64, n int) ([]store.Row, error) {
	f.asked++
	last := min(seq-1, f.sessions[session-1].LastSeq)
	var rows []store.Row
	for seq = max(1, last-int64(n)+1); seq <= last; seq++ {
		rows = append(rows, row(seq))
	}
	return rows, f.err
}

func row(seq int64) store.Row {
	return store.Row{Record: capture.Record{
		Seq: seq, CapturedAt: noon.Add(time.Duration(seq) * time.Second), Mono: time.Duration(seq) * time.Second,
		Direction: capture.Event, To: "topic://c", BodyKind: capture.Text, Body: fmt.Appendf(nil, "1001#State#READY#%d#2022", seq),
	}}
}

// session returns the n-th session, of so many messages.
func session(id, messages int64, live bool) store.Session {
	s := store.Session{ID: id, SessionInfo: store.SessionInfo{Name: fmt.Sprint("s", id), StartedAt: noon}, LastSeq: messages, Events: messages, Live: live}
	if !live {
		s.EndedAt, s.EndReason = &noon, "stopped"
	}
	return s
}

// settle does all that the model asks for.
func settle(t *testing.T, m *Model, src Source) {
	t.Helper()
	for range 100 {
		task := m.Next()
		if task == nil {
			return
		}
		do(t.Context(), m, src, task)
	}
	t.Fatal("the model never has enough")
}

// do does a task as whoever drives the model does.
func do(ctx context.Context, m *Model, src Source, task *Task) {
	apply, err := task.Do(ctx, src, NewProgress(func(apply func()) { m.Part(task, apply) }))
	m.Done(task, apply, err)
}

// press gives keys, and between them all that the model asks for.
func press(t *testing.T, m *Model, src Source, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if !m.Key(key) {
			t.Fatalf("%s is not bound in %s", key, m.View())
		}
		settle(t, m, src)
	}
}

func messages(t *testing.T, src *fake, id int64) *Model {
	t.Helper()
	m := New()
	m.Open(src.sessions[id-1])
	settle(t, m, src)
	return m
}

// where says what the message list shows: first, selected and last seq.
func where(m *Model) string {
	items := m.Messages.Visible()
	if len(items) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d-%d at %d", items[0].Seq, items[len(items)-1].Seq, m.Messages.Selected)
}

func TestMovingInALongSession(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 10_000, false)}}
	m := messages(t, src, 1)
	for _, step := range []struct{ key, want string }{
		{"", "1-21 at 1"}, // 24 lines: head, titles, 21 messages, foot
		{"j", "1-21 at 2"},
		{"k", "1-21 at 1"},
		{"k", "1-21 at 1"},
		{"PgDn", "1-21 at 21"},
		{"PgDn", "21-41 at 41"},
		{"PgUp", "21-41 at 21"},
		{"G", "9980-10000 at 10000"},
		{"j", "9980-10000 at 10000"},
		{"k", "9980-10000 at 9999"},
		{"PgUp", "9979-9999 at 9979"},
		{"g", "1-21 at 1"},
		{"End", "9980-10000 at 10000"},
		{"Home", "1-21 at 1"},
	} {
		if step.key != "" {
			press(t, m, src, step.key)
		}
		if got := where(m); got != step.want {
			t.Fatalf("after %q: %s, want %s", step.key, got, step.want)
		}
	}
}

func TestManyKeysBeforeTheStoreAnswers(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 10_000, false)}}
	m := messages(t, src, 1)
	for range 30 { // 600 rows, three windows further than what is loaded
		m.Key("PgDn")
	}
	settle(t, m, src)
	if m.Messages.Selected != 601 {
		t.Errorf("selected %d, want 601: keys were lost at the end of the window", m.Messages.Selected)
	}
	m.Key("g")
	m.Key("k")
	settle(t, m, src)
	if got := where(m); got != "1-21 at 1" {
		t.Error(got)
	}
}

func TestWindowStaysSmallAndWhole(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 3000, false)}}
	m := messages(t, src, 1)
	r := rand.New(rand.NewPCG(1, 2))
	keys := []string{"j", "k", "PgDn", "PgDn", "PgUp", "G", "g"}
	for i := range 3000 {
		key := keys[r.IntN(5)]
		if i%500 == 499 {
			key = keys[5+r.IntN(2)]
		}
		press(t, m, src, key)
		l := &m.Messages
		if len(l.items) > maxItems+2*chunk {
			t.Fatalf("the window holds %d items", len(l.items))
		}
		visible := l.Visible()
		if len(visible) != 21 {
			t.Fatalf("%d rows on the screen", len(visible))
		}
		for j := range visible {
			if visible[j].Seq != visible[0].Seq+int64(j) {
				t.Fatalf("rows are missing: %d follows %d", visible[j].Seq, visible[0].Seq)
			}
		}
		if l.Selected < visible[0].Seq || l.Selected > visible[20].Seq {
			t.Fatalf("the selection %d is not on the screen %s", l.Selected, where(m))
		}
	}
}

func TestResizeKeepsTheSelection(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 100, false)}}
	m := messages(t, src, 1)
	press(t, m, src, "G")
	for _, step := range []struct {
		height int
		want   string
	}{{10, "94-100 at 100"}, {43, "61-100 at 100"}, {200, "1-100 at 100"}, {1, "100-100 at 100"}} {
		m.Resize(80, step.height)
		settle(t, m, src)
		if got := where(m); got != step.want {
			t.Errorf("%d lines: %s, want %s", step.height, got, step.want)
		}
	}
}

func TestLiveSessionIsFollowedUntilTheUserMoves(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 1000, true)}}
	grow := func(m *Model, n int64) {
		src.sessions[0].LastSeq += n
		src.sessions[0].Events += n
		m.Tick()
		settle(t, m, src)
	}
	m := messages(t, src, 1)
	if got := where(m); got != "980-1000 at 1000" || !m.Messages.Following {
		t.Fatalf("opened at %s, following %v", got, m.Messages.Following)
	}
	grow(m, 3)
	if got := where(m); got != "983-1003 at 1003" {
		t.Errorf("followed to %s", got)
	}
	grow(m, 50_000)
	if got := where(m); got != "50983-51003 at 51003" {
		t.Errorf("followed to %s", got)
	}
	press(t, m, src, "k")
	grow(m, 5)
	if got := where(m); got != "50983-51003 at 51002" || m.Messages.Following {
		t.Errorf("moved under the user's hands: %s", got)
	}
	if m.Messages.Session.LastSeq != 51008 {
		t.Errorf("the head still says %d", m.Messages.Session.LastSeq)
	}
	press(t, m, src, "f")
	if got := where(m); got != "50988-51008 at 51008" || !m.Messages.Following {
		t.Errorf("f: %s", got)
	}
	src.sessions[0].LastSeq++
	src.sessions[0].Live = false
	m.Tick()
	settle(t, m, src)
	if got := where(m); got != "50989-51009 at 51009" {
		t.Errorf("the last message of a session that has ended: %s", got)
	}
	press(t, m, src, "k", "f")
	if m.Notice == "" || m.Messages.Following {
		t.Error("follows a session that has ended")
	}
}

func TestNewRowsReachAnUnfollowedList(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 5, true)}}
	m := messages(t, src, 1)
	press(t, m, src, "k")
	src.sessions[0].LastSeq = 9
	m.Tick()
	settle(t, m, src)
	if got := where(m); got != "1-9 at 4" {
		t.Error(got)
	}
}

func TestEmptySessions(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 0, false), session(2, 0, true)}}
	for _, id := range []int64{1, 2} {
		m := messages(t, src, id)
		press(t, m, src, "j", "k", "G", "g", "PgDn", "Enter", "r", "f")
		if m.View() != MessageList || where(m) != "nothing" {
			t.Errorf("session %d: %s, %s", id, m.View(), where(m))
		}
	}
}

func TestSessionListKeepsItsSelection(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 1, false), session(2, 1, false), session(3, 1, false)}}
	m := New()
	settle(t, m, src)
	if m.Sessions.Selected != 3 {
		t.Errorf("selected %d, want the latest", m.Sessions.Selected)
	}
	press(t, m, src, "k")
	src.sessions = append(src.sessions, session(4, 1, true))
	m.Tick()
	settle(t, m, src)
	if m.Sessions.Selected != 2 || len(m.Sessions.Visible()) != 4 {
		t.Errorf("selected %d of %d", m.Sessions.Selected, len(m.Sessions.Visible()))
	}
	press(t, m, src, "Enter")
	if m.View() != MessageList || m.Messages.Session.ID != 2 {
		t.Errorf("Enter opened %d in %s", m.Messages.Session.ID, m.View())
	}
	press(t, m, src, "q")
	if m.View() != SessionList || m.Quit() {
		t.Error("q does not lead back")
	}
	press(t, m, src, "q")
	if !m.Quit() {
		t.Error("q does not quit")
	}
}

func TestReaderFollowsTheSelection(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 1000, false)}}
	m := messages(t, src, 1)
	press(t, m, src, "j", "Enter")
	if m.View() != Detail || m.Reader.Record().Seq != 2 {
		t.Fatalf("%s of %d", m.View(), m.Reader.Record().Seq)
	}
	press(t, m, src, "n", "n", "p")
	if m.Reader.Record().Seq != 3 || m.Messages.Selected != 3 {
		t.Errorf("reads %d, selected %d", m.Reader.Record().Seq, m.Messages.Selected)
	}
	for _, want := range []Name{Raw, Hex, Detail} {
		if press(t, m, src, "Tab"); m.View() != want {
			t.Errorf("Tab leads to %s, want %s", m.View(), want)
		}
	}
	press(t, m, src, "?")
	m.Resize(60, 20)
	if text := shown(m); !strings.Contains(text, "next message") {
		t.Errorf("help does not list the keys:\n%s", text)
	}
	press(t, m, src, "Esc", "r")
	if text := shown(m); !strings.Contains(text, "1001#State#READY#3#2022") {
		t.Errorf("raw after help:\n%s", text)
	}
	press(t, m, src, "q")
	if got := where(m); m.View() != MessageList || !strings.HasSuffix(got, "at 3") {
		t.Errorf("back in %s, %s", m.View(), got)
	}
}

// shown is the text of the screen of a reader, or of the help.
func shown(m *Model) string {
	var b strings.Builder
	for _, line := range m.Top().(interface{ Visible() []Line }).Visible() {
		fmt.Fprintf(&b, "%s|%s\n", line.Label, line.Text)
	}
	return b.String()
}

func TestErrorsAreShownAndNotRepeated(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 1000, false)}}
	m := messages(t, src, 1)
	src.err = errors.New("store x: is damaged\x1b")
	m.Key("G")
	settle(t, m, src)
	if m.Notice != "store x: is damaged␛" {
		t.Errorf("notice %q", m.Notice)
	}
	asked := src.asked
	settle(t, m, src)
	if src.asked != asked {
		t.Error("asks for the same again")
	}
	m = messages(t, &fake{sessions: src.sessions}, 1)
	m.Key("Enter")
	settle(t, m, src)
	if m.View() != Detail || m.Notice == "" || !strings.Contains(shown(m), "could not be read") {
		t.Errorf("a message that cannot be read: %s, %q:\n%s", m.View(), m.Notice, shown(m))
	}
	press(t, m, &fake{sessions: src.sessions}, "n")
	if !strings.Contains(shown(m), "state|READY") {
		t.Errorf("the message after it:\n%s", shown(m))
	}
}

func TestLateAnswersAreDropped(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 1000, false), session(2, 10, false)}}
	m := New()
	settle(t, m, src)
	m.Open(src.sessions[0])
	task := m.Next()
	m.Key("q")
	m.Open(src.sessions[1])
	if !m.Stop(task) {
		t.Error("work that nobody wants goes on")
	}
	do(t.Context(), m, src, task)
	settle(t, m, src)
	if got := where(m); got != "1-10 at 1" {
		t.Errorf("the other session's rows came in: %s", got)
	}
}

func TestMessageTexts(t *testing.T) {
	login := "Login#1001"
	rec := row(1)
	rec.Direction, rec.JMSType, rec.Body = capture.Command, &login, []byte("***,3001")
	rec.Masked = []capture.Mask{{Field: "password", Start: 0, End: 3}}
	rec.Headers = []capture.Header{{Name: "agent\x1b", Value: "1001"}}
	call := row(2)
	call.Body = []byte("1001#NewInboundCall#42512#ani=1|wide=漢字漢字漢字漢字#17672721")
	gap := store.Row{Record: capture.Gap{From: noon, To: noon, Reason: capture.GapCrash}.Record()}
	large := row(3)
	large.Body = []byte(strings.Repeat("x", rawLimit+7))
	for _, test := range []struct {
		name  string
		row   store.Row
		view  Name
		wants []string
	}{
		{"a command", rec, Detail, []string{"|Login", "password|***", "extension|3001", "masked|password, bytes 0 to 3", "agent␛|1001"}},
		{"an event with a call", call, Detail, []string{"callVariables|", "  ani|1", "wide|漢字", "bad-key|"}},
		{"a gap", gap, Detail, []string{"gap|crash: lost unknown, after"}},
		{"no body", store.Row{Record: capture.Record{Seq: 1, BodyKind: capture.Null}}, Raw, []string{"JMSType|absent", "body|null, none"}},
		{"raw", rec, Raw, []string{"JMSType|10 bytes", "|Login#1001", "body|text, 8 bytes", "|***,3001"}},
		{"a large body", large, Raw, []string{"xxxx"}},
		{"hex", rec, Hex, []string{"|00000000  2a 2a 2a 2c 33 30 30 31                           |***,3001|"}},
		{"hex of nothing", store.Row{}, Hex, []string{"body|, none"}},
	} {
		m := New()
		m.Resize(60, 100)
		test.row.Seq = 1
		m.Messages.Session.ID, m.Messages.Selected = 1, 1
		m.Messages.read(m, test.view)
		do(t.Context(), m, one{test.row}, m.Next())
		text := shown(m)
		for _, want := range test.wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", test.name, want, text)
			}
		}
	}
}

// one is a Source of a single record.
type one struct{ row store.Row }

func (o one) Sessions(context.Context) ([]store.Session, error)     { return nil, nil }
func (o one) Session(context.Context, int64) (store.Session, error) { return store.Session{}, nil }
func (o one) After(context.Context, int64, int64, int) ([]store.Row, error) {
	return []store.Row{o.row}, nil
}
func (o one) Marks(context.Context, int64) ([]store.Annotation, error)       { return nil, nil }
func (o one) Scan(int64, *store.Filter, int64, bool) *store.Scan             { return nil }
func (o one) Before(context.Context, int64, int64, int) ([]store.Row, error) { return nil, nil }

func TestKeyTableIsSound(t *testing.T) {
	type place struct {
		view Name
		key  string
	}
	seen := map[place]bool{}
	for i, b := range Bindings {
		if p := (place{b.View, b.Key}); seen[p] {
			t.Errorf("%s is bound twice in %q", b.Key, b.View)
		} else {
			seen[p] = true
		}
		if b.Help == "" && (i == 0 || Bindings[i-1].Action != b.Action || Bindings[i-1].View != b.View) {
			t.Errorf("%s in %q has no help of its own", b.Key, b.View)
		}
	}
	for _, tab := range Tabs() {
		if got := ActionFor(MessageList, tab.Key); got != "tab."+string(tab.Name) {
			t.Errorf("%s leads to %q, not to the tab %s", tab.Key, got, tab.Name)
		}
	}
}

func TestLongNumbersAreWhole(t *testing.T) {
	utc(t)
	src := &fake{sessions: []store.Session{session(1, 123_456_789, false)}}
	m := New()
	settle(t, m, src)
	press(t, m, src, "Enter", "G")
	if lines := draw(m).String(); !strings.Contains(lines, "123456789 ") || !strings.Contains(lines, " 123456788 ") {
		t.Errorf("a seq is cut:\n%s", lines)
	}
}

// TestLineIsBounded: each character has the line checked.
func TestLineIsBounded(t *testing.T) {
	m := New()
	m.askFilter("")
	for range maxLine + 10 {
		m.Key("Space")
	}
	if n := len(m.Asking().text); n != maxLine || m.Notice != "the line is full" {
		t.Errorf("%d characters are written, %q", n, m.Notice)
	}
	m.Key("Backspace")
	if n := len(m.Asking().text); n != maxLine-1 || m.Notice != "" {
		t.Errorf("then %d characters, %q", n, m.Notice)
	}
}

// TestHelpFitsTheScreen folds what a narrow screen has no room for.
func TestHelpFitsTheScreen(t *testing.T) {
	for _, width := range []int{80, 40} {
		for view := range opened {
			m := New()
			m.Resize(width, 1000)
			h := newHelp(view)
			m.Push(h)
			var all strings.Builder
			for _, line := range h.Visible() {
				if n := runewidth.StringWidth(line.Text); n > width {
					t.Errorf("%d columns in %d: %q", n, width, line.Text)
				}
				all.WriteString(" " + line.Text)
			}
			text := strings.Join(strings.Fields(all.String()), " ")
			for _, b := range Bindings {
				if (b.View == view || b.View == Everywhere) && !strings.Contains(text, b.Help) {
					t.Errorf("the help of %q on %d columns lacks %q", view, width, b.Help)
				}
			}
		}
	}
}

// opened shows each view; a view without one is not tested with its keys.
var opened = map[Name]func(t *testing.T, m *Model, src Source){
	SessionList: func(t *testing.T, m *Model, src Source) { press(t, m, src, "Esc") },
	MessageList: func(*testing.T, *Model, Source) {},
	Detail:      func(t *testing.T, m *Model, src Source) { press(t, m, src, "Enter") },
	Raw:         func(t *testing.T, m *Model, src Source) { press(t, m, src, "r") },
	Hex:         func(t *testing.T, m *Model, src Source) { press(t, m, src, "x") },
	Help:        func(t *testing.T, m *Model, src Source) { press(t, m, src, "?") },
	Ladder:      func(t *testing.T, m *Model, src Source) { press(t, m, src, "2") },
	Timeline:    func(t *testing.T, m *Model, src Source) { press(t, m, src, "3") },
	DiffView:    opensDiff,
	Console:     func(_ *testing.T, m *Model, _ Source) { m.Replay(newFakePlayer()) },
	PromptLine:  func(t *testing.T, m *Model, src Source) { press(t, m, src, "/") },
}

func TestEveryKeyDoesSomething(t *testing.T) {
	for _, b := range Bindings {
		view := b.View
		if view == Everywhere {
			view = MessageList
		}
		open := opened[view]
		if open == nil {
			t.Errorf("nothing opens the view %q", b.View)
			continue
		}
		var src Source = &fake{sessions: []store.Session{session(1, 1000, false)}}
		if view == Ladder { // its keys set filters
			src, _ = stored(t, shift())
		}
		m := New()
		settle(t, m, src)
		press(t, m, src, "Enter")
		open(t, m, src)
		if m.View() != view && (view != PromptLine || m.Asking() == nil) {
			t.Fatalf("%q is shown, not %q", m.View(), view)
		}
		if !m.Key(b.Key) {
			t.Errorf("%s in %q: there is no action %q", b.Key, b.View, b.Action)
		}
		settle(t, m, src)
	}
}

func TestUnwantedWorkIsStopped(t *testing.T) {
	src := &fake{sessions: []store.Session{session(1, 1000, false)}}
	m := New()
	settle(t, m, src)
	m.Key("Enter")
	task := m.Next()
	if task == nil || m.Stop(task) {
		t.Fatal("no work to do for a list that is opened")
	}
	task.Progress("reading messages …")
	m.Key("Esc")
	if !m.Stop(task) || m.View() != MessageList {
		t.Fatalf("Esc while waiting: stop %v, in %s", m.Stop(task), m.View())
	}
	m.Done(task, nil, context.Canceled)
	if next := m.Next(); m.Notice != "stopped: reading messages" || next != nil && next.What == task.What {
		t.Errorf("after stopping: %q, then %+v", m.Notice, next)
	}
	m.Key("Esc")
	if m.View() != SessionList {
		t.Error("Esc does not lead back")
	}
}

// TestRealStore is the list over a store's pages, as the program has it.
func TestRealStore(t *testing.T) {
	t.Setenv("GCTAP_KEY", filepath.Join(t.TempDir(), "signing.key"))
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "gctap.db"), store.Record)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := s.NewSession(t.Context(), store.SessionInfo{Name: "a", StartedAt: noon})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b capture.Batch
	for n := int64(1); n <= 1000; n++ {
		b.Records = append(b.Records, row(n).Record)
	}
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	m := New()
	settle(t, m, s)
	press(t, m, s, "Enter")
	if got := where(m); got != "980-1000 at 1000" || !m.Messages.Following {
		t.Errorf("a live session opens at %s", got)
	}
	press(t, m, s, "g", "PgDn", "Enter")
	if got := m.Reader.Record(); got == nil || got.Seq != 21 {
		t.Errorf("reads %+v", got)
	}
	w.Close() // dies
	press(t, m, s, "q")
	m.Tick()
	settle(t, m, s)
	press(t, m, s, "G")
	if items := m.Messages.Visible(); items[len(items)-1].Direction != capture.GapRow {
		t.Errorf("the list ends with %+v", items[len(items)-1])
	}
}
