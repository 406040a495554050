package gcsim

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gctap/capture"
)

// bus is a broker in a few lines: it hands every message to the subscribers of
// its destination, of a queue to the first. Its goroutines block durably, so
// that tests of time can use testing/synctest.
type bus struct {
	mu   sync.Mutex
	subs map[string][]*busSub
}

type busSub struct {
	in      chan capture.Delivery
	deliver func(capture.Delivery)
}

func newBus() *bus { return &bus{subs: map[string][]*busSub{}} }

// busLink is one connection.
type busLink struct {
	bus  *bus
	name string
	done chan struct{}
	once sync.Once
	all  sync.WaitGroup
}

func (b *bus) dial() (capture.Link, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &busLink{bus: b, name: fmt.Sprintf("conn-%p", new(int)), done: make(chan struct{})}, nil
}

func (l *busLink) Subscribe(_ context.Context, s capture.Subscription, deliver func(capture.Delivery)) (func() error, error) {
	sub := &busSub{in: make(chan capture.Delivery, 10_000), deliver: deliver}
	l.bus.mu.Lock()
	l.bus.subs[s.Destination] = append(l.bus.subs[s.Destination], sub)
	l.bus.mu.Unlock()
	stop := make(chan struct{})
	l.all.Go(func() {
		for {
			select {
			case d := <-sub.in:
				deliver(d)
			case <-stop:
				return
			case <-l.done:
				return
			}
		}
	})
	return func() error { close(stop); return nil }, nil
}

func (l *busLink) Send(_ context.Context, m capture.Outgoing) error {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	for _, sub := range l.bus.subs[m.To] {
		select {
		case sub.in <- capture.Delivery{Record: capture.Record{JMSType: m.JMSType, Body: m.Body, To: m.To, ReplyTo: m.ReplyTo, Conn: l.name}}:
		default:
			return errors.New("the subscriber does not read")
		}
	}
	return nil
}

func (l *busLink) Sync(context.Context) error { return nil }
func (l *busLink) Identity() string           { return "bus" }
func (l *busLink) Done() <-chan struct{}      { return l.done }
func (l *busLink) Err() error                 { return errors.New("closed") }

func (l *busLink) Close() error {
	l.once.Do(func() { close(l.done) })
	l.all.Wait()
	return nil
}
