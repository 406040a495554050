package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
)

// BenchmarkScheduleOverBroker plays 1,000 agents, one command a second each, to
// a broker, and then has a sender do the same that does nothing but wait for
// the time and send. It prints how far behind their schedule both are, in
// microseconds: the player may add 5 ms to what the sender shows.
func BenchmarkScheduleOverBroker(b *testing.B) {
	const agents, commands = 1000, 5
	var lines strings.Builder
	for c := range commands {
		for a := range agents {
			fmt.Fprintf(&lines, "%dus > MakeReady#%d\n", c*1_000_000+a*1000, 1000+a)
		}
	}
	plan, err := BuildPlan(recording(b, lines.String()), PlanOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for name, launch := range map[string]func(context.Context, brokertest.Options) (*brokertest.Broker, error){
		"process": brokertest.Start, "activemq": brokertest.StartActiveMQ,
	} {
		b.Run(name, func(b *testing.B) {
			broker, err := launch(b.Context(), brokertest.Options{})
			if err != nil {
				b.Skip(err)
			}
			defer broker.Close()
			to, taker := open(b, broker), open(b, broker)
			if _, err := taker.Subscribe(b.Context(), capture.Subscription{Destination: "queue://Connector1"}, func(capture.Delivery) {}); err != nil {
				b.Fatal(err)
			}
			bareSender(b, to, plan) // a broker that has just started needs to warm up
			for b.Loop() {
				result, err := Play(b.Context(), to, plan, PlayOptions{Run: "b", Sync: SyncClock})
				if err != nil || result.Sent != agents*commands {
					b.Fatal(result.Sent, err)
				}
				b.ReportMetric(p99(result.Behind), "player-p99-µs")
				b.ReportMetric(p99(bareSender(b, to, plan)), "sender-p99-µs")
			}
		})
	}
}

func open(b *testing.B, broker *brokertest.Broker) *link.Conn {
	b.Helper()
	url, err := link.ParseBroker(broker.URL())
	if err != nil {
		b.Fatal(err)
	}
	conn, err := link.Open(b.Context(), link.Config{Broker: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

// bareSender sends the steps of a plan when they are due and returns how much
// later it was.
func bareSender(b *testing.B, to capture.Link, plan *Plan) (behind []time.Duration) {
	b.Helper()
	start := time.Now()
	for i := range plan.Steps {
		s := &plan.Steps[i]
		due := start.Add(s.At)
		time.Sleep(time.Until(due))
		behind = append(behind, time.Since(due))
		if err := to.Send(b.Context(), capture.Outgoing{To: s.Record.To, JMSType: s.Record.JMSType, Body: s.Record.Body}); err != nil {
			b.Fatal(err)
		}
	}
	return behind
}

// p99 is in microseconds.
func p99(d []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(d))
	return float64(sorted[len(sorted)*99/100].Microseconds())
}
