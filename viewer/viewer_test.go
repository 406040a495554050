package viewer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/mattn/go-runewidth"

	"gctap/capture"
	"gctap/store"
	"gctap/viewer/model"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.Local)

// makeStore holds one ended session of every kind of row, and a live one.
func makeStore(t *testing.T) (*store.Store, *store.Writer) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "gctap.db"), store.Record)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := begin(t, s, "monday")
	login := "Login#1001"
	lost := int64(4)
	write(t, w,
		capture.Record{Direction: capture.Command, JMSType: &login, Body: []byte("***,3001"), To: "queue://Connector1", BodyKind: capture.Text},
		capture.Record{Direction: capture.Event, Body: []byte("1001#State#READY#-1#2022-07-22 18:16:47"), To: "topic://c", BodyKind: capture.Text},
		capture.Record{Direction: capture.Event, Body: []byte("1001#Nonsense#漢字\x1b[2J"), To: "topic://c", BodyKind: capture.Text},
		capture.Gap{To: noon, From: noon, Reason: capture.GapReconnect, Lost: &lost}.Record(),
	)
	if err := w.End(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	live := begin(t, s, "now")
	t.Cleanup(func() { live.Close() })
	return s, live
}

func begin(t *testing.T, s *store.Store, name string) *store.Writer {
	t.Helper()
	w, err := s.NewSession(t.Context(), store.SessionInfo{Name: name, Origin: store.OriginRecord, Broker: "stomp://gc:61613", StartedAt: noon})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, w *store.Writer, records ...capture.Record) {
	t.Helper()
	for i := range records {
		records[i].CapturedAt = noon.Add(time.Duration(i) * time.Second)
		records[i].Mono = time.Duration(i) * time.Second
	}
	if err := w.Write(t.Context(), capture.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

// A terminal is a viewer that runs on a simulated screen.
type terminal struct {
	t      *testing.T
	screen tcell.SimulationScreen
	mu     *sync.Mutex // held while cells change
	drawn  chan string // the screen's text after each drawing
	ended  chan error
	cancel context.CancelFunc
}

// shown passes on what is shown: tests wait for a picture, never for a time.
type shown struct {
	tcell.SimulationScreen
	mu    *sync.Mutex
	drawn chan string
	done  <-chan struct{}
}

func (s shown) Show() {
	s.mu.Lock()
	s.SimulationScreen.Show()
	s.mu.Unlock()
	select {
	case s.drawn <- picture(s.SimulationScreen):
	case <-s.done:
	}
}

func (s shown) Sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.SimulationScreen.Sync()
}

// cells returns the cells as they were after the last drawing.
func (term *terminal) cells() (cells []tcell.SimCell, width, height int) {
	term.mu.Lock()
	defer term.mu.Unlock()
	cells, width, height = term.screen.GetContents()
	return slices.Clone(cells), width, height
}

func start(t *testing.T, src model.Source, o Options) *terminal {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	term := &terminal{t: t, screen: tcell.NewSimulationScreen("UTF-8"), mu: &sync.Mutex{}, drawn: make(chan string), ended: make(chan error, 1), cancel: cancel}
	done := make(chan struct{})
	go func() {
		term.ended <- RunOn(ctx, shown{term.screen, term.mu, term.drawn, done}, src, o)
	}()
	t.Cleanup(func() {
		close(done)
		cancel()
	})
	return term
}

// picture is the text on a screen.
func picture(s tcell.SimulationScreen) string {
	cells, width, height := s.GetContents()
	var b strings.Builder
	for y := range height {
		var line strings.Builder
		for x := 0; x < width; x++ {
			cell := cells[y*width+x]
			line.WriteString(string(cell.Runes))
			if len(cell.Runes) > 0 && runewidth.RuneWidth(cell.Runes[0]) == 2 {
				x++ // its other half
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// sees waits until the screen holds all the texts.
func (term *terminal) sees(texts ...string) string {
	term.t.Helper()
	last := ""
	for range 200 { // drawings; there is one at least every tick
		select {
		case last = <-term.drawn:
			if holds(last, texts) {
				return last
			}
		case err := <-term.ended:
			term.t.Fatalf("the viewer ended: %v", err)
		}
	}
	term.t.Fatalf("the screen never held %q:\n%s", texts, last)
	return ""
}

func holds(picture string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(picture, text) {
			return false
		}
	}
	return true
}

// press presses keys. It looks at what is drawn meanwhile: the viewer does not
// go on before that.
func (term *terminal) press(keys ...any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, key := range keys {
			switch key := key.(type) {
			case rune:
				term.screen.InjectKey(tcell.KeyRune, key, tcell.ModNone)
			case tcell.Key:
				term.screen.InjectKey(key, 0, tcell.ModNone)
			case tcell.Event:
				if err := term.screen.PostEvent(key); err != nil {
					panic(err)
				}
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		case <-term.drawn:
		}
	}
}

// end waits until the viewer has ended.
func (term *terminal) end() error {
	for {
		select {
		case <-term.drawn:
		case err := <-term.ended:
			return err
		}
	}
}

func TestViewsAndKeys(t *testing.T) {
	s, _ := makeStore(t)
	term := start(t, s, Options{})
	term.sees("gctap  sessions", "monday", "now", "live", "≥4")
	term.press('k', tcell.KeyEnter)
	term.sees("monday  3 messages, 1 gap, lost ≥4", "      1 12:00:00.000 -> 1001     Login            password=*** extension=3001",
		"<- 1001     State            state=READY", "Nonsense         args[1]  !unknown-name", "!!", "reconnect: lost 4, after", "Enter detail")
	term.press('t')
	term.sees("     +1.000s <- 1001")
	term.press('j', tcell.KeyEnter)
	term.sees("detail  message 2 of monday", "state                 READY", "Message", "destination           topic://c")
	term.press('r')
	term.sees("raw  message 2", "1001#State#READY#-1#2022-07-22 18:16:47")
	term.press(tcell.KeyTab)
	term.sees("hex  message 2", "00000000  31 30 30 31")
	term.press('n', 'd')
	term.sees("detail  message 3", "漢字␛[2J", "Findings", "unknown-name")
	term.press('?')
	term.sees("gctap  help", "j, Down, WheelDown")
	term.press('G')
	term.sees("Ctrl-C", "delete all behind")
	term.press(tcell.KeyEscape, tcell.KeyEscape, tcell.KeyEscape)
	term.sees("gctap  sessions")
	term.press('q')
	if err := term.end(); err != nil {
		t.Error(err)
	}
}

func TestEveryKeyIsReachable(t *testing.T) {
	special := map[string]tcell.Key{}
	for key, name := range tcell.KeyNames {
		special[name] = key
	}
	for _, b := range model.Bindings {
		var ev *tcell.EventKey
		switch runes := []rune(b.Key); {
		case strings.HasPrefix(b.Key, "Wheel"):
			continue // of the mouse
		case len(runes) == 1:
			ev = tcell.NewEventKey(tcell.KeyRune, runes[0], tcell.ModNone)
		case b.Key == "Space":
			ev = tcell.NewEventKey(tcell.KeyRune, ' ', tcell.ModNone)
		default:
			key, ok := special[b.Key]
			if !ok {
				t.Errorf("%q is no key of the terminal", b.Key)
				continue
			}
			ev = tcell.NewEventKey(key, 0, tcell.ModNone)
		}
		if got := keyName(ev); got != b.Key {
			t.Errorf("%q comes as %q", b.Key, got)
		}
	}
}

func TestLiveSessionIsFollowed(t *testing.T) {
	s, w := makeStore(t)
	live := w.Session()
	term := start(t, s, Options{Session: &live})
	term.sees("now  LIVE, followed  0 messages", "no messages yet")
	for n := range 60 {
		write(t, w, capture.Record{Direction: capture.Event, Body: fmt.Appendf(nil, "1001#State#READY#%d#x", n), BodyKind: capture.Text})
	}
	term.sees("60 messages", "followed", "     60 ", "     40 ")
	term.press('k')
	term.sees("60 messages", "     40 ")
	write(t, w, capture.Record{Direction: capture.Event, Body: []byte("1001#State#BUSY#0#x"), BodyKind: capture.Text})
	if text := term.sees("61 messages"); strings.Contains(text, "followed") || strings.Contains(text, "     61 ") {
		t.Errorf("the list moved under the user's hands:\n%s", text)
	}
	if err := w.End(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	term.press('G')
	term.sees("     61 ", "now  61 messages, 0 gaps, lost 0  stomp://") // and no longer live
	term.press(tcell.KeyCtrlC)
	if err := term.end(); err != nil {
		t.Error(err)
	}
}

func TestResize(t *testing.T) {
	s, _ := makeStore(t)
	monday, err := s.Find(t.Context(), "monday")
	if err != nil {
		t.Fatal(err)
	}
	term := start(t, s, Options{Session: &monday})
	term.sees("reconnect: lost 4, after")
	for _, size := range [][2]int{{200, 60}, {80, 24}, {30, 5}, {1, 1}, {80, 24}} {
		term.screen.SetSize(size[0], size[1])
		term.screen.PostEvent(tcell.NewEventResize(size[0], size[1]))
	}
	term.sees("password=*** extension=3001", "Enter detail")
}

func TestWideCharactersStayInTheirColumns(t *testing.T) {
	screen := tcell.NewSimulationScreen("UTF-8")
	if err := screen.Init(); err != nil {
		t.Fatal(err)
	}
	defer screen.Fini()
	screen.SetSize(20, 2)
	p := painter{s: screen, theme: themeOf(true, false), width: 20, height: 2}
	model.Columns(&p, 0, model.Plain, []int{0, 6}, "漢字漢字漢字", "next")
	p.Put(0, 1, 20, "e\u0301galite\u0301", model.Plain)
	screen.Show()
	cells, _, _ := screen.GetContents()
	if got := string(cells[6].Runes); got != "n" {
		t.Errorf("column 6 holds %q", got)
	}
	if got := string(cells[0].Runes); got != "漢" {
		t.Errorf("column 0 holds %q", got)
	}
	if got := string(cells[20].Runes); got != "e\u0301" {
		t.Errorf("a combining accent left its letter: %q", got)
	}
}

func TestNoControlCharacterReachesTheScreen(t *testing.T) {
	s, _ := makeStore(t)
	monday, _ := s.Find(t.Context(), "monday")
	term := start(t, s, Options{Session: &monday})
	for _, keys := range [][]any{{}, {'G', 'k', tcell.KeyEnter}, {'r'}, {'x'}} {
		term.press(keys...)
		text := term.sees("")
		for _, r := range strings.ReplaceAll(text, "\n", "") {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Errorf("%#x is on the screen", r)
			}
		}
	}
}

// broken is a Source that panics, or fails.
type broken struct {
	model.Source
	panics bool
}

func (b broken) Sessions(context.Context) ([]store.Session, error) {
	if b.panics {
		panic("planted")
	}
	return nil, errors.New("store x.db: is damaged")
}

func TestErrorIsShown(t *testing.T) {
	term := start(t, broken{}, Options{})
	term.sees("store x.db: is damaged")
	term.press('q')
	if err := term.end(); err != nil {
		t.Error(err)
	}
}

// finished is a screen that tells when the terminal has been given back.
type finished struct {
	tcell.SimulationScreen
	fini *bool
}

func (f finished) Fini() {
	*f.fini = true
	f.SimulationScreen.Fini()
}

func TestTerminalIsGivenBackAfterAPanic(t *testing.T) {
	given := false
	defer func() {
		if r := recover(); r != "planted" || !given {
			t.Errorf("panic %v, terminal given back: %v", r, given)
		}
	}()
	RunOn(t.Context(), finished{tcell.NewSimulationScreen("UTF-8"), &given}, broken{panics: true}, Options{})
}

func TestCancelEndsTheViewer(t *testing.T) {
	s, _ := makeStore(t)
	term := start(t, s, Options{})
	term.sees("monday")
	term.cancel()
	if err := term.end(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
