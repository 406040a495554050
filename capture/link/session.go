package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// A session is one connection to a broker, from CONNECTED to its end.
type session struct {
	conn    *Conn
	net     net.Conn
	peer    Peer
	dialect *dialect
	frames  *frame.Reader
	guard   *guard
	upAt    time.Time // when the link was up with it; zero: it never was
	attempt int       // how many attempts to connect there were; the reader's

	idle  time.Duration // the reader's patience with a silent peer; 0: endless
	probe bool          // a silent peer is asked before it is given up
	beat  time.Duration // promised to the broker; 0: none
	heard time.Time     // when anything last came; the reader's

	queue    chan *write
	acks     acks
	receipts map[string]func(error) // guarded by conn.mu; nil when ended
	askeds   map[string]string      // what each receipt was for
	ended    chan struct{}
	once     sync.Once
	why      error
	refusal  *Refused // the last ERROR that answered nothing; the reader's
	helpers  sync.WaitGroup
}

// A write is bytes for the writer. done, if any, hears whether they went out.
type write struct {
	data []byte
	done chan error
}

// queued is how many writes may wait for the writer.
const queued = 256

func newSession(c *Conn, nc net.Conn) *session {
	s := &session{conn: c, net: nc, queue: make(chan *write, queued),
		receipts: map[string]func(error){}, askeds: map[string]string{}, ended: make(chan struct{})}
	s.acks.ready, s.acks.order = make(chan struct{}, 1), make(chan struct{}, 1)
	s.guard = newGuard(readerFunc(s.receive), c.config.MaxFrame)
	s.frames = frame.NewReaderSize(s.guard, 32<<10)
	return s
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// serve starts the writer and the acknowledger.
func (s *session) serve() {
	s.helpers.Go(s.writes)
	s.helpers.Go(s.acknowledges)
}

// wait returns when they have ended; end comes first.
func (s *session) wait() { s.helpers.Wait() }

// end closes the connection; the first reason stays.
func (s *session) end(why error) {
	s.once.Do(func() {
		s.why = why
		close(s.ended)
		s.net.Close()
	})
}

// cause says why the session ended.
func (s *session) cause() error { <-s.ended; return s.why }

// receive reads from the connection with patience. The time that a slow
// subscriber takes between two reads does not count. A peer that was silent
// too long is given a second chance: this process may have been the one that
// slept, and a quiet broker may answer a question.
func (s *session) receive(p []byte) (int, error) {
	for chance := 1; ; chance++ {
		if s.idle > 0 {
			s.net.SetReadDeadline(time.Now().Add(s.idle)) // where this fails, so does Read
		}
		n, err := s.net.Read(p)
		if n > 0 {
			s.heard = time.Now()
		}
		if n > 0 || s.idle == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if chance == 2 {
			return 0, errSilent
		}
		if s.probe {
			s.tryProbe()
		}
	}
}

// read takes frames off the connection until it ends, and says why it did.
func (s *session) read() error {
	for {
		f, err := s.frames.Read()
		if err != nil {
			return s.lost(err)
		}
		if f == nil {
			continue // a heartbeat
		}
		switch f.Command {
		case frame.MESSAGE:
			s.message(f)
		case frame.RECEIPT:
			s.answer(f.Header.Get(frame.ReceiptId), nil)
		case frame.ERROR:
			s.complaint(f)
		}
	}
}

// lost says why reading ended.
func (s *session) lost(err error) error {
	select {
	case <-s.ended:
		return s.why
	default:
	}
	switch {
	case s.refusal != nil:
		return s.refusal // brokers close after they refuse
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errGone
	case errors.Is(err, frame.ErrInvalidCommand), errors.Is(err, frame.ErrInvalidFrameFormat):
		return fmt.Errorf("the broker sent what is not STOMP: %w", err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Errorf("the connection broke: %w", err)
}

// complaint takes an ERROR frame. The one that answers a request goes to who
// asked; another is kept as the reason in case the connection now ends, and for
// the next Sync.
func (s *session) complaint(f *frame.Frame) {
	id := f.Header.Get(frame.ReceiptId)
	s.conn.mu.Lock()
	asked := s.askeds[id]
	s.conn.mu.Unlock()
	no := refused(asked, f)
	if asked != "" && s.answer(id, no) {
		return
	}
	s.refusal = no
	err := clean(no, s.conn.config.Secrets())
	s.conn.mu.Lock()
	if s.conn.unsure == nil {
		s.conn.unsure = err
	}
	s.conn.mu.Unlock()
	s.conn.config.OnState(State{Change: Complaint, At: time.Now(), Err: err, Peer: s.peer})
}

// answer wakes who waits for a receipt.
func (s *session) answer(id string, err error) bool {
	s.conn.mu.Lock()
	wake, ok := s.receipts[id]
	delete(s.receipts, id)
	delete(s.askeds, id)
	s.conn.mu.Unlock()
	if ok {
		wake(err)
	}
	return ok
}

// awaitLocked registers who waits for a receipt and returns its id; conn.mu is
// held. wake is called once: on the reader's goroutine, with nil, the broker's
// refusal, or why the session ended.
func (s *session) awaitLocked(asked string, wake func(error)) string {
	id := "r" + s.conn.number()
	s.receipts[id], s.askeds[id] = wake, asked
	return id
}

// request writes f and waits for the broker's receipt.
func (s *session) request(ctx context.Context, asked string, frames ...*frame.Frame) error {
	answer := make(chan error, 1)
	s.conn.mu.Lock()
	if s.receipts == nil {
		s.conn.mu.Unlock()
		return s.cause()
	}
	id := s.awaitLocked(asked, func(err error) { answer <- err })
	s.conn.mu.Unlock()
	frames[len(frames)-1].Header.Add(frame.Receipt, id)
	if err := s.write(ctx, frames...); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: the broker has not answered: %w", asked, context.Cause(ctx))
	}
}

// roundTrip returns once the broker has worked off all frames before. An empty
// transaction that is undone is the one question with a receipt that changes
// nothing, on any broker.
func (s *session) roundTrip(ctx context.Context) error {
	return s.request(ctx, "answer", s.nothing()...)
}

func (s *session) nothing() []*frame.Frame {
	s.conn.mu.Lock()
	id := "t" + s.conn.number()
	s.conn.mu.Unlock()
	return []*frame.Frame{
		frame.New(frame.BEGIN, frame.Transaction, id),
		frame.New(frame.ABORT, frame.Transaction, id),
	}
}

// tryProbe asks a silent broker for an answer, any answer; the reader's call.
func (s *session) tryProbe() {
	frames := s.nothing()
	s.conn.mu.Lock()
	id := s.awaitLocked("answer", func(error) {})
	s.conn.mu.Unlock()
	frames[1].Header.Add(frame.Receipt, id)
	s.tryWrite(frames...)
}

// encode writes frames in the version of the session.
func (s *session) encode(frames []*frame.Frame) (data []byte, err error) {
	for _, f := range frames {
		if data, err = appendFrame(data, f, s.peer.Version); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// write gives frames to the writer and returns when they are on the network.
func (s *session) write(ctx context.Context, frames ...*frame.Frame) error {
	data, err := s.encode(frames)
	if err != nil {
		return err
	}
	w := &write{data: data, done: make(chan error, 1)}
	select {
	case s.queue <- w:
	case <-s.ended:
		return s.why
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-w.done:
		return err
	case <-s.ended:
		return s.why
	case <-ctx.Done():
		return fmt.Errorf("it may have been sent, the connection is stuck: %w", context.Cause(ctx))
	}
}

// tryWrite gives frames to the writer if it has room, and never waits.
func (s *session) tryWrite(frames ...*frame.Frame) {
	data, err := s.encode(frames)
	if err != nil {
		return
	}
	select {
	case s.queue <- &write{data: data}:
	default:
	}
}

// writes is the writer: what waits goes out together, and a heartbeat when
// nothing did for a while.
func (s *session) writes() {
	out := bufio.NewWriterSize(s.net, 64<<10)
	var beat <-chan time.Time
	if s.beat > 0 {
		// Twice as often as promised: the network may be late, and so may we.
		ticker := time.NewTicker(s.beat / 2)
		defer ticker.Stop()
		beat = ticker.C
	}
	quiet := true
	for {
		select {
		case w := <-s.queue:
			quiet = false
			if !s.writeAll(out, w) {
				return
			}
		case <-beat:
			if quiet && !s.writeAll(out, &write{data: []byte{'\n'}}) {
				return
			}
			quiet = true
		case <-s.ended:
			return
		}
	}
}

// writeAll writes w and all that waits behind it.
func (s *session) writeAll(out *bufio.Writer, w *write) bool {
	var told []*write
	_, err := out.Write(w.data)
	told = append(told, w)
	for more := true; more && err == nil && len(told) < queued; {
		select {
		case w := <-s.queue:
			_, err = out.Write(w.data)
			told = append(told, w)
		default:
			more = false
		}
	}
	if err == nil {
		err = out.Flush()
	}
	for _, w := range told {
		if w.done != nil {
			w.done <- err
		}
	}
	if err == nil {
		return true
	}
	// The reader finds out by itself, and may yet find the broker's reason. It
	// gets a second for that.
	late := time.AfterFunc(time.Second, func() { s.end(fmt.Errorf("the connection broke: %w", err)) })
	<-s.ended
	late.Stop()
	return false
}

// acks are acknowledgements that wait for the acknowledger. There are never
// more than the subscriptions' prefetch allows.
type acks struct {
	order chan struct{} // of one: held from taking them until the writer has them
	mu    sync.Mutex
	wait  []*frame.Frame
	ready chan struct{}
}

func (a *acks) add(f *frame.Frame) {
	a.mu.Lock()
	a.wait = append(a.wait, f)
	a.mu.Unlock()
	select {
	case a.ready <- struct{}{}:
	default:
	}
}

func (a *acks) take() []*frame.Frame {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.wait
	a.wait = nil
	return all
}

// acknowledges is the acknowledger.
func (s *session) acknowledges() {
	for {
		select {
		case <-s.acks.ready:
		case <-s.ended:
			return
		}
		if !s.flushAcks() {
			return
		}
	}
}

// flushAcks gives what waits to the writer. False: the session has ended.
func (s *session) flushAcks() bool {
	s.acks.order <- struct{}{}
	defer func() { <-s.acks.order }()
	data, err := s.encode(s.acks.take())
	if err != nil || len(data) == 0 {
		return true
	}
	select {
	case s.queue <- &write{data: data}:
		return true
	case <-s.ended:
		return false
	}
}

// disconnect says goodbye, and waits for the broker to have taken in all that
// went before.
func (s *session) disconnect(timeout time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), timeout)
	defer stop()
	select {
	case s.acks.order <- struct{}{}: // no acknowledgement may come after it
		defer func() { <-s.acks.order }()
	case <-ctx.Done():
		return fmt.Errorf("disconnect: the connection is stuck: %w", context.Cause(ctx))
	}
	frames := s.acks.take()
	err := s.request(ctx, "disconnect", append(frames, frame.New(frame.DISCONNECT))...)
	if errors.Is(err, errGone) {
		return nil // some brokers close without the receipt
	}
	return err
}
