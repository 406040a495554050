package flow

import (
	"cmp"
	"slices"
	"strings"

	"gctap/capture"
	"gctap/decode"
)

// How far a Place's Sender can be trusted.
const (
	BasisConnection = "connection" // the agent's Login came over the same producer connection
	BasisUnknown    = "unknown"
)

// A Place says where a message belongs. Bare values are login ids of agents;
// conversations without one carry a prefix.
type Place struct {
	Conversation string // "1001", "dest:<topic>", "peer:<agent>", "conn:<n>"; empty for gap rows and notes
	Subject      string // the agent concerned; empty where none is named
	Sender       string // of a command: the agent whose client sent it, a hint only
	Basis        string // of Sender; empty for all but commands
}

// TrackerLimit is how many agents, topics and connections a Tracker remembers.
const TrackerLimit = 100_000

// A Tracker places messages. It learns from Connect and Login which agents
// stand behind a client's topic and connection, and must see the records of a
// session in Seq order; one that starts in the middle knows less and says less,
// never something else.
//
// Its memory is bounded by TrackerLimit.
type Tracker struct {
	bound  *aging[string, binding]  // by agent
	topics *aging[string, []string] // topic, bare: agents that Connect bound to it
	conns  *aging[string, []string] // producer connection: agents that Connect bound over it
	logins *aging[string, []string] // producer connection: agents whose Login came over it
}

// binding is what the last Connect and Login of an agent named.
type binding struct{ topic, conn, login string }

// NewTracker returns a Tracker at the beginning of a session.
func NewTracker() *Tracker {
	t := &Tracker{
		topics: newAging[string, []string](TrackerLimit, nil),
		conns:  newAging[string, []string](TrackerLimit, nil),
		logins: newAging[string, []string](TrackerLimit, nil),
	}
	t.bound = newAging(TrackerLimit, func(agent string, b binding) { t.forget(agent, b) })
	return t
}

// Observe takes in the next record, decoded as msg, and says where it belongs.
func (t *Tracker) Observe(rec *capture.Record, msg *decode.Message) Place {
	switch rec.Direction {
	case capture.Command:
		return t.command(rec, msg)
	case capture.Event:
		return t.event(rec, msg)
	case capture.Peer:
		if agent := msg.Text("agentId"); agent != "" {
			return Place{Conversation: "peer:" + agent, Subject: agent}
		}
		return Place{Conversation: "dest:" + Bare(rec.To)}
	}
	return Place{}
}

func (t *Tracker) command(rec *capture.Record, msg *decode.Message) Place {
	conn := Producer(rec)
	t.learn(conn, msg)
	p := Place{Conversation: msg.Agent, Subject: msg.Agent}
	if p.Conversation == "" {
		p.Conversation = t.withoutAgent(msg.Text("clientDestination"), conn, rec.To)
	}
	p.Sender, p.Basis = t.sender(conn, msg.Agent)
	return p
}

func (t *Tracker) event(rec *capture.Record, msg *decode.Message) Place {
	topic := Bare(rec.To)
	p := Place{Conversation: msg.Agent, Subject: msg.Agent}
	if msg.Name == "State" {
		if agent := msg.Text("agentId"); agent != "" {
			p.Subject = agent
		}
		if msg.Protocol == "gc-json" {
			p.Conversation = t.receiver(topic, msg.Agent)
		}
	}
	if p.Conversation == "" {
		p.Conversation = t.withoutAgent(topic, rec.Conn, rec.To)
	}
	if msg.Name == "State" && strings.EqualFold(msg.Text("state"), "LOGOUT") {
		t.unbind(p.Subject, topic)
	}
	return p
}

// receiver returns whose conversation the JSON State of agent belongs to. JSON
// does not name the receiver: on a topic that one other agent is bound to, the
// State is a team member's, sent to that agent.
func (t *Tracker) receiver(topic, agent string) string {
	agents, _ := t.topics.get(topic)
	if len(agents) == 1 && agent != "" {
		return agents[0]
	}
	return agent
}

// withoutAgent places a message that names no agent: by its client's topic when
// one agent stands behind it, by the connection where there are no topics (xuc,
// REST) or none is named, else under the topic's or connection's own name.
func (t *Tracker) withoutAgent(topic, conn, to string) string {
	if agents, _ := t.topics.get(topic); len(agents) == 1 {
		return agents[0]
	}
	if topic != "" && isDestination(to) {
		return "dest:" + topic
	}
	if agents, _ := t.conns.get(conn); len(agents) == 1 {
		return agents[0]
	}
	if conn != "" {
		return "conn:" + conn
	}
	return "dest:" + cmp.Or(topic, Bare(to))
}

func isDestination(to string) bool {
	scheme, _, ok := strings.Cut(to, "://")
	return ok && (scheme == "topic" || scheme == "queue" || scheme == "temp-topic")
}

// sender names the agent behind a producer connection. A connection that
// several agents logged in over (a server's) sends for each of them.
func (t *Tracker) sender(conn, about string) (agent, basis string) {
	agents, _ := t.logins.get(conn)
	switch {
	case len(agents) == 1:
		return agents[0], BasisConnection
	case about != "" && slices.Contains(agents, about):
		return about, BasisConnection
	}
	return "", BasisUnknown
}

// learn takes from Connect and Login who stands behind a topic and connection.
func (t *Tracker) learn(conn string, msg *decode.Message) {
	if msg.Agent == "" {
		return
	}
	b, _ := t.bound.get(msg.Agent)
	switch msg.Name {
	case "Connect":
		leave(t.topics, b.topic, msg.Agent)
		leave(t.conns, b.conn, msg.Agent)
		b.topic, b.conn = msg.Text("clientDestination"), conn
		join(t.topics, b.topic, msg.Agent)
		join(t.conns, b.conn, msg.Agent)
	case "Login", "MobileAgentLogin":
		leave(t.logins, b.login, msg.Agent)
		b.login = conn
		join(t.logins, b.login, msg.Agent)
	default:
		return
	}
	t.bound.put(msg.Agent, b)
}

// unbind forgets an agent that is told of its logout. After a login from
// elsewhere the old topic is told too: that does not touch the new binding.
func (t *Tracker) unbind(agent, topic string) {
	b, ok := t.bound.get(agent)
	if !ok || b.topic != topic {
		return
	}
	t.forget(agent, b)
	t.bound.drop(agent)
}

func (t *Tracker) forget(agent string, b binding) {
	leave(t.topics, b.topic, agent)
	leave(t.conns, b.conn, agent)
	leave(t.logins, b.login, agent)
}

func join(m *aging[string, []string], key, agent string) {
	if key == "" {
		return
	}
	agents, _ := m.get(key)
	if !slices.Contains(agents, agent) {
		agents = append(agents, agent)
	}
	m.put(key, agents)
}

func leave(m *aging[string, []string], key, agent string) {
	agents, ok := m.get(key)
	if !ok {
		return
	}
	agents = slices.DeleteFunc(agents, func(a string) bool { return a == agent })
	if len(agents) == 0 {
		m.drop(key)
		return
	}
	m.put(key, agents)
}

// Producer returns the broker connection that a record's message was sent
// over. An ActiveMQ message-id is its producer's connection and three more
// parts, joined by colons: session, producer, number of the message.
func Producer(rec *capture.Record) string {
	if !strings.HasPrefix(rec.MessageID, "ID:") {
		return rec.Conn
	}
	id := rec.MessageID
	for range 3 {
		cut := strings.LastIndexByte(id, ':')
		if cut < 0 {
			return rec.Conn
		}
		id = id[:cut]
	}
	if !strings.HasPrefix(id, "ID:") || len(id) == len("ID:") {
		return rec.Conn
	}
	return id
}
