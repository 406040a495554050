package link

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

// A dialect is what one kind of broker does in its own way over STOMP. This
// file is the only place that knows it.
type dialect struct {
	name string

	// destination writes queue://NAME and the like as the broker wants it.
	// In a topic's name * is one part between dots, and a > at the end the rest.
	destination func(kind, name string) (string, error)

	// key names the headers of which the first that is there is the same on
	// every copy of one message. None: copies cannot be told, and no key is
	// better than a wrong one.
	key []string

	// producer says that the key begins with its producer's connection.
	producer bool

	// clock is the unit of the timestamp header.
	clock time.Duration

	// lengthMeansBytes: a body with content-length is a bytes message.
	lengthMeansBytes bool

	// textWithLength are the headers that make a SEND with content-length a
	// text message all the same; needed for a body that holds a NUL.
	textWithLength []string

	// subscribe adds the headers that bound what the broker holds for a
	// subscription. To hold means messages in flight (prefetch) and, for
	// topics, messages that wait for a slow reader (pending).
	subscribe func(h *frame.Header, prefetch, pending int)

	// wildcard is added to a subscription to topics by wildcard.
	wildcard []string
}

// activeMQ is ActiveMQ Classic, measured with 5.17.2. A message-id is
// ID:host-port-start-n:m:… where the part before the last three numbers is the
// producer's connection, and is the same on every copy of a message.
//
// It heeds maximumPendingMessageLimit only where its configuration has a
// pendingMessageLimitStrategy, as the one it comes with does; else it holds all.
// A wildcard over topics takes in the advisory topics, and where the
// broker lacks the jars to write their messages it logs an error with a stack
// trace for each: the selector keeps them from being tried.
var activeMQ = &dialect{
	name:             "ActiveMQ",
	destination:      single,
	key:              []string{frame.MessageId},
	producer:         true,
	clock:            time.Millisecond,
	lengthMeansBytes: true,
	textWithLength:   []string{"amq-msg-type", "text"},
	subscribe: func(h *frame.Header, prefetch, pending int) {
		h.Add("activemq.prefetchSize", fmt.Sprint(prefetch))
		h.Add("activemq.maximumPendingMessageLimit", fmt.Sprint(pending))
	},
	wildcard: []string{"selector", "JMSType IS NULL OR JMSType <> 'Advisory'"},
}

// artemis is ActiveMQ Artemis, from its documents, not measured: addresses
// have the prefixes /queue/ and /topic/ when the acceptor is configured with
// anycastPrefix and multicastPrefix, as the documents advise; its wildcard is
// #. Its message-id is a number that a copy made by a divert does not share and
// a restarted broker gives again, so it is no key.
var artemis = &dialect{
	name:             "Artemis",
	destination:      hashed,
	clock:            time.Millisecond,
	lengthMeansBytes: true,
	subscribe: func(h *frame.Header, prefetch, _ int) {
		h.Add("consumer-window-size", fmt.Sprint(prefetch*1024)) // in bytes
	},
}

// rabbitMQ is RabbitMQ's STOMP plugin, measured with 3.10.8 and STOMP clients. Its
// message-id names the delivery (T_subscription@@session@@n) and so differs for
// each subscription; from its documents, a JMS client's own id is in the header
// amqp-message-id. It sends content-length with every body that is not empty, and
// no timestamp of its own. The host header of CONNECT must name a virtual host.
var rabbitMQ = &dialect{
	name:        "RabbitMQ",
	destination: hashed,
	key:         []string{"amqp-message-id"},
	clock:       time.Second, // AMQP's
	subscribe: func(h *frame.Header, prefetch, _ int) {
		h.Add("prefetch-count", fmt.Sprint(min(prefetch, 65535)))
	},
}

// dialectOf tells the kind of broker from CONNECTED's server header, which is
// name/version. A broker that does not say is taken for ActiveMQ, the one that
// GC is run with.
func dialectOf(server string) *dialect {
	switch {
	case strings.Contains(server, "Artemis"):
		return artemis
	case strings.HasPrefix(server, "RabbitMQ"):
		return rabbitMQ
	}
	return activeMQ
}

// slashed writes /queue/NAME, /topic/NAME and, for a temporary topic of another
// connection, /remote-temp-topic/NAME.
func slashed(kind, name string) (string, error) {
	switch kind {
	case "queue", "topic":
		return "/" + kind + "/" + name, nil
	case "temp-topic", "temp-queue":
		return "/remote-" + kind + "/" + name, nil
	}
	return "", fmt.Errorf("destination %s://%s: write queue://NAME or topic://NAME", kind, name)
}

// single is slashed for a broker that takes a comma in a name for the end of one
// destination and the beginning of the next: with it a tap would read a queue
// that is GC's.
func single(kind, name string) (string, error) {
	if strings.Contains(name, ",") {
		return "", fmt.Errorf("destination %q: the broker takes a comma for several destinations; name one", kind+"://"+name)
	}
	return slashed(kind, name)
}

// hashed is slashed for a broker whose wildcard for the rest is #.
func hashed(kind, name string) (string, error) {
	if kind == "topic" && (name == ">" || strings.HasSuffix(name, ".>")) {
		name = strings.TrimSuffix(name, ">") + "#"
	}
	return slashed(kind, name)
}

// wire writes a destination of ours as the broker wants it.
func (d *dialect) wire(destination string) (string, error) {
	kind, name, ok := strings.Cut(destination, "://")
	if !ok || name == "" {
		return "", fmt.Errorf("destination %q: write queue://NAME or topic://NAME", destination)
	}
	return d.destination(kind, name)
}

// prefixes are the STOMP spellings of destinations, and ours.
var prefixes = []struct{ wire, ours string }{
	{"/queue/", "queue://"},
	{"/topic/", "topic://"},
	{"/remote-temp-topic/", "temp-topic://"},
	{"/temp-topic/", "temp-topic://"},
	{"/remote-temp-queue/", "temp-queue://"},
	{"/temp-queue/", "temp-queue://"},
}

// unwire writes a broker's destination in our spelling. One of no known form
// stays as it is.
func unwire(destination string) string {
	for _, p := range prefixes {
		if name, ok := strings.CutPrefix(destination, p.wire); ok {
			return p.ours + name
		}
	}
	return destination
}

// A fate says what becomes of a header of a MESSAGE.
type fate int

const (
	property fate = iota // not in the table: a property its sender set
	promoted             // it has a field of its own in the Record
	plumbing             // of this delivery, not of the message
	standard             // kept among the Record's headers, though no property
)

// headers are the names that mean something to STOMP, JMS or a broker.
var headers = map[string]fate{
	"destination":          promoted,
	"original-destination": promoted,
	"type":                 promoted,
	"reply-to":             promoted,
	"correlation-id":       promoted,
	"timestamp":            promoted,
	"message-id":           promoted,

	"subscription":   plumbing,
	"ack":            plumbing,
	"content-length": plumbing,
	"receipt":        plumbing,
	"receipt-id":     plumbing,
	"transaction":    plumbing,
	"id":             plumbing,
	"selector":       plumbing,

	"persistent":       standard,
	"priority":         standard,
	"expires":          standard,
	"redelivered":      standard,
	"browser":          standard,
	"content-type":     standard,
	"transformation":   standard,
	"amq-msg-type":     standard,
	"amqp-message-id":  standard,
	"JMSXUserID":       standard,
	"JMSXGroupID":      standard,
	"JMSXGroupSeq":     standard,
	"_AMQ_GROUP_ID":    standard,
	"_type":            standard,
	"message-type":     standard,
	"redelivery-count": standard,
}

// IsProperty reports whether a header of a Record that came over a link is a
// JMS property its sender set, as against one of STOMP's, JMS's or the
// broker's own. Send leaves out those that are not.
func IsProperty(name string) bool { return headers[name] == property }
