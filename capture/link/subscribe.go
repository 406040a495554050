package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gctap/capture"

	"github.com/go-stomp/stomp/v3/frame"
)

// A subscription lives as long as its link, over all its connections.
type subscription struct {
	id        string
	want      capture.Subscription
	deliver   func(capture.Delivery)
	confirmed bool // by some broker at some time
	ending    bool // not to be renewed
}

func (s *subscription) asked() string { return "subscribe to " + s.want.Destination }

// Subscribe asks for the messages of a destination and returns once the broker
// has confirmed it; a *Refused error holds the broker's words. deliver is then
// called for each message, on the reader's goroutine, and must not block.
// Messages may come before Subscribe returns.
//
// cancel waits for the broker's word that the subscription has ended; until
// then messages still come. It must not be called from deliver.
func (c *Conn) Subscribe(ctx context.Context, want capture.Subscription, deliver func(capture.Delivery)) (cancel func() error, err error) {
	sub := &subscription{want: want, deliver: deliver}
	answer := make(chan error, 1)
	for registered := false; !registered; {
		s, err := c.await(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sub.asked(), err)
		}
		if registered, err = c.register(ctx, s, sub, answer); err != nil {
			return nil, fmt.Errorf("%s: %w", sub.asked(), err)
		}
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		c.forget(sub)
		return nil, fmt.Errorf("%s: the broker has not answered: %w", sub.asked(), context.Cause(ctx))
	}
	if err == nil {
		return func() error { return c.cancel(sub) }, nil
	}
	if no, ok := errors.AsType[*Refused](err); ok && no.Asked == sub.asked() {
		c.drop(sub) // the broker has nothing to end, and ActiveMQ complains when asked to
		return nil, err
	}
	c.forget(sub)
	return nil, fmt.Errorf("%s: the connection ended before the broker confirmed it: %w", sub.asked(), err)
}

// register sends the SUBSCRIBE on s, unless s has ended meanwhile.
func (c *Conn) register(ctx context.Context, s *session, sub *subscription, answer chan<- error) (bool, error) {
	c.mu.Lock()
	if c.session != s {
		c.mu.Unlock()
		return false, nil
	}
	sub.id = c.number()
	f, err := s.subscribe(sub)
	if err != nil {
		c.mu.Unlock()
		return false, err
	}
	c.subs = append(c.subs, sub)
	f.Header.Add(frame.Receipt, s.awaitLocked(sub.asked(), func(err error) {
		if err == nil {
			c.mu.Lock()
			sub.confirmed = true
			c.mu.Unlock()
		}
		answer <- err
	}))
	c.mu.Unlock()
	if err := s.write(ctx, f); err != nil {
		c.forget(sub)
		return false, err
	}
	return true, nil
}

// forget drops a subscription from those that a new connection renews, and
// ends it on the present one without waiting.
func (c *Conn) forget(sub *subscription) {
	c.mu.Lock()
	known := slices.Contains(c.subs, sub)
	c.subs = slices.DeleteFunc(c.subs, func(s *subscription) bool { return s == sub })
	s := c.session
	c.mu.Unlock()
	if known && s != nil {
		s.tryWrite(unsubscribe(sub))
	}
}

// cancel ends a confirmed subscription.
func (c *Conn) cancel(sub *subscription) error {
	ctx, stop := context.WithTimeout(context.Background(), c.config.Timeout)
	defer stop()
	c.mu.Lock()
	s := c.session
	known := slices.Contains(c.subs, sub)
	sub.ending = true
	c.mu.Unlock()
	defer c.drop(sub)
	if s == nil || !known {
		return nil // it ended with its connection and is not renewed
	}
	if err := s.request(ctx, "end the subscription to "+sub.want.Destination, unsubscribe(sub)); err != nil {
		select {
		case <-s.ended:
			return nil
		default:
			return err
		}
	}
	return nil
}

func (c *Conn) drop(sub *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = slices.DeleteFunc(c.subs, func(s *subscription) bool { return s == sub })
}

// find returns the subscription that a MESSAGE names.
func (c *Conn) find(id string) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sub := range c.subs {
		if sub.id == id {
			return sub
		}
	}
	return nil
}

// subscribe writes the SUBSCRIBE frame, without its receipt.
func (s *session) subscribe(sub *subscription) (*frame.Frame, error) {
	want := sub.want
	destination, err := s.dialect.wire(want.Destination)
	if err != nil {
		return nil, err
	}
	mode := "auto"
	if want.Individual {
		mode = "client-individual"
	}
	f := frame.New(frame.SUBSCRIBE, frame.Id, sub.id, frame.Destination, destination, frame.Ack, mode)
	prefetch, pending := want.Prefetch, want.Pending
	if prefetch == 0 {
		prefetch = s.conn.config.Prefetch
	}
	if pending == 0 {
		pending = s.conn.config.Pending
	}
	s.dialect.subscribe(f.Header, prefetch, pending)
	if topic, ok := strings.CutPrefix(want.Destination, "topic://"); ok && strings.ContainsAny(topic, "*>") {
		for i := 0; i+1 < len(s.dialect.wildcard); i += 2 {
			f.Header.Add(s.dialect.wildcard[i], s.dialect.wildcard[i+1])
		}
	}
	if want.Browse {
		f.Header.Add("browser", "true")
	}
	return f, nil
}

func unsubscribe(sub *subscription) *frame.Frame {
	destination, _ := activeMQ.wire(sub.want.Destination) // 1.0 may want it beside the id
	return frame.New(frame.UNSUBSCRIBE, frame.Id, sub.id, frame.Destination, destination)
}

// message hands a MESSAGE to its subscriber.
func (s *session) message(f *frame.Frame) {
	sub := s.conn.find(f.Header.Get(frame.Subscription))
	if sub == nil {
		return // the last ones of a subscription that has ended
	}
	d := capture.Delivery{Record: s.dialect.record(f, time.Now())}
	switch {
	case sub.want.Browse && f.Header.Get("browser") == "end":
		d.Record.Direction, d.Record.BodyKind = capture.Note, capture.None
	case sub.want.Individual:
		d.Ack = s.acknowledgement(f)
	}
	sub.deliver(d)
}

// acknowledgement returns the function that acknowledges f. It never blocks;
// after the end of the session it does nothing, for the message comes again.
func (s *session) acknowledgement(f *frame.Frame) func() {
	id, subscription := f.Header.Get(frame.MessageId), f.Header.Get(frame.Subscription)
	var ack *frame.Frame
	if s.peer.Version == v12 {
		ack = frame.New(frame.ACK, frame.Id, f.Header.Get(frame.Ack))
	} else {
		ack = frame.New(frame.ACK, frame.MessageId, id, frame.Subscription, subscription)
	}
	return func() { s.acks.add(ack) }
}
