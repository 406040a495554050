package link

import (
	"strconv"
	"strings"
	"time"

	"gctap/capture"

	"github.com/go-stomp/stomp/v3/frame"
)

// record makes a Record of a MESSAGE frame as brokers' STOMP has it: To is the
// place it was read from, OriginalTo the broker's word for where it was sent;
// an absent type is nil and an empty one is not; a body without content-length
// is a text. What the fields do not hold stays in Headers, in its order, but
// for what belongs to the delivery and not to the message. Seq, Mono, Direction
// and Via are for the recorder to say.
func (d *dialect) record(f *frame.Frame, at time.Time) capture.Record {
	r := capture.Record{CapturedAt: at, Source: "stomp", Body: f.Body}
	fields := promotions{dialect: d, record: &r, seen: map[string]bool{}}
	for i := range f.Header.Len() {
		name, value := f.Header.GetAt(i)
		fate := headers[name]
		if fate == promoted && !fields.take(name, value) {
			fate = standard // kept as it came
		}
		if fate == standard || fate == property {
			r.Headers = append(r.Headers, capture.Header{Name: name, Value: value})
		}
	}
	for _, name := range d.key {
		if id, ok := f.Header.Contains(name); ok {
			r.MessageID = id
			break
		}
	}
	if d.producer {
		r.Conn = producer(r.MessageID)
	}
	r.BodyKind = d.bodyKind(f)
	return r
}

// promotions fills the fields of a Record that have a header, each once.
type promotions struct {
	dialect *dialect
	record  *capture.Record
	seen    map[string]bool
}

// take puts a promoted header into its field. False: it did not fit there, for
// it is a second one of its name or a time that is none.
func (p *promotions) take(name, value string) bool {
	if p.seen[name] {
		return false
	}
	p.seen[name] = true
	switch r := p.record; name {
	case "destination":
		r.To = unwire(value)
	case "original-destination":
		r.OriginalTo = unwire(value)
	case "reply-to":
		r.ReplyTo = unwire(value)
	case "correlation-id":
		r.CorrelationID = value
	case "type":
		r.JMSType = &value
	case "timestamp":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return false
		}
		if n != 0 { // 0: the producer was told to leave it out
			at := time.UnixMilli(n * p.dialect.clock.Milliseconds()).UTC()
			r.SentAt = &at
		}
	}
	return true // message-id: the dialect says what is the key
}

// bodyKind tells the JMS kind of a body. ActiveMQ sends a text without
// content-length and a bytes message with it; a text that was sent with it
// says so in amq-msg-type. Null and empty look the same.
func (d *dialect) bodyKind(f *frame.Frame) capture.BodyKind {
	_, length := f.Header.Contains(frame.ContentLength)
	switch {
	case strings.HasPrefix(f.Header.Get("transformation"), "jms-map"):
		return capture.Map
	case f.Header.Get("amq-msg-type") == "text" && len(f.Body) > 0:
		return capture.Text
	case length && d.lengthMeansBytes:
		return capture.Bytes
	case len(f.Body) == 0:
		return capture.Unknown
	}
	return capture.Text
}

// producer returns the connection that sent a message, from its ActiveMQ
// message-id ID:host-port-start-n:m:session:producer:sequence. Empty where the
// id has another form.
func producer(id string) string {
	if !strings.HasPrefix(id, "ID:") {
		return ""
	}
	end := len(id)
	for range 3 {
		end = strings.LastIndexByte(id[:end], ':')
		if end < 0 {
			return ""
		}
	}
	if conn := id[:end]; strings.Count(conn, ":") >= 2 {
		return conn
	}
	return ""
}

// identity returns the part of an ActiveMQ session header that names the
// broker's process, ID:host-port-start of ID:host-port-start-n:m. Another
// broker's session names the connection, not the process, and gives none.
func identity(session string) string {
	if !strings.HasPrefix(session, "ID:") {
		return ""
	}
	colon := strings.LastIndexByte(session, ':')
	if colon < len("ID:") {
		return ""
	}
	front := session[:colon]
	if dash := strings.LastIndexByte(front, '-'); strings.Count(front, "-") >= 3 {
		return front[:dash]
	}
	return ""
}

// IdentityHost returns the host name within an Identity, empty where it has
// none. Two brokers on one host have it in common, and so may two containers of
// one image.
func IdentityHost(identity string) string {
	host, ok := strings.CutPrefix(identity, "ID:")
	if !ok {
		return ""
	}
	for range 2 {
		dash := strings.LastIndexByte(host, '-')
		if dash < 0 {
			return ""
		}
		host = host[:dash]
	}
	return host
}

// BrowseEnd reports whether a Record is not a message but the frame with which
// the broker ends a Browse subscription.
func BrowseEnd(r *capture.Record) bool {
	return r.Direction == capture.Note && r.Header("browser") == "end"
}
