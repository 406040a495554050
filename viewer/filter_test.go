package viewer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"gctap/capture"
	"gctap/store"
	"gctap/viewer/model"
)

// agents makes a session in which 1001 and 1002 take turns, 300 messages each.
func agents(t *testing.T) (*store.Store, store.Session) {
	t.Helper()
	s, _ := makeStore(t)
	w := begin(t, s, "agents")
	var records []capture.Record
	for n := range 600 {
		agent, state := "1001", "READY"
		if n%2 == 1 {
			agent, state = "1002", "BUSY"
		}
		records = append(records, capture.Record{Direction: capture.Event, To: "topic://" + agent, BodyKind: capture.Text,
			Body: []byte(agent + "#State#" + state + "#0#" + noon.Format("2006-01-02 15:04:05"))})
	}
	write(t, w, records...)
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	return s, find(t, s, "agents")
}

func find(t *testing.T, s *store.Store, name string) store.Session {
	t.Helper()
	one, err := s.Find(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

func desk(s *store.Store) model.Desk {
	return model.Desk{
		Mark:   s.Mark,
		Unmark: s.Unmark,
		Export: func(ctx context.Context, one store.Session, f *store.Filter, file string, _ *model.Progress) (string, error) {
			c, err := s.ExportFile(ctx, one.ID, file, f)
			return "exported " + c.Session.Name, err
		},
	}
}

// types writes a text, a key a character.
func (term *terminal) types(text string) {
	for _, r := range text {
		term.press(r)
	}
}

func TestFilterLine(t *testing.T) {
	s, one := agents(t)
	var remembered []string
	term := start(t, s, Options{Session: &one, Remember: func(f []string) { remembered = f }})
	term.sees("     1 ", "1002     State")
	term.press('j', '/')
	term.types(`agnt == "1002"`)
	term.sees(`filter: agnt == "1002"`, `^ no name "agnt"; nearest: agent`)
	term.press(tcell.KeyCtrlU)
	term.types("age")
	term.sees("agent")
	term.press(tcell.KeyTab)
	term.types(" == ")
	term.sees(`"1001"  "1002"`) // values seen
	term.press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
	text := term.sees(`filter: agent == "1002"`, "      2 ", "      4 ", "     42 ")
	if strings.Contains(text, "1001     State") {
		t.Errorf("the filter lets others pass:\n%s", text)
	}
	term.press('G')
	term.sees("   600 ", "   560 ")
	term.press('/')
	term.types(` && seq > 9000`)
	term.press(tcell.KeyEnter)
	term.sees("no message passes the filter")
	term.press('/', tcell.KeyUp)
	term.sees(`filter: agent == "1002" && seq > 9000`)
	term.press(tcell.KeyUp)
	term.sees(`filter: agent == "1002"`)
	term.press(tcell.KeyEscape, '\\')
	term.sees("1001     State", "1002     State", "   600 ")
	term.press('g')
	term.sees("      1 ")
	term.press('=')
	term.sees(`filter: agent == "1001" && name == "State"`)
	term.press(tcell.KeyEnter)
	term.sees(`WHAT  filter: agent == "1001"`, "     43 ")
	term.press('q', 'q')
	if err := term.end(); err != nil || len(remembered) != 3 {
		t.Errorf("%v, remembered %q", err, remembered)
	}
}

// selects waits until the message of that seq is selected.
func (term *terminal) selects(seq string) {
	term.t.Helper()
	last := ""
	for range 100 {
		last = term.sees("SEQ")
		cells, width, height := term.cells()
		for y := 2; y < height; y++ {
			row := cells[y*width : y*width+7]
			if _, _, attr := row[6].Style.Decompose(); attr&tcell.AttrReverse == 0 {
				continue
			}
			var text strings.Builder
			for _, cell := range row {
				text.WriteString(string(cell.Runes))
			}
			if strings.Trim(text.String(), " *") == seq {
				return
			}
		}
	}
	term.t.Fatalf("message %s is never selected:\n%s", seq, last)
}

func TestSearch(t *testing.T) {
	s, one := agents(t)
	term := start(t, s, Options{Session: &one})
	term.sees("     2 ")
	term.press('s')
	term.sees("search:")
	term.types("BUSY#0")
	term.press(tcell.KeyEnter)
	term.selects("2")
	term.press('n')
	term.selects("4")
	term.press('n')
	term.selects("6")
	term.press('N')
	term.selects("4")
	term.press('s')
	term.types("nowhere")
	term.press(tcell.KeyEnter)
	term.sees(`"nowhere" is not found behind message 4`)
}

func TestMarks(t *testing.T) {
	s, one := agents(t)
	term := start(t, s, Options{Session: &one, Desk: desk(s)})
	term.sees("     2 ")
	term.press('j', 'M')
	term.types("began q1")
	term.press(tcell.KeyEnter)
	term.sees("*     2 ", "[began q1] state=BUSY")
	term.press('G')
	term.selects("600")
	term.press('m')
	term.sees("*   600 ")
	term.press('t', 't')
	term.sees("SINCE MARK", "   599    +597.000s", "   600      +0.000s")
	term.press('[')
	term.selects("2")
	term.press('[')
	term.sees("no mark further on")
	term.press(']')
	term.selects("600")
	term.press('m')
	term.sees("\n    600 ")
	marks, err := s.Marks(t.Context(), one.ID)
	if err != nil || len(marks) != 1 || marks[0].Seq != 2 || marks[0].Text != "began q1" {
		t.Errorf("saved %+v, %v", marks, err)
	}
}

func TestCopyAndExport(t *testing.T) {
	s, one := agents(t)
	dir := t.TempDir()
	copied, exported := filepath.Join(dir, "copied"), filepath.Join(dir, "agents.gctap")
	term := start(t, s, Options{Session: &one, Desk: desk(s), CopyFile: copied})
	term.sees("     2 ")
	term.press('j', 'y')
	term.sees("copied message 2, ", "bytes, also to ")
	const want = "1002#State#BUSY#0#2026-11-21 12:00:00"
	text, err := os.ReadFile(copied)
	if err != nil || !strings.HasSuffix(string(text), want) || !strings.HasSuffix(string(term.screen.GetClipboardData()), want) {
		t.Errorf("copied %q to the file, %q to the clipboard, %v", text, term.screen.GetClipboardData(), err)
	}
	term.press('e', tcell.KeyCtrlU)
	term.types(exported)
	term.press(tcell.KeyEnter)
	term.sees("exported agents")
	if _, err := os.Stat(exported); err != nil {
		t.Error(err)
	}
	term.press('e', tcell.KeyCtrlU)
	term.types(exported)
	term.press(tcell.KeyEnter)
	term.sees("is there already")
}

// stuck is a Source whose scans never end but by their context.
type stuck struct {
	*store.Store
	entered chan struct{}
}

func (s stuck) After(ctx context.Context, session, seq int64, n int) ([]store.Row, error) {
	if seq == 0 {
		return s.Store.After(ctx, session, seq, n)
	}
	close(s.entered)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestSlowWorkIsToldAndStopped(t *testing.T) {
	s, one := agents(t)
	source := stuck{s, make(chan struct{})}
	term := start(t, source, Options{Session: &one})
	term.sees("     2 ")
	term.press(tcell.KeyPgDn, tcell.KeyPgDn, tcell.KeyPgDn, tcell.KeyPgDn, tcell.KeyPgDn, tcell.KeyPgDn)
	term.sees("reading messages …", "(Esc stops it)")
	<-source.entered
	term.press('k') // keys answer meanwhile
	term.sees("   120 ")
	term.press(tcell.KeyEscape)
	term.sees("stopped: reading messages")
	term.press(tcell.KeyEscape, 'q')
	if err := term.end(); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestPastedTextIsNoKeys: it is written where a line is, and is not done with
// its first line.
func TestPastedTextIsNoKeys(t *testing.T) {
	s, one := agents(t)
	term := start(t, s, Options{Session: &one})
	term.sees("     2 ")
	paste := func(keys ...any) {
		term.press(tcell.NewEventPaste(true))
		term.press(keys...)
		term.press(tcell.NewEventPaste(false))
	}
	paste('q', 'x', tcell.KeyEnter, '2')
	term.press('j', '/')
	term.sees("messages", "filter:", "     2 ")
	paste('s', 'e', 'q', tcell.KeyEnter, '>', '5')
	term.sees("filter: seq >5")
	term.press(tcell.KeyEnter)
	term.sees("WHAT  filter: seq >5", "     6 ")
}
