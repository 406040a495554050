package wire

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gctap/capture"
)

// A server answers each connection with what its function does.
func server(t testing.TB, wrap func(net.Listener) net.Listener, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		l = wrap(l)
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
				do(c)
			}()
		}
	}()
	return l.Addr().String()
}

// runProxy runs a proxy until the test ends, or stop is called. stop returns
// when all has been decoded.
func runProxy(t testing.TB, cfg ProxyConfig) (p *Proxy, stop func()) {
	t.Helper()
	p, err := ListenProxy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return p, stop
}

func connect(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func echo(c net.Conn) { io.Copy(c, c) }

// Whoever takes the records stands still: traffic goes on, memory is bounded,
// and a gap row says what was not recorded.
func TestProxyRelaysWhileTheRecorderStands(t *testing.T) {
	var c collector
	stands := make(chan struct{})
	const backlog = 1 << 20
	p, stop := runProxy(t, ProxyConfig{
		Pairs: []Pair{{Listen: "127.0.0.1:0", To: server(t, nil, echo)}}, Backlog: backlog,
		Emit: func(r capture.Record) { <-stands; c.emit(r) },
	})
	send := func(conn io.ReadWriter, from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			frame := fmt.Appendf(nil, "SEND\ndestination:/queue/q\n\n%d %s\x00", i, strings.Repeat("x", 10_000))
			if _, err := conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	conn := connect(t, p.Addr(0))
	send(conn, 0, 500) // ten times what may wait
	s := p.Status()
	if s.Waiting > backlog+1000*eventSize || s.Left == 0 {
		t.Errorf("%+v", s)
	}
	for range 500 { // connections are bounded too
		other := connect(t, p.Addr(0))
		send(other, 0, 1)
		other.Close()
	}
	if s := p.Status(); s.Waiting > backlog+100*eventSize {
		t.Errorf("after 500 connections %+v", s)
	}
	close(stands)
	for p.Status().Waiting > backlog/2 { // not a wait for time: it drains now
		send(conn, 500, 501)
	}
	send(conn, 501, 520)
	conn.Close()
	stop()
	gaps := c.of(capture.GapRow)
	if len(gaps) == 0 {
		t.Fatal("no gap tells of what was left out")
	}
	left := int64(0)
	for _, g := range gaps {
		var n int64
		fmt.Sscan(g.Header("tcp.missing"), &n)
		left += n
	}
	if s := p.Status(); left != s.Left {
		t.Errorf("gaps tell of %d bytes, %d were left out", left, s.Left)
	}
	if last := c.of(capture.Command); len(last) == 0 || !strings.HasPrefix(string(last[len(last)-1].Body), "519 ") {
		t.Error("what came after is not recorded")
	}
}

func TestProxyPassesHalfClose(t *testing.T) {
	var c collector
	p, _ := runProxy(t, ProxyConfig{Emit: c.emit, Pairs: []Pair{{Listen: "127.0.0.1:0", To: server(t, nil, func(s net.Conn) {
		all, err := io.ReadAll(s) // to the client's end
		fmt.Fprintf(s, "%d %v", len(all), err)
	})}}})
	conn := connect(t, p.Addr(0))
	conn.Write(make([]byte, 300_000))
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if string(answer) != "300000 <nil>" || err != nil {
		t.Errorf("%q, %v", answer, err)
	}
}

// A reset of either end resets the other.
func TestProxyPassesResets(t *testing.T) {
	got := make(chan error, 1)
	var reset atomic.Bool
	var c collector
	p, _ := runProxy(t, ProxyConfig{Emit: c.emit, Pairs: []Pair{{Listen: "127.0.0.1:0", To: server(t, nil, func(s net.Conn) {
		s.Write([]byte("hello"))
		one := make([]byte, 1)
		if _, err := io.ReadFull(s, one); err == nil && reset.Load() {
			s.(*net.TCPConn).SetLinger(0)
			s.Close()
			return
		}
		_, err := s.Read(one)
		got <- err
	})}}})
	hello := make([]byte, 5)
	conn := connect(t, p.Addr(0))
	if _, err := io.ReadFull(conn, hello); err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("x"))
	conn.SetLinger(0)
	conn.Close()
	if err := <-got; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server got %v for a reset of the client", err)
	}
	reset.Store(true)
	conn = connect(t, p.Addr(0))
	if _, err := io.ReadFull(conn, hello); err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("x"))
	if _, err := conn.Read(hello); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v for a reset of the server", err)
	}
}

// A server that is not there ends the client with a reset, not with an end.
func TestProxyOfNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	said := make(chan string, 1)
	p, _ := runProxy(t, ProxyConfig{Emit: func(capture.Record) {}, Say: func(s string) { said <- s }, Pairs: []Pair{{Listen: "127.0.0.1:0", To: nobody}}})
	conn, err := net.Dial("tcp", p.Addr(0)) // may be reset as early as this
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	if s := <-said; !strings.Contains(s, "was turned away") {
		t.Errorf("%q", s)
	}
}

// A reader that does not read stops the writer, and not by memory of ours.
func TestProxyBackPressure(t *testing.T) {
	release := make(chan struct{})
	var c collector
	p, _ := runProxy(t, ProxyConfig{Emit: c.emit, Pairs: []Pair{{Listen: "127.0.0.1:0", To: server(t, nil, func(s net.Conn) {
		<-release
		n, _ := io.Copy(io.Discard, s)
		fmt.Fprint(s, n)
	})}}})
	conn := connect(t, p.Addr(0))
	conn.SetWriteBuffer(64 << 10)
	written := 0
	chunk := make([]byte, 64<<10)
	for { // until nobody takes any more: the kernel's buffers, and one of ours
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := conn.Write(chunk)
		written += n
		if err != nil {
			break
		}
		if written > 64<<20 {
			t.Fatal("64 MB are taken from a client whose server does not read")
		}
	}
	passed := p.Status().Bytes
	close(release)
	conn.SetWriteDeadline(time.Time{})
	conn.CloseWrite()
	answer, err := io.ReadAll(conn)
	if string(answer) != fmt.Sprint(written) || err != nil {
		t.Errorf("%s of %d arrived, %v", answer, written, err)
	}
	t.Logf("%d were written, %d read by the proxy while the server stood", written, passed)
}

// The port is free at once, though connections were open.
func TestProxyReleasesItsPort(t *testing.T) {
	p, stop := runProxy(t, ProxyConfig{Emit: func(capture.Record) {}, Pairs: []Pair{{Listen: "127.0.0.1:0", To: server(t, nil, echo)}}})
	addr := p.Addr(0)
	conn := connect(t, addr)
	conn.Write([]byte("x"))
	conn.Read(make([]byte, 1))
	stop()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

// selfSigned is a certificate of this test's, and who trusts it.
func selfSigned(t testing.TB) (serve, trust *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gc"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool, ServerName: "gc"}
}

// TLS ends at the proxy on either side or both, and what it hides is read. The
// end of one side is the other's, said or not.
func TestProxyTLS(t *testing.T) {
	serve, trust := selfSigned(t)
	for _, in := range []bool{false, true} {
		for _, out := range []bool{false, true} {
			ends := make(chan error, 1)
			wrap := func(l net.Listener) net.Listener {
				if out {
					return tls.NewListener(l, serve)
				}
				return l
			}
			pair := Pair{Listen: "127.0.0.1:0", To: server(t, wrap, func(s net.Conn) {
				_, err := io.Copy(s, s)
				ends <- err
			})}
			if in {
				pair.Serve = serve
			}
			if out {
				pair.Dial = trust
			}
			var c collector
			p, stop := runProxy(t, ProxyConfig{Emit: c.emit, Pairs: []Pair{pair}})
			for _, announced := range []bool{true, false} {
				var conn net.Conn = connect(t, p.Addr(0))
				if in {
					conn = tls.Client(conn, trust)
				}
				frame := []byte("SEND\ndestination:/queue/q\n\nhidden\x00")
				if _, err := conn.Write(frame); err != nil {
					t.Fatal(err)
				}
				back := make([]byte, len(frame))
				if _, err := io.ReadFull(conn, back); err != nil || !bytes.Equal(frame, back) {
					t.Fatalf("in %t, out %t: %q, %v", in, out, back, err)
				}
				if secured, ok := conn.(*tls.Conn); ok && !announced {
					secured.NetConn().(*net.TCPConn).CloseWrite()
				} else {
					conn.(interface{ CloseWrite() error }).CloseWrite()
				}
				if err := <-ends; err != nil {
					t.Errorf("in %t, out %t, announced %t: the server's end is %v", in, out, announced, err)
				}
			}
			stop()
			if got := fmt.Sprint(bodiesOf(&c)); !strings.HasPrefix(got, "[hidden ") {
				t.Errorf("in %t, out %t: %s", in, out, got)
			}
		}
	}
}
