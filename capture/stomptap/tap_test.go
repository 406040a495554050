package stomptap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/link"
)

// fakeLink hands the messages of a test to the subscriptions that a broker
// would: by name and by the wildcard over all topics.
type fakeLink struct {
	capture.Link
	mu     sync.Mutex
	subs   map[string]func(capture.Delivery)
	added  chan string
	refuse string
	fail   map[string]int // how many more subscriptions to a destination end with the connection
	noKey  bool           // its messages have no id that all copies share
	twice  []string       // what was subscribed to although it was
}

func (l *fakeLink) Subscribe(_ context.Context, s capture.Subscription, deliver func(capture.Delivery)) (func() error, error) {
	if s.Destination == l.refuse {
		return nil, &link.Refused{Asked: "subscribe to " + s.Destination, Message: "not authorized"}
	}
	if s.Individual != strings.HasPrefix(s.Destination, "queue://") || s.Prefetch == 0 || s.Pending == 0 {
		return nil, fmt.Errorf("a subscription that could harm: %+v", s)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail[s.Destination] > 0 {
		l.fail[s.Destination]--
		return nil, errors.New("the connection ended")
	}
	if l.subs[s.Destination] != nil {
		l.twice = append(l.twice, s.Destination)
	}
	l.subs[s.Destination] = deliver
	l.added <- s.Destination
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.subs, s.Destination)
		return nil
	}, nil
}

func (l *fakeLink) Done() <-chan struct{} { return nil }

func (l *fakeLink) message(dest, typ, body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for sub, deliver := range l.subs {
		if sub == dest || pattern(strings.Split(sub, ".")).matches(dest) || sub == everyTopic && strings.HasPrefix(dest, "topic://") {
			id := dest + typ + body
			if l.noKey {
				id = ""
			}
			deliver(capture.Delivery{Record: capture.Record{
				To: dest, JMSType: &typ, Body: []byte(body), MessageID: id, CapturedAt: time.Unix(100, 0),
			}})
		}
	}
}

// notes is a Recorder that keeps what it is told, doubles left out.
type notes struct {
	rows    []string
	foreign map[string]int
}

func (n *notes) Offer(d capture.Delivery) {
	row := fmt.Sprintf("%s %s %s %s", d.Record.Direction, d.Record.Via, d.Record.To, d.Record.Body)
	if d.Record.MessageID == "" || !slices.Contains(n.rows, row) {
		n.rows = append(n.rows, row)
	}
}

func (n *notes) Gap(g capture.Gap)   { n.rows = append(n.rows, "gap "+g.Reason) }
func (n *notes) Foreign(dest string) { n.foreign[dest]++ }

func start(t *testing.T, cfg Config, refuse string) (*fakeLink, *notes, *Tap, []string) {
	t.Helper()
	link := &fakeLink{subs: map[string]func(capture.Delivery){}, refuse: refuse, added: make(chan string, 1000)}
	rec := &notes{foreign: map[string]int{}}
	cfg.Handshake = func(r *capture.Record) []string {
		if word, topic, ok := strings.Cut(*r.JMSType, "#"); ok && word == "Hello" {
			return []string{topic}
		}
		return nil
	}
	cfg.IsEvent = func(r *capture.Record) bool { return strings.Contains(string(r.Body), "#State#") }
	tap := New(cfg, rec)
	if err := tap.Start(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	var subs []string
	for len(link.added) > 0 {
		subs = append(subs, <-link.added)
	}
	return link, rec, tap, subs
}

func TestModesSubscribeToCopiesOnly(t *testing.T) {
	want := map[Mode][]string{
		Auto:      {"topic://VirtualTopic.Mirror.C1", "topic://gctap.C1", "topic://VirtualTopic.Mirror.C2", "topic://gctap.C2", "topic://>"},
		Mirror:    {"topic://VirtualTopic.Mirror.C1", "topic://VirtualTopic.Mirror.C2", "topic://>"},
		Composite: {"topic://gctap.C1", "topic://gctap.C2", "topic://>"},
		Durable:   {"queue://Consumer.me.VirtualTopic.Mirror.C1", "queue://Consumer.me.VirtualTopic.Mirror.C2", "topic://>"},
		Events:    {"topic://>"},
	}
	for mode := range want {
		_, _, _, subs := start(t, Config{Mode: mode, Queues: []string{"C1", "C2"}, Consumer: "me"}, "")
		if !slices.Equal(subs, want[mode]) {
			t.Errorf("%s subscribes to %q, want %q", mode, subs, want[mode])
		}
		for _, dest := range subs {
			if dest == "queue://C1" || dest == "queue://C2" {
				t.Errorf("%s takes commands from GC: %s", mode, dest)
			}
		}
	}
}

func TestSorting(t *testing.T) {
	link, rec, tap, _ := start(t, Config{Mode: Auto, Queues: []string{"Connector1"}, Topics: []string{"given"}}, "")
	link.message("topic://VirtualTopic.Mirror.Connector1", "Hello#10.0.0.1", "")
	link.message("topic://10.0.0.1", "", "System#IN_SERVICE") // named by the handshake
	link.message("topic://given", "", "anything")
	link.message("topic://desk", "", "held")
	link.message("topic://desk", "", "1001#State#READY") // the held one comes first
	link.message("topic://ConnectorSync", "", "AgentState#1001#…")
	link.message("topic://stocks", "", "EFN 12.5")
	link.message("topic://ActiveMQ.Advisory.Topic", "", "{}")
	link.message("topic://VirtualTopic.Mirror.Orders", "order", "7")
	tap.Close()
	want := []string{
		"command mirror queue://Connector1 ",
		"event events topic://10.0.0.1 System#IN_SERVICE",
		"event events topic://given anything",
		"event events topic://desk held",
		"event events topic://desk 1001#State#READY",
		"peer events topic://ConnectorSync AgentState#1001#…",
	}
	if !slices.Equal(rec.rows, want) {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(rec.rows, "\n"), strings.Join(want, "\n"))
	}
	for _, dest := range []string{"topic://stocks", "topic://ActiveMQ.Advisory.Topic", "topic://VirtualTopic.Mirror.Orders"} {
		if rec.foreign[dest] != 1 {
			t.Errorf("%s counted %d times, want 1", dest, rec.foreign[dest])
		}
	}
}

// TestTopicsByWildcard: what a pattern takes in is recorded whatever is on it,
// with the wildcard over all topics and without; but never an advisory, nor a
// copy of a queue that was not asked for.
func TestTopicsByWildcard(t *testing.T) {
	for _, noDiscover := range []bool{false, true} {
		link, rec, tap, subs := start(t, Config{
			Mode: Mirror, Queues: []string{"Connector1"}, Topics: []string{"10.0.>", "desk.*.in", "ActiveMQ.>", "VirtualTopic.>"}, NoDiscover: noDiscover,
		}, "")
		if noDiscover != slices.Contains(subs, "topic://10.0.>") {
			t.Errorf("subscribes to %q", subs)
		}
		for _, topic := range []string{"10.0.0.1", "desk.7.in", "desk.7.out", "desk.7.8.in", "10.1.0.1", "ActiveMQ.Advisory.Topic", "VirtualTopic.Mirror.Orders"} {
			link.message("topic://"+topic, "", "anything")
		}
		link.message("topic://VirtualTopic.Mirror.Connector1", "Hello#10.0.0.2", "")
		link.message("topic://10.0.0.2", "", "more")
		tap.Close()
		want := []string{
			"event events topic://10.0.0.1 anything", "event events topic://desk.7.in anything",
			"command mirror queue://Connector1 ", "event events topic://10.0.0.2 more",
		}
		if !slices.Equal(rec.rows, want) {
			t.Errorf("without discovery %t: recorded\n%s", noDiscover, strings.Join(rec.rows, "\n"))
		}
		if len(link.added) != 0 {
			t.Errorf("without discovery %t: subscribed to %s, which a pattern brings", noDiscover, <-link.added)
		}
	}
}

// TestWithoutAKeyEachMessageIsTakenOnce: RabbitMQ's copies share no id.
func TestWithoutAKeyEachMessageIsTakenOnce(t *testing.T) {
	for _, noDiscover := range []bool{false, true} {
		link, rec, tap, _ := start(t, Config{
			Mode: Auto, Queues: []string{"Connector1"}, Topics: []string{"10.>", "10.0.*.1", "desk"}, NoDiscover: noDiscover,
		}, "")
		link.noKey = true
		link.message("topic://gctap.Connector1", "Hello#10.0.0.1", "")
		link.message("topic://10.0.0.1", "", "a")
		link.message("topic://desk", "", "b")
		link.message("topic://ConnectorSync", "", "c")
		tap.Close()
		want := []string{
			"command composite queue://Connector1 ", "event events topic://10.0.0.1 a", "event events topic://desk b", "peer events topic://ConnectorSync c",
		}
		if !slices.Equal(rec.rows, want) {
			t.Errorf("without discovery %t: recorded\n%s", noDiscover, strings.Join(rec.rows, "\n"))
		}
	}
}

func TestCheckTopic(t *testing.T) {
	for topic, ok := range map[string]bool{
		"a": true, "192.168.1.72": true, "a.*.b": true, "a.>": true, ">": true, "*": true,
		"": false, "a*": false, "a.b>": false, "a.>.b": false, ">>": false,
	} {
		if err := CheckTopic(topic); (err == nil) != ok {
			t.Errorf("%q: %v", topic, err)
		}
	}
}

func TestForeignTopicsAreCountedToTheLast(t *testing.T) {
	link, rec, tap, _ := start(t, Config{Mode: Auto, Queues: []string{"Connector1"}}, "")
	for i := range 3 * heldMessages {
		link.message("topic://stocks", "", fmt.Sprint(i))
	}
	tap.Close()
	if rec.foreign["topic://stocks"] != 3*heldMessages || len(rec.rows) != 0 || tap.heldSize != 0 {
		t.Errorf("counted %d, recorded %d, holds %d bytes", rec.foreign["topic://stocks"], len(rec.rows), tap.heldSize)
	}
}

func TestWithoutTheWildcardHandshakesFindTopics(t *testing.T) {
	var said []string
	link, rec, _, subs := start(t, Config{
		Mode: Mirror, Queues: []string{"Connector1"}, Topics: []string{"given"},
		Say: func(s string) { said = append(said, s) },
	}, everyTopic)
	if want := []string{"topic://VirtualTopic.Mirror.Connector1", "topic://ConnectorSync", "topic://given"}; !slices.Equal(subs, want) {
		t.Errorf("subscribes to %q, want %q", subs, want)
	}
	if len(said) == 0 || !strings.Contains(said[0], "not authorized") {
		t.Errorf("said %q", said)
	}
	link.message("topic://VirtualTopic.Mirror.Connector1", "Hello#10.0.0.1", "")
	if dest := <-link.added; dest != "topic://10.0.0.1" {
		t.Errorf("subscribed to %s", dest)
	}
	link.message("topic://10.0.0.1", "", "System#IN_SERVICE")
	if len(rec.rows) != 2 {
		t.Errorf("recorded %q", rec.rows)
	}
}

// TestAutoTakesWhatItMay: a broker that lets us read one kind of copy only, or
// no traffic between GCs, is tapped all the same; one that lets us read nothing
// is not.
func TestAutoTakesWhatItMay(t *testing.T) {
	for _, c := range []struct {
		mode     Mode
		refuse   string
		want     []string
		noTopics bool
	}{
		{Auto, "topic://VirtualTopic.Mirror.C", []string{"topic://gctap.C", "topic://>"}, false},
		{Auto, "topic://gctap.C", []string{"topic://VirtualTopic.Mirror.C", "topic://>"}, false},
		{Mirror, peerTopic, []string{"topic://VirtualTopic.Mirror.C"}, true},
	} {
		var said []string
		_, _, _, subs := start(t, Config{
			Mode: c.mode, Queues: []string{"C"}, NoDiscover: c.noTopics, Say: func(s string) { said = append(said, s) },
		}, c.refuse)
		if !slices.Equal(subs, c.want) || len(said) != 1 || !strings.Contains(said[0], "not authorized") {
			t.Errorf("%s, %s refused: subscribes to %q, said %q", c.mode, c.refuse, subs, said)
		}
	}
	for _, cfg := range []Config{{Mode: Mirror, Queues: []string{"C"}}, {Mode: Auto, NoDiscover: true}} {
		refuse := peerTopic
		if len(cfg.Queues) > 0 {
			refuse = "topic://VirtualTopic.Mirror.C"
		}
		tap := New(cfg, &notes{})
		if err := tap.Start(t.Context(), &fakeLink{subs: map[string]func(capture.Delivery){}, added: make(chan string, 9), refuse: refuse}); err == nil {
			t.Errorf("%+v: nothing can be read, and nothing is said", cfg)
		}
	}
}

// TestAttachThatFailsIsTriedAgain: until it has worked the tap is detached, and
// at the end what it missed is a gap.
func TestAttachThatFailsIsTriedAgain(t *testing.T) {
	link, rec, tap, subs := start(t, Config{Mode: Durable, Queues: []string{"C"}, Consumer: "me", NoDiscover: true, Topics: []string{"a", "b"}}, "")
	if err := tap.Detach(time.Unix(1, 0)); err != nil || len(link.subs) != 1 {
		t.Fatalf("%v, still subscribed to %v", err, link.subs)
	}
	link.fail = map[string]int{"topic://b": 1}
	if err := tap.Attach(time.Unix(2, 0)); err == nil || !tap.Detached() || len(rec.rows) != 0 {
		t.Errorf("%v, detached %t, recorded %q", err, tap.Detached(), rec.rows)
	}
	if err := tap.Attach(time.Unix(3, 0)); err != nil || tap.Detached() || len(link.subs) != len(subs) || len(link.twice) > 0 {
		t.Errorf("%v, detached %t, subscribed to %v, twice to %q", err, tap.Detached(), link.subs, link.twice)
	}
	if !slices.Equal(rec.rows, []string{"gap overflow"}) {
		t.Errorf("recorded %q", rec.rows)
	}
}

// TestNamedTopicOutlivesALostConnection: a topic that a handshake named while
// the connection was lost is subscribed to afterwards; one that is a wildcard
// never, for then a client would say what is read.
func TestNamedTopicOutlivesALostConnection(t *testing.T) {
	said := make(chan string, 10)
	link, _, _, _ := start(t, Config{Mode: Mirror, Queues: []string{"C"}, NoDiscover: true, Say: func(s string) { said <- s }}, "")
	for len(said) > 0 {
		<-said
	}
	link.fail = map[string]int{"topic://desk": 1}
	link.message("topic://VirtualTopic.Mirror.C", "Hello#desk", "")
	if dest := <-link.added; dest != "topic://desk" {
		t.Errorf("subscribed to %s", dest)
	}
	<-said // by which way the commands come
	link.message("topic://VirtualTopic.Mirror.C", "Hello#>", "")
	if text := <-said; !strings.Contains(text, "events of topic://> are not recorded") {
		t.Errorf("said %q", text)
	}
	if len(link.added) > 0 {
		t.Errorf("subscribed to %s", <-link.added)
	}
}

func TestBlind(t *testing.T) {
	link, _, tap, _ := start(t, Config{Mode: Auto, Queues: []string{"Connector1"}}, "")
	later := time.Unix(200, 0)
	if _, blind := tap.Blind(later, time.Second); blind {
		t.Error("blind before anything came")
	}
	link.message("topic://desk", "", "1001#State#READY")
	if _, blind := tap.Blind(time.Unix(100, 1), time.Second); blind {
		t.Error("blind at once")
	}
	if why, blind := tap.Blind(later, time.Second); !blind || !strings.Contains(why, "Connector1") {
		t.Errorf("not blind although only events came: %q", why)
	}
	link.message("topic://gctap.Connector1", "MakeReady#1001", "")
	if _, blind := tap.Blind(later, time.Second); blind || tap.Via() != Composite {
		t.Errorf("blind although a command came, by %s", tap.Via())
	}
}

func TestReconnectIsOneGap(t *testing.T) {
	_, rec, tap, _ := start(t, Config{Mode: Auto}, "")
	tap.Up(time.Unix(1, 0)) // the first connection is no gap
	tap.Down(time.Unix(2, 0))
	tap.Down(time.Unix(3, 0))
	tap.Up(time.Unix(4, 0))
	tap.End(time.Unix(5, 0))
	if !slices.Equal(rec.rows, []string{"gap reconnect"}) {
		t.Errorf("recorded %q", rec.rows)
	}
}
