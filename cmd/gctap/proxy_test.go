package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/wire"
	"gctap/store"
)

// listening returns where a proxy listens, from what it says.
func listening(p *process) string {
	p.t.Helper()
	_, rest, _ := strings.Cut(p.until("^listening on"), "listening on ")
	addr, _, _ := strings.Cut(rest, " ")
	p.until("recording session")
	return addr
}

// converse lets a GC answer n commands of a client, each over its own
// connection to addr, and another application send as many messages.
func converse(t testing.TB, addr string, n int) {
	t.Helper()
	gc, client := dialBroker(t, "stomp://"+addr), dialBroker(t, "stomp://"+addr)
	answered := make(chan struct{}, n)
	_, err := gc.Subscribe(t.Context(), capture.Subscription{Destination: "queue://Connector1", Individual: true}, func(d capture.Delivery) {
		go func() {
			gc.Send(t.Context(), capture.Outgoing{To: "topic://desk.1", Body: []byte("1001#State#READY####2026-11-21 09:00:02#José Müller#1001#3001##José Müller#jmuller")})
			d.Ack()
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Subscribe(t.Context(), capture.Subscription{Destination: "topic://desk.1"}, func(capture.Delivery) { answered <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		typ, body := "Ready#1001", ""
		if i == 0 {
			typ, body = "Login#1001", "hush-hush,3001"
		}
		send(t, client, "queue://Connector1", typ, body)
		send(t, client, "queue://orders", "", "not ours")
	}
	for range n {
		<-answered
	}
	if err := gc.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	gc.Close()
	client.Close()
}

func countOf(all []capture.Record, d capture.Direction) (n int) {
	for i := range all {
		if all[i].Direction == d {
			n++
		}
	}
	return n
}

func TestProxyRecordsWhatPasses(t *testing.T) {
	broker := startBroker(t, brokertest.Options{})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "proxy", "--listen", "127.0.0.1:0", "--to", broker.Addr(), "--name", "incident")
	addr := listening(p)
	converse(t, addr, 20)
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Errorf("the port is not free again: %v", err)
	} else {
		l.Close()
	}
	session, all := records(t, db, "incident")
	if session.Commands != 20 || session.Events != 20 || session.Gaps != 0 || session.Mode != "proxy" || session.Broker != "stomp://"+broker.Addr() {
		t.Errorf("%+v", session)
	}
	kinds := map[string]int{}
	for i := range all {
		kinds[all[i].Header("amq.note")]++
		if strings.Contains(string(all[i].Body), "hush") || strings.Contains(string(all[i].Body), "not ours") {
			t.Errorf("stored: %s", all[i].Body)
		}
	}
	if kinds["dispatch"] != 40 || kinds["ack"] != 20 || kinds["connect"] != 2 || kinds["subscribe"] != 2 {
		t.Errorf("notes %v, want 40 dispatches, 20 acks, 2 connections, 2 subscriptions", kinds)
	}
	if c := ledgerOf(t, db, "incident"); c.Received != 20 || c.Stored != 20 {
		t.Errorf("ledger of Connector1: %+v", c)
	}
	if c := wholeLedger(t, db, "incident"); c.Received != 60 || c.Foreign != 20 || c.Stored != 40 {
		t.Errorf("ledger: %+v", c)
	}
}

// TestProxyEndsWithItsDuration: in the middle of connections, and 0.
func TestProxyEndsWithItsDuration(t *testing.T) {
	broker := startBroker(t, brokertest.Options{})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "proxy", "--listen", "127.0.0.1:0", "--to", broker.Addr(), "--duration", "1s", "--name", "s")
	conn := dialBroker(t, "stomp://"+listening(p))
	if code := p.end(nil); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	<-conn.Done()
	if s, _ := records(t, db, "s"); s.EndReason != "duration" {
		t.Errorf("ended because of %q", s.EndReason)
	}
}

// TestProxyTLS: TLS with the clients, TLS with the broker, each checked.
func TestProxyTLS(t *testing.T) {
	broker, other := startBroker(t, brokertest.Options{TLS: true, ClientCert: true}), startBroker(t, brokertest.Options{TLS: true})
	cert, key := broker.ClientFiles()
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "proxy", "--listen", "127.0.0.1:0", "--to", broker.Addr(), "--tls-ca", broker.CAFile(),
		"--tls-client-cert", cert, "--tls-client-key", key, "--name", "s")
	converse(t, listening(p), 3)
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	if s, _ := records(t, db, "s"); s.Commands != 3 || s.Events != 3 {
		t.Errorf("%d commands, %d events", s.Commands, s.Events)
	}
	p = gctap(t, db, "proxy", "--listen", "127.0.0.1:0", "--to", broker.Addr(), "--tls-ca", other.CAFile())
	if conn, err := net.Dial("tcp", listening(p)); err == nil {
		defer conn.Close()
	}
	p.until("turned away: TLS with .*certificate")
	p.end(os.Interrupt)
}

func TestProxyRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strings.TrimPrefix(taken.Addr().String(), "127.0.0.1:")
	db := filepath.Join(t.TempDir(), "t.db")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "proxy needs where to listen"},
		{[]string{"--listen", ":1"}, "proxy needs where to listen"},
		{[]string{"--listen", ":1", "--listen", ":2", "--to", "a:1"}, "2 --listen and 1 --to: they go in pairs"},
		{[]string{"--listen", "61616", "--to", "a:1"}, `"61616" is no address`},
		{[]string{"--listen", ":1", "--to", ":1"}, "--to :1: write HOST:PORT"},
		{[]string{"--listen", ":1", "--to", "a:1", "--tls-cert", "x"}, "--tls-cert and --tls-key go together"},
		{[]string{"--listen", ":1", "--to", "a:1", "--tls-cert", "x", "--tls-key", "y"}, "--tls-cert x: "},
		{[]string{"--listen", ":1", "--to", "a:1", "--site-tz", "Mars"}, "--site-tz Mars"},
		{[]string{"--listen", ":1", "--to", "a:1", "--filter", "nmae == 1"}, "name"},
		{[]string{"--listen", ":1", "--to", "a:1", "--duration", "-1s"}, "a time is not negative"},
		{[]string{"--listen", ":61616", "--to", "localhost:61616"}, "would connect to itself"},
		{[]string{"--listen", "127.0.0.1:61616", "--to", "127.0.0.1:61616"}, "would connect to itself"},
		{[]string{"--listen", "127.0.0.1:61616", "--to", "127.0.0.1:61617", "--listen", "127.0.0.1:61617", "--to", "localhost:61616"}, "would connect to itself"},
		{[]string{"--listen", "127.0.0.1:" + port, "--to", "127.0.0.1:1"}, "listening on 127.0.0.1:" + port},
	} {
		p := gctap(t, db, append([]string{"proxy"}, c.args...)...)
		code := p.end(nil)
		if said := p.said(); code != exitFailed || !strings.Contains(said, c.want) || strings.Count(said, "\n") != 1 {
			t.Errorf("%q: exit %d: %s", c.args, code, said)
		}
	}
	if st, err := store.Open(t.Context(), db, store.Record); err == nil {
		defer st.Close()
		if list, _ := st.Sessions(t.Context()); len(list) != 0 {
			t.Errorf("%d sessions were made", len(list))
		}
	}
}

func TestProxyLoops(t *testing.T) {
	own := []string{"127.0.0.1", "10.0.0.7", "::1"}
	for _, c := range []struct {
		listen, to string
		loop       int
	}{
		{":1", "10.0.0.8:1", -1},
		{":1", "10.0.0.7:1", 0},
		{":1", "10.0.0.7:2", -1},
		{"0.0.0.0:1", "[::1]:1", 0},
		{"127.0.0.1:1", "10.0.0.7:1", -1},
		{"127.0.0.1:1 127.0.0.1:2", "127.0.0.1:2 10.0.0.8:1", -1}, // one behind the other
		{"127.0.0.1:1 127.0.0.1:2", "127.0.0.1:2 127.0.0.1:1", 0},
		{"127.0.0.1:1 127.0.0.1:2", "127.0.0.1:2 127.0.0.1:2", 1},
		{"127.0.0.1:0", "127.0.0.1:0", -1},
	} {
		f := proxyFlags{listen: strings.Fields(c.listen), to: strings.Fields(c.to)}
		if got := f.loop(own); got != c.loop {
			t.Errorf("%s to %s: %d, want %d", c.listen, c.to, got, c.loop)
		}
	}
}

// A faultySink stands between the recorder and the store.
type faultySink struct {
	sink  capture.Sink
	mu    sync.Mutex
	fails int           // so many writes fail
	hold  chan struct{} // writes wait for it to be closed
	tried chan struct{} // has a value once one was tried
}

func (s *faultySink) Write(ctx context.Context, b capture.Batch) error {
	select {
	case s.tried <- struct{}{}:
	default:
	}
	<-s.hold
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return errors.New("the disk is on fire")
	}
	return s.sink.Write(ctx, b)
}

// proxyWith runs the proxy inside the test, over a store that fails as fault
// says. stop ends it and returns its error and what it recorded.
func proxyWith(t *testing.T, to string, fault *faultySink, tune func(*capture.RecorderConfig)) (addr string, stop func() (store.Session, []capture.Record, error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.db")
	db, err := store.Open(t.Context(), path, store.Record)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	a := &app{stdio: stdio{Err: io.Discard}, db: path}
	f := proxyFlags{to: []string{to}, wire: wireFlags{queues: []string{defaultQueue}, name: "s"}}
	flags := f.wire.flags()
	flags.onFull = onFullWait
	at := make(chan string, 1)
	p := &proxying{
		wireRecording: newWireRecording(&recording{app: a, flags: flags, say: newTalker(io.Discard), origin: store.OriginRecord}),
		flags:         f, pairs: []wire.Pair{{Listen: "127.0.0.1:0", To: to}}, ready: func(addr string) { at <- addr },
	}
	p.tune = func(c *capture.RecorderConfig) {
		p.sink.every = time.Millisecond
		fault.sink, p.sink.sink = p.sink.sink, fault
		if tune != nil {
			tune(c)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, db) }()
	select {
	case addr = <-at:
	case err := <-ended:
		t.Fatal(err)
	}
	return addr, func() (store.Session, []capture.Record, error) {
		cancel()
		err := <-ended
		s, all := records(t, path, "s")
		return s, all, err
	}
}

func newFault(fails int) *faultySink {
	return &faultySink{fails: fails, hold: make(chan struct{}), tried: make(chan struct{}, 1)}
}

// TestProxyGoesOnWhileTheDiskStands: the writer does not come back from its
// disk, and the traffic passes; afterwards all of it is stored.
func TestProxyGoesOnWhileTheDiskStands(t *testing.T) {
	broker := startBroker(t, brokertest.Options{})
	fault := newFault(0)
	addr, stop := proxyWith(t, broker.Addr(), fault, nil)
	converse(t, addr, 10)
	<-fault.tried
	converse(t, addr, 500) // returns when all of it has been answered
	close(fault.hold)
	s, all, err := stop()
	if err != nil || s.Commands != 510 || countOf(all, capture.GapRow) != 0 {
		t.Errorf("%v: %d commands, %d gaps", err, s.Commands, countOf(all, capture.GapRow))
	}
}

// TestProxyGoesOnWhileStoringFails: what is not a full disk is waited out too.
func TestProxyGoesOnWhileStoringFails(t *testing.T) {
	broker := startBroker(t, brokertest.Options{})
	fault := newFault(20)
	close(fault.hold)
	addr, stop := proxyWith(t, broker.Addr(), fault, nil)
	converse(t, addr, 100)
	for { // until it has recovered
		fault.mu.Lock()
		left := fault.fails
		fault.mu.Unlock()
		if left == 0 {
			break
		}
		<-fault.tried
	}
	s, _, err := stop()
	if err != nil || s.Commands != 100 {
		t.Errorf("%v: %d commands", err, s.Commands)
	}
}

// TestProxySaysWhatItCouldNotKeep: what fits neither into memory nor into the
// spill file passes, and a gap row counts it.
func TestProxySaysWhatItCouldNotKeep(t *testing.T) {
	broker := startBroker(t, brokertest.Options{})
	fault := newFault(0)
	addr, stop := proxyWith(t, broker.Addr(), fault, func(c *capture.RecorderConfig) { c.Memory, c.Spill = 50_000, 0 })
	converse(t, addr, 300)
	close(fault.hold)
	_, all, err := stop()
	if !errors.Is(err, incomplete) {
		t.Errorf("%v, want an incomplete session", err)
	}
	var lost int64
	for i := range all {
		if g, ok := all[i].Gap(); ok && g.Reason == capture.GapOverflow && g.Lost != nil {
			lost += *g.Lost
		}
	}
	if messages := countOf(all, capture.Command) + countOf(all, capture.Event); int64(messages)+lost != 600 || lost == 0 {
		t.Errorf("%d messages stored and %d in gaps, want 600 in all", messages, lost)
	}
}

// TestProxyStopsWithABrokenStore: stopped while nothing can be stored, it says
// how much is lost, and ends.
func TestProxyStopsWithABrokenStore(t *testing.T) {
	broker := startBroker(t, brokertest.Options{})
	fault := newFault(1 << 30)
	close(fault.hold)
	addr, stop := proxyWith(t, broker.Addr(), fault, nil)
	converse(t, addr, 5)
	<-fault.tried
	s, _, err := stop()
	if err == nil || !strings.Contains(err.Error(), "the disk is on fire") || s.Gaps != 1 || s.Lost != 10 {
		t.Errorf("%v: %+v", err, s)
	}
}

func TestSayerNeverWaits(t *testing.T) {
	in, out := io.Pipe()
	s := newSayer(newTalker(out))
	for i := range 1000 {
		s.say(fmt.Sprint(i)) // nobody reads
	}
	go func() { s.close(); out.Close() }()
	text, err := io.ReadAll(in)
	lines := strings.Fields(string(text))
	if err != nil || len(lines) < 100 || len(lines) > 102 || lines[0] != "0" || !slices.Contains(lines, "99") {
		t.Errorf("%v, %d lines", err, len(lines))
	}
}
