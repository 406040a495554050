package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gctap/capture"
)

// gated runs rows through a Gate to which bodies that begin with "gc" are GC's,
// and "hello X" is a handshake for the topic X.
func gated(cfg GateConfig, rows ...capture.Record) (offered []string, foreign map[string]int) {
	foreign = map[string]int{}
	cfg.Ours = func(r *capture.Record) bool {
		return bytes.HasPrefix(r.Body, []byte("gc")) || bytes.HasPrefix(r.Body, []byte("hello"))
	}
	cfg.Handshake = func(r *capture.Record) []string {
		if topic, ok := strings.CutPrefix(string(r.Body), "hello "); ok {
			return []string{topic}
		}
		return nil
	}
	cfg.Offer = func(r capture.Record) { offered = append(offered, string(r.Body)) }
	cfg.Foreign = func(dest string) { foreign[dest]++ }
	g := NewGate(cfg)
	for _, r := range rows {
		g.Take(r)
	}
	g.Close()
	if g.size != 0 || len(g.held) != 0 {
		foreign["still held"] = g.size
	}
	return offered, foreign
}

func commandOn(to, body string) capture.Record {
	return capture.Record{Direction: capture.Command, Source: "pcap", To: to, Body: []byte(body)}
}

func eventOn(to, body string) capture.Record {
	return capture.Record{Direction: capture.Event, Source: "pcap", To: to, Body: []byte(body)}
}

// noteOn is a note about a destination, or with none about its connection.
func noteOn(dest, body string) capture.Record {
	return capture.Record{
		Direction: capture.Note, Source: "pcap", To: dest, Body: []byte(body), Conn: "10.0.0.1:5>10.0.0.2:61616",
		Headers: []capture.Header{{Name: "tcp.from", Value: "10.0.0.1:5"}, {Name: "tcp.to", Value: "10.0.0.2:61616"}},
	}
}

func rest(server, body string) capture.Record {
	return capture.Record{Direction: capture.Command, Source: "rest", Conn: "10.0.0.1:5>" + server, To: server, Body: []byte(body)}
}

func TestGate(t *testing.T) {
	const other, gc = "queue://orders", "queue://Connector1"
	lost := capture.Record{Direction: capture.GapRow, Body: []byte("lost"), Headers: []capture.Header{{Name: "tcp.protocol", Value: "OpenWire"}}}
	lostHTTP := capture.Record{Direction: capture.GapRow, Body: []byte("lost"), Conn: "10.0.0.1:5>10.0.0.9:80",
		Headers: []capture.Header{{Name: "tcp.protocol", Value: "HTTP"}}}
	unknown := commandOn("queue://(guessed)", "gc unknown")
	unknown.Headers = []capture.Header{{Name: "amq.destination", Value: "unknown"}}
	tls := noteOn("", "encrypted")
	tls.Headers = append(tls.Headers, capture.Header{Name: "amq.note", Value: "tls"})
	for _, c := range []struct {
		name    string
		cfg     GateConfig
		rows    []capture.Record
		want    string
		foreign string
	}{
		{"what is held comes in its order with the first that is GC's", GateConfig{},
			[]capture.Record{noteOn(gc, "subscribed"), commandOn(gc, "a"), commandOn(gc, "b"), commandOn(gc, "gc 1"), commandOn(gc, "c")},
			"subscribed a b gc 1 c", ""},
		{"others are counted", GateConfig{}, []capture.Record{commandOn(other, "a"), noteOn(other, "handed"), commandOn(other, "b"), eventOn("topic://x", "c")},
			"", "queue://orders=2 topic://x=1"},
		{"a queue that was named", GateConfig{Queues: []string{"orders"}}, []capture.Record{commandOn(other, "a")}, "a", ""},
		{"a topic that was named", GateConfig{Topics: []string{"x"}}, []capture.Record{eventOn("topic://x", "a")}, "a", ""},
		{"a handshake names a topic", GateConfig{}, []capture.Record{eventOn("topic://x", "a"), commandOn(gc, "hello x"), eventOn("topic://x", "b"), eventOn("topic://y", "c")},
			"a hello x b", "topic://y=1"},
		{"the rows of a connection come with the first that is GC's", GateConfig{Queues: []string{"Connector1"}},
			[]capture.Record{noteOn("", "connected"), noteOn(gc, "subscribed"), noteOn("", "disconnected")}, "connected subscribed disconnected", ""},
		{"nothing of a connection of others", GateConfig{}, []capture.Record{noteOn("", "connected"), noteOn(other, "subscribed")}, "", ""},
		{"bytes missing of a broker's connection", GateConfig{}, []capture.Record{lost}, "lost", ""},
		{"bytes missing of a strange web server", GateConfig{}, []capture.Record{lostHTTP}, "", ""},
		{"bytes missing of GC's web server", GateConfig{}, []capture.Record{lostHTTP, rest("10.0.0.9:80", "gc 1")}, "lost gc 1", ""},
		{"a strange web server", GateConfig{}, []capture.Record{rest("10.0.0.9:80", "a"), rest("10.0.0.8:80", "gc 1"), rest("10.0.0.8:80", "b")},
			"gc 1 b", "10.0.0.9:80=1"},
		{"messages between GCs", GateConfig{}, []capture.Record{{Direction: capture.Peer, To: peerTopic, Body: []byte("peer")}}, "peer", ""},
		{"no destination: each is looked at", GateConfig{}, []capture.Record{eventOn("", "a"), unknown, eventOn("", "b")}, "gc unknown", "(unknown)=2"},
		{"a server that speaks TLS is told of once", GateConfig{}, []capture.Record{tls, tls}, "encrypted", ""},
	} {
		offered, foreign := gated(c.cfg, c.rows...)
		if got := strings.Join(offered, " "); got != c.want {
			t.Errorf("%s: recorded %q, want %q", c.name, got, c.want)
		}
		var counted []string
		for dest, n := range foreign {
			counted = append(counted, fmt.Sprintf("%s=%d", dest, n))
		}
		slices.Sort(counted)
		if got := strings.Join(counted, " "); got != c.foreign {
			t.Errorf("%s: counted %q, want %q", c.name, got, c.foreign)
		}
	}
}

// TestGateIsBounded: strangers' messages are held in bounded memory, and GC's
// are still found among them.
func TestGateIsBounded(t *testing.T) {
	var rows []capture.Record
	for i := range 3000 {
		rows = append(rows, commandOn(fmt.Sprintf("queue://q%d", i), strings.Repeat("x", 20_000)))
	}
	for range 1000 {
		rows = append(rows, commandOn("queue://busy", "x"))
	}
	rows = append(rows, commandOn("queue://busy", "gc 1"), commandOn("queue://busy", "after"))
	offered, foreign := gated(GateConfig{}, rows...)
	if got := strings.Join(offered, " "); got != "gc 1 after" {
		t.Errorf("recorded %q", got)
	}
	sum := 0
	for _, n := range foreign {
		sum += n
	}
	if sum != 4000 || foreign["queue://busy"] != 1000 {
		t.Errorf("counted %d, of the busy queue %d; want 4000 and 1000", sum, foreign["queue://busy"])
	}
}
