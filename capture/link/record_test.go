package link

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

func TestRecordOfAMessage(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	f := frame.New(frame.MESSAGE, "destination", "/queue/Consumer.gctap.VirtualTopic.Mirror.Connector1",
		"original-destination", "/topic/VirtualTopic.Mirror.Connector1",
		"message-id", "ID:host-34479-1795230156949-3:3:1:1:7", "subscription", "1", "ack", "a-1",
		"type", "", "reply-to", "/remote-temp-topic/ID:host-1-2-3:1:1", "correlation-id", "c1",
		"timestamp", "1795230156949", "type", "second", "priority", "4", "agent", "1001", "agent", "1002")
	f.Body = []byte("x")
	r := activeMQ.record(f, at)
	for _, c := range []struct{ name, got, want string }{
		{"To", r.To, "queue://Consumer.gctap.VirtualTopic.Mirror.Connector1"},
		{"OriginalTo", r.OriginalTo, "topic://VirtualTopic.Mirror.Connector1"},
		{"ReplyTo", r.ReplyTo, "temp-topic://ID:host-1-2-3:1:1"},
		{"MessageID", r.MessageID, "ID:host-34479-1795230156949-3:3:1:1:7"},
		{"Conn", r.Conn, "ID:host-34479-1795230156949-3:3"},
		{"CorrelationID", r.CorrelationID, "c1"},
		{"JMSType", fmt.Sprintf("%q %v", r.Type(), r.JMSType != nil), `"" true`},
		{"SentAt", r.SentAt.Format(time.RFC3339Nano), "2026-11-21T03:02:36.949Z"},
		{"BodyKind", string(r.BodyKind), "text"},
		{"Headers", fmt.Sprint(r.Headers), "[{type second} {priority 4} {agent 1001} {agent 1002}]"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestBodyKind(t *testing.T) {
	for _, c := range []struct {
		dialect *dialect
		body    string
		headers []string
		want    string
	}{
		{activeMQ, "x", nil, "text"},
		{activeMQ, "", nil, "unknown"},
		{activeMQ, "x", []string{"content-length", "1"}, "bytes"},
		{activeMQ, "", []string{"content-length", "0"}, "bytes"},
		{activeMQ, "x", []string{"content-length", "1", "amq-msg-type", "text"}, "text"},
		{activeMQ, "{}", []string{"transformation", "jms-map-json"}, "map"},
		{rabbitMQ, "x", []string{"content-length", "1"}, "text"},
		{rabbitMQ, "", []string{"content-length", "0"}, "unknown"},
	} {
		f := frame.New(frame.MESSAGE, c.headers...)
		f.Body = []byte(c.body)
		if got := c.dialect.record(f, time.Now()).BodyKind; string(got) != c.want {
			t.Errorf("%s, %q with %q: got %s, want %s", c.dialect.name, c.body, c.headers, got, c.want)
		}
	}
}

// A key that is wrong makes the tap drop messages that are not doubles.
func TestMessageIDIsAKeyOrEmpty(t *testing.T) {
	for _, c := range []struct {
		server, id, amqp string
		key, conn        string
	}{
		{"ActiveMQ/5.17.2", "ID:h-1-2-3:4:-1:1:1", "", "ID:h-1-2-3:4:-1:1:1", "ID:h-1-2-3:4"},
		{"", "ID:h-1-2-3:4:1:1:1", "", "ID:h-1-2-3:4:1:1:1", "ID:h-1-2-3:4"},
		{"ActiveMQ/6.1.0", "my-own-id", "", "my-own-id", ""},
		{"RabbitMQ/3.12.1", "T_1@@session-x@@1", "", "", ""},
		{"RabbitMQ/3.12.1", "T_1@@session-x@@1", "ID:abc", "ID:abc", ""},
		{"ActiveMQ-Artemis/2.31.0 ActiveMQ Artemis Messaging Engine", "12345", "", "", ""},
	} {
		f := frame.New(frame.MESSAGE, "message-id", c.id)
		if c.amqp != "" {
			f.Header.Add("amqp-message-id", c.amqp)
		}
		r := dialectOf(c.server).record(f, time.Now())
		if r.MessageID != c.key || r.Conn != c.conn {
			t.Errorf("%s %s: got key %q, connection %q; want %q, %q", c.server, c.id, r.MessageID, r.Conn, c.key, c.conn)
		}
	}
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct{ session, identity, host string }{
		{"ID:gc-lab-41-42257-1795223087349-3:17", "ID:gc-lab-41-42257-1795223087349", "gc-lab-41"},
		{"ID:vm-42257-1795223087349-3:1", "ID:vm-42257-1795223087349", "vm"},
		{"session-kSoYlGPr", "", ""},
		{"ID:x", "", ""},
		{"ID:a-b:c", "", ""},
		{"", "", ""},
	} {
		if got := identity(c.session); got != c.identity || IdentityHost(got) != c.host {
			t.Errorf("%s: got %q of %q; want %q of %q", c.session, got, IdentityHost(got), c.identity, c.host)
		}
	}
}

// TestOneDestinationIsAskedFor: ActiveMQ reads Connector2 itself where a
// subscription names Consumer.tap.VirtualTopic.Mirror.Connector1,Connector2.
func TestOneDestinationIsAskedFor(t *testing.T) {
	for _, ours := range []string{"queue://Consumer.tap.VirtualTopic.Mirror.Connector1,Connector2", "topic://desk,/queue/Connector1"} {
		if wire, err := dialectOf("ActiveMQ/5.17.2").wire(ours); err == nil {
			t.Errorf("%s is written %s", ours, wire)
		}
	}
}

func TestWildcardsAsTheBrokerWritesThem(t *testing.T) {
	for _, c := range []struct{ server, ours, wire string }{
		{"ActiveMQ/5.17.2", "topic://>", "/topic/>"},
		{"ActiveMQ/5.17.2", "topic://10.0.*.>", "/topic/10.0.*.>"},
		{"RabbitMQ/3.12.1", "topic://>", "/topic/#"},
		{"RabbitMQ/3.12.1", "topic://10.0.*.>", "/topic/10.0.*.#"},
		{"ActiveMQ-Artemis/2.31.0", "topic://10.>", "/topic/10.#"},
		{"RabbitMQ/3.12.1", "topic://a>", "/topic/a>"},
		{"RabbitMQ/3.12.1", "queue://a.>", "/queue/a.>"},
	} {
		if got, err := dialectOf(c.server).wire(c.ours); err != nil || got != c.wire {
			t.Errorf("%s: %s is written %s, %v; want %s", c.server, c.ours, got, err, c.wire)
		}
	}
}
