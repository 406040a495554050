package brokertest_test

import (
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// TestEveryTopicBringsNoAdvisories: with the jars that it takes, a real broker
// would send its advisories to whoever reads every topic; without them it would
// log an error for each.
func TestEveryTopicBringsNoAdvisories(t *testing.T) {
	for _, json := range []bool{false, true} {
		b := activeMQ(t, brokertest.Options{JSONJars: json})
		c := open(t, b)
		in := make(chan capture.Record, 100)
		if _, err := c.Subscribe(t.Context(), capture.Subscription{Destination: "topic://>"}, func(d capture.Delivery) { in <- d.Record }); err != nil {
			t.Fatal(err)
		}
		other := open(t, b) // a new connection, queue and consumer: three advisories at least
		if _, err := other.Subscribe(t.Context(), capture.Subscription{Destination: "queue://Q"}, func(capture.Delivery) {}); err != nil {
			t.Fatal(err)
		}
		advisory, ordinary := "Login#1", "NULL"
		for _, kind := range []*string{nil, &advisory, &ordinary} {
			if err := other.Send(t.Context(), capture.Outgoing{To: "topic://t", JMSType: kind}); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			select {
			case r := <-in:
				if r.To != "topic://t" {
					t.Errorf("JSON jars %v: got a message from %s", json, r.To)
				}
			case <-time.After(patience):
				t.Fatal("no message came")
			}
		}
		if err := c.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(in) > 0 || strings.Contains(b.Log(), "NoClassDefFoundError") {
			t.Errorf("JSON jars %v: %d messages more; the broker's log:\n%s", json, len(in), b.Log())
		}
	}
}
