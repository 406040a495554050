package brokertest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// reads works off the client's frames until the connection ends.
func (c *client) reads(r *frame.Reader) {
	for {
		f, err := r.Read()
		if err != nil {
			return
		}
		if f == nil {
			continue
		}
		c.broker.mu.Lock()
		err = c.command(f)
		c.reply(f, err)
		over := f.Command == frame.DISCONNECT
		c.broker.mu.Unlock()
		if over {
			return
		}
	}
}

// reply sends the RECEIPT or the ERROR of a command; broker.mu is held.
func (c *client) reply(f *frame.Frame, err error) {
	receipt := f.Header.Get(frame.Receipt)
	switch {
	case err != nil:
		reply := frame.New(frame.ERROR, frame.Message, err.Error())
		if receipt != "" {
			reply.Header.Add(frame.ReceiptId, receipt)
		}
		c.push(output{reply: reply})
	case receipt != "":
		c.push(output{reply: frame.New(frame.RECEIPT, frame.ReceiptId, receipt), last: f.Command == frame.DISCONNECT})
	}
}

// command does what one frame asks for; broker.mu is held.
func (c *client) command(f *frame.Frame) error {
	if c.gone {
		return nil // the broker was killed; the connection ends soon
	}
	if tx := f.Header.Get(frame.Transaction); tx != "" {
		return c.transaction(tx, f)
	}
	switch f.Command {
	case frame.SEND:
		return c.send(f)
	case frame.SUBSCRIBE:
		return c.subscribe(f)
	case frame.UNSUBSCRIBE:
		return c.unsubscribe(f)
	case frame.ACK, frame.NACK:
		return c.acknowledge(f)
	case frame.DISCONNECT:
		return nil
	}
	return complain("Unknown STOMP action: %s", f.Command)
}

// A complaint is an error in ActiveMQ's words.
type complaint string

func (c complaint) Error() string { return string(c) }

func complain(format string, args ...any) error { return complaint(fmt.Sprintf(format, args...)) }

// transaction begins, ends, or adds to a transaction.
func (c *client) transaction(id string, f *frame.Frame) error {
	frames, open := c.tx[id]
	if f.Command == frame.BEGIN {
		if open {
			return complain("The transaction was already started: %s", id)
		}
		c.tx[id] = nil
		return nil
	}
	if !open {
		return complain("Invalid transaction id: %s", id)
	}
	switch f.Command {
	case frame.COMMIT:
		delete(c.tx, id)
		for _, f := range frames {
			f.Header.Del(frame.Transaction)
			if err := c.command(f); err != nil {
				return err
			}
		}
	case frame.ABORT:
		delete(c.tx, id)
	default:
		c.tx[id] = append(frames, f)
	}
	return nil
}

// destination reads a destination header. A temporary destination is the
// client's own under the name that it gives it.
func (c *client) destination(s string) (destination, error) {
	for _, p := range []struct {
		prefix string
		to     destination
	}{
		{"/queue/", destination{}},
		{"/topic/", destination{topic: true}},
		{"/remote-temp-queue/", destination{temp: true}},
		{"/remote-temp-topic/", destination{topic: true, temp: true}},
	} {
		if name, ok := strings.CutPrefix(s, p.prefix); ok && name != "" {
			p.to.name = name
			return p.to, nil
		}
	}
	if strings.HasPrefix(s, "/temp-queue/") || strings.HasPrefix(s, "/temp-topic/") {
		d, ok := c.temps[s]
		if !ok {
			d = destination{temp: true, topic: strings.HasPrefix(s, "/temp-topic/"),
				name: fmt.Sprintf("%s:%d", c.session, len(c.temps)+1)}
			c.temps[s] = d
		}
		return d, nil
	}
	return destination{name: s}, nil // without a prefix it is a queue
}

// consumed are the headers of a SEND that do not come out as properties.
var consumed = []string{frame.Destination, frame.Receipt, frame.Transaction, frame.MessageId, frame.Subscription,
	frame.Id, "timestamp", "redelivered", "expires", "priority", "type", "reply-to", "correlation-id", "persistent",
	frame.ContentLength, frame.Ack, "JMSXUserID"}

// send takes a message in.
func (c *client) send(f *frame.Frame) error {
	to, err := c.destination(f.Header.Get(frame.Destination))
	if err != nil {
		return err
	}
	c.lastSent++
	expires, _ := strconv.ParseInt(f.Header.Get("expires"), 10, 64)
	_, length := f.Header.Contains(frame.ContentLength)
	msg := &message{
		id:         fmt.Sprintf("%s:-1:1:%d", c.session, c.lastSent),
		to:         to,
		body:       f.Body,
		length:     length,
		expires:    expires,
		persistent: f.Header.Get("persistent") == "true",
	}
	if msg.headers, err = c.headers(f); err != nil {
		return err
	}
	c.broker.route(msg)
	return nil
}

// headers are those that a message comes out with: JMS's own, then the
// properties in the order they were sent.
func (c *client) headers(f *frame.Frame) ([]string, error) {
	h := f.Header
	all := []string{
		"expires", cmp.Or(h.Get("expires"), "0"),
		"timestamp", cmp.Or(h.Get("timestamp"), strconv.FormatInt(time.Now().UnixMilli(), 10)),
		"priority", cmp.Or(h.Get("priority"), "4"),
	}
	if h.Get("persistent") == "true" {
		all = append(all, "persistent", "true")
	}
	for _, name := range []string{"type", "correlation-id"} {
		if value, ok := h.Contains(name); ok {
			all = append(all, name, value)
		}
	}
	if reply := h.Get("reply-to"); reply != "" {
		d, err := c.destination(reply)
		if err != nil {
			return nil, err
		}
		all = append(all, "reply-to", d.String())
	}
	for i := range h.Len() {
		name, value := h.GetAt(i)
		if !slices.Contains(consumed, name) && !slices.Contains(all, name) {
			all = append(all, name, value)
		}
	}
	return all, nil
}

// subscribe begins a subscription.
func (c *client) subscribe(f *frame.Frame) error {
	shown := f.Header.Get(frame.Destination)
	to, err := c.destination(shown)
	if err != nil {
		return err
	}
	if !c.broker.readable(to) {
		return complain("User %s is not authorized to read from: %s", cmp.Or(c.login, "anonymous"), to.url())
	}
	if !to.topic && strings.ContainsAny(to.name, "*>") {
		return complain("This broker knows no wildcards over queues: %s", shown)
	}
	s := &subscription{client: c, id: f.Header.Get(frame.Id), to: to, shown: shown,
		browser:  f.Header.Get("browser") == "true",
		prefetch: number(f, "activemq.prefetchSize", 1000)}
	if limit := c.broker.options.PendingLimit; limit > 0 {
		s.pending = min(limit, number(f, "activemq.maximumPendingMessageLimit", limit))
	}
	switch f.Header.Get(frame.Ack) {
	case "client":
		s.mode = cumulative
	case "client-individual":
		s.mode = individual
	}
	c.broker.attach(s)
	return nil
}

// readable reports whether a destination may be read: one that is listed, or
// within a pattern that is.
func (m *memory) readable(to destination) bool {
	if m.options.Readable == nil || to.temp {
		return true
	}
	for _, may := range m.options.Readable {
		kind, name, _ := strings.Cut(may, "://")
		d := destination{topic: kind == "topic", name: name}
		if d.topic == to.topic && d.matches(to.name) {
			return true
		}
	}
	return false
}

// number reads a header that holds a positive number.
func number(f *frame.Frame, name string, otherwise int) int {
	if n, err := strconv.Atoi(f.Header.Get(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func (c *client) unsubscribe(f *frame.Frame) error {
	id, to := f.Header.Get(frame.Id), f.Header.Get(frame.Destination)
	for _, s := range c.subs {
		if s.id == id && (id != "" || s.shown == to) {
			c.broker.detach(s)
			return nil
		}
	}
	return complain("No subscription matched.")
}

// acknowledge takes an ACK, by the ack header's value or by message-id, or a
// NACK, which moves the message to the dead letters.
func (c *client) acknowledge(f *frame.Frame) error {
	id, sub := f.Header.Get(frame.Id), f.Header.Get(frame.Subscription)
	message := f.Header.Get(frame.MessageId)
	for _, s := range c.subs {
		if s.mode == auto || sub != "" && s.id != sub {
			continue
		}
		i := slices.IndexFunc(s.unacked, func(d *delivery) bool {
			return id != "" && d.ack == id || id == "" && d.msg.id == message
		})
		if i < 0 {
			continue
		}
		from := i
		if s.mode == cumulative {
			from = 0
		}
		done := slices.Clone(s.unacked[from : i+1])
		s.unacked = slices.Delete(s.unacked, from, i+1)
		if f.Command == frame.NACK {
			for _, d := range done {
				c.broker.route(d.msg.copyTo(destination{name: "ActiveMQ.DLQ"}, s.to.String()))
			}
		}
		c.broker.more(s)
		return nil
	}
	return complain("Unexpected %s received for message-id [%s]", f.Command, cmp.Or(message, "null"))
}
