package viewer

import (
	"context"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"gctap/capture"
	"gctap/replay/diff"
	"gctap/viewer/model"
)

// specials are the keys of the terminal that are no characters, by their names.
func specials() map[string]tcell.Key {
	keys := map[string]tcell.Key{}
	for key, name := range tcell.KeyNames {
		keys[name] = key
	}
	return keys
}

// inject gives a key as model.Bindings names it.
func (term *terminal) inject(key string) {
	special, ok := specials()[key]
	switch runes := []rune(key); {
	case key == "WheelUp":
		term.screen.InjectMouse(30, 5, tcell.WheelUp, tcell.ModNone)
	case key == "WheelDown":
		term.screen.InjectMouse(30, 5, tcell.WheelDown, tcell.ModNone)
	case key == "Space":
		term.press(' ')
	case len(runes) == 1:
		term.press(runes[0])
	case ok:
		term.press(special)
	}
}

// TestLadderAndTimelineOnTheScreen presses every key of both views, and looks
// what the screen shows after those that lead to a text.
func TestLadderAndTimelineOnTheScreen(t *testing.T) {
	s, _ := makeStore(t)
	monday, err := s.Find(t.Context(), "monday")
	if err != nil {
		t.Fatal(err)
	}
	term := start(t, s, Options{Session: &monday})
	term.sees("monday  3 messages", "2 ladder", "3 timeline")
	for _, view := range []struct {
		name model.Name
		key  rune
		sees []string
	}{
		{model.Ladder, '2', []string{"SEQ TIME", "GC", "├", "Login 3001", "►│", "◄─ State READY", "≈≈≈≈ gap, reconnect"}},
		{model.Timeline, '3', []string{"AGENT", "1001", "READY"}},
	} {
		term.press(view.key)
		term.sees(view.sees...)
		for _, b := range model.Bindings {
			if b.View != view.name {
				continue
			}
			term.inject(b.Key)
			if b.Action == "view.detail" {
				term.sees("detail  message")
				term.press(tcell.KeyEscape)
			}
			if b.Action == "search" {
				term.sees("search:")
				term.press(tcell.KeyEscape)
			}
			term.press(view.key) // back, where Enter has led elsewhere
			term.sees(view.sees[:2]...)
		}
		term.press('?')
		term.sees("gctap  help", string(view.name))
		term.press(tcell.KeyEscape)
	}
	term.press(tcell.KeyCtrlC)
	if err := term.end(); err != nil {
		t.Error(err)
	}
}

// TestCallsHaveColours of their own, unless there are to be none.
func TestCallsHaveColours(t *testing.T) {
	s, _ := makeStore(t)
	w := begin(t, s, "calls")
	call := func(body string) { write(t, w, event(body)) }
	call("1001#NewInboundCall#42512#ani=42512#DialogID:17000001#CallType:PREROUTE_ACD_IN#x")
	call("1001#NewInboundCall#42512#ani=42512#DialogID:17000002#CallType:PREROUTE_ACD_IN#x")
	if err := w.End(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	calls, err := s.Find(t.Context(), "calls")
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []bool{false, true} {
		term := start(t, s, Options{Session: &calls, Plain: plain})
		term.sees("calls  2 messages")
		term.press('2')
		term.sees("NewInboundCall 17000001", "NewInboundCall 17000002", "◆")
		cells, width, _ := term.cells()
		colours := map[tcell.Color]bool{}
		for y := 1; y < 4; y++ {
			for x := range width {
				if cell := cells[y*width+x]; len(cell.Runes) > 0 && strings.ContainsRune("◆─", cell.Runes[0]) {
					colour, _, _ := cell.Style.Decompose()
					colours[colour] = true
				}
			}
		}
		if delete(colours, tcell.ColorDefault); plain != (len(colours) == 0) {
			t.Errorf("plain %v: colours %v", plain, colours)
		}
		term.press(tcell.KeyCtrlC)
		if err := term.end(); err != nil {
			t.Error(err)
		}
	}
}

func event(body string) capture.Record {
	return capture.Record{Direction: capture.Event, Body: []byte(body), To: "topic://c", BodyKind: capture.Text}
}

// TestDiffOnTheScreen presses every key of the view of two sessions.
func TestDiffOnTheScreen(t *testing.T) {
	s, _ := makeStore(t)
	monday, err := s.Find(t.Context(), "monday")
	if err != nil {
		t.Fatal(err)
	}
	w := begin(t, s, "tuesday")
	write(t, w, event("1001#State#READY#-1#2022-07-23 18:16:47"), event("1001#Nonsense#other"))
	if err := w.End(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	tuesday, err := s.Find(t.Context(), "tuesday")
	if err != nil {
		t.Fatal(err)
	}
	compare := func(ctx context.Context, _ *model.Progress, pair func(*diff.Pair) error) (*diff.Report, error) {
		return diff.Compare(s.Records(ctx, monday.ID, 1), s.Records(ctx, tuesday.ID, 1), diff.Options{Pairs: pair})
	}
	term := start(t, model.TwoSources(s, s), Options{Compare: &model.Comparison{Left: monday, Right: tuesday, Compare: compare}})
	head := []string{"monday | tuesday  different", "▸ monday"}
	term.sees(append(head, "1 -> Login", "<", "Nonsense", "≠", "args", "漢字␛[2J", "other")...)
	for _, b := range model.Bindings {
		if b.View != model.DiffView {
			continue
		}
		if b.Action == "diff.open" {
			term.press(tcell.KeyTab) // the right side has no Login
		}
		term.inject(b.Key)
		if b.Action == "diff.open" {
			term.sees("TIME", "AGENT", "WHAT")
			term.press(tcell.KeyEscape)
		}
		term.sees("monday | tuesday  different")
	}
	term.press('g', 'n', 'n')
	term.sees("changed Nonsense")
	term.press(tcell.KeyCtrlC)
	if err := term.end(); err != nil {
		t.Error(err)
	}
}
