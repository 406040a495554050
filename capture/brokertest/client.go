package brokertest

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// A client is one connection to the broker in process. Its reader works off
// what the client sends, its writer sends what the broker has pushed.
type client struct {
	broker  *memory
	net     net.Conn
	version string
	login   string
	session string        // ID:host-port-start-n:m
	beat    time.Duration // between heartbeats to the client; 0: none

	patience time.Duration // with a silent client; 0: endless; the reader's

	// Guarded by broker.mu.
	subs     []*subscription
	temps    map[string]destination // the client's own names of temporary ones
	tx       map[string][]*frame.Frame
	out      []output
	gone     bool
	lastAck  int
	lastSent int

	ready chan struct{}
}

// An output is one thing to send: a reply, a message, or the end of browsing.
type output struct {
	reply    *frame.Frame
	delivery *delivery
	browsed  *subscription
	last     bool // close the connection after it
}

func newClient(m *memory, nc net.Conn) *client {
	return &client{broker: m, net: nc, temps: map[string]destination{},
		tx: map[string][]*frame.Frame{}, ready: make(chan struct{}, 1)}
}

// run serves the connection until it ends.
func (c *client) run() {
	reader := frame.NewReader(&plainHead{src: c, plain: true})
	if !c.enter(reader) {
		return
	}
	var writer sync.WaitGroup
	writer.Go(c.writes)
	c.reads(reader)
	c.broker.mu.Lock()
	c.broker.leave(c)
	c.broker.mu.Unlock()
	writer.Wait()
}

// push adds to what is to be sent; broker.mu is held.
func (c *client) push(o output) {
	c.out = append(c.out, o)
	c.wake()
}

func (c *client) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// writes is the writer. Messages of automatic acknowledgement count as
// consumed when they are written.
func (c *client) writes() {
	defer c.net.Close()
	out := bufio.NewWriterSize(c.net, 32<<10)
	var beat <-chan time.Time
	if c.beat > 0 {
		ticker := time.NewTicker(c.beat / 2)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		select {
		case <-c.ready:
		case <-beat:
			out.WriteByte('\n')
		}
		c.broker.mu.Lock()
		batch, gone := c.out, c.gone
		c.out = nil
		c.broker.mu.Unlock()
		last := gone
		for _, o := range batch {
			out.Write(appendFrame(nil, c.frame(o), c.version != "1.0"))
			last = last || o.last
		}
		if out.Flush() != nil || last {
			return
		}
		c.settle(batch)
	}
}

func (c *client) settle(batch []output) {
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	for _, o := range batch {
		if d := o.delivery; d != nil && (d.sub.mode == auto || d.sub.browser) {
			c.broker.settle(d)
		}
	}
}

// frame makes the frame of an output.
func (c *client) frame(o output) *frame.Frame {
	switch {
	case o.reply != nil:
		return o.reply
	case o.browsed != nil:
		return frame.New(frame.MESSAGE, frame.Subscription, o.browsed.id, frame.Destination, o.browsed.shown,
			"browser", "end", frame.MessageId, "0")
	}
	d := o.delivery
	h := frame.NewHeader()
	if d.sub.mode != auto && c.version == "1.2" {
		h.Add(frame.Ack, d.ack)
	}
	h.Add(frame.MessageId, d.msg.id)
	h.Add(frame.Destination, d.msg.to.String())
	if d.sub.to.temp {
		h.Set(frame.Destination, d.sub.shown)
	}
	if d.msg.original != "" {
		h.Add("original-destination", d.msg.original)
	}
	if d.msg.redelivered {
		h.Add("redelivered", "true")
	}
	if d.sub.id != "" {
		h.Add(frame.Subscription, d.sub.id)
	}
	for i := 0; i < len(d.msg.headers); i += 2 {
		h.Add(d.msg.headers[i], d.msg.headers[i+1])
	}
	if d.msg.length {
		h.Set(frame.ContentLength, strconv.Itoa(len(d.msg.body)))
	}
	return &frame.Frame{Command: frame.MESSAGE, Header: h, Body: d.msg.body}
}

// enter reads CONNECT and answers it. It returns false when the connection is
// over.
func (c *client) enter(r *frame.Reader) bool {
	var f *frame.Frame
	for f == nil {
		var err error
		if f, err = r.Read(); err != nil {
			return false
		}
	}
	if f.Command != frame.CONNECT && f.Command != frame.STOMP {
		c.deny("Not connected.")
		return false
	}
	if c.version = c.agree(f.Header.Get(frame.AcceptVersion)); c.version == "" {
		c.deny(fmt.Sprintf("Invalid Protocol version[%s], supported versions are: [1.2, 1.1, 1.0]", f.Header.Get(frame.AcceptVersion)))
		return false
	}
	c.login = f.Header.Get(frame.Login)
	if want, ok := c.broker.options.Users[c.login]; c.broker.options.Users != nil && (!ok || want != f.Header.Get(frame.Passcode)) {
		c.deny(fmt.Sprintf("User name [%s] or password is invalid.", cmp.Or(c.login, "null")))
		return false
	}
	c.join(f)
	return true
}

// deny refuses the connection; closing it is up to the caller.
func (c *client) deny(words string) {
	c.net.Write(appendFrame(nil, frame.New(frame.ERROR, frame.Message, words), false))
}

// agree returns the newest version that both know, empty if there is none.
func (c *client) agree(accept string) string {
	known := c.broker.options.Versions
	if known == nil {
		known = []string{"1.0", "1.1", "1.2"}
	}
	newest := ""
	for v := range strings.SplitSeq(cmp.Or(accept, "1.0"), ",") {
		if v = strings.TrimSpace(v); slices.Contains(known, v) {
			newest = max(newest, v)
		}
	}
	return newest
}

// join makes the connection a client and says CONNECTED.
func (c *client) join(f *frame.Frame) {
	m := c.broker
	sends, wants, err := frame.ParseHeartBeat(cmp.Or(f.Header.Get(frame.HeartBeat), "0,0"))
	if err != nil || m.options.NoHeartbeats || c.version == "1.0" {
		sends, wants = 0, 0
	}
	c.beat = wants
	c.patience = 2*sends + sends/2
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastConn++
	c.session = fmt.Sprintf("%s:%d", m.identity, m.lastConn)
	m.clients[c] = true
	reply := frame.New(frame.CONNECTED,
		"server", "ActiveMQ/5.17.2",
		frame.HeartBeat, fmt.Sprintf("%d,%d", wants.Milliseconds(), sends.Milliseconds()),
		frame.Session, c.session,
		frame.Version, c.version)
	c.push(output{reply: reply})
}

// Read reads from the connection; a client that promised heartbeats and is
// silent for too long is cut off.
func (c *client) Read(p []byte) (int, error) {
	if c.patience > 0 {
		if err := c.net.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	return c.net.Read(p)
}

// plainHead passes bytes on and doubles the backslashes of the first frame,
// whose headers hold no escapes: frame.Reader undoes them all the same.
type plainHead struct {
	src   io.Reader
	plain bool
	rest  []byte
}

func (h *plainHead) Read(p []byte) (int, error) {
	if len(h.rest) == 0 {
		if !h.plain {
			return h.src.Read(p)
		}
		n, err := h.src.Read(p)
		if err != nil {
			return n, err
		}
		head, tail, whole := bytes.Cut(p[:n], []byte{0})
		rest := bytes.ReplaceAll(bytes.Clone(head), []byte(`\`), []byte(`\\`))
		if whole {
			h.plain = false
			rest = append(append(rest, 0), tail...)
		}
		h.rest = rest
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// appendFrame writes a frame, its headers escaped or plain.
func appendFrame(dst []byte, f *frame.Frame, escape bool) []byte {
	escape = escape && f.Command != frame.CONNECTED
	dst = append(append(dst, f.Command...), '\n')
	for i := range f.Header.Len() {
		name, value := f.Header.GetAt(i)
		if escape {
			name, value = escapes.Replace(name), escapes.Replace(value)
		}
		dst = append(append(append(append(dst, name...), ':'), value...), '\n')
	}
	return append(append(append(dst, '\n'), f.Body...), 0, '\n')
}

var escapes = strings.NewReplacer(`\`, `\\`, "\r", `\r`, "\n", `\n`, ":", `\c`)
