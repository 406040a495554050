package link

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"gctap/capture"

	"github.com/go-stomp/stomp/v3/frame"
)

// send writes a SEND.
func (s *session) send(ctx context.Context, m capture.Outgoing) error {
	f, err := s.dialect.frame(m)
	if err != nil {
		return err
	}
	s.conn.mu.Lock()
	s.conn.sent++
	s.conn.mu.Unlock()
	return s.write(ctx, f)
}

// frame makes the SEND of a message. Its body goes without content-length, for
// with it ActiveMQ makes a BytesMessage that GC cannot read; a body that holds
// a NUL needs it, and then a header that says "text" all the same.
func (d *dialect) frame(m capture.Outgoing) (*frame.Frame, error) {
	to, err := d.wire(m.To)
	if err != nil {
		return nil, err
	}
	f := frame.New(frame.SEND, frame.Destination, to)
	f.Body = m.Body
	if m.JMSType != nil {
		f.Header.Add("type", *m.JMSType)
	}
	if m.ReplyTo != "" {
		reply, err := d.wire(m.ReplyTo)
		if err != nil {
			return nil, fmt.Errorf("reply-to: %w", err)
		}
		f.Header.Add("reply-to", reply)
	}
	if m.CorrelationID != "" {
		f.Header.Add("correlation-id", m.CorrelationID)
	}
	if m.Persistent {
		f.Header.Add("persistent", "true")
	}
	if bytes.IndexByte(m.Body, 0) >= 0 || !d.lengthMeansBytes {
		f.Header.Add(frame.ContentLength, strconv.Itoa(len(m.Body)))
		for i := 0; i+1 < len(d.textWithLength); i += 2 {
			f.Header.Add(d.textWithLength[i], d.textWithLength[i+1])
		}
	}
	for _, h := range m.Headers {
		if IsProperty(h.Name) {
			f.Header.Add(h.Name, h.Value)
		}
	}
	return f, nil
}
