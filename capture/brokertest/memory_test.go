package brokertest_test

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
)

// patience is how long a test waits for what must happen; it is no measure.
const patience = 20 * time.Second

func open(t *testing.T, b *brokertest.Broker) *link.Conn {
	t.Helper()
	url, err := link.ParseBroker(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := link.Open(t.Context(), link.Config{Broker: url, TLS: link.TLS{CAFile: b.CAFile()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCopiesHaveOneMessageID(t *testing.T) {
	b, err := brokertest.Start(t.Context(), brokertest.Options{Mirror: true, VirtualTopics: true, Composite: []string{"C"}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := open(t, b)
	in := make(chan capture.Record, 10)
	for _, to := range []string{"queue://C", "topic://gctap.C", "topic://VirtualTopic.Mirror.C", "queue://Consumer.x.VirtualTopic.Mirror.C"} {
		if _, err := c.Subscribe(t.Context(), capture.Subscription{Destination: to}, func(d capture.Delivery) { in <- d.Record }); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Send(t.Context(), capture.Outgoing{To: "queue://C", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	id, got := "", map[string]string{}
	for range 4 {
		select {
		case r := <-in:
			if id != "" && r.MessageID != id {
				t.Errorf("%s: message-id %s, not %s", r.To, r.MessageID, id)
			}
			id, got[r.To] = r.MessageID, r.OriginalTo
		case <-time.After(patience):
			t.Fatalf("only got %v", got)
		}
	}
	if got["topic://gctap.C"] != "queue://C" || got["queue://Consumer.x.VirtualTopic.Mirror.C"] != "topic://VirtualTopic.Mirror.C" {
		t.Errorf("original destinations: %v", got)
	}
}

// TestManyConsumersTakeEachMessageOnce: consumers come and go while producers
// send; whoever leaves has acknowledged all it was given, or it comes again to
// another. A subscriber of the mirror topic that never reads disturbs nobody.
func TestManyConsumersTakeEachMessageOnce(t *testing.T) {
	b, err := brokertest.Start(t.Context(), brokertest.Options{Mirror: true, PendingLimit: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	w := &world{t: t, broker: b}
	w.deaf().subscribe2("1", "/topic/VirtualTopic.Mirror.Q")

	const producers, each, consumers, stints = 8, 300, 6, 5
	var mu sync.Mutex
	taken := map[string]int{}
	all := make(chan struct{})
	consume := func(most int) {
		c := open(t, b)
		enough := make(chan struct{})
		n := 0
		_, err := c.Subscribe(t.Context(), capture.Subscription{Destination: "queue://Q", Individual: true, Prefetch: 7}, func(d capture.Delivery) {
			if n++; most > 0 && n > most {
				return // not acknowledged: it comes again elsewhere
			}
			d.Ack()
			mu.Lock()
			defer mu.Unlock()
			taken[d.Record.MessageID]++
			if len(taken) == producers*each {
				close(all)
			}
			if n == most {
				close(enough)
			}
		})
		if err != nil {
			t.Error(err)
			return
		}
		select {
		case <-enough:
		case <-all:
		case <-time.After(patience):
			t.Error("messages are missing")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	var busy sync.WaitGroup
	for range producers {
		busy.Go(func() {
			c := open(t, b)
			for i := range each {
				if err := c.Send(t.Context(), capture.Outgoing{To: "queue://Q", Body: fmt.Append(nil, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range consumers {
		busy.Go(func() {
			for stint := range stints {
				consume(10 + i + stint)
			}
			consume(0) // to the end
		})
	}
	busy.Wait()
	for id, n := range taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
}

func TestRefuse(t *testing.T) {
	b, err := brokertest.Start(t.Context(), brokertest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := open(t, b)
	if err := b.Refuse(true); err != nil {
		t.Fatal(err)
	}
	if other, err := net.Dial("tcp", b.Addr()); err == nil {
		other.Close()
		t.Error("the port is open")
	}
	if err := c.Sync(t.Context()); err != nil {
		t.Errorf("the connection there was: %v", err)
	}
	if err := b.Refuse(false); err != nil {
		t.Fatal(err)
	}
	open(t, b)
	if n := b.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}
