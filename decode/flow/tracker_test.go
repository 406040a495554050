package flow

import (
	"fmt"
	"strings"
	"testing"

	"gctap/capture"
	"gctap/decode"
)

// placed is one record of a session and where it has to be placed.
type placed struct {
	wire string // "> Type body" a command over conn, "< topic body" an event
	conn string // producer connection of a command
	want Place
}

// observe runs wire lines through a Tracker.
func observe(t *testing.T, steps []placed) {
	t.Helper()
	tracker := NewTracker()
	for i, s := range steps {
		rec := wire(s.wire, s.conn)
		msg := Decode(&rec, decode.Options{})
		if got := tracker.Observe(&rec, &msg); got != s.want {
			t.Errorf("step %d %q:\n got %+v\nwant %+v", i, s.wire, got, s.want)
		}
	}
}

// wire makes a record of a line "> Type body", "< topic body" or "= body" (on
// ConnectorSync).
func wire(line, conn string) capture.Record {
	kind, rest, _ := strings.Cut(line, " ")
	first, body, _ := strings.Cut(rest, " ")
	switch kind {
	case ">":
		return capture.Record{Direction: capture.Command, Source: "stomp", JMSType: &first, Body: []byte(body),
			To: "queue://Connector1", MessageID: conn + ":-1:1:7"}
	case "<":
		return capture.Record{Direction: capture.Event, Source: "stomp", Body: []byte(body), To: "topic://" + first,
			MessageID: "ID:gc-1-2-3:1:-1:1:7"}
	case "=":
		return capture.Record{Direction: capture.Peer, Source: "stomp", Body: []byte(rest), To: "topic://ConnectorSync"}
	}
	panic("not a line: " + line)
}

const (
	connA = "ID:host-34479-1795230156949-3:1"
	connB = "ID:host-34479-1795230156949-3:2"
)

func state(agent, subject, state string) string {
	return fmt.Sprintf("%s#State#%s#0#x##y#Name#%s#3001##Name#login", agent, state, subject)
}

func TestTrackerPlacesTextMessages(t *testing.T) {
	observe(t, []placed{
		{"> Hello#T1", connA, Place{"dest:T1", "", "", BasisUnknown}},
		{"< T1 System#IN_SERVICE", "", Place{Conversation: "dest:T1"}},
		{"> Connect#1001 T1,pw", connA, Place{"1001", "1001", "", BasisUnknown}},
		{"< T1 System#IN_SERVICE", "", Place{Conversation: "1001"}},
		{"> Login#1001 pw,3001", connA, Place{"1001", "1001", "1001", BasisConnection}},
		{"> Beat#T1", connA, Place{"1001", "", "1001", BasisConnection}},
		{"< T1 " + state("1001", "1001", "READY"), "", Place{Conversation: "1001", Subject: "1001"}},
		{"< T1 " + state("1001", "1002", "READY"), "", Place{Conversation: "1001", Subject: "1002"}},
		{"> Logout#1002", connA, Place{"1002", "1002", "1001", BasisConnection}},
		{"> Beat#T2", connA, Place{"dest:T2", "", "1001", BasisConnection}},
		{"= AgentState#1001#***#3001#now", "", Place{Conversation: "peer:1001", Subject: "1001"}},
	})
}

func TestTrackerTopicOfTwoAgents(t *testing.T) {
	observe(t, []placed{
		{"> Connect#1001 T1,pw", connA, Place{"1001", "1001", "", BasisUnknown}},
		{"> Login#1001 pw,3001", connA, Place{"1001", "1001", "1001", BasisConnection}},
		{"> Connect#1002 T1,pw", connA, Place{"1002", "1002", "1001", BasisConnection}},
		{"> Login#1002 pw,3002", connA, Place{"1002", "1002", "1002", BasisConnection}},
		{"> MakeReady#1003", connA, Place{"1003", "1003", "", BasisUnknown}},
		{"< T1 System#IN_SERVICE", "", Place{Conversation: "dest:T1"}},
		{"< T1 " + state("1001", "1001", "LOGOUT"), "", Place{Conversation: "1001", Subject: "1001"}},
		{"< T1 System#IN_SERVICE", "", Place{Conversation: "1002"}},
	})
}

func TestTrackerLoginFromElsewhere(t *testing.T) {
	observe(t, []placed{
		{"> Connect#1001 T1,pw", connA, Place{"1001", "1001", "", BasisUnknown}},
		{"> Login#1001 pw,3001", connA, Place{"1001", "1001", "1001", BasisConnection}},
		{"> Connect#1001 T2,pw", connB, Place{"1001", "1001", "", BasisUnknown}},
		{"> Login#1001 pw,3001", connB, Place{"1001", "1001", "1001", BasisConnection}},
		// The old topic is told of the logout: the new binding stays.
		{"< T1 " + state("1001", "1001", "LOGOUT"), "", Place{Conversation: "1001", Subject: "1001"}},
		{"< T2 System#IN_SERVICE", "", Place{Conversation: "1001"}},
		{"< T1 System#IN_SERVICE", "", Place{Conversation: "dest:T1"}},
		{"> Beat#T2", connA, Place{"1001", "", "", BasisUnknown}},
	})
}

func TestTrackerPlacesJSON(t *testing.T) {
	observe(t, []placed{
		{`< T1 {"type":"State","state":"READY","agentId":"1002"}`, "", Place{Conversation: "1002", Subject: "1002"}},
		{"> Connect#1001 T1,pw", connA, Place{"1001", "1001", "", BasisUnknown}},
		{`< T1 {"type":"State","state":"READY","agentId":"1001"}`, "", Place{Conversation: "1001", Subject: "1001"}},
		{`< T1 {"type":"State","state":"READY","agentId":"1002"}`, "", Place{Conversation: "1001", Subject: "1002"}},
		{`< T1 {"type":"InboundCall","dialogId":"7","agentId":"1001"}`, "", Place{Conversation: "1001", Subject: "1001"}},
		{`< T1 {"type":"System","status":"IN_SERVICE"}`, "", Place{Conversation: "1001"}},
	})
}

func TestTrackerPlacesConnections(t *testing.T) {
	tracker := NewTracker()
	for _, direction := range []capture.Direction{capture.Command, capture.Event} {
		rec := capture.Record{Direction: direction, Source: "xuc", Conn: "4", To: "10.0.0.5:8090", Body: []byte(`{"claz":"ping"}`)}
		msg := Decode(&rec, decode.Options{})
		if got := tracker.Observe(&rec, &msg).Conversation; got != "conn:4" {
			t.Errorf("%s: conversation %q, want conn:4", direction, got)
		}
	}
	gap := capture.Gap{Reason: capture.GapReconnect}.Record()
	msg := Decode(&gap, decode.Options{})
	if got := tracker.Observe(&gap, &msg); got != (Place{}) {
		t.Errorf("a gap row was placed: %+v", got)
	}
}

func TestTrackerMemoryIsBounded(t *testing.T) {
	tracker := NewTracker()
	for i := range TrackerLimit + 50 {
		rec := wire(fmt.Sprintf("> Connect#%d T%d,pw", i, i), fmt.Sprintf("ID:h-1-2-3:%d", i))
		msg := decode.Message{Protocol: "gc-text", Kind: "command", Name: "Connect", Agent: fmt.Sprint(i)}
		tracker.Observe(&rec, &msg)
	}
	if n := tracker.bound.len(); n != TrackerLimit {
		t.Errorf("%d agents remembered, want %d", n, TrackerLimit)
	}
	if n := tracker.conns.len(); n > TrackerLimit {
		t.Errorf("%d connections remembered, want at most %d", n, TrackerLimit)
	}
}

func TestProducer(t *testing.T) {
	tests := []struct{ id, conn, want string }{
		{"ID:host-34479-1795230156949-3:3:-1:1:1", "x", "ID:host-34479-1795230156949-3:3"},
		{"ID:a-1-2-0:1:1:1:42", "", "ID:a-1-2-0:1"},
		{"ID:short:1", "7", "7"},
		{"ID:::::", "7", "ID::"},
		{"", "7", "7"},
	}
	for _, tt := range tests {
		if got := Producer(&capture.Record{MessageID: tt.id, Conn: tt.conn}); got != tt.want {
			t.Errorf("Producer(%q) = %q, want %q", tt.id, got, tt.want)
		}
	}
}
