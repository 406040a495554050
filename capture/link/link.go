// Package link is one connection to a message broker over STOMP, for the tap,
// the replay, the mock and the simulator alike. It implements [capture.Link].
//
// A link knows URLs, TLS, login, the versions 1.0 to 1.2 of STOMP, heartbeats,
// the header names of the brokers there are (dialect.go), and how to come back:
// after a loss it tries every address again with growing delays, subscribes
// anew and says through OnState from when to when it was away. It knows nothing
// of what the messages mean, and keeps none.
//
// Three goroutines serve a link. The reader takes frames off the connection and
// calls every callback: deliver and OnState are never called at the same time,
// and see messages and states in the order in which they happened. The writer
// alone writes, many frames at once where they wait. The acknowledger turns
// acknowledgements into frames, in batches. The reader waits for neither of
// them, so a broker that stops reading cannot stop what is received.
//
// A link bounds what the broker must hold for it: every subscription has a
// prefetch and, for topics, asks the broker to drop the oldest after a limit
// rather than wait; ActiveMQ does so only where its own configuration has such a
// limit too (dialect.go). A frame over the size limit ends the connection.
package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"gctap/capture"

	"github.com/go-stomp/stomp/v3/frame"
)

// Config says how to connect and how to behave. The zero value of a field means
// its default.
type Config struct {
	Broker   Broker
	Login    string // in place of the URL's
	Passcode string // in place of the URL's
	TLS      TLS

	VirtualHost string // STOMP's host header; default the name of the host connected to

	Heartbeat time.Duration // asked of the broker and promised to it; default 10s, negative: none
	Probe     time.Duration // a quiet connection is tested after it when the broker sends no heartbeats; default 30s
	Timeout   time.Duration // for one address to connect and log in, and for a broker's answer at the end; default 10s
	MaxFrame  int64         // bytes; default 64 MiB

	// Prefetch and Pending are the defaults of subscriptions: messages in
	// flight (1,000), and messages held back for a slow reader of a topic
	// before the broker drops the oldest (10,000).
	Prefetch, Pending int

	Reconnect bool // come back after a loss; else the link ends with it
	Backoff   Backoff

	// OnState is told of every change, on the goroutine that delivers. It must
	// not block and must not call the link. The first Up comes before Open
	// returns.
	OnState func(State)
}

// Backoff is how long to wait before a further attempt to connect: Min at
// first, twice as long each time up to Max, each shortened by a random part of
// up to a half. Defaults: 500 ms and 30 s, or what the failover URL says.
type Backoff struct{ Min, Max time.Duration }

// String describes the connection without its password.
func (c Config) String() string { return c.Broker.String() }

// GoString is String, so that %#v shows no password either.
func (c Config) GoString() string { return c.String() }

// defaults fills in what was left zero.
func (c *Config) defaults() {
	c.Heartbeat = max(cmp.Or(c.Heartbeat, 10*time.Second), 0)
	c.Probe = cmp.Or(c.Probe, 30*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.MaxFrame = cmp.Or(c.MaxFrame, 64<<20)
	c.Prefetch = cmp.Or(c.Prefetch, 1000)
	c.Pending = cmp.Or(c.Pending, 10_000)
	c.Backoff.Min = cmp.Or(c.Backoff.Min, c.Broker.FirstDelay, 500*time.Millisecond)
	c.Backoff.Max = max(cmp.Or(c.Backoff.Max, c.Broker.MaxDelay, 30*time.Second), c.Backoff.Min)
	if c.OnState == nil {
		c.OnState = func(State) {}
	}
}

// Secrets are the passwords in use: no error, log or record may show them.
func (c *Config) Secrets() []string { return append(c.Broker.passcodes(), c.Passcode) }

// Credentials are the login and passcode that the first address is given, for
// what else the same user may ask of the same broker.
func (c *Config) Credentials() (login, passcode string) {
	var first Address
	if len(c.Broker.Addresses) > 0 {
		first = c.Broker.Addresses[0]
	}
	return cmp.Or(c.Login, first.Login), cmp.Or(c.Passcode, first.passcode)
}

// Change is what a State tells.
type Change string

// What happens to a link. From Down to the next Up messages may be missed.
const (
	Up        Change = "up"        // connected, and every subscription is confirmed
	Down      Change = "down"      // the connection is lost; Err says why
	Retry     Change = "retry"     // an attempt to come back failed; Err says why
	Complaint Change = "complaint" // the broker refused something and the connection goes on
)

// A State is a change in the life of a link.
type State struct {
	Change Change
	// At is when it happened. A connection that fell silent is down since it
	// was last heard of, which is earlier than the moment it was given up.
	At   time.Time
	Err  error // nil when Up
	Peer       // of the connection that is up, or was
}

// Peer is what is known of the broker's end.
type Peer struct {
	Addr     string // the address connected to, IP:port
	Host     string // the host name it was found by
	Identity string // see Conn.Identity
	Session  string // the session header as it came
	Server   string // the server header, such as ActiveMQ/5.17.2; empty where the broker gives none
	Version  string // of STOMP: 1.0, 1.1 or 1.2
}

// A Conn is a link to a broker.
type Conn struct {
	config Config
	dialer dialer

	mu      sync.Mutex
	session *session      // nil while down
	live    *session      // the one being read, up or not
	change  chan struct{} // closed and replaced when session changes
	peer    Peer
	subs    []*subscription
	last    int   // number of the last subscription, receipt or transaction
	unsure  error // why what was sent since the last Sync may not have arrived
	sent    int64 // messages since the last Sync, on this connection
	closing bool
	err     error

	stop   context.CancelFunc // ends reconnecting
	done   chan struct{}
	reader chan struct{} // closed when the reader has ended
}

var _ capture.Link = (*Conn)(nil)

// Open connects: every address of every URL is tried once, in their order. It
// fails with one line that says for each what is wrong. ctx is for the opening
// alone; the link then lives until Close.
func Open(ctx context.Context, config Config) (*Conn, error) {
	return open(ctx, config, dialer{dial: new(net.Dialer).DialContext, lookup: net.DefaultResolver.LookupHost})
}

func open(ctx context.Context, config Config, d dialer) (*Conn, error) {
	config.defaults()
	if len(config.Broker.Addresses) == 0 {
		return nil, errors.New("no broker to connect to: give its URL, stomp://HOST:61613")
	}
	life, stop := context.WithCancel(context.Background())
	c := &Conn{config: config, dialer: d, stop: stop,
		change: make(chan struct{}), done: make(chan struct{}), reader: make(chan struct{})}
	s, err := c.connect(ctx, config.Broker.Addresses)
	if err != nil {
		stop()
		return nil, err
	}
	s.serve()
	c.live = s
	c.setUp(s)
	go c.run(life, s)
	return c, nil
}

// run is the reader: it reads session after session until the link ends.
func (c *Conn) run(life context.Context, s *session) {
	defer close(c.reader)
	for s != nil {
		err := s.read()
		s.end(err)
		s.wait()
		s = c.next(life, s, clean(s.cause(), c.config.Secrets()))
	}
}

// next tells of a loss and returns the session that follows, nil at the end.
func (c *Conn) next(life context.Context, old *session, cause error) *session {
	waiters, closing := c.setDown(old, cause)
	for _, w := range waiters {
		w(cause)
	}
	if closing {
		c.finish(ErrClosed)
		return nil
	}
	change, attempt := Down, old.attempt
	if old.upAt.IsZero() {
		change = Retry // the loss before was told, and the link was not up since
	} else if time.Since(old.upAt) > c.config.Backoff.Max {
		attempt = 0 // one that is lost again and again soon goes on waiting longer
	}
	at := time.Now()
	if !errors.Is(cause, errGone) && !old.heard.IsZero() {
		at = old.heard // what came later was lost with the connection
	}
	c.config.OnState(State{Change: change, At: at, Err: cause, Peer: old.peer})
	if !c.config.Reconnect {
		c.finish(cause)
		return nil
	}
	s, err := c.reconnect(life, attempt)
	if err != nil {
		c.finish(err)
		return nil
	}
	c.resume(s)
	return s
}

// setUp makes s the session that calls use.
func (c *Conn) setUp(s *session) {
	c.mu.Lock()
	c.session, c.peer, s.upAt = s, s.peer, time.Now()
	close(c.change)
	c.change = make(chan struct{})
	c.mu.Unlock()
	c.config.OnState(State{Change: Up, At: time.Now(), Peer: s.peer})
}

// setDown takes the ended session out of use. Whoever waits for an answer of
// its broker is to be told; a subscription that was never confirmed is dropped,
// for it may be what ended the connection.
func (c *Conn) setDown(s *session, cause error) (waiters []func(error), closing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = nil
	if c.sent > 0 && c.unsure == nil && !c.closing {
		c.unsure = fmt.Errorf("the connection was lost after messages were sent, some of the last %d may not have arrived: %w", c.sent, cause)
	}
	c.sent = 0
	for _, w := range s.receipts {
		waiters = append(waiters, w)
	}
	s.receipts = nil
	c.subs = slices.DeleteFunc(c.subs, func(sub *subscription) bool { return !sub.confirmed || sub.ending })
	return waiters, c.closing
}

// finish ends the link for good.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	if c.err = err; c.closing {
		c.err = ErrClosed
	}
	c.mu.Unlock()
	c.stop()
	close(c.done)
}

// resume subscribes on a new session to all that was subscribed before. The
// link is up when the broker has confirmed the last of them.
func (c *Conn) resume(s *session) {
	s.serve()
	c.mu.Lock()
	if c.live = s; c.closing {
		defer s.end(ErrClosed)
	}
	var out []byte
	waiting := len(c.subs)
	for _, sub := range c.subs {
		f, err := s.subscribe(sub)
		if err != nil { // it was written once; only another kind of broker can differ
			waiting--
			continue
		}
		f.Header.Add(frame.Receipt, s.awaitLocked(sub.asked(), func(err error) {
			if err != nil {
				s.end(err)
			} else if waiting--; waiting == 0 {
				c.setUp(s)
			}
		}))
		out, _ = appendFrame(out, f, s.peer.Version)
	}
	c.mu.Unlock()
	if waiting == 0 {
		c.setUp(s)
		return
	}
	s.queue <- &write{data: out}
}

// await returns the session that is up, waiting for one if need be.
func (c *Conn) await(ctx context.Context) (*session, error) {
	for {
		c.mu.Lock()
		s, change, closing := c.session, c.change, c.closing
		c.mu.Unlock()
		if closing {
			return nil, ErrClosed
		}
		if s != nil {
			return s, nil
		}
		select {
		case <-change:
		case <-c.done:
			return nil, c.Err()
		case <-ctx.Done():
			return nil, fmt.Errorf("the broker is not connected: %w", context.Cause(ctx))
		}
	}
}

// Send hands a message to the broker as a JMS TextMessage. It returns when the
// message has been given to the network; while the link is down it waits for it
// to come back. An error means that the message was not sent, with one
// exception that says so: ctx ended while it was being written.
//
// Of m.Headers those go out that are JMS properties; what STOMP, JMS or the
// broker writes itself (a recorded expiry, say) is left out.
func (c *Conn) Send(ctx context.Context, m capture.Outgoing) error {
	s, err := c.await(ctx)
	if err == nil {
		err = s.send(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("send to %s: %w", m.To, err)
	}
	return nil
}

// Sync returns once the broker has taken in everything sent before. An error
// says that it may not have: the broker refused something, or the connection
// was lost in between.
func (c *Conn) Sync(ctx context.Context) error {
	s, err := c.await(ctx)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	c.mu.Lock()
	sent := c.sent
	c.mu.Unlock()
	err = s.roundTrip(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.sent = max(c.sent-sent, 0)
	}
	if c.unsure != nil {
		err, c.unsure = c.unsure, nil
	}
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// Identity names the broker's process, ID:host-port-start of its session
// header; empty where the broker gives none.
func (c *Conn) Identity() string { return c.Peer().Identity }

// Peer tells what is known of the broker; of the last connection while the link
// is down.
func (c *Conn) Peer() Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer
}

// Done is closed when the link has ended: after Close, after a loss without
// Reconnect, or when the attempts to reconnect are used up.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the link has ended: ErrClosed after Close; nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the link: what was sent and acknowledged before is given to the
// broker first, for at most the configured timeout. It must not be called from
// deliver or OnState.
func (c *Conn) Close() error {
	c.mu.Lock()
	s, live, again := c.session, c.live, c.closing
	c.closing = true
	c.mu.Unlock()
	c.stop()
	var err error
	if s != nil && !again {
		err = s.disconnect(c.config.Timeout)
	}
	live.end(ErrClosed)
	<-c.reader
	return err
}

// number returns a new number for a subscription or a receipt; mu is held.
func (c *Conn) number() string {
	c.last++
	return strconv.Itoa(c.last)
}
