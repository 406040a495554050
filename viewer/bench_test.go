package viewer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"gctap/capture"
	"gctap/store"
)

// benchMessages is how large the large session is: GCTAP_BENCH_RECORDS, else a
// million.
func benchMessages(b *testing.B) int {
	if text := os.Getenv("GCTAP_BENCH_RECORDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 1_000_000
}

// traffic is a batch like those of a busy site: 200 agents, a command for every
// four events. What is rare is about agent 7.
func traffic(first, n int) capture.Batch {
	batch := capture.Batch{Records: make([]capture.Record, n)}
	for i := range batch.Records {
		k := first + i
		agent := 1000 + k%200
		if k%10_007 == 7 {
			agent = 7
		}
		rec := capture.Record{Direction: capture.Event, To: fmt.Sprint("topic://client.", agent), BodyKind: capture.Text, Source: "stomp", Via: "mirror",
			CapturedAt: noon.Add(time.Duration(k) * time.Millisecond), Mono: time.Duration(k) * time.Millisecond,
			Body: fmt.Appendf(nil, "%d#State#READY#-1#2022-07-22 18:16:47", agent)}
		if k%5 == 0 {
			word := fmt.Sprint("MakeCall#", agent)
			rec.Direction, rec.To, rec.JMSType, rec.Body = capture.Command, "queue://Connector1", &word, fmt.Append(nil, k)
		}
		batch.Records[i] = rec
	}
	return batch
}

// benchStore returns a store with one session of so many messages. Its writer
// goes on where live is set.
func benchStore(b *testing.B, messages int, live bool) (*store.Store, store.Session, *store.Writer) {
	b.Helper()
	s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "gctap.db"), store.Record)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	w, err := s.NewSession(b.Context(), store.SessionInfo{Name: "bench", StartedAt: noon})
	if err != nil {
		b.Fatal(err)
	}
	for n := 1; n <= messages; n += 500 {
		if err := w.Write(b.Context(), traffic(n, min(500, messages-n+1))); err != nil {
			b.Fatal(err)
		}
	}
	if !live {
		if err := w.End(b.Context(), "stopped"); err != nil {
			b.Fatal(err)
		}
	}
	one, err := s.Session(b.Context(), 1)
	if err != nil {
		b.Fatal(err)
	}
	return s, one, w
}

// A bench is a viewer whose frames are waited for.
type bench struct {
	b      *testing.B
	screen tcell.SimulationScreen
	drawn  chan string
	ended  chan error
	stop   func()
	last   string
}

// framed passes on which row is selected, too.
type framed struct{ shown }

func (f framed) Show() {
	f.SimulationScreen.Show()
	cells, width, height := f.GetContents()
	row := 1
	for ; row < height; row++ {
		if _, _, attr := cells[row*width].Style.Decompose(); attr&tcell.AttrReverse != 0 {
			break
		}
	}
	select {
	case f.drawn <- picture(f.SimulationScreen) + fmt.Sprint("selected: row ", row):
	case <-f.done:
	}
}

func startBench(b *testing.B, s *store.Store, o Options) *bench {
	ctx, cancel := context.WithCancel(b.Context())
	v := &bench{b: b, screen: tcell.NewSimulationScreen("UTF-8"), drawn: make(chan string, 1), ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() { v.ended <- RunOn(ctx, framed{shown{v.screen, &sync.Mutex{}, v.drawn, done}}, s, o) }()
	v.stop = func() {
		cancel()
		close(done)
		<-v.ended
	}
	return v
}

// until waits for a frame, and returns how long that took since.
func (v *bench) until(since time.Time, what string, is func(picture string) bool) time.Duration {
	v.b.Helper()
	for range 100 {
		select {
		case v.last = <-v.drawn:
			if is(v.last) {
				return time.Since(since)
			}
		case err := <-v.ended:
			v.b.Fatal(err)
		}
	}
	v.b.Fatalf("no frame for %s:\n%s", what, v.last)
	return 0
}

func has(texts ...string) func(string) bool {
	return func(picture string) bool { return holds(picture, texts) }
}

// key presses a key and waits for the frame that shows what it does.
func (v *bench) key(key tcell.Key, r rune, is func(string) bool) time.Duration {
	v.b.Helper()
	before := v.last
	if is == nil {
		is = func(picture string) bool { return picture != before }
	}
	since := time.Now()
	done := make(chan struct{})
	go func() { v.screen.InjectKey(key, r, tcell.ModNone); close(done) }()
	took := v.until(since, fmt.Sprint("key ", tcell.NewEventKey(key, r, 0).Name()), is)
	<-done
	if took > 50*time.Millisecond {
		v.b.Logf("%s took %v from %.20q to %.20q", tcell.NewEventKey(key, r, 0).Name(), took, strings.Split(before, "\n")[2], strings.Split(v.last, "\n")[2])
	}
	v.rest()
	return took
}

// rest waits until a frame comes that is like the one before: what a key has
// brought about is on the screen.
func (v *bench) rest() {
	for range 100 {
		before := v.last
		if v.last = <-v.drawn; v.last == before {
			return
		}
	}
}

// firstScreen is how long it takes from the beginning to the first frame with
// what the session holds.
func firstScreen(b *testing.B, s *store.Store, one store.Session, text string) time.Duration {
	since := time.Now()
	v := startBench(b, s, Options{Session: &one})
	defer v.stop()
	return v.until(since, "the first screen", has(text))
}

// walk presses 200 keys: paging, jumps to both ends, single steps.
func walk(v *bench, last int64) []time.Duration {
	first, end := has("      1 "), has(fmt.Sprintf("%7d ", last))
	var took []time.Duration
	v.until(time.Now(), "the list", has("      1 "))
	v.rest()
	for range 2 {
		took = append(took, v.key(tcell.KeyEnd, 0, end))
		for range 40 {
			took = append(took, v.key(tcell.KeyPgUp, 0, nil))
		}
		took = append(took, v.key(tcell.KeyHome, 0, first))
		for range 50 {
			took = append(took, v.key(tcell.KeyPgDn, 0, nil))
		}
		took = append(took, v.key(tcell.KeyHome, 0, first))
		for range 7 {
			took = append(took, v.key(tcell.KeyPgDn, 0, nil))
		}
	}
	return took
}

func reportKeys(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(len(took)), "keys")
	b.ReportMetric(ms(took[len(took)-1]), "max-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkViewer measures what a user of a large session waits for: how much
// longer than for an empty session the first screen takes (promised: 50 ms), how
// long keys take (100 ms), when an indexed filter shows its first rows (200 ms),
// and how much memory it takes compared with 10 thousand messages (1.5 times).
//
//	go test ./viewer -run '^$' -bench Viewer -benchtime 1x
func BenchmarkViewer(b *testing.B) {
	n := benchMessages(b)
	large, one, _ := benchStore(b, n, false)
	b.Run("FirstScreen", func(b *testing.B) {
		empty, none, _ := benchStore(b, 0, false)
		for b.Loop() {
			var few, many []time.Duration
			for range 21 {
				few = append(few, firstScreen(b, empty, none, "no messages yet"))
				many = append(many, firstScreen(b, large, one, "     10 "))
			}
			slices.Sort(few)
			slices.Sort(many)
			b.ReportMetric(ms(many[10]-few[10]), "median-longer-ms")
			b.ReportMetric(ms(many[20]-few[10]), "max-longer-ms")
		}
	})
	b.Run("Keys", func(b *testing.B) {
		for b.Loop() {
			v := startBench(b, large, Options{Session: &one})
			reportKeys(b, walk(v, one.LastSeq))
			v.stop()
		}
	})
	for filter, first := range map[string]string{`agent == "7"`: "  10014 ", `agent == "1003"`: "    403 ", `name == "MakeCall"`: "     60 "} {
		b.Run("Filter/"+filter, func(b *testing.B) {
			for b.Loop() {
				v := startBench(b, large, Options{Session: &one})
				v.until(time.Now(), "the list", has("      1 "))
				v.rest()
				v.key(tcell.KeyRune, '/', has("filter:"))
				for i, r := range filter {
					v.key(tcell.KeyRune, r, has(strings.TrimRight(filter[:i+1], " ")))
				}
				b.ReportMetric(ms(v.key(tcell.KeyEnter, 0, has("WHAT  filter: ", first))), "first-rows-ms")
				v.stop()
			}
		})
	}
	b.Run("Memory", func(b *testing.B) {
		small, few, _ := benchStore(b, 10_000, false)
		for b.Loop() {
			used := func(s *store.Store, one store.Session) float64 {
				before := heap()
				v := startBench(b, s, Options{Session: &one})
				walk(v, one.LastSeq)
				after := heap()
				v.stop()
				return after - before
			}
			used(small, few) // what is made once
			ten := used(small, few)
			many := used(large, one)
			b.ReportMetric(many/ten, "times-10k")
			b.ReportMetric(many/(1<<20), "MiB")
		}
	})
}

// BenchmarkViewerLive measures keys while 2,000 messages a second arrive.
func BenchmarkViewerLive(b *testing.B) {
	s, one, w := benchStore(b, 20_000, true)
	ctx, cancel := context.WithCancel(b.Context())
	written := make(chan error, 1)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for n := 20_001; ; n += 100 {
			select {
			case <-ctx.Done():
				written <- w.End(b.Context(), "stopped")
				return
			case <-tick.C:
				if err := w.Write(b.Context(), traffic(n, 100)); err != nil {
					written <- err
					return
				}
			}
		}
	}()
	for b.Loop() {
		v := startBench(b, s, Options{Session: &one})
		v.until(time.Now(), "the list", has("followed"))
		var took []time.Duration
		for range 2 {
			took = append(took, v.key(tcell.KeyHome, 0, has("      1 ")))
			for range 40 {
				took = append(took, v.key(tcell.KeyPgDn, 0, nil))
			}
			took = append(took, v.key(tcell.KeyEnd, 0, has("followed")))
			for range 40 {
				took = append(took, v.key(tcell.KeyPgUp, 0, nil))
			}
		}
		reportKeys(b, took)
		v.stop()
	}
	cancel()
	if err := <-written; err != nil {
		b.Fatal(err)
	}
}
