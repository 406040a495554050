package stomptap_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
	"gctap/capture/stomptap"
)

// A site is a broker with a GC that takes commands from its queue and a client.
type site struct {
	broker *brokertest.Broker
	gc     *link.Conn
	client *link.Conn
	taken  chan string // commands that GC got
}

func newSite(t *testing.T, o brokertest.Options) *site {
	t.Helper()
	broker, err := brokertest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	s := &site{broker: broker, gc: dial(t, broker, nil), client: dial(t, broker, nil), taken: make(chan string, 1000)}
	_, err = s.gc.Subscribe(t.Context(), capture.Subscription{Destination: "queue://Connector1"}, func(d capture.Delivery) {
		s.taken <- d.Record.Type()
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t *testing.T, broker *brokertest.Broker, onState func(link.State)) *link.Conn {
	t.Helper()
	b, err := link.ParseBroker(broker.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := link.Open(t.Context(), link.Config{
		Broker: b, Reconnect: true, OnState: onState, Backoff: link.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (s *site) send(t *testing.T, l *link.Conn, to, typ, body string) {
	t.Helper()
	if err := l.Send(t.Context(), capture.Outgoing{To: to, JMSType: &typ, Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A tape is a Sink that tests can wait on.
type tape struct {
	mu   sync.Mutex
	rows []string
	ids  []string // message-ids
	came *sync.Cond
}

func newTape() *tape {
	tp := &tape{}
	tp.came = sync.NewCond(&tp.mu)
	return tp
}

func (tp *tape) Write(_ context.Context, b capture.Batch) error {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, r := range b.Records {
		row := fmt.Sprintf("%s %s %s %s %s", r.Direction, r.Via, r.To, r.Type(), r.Body)
		if gap, ok := r.Gap(); ok {
			row = "gap " + gap.Reason
		}
		tp.rows = append(tp.rows, row)
		tp.ids = append(tp.ids, r.MessageID)
	}
	tp.came.Broadcast()
	return nil
}

// until waits for the n-th row. A test that never gets it ends by the test
// binary's own timeout, which prints where it stood.
func (tp *tape) until(n int) []string {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for len(tp.rows) < n {
		tp.came.Wait()
	}
	return slices.Clone(tp.rows)
}

// A running tap.
type running struct {
	tape *tape
	tap  *stomptap.Tap
	stop func()
}

func startTap(t *testing.T, s *site, mode stomptap.Mode, seen ...string) *running {
	t.Helper()
	tape := newTape()
	rec := capture.NewRecorder(capture.RecorderConfig{Sink: tape, Delay: time.Millisecond, Seen: seen})
	tap := stomptap.New(stomptap.Config{
		Mode: mode, Queues: []string{"Connector1"}, Consumer: "gctap",
		Handshake: func(r *capture.Record) []string {
			if word, topic, _ := strings.Cut(r.Type(), "#"); word == "Hello" {
				return []string{topic}
			}
			return nil
		},
		IsEvent: func(r *capture.Record) bool { return strings.Contains(string(r.Body), "#State#") },
	}, rec)
	conn := dial(t, s.broker, func(st link.State) {
		switch st.Change {
		case link.Down:
			tap.Down(st.At)
		case link.Up:
			tap.Up(st.At)
		}
	})
	stored := make(chan error, 1)
	go func() { stored <- rec.Run(context.WithoutCancel(t.Context())) }()
	ctx, cancel := context.WithCancel(t.Context())
	if err := tap.Start(ctx, conn); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			conn.Close()
			tap.Close()
			rec.Close()
			if err := <-stored; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return &running{tape, tap, stop}
}

// handshake is a first conversation: a command, its answer, an event.
func (s *site) handshake(t *testing.T) {
	s.send(t, s.client, "queue://Connector1", "Hello#desk", "")
	s.send(t, s.gc, "topic://desk", "", "System#IN_SERVICE")
	s.send(t, s.gc, "topic://desk", "", "1001#State#READY")
}

func TestTapOnABroker(t *testing.T) {
	for _, c := range []struct {
		mode    stomptap.Mode
		options brokertest.Options
		via     string
	}{
		{stomptap.Auto, brokertest.Options{Mirror: true}, "mirror"},
		{stomptap.Auto, brokertest.Options{Composite: []string{"Connector1"}}, "composite"},
		{stomptap.Mirror, brokertest.Options{Mirror: true}, "mirror"},
		{stomptap.Composite, brokertest.Options{Composite: []string{"Connector1"}}, "composite"},
		{stomptap.Durable, brokertest.Options{Mirror: true, VirtualTopics: true}, ""}, // by the queue or the topic behind it
	} {
		t.Run(string(c.mode)+" "+c.via, func(t *testing.T) {
			s := newSite(t, c.options)
			r := startTap(t, s, c.mode)
			s.handshake(t)
			s.send(t, s.client, "topic://stocks", "", "12.5")
			s.send(t, s.gc, "topic://ConnectorSync", "", "AgentState#1001#…")
			rows := r.tape.until(4)
			r.stop()
			want := []string{
				"command " + c.via + " queue://Connector1 Hello#desk ",
				"event events topic://desk  System#IN_SERVICE",
				"event events topic://desk  1001#State#READY",
				"peer events topic://ConnectorSync  AgentState#1001#…",
			}
			if c.via == "" {
				want[0] = "command " + string(r.tap.Via()) + " queue://Connector1 Hello#desk "
			}
			if !slices.Equal(rows, want) {
				t.Errorf("recorded\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
			}
			if got := <-s.taken; got != "Hello#desk" {
				t.Errorf("GC got %q", got)
			}
		})
	}
}

func TestUnmirroredQueueIsLeftAlone(t *testing.T) {
	s := newSite(t, brokertest.Options{})
	r := startTap(t, s, stomptap.Auto)
	for i := range 50 {
		s.send(t, s.client, "queue://Connector1", "MakeReady#1001", fmt.Sprint(i))
	}
	s.send(t, s.gc, "topic://desk", "", "1001#State#READY")
	rows := r.tape.until(1)
	for range 50 { // every one of them reached GC
		<-s.taken
	}
	if len(rows) != 1 || !strings.HasPrefix(rows[0], "event") {
		t.Errorf("recorded %q", rows)
	}
	if why, blind := r.tap.Blind(time.Now().Add(time.Minute), time.Second); !blind || !strings.Contains(why, "not visible") {
		t.Errorf("does not say that it is blind: %q", why)
	}
}

func TestConsumeTakesCommandsAndBrowseDoesNot(t *testing.T) {
	s := newSite(t, brokertest.Options{})
	if err := s.gc.Close(); err != nil { // GC is down: commands wait
		t.Fatal(err)
	}
	browsing := startTap(t, s, stomptap.Browse)
	s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "")
	want := "command browse queue://Connector1 MakeReady#1001 "
	if rows := browsing.tape.until(1); rows[0] != want {
		t.Errorf("browse recorded %q, want %q", rows, want)
	}
	browsing.stop()
	consuming := startTap(t, s, stomptap.Consume)
	want = "command consume queue://Connector1 MakeReady#1001 "
	if rows := consuming.tape.until(1); rows[0] != want {
		t.Errorf("consume recorded %q, want %q", rows, want)
	}
}

func TestDurableMissesNothingWhileAway(t *testing.T) {
	s := newSite(t, brokertest.Options{Mirror: true, VirtualTopics: true})
	first := startTap(t, s, stomptap.Durable)
	s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "1")
	first.tape.until(1)
	first.stop()
	s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "2") // nobody taps
	// What the first tap could not acknowledge any more comes again.
	second := startTap(t, s, stomptap.Durable, first.tape.ids...)
	s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "3")
	var bodies []string
	for _, row := range append(first.tape.until(1), second.tape.until(2)...) {
		bodies = append(bodies, row[len(row)-1:])
	}
	slices.Sort(bodies)
	if strings.Join(bodies, "") != "123" {
		t.Errorf("recorded commands %q, want 1, 2 and 3 once each", bodies)
	}
}

func TestReleaseDrains(t *testing.T) {
	s := newSite(t, brokertest.Options{Mirror: true, VirtualTopics: true})
	startTap(t, s, stomptap.Durable).stop() // leaves its queue behind
	for range 5 {
		s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "")
	}
	conn := dial(t, s.broker, nil)
	for _, want := range []int64{5, 0} {
		n, err := stomptap.Release(t.Context(), conn, "Connector1", "gctap", 200*time.Millisecond)
		if err != nil || n != want {
			t.Errorf("released %d, %v; want %d", n, err, want)
		}
	}
	for range 5 {
		<-s.taken // GC's own were not touched
	}
}

func TestLostConnectionIsAGap(t *testing.T) {
	s := newSite(t, brokertest.Options{Mirror: true})
	r := startTap(t, s, stomptap.Auto)
	s.handshake(t)
	r.tape.until(3)
	s.broker.Drop()
	rows := r.tape.until(4)
	if rows[3] != "gap reconnect" {
		t.Errorf("recorded %q", rows)
	}
	s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "")
	if rows := r.tape.until(5); rows[4] != "command mirror queue://Connector1 MakeReady#1001 " {
		t.Errorf("recorded %q", rows)
	}
}

func TestDetachedTapIsNotServedAndSaysSo(t *testing.T) {
	s := newSite(t, brokertest.Options{Mirror: true})
	r := startTap(t, s, stomptap.Auto)
	s.handshake(t)
	r.tape.until(3)
	if err := r.tap.Detach(time.Now()); err != nil || !r.tap.Detached() {
		t.Fatal(err)
	}
	s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "missed")
	s.send(t, s.gc, "topic://desk", "", "1001#State#READY")
	if err := r.tap.Attach(time.Now()); err != nil || r.tap.Detached() {
		t.Fatal(err)
	}
	s.send(t, s.client, "queue://Connector1", "MakeReady#1001", "seen")
	rows := r.tape.until(5)[3:]
	if want := []string{"gap overflow", "command mirror queue://Connector1 MakeReady#1001 seen"}; !slices.Equal(rows, want) {
		t.Errorf("recorded %q, want %q", rows, want)
	}
}
