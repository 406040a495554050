package gcsim

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"gctap/capture"
)

// A Bus is a broker in memory that passes messages on at once and in order, and
// keeps all that went over it, as a perfect tap would. It serves tests and
// experiments without a network; of destinations it knows queues, topics and
// topic://>.
type Bus struct {
	mu      sync.Mutex
	subs    map[int]*memorySubscription
	next    int
	conns   int
	sent    int
	records []capture.Record
	start   time.Time
}

type memorySubscription struct {
	destination string
	deliver     func(capture.Delivery)
}

// NewBus returns a Bus on which nothing was sent.
func NewBus() *Bus { return &Bus{subs: map[int]*memorySubscription{}, start: time.Now()} }

// Dial returns a link with a connection of its own.
func (b *Bus) Dial() capture.Link {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns++
	return &memoryLink{bus: b, conn: fmt.Sprintf("ID:bus-1-1-1:%d", b.conns), done: make(chan struct{})}
}

// Records returns what went over the bus as a recording, but for stimuli.
func (b *Bus) Records() []capture.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]capture.Record(nil), b.records...)
}

type memoryLink struct {
	bus  *Bus
	conn string
	once sync.Once
	done chan struct{}
}

func (l *memoryLink) Subscribe(_ context.Context, s capture.Subscription, deliver func(capture.Delivery)) (func() error, error) {
	b := l.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	id := b.next
	b.subs[id] = &memorySubscription{s.Destination, deliver}
	return func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, id)
		return nil
	}, nil
}

func (l *memoryLink) Send(_ context.Context, m capture.Outgoing) error {
	b := l.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	rec := b.record(l.conn, &m)
	if m.To != ControlTopic {
		b.records = append(b.records, rec)
	}
	for id := 1; id <= b.next; id++ {
		if s := b.subs[id]; s != nil && (s.destination == m.To || s.destination == "topic://>" && rec.Direction == capture.Event) {
			s.deliver(capture.Delivery{Record: rec})
		}
	}
	return nil
}

// record is what a tap makes of a message.
func (b *Bus) record(conn string, m *capture.Outgoing) capture.Record {
	b.sent++
	now := time.Now()
	rec := capture.Record{
		Seq: int64(len(b.records) + 1), CapturedAt: now, Mono: now.Sub(b.start), SentAt: &now, Source: "stomp", Conn: conn,
		To: m.To, ReplyTo: m.ReplyTo, MessageID: fmt.Sprintf("%s:-1:1:%d", conn, b.sent), CorrelationID: m.CorrelationID,
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
	return rec
}

func (l *memoryLink) Sync(context.Context) error { return nil }
func (l *memoryLink) Identity() string           { return "ID:bus-1-1" }
func (l *memoryLink) Done() <-chan struct{}      { return l.done }
func (l *memoryLink) Err() error                 { return nil }
func (l *memoryLink) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}
