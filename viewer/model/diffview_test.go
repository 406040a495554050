package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"gctap/capture"
	"gctap/replay/diff"
)

// changed is the shift once more, from a build that does some things otherwise.
func changed() []capture.Record {
	var records []capture.Record
	for _, rec := range shift() {
		body := string(rec.Body)
		switch {
		case strings.Contains(body, "State#HOLD"):
			continue // missing
		case strings.Contains(body, "NOT_READY#32"):
			rec.Body = bytes.Replace(rec.Body, []byte("#32#"), []byte("#33#"), 1)
		case strings.Contains(body, "AgentInfo#漢字"):
			rec.Body = bytes.Replace(rec.Body, []byte("OPTIONAL"), []byte("REQUIRED"), 1)
		}
		rec.Body = bytes.Replace(rec.Body, []byte("2026-11-23 09:00:00"), []byte("2026-11-24 10:00:00"), 1)
		records = append(records, rec)
		if strings.Contains(body, "State#TALKING") && strings.HasPrefix(body, "1002") {
			records = append(records, rec) // twice
		}
	}
	return records
}

// compared returns a model that shows how two sessions compare.
func compared(t *testing.T, width, height int, opts diff.Options) (*Model, func(keys ...string)) {
	t.Helper()
	utc(t)
	l, ls := stored(t, shift())
	r, rs := stored(t, changed())
	src := TwoSources(l, r)
	m := New()
	m.Resize(width, height)
	settle(t, m, src)
	rs.Name = "shift again"
	m.Compare(Comparison{Left: ls, Right: rs, Compare: func(ctx context.Context, _ *Progress, pair func(*diff.Pair) error) (*diff.Report, error) {
		o := opts
		o.Pairs = pair
		return diff.Compare(l.Records(ctx, ls.ID, 1), r.Records(ctx, rs.ID, 1), o)
	}})
	settle(t, m, src)
	return m, func(keys ...string) {
		t.Helper()
		press(t, m, src, keys...)
	}
}

func TestDiffViewIsDrawn(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		m, press := compared(t, size[0], size[1], diff.Options{Ignore: []string{"wrapUpOnIncoming"}})
		golden(t, fmt.Sprintf("diff-%d", size[0]), m.Top().Title()+"\n"+draw(m).String())
		press("i", "o")
		golden(t, fmt.Sprintf("diff-%d-ignored", size[0]), m.Top().Title()+"\n"+draw(m).String())
	}
}

func TestDiffViewKeys(t *testing.T) {
	m, press := compared(t, 120, 40, diff.Options{Ignore: []string{"wrapUpOnIncoming"}})
	v := m.Top().(*DiffScreen)
	on := func(want string) {
		t.Helper()
		lines := v.lines(v.shown[v.row()])
		if len(lines) == 0 || !strings.Contains(lines[0].Text, want) {
			t.Errorf("on %v, want %q; %s\n%s", lines, want, m.Notice, draw(m))
		}
	}
	on("missing State")
	press("N")
	if m.Notice != "no difference before this one" {
		t.Errorf("says %q", m.Notice)
	}
	press("n")
	on("duplicated State")
	press("n")
	on("changed State: reasonCode")
	press("n")
	if m.Notice != "no difference after this one" {
		t.Errorf("says %q", m.Notice)
	}
	press("p")
	on("duplicated State")
	if _, all := v.place(); all != 3 {
		t.Errorf("%d differences", all)
	}
	press("i", "N")
	on("the same, but for what")
	if text := draw(m).String(); !strings.Contains(text, "left out: ignore:wrapUpOnIncoming") || !strings.Contains(text, "wrapUpOnIncoming: OPTIONAL → REQUIRED") {
		t.Errorf("not told what is left out:\n%s", text)
	}
	press("i", "g")
	if text := draw(m).String(); strings.Contains(text, "left out") {
		t.Errorf("what is left out is told unasked:\n%s", text)
	}
	press("G", "o")
	if v.rows() != 3 || v.row() != v.pairs.differ[2] {
		t.Errorf("only what differs: %d rows, on %d", v.rows(), v.row())
	}
	press("o")
	if v.rows() != v.pairs.count {
		t.Errorf("everything: %d rows of %d", v.rows(), v.pairs.count)
	}
}

// TestDiffViewLeadsToTheMessages of both sides, and back.
func TestDiffViewLeadsToTheMessages(t *testing.T) {
	m, press := compared(t, 120, 40, diff.Options{})
	v := m.Top().(*DiffScreen)
	press("n", "n", "n") // the reason code
	shown := v.shown[v.row()]
	press("Enter")
	if m.View() != MessageList || m.Messages.Session.ID != v.what.Left.ID || m.Messages.Selected != shown.Left {
		t.Errorf("Enter leads to %d of session %d in %s, not to %d", m.Messages.Selected, m.Messages.Session.ID, m.View(), shown.Left)
	}
	press("Esc", "Tab", "Enter")
	if m.Messages.Session.ID != v.what.Right.ID || m.Messages.Selected != shown.Right {
		t.Errorf("Enter leads to %d of session %d, not to %d", m.Messages.Selected, m.Messages.Session.ID, shown.Right)
	}
	press("2")
	if text := draw(m).String(); !strings.Contains(text, "State NOT_READY 33") {
		t.Errorf("the ladder is not the right session's:\n%s", text)
	}
	press("Esc")
	if m.Top() != v {
		t.Fatalf("Esc leads to %s", m.View())
	}
	press("g")
	m.Click(100, 5)
	if v.at != v.top+3 || !v.right {
		t.Errorf("a click selects row %d, right %v", v.at, v.right)
	}
	press("Tab")
	for v.shown[v.row()].Right != 0 {
		press("j")
	}
	press("Tab", "Enter")
	if m.Top() != v || !strings.Contains(m.Notice, "this side has no such message") {
		t.Errorf("says %q", m.Notice)
	}
}

// TestDiffViewCanBeStopped, and what fails is told.
func TestDiffViewCanBeStopped(t *testing.T) {
	broken := errors.New("store x.db: is damaged")
	fails := true
	m := New()
	m.Compare(Comparison{Left: session(1, 0, false), Right: session(1, 0, false), Compare: func(context.Context, *Progress, func(*diff.Pair) error) (*diff.Report, error) {
		if fails {
			return nil, broken
		}
		return &diff.Report{Verdict: diff.Same}, nil
	}})
	src := TwoSources(&fake{}, &fake{})
	settle(t, m, src)
	if m.Notice != broken.Error() || !strings.Contains(draw(m).String(), "R tries again") {
		t.Errorf("says %q\n%s", m.Notice, draw(m))
	}
	fails = false
	press(t, m, src, "R")
	if !strings.Contains(draw(m).String(), "no message differs") || !strings.Contains(m.Top().Title(), "same  0 differences") {
		t.Errorf("shows %s\n%s", m.Top().Title(), draw(m))
	}
}

// TestPairSpoolKeepsPairs whatever their number.
func TestPairSpoolKeepsPairs(t *testing.T) {
	s, err := newPairSpool()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	seq := int64(7)
	for i := range 10_000 {
		p := diff.Pair{Conversation: fmt.Sprint(1000 + i%3), Left: int64(i), Right: int64(2 * i), LeftOut: []string{"volatile:a", "volatile:b", "noise:c"}[:i%4]}
		if i%100 == 0 {
			p.Found = []diff.Difference{{Class: diff.Changed, Left: &seq}, {Class: diff.Late}}
		}
		if err := s.add(&p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if len(s.differ) != 100 || len(s.restless) != 2600 {
		t.Errorf("%d differ, of %d something is left out", len(s.differ), len(s.restless))
	}
	for _, i := range []int{0, 1, 3, 200, 9999} {
		p, err := s.read(i)
		if err != nil || p.Left != int64(i) || p.Right != int64(2*i) || p.Conversation != fmt.Sprint(1000+i%3) || len(p.LeftOut) != i%4 || (p.Class == diff.Changed) != (i%100 == 0) || len(p.Found) != 2*len(p.Class)/len(diff.Changed) {
			t.Errorf("pair %d is %+v, %v", i, p, err)
		}
		if i%4 == 3 && p.LeftOut[0] != "noise:c" {
			t.Errorf("pair %d: %v", i, p.LeftOut)
		}
	}
}

// opensDiff shows two equal sessions side by side.
func opensDiff(t *testing.T, m *Model, src Source) {
	one := src.(*fake).sessions[0]
	m.Compare(Comparison{Left: one, Right: one, Compare: func(ctx context.Context, _ *Progress, pair func(*diff.Pair) error) (*diff.Report, error) {
		rows := func() iter.Seq2[capture.Record, error] { // each side is read by a goroutine of its own
			own := &fake{sessions: src.(*fake).sessions}
			return func(yield func(capture.Record, error) bool) {
				for row, err := range rowsOf(ctx, own, one.ID, 0) {
					if !yield(row.Record, err) {
						return
					}
				}
			}
		}
		return diff.Compare(rows(), rows(), diff.Options{Pairs: pair})
	}})
	settle(t, m, TwoSources(src, src))
}
