package link

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// plainActiveMQ is the real broker without options that tests share: one takes
// a second or more to start. They use names of their own and no faults.
var plainActiveMQ struct {
	once   sync.Once
	broker *brokertest.Broker
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plainActiveMQ.broker != nil {
		plainActiveMQ.broker.Close()
	}
	os.Exit(code)
}

// onBoth runs a test on the broker in process and on a real ActiveMQ. Where
// there is none that half is skipped, but in a build job, which sets
// GCTAP_REQUIRE_ACTIVEMQ.
func onBoth(t *testing.T, o brokertest.Options, test func(t *testing.T, b *brokertest.Broker)) {
	t.Run("process", func(t *testing.T) { test(t, start(t, o)) })
	t.Run("activemq", func(t *testing.T) {
		b, err := realBroker(t, o)
		if errors.Is(err, brokertest.ErrNoActiveMQ) && os.Getenv("GCTAP_REQUIRE_ACTIVEMQ") == "" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		test(t, b)
	})
}

func realBroker(t *testing.T, o brokertest.Options) (*brokertest.Broker, error) {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	if reflect.DeepEqual(o, brokertest.Options{}) {
		plainActiveMQ.once.Do(func() {
			plainActiveMQ.broker, plainActiveMQ.err = brokertest.StartActiveMQ(ctx, o)
		})
		return plainActiveMQ.broker, plainActiveMQ.err
	}
	b, err := brokertest.StartActiveMQ(ctx, o)
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	return b, err
}

// watch makes a link reconnect at once and returns where its states come.
func watch(states chan State) func(*Config) {
	return func(c *Config) {
		c.Reconnect, c.Backoff = true, Backoff{time.Millisecond, 50 * time.Millisecond}
		c.OnState = func(s State) { states <- s }
	}
}

// until returns the states up to the first of the given kind.
func until(t *testing.T, states <-chan State, change Change) (seen []State) {
	t.Helper()
	for {
		select {
		case s := <-states:
			seen = append(seen, s)
			if s.Change == change {
				return seen
			}
		case <-time.After(patience):
			t.Fatalf("no state %s came after %v", change, seen)
		}
	}
}

func TestTextsArriveAsTheyWereSent(t *testing.T) {
	onBoth(t, brokertest.Options{}, func(t *testing.T, b *brokertest.Broker) {
		c := connect(t, b.URL())
		in := subscribe(t, c, capture.Subscription{Destination: "topic://t"})
		bodies := []string{"", "x", "a\x00b", "\x00", "1001#State#READY#-1\n", strings.Repeat("ü", 100_000)}
		for _, body := range bodies {
			kind := fmt.Sprintf("Type: %d ä", len(body)) + `\c` + "\n\r"
			send(t, c, capture.Outgoing{To: "topic://t", Body: []byte(body), JMSType: &kind})
			r := in.next(t).Record
			if string(r.Body) != body || r.Type() != kind || r.BodyKind != capture.Text && body != "" {
				t.Errorf("%.20q, %q came as %s %.20q, %q", body, kind, r.BodyKind, r.Body, r.Type())
			}
		}
	})
}

func TestVersionsOfSTOMP(t *testing.T) {
	for _, version := range []string{v10, v11, v12} {
		b := start(t, brokertest.Options{Versions: []string{version}})
		c := connect(t, b.URL())
		in := subscribe(t, c, capture.Subscription{Destination: "queue://Q", Individual: true})
		kind := "a:b" // escapes are another test's: the broker in process knows none in 1.0
		for _, body := range []string{"1", "2"} {
			send(t, c, capture.Outgoing{To: "queue://Q", JMSType: &kind, Body: []byte(body)})
		}
		d := in.next(t)
		if c.Peer().Version != version || d.Record.Type() != kind {
			t.Errorf("%s: version %s, type %q", version, c.Peer().Version, d.Record.Type())
		}
		d.Ack()
		in.next(t)
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		again := subscribe(t, connect(t, b.URL()), capture.Subscription{Destination: "queue://Q"})
		if d := again.next(t); string(d.Record.Body) != "2" {
			t.Errorf("%s: after one acknowledgement %q comes again", version, d.Record.Body)
		}
	}
}

func TestBrokerComesBack(t *testing.T) {
	onBoth(t, brokertest.Options{Mirror: true, VirtualTopics: true, Persistent: true}, func(t *testing.T, b *brokertest.Broker) {
		states := make(chan State, 1000)
		c := connect(t, b.URL(), watch(states))
		first := until(t, states, Up)[0]
		consumer := "Consumer.gctap.VirtualTopic.Mirror.Q"
		in := subscribe(t, c, capture.Subscription{Destination: "queue://" + consumer, Individual: true})
		kept := func(body string) {
			t.Helper()
			other := connect(t, b.URL())
			send(t, other, capture.Outgoing{To: "queue://Q", Body: []byte(body), Persistent: true})
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
		}
		kept("acknowledged")
		in.next(t).Ack()
		kept("not acknowledged")
		in.next(t)
		if err := c.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := until(t, states, Up)
		if seen[0].Change != Down || seen[0].Err == nil {
			t.Errorf("the first state after the loss is %v", seen[0])
		}
		if last := seen[len(seen)-1]; last.Identity == first.Identity || last.Identity == "" || last.At.Before(seen[0].At) {
			t.Errorf("up again: %+v, before: %+v", last, first)
		}
		d := in.next(t)
		if string(d.Record.Body) != "not acknowledged" || d.Record.OriginalTo != "topic://VirtualTopic.Mirror.Q" {
			t.Errorf("after the restart: %q from %s", d.Record.Body, d.Record.OriginalTo)
		}
		d.Ack()
		kept("new")
		if d := in.next(t); string(d.Record.Body) != "new" {
			t.Errorf("then %q", d.Record.Body)
		}
	})
}

func TestFrameOverTheLimitEndsTheConnection(t *testing.T) {
	onBoth(t, brokertest.Options{}, func(t *testing.T, b *brokertest.Broker) {
		states := make(chan State, 100)
		c := connect(t, b.URL(), watch(states), func(c *Config) { c.MaxFrame = 10_000 })
		in := subscribe(t, c, capture.Subscription{Destination: "topic://big"})
		until(t, states, Up)
		other := connect(t, b.URL())
		send(t, other, capture.Outgoing{To: "topic://big", Body: make([]byte, 20_000)})
		down := until(t, states, Down)[0]
		if big, ok := errors.AsType[*TooBig](down.Err); !ok || big.Max != 10_000 {
			t.Errorf("got %v", down.Err)
		}
		until(t, states, Up)
		send(t, other, capture.Outgoing{To: "topic://big", Body: []byte("small")})
		if d := in.next(t); string(d.Record.Body) != "small" {
			t.Errorf("got %.20q", d.Record.Body)
		}
	})
}

func TestRefusedSubscriptionHasTheBrokersWords(t *testing.T) {
	onBoth(t, brokertest.Options{Readable: []string{"topic://open"}}, func(t *testing.T, b *brokertest.Broker) {
		c := connect(t, b.URL())
		_, err := c.Subscribe(t.Context(), capture.Subscription{Destination: "topic://closed"}, func(capture.Delivery) {})
		no, ok := errors.AsType[*Refused](err)
		if !ok || no.Message != "User anonymous is not authorized to read from: topic://closed" {
			t.Fatalf("got %v", err)
		}
		subscribe(t, c, capture.Subscription{Destination: "topic://open"})
		if err := c.Sync(t.Context()); err != nil {
			t.Errorf("the broker complains of what came after: %v", err)
		}
	})
}

func TestBrowseEnds(t *testing.T) {
	onBoth(t, brokertest.Options{}, func(t *testing.T, b *brokertest.Broker) {
		c := connect(t, b.URL())
		for i := range 3 {
			send(t, c, capture.Outgoing{To: "queue://browsed", Body: fmt.Append(nil, i)})
		}
		in := subscribe(t, c, capture.Subscription{Destination: "queue://browsed", Browse: true})
		for i := range 3 {
			if d := in.next(t); string(d.Record.Body) != fmt.Sprint(i) || d.Ack != nil {
				t.Errorf("got %q", d.Record.Body)
			}
		}
		if d := in.next(t); !BrowseEnd(&d.Record) {
			t.Errorf("got %+v", d.Record)
		}
		taken := subscribe(t, connect(t, b.URL()), capture.Subscription{Destination: "queue://browsed"})
		for range 3 {
			taken.next(t)
		}
	})
}

// After cancel nothing is taken from a queue any more.
func TestCancelEndsASubscription(t *testing.T) {
	onBoth(t, brokertest.Options{}, func(t *testing.T, b *brokertest.Broker) {
		c := connect(t, b.URL())
		first := make(inbox, 10)
		cancel, err := c.Subscribe(t.Context(), capture.Subscription{Destination: "queue://cancelled"}, func(d capture.Delivery) { first <- d })
		if err != nil {
			t.Fatal(err)
		}
		send(t, c, capture.Outgoing{To: "queue://cancelled", Body: []byte("1")})
		first.next(t)
		if err := cancel(); err != nil {
			t.Fatal(err)
		}
		if err := cancel(); err != nil {
			t.Errorf("again: %v", err)
		}
		send(t, c, capture.Outgoing{To: "queue://cancelled", Body: []byte("2")})
		second := subscribe(t, c, capture.Subscription{Destination: "queue://cancelled"})
		if d := second.next(t); string(d.Record.Body) != "2" || len(first) > 0 {
			t.Errorf("got %q; %d went to the cancelled one", d.Record.Body, len(first))
		}
	})
}

// The reader goes on while the broker reads nothing and every writer is stuck.
func TestReaderNeverWaitsForTheWriter(t *testing.T) {
	b := start(t, brokertest.Options{})
	c := connect(t, b.URL(), func(c *Config) { c.Heartbeat = -1 })
	in := subscribe(t, c, capture.Subscription{Destination: "queue://Q", Individual: true, Prefetch: 1000})
	for i := range 500 {
		send(t, c, capture.Outgoing{To: "queue://Q", Body: fmt.Append(nil, i)})
	}
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.PauseReading()
	stuck, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	for range 4 {
		go func() {
			for {
				if err := c.Send(stuck, capture.Outgoing{To: "queue://other", Body: make([]byte, 1<<20)}); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range 500 {
		in.next(t).Ack()
	}
	stop()
	for range 4 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a stuck Send ended with %v", err)
		}
	}
	c.config.Timeout = time.Millisecond
	if err := c.Close(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stuck Close ended with %v", err)
	}
	b.Resume()
}

func TestSendWaitsForTheLinkAndSyncTellsOfTheLoss(t *testing.T) {
	b := start(t, brokertest.Options{})
	states := make(chan State, 1000)
	c := connect(t, b.URL(), watch(states))
	in := subscribe(t, c, capture.Subscription{Destination: "topic://t"})
	send(t, c, capture.Outgoing{To: "topic://t"})
	in.next(t)
	until(t, states, Up)
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, states, Retry)
	sent := make(chan error)
	go func() { sent <- c.Send(t.Context(), capture.Outgoing{To: "topic://t", Body: []byte("late")}) }()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Send(ctx, capture.Outgoing{To: "topic://t"}); !errors.Is(err, context.Canceled) {
		t.Errorf("without patience: %v", err)
	}
	if err := b.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if d := in.next(t); string(d.Record.Body) != "late" {
		t.Errorf("got %q", d.Record.Body)
	}
	if err := c.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "may not have arrived") {
		t.Errorf("the first Sync after the loss: %v", err)
	}
	if err := c.Sync(t.Context()); err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestWithoutReconnectALossIsTheEnd(t *testing.T) {
	b := start(t, brokertest.Options{})
	c := connect(t, b.URL())
	b.Drop()
	<-c.Done()
	if err := c.Send(t.Context(), capture.Outgoing{To: "topic://t"}); err == nil || !errors.Is(c.Err(), errGone) {
		t.Errorf("send: %v, link: %v", err, c.Err())
	}
}

func TestCloseEndsEverything(t *testing.T) {
	b := start(t, brokertest.Options{})
	states := make(chan State, 1000)
	down := connect(t, b.URL(), watch(states))
	up := connect(t, b.URL())
	if err := up.Close(); err != nil || !errors.Is(up.Err(), ErrClosed) {
		t.Errorf("close: %v, %v", err, up.Err())
	}
	if err := up.Send(t.Context(), capture.Outgoing{To: "topic://t"}); !errors.Is(err, ErrClosed) {
		t.Errorf("send after close: %v", err)
	}
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, states, Retry)
	if err := down.Close(); err != nil || !errors.Is(down.Err(), ErrClosed) {
		t.Errorf("close while down: %v, %v", err, down.Err())
	}
	down.Close()
}
