package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
	"gctap/capture/stomptap"
)

// The tests of this file hold record to its promises on a real ActiveMQ. Those
// that take long run where $GCTAP_SLOW is set, as in CI.

// startActiveMQ starts a real broker, or skips the test where there is none;
// in CI, where there must be one, it fails. With $GCTAP_JSON_JARS it has the
// optional jars on its class path with which it sends advisories.
func startActiveMQ(t testing.TB, o brokertest.Options) *brokertest.Broker {
	t.Helper()
	o.JSONJars = o.JSONJars || os.Getenv("GCTAP_JSON_JARS") != ""
	b, err := brokertest.StartActiveMQ(t.Context(), o)
	if errors.Is(err, brokertest.ErrNoActiveMQ) && os.Getenv("GCTAP_REQUIRE_ACTIVEMQ") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// slow skips a test that takes long unless $GCTAP_SLOW is set. Such tests have
// brokers of their own and wait more than they work: they run beside each other.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("GCTAP_SLOW") == "" {
		t.Skip("takes long: set GCTAP_SLOW=1")
	}
	t.Parallel()
}

// A load is a producer that sends commands at a steady rate, and a GC that
// takes them.
type load struct {
	stop  context.CancelFunc
	done  chan error
	sent  atomic.Int64
	taken atomic.Int64
}

// startLoad begins to send rate commands a second; each is numbered in its
// body. Every tenth of a second's worth is confirmed by the broker.
func startLoad(t *testing.T, broker *brokertest.Broker, rate int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop, done: make(chan error, 1)}
	gc := reconnecting(t, broker)
	_, err := gc.Subscribe(ctx, capture.Subscription{Destination: "queue://Connector1"}, func(capture.Delivery) { l.taken.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	producer := reconnecting(t, broker)
	go func() { l.done <- l.run(ctx, producer, rate) }()
	return l
}

func (l *load) run(ctx context.Context, producer capture.Link, rate int) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for range rate / 10 {
			body := fmt.Sprintf("number-%d", l.sent.Load())
			m := capture.Outgoing{To: "queue://Connector1", JMSType: new("MakeCall#1001"), Body: []byte(body)}
			if err := producer.Send(context.WithoutCancel(ctx), m); err != nil {
				return err
			}
			l.sent.Add(1)
		}
		if err := producer.Sync(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
}

// end stops the load and returns how many commands were sent.
func (l *load) end(t *testing.T) int {
	t.Helper()
	l.stop()
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	return int(l.sent.Load())
}

// during waits until n more commands have been sent.
func (l *load) during(n int64) {
	for until := l.sent.Load() + n; l.sent.Load() < until; {
		time.Sleep(10 * time.Millisecond) // what is awaited is the passing of load
	}
}

func reconnecting(t testing.TB, broker *brokertest.Broker) *link.Conn {
	t.Helper()
	b, err := link.ParseBroker(broker.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := link.Open(t.Context(), link.Config{Broker: b, Reconnect: true, Backoff: link.Backoff{Min: 50 * time.Millisecond, Max: 200 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// tally reads a session and returns how many different messages it holds, how
// many rows, and its gaps.
func tally(t *testing.T, db, ref string) (different, rows int, gaps []capture.Gap) {
	t.Helper()
	_, all := records(t, db, ref)
	seen := map[string]bool{}
	for i := range all {
		if gap, ok := all[i].Gap(); ok {
			gaps = append(gaps, gap)
			continue
		}
		seen[all[i].MessageID] = true
		rows++
	}
	return len(seen), rows, gaps
}

func TestActiveMQDurableTapKilledThreeTimes(t *testing.T) {
	broker := startActiveMQ(t, brokertest.Options{Mirror: true, VirtualTopics: true})
	db := filepath.Join(t.TempDir(), "t.db")
	args := []string{"record", broker.URL(), "--mode", "durable", "--name", "long"}
	p := gctap(t, db, args...)
	p.until("stays on the broker")
	l := startLoad(t, broker, 500)
	for range 3 {
		l.during(700)
		p.end(syscall.SIGKILL)
		l.during(200)
		p = gctap(t, db, args...)
		p.until("stays on the broker")
	}
	sent := l.end(t)
	waitStored(t, db, "long", sent+3)
	if code := p.end(os.Interrupt); code != exitIncomplete {
		t.Errorf("exit %d: %s", code, p.said())
	}
	different, rows, gaps := tally(t, db, "long")
	if different != sent || rows != sent || len(gaps) != 3 {
		t.Errorf("%d different messages in %d rows, %d gaps; sent %d", different, rows, len(gaps), sent)
	}
	for _, gap := range gaps {
		if gap.Reason != capture.GapCrash {
			t.Errorf("gap %+v", gap)
		}
	}
	if n := int(l.taken.Load()); n != sent {
		t.Errorf("GC got %d of %d commands", n, sent)
	}
}

func TestActiveMQRestarts(t *testing.T) {
	t.Parallel()
	broker := startActiveMQ(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "s")
	p.until("recording session")
	for round := range 2 {
		send(t, reconnecting(t, broker), "queue://Connector1", "MakeCall#1001", fmt.Sprint(round))
		waitStored(t, db, "s", 2*round+1)
		if err := broker.Kill(); err != nil {
			t.Fatal(err)
		}
		p.until("connection lost")
		if err := broker.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.until("connected again")
		waitStored(t, db, "s", 2*round+2)
	}
	if code := p.end(os.Interrupt); code != exitIncomplete {
		t.Errorf("exit %d: %s", code, p.said())
	}
	different, rows, gaps := tally(t, db, "s")
	if different != 2 || rows != 2 || len(gaps) != 2 || gaps[0].Reason != capture.GapReconnect {
		t.Errorf("%d messages in %d rows, gaps %+v", different, rows, gaps)
	}
}

// TestActiveMQTapStandsStill: a tap that is stopped for 20 seconds under load
// holds up nobody, and what it may have missed is a gap row.
func TestActiveMQTapStandsStill(t *testing.T) {
	slow(t)
	broker := startActiveMQ(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "s")
	p.until("recording session")
	l := startLoad(t, broker, 1000)
	l.during(1000)
	p.cmd.Process.Signal(syscall.SIGSTOP)
	l.during(20_000) // comes to an end only if the broker takes in what is sent
	p.cmd.Process.Signal(syscall.SIGCONT)
	p.until("the program stood still")
	sent := l.end(t)
	send(t, reconnecting(t, broker), "queue://Connector1", "MakeCall#1001", "the last")
	for {
		_, all := records(t, db, "s")
		if n := len(all); n > 0 && string(all[n-1].Body) == "the last" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if code := p.end(os.Interrupt); code != exitIncomplete {
		t.Errorf("exit %d: %s", code, p.said())
	}
	different, rows, gaps := tally(t, db, "s")
	if len(gaps) == 0 || gaps[0].Reason != capture.GapStopped || gaps[0].To.Sub(gaps[0].From) < 15*time.Second {
		t.Errorf("gaps %+v", gaps)
	}
	if different != rows || int(l.taken.Load()) != sent+1 {
		t.Errorf("%d messages in %d rows; GC got %d of %d", different, rows, l.taken.Load(), sent+1)
	}
	t.Logf("sent %d, stored %d, not seen %d (inside the gap)", sent+1, rows, sent+1-rows)
}

func TestActiveMQOverTLS(t *testing.T) {
	broker := startActiveMQ(t, brokertest.Options{Mirror: true, TLS: true})
	other := startBroker(t, brokertest.Options{TLS: true}) // of another authority
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "record", broker.URL(), "--ca-file", broker.CAFile())
	p.until("recording session")
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	for _, args := range [][]string{{"--ca-file", other.CAFile()}, nil} {
		p := gctap(t, db, append([]string{"record", broker.URL()}, args...)...)
		code := p.end(nil)
		if said := p.said(); code != exitFailed || !strings.Contains(said, "certificate") || strings.Count(said, "\n") != 1 {
			t.Errorf("with %q: exit %d: %s", args, code, said)
		}
	}
}

// TestActiveMQForeignTraffic: with and without the jars that make the broker
// send advisories, another application's messages are counted, never stored.
func TestActiveMQForeignTraffic(t *testing.T) {
	for _, jars := range []bool{false, true} {
		t.Run(fmt.Sprintf("json jars %v", jars), func(t *testing.T) {
			broker := startActiveMQ(t, brokertest.Options{Mirror: true, JSONJars: jars})
			dir := t.TempDir()
			db := filepath.Join(dir, "t.db")
			p := gctap(t, db, "record", broker.URL(), "--name", "s")
			p.until("recording session")
			conn := reconnecting(t, broker)
			const foreign = 5000
			for i := range foreign {
				body := fmt.Sprintf(`{"type":"State","marker":"not-ours","n":%d}`, i)
				if err := conn.Send(t.Context(), capture.Outgoing{To: "topic://stocks", Body: []byte(body)}); err != nil {
					t.Fatal(err)
				}
			}
			send(t, conn, "queue://Connector1", "MakeCall#1001", "5001")
			waitStored(t, db, "s", 1)
			if code := p.end(os.Interrupt); code != exitOK {
				t.Errorf("exit %d: %s", code, p.said())
			}
			if !strings.Contains(p.said(), "1 commands, 0 events") {
				t.Errorf("said %s", p.said())
			}
			files, err := filepath.Glob(db + "*")
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil || bytes.Contains(text, []byte("not-ours")) {
					t.Errorf("%s holds another application's message (%v)", file, err)
				}
			}
		})
	}
}

// TestActiveMQWithTheReadmesLines: what the README tells an administrator to
// paste makes commands visible, in the mode that it says.
func TestActiveMQWithTheReadmesLines(t *testing.T) {
	for _, mode := range []stomptap.Mode{stomptap.Mirror, stomptap.Durable, stomptap.Composite} {
		t.Run(string(mode), func(t *testing.T) {
			broker := startActiveMQ(t, brokertest.Options{XML: stomptap.BrokerXML(mode, []string{defaultQueue})})
			db := filepath.Join(t.TempDir(), "t.db")
			p := gctap(t, db, "record", broker.URL(), "--mode", string(mode), "--no-discovery")
			p.until("recording session")
			send(t, reconnecting(t, broker), "queue://Connector1", "MakeCall#1001", "5001")
			waitStored(t, db, "@last", 1)
			if code := p.end(os.Interrupt); code != exitOK {
				t.Errorf("exit %d: %s", code, p.said())
			}
			_, all := records(t, db, "@last")
			if len(all) != 1 || all[0].Direction != capture.Command || all[0].Via != string(mode) || all[0].To != "queue://Connector1" {
				t.Errorf("recorded %+v", all)
			}
		})
	}
}
