package link

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"

	"github.com/go-stomp/stomp/v3/frame"
)

// An actor plays a broker over a pipe, in the time of a synctest bubble.
type actor struct {
	beats  bool          // it promises heartbeats, and sends them
	silent chan struct{} // closed: it reads, and answers nothing any more
	heard  chan string   // the commands that it got, heartbeats as ""
}

// dial gives one end of a new pipe away and plays at the other.
func (a *actor) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go a.play(far)
	return near, nil
}

func (a *actor) play(c net.Conn) {
	r := frame.NewReader(c)
	say := func(s string) {
		select {
		case <-a.silent:
		default:
			c.Write([]byte(s))
		}
	}
	for {
		f, err := r.Read()
		switch {
		case err != nil:
			return
		case f == nil:
			a.heard <- ""
			continue
		}
		a.heard <- f.Command
		switch receipt := f.Header.Get(frame.Receipt); {
		case f.Command == frame.CONNECT && a.beats:
			say("CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n\x00")
			go func() {
				for range time.Tick(10 * time.Second) {
					select {
					case <-a.silent:
						return
					default:
						c.Write([]byte("\n"))
					}
				}
			}()
		case f.Command == frame.CONNECT:
			say("CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\x00")
		case receipt != "":
			say("RECEIPT\nreceipt-id:" + receipt + "\n\n\x00")
		}
	}
}

// TestQuietConnection: a connection over which nothing comes stays as long as
// the broker shows that it lives, by heartbeats or, where it declines them, by
// answering; when it does so no longer the link is down, since it was last
// heard of.
func TestQuietConnection(t *testing.T) {
	for name, beats := range map[string]bool{"heartbeats": true, "probe": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &actor{beats: beats, silent: make(chan struct{}), heard: make(chan string, 100_000)}
				broker, err := ParseBroker("stomp://10.0.0.1")
				if err != nil {
					t.Fatal(err)
				}
				states := make(chan State, 10)
				c, err := open(t.Context(), Config{Broker: broker, Heartbeat: 10 * time.Second, Probe: 30 * time.Second,
					OnState: func(s State) { states <- s }}, dialer{dial: a.dial})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Subscribe(t.Context(), capture.Subscription{Destination: "topic://t"}, func(capture.Delivery) {}); err != nil {
					t.Fatal(err)
				}
				<-states
				time.Sleep(time.Hour)
				if err := c.Err(); err != nil {
					t.Fatalf("after an hour: %v", err)
				}
				heartbeats := 0
				for range len(a.heard) {
					if <-a.heard == "" {
						heartbeats++
					}
				}
				if beats && heartbeats < 360 || !beats && heartbeats > 0 {
					t.Errorf("%d heartbeats in an hour", heartbeats)
				}
				close(a.silent)
				silence := time.Now()
				<-c.Done()
				took, down := time.Since(silence), <-states
				longest := 20 * time.Second
				if !beats {
					longest = 60 * time.Second
				}
				if took > longest || !errors.Is(c.Err(), errSilent) {
					t.Errorf("noticed after %s: %v", took, c.Err())
				}
				if down.At.After(silence) || silence.Sub(down.At) > longest/2 {
					t.Errorf("down since %s, silent since %s", down.At, silence)
				}
			})
		})
	}
}

// TestTimeInDeliverIsNotSilence: a subscriber that takes its time must not make
// the link think that the broker is gone.
func TestTimeInDeliverIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		broker, err := ParseBroker("stomp://10.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			r := frame.NewReader(far)
			r.Read()
			far.Write([]byte("CONNECTED\nversion:1.2\nheart-beat:1000,0\n\n\x00"))
			sub, _ := r.Read()
			far.Write([]byte("RECEIPT\nreceipt-id:" + sub.Header.Get(frame.Receipt) + "\n\n\x00"))
			for range 3 {
				far.Write([]byte("MESSAGE\nsubscription:" + sub.Header.Get(frame.Id) + "\n\nx\x00"))
			}
			far.Close()
		}()
		dial := func(context.Context, string, string) (net.Conn, error) { return near, nil }
		c, err := open(t.Context(), Config{Broker: broker, Heartbeat: time.Second}, dialer{dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		_, err = c.Subscribe(t.Context(), capture.Subscription{Destination: "topic://t"}, func(capture.Delivery) {
			time.Sleep(time.Minute)
			got++
		})
		if err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if got != 3 || !errors.Is(c.Err(), errGone) {
			t.Errorf("%d messages, then %v", got, c.Err())
		}
	})
}
