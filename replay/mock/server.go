package mock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gctap/capture"
)

// A Server runs a Player over a Link: it reads the command queue and sends
// events when they are due.
type Server struct {
	link capture.Link
	opts ServeOptions

	mu     sync.Mutex // guards player
	player *Player

	in   sync.Mutex // guards inbox; held for a moment only: the link's reader waits for it
	got  []received
	wake chan struct{}

	stop context.CancelFunc
	done chan struct{}
	err  error
}

// received is a command and when it came.
type received struct {
	at  time.Time
	rec capture.Record
}

// ServeOptions are the settings of Serve.
type ServeOptions struct {
	Queue string // of commands
	Via   string // of the records that are offered
	// Offer is handed every command that came and every event, before it is
	// sent, in order. It must not block. Nil: nobody is told.
	Offer func(capture.Delivery)
	// Answer is told what became of each command, on the Server's goroutine,
	// and what it returns is sent at once, before what the recording has. It
	// may use the Player, for Refusal. Nil: nobody is told.
	Answer func(capture.Record, Match) []capture.Outgoing
}

// Serve answers the commands of a queue from a script and returns once commands
// can be sent to it. It runs until ctx ends, the link is given up or Close is
// called. The link stays open.
func Serve(ctx context.Context, link capture.Link, player *Player, opts ServeOptions) (*Server, error) {
	if opts.Offer == nil {
		opts.Offer = func(capture.Delivery) {}
	}
	if opts.Answer == nil {
		opts.Answer = func(capture.Record, Match) []capture.Outgoing { return nil }
	}
	s := &Server{link: link, opts: opts, player: player, wake: make(chan struct{}, 1), done: make(chan struct{})}
	queue := "queue://" + opts.Queue
	end, err := link.Subscribe(ctx, capture.Subscription{Destination: queue}, s.take)
	if err != nil {
		return nil, fmt.Errorf("play GC on %s: %w", queue, err)
	}
	ctx, s.stop = context.WithCancel(ctx)
	go s.run(ctx, end)
	return s, nil
}

// take is called on the goroutine that reads the connection.
func (s *Server) take(d capture.Delivery) {
	s.in.Lock()
	s.got = append(s.got, received{time.Now(), d.Record})
	s.in.Unlock()
	if d.Ack != nil {
		d.Ack()
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}

// run is the only goroutine of a Server.
func (s *Server) run(ctx context.Context, end func() error) {
	defer close(s.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = end() // the link may be gone; nothing is left to end then
			return
		case <-s.link.Done():
			s.err = s.link.Err()
			return
		case <-s.wake:
		case <-timer.C:
		}
		if err := s.turn(ctx); err != nil && ctx.Err() == nil {
			s.err = err
			_ = end() // the first error is the one to tell
			return
		}
		if next, ok := s.next(); ok {
			timer.Reset(time.Until(next))
		}
	}
}

// turn takes in what has come and sends what is due.
func (s *Server) turn(ctx context.Context) error {
	s.in.Lock()
	got := s.got
	s.got = nil
	s.in.Unlock()

	for i := range got {
		rec := got[i].rec
		rec.Direction, rec.Via = capture.Command, s.opts.Via
		s.opts.Offer(capture.Delivery{Record: rec})
		s.mu.Lock()
		match := s.player.Command(got[i].at, &rec)
		s.mu.Unlock()
		for _, out := range s.opts.Answer(rec, match) {
			if err := s.send(ctx, out); err != nil {
				return fmt.Errorf("send an event to %s: %w", out.To, err)
			}
		}
	}
	s.mu.Lock()
	due := s.player.Advance(time.Now())
	s.mu.Unlock()
	for _, e := range due {
		if err := s.send(ctx, capture.Outgoing{To: e.To, Body: e.Body}); err != nil {
			return fmt.Errorf("send event %d of the recording to %s: %w", e.Seq, e.To, err)
		}
	}
	return nil
}

// send offers an event and sends it.
func (s *Server) send(ctx context.Context, out capture.Outgoing) error {
	now := time.Now()
	s.opts.Offer(capture.Delivery{Record: capture.Record{
		CapturedAt: now, SentAt: &now, Direction: capture.Event, Source: "stomp", Via: s.opts.Via, To: out.To, BodyKind: capture.Text, Body: out.Body,
	}})
	return s.link.Send(ctx, out)
}

func (s *Server) next() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.player.Next()
}

// Counts says what has been done so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.player.Counts()
}

// Done is closed when the Server has ended; Err then says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is why the link was given up; nil while the Server runs, and after its
// context ended or Close.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Close ends the Server and waits for its end. Events that are not yet due are
// not sent.
func (s *Server) Close() error {
	s.stop()
	<-s.done
	return s.err
}
