package brokertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// memory is the broker in process. One lock guards all of it: every operation
// is short and none waits for a client, so a client that does not read holds up
// nobody.
type memory struct {
	options Options
	secure  *tls.Config

	mu       sync.Mutex
	identity string // ID:host-port-start-n
	clients  map[*client]bool
	queues   map[string]*queue
	topics   []*subscription // all subscriptions to topics, patterns included
	lastConn int
}

// processes counts the brokers of this process, so that two of them started
// within a millisecond have different identities.
var processes atomic.Int64

func newMemory(o Options, secure *tls.Config) *memory {
	return &memory{options: o, secure: secure, clients: map[*client]bool{}, queues: map[string]*queue{}}
}

func (m *memory) start(context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.identity = fmt.Sprintf("ID:%s-%d-%d-1", host, 40000+processes.Add(1), time.Now().UnixMilli())
	m.lastConn = 0
	return nil
}

// kill forgets all that a process would lose. The front has cut the
// connections; what their clients still do finds nothing.
func (m *memory) kill() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.clients {
		m.leave(c)
	}
	for name, q := range m.queues {
		q.waiting = slices.DeleteFunc(q.waiting, func(msg *message) bool {
			return !m.options.Persistent || !msg.persistent
		})
		if len(q.waiting) == 0 && !m.options.Persistent {
			delete(m.queues, name)
		}
	}
	return nil
}

func (m *memory) openWire() string { return "" }

func (m *memory) serve(nc net.Conn) {
	if m.secure != nil {
		nc = tls.Server(nc, m.secure)
		defer nc.Close()
	}
	newClient(m, nc).run()
}

// A message as the broker holds it. It is never changed; a copy for another
// destination or a redelivery is a new one with the same id.
type message struct {
	id          string
	to          destination
	original    string // STOMP's spelling; empty: none
	headers     []string
	body        []byte
	length      bool  // it was sent with content-length, and goes out with it
	expires     int64 // ms since 1970; 0: never
	persistent  bool
	redelivered bool
}

// copyTo returns the message as another destination gets it.
func (msg *message) copyTo(to destination, original string) *message {
	c := *msg
	c.to, c.original = to, original
	return &c
}

// A destination is a queue or a topic; temporary ones have their broker's name.
type destination struct {
	topic bool
	temp  bool
	name  string
}

// String is STOMP's spelling, of a temporary one as strangers see it.
func (d destination) String() string {
	kind := "queue"
	if d.topic {
		kind = "topic"
	}
	if d.temp {
		kind = "remote-temp-" + kind
	}
	return "/" + kind + "/" + d.name
}

// url is the spelling of Options.Readable and of ActiveMQ's messages.
func (d destination) url() string {
	if d.topic {
		return "topic://" + d.name
	}
	return "queue://" + d.name
}

// matches reports whether the pattern d, whose * stands for one part of a name
// between dots and whose > for the rest, takes in name.
func (d destination) matches(name string) bool {
	if d.name == name {
		return true
	}
	pattern := strings.Split(d.name, ".")
	parts := strings.Split(name, ".")
	for i, p := range pattern {
		switch {
		case p == ">":
			return true
		case i >= len(parts), p != "*" && p != parts[i]:
			return false
		}
	}
	return len(pattern) == len(parts)
}

// A queue holds messages until a consumer has them.
type queue struct {
	name    string
	waiting []*message
	subs    []*subscription
	next    int // whose turn it is
}

// A subscription is a consumer of a queue or topic.
type subscription struct {
	client   *client
	id       string
	to       destination
	shown    string // its destination header, where messages carry the subscriber's own name for it
	mode     ackMode
	browser  bool
	prefetch int
	pending  int // for topics: what may wait beyond the prefetch; 0: all

	queue   *queue // nil for a topic
	held    []*message
	unacked []*delivery // dispatched and not done with, in order
}

// ackMode is when a message counts as consumed.
type ackMode int

const (
	auto       ackMode = iota // when it is written to the network
	cumulative                // when it or a later one is acknowledged
	individual                // when it is acknowledged
)

// A delivery is one message on its way to one subscription.
type delivery struct {
	sub *subscription
	msg *message
	ack string
}

// expired reports whether a message's time is over.
func (msg *message) expired() bool {
	return msg.expires > 0 && msg.expires < time.Now().UnixMilli()
}

// route brings a message to where it was sent and where the broker copies it;
// mu is held.
func (m *memory) route(msg *message) {
	if msg.expired() {
		return
	}
	if msg.to.topic {
		m.publish(msg)
		return
	}
	if m.options.Mirror && !msg.to.temp {
		m.route(msg.copyTo(destination{topic: true, name: "VirtualTopic.Mirror." + msg.to.name}, msg.original))
	}
	if slices.Contains(m.options.Composite, msg.to.name) {
		m.route(msg.copyTo(destination{topic: true, name: "gctap." + msg.to.name}, msg.to.String()))
	}
	q := m.queue(msg.to.name)
	q.waiting = append(q.waiting, msg)
	m.dispatch(q)
}

// publish brings a message to the subscribers of its topic, and to the queues
// of a virtual topic.
func (m *memory) publish(msg *message) {
	for _, s := range m.topics {
		if s.to.matches(msg.to.name) && s.to.temp == msg.to.temp {
			s.held = append(s.held, msg)
			m.feed(s)
			if over := len(s.held) - s.pending; s.pending > 0 && over > 0 {
				s.held = slices.Delete(s.held, 0, over) // the oldest go
			}
		}
	}
	if !m.options.VirtualTopics || !strings.HasPrefix(msg.to.name, "VirtualTopic.") {
		return
	}
	for _, q := range m.sortedQueues() {
		if virtual(q.name, msg.to.name) {
			m.route(msg.copyTo(destination{name: q.name}, msg.to.String()))
		}
	}
}

// virtual reports whether a queue is a consumer queue Consumer.*.TOPIC.
func virtual(queue, topic string) bool {
	rest, ok := strings.CutPrefix(queue, "Consumer.")
	if !ok {
		return false
	}
	_, rest, ok = strings.Cut(rest, ".")
	return ok && rest == topic
}

// queue returns the named queue, new if need be.
func (m *memory) queue(name string) *queue {
	q := m.queues[name]
	if q == nil {
		q = &queue{name: name}
		m.queues[name] = q
	}
	return q
}

func (m *memory) sortedQueues() []*queue {
	all := make([]*queue, 0, len(m.queues))
	for _, q := range m.queues {
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b *queue) int { return strings.Compare(a.name, b.name) })
	return all
}

// dispatch gives waiting messages to consumers that have room, in turn.
func (m *memory) dispatch(q *queue) {
	for len(q.waiting) > 0 {
		s := q.ready()
		if s == nil {
			return
		}
		msg := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		if !msg.expired() {
			s.send(msg)
		}
	}
}

// ready returns the next consumer with room, nil if there is none.
func (q *queue) ready() *subscription {
	for range q.subs {
		s := q.subs[q.next%len(q.subs)]
		q.next++
		if !s.browser && len(s.unacked) < s.prefetch {
			return s
		}
	}
	return nil
}

// feed moves what a topic subscription has room for from held to the network.
func (m *memory) feed(s *subscription) {
	for len(s.held) > 0 && len(s.unacked) < s.prefetch {
		s.send(s.held[0])
		s.held[0] = nil
		s.held = s.held[1:]
	}
}

// send puts a message on its way.
func (s *subscription) send(msg *message) {
	s.client.lastAck++
	d := &delivery{sub: s, msg: msg, ack: fmt.Sprintf("%s-%d", s.client.session, s.client.lastAck)}
	s.unacked = append(s.unacked, d)
	s.client.push(output{delivery: d})
}

// settle counts a delivery as consumed and lets the next one go.
func (m *memory) settle(d *delivery) {
	s := d.sub
	i := slices.Index(s.unacked, d)
	if i < 0 {
		return
	}
	s.unacked = slices.Delete(s.unacked, i, i+1)
	m.more(s)
}

// more lets a subscription with room have what waits for it.
func (m *memory) more(s *subscription) {
	if s.queue != nil {
		m.dispatch(s.queue)
	} else {
		m.feed(s)
	}
}

// attach begins a subscription.
func (m *memory) attach(s *subscription) {
	s.client.subs = append(s.client.subs, s)
	if s.to.topic {
		m.topics = append(m.topics, s)
		return
	}
	s.queue = m.queue(s.to.name)
	if s.browser {
		for _, msg := range s.queue.waiting {
			s.send(msg)
		}
		s.client.push(output{browsed: s})
		return
	}
	s.queue.subs = append(s.queue.subs, s)
	m.dispatch(s.queue)
}

// detach ends a subscription. What a queue's consumer had and did not
// acknowledge goes to another, in its old order.
func (m *memory) detach(s *subscription) {
	is := func(other *subscription) bool { return other == s }
	s.client.subs = slices.DeleteFunc(s.client.subs, is)
	m.topics = slices.DeleteFunc(m.topics, is)
	back := s.unacked
	s.unacked, s.held = nil, nil
	if s.queue == nil || s.browser {
		return
	}
	q := s.queue
	q.subs = slices.DeleteFunc(q.subs, is)
	var again []*message
	for _, d := range back {
		msg := *d.msg
		msg.redelivered = true
		again = append(again, &msg)
	}
	q.waiting = append(again, q.waiting...)
	m.dispatch(q)
}

// leave takes a client and all that is its out of the broker.
func (m *memory) leave(c *client) {
	if !m.clients[c] {
		return
	}
	delete(m.clients, c)
	for _, s := range slices.Clone(c.subs) {
		m.detach(s)
	}
	for name := range m.queues {
		if strings.HasPrefix(name, c.session+":") { // its temporary ones
			delete(m.queues, name)
		}
	}
	c.gone = true
	c.wake()
}
