package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
)

func TestTLS(t *testing.T) {
	onBoth(t, brokertest.Options{TLS: true}, func(t *testing.T, b *brokertest.Broker) {
		c := connect(t, b.URL(), func(c *Config) { c.TLS.CAFile = b.CAFile() })
		in := subscribe(t, c, capture.Subscription{Destination: "topic://t"})
		send(t, c, capture.Outgoing{To: "topic://t", Body: []byte("x")})
		in.next(t)

		_, err := tryConnect(t, b.URL())
		fails(t, "an unknown authority", err, "signed by an authority that is not known here")
		other := start(t, brokertest.Options{TLS: true})
		_, err = tryConnect(t, b.URL(), func(c *Config) { c.TLS.CAFile = other.CAFile() })
		fails(t, "another authority", err, "signed by an authority that is not known here")
		_, err = tryConnect(t, b.URL(), func(c *Config) { c.TLS = TLS{CAFile: b.CAFile(), ServerName: "gc.example"} })
		fails(t, "another name", err, "not for the name gc.example but for localhost, 127.0.0.1")
		connect(t, b.URL(), func(c *Config) { c.TLS = TLS{CAFile: b.CAFile(), ServerName: "localhost"} })
		_, err = tryConnect(t, strings.Replace(b.URL(), "stomp+ssl", "stomp", 1))
		fails(t, "plain", err, "stomp+ssl://")
	})
}

func TestTLSClientCertificate(t *testing.T) {
	onBoth(t, brokertest.Options{TLS: true, ClientCert: true}, func(t *testing.T, b *brokertest.Broker) {
		cert, key := b.ClientFiles()
		connect(t, b.URL(), func(c *Config) { c.TLS = TLS{CAFile: b.CAFile(), CertFile: cert, KeyFile: key} })
		_, err := tryConnect(t, b.URL(), func(c *Config) { c.TLS = TLS{CAFile: b.CAFile()} })
		fails(t, "no certificate", err, "a client certificate may be needed")
		_, err = tryConnect(t, b.URL(), func(c *Config) { c.TLS = TLS{CAFile: b.CAFile(), CertFile: cert} })
		fails(t, "half a pair", err, "needs both")
		_, err = tryConnect(t, b.URL(), func(c *Config) { c.TLS.CAFile = key })
		fails(t, "no CA file", err, "holds no certificate")
	})
}

// fails checks that an error is one line with the given words.
func fails(t *testing.T, what string, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: got %v; want …%s…", what, err, words)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	b := start(t, brokertest.Options{})
	closed := b.Addr()
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	talks := func(first string) string { return listener(t, first) }
	for _, c := range []struct{ url, want string }{
		{"stomp://tap:hunter2@" + closed, "connect to stomp://tap:***@" + closed + ": connection refused: nothing listens there"},
		{"stomp://tap:hunter2@" + talks("\x00\x00\x01\x4a\x01ActiveMQ"), "it speaks OpenWire, not STOMP"},
		{"stomp://tap:hunter2@" + talks("HTTP/1.1 400 Bad Request\r\n\r\n"), "it speaks HTTP"},
		{"stomp://tap:hunter2@" + talks("220 mail\r\n"), "it does not speak STOMP"},
		{"stomp://tap:hunter2@" + talks("ERROR\nmessage:no hunter2 here\n\n\x00"), "refused by the broker: no *** here"},
		{"stomp://tap:hunter2@" + talks("ERROR\n\nUnsupported\n\x00"), "refused by the broker: Unsupported"},
		{"stomp://tap:hunter2@" + talks("RECEIPT\nreceipt-id:1\n\n\x00"), "it answered CONNECT with RECEIPT"},
		{"stomp://tap:hunter2@" + talks("CONNECTED\nversion:3.0\n\n\x00"), `it wants to speak STOMP "3.0"`},
		{"stomp://tap:hunter2@" + talks("hangup"), "closed the connection without an answer"},
		{"stomp+ssl://tap:hunter2@" + talks("220 mail\r\n"), "it does not speak TLS"},
		{"stomp://tap:hunter2@host.invalid", "host name host.invalid cannot be resolved"},
	} {
		_, err := tryConnect(t, c.url)
		fails(t, c.url, err, c.want)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is shown: %v", err)
		}
	}
}

// listener accepts connections, says first to each once it was written to, and
// closes them; "hangup" says nothing.
func listener(t *testing.T, first string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Read(make([]byte, 4096))
				if first != "hangup" {
					c.Write([]byte(first))
					c.Read(make([]byte, 4096)) // until the other side closes
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestSilentPortTimesOut(t *testing.T) {
	b := start(t, brokertest.Options{})
	b.Pause()
	_, err := tryConnect(t, b.URL(), func(c *Config) { c.Timeout = 20 * time.Millisecond })
	fails(t, "a silent port", err, "no answer in 20ms")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("interrupted"))
	broker, _ := ParseBroker(b.URL())
	_, err = Open(ctx, Config{Broker: broker})
	fails(t, "an interrupted open", err, "interrupted")
}

func TestEveryAddressIsTried(t *testing.T) {
	dead, alive := start(t, brokertest.Options{}), start(t, brokertest.Options{})
	if err := dead.Kill(); err != nil {
		t.Fatal(err)
	}
	strict := start(t, brokertest.Options{Users: map[string]string{"a": "b"}})
	c := connect(t, fmt.Sprintf("failover:(%s,%s,%s)", dead.URL(), strict.URL(), alive.URL()))
	if c.Peer().Addr != alive.Addr() {
		t.Errorf("connected to %s, not %s", c.Peer().Addr, alive.Addr())
	}
	_, err := tryConnect(t, fmt.Sprintf("failover:(%s,%s)", dead.URL(), strict.URL()))
	fails(t, "two that do not accept", err, dead.Addr()+": connection refused")
	fails(t, "two that do not accept", err, strict.Addr()+": refused by the broker")
	if _, ok := errors.AsType[*Refused](err); !ok {
		t.Errorf("the refusal cannot be recognised in %v", err)
	}
}

func TestReconnectGoesToAnotherBroker(t *testing.T) {
	one, two := start(t, brokertest.Options{}), start(t, brokertest.Options{})
	states := make(chan State, 1000)
	c := connect(t, fmt.Sprintf("failover:(%s,%s)?randomize=false", one.URL(), two.URL()), watch(states))
	in := subscribe(t, c, capture.Subscription{Destination: "topic://t"})
	if err := one.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, states, Up)
	if s := until(t, states, Up); s[len(s)-1].Addr != two.Addr() {
		t.Errorf("up at %s, not %s", s[len(s)-1].Addr, two.Addr())
	}
	send(t, connect(t, two.URL()), capture.Outgoing{To: "topic://t"})
	in.next(t)
}

// A name with several addresses: each is tried, and the error is that of the
// one that says most.
func TestEveryIPOfAHostIsTried(t *testing.T) {
	b := start(t, brokertest.Options{})
	_, port, err := net.SplitHostPort(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	d := dialer{dial: new(net.Dialer).DialContext,
		lookup: func(context.Context, string) ([]string, error) { return []string{"127.0.0.9", "127.0.0.1"}, nil }}
	broker, err := ParseBroker("stomp://gc-host:" + port)
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(t.Context(), Config{Broker: broker}, d)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Peer().Addr != b.Addr() || c.Peer().Host != "gc-host" {
		t.Errorf("connected to %+v", c.Peer())
	}
}

// A subscription that makes the broker hang up must not do so for ever.
func TestPoisonousSubscriptionIsNotRenewed(t *testing.T) {
	b := start(t, brokertest.Options{})
	states := make(chan State, 1000)
	c := connect(t, b.URL(), watch(states))
	until(t, states, Up)
	b.PauseReading() // the SUBSCRIBE is not answered
	failed := make(chan error)
	go func() {
		_, err := c.Subscribe(t.Context(), capture.Subscription{Destination: "topic://poison"}, func(capture.Delivery) {})
		failed <- err
	}()
	// It is registered before it is written; the drop comes after that.
	for registered := false; !registered; {
		c.mu.Lock()
		registered = len(c.subs) == 1
		c.mu.Unlock()
		runtime.Gosched()
	}
	b.Drop()
	// The end of a dropped connection shows as an end, or as a reset where the
	// broker had not read all of it.
	if err := <-failed; !errors.Is(err, errGone) && !errors.Is(err, syscall.ECONNRESET) && !strings.Contains(fmt.Sprint(err), "the connection ended before") {
		t.Errorf("got %v", err)
	}
	b.Resume()
	until(t, states, Up)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.subs) != 0 {
		t.Errorf("%d subscriptions are left", len(c.subs))
	}
}

// Delays double up to the greatest, and no two links come at the same moment.
func TestBackoffGrowsAndVaries(t *testing.T) {
	b := Backoff{Min: time.Second, Max: 30 * time.Second}
	for n, longest := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := b.delay(n)
			seen[d] = true
			if d > longest*time.Second || d < longest*time.Second/2 {
				t.Errorf("after %d failures: %s", n, d)
			}
		}
		if len(seen) < 50 {
			t.Errorf("after %d failures only %d different delays", n, len(seen))
		}
	}
	if d := (Backoff{Min: time.Second, Max: time.Second}).delay(100); d > time.Second {
		t.Error(d)
	}
}

// Attempts to come back are told, spaced, and end where the URL says so.
func TestReconnectGivesUpAfterItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		dials := 0
		broken := errors.New("no network")
		near, far := net.Pipe()
		d := dialer{dial: func(context.Context, string, string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			if dials++; dials > 1 {
				return nil, broken
			}
			return near, nil
		}}
		go func() {
			far.Read(make([]byte, 4096))
			far.Write([]byte("CONNECTED\nversion:1.2\n\n\x00"))
		}()
		broker, err := ParseBroker("failover:(stomp://10.0.0.1)?initialReconnectDelay=1000&maxReconnectDelay=60000&maxReconnectAttempts=5")
		if err != nil {
			t.Fatal(err)
		}
		var changes []Change
		c, err := open(t.Context(), Config{Broker: broker, Reconnect: true, Heartbeat: -1, Probe: -1,
			OnState: func(s State) { changes = append(changes, s.Change) }}, d)
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		far.Close()
		<-c.Done()
		if took := time.Since(started); took < 15*time.Second || took > 31*time.Second {
			t.Errorf("gave up after %s", took)
		}
		if fmt.Sprint(changes) != "[up down retry retry retry retry retry]" {
			t.Errorf("states %v", changes)
		}
		fails(t, "the link", c.Err(), "5 attempts to connect again failed")
	})
}
