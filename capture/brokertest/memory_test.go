package brokertest_test

import (
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
