package mock_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"gctap/capture"
)

// slowLink is a link of a client that is busy: what it sends and what it is
// sent lies about for a while, up to most, in order each way. Clients on such
// links come before and after each other as those on a loaded machine do.
type slowLink struct {
	capture.Link
	most time.Duration
	out  *later

	mu  sync.Mutex // guards rnd
	rnd *rand.Rand
}

func slow(l capture.Link, seed uint64, most time.Duration) *slowLink {
	s := &slowLink{Link: l, most: most, rnd: rand.New(rand.NewPCG(seed, 1))}
	s.out = newLater(s)
	return s
}

func (s *slowLink) delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rnd.Int64N(int64(s.most)))
}

func (s *slowLink) Send(ctx context.Context, m capture.Outgoing) error {
	s.out.put(func() { _ = s.Link.Send(ctx, m) }) // the bus takes everything
	return nil
}

func (s *slowLink) Subscribe(ctx context.Context, sub capture.Subscription, deliver func(capture.Delivery)) (func() error, error) {
	in := newLater(s)
	return s.Link.Subscribe(ctx, sub, func(d capture.Delivery) { in.put(func() { deliver(d) }) })
}

func (s *slowLink) Sync(context.Context) error {
	done := make(chan struct{})
	s.out.put(func() { close(done) })
	<-done
	return nil
}

// later does things one after the other, each after a delay of its own.
type later struct {
	link *slowLink
	mu   sync.Mutex
	todo []func()
}

func newLater(l *slowLink) *later { return &later{link: l} }

func (l *later) put(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.todo = append(l.todo, do)
	if len(l.todo) == 1 {
		time.AfterFunc(l.link.delay(), l.next)
	}
}

// next does the first thing; it stays in the list until it is done, so that
// nobody starts on the second.
func (l *later) next() {
	l.mu.Lock()
	do := l.todo[0]
	l.mu.Unlock()
	do()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.todo = l.todo[1:]; len(l.todo) > 0 {
		time.AfterFunc(l.link.delay(), l.next)
	}
}
