package mock_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"gctap/capture"
)

// bus is a broker for tests that passes messages on in memory, at once and in
// order, and keeps all that went over it, as a perfect tap would.
type bus struct {
	mu      sync.Mutex
	subs    map[int]*subscription
	next    int
	conns   int
	sent    int
	records []capture.Record
	start   time.Time
}

type subscription struct {
	destination string
	deliver     func(capture.Delivery)
}

func newBus() *bus { return &bus{subs: map[int]*subscription{}, start: time.Now()} }

// dial returns a link with a connection of its own.
func (b *bus) dial() capture.Link {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns++
	return &busLink{bus: b, conn: fmt.Sprintf("ID:bus-1-1-1:%d", b.conns), done: make(chan struct{})}
}

// session returns what went over the bus as a recording.
func (b *bus) session() []capture.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]capture.Record(nil), b.records...)
}

type busLink struct {
	bus  *bus
	conn string
	once sync.Once
	done chan struct{}
}

func (l *busLink) Subscribe(_ context.Context, s capture.Subscription, deliver func(capture.Delivery)) (func() error, error) {
	b := l.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	id := b.next
	b.subs[id] = &subscription{s.Destination, deliver}
	return func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, id)
		return nil
	}, nil
}

func (l *busLink) Send(_ context.Context, m capture.Outgoing) error {
	b := l.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
	now := time.Now()
	rec := capture.Record{
		Seq: int64(len(b.records) + 1), CapturedAt: now, Mono: now.Sub(b.start), SentAt: &now, Source: "stomp", Conn: l.conn,
		To: m.To, ReplyTo: m.ReplyTo, MessageID: fmt.Sprintf("%s:-1:1:%d", l.conn, b.sent), CorrelationID: m.CorrelationID,
		JMSType: m.JMSType, BodyKind: capture.Text, Body: append([]byte{}, m.Body...), Headers: m.Headers,
	}
	switch {
	case strings.HasPrefix(m.To, "queue://"):
		rec.Direction = capture.Command
	case m.To == "topic://ConnectorSync":
		rec.Direction = capture.Peer
	default:
		rec.Direction = capture.Event
	}
	if !strings.HasPrefix(m.To, "topic://gctap.sim.") {
		b.records = append(b.records, rec)
	}
	for id := 1; id <= b.next; id++ {
		if s := b.subs[id]; s != nil && (s.destination == m.To || s.destination == "topic://>" && rec.Direction == capture.Event) {
			s.deliver(capture.Delivery{Record: rec})
		}
	}
	return nil
}

func (l *busLink) Sync(context.Context) error { return nil }
func (l *busLink) Identity() string           { return "ID:bus-1-1" }
func (l *busLink) Done() <-chan struct{}      { return l.done }
func (l *busLink) Err() error                 { return nil }
func (l *busLink) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// seq turns records into what Compare and BuildPlan read.
func seq(records []capture.Record) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}
