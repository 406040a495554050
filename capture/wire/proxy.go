package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gctap/capture"
)

// DefaultBacklog is how many bytes may wait to be decoded before a Proxy leaves
// bytes out of the recording.
const DefaultBacklog = 64 << 20

// A Pair is an address to listen on and one to pass connections on to.
type Pair struct {
	Listen string      // host:port
	To     string      // host:port
	Serve  *tls.Config // TLS with the clients; nil: none
	Dial   *tls.Config // TLS with the server; nil: none
}

// ProxyConfig says what a Proxy does.
type ProxyConfig struct {
	Pairs   []Pair
	Emit    func(capture.Record) // takes the records; see Config
	Skip    func(dest string)
	Guess   func(*capture.Record) capture.Direction
	Say     func(string) // takes what the user should know, a line at a time; must not block
	Backlog int          // 0: DefaultBacklog
	Limit   int          // largest frame; 0: DefaultLimit
}

// A Proxy passes bytes on unchanged and at once, and decodes a copy beside it.
//
// Passing on never waits for decoding, and so neither for whoever takes the
// records: copies wait in a queue of bounded size, and what does not fit is left
// out of the recording, with a gap row that has the number of bytes. Ends of
// one direction, back-pressure and resets are passed on as they come.
type Proxy struct {
	cfg       ProxyConfig
	listeners []net.Listener
	tape      tape

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	done  bool

	open, total atomic.Int64
	bytes       atomic.Int64
}

// ListenProxy takes the addresses. Connections are served by Run.
func ListenProxy(cfg ProxyConfig) (*Proxy, error) {
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	if cfg.Backlog <= 0 {
		cfg.Backlog = DefaultBacklog
	}
	p := &Proxy{cfg: cfg, conns: map[net.Conn]struct{}{}, tape: tape{limit: cfg.Backlog, wake: make(chan struct{}, 1)}}
	for _, pair := range cfg.Pairs {
		l, err := net.Listen("tcp", pair.Listen)
		if err != nil {
			p.closeListeners()
			return nil, fmt.Errorf("listening on %s: %w", pair.Listen, err)
		}
		p.listeners = append(p.listeners, l)
	}
	return p, nil
}

// Addr returns the address that pair n listens on.
func (p *Proxy) Addr(n int) string { return p.listeners[n].Addr().String() }

// ProxyStatus is where a Proxy stands.
type ProxyStatus struct {
	Open, Total int64 // connections
	Bytes       int64 // passed on
	Left        int64 // bytes left out of the recording
	Waiting     int   // bytes waiting to be decoded
}

// Status may be called at any time.
func (p *Proxy) Status() ProxyStatus {
	s := ProxyStatus{Open: p.open.Load(), Total: p.total.Load(), Bytes: p.bytes.Load()}
	p.tape.mu.Lock()
	s.Left, s.Waiting = p.tape.left, p.tape.size
	p.tape.mu.Unlock()
	return s
}

// Run serves until ctx is done; it then gives back the addresses at once, ends
// the connections, and returns when all that was passed on has been decoded.
// It returns what was read of each protocol.
func (p *Proxy) Run(ctx context.Context) []Traffic {
	decoded := make(chan []Traffic)
	go func() { decoded <- p.decode() }()
	stop := context.AfterFunc(ctx, p.close)
	defer stop()
	var serving sync.WaitGroup
	for i := range p.listeners {
		serving.Go(func() { p.accept(ctx, i, &serving) })
	}
	serving.Wait()
	p.tape.close()
	return <-decoded
}

func (p *Proxy) closeListeners() {
	for _, l := range p.listeners {
		l.Close()
	}
}

// close ends all connections; none is added after it.
func (p *Proxy) close() {
	p.closeListeners()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	for c := range p.conns {
		c.Close()
	}
}

// keep remembers a connection for close. False: it is too late for it.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.Close()
}

func (p *Proxy) accept(ctx context.Context, n int, serving *sync.WaitGroup) {
	for {
		c, err := p.listeners[n].Accept()
		switch {
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			if c != nil {
				c.Close()
			}
			return
		case err != nil: // out of file descriptors, and the like: others may end
			p.cfg.Say(fmt.Sprintf("accepting on %s: %v", p.cfg.Pairs[n].Listen, err))
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		serving.Go(func() { p.serve(ctx, p.cfg.Pairs[n], c) })
	}
}

// dialTimeout bounds the wait for the server, and for a TLS handshake.
const dialTimeout = 20 * time.Second

// serve connects a client to the server and passes on what both send.
func (p *Proxy) serve(ctx context.Context, pair Pair, client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	server, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", pair.To)
	if err != nil {
		p.cfg.Say(fmt.Sprintf("a client of %s was turned away: %v", pair.Listen, err))
		abort(client)
		return
	}
	if !p.keep(server) {
		return
	}
	defer p.drop(server)
	in, out, err := secure(ctx, pair, client, server)
	if err != nil {
		p.cfg.Say(fmt.Sprintf("a client of %s was turned away: %v", pair.Listen, err))
		abort(client)
		abort(server)
		return
	}
	p.open.Add(1)
	p.total.Add(1)
	defer p.open.Add(-1)
	track := &track{ends: Endpoints{Client: client.RemoteAddr().String(), Server: pair.To, Via: pair.Listen, Whole: true}}
	p.tape.push(event{track: track, kind: opened, at: time.Now()})
	var both sync.WaitGroup
	broken := func() { abort(client); abort(server) }
	both.Go(func() { p.relay(track, Client, in, out, broken) })
	both.Go(func() { p.relay(track, Server, out, in, broken) })
	both.Wait()
	p.tape.push(event{track: track, kind: closed, at: time.Now()})
}

// secure puts TLS on the connections that are to have it.
func secure(ctx context.Context, pair Pair, client, server net.Conn) (in, out net.Conn, err error) {
	in, out = client, server
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if pair.Dial != nil {
		c := tls.Client(server, pair.Dial)
		if err := c.HandshakeContext(ctx); err != nil {
			return nil, nil, fmt.Errorf("TLS with %s: %w", pair.To, err)
		}
		out = c
	}
	if pair.Serve != nil {
		c := tls.Server(client, pair.Serve)
		if err := c.HandshakeContext(ctx); err != nil {
			return nil, nil, fmt.Errorf("TLS with the client: %w", err)
		}
		in = c
	}
	return in, out, nil
}

// abort ends a TCP connection with a reset, as its other end was.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0) // a connection that is closed already has no more to lose
	}
	c.Close()
}

// relayBuffer is how much is passed on at once.
const relayBuffer = 64 << 10

// relay passes on what from sends until it ends. The copy is queued first, so
// that no answer to it can be queued before it.
func (p *Proxy) relay(t *track, from Side, src, dst net.Conn, broken func()) {
	buf := make([]byte, relayBuffer)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			p.bytes.Add(int64(n))
			p.tape.data(t, from, buf[:n])
			if _, werr := dst.Write(buf[:n]); werr != nil {
				broken()
				return
			}
		}
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			p.tape.push(event{track: t, kind: ended, side: from, at: time.Now()})
			if closeWrite(dst, errors.Is(err, io.EOF)) == nil {
				return
			}
		}
		broken()
		return
	}
}

// closeWrite ends one direction. A TLS end that was not announced is not
// announced either.
func closeWrite(c net.Conn, announced bool) error {
	if t, ok := c.(*tls.Conn); ok && !announced {
		c = t.NetConn()
	}
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// A track is one connection on the tape.
type track struct {
	ends Endpoints
	conn *Conn    // made by the goroutine that decodes
	left [2]int64 // bytes left out since the last that were not
	// unseen says that there was no room to say that it was opened.
	unseen bool
}

// An event is what happened on a connection.
type event struct {
	track *track
	kind  eventKind
	side  Side
	at    time.Time
	data  []byte
	n     int64
	bytes int64     // of unseen
	from  time.Time // of unseen
}

type eventKind byte

const (
	opened eventKind = iota
	arrived
	leftOut
	ended
	closed
	unseen // n connections that came and went while there was no room
)

// A tape is the queue between the relays and the decoder. Nobody waits who
// writes to it.
type tape struct {
	limit int
	wake  chan struct{}

	mu     sync.Mutex
	events []event
	size   int
	left   int64
	closed bool
	// connections that came and went while there was no room, since when, and
	// what they passed on
	unseen      int64
	unseenBytes int64
	unseenFrom  time.Time
}

const eventSize = 160 // about what an event takes beside its data

// data takes a copy of what a side has sent, or counts it as left out.
func (t *tape) data(track *track, side Side, b []byte) {
	at := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.size+len(b)+eventSize > t.limit {
		track.left[side] += int64(len(b))
		t.left += int64(len(b))
		return
	}
	t.flushLeft(track, at)
	t.add(event{track: track, kind: arrived, side: side, at: at, data: append([]byte(nil), b...)})
}

// push takes an event without data: over the limit if need be, but for
// connections that begin and end while there is no room, of which there may be
// any number.
func (t *tape) push(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	full := t.size+eventSize > t.limit
	switch {
	case e.kind == opened && full:
		e.track.unseen = true
		return
	case e.track.unseen && full && e.kind == ended:
		return
	case e.track.unseen && full:
		if t.unseen++; t.unseen == 1 {
			t.unseenFrom = e.at
		}
		t.unseenBytes += e.track.left[Client] + e.track.left[Server]
		return
	}
	t.flushLeft(e.track, e.at)
	t.add(e)
}

// flushLeft tells of what was left out, in its place.
func (t *tape) flushLeft(track *track, at time.Time) {
	t.flushUnseen(at)
	if track.unseen {
		track.unseen = false
		t.add(event{track: track, kind: opened, at: at})
	}
	for side, n := range track.left {
		if n > 0 {
			track.left[side] = 0
			t.add(event{track: track, kind: leftOut, side: Side(side), at: at, n: n})
		}
	}
}

func (t *tape) flushUnseen(at time.Time) {
	if t.unseen > 0 {
		t.add(event{kind: unseen, at: at, n: t.unseen, from: t.unseenFrom, bytes: t.unseenBytes})
		t.unseen, t.unseenBytes = 0, 0
	}
}

func (t *tape) add(e event) {
	t.events = append(t.events, e)
	t.size += len(e.data) + eventSize
	if len(t.events) == 1 {
		t.signal()
	}
}

func (t *tape) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *tape) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flushUnseen(time.Now())
	t.closed = true
	t.signal()
}

// take waits for events and returns all there are; none: there will be no more.
func (t *tape) take(spare []event) []event {
	for {
		t.mu.Lock()
		events, done := t.events, t.closed
		if len(events) > 0 {
			t.events = spare[:0]
			if done {
				t.signal()
			}
			t.mu.Unlock()
			return events
		}
		t.mu.Unlock()
		if done {
			return nil
		}
		<-t.wake
	}
}

// release gives back what an event took, once it is decoded.
func (t *tape) release(size int) {
	t.mu.Lock()
	t.size -= size
	t.mu.Unlock()
}

// decode reads the tape to its end.
func (p *Proxy) decode() []Traffic {
	d := NewDecoder(Config{Source: "proxy", Limit: p.cfg.Limit, Emit: p.cfg.Emit, Skip: p.cfg.Skip, Guess: p.cfg.Guess})
	var events []event
	for {
		clear(events)
		events = p.tape.take(events)
		if len(events) == 0 {
			break
		}
		for i := range events {
			e := &events[i]
			d.play(e)
			p.tape.release(len(e.data) + eventSize)
			e.data = nil
		}
	}
	d.Close(time.Now())
	return d.Traffic()
}

// play feeds one event to the decoder.
func (d *Decoder) play(e *event) {
	t := e.track
	switch e.kind {
	case unseen:
		d.unseen(e)
	case opened:
		t.conn = d.Connect(t.ends)
	case arrived:
		t.conn.Data(e.side, e.at, e.data)
	case leftOut:
		t.conn.Lost(e.side, e.at, e.n)
	case ended:
		t.conn.End(e.side, e.at)
	case closed:
		t.conn.Close(e.at)
	}
}

// unseen tells of connections that were passed on and not recorded at all.
func (d *Decoder) unseen(e *event) {
	rec := capture.Gap{From: e.from, To: e.at, Reason: capture.GapOverflow}.Record()
	rec.Source = d.cfg.Source
	rec.Headers = []capture.Header{
		{Name: "tcp.missing", Value: strconv.FormatInt(e.bytes, 10)},
		{Name: "tcp.connections", Value: strconv.FormatInt(e.n, 10)},
		{Name: "tcp.why", Value: d.lossWhy()},
	}
	d.cfg.Emit(rec)
}
