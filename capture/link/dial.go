package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// A dialer is the network as a link needs it.
type dialer struct {
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	lookup func(ctx context.Context, host string) ([]string, error)
}

// connect tries every address in turn, and of each every IP address its host
// name resolves to, and returns the first session that the broker accepts.
func (c *Conn) connect(ctx context.Context, addresses []Address) (*session, error) {
	var failures []error
	for _, a := range addresses {
		s, err := c.connectHost(ctx, a)
		if err == nil {
			return s, nil
		}
		failures = append(failures, explain(a, c.config.Timeout, err))
		if ctx.Err() != nil {
			break
		}
	}
	if len(failures) == 1 {
		return nil, clean(failures[0], c.config.Secrets())
	}
	var texts []string
	for _, err := range failures {
		texts = append(texts, strings.TrimPrefix(err.Error(), "connect to "))
	}
	err := &failure{"connect: no address of the broker accepts: " + strings.Join(texts, "; "), errors.Join(failures...)}
	return nil, clean(err, c.config.Secrets())
}

// connectHost tries every IP address of a's host. It fails with the error of
// the one that came furthest: a broker's refusal says more than a closed port.
func (c *Conn) connectHost(ctx context.Context, a Address) (*session, error) {
	secure, err := c.secure(a)
	if err != nil {
		return nil, err
	}
	ips := []string{a.Host}
	if net.ParseIP(a.Host) == nil {
		bounded, stop := context.WithTimeout(ctx, c.config.Timeout)
		ips, err = c.dialer.lookup(bounded, a.Host)
		stop()
		if err != nil {
			return nil, err
		}
	}
	var worst error
	for _, ip := range ips {
		s, err := c.connectIP(ctx, a, ip, secure)
		if err == nil {
			return s, nil
		}
		if _, ok := errors.AsType[*Refused](err); ok || worst == nil {
			worst = err
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, cmp.Or(worst, fmt.Errorf("the host name %s has no address", a.Host))
}

// secure returns the TLS settings for a, nil where it is to be plain.
func (c *Conn) secure(a Address) (*tls.Config, error) {
	if !a.TLS {
		return nil, nil
	}
	return c.config.TLS.Config(a.Host)
}

// connectIP connects and logs in, within the configured timeout.
func (c *Conn) connectIP(ctx context.Context, a Address, ip string, secure *tls.Config) (*session, error) {
	bounded, stop := context.WithTimeout(ctx, c.config.Timeout)
	defer stop()
	raw, err := c.dialer.dial(bounded, "tcp", net.JoinHostPort(ip, a.Port))
	if err != nil {
		return nil, given(ctx, err)
	}
	// A deadline long past ends reads and writes when ctx does.
	release := context.AfterFunc(bounded, func() { raw.SetDeadline(time.Unix(1, 0)) })
	nc := raw
	if secure != nil {
		nc = tls.Client(raw, secure)
	}
	s := newSession(c, nc)
	s.peer = Peer{Host: a.Host, Addr: net.JoinHostPort(ip, a.Port)}
	err = s.login(a)
	if err == nil && !release() {
		err = context.Cause(bounded)
	}
	if err != nil {
		release()
		nc.Close()
		return nil, given(ctx, err)
	}
	return s, nc.SetDeadline(time.Time{})
}

// given replaces an error that only says that ctx has ended by ctx's own word.
func given(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// login sends CONNECT and reads the broker's answer.
func (s *session) login(a Address) error {
	config := &s.conn.config
	beat := strconv.FormatInt(config.Heartbeat.Milliseconds(), 10)
	f := frame.New(frame.CONNECT,
		frame.AcceptVersion, v10+","+v11+","+v12,
		frame.Host, cmp.Or(config.VirtualHost, a.Host),
		frame.HeartBeat, beat+","+beat)
	if login := cmp.Or(config.Login, a.Login); login != "" {
		f.Header.Add(frame.Login, login)
	}
	if passcode := cmp.Or(config.Passcode, a.passcode); passcode != "" {
		f.Header.Add(frame.Passcode, passcode)
	}
	data, err := appendFrame(nil, f, v12)
	if err != nil {
		return err
	}
	if _, err := s.net.Write(data); err != nil {
		return err
	}
	for f = nil; f == nil; {
		if f, err = s.frames.Read(); err != nil {
			return err
		}
	}
	if f.Command == frame.ERROR {
		return refused("connect", f)
	}
	if f.Command != frame.CONNECTED {
		return fmt.Errorf("it answered CONNECT with %s: does this port speak STOMP?", f.Command)
	}
	return s.connected(f)
}

// connected takes what CONNECTED says.
func (s *session) connected(f *frame.Frame) error {
	h := f.Header
	s.peer.Version = cmp.Or(h.Get(frame.Version), v10)
	if !slices.Contains([]string{v10, v11, v12}, s.peer.Version) {
		return fmt.Errorf("it wants to speak STOMP %q, this program speaks 1.0 to 1.2", s.peer.Version)
	}
	s.guard.plain = s.peer.Version == v10
	s.peer.Server, s.peer.Session = h.Get(frame.Server), h.Get(frame.Session)
	s.peer.Identity = identity(s.peer.Session)
	s.dialect = dialectOf(s.peer.Server)

	ours := s.conn.config.Heartbeat
	sends, wants, err := frame.ParseHeartBeat(cmp.Or(h.Get(frame.HeartBeat), "0,0"))
	if err != nil {
		return fmt.Errorf("its heart-beat header %q cannot be read", h.Get(frame.HeartBeat))
	}
	if ours > 0 && wants > 0 {
		s.beat = max(ours, wants)
	}
	// Without the broker's promise, silence means nothing: it has to be asked.
	s.idle, s.probe = max(s.conn.config.Probe, 0), true
	if ours > 0 && sends > 0 {
		s.idle, s.probe = max(ours, sends), false
	}
	return nil
}

// reconnect tries until a session is there, life ends, or the attempts that the
// failover URL allows are used up. attempt is how many there were since the link
// was last well.
func (c *Conn) reconnect(life context.Context, attempt int) (*session, error) {
	for {
		if most := c.config.Broker.MaxAttempts; most > 0 && attempt >= most {
			return nil, fmt.Errorf("the connection was lost and %d attempts to connect again failed", attempt)
		}
		timer := time.NewTimer(c.config.Backoff.delay(attempt))
		attempt++
		select {
		case <-timer.C:
		case <-life.Done():
			timer.Stop()
			return nil, ErrClosed
		}
		s, err := c.connect(life, c.order())
		if err == nil {
			s.attempt = attempt
			return s, nil
		}
		if life.Err() != nil {
			return nil, ErrClosed
		}
		c.config.OnState(State{Change: Retry, At: time.Now(), Err: err, Peer: c.Peer()})
	}
}

// delay returns how long to wait before the attempt after n failed ones.
func (b Backoff) delay(n int) time.Duration {
	d := b.Min
	for range n {
		if d *= 2; d >= b.Max {
			d = b.Max
			break
		}
	}
	return d - time.Duration(rand.Int64N(int64(d)/2+1))
}

// order returns the addresses as they are to be tried now: at random, so that a
// broker that comes back is not met by all its clients at once.
func (c *Conn) order() []Address {
	all := slices.Clone(c.config.Broker.Addresses)
	if !c.config.Broker.InOrder {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	return all
}
