package diff

import (
	"iter"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A side is one session, read.
type side struct {
	convs   []*conv
	byName  map[string]*conv
	mapping *flow.Mapping
	stops   []flow.Stop
	agents  map[string][]string // by topic, bare: agents that Connect bound to it

	messages, commands, events, gaps int
	inJSON                           int  // events
	json                             bool // most events are
}

// conv is one conversation of a side.
type conv struct {
	name    string
	entries []*entry
}

// entry is one message, with what flow says of it. The message is decoded
// again when it is compared.
type entry struct {
	seq       int64
	at        time.Duration
	direction capture.Direction
	jmsType   *string
	body      []byte
	name      string
	state     string
	conv      string
	lane      string // events of one lane are ordered among themselves
	dialog    string
	by        *entry // the command that brought the event about
	answers   bool   // it is an answer, not only a consequence
	key       uint64 // of the name, the state and all that should be equal in both sessions
	cause     uint64 // the key, and the command behind the message
	place     int    // in its conversation
}

// latency is how long after its command an event came.
func (e *entry) latency() time.Duration { return e.at - e.by.at }

// input is the message as it was on the wire.
func (e *entry) input() decode.Input {
	in := decode.Input{Type: e.jmsType, Body: e.body, Direction: decode.FromGC}
	if e.direction == capture.Command {
		in.Direction = decode.ToGC
	}
	return in
}

// readSide reads a session in one pass.
func readSide(records iter.Seq2[capture.Record, error], opts Options) (*side, error) {
	s := &side{byName: map[string]*conv{}, agents: map[string][]string{}}
	f := flow.New(flow.Options{Late: opts.Late})
	commands := map[int64]*entry{}
	for rec, err := range records {
		if err != nil {
			return nil, err
		}
		msg := flow.Decode(&rec, opts.Decode)
		facts := f.Observe(&rec, &msg)
		s.observe(&rec, &msg, &facts, commands)
	}
	s.json = 2*s.inJSON > s.events
	return s, nil
}

func (s *side) observe(rec *capture.Record, msg *decode.Message, facts *flow.Facts, commands map[int64]*entry) {
	switch rec.Direction {
	case capture.GapRow:
		s.gaps++
		return
	case capture.Note:
		mapping, stop := flow.ReplayNote(rec)
		if mapping != nil {
			s.mapping = mapping
		}
		if stop != nil {
			s.stops = append(s.stops, *stop)
		}
		return
	case capture.Command:
		s.commands++
	default:
		s.events++
		if msg.Protocol == decode.GCJSON {
			s.inJSON++
		}
	}
	s.messages++
	e := &entry{
		seq: rec.Seq, at: facts.At, direction: rec.Direction, jmsType: rec.JMSType, body: rec.Body,
		name: msg.Name, state: stateOf(msg), conv: facts.Conversation,
	}
	if facts.Dialog != nil {
		e.dialog = facts.Dialog.ID
	}
	if facts.By != nil {
		e.by, e.answers = commands[facts.By.Seq], facts.Exchange != nil
	}
	if e.answers && e.by != nil && (e.name == "System" || e.name == "Destination") {
		// Whether Connect overtakes the answer to Hello is nobody's doing.
		e.conv = e.by.conv
	}
	e.lane = laneOf(e, facts)
	if rec.Direction == capture.Command {
		commands[rec.Seq] = e
		s.learn(msg)
	}
	s.put(e)
}

// learn remembers which agents use a topic: topics are paired by them.
func (s *side) learn(msg *decode.Message) {
	if msg.Name == "Connect" {
		topic := msg.Text("clientDestination")
		s.agents[topic] = append(s.agents[topic], msg.Agent)
	}
}

func (s *side) put(e *entry) {
	c, ok := s.byName[e.conv]
	if !ok {
		c = &conv{name: e.conv}
		s.byName[e.conv] = c
		s.convs = append(s.convs, c)
	}
	e.place = len(c.entries)
	c.entries = append(c.entries, e)
}

const commandLane = "commands"

// laneOf returns the lane of a message: commands, one dialog, the states of
// one agent, the status of GC, or all events of one name.
func laneOf(e *entry, facts *flow.Facts) string {
	switch {
	case e.direction == capture.Command:
		return commandLane
	case e.dialog != "":
		return "dialog " + e.dialog
	case e.name == "State":
		return "state " + facts.Subject
	case e.name == "System" || e.name == "Destination":
		return "service"
	}
	return "event " + e.name
}

// stateOf is what tells events of one name apart.
func stateOf(msg *decode.Message) string {
	switch msg.Name {
	case "System":
		return msg.Text("status")
	case "Error":
		return msg.Text("errorCode")
	case "ReasonCodes":
		return msg.Text("category")
	}
	return flow.State(msg)
}

func (s *side) summary(name Name) Side {
	sum := Side{Name: name, Messages: s.messages, Commands: s.commands, Events: s.events, Gaps: s.gaps}
	for _, stop := range s.stops {
		sum.Stopped = append(sum.Stopped, Stop{stop.Conversation, stop.Reason})
	}
	return sum
}

// digest returns 64 bits of texts (FNV-1a).
func digest(parts ...string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, p := range parts {
		for i := range len(p) {
			h = (h ^ uint64(p[i])) * prime
		}
		h *= prime // a zero byte between the texts
	}
	return h
}

// topicOf returns the topic of a conversation without an agent.
func topicOf(name string) (topic string, ok bool) { return strings.CutPrefix(name, "dest:") }
