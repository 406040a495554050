package link

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// patience is how long a test waits for what must happen; it is no measure.
const patience = 20 * time.Second

// start starts a broker in process for one test.
func start(t *testing.T, o brokertest.Options) *brokertest.Broker {
	t.Helper()
	b, err := brokertest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// connect opens a link for one test. It does not reconnect unless told so.
func connect(t *testing.T, url string, change ...func(*Config)) *Conn {
	t.Helper()
	c, err := tryConnect(t, url, change...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryConnect(t *testing.T, url string, change ...func(*Config)) (*Conn, error) {
	t.Helper()
	broker, err := ParseBroker(url)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Broker: broker, Timeout: patience}
	for _, f := range change {
		f(&config)
	}
	c, err := Open(t.Context(), config)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// inbox collects deliveries.
type inbox chan capture.Delivery

// subscribe subscribes and returns where the messages come.
func subscribe(t *testing.T, c *Conn, s capture.Subscription) inbox {
	t.Helper()
	in := make(inbox, 100_000)
	cancel, err := c.Subscribe(t.Context(), s, func(d capture.Delivery) { in <- d })
	if err != nil {
		t.Fatal(err)
	}
	_ = cancel
	return in
}

// next returns the next delivery.
func (in inbox) next(t *testing.T) capture.Delivery {
	t.Helper()
	select {
	case d := <-in:
		return d
	case <-time.After(patience):
		t.Fatal("no message came")
		panic("unreachable")
	}
}

// send sends a text and fails the test where that fails.
func send(t *testing.T, c *Conn, m capture.Outgoing) {
	t.Helper()
	if err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestSendAndReceive(t *testing.T) {
	b := start(t, brokertest.Options{})
	c := connect(t, b.URL())
	in := subscribe(t, c, capture.Subscription{Destination: "topic://192.168.1.72"})
	kind := "Login#1001: a\\b\n"
	send(t, c, capture.Outgoing{To: "topic://192.168.1.72", JMSType: &kind, Body: []byte("pass,3001"),
		ReplyTo: "topic://client.1", CorrelationID: "c:1", Headers: []capture.Header{{Name: "agent", Value: "1001"}, {Name: "expires", Value: "5"}}})
	r := in.next(t).Record
	if r.To != "topic://192.168.1.72" || r.Type() != kind || string(r.Body) != "pass,3001" ||
		r.BodyKind != capture.Text || r.ReplyTo != "topic://client.1" || r.CorrelationID != "c:1" ||
		r.Header("agent") != "1001" || r.Header("expires") != "0" || r.SentAt == nil || r.Source != "stomp" {
		t.Errorf("got %+v", r)
	}
	if want := r.MessageID[:len(r.Conn)]; r.Conn == "" || want != r.Conn || c.Identity() == "" {
		t.Errorf("message-id %q, connection %q, identity %q", r.MessageID, r.Conn, c.Identity())
	}
	if r.Header("message-id") != "" || r.Header("content-length") != "" || r.Header("subscription") != "" {
		t.Errorf("plumbing was kept: %q", r.Headers)
	}
}

func TestTypeAbsentEmptyAndBodyKinds(t *testing.T) {
	b := start(t, brokertest.Options{})
	c := connect(t, b.URL())
	in := subscribe(t, c, capture.Subscription{Destination: "topic://t"})
	empty := ""
	send(t, c, capture.Outgoing{To: "topic://t"})
	send(t, c, capture.Outgoing{To: "topic://t", JMSType: &empty, Body: []byte("a\x00b")})
	if r := in.next(t).Record; r.JMSType != nil || r.BodyKind != capture.Unknown {
		t.Errorf("without type and body: %+v", r)
	}
	if r := in.next(t).Record; r.JMSType == nil || *r.JMSType != "" || r.BodyKind != capture.Text || string(r.Body) != "a\x00b" {
		t.Errorf("with empty type and a NUL: %+v", r)
	}
}

func TestQueueConsumersCompeteAndUnacknowledgedComesAgain(t *testing.T) {
	b := start(t, brokertest.Options{})
	sender, first := connect(t, b.URL()), connect(t, b.URL())
	in := subscribe(t, first, capture.Subscription{Destination: "queue://Q", Individual: true})
	for i := range 3 {
		send(t, sender, capture.Outgoing{To: "queue://Q", Body: fmt.Append(nil, i)})
	}
	got := in.next(t)
	in.next(t)
	got.Ack()
	in.next(t)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := subscribe(t, sender, capture.Subscription{Destination: "queue://Q", Individual: true})
	for _, want := range []string{"1", "2"} {
		d := again.next(t)
		if string(d.Record.Body) != want || d.Record.Header("redelivered") != "true" {
			t.Errorf("got %q, redelivered %q; want %q, true", d.Record.Body, d.Record.Header("redelivered"), want)
		}
		d.Ack()
	}
}

func TestRefusedLoginShowsNoPassword(t *testing.T) {
	b := start(t, brokertest.Options{Users: map[string]string{"tap": `geh:eim\n,1`}})
	connect(t, b.URL(), func(c *Config) { c.Login, c.Passcode = "tap", `geh:eim\n,1` })
	_, err := tryConnect(t, b.URL(), func(c *Config) { c.Login, c.Passcode = "tap", "secret9" })
	no, ok := errors.AsType[*Refused](err)
	if !ok || no.Message != "User name [tap] or password is invalid." {
		t.Fatalf("got %v", err)
	}
}

func TestReconnectSubscribesAgain(t *testing.T) {
	b := start(t, brokertest.Options{})
	states := make(chan State, 10)
	c := connect(t, b.URL(), func(c *Config) {
		c.Reconnect, c.Backoff = true, Backoff{time.Millisecond, time.Millisecond}
		c.OnState = func(s State) { states <- s }
	})
	in := subscribe(t, c, capture.Subscription{Destination: "topic://t"})
	before := c.Identity()
	if err := b.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var changes []Change
	for len(changes) == 0 || changes[len(changes)-1] != Up || len(changes) < 3 {
		if s := <-states; s.Change != Retry {
			changes = append(changes, s.Change)
		}
	}
	if fmt.Sprint(changes) != "[up down up]" {
		t.Errorf("states: %v", changes)
	}
	send(t, c, capture.Outgoing{To: "topic://t", Body: []byte("again")})
	if got := in.next(t); string(got.Record.Body) != "again" || c.Identity() == before {
		t.Errorf("got %q, identity %s", got.Record.Body, c.Identity())
	}
}
