package gcsim

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"gctap/capture"
)

// DefaultQueue is the queue that GC reads on the sites seen.
const DefaultQueue = "Connector1"

// A Server runs a Sim over a Link: it reads the command queue and ControlTopic
// and sends events when they are due.
type Server struct {
	link capture.Link
	log  func(string)

	mu  sync.Mutex // guards sim
	sim *Sim

	in   sync.Mutex // guards inbox; held for a moment only: the link's reader waits for it
	got  []delivery
	wake chan struct{}

	stop context.CancelFunc
	done chan struct{}
	err  error
}

// A delivery is a message and when it came.
type delivery struct {
	at      time.Time
	control bool
	record  capture.Record
}

// Serve starts a simulated GC on a queue (empty: DefaultQueue) and returns once
// commands can be sent to it. It runs until ctx ends, the link is given up or
// Close is called. The link stays open. What goes wrong without ending the
// simulation, such as a stimulus that cannot be, is told to log, one line
// each; nil: to nobody.
func Serve(ctx context.Context, link capture.Link, queue string, cfg Config, log func(string)) (*Server, error) {
	sim, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	if queue == "" {
		queue = DefaultQueue
	}
	s := &Server{link: link, log: log, sim: sim, wake: make(chan struct{}, 1), done: make(chan struct{})}
	var ends []func() error
	for _, dest := range []string{ControlTopic, "queue://" + queue} {
		end, err := link.Subscribe(ctx, capture.Subscription{Destination: dest}, s.take(dest == ControlTopic))
		if err != nil {
			for _, end := range ends {
				_ = end() // the first error is the one to tell
			}
			return nil, fmt.Errorf("simulated GC on %s: %w", dest, err)
		}
		ends = append(ends, end)
	}
	ctx, s.stop = context.WithCancel(ctx)
	go s.run(ctx, ends)
	return s, nil
}

// take returns what the link calls for a message: it only puts it down.
func (s *Server) take(control bool) func(capture.Delivery) {
	return func(d capture.Delivery) {
		s.in.Lock()
		s.got = append(s.got, delivery{time.Now(), control, d.Record})
		s.in.Unlock()
		if d.Ack != nil {
			d.Ack()
		}
		select {
		case s.wake <- struct{}{}:
		default: // it is awake already
		}
	}
}

// run is the only goroutine of a Server.
func (s *Server) run(ctx context.Context, ends []func() error) {
	defer close(s.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, end := range ends {
				if err := end(); err != nil {
					s.log("unsubscribe: " + err.Error())
				}
			}
			return
		case <-s.link.Done():
			s.err = s.link.Err()
			return
		case <-s.wake:
		case <-timer.C:
		}
		s.turn(ctx)
		if next, ok := s.next(); ok {
			timer.Reset(time.Until(next))
		}
	}
}

// turn takes in what has come and sends what is due.
func (s *Server) turn(ctx context.Context) {
	s.in.Lock()
	got := s.got
	s.got = nil
	s.in.Unlock()

	s.mu.Lock()
	for i := range got {
		s.feed(&got[i])
	}
	due := s.sim.Advance(time.Now())
	s.mu.Unlock()

	for _, e := range due {
		err := s.link.Send(ctx, capture.Outgoing{To: e.To, Body: e.Body})
		if err != nil && ctx.Err() == nil {
			s.log(fmt.Sprintf("event %s for %s is lost: %v", e.Name, e.To, err))
		}
	}
}

// feed gives the Sim one message.
func (s *Server) feed(d *delivery) {
	if !d.control {
		s.sim.Command(d.at, Command{Type: d.record.Type(), Body: d.record.Body, ReplyTo: d.record.ReplyTo, Conn: d.record.Conn})
		return
	}
	var st Stimulus
	err := json.Unmarshal(d.record.Body, &st)
	if err == nil {
		err = s.sim.Stimulate(d.at, st)
	}
	if err != nil {
		s.log(err.Error())
	}
}

func (s *Server) next() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sim.Next()
}

// Stimulate makes something happen at once, without the control topic.
func (s *Server) Stimulate(st Stimulus) error {
	s.mu.Lock()
	err := s.sim.Stimulate(time.Now(), st)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return err
}

// Book closes the books now, see Sim.Book.
func (s *Server) Book() *Book {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sim.Book(time.Now())
}

// Planted returns the deviations so far.
func (s *Server) Planted() []Deviation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sim.Planted()
}

// Counts says what has been done so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sim.Counts()
}

// Done is closed when the simulation has ended; Err then says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is why the link was given up; nil while the simulation runs, and after
// its context ended or Close.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Close ends the simulation and waits for its end. Events that are not yet due
// are not sent.
func (s *Server) Close() error {
	s.stop()
	<-s.done
	return s.err
}
