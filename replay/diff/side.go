package diff

import (
	"cmp"
	"iter"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// A side is one session, read: its conversations and their messages in a spool.
type side struct {
	left    bool
	opts    *Options
	made    settings // under which the spooled digests were made
	spool   spool
	convs   []*conv
	byName  map[string]*conv
	mapping *flow.Mapping
	stops   []flow.Stop
	agents  map[string]string   // by topic, bare: the first agent that Connect bound to it
	latency map[string]*answers // by command

	messages, commands, events, gaps int
	inJSON                           int  // events
	json                             bool // most events are
}

// answers are how long after their commands the first ones came.
type answers struct {
	took     []time.Duration
	commands []int64 // seqs; empty where nobody asks for some only
}

// conv is one conversation of a side.
type conv struct {
	name  string
	size  int // messages
	chain chain

	// Commands that brought about something in another conversation, by seq,
	// and what they are aligned with.
	foreign []int64
	links   []link
}

// link is the command of the other side that one is aligned with; the zero
// value: none.
type link struct {
	seq int64
	at  time.Duration
}

// link returns what a command of the conversation is aligned with.
func (c *conv) link(seq int64) link {
	i, ok := sort.Find(len(c.foreign), func(i int) int { return cmp.Compare(seq, c.foreign[i]) })
	if !ok || c.links == nil {
		return link{}
	}
	return c.links[i]
}

// entry is one message, with what flow says of it. Its texts are parts of the
// blocks it was read from.
type entry struct {
	seq       int64
	at        time.Duration
	direction capture.Direction
	name      string
	state     string
	lane      lane // events of one lane are ordered among themselves
	dialog    string
	by        *cause        // the command that brought the event about
	met       time.Duration // see flow.Facts
	self      *cause        // of a command
	key       uint64        // of the name, the state and all that should be equal in both sessions
	cause     uint64        // the key, and the command behind the message
	place     int           // in its conversation
	partner   *entry        // what it is aligned with
	marks     string        // see digester
	typed     bool          // has a JMSType
	jmsType   string
	body      string
}

// A cause is a command, as the events know it that it brought about.
type cause struct {
	link
	name    string
	conv    string
	foreign bool // conv is not that of the event
	partner link // the command on the other side
}

// alignedWith reports whether two causes are aligned with each other.
func (c *cause) alignedWith(right *cause) bool {
	return c.partner.seq != 0 && c.partner.seq == right.seq
}

// latencies are how long after their commands two aligned events came, by being
// the left one's command on the right. Where both had to wait for somebody
// else's command as well, they count from that.
func latencies(p pair, by link) (left, right time.Duration) {
	if p.left.met > 0 && p.right.met > 0 {
		return p.left.at - p.left.met, p.right.at - p.right.met
	}
	return p.left.at - p.left.by.at, p.right.at - by.at
}

// input is the message as it was on the wire.
func (e *entry) input() decode.Input {
	in := decode.Input{Body: []byte(e.body), Direction: decode.FromGC}
	if e.typed {
		in.Type = &e.jmsType
	}
	if e.direction == capture.Command {
		in.Direction = decode.ToGC
	}
	return in
}

// A lane is the commands, one dialog, the states of one agent, the status of
// GC, or all events of one name.
type lane struct {
	kind laneKind
	of   string
	born int64 // of a dialog: seq of its first event; its id may be given again
}

type laneKind uint8

const (
	commandLane laneKind = iota + 1
	dialogLane
	stateLane
	serviceLane
	eventLane
)

// pass is the one flow pass over a session.
type pass struct {
	*side
	flow   *flow.Flow
	digest *digester
	rec    capture.Record // being looked at
	msg    decode.Message
	facts  flow.Facts
	by     cause  // of the message being written
	buffer []byte // the message itself
	marks  []byte
}

// newPass begins to read a session. Digests are made under s: a guess of what
// will turn out to be so.
func newPass(left bool, opts *Options, s settings, rules *ruleTable) *pass {
	side := &side{left: left, opts: opts, made: s, byName: map[string]*conv{}, agents: map[string]string{}, latency: map[string]*answers{}}
	return &pass{side: side, flow: flow.New(flow.Options{Late: opts.Late}), digest: newDigester(newPolicy(opts, s, rules), left)}
}

// read reads the whole session, unless stop says that there is no use in it.
// begun is called before the first message, when all is known that a replay
// tells of itself.
func (p *pass) read(records iter.Seq2[capture.Record, error], stop *atomic.Bool, begun func(*side)) error {
	before := true
	for rec, err := range records {
		if err != nil {
			return err
		}
		if stop.Load() {
			return nil
		}
		if before && rec.Direction != capture.Note {
			before = false
			begun(p.side)
		}
		p.rec = rec
		if err := p.observe(); err != nil {
			return err
		}
	}
	if before {
		begun(p.side)
	}
	p.json = 2*p.inJSON > p.events
	return p.spool.flush()
}

func (p *pass) observe() error {
	rec, msg, facts := &p.rec, &p.msg, &p.facts
	*msg = flow.Decode(rec, p.opts.Decode)
	*facts = p.flow.Observe(rec, msg)
	switch rec.Direction {
	case capture.GapRow:
		p.gaps++
		return nil
	case capture.Note:
		mapping, stop := flow.ReplayNote(rec)
		if mapping != nil {
			p.mapping = mapping
		}
		if stop != nil {
			p.stops = append(p.stops, *stop)
		}
		return nil
	case capture.Command:
		p.commands++
		p.learn(msg)
	default:
		p.events++
		if msg.Protocol == decode.GCJSON {
			p.inJSON++
		}
	}
	p.messages++
	if facts.First {
		x := facts.Exchange
		p.answered(x, facts.At-x.At)
	}
	return p.keep(rec, msg, facts)
}

// answered notes the first answer to a command.
func (p *pass) answered(x *flow.Exchange, took time.Duration) {
	a := p.latency[x.Name]
	if a == nil {
		a = &answers{}
		p.latency[x.Name] = a
	}
	a.took = append(a.took, took)
	if p.opts.Only != nil {
		a.commands = append(a.commands, x.Seq)
	}
}

// learn remembers which agent uses a topic: topics are paired by them.
func (p *pass) learn(msg *decode.Message) {
	if msg.Name != "Connect" {
		return
	}
	if topic := msg.Text("clientDestination"); p.agents[topic] == "" {
		p.agents[strings.Clone(topic)] = strings.Clone(msg.Agent)
	}
}

// keep puts a message into the spool.
func (p *pass) keep(rec *capture.Record, msg *decode.Message, facts *flow.Facts) error {
	e := entry{seq: rec.Seq, at: facts.At, direction: rec.Direction, name: msg.Name, state: stateOf(msg)}
	name := facts.Conversation
	if x := facts.By; x != nil {
		p.by = cause{link: link{x.Seq, x.At}, name: x.Name, conv: x.Conversation}
		e.by, e.met = &p.by, facts.Met
		if facts.Exchange != nil && isService(e.name) {
			name = x.Conversation // whether Connect overtakes the answer to Hello is nobody's doing
		}
	}
	if facts.Dialog != nil {
		e.dialog = facts.Dialog.ID
	}
	e.lane = laneOf(&e, facts)
	e.key, p.marks = p.digest.digest(msg, p.marks[:0])
	e.key = e.identity(e.key)
	c := p.conv(name)
	c.size++
	if e.by != nil && e.by.conv != name {
		from := p.conv(e.by.conv)
		if n := len(from.foreign); n == 0 || from.foreign[n-1] != e.by.seq {
			from.foreign = append(from.foreign, e.by.seq)
		}
	}
	p.buffer = e.append(p.buffer[:0], name, p.marks, rec)
	return p.spool.add(&c.chain, p.buffer)
}

// identity adds to the key of the fields what else should be equal.
func (e *entry) identity(fields uint64) uint64 {
	return fields + digest(string(e.direction), e.name, e.state)
}

func (p *pass) conv(name string) *conv {
	c, ok := p.byName[name]
	if !ok {
		c = &conv{name: strings.Clone(name)} // not a whole body
		p.byName[c.name] = c
		p.convs = append(p.convs, c)
	}
	return c
}

// laneOf returns the lane of a message.
func laneOf(e *entry, facts *flow.Facts) lane {
	switch {
	case e.direction == capture.Command:
		return lane{kind: commandLane}
	case e.dialog != "":
		return lane{dialogLane, e.dialog, facts.Dialog.Born}
	case e.name == "State":
		return lane{kind: stateLane, of: facts.Subject}
	case isService(e.name):
		return lane{kind: serviceLane}
	}
	return lane{kind: eventLane, of: e.name}
}

// isService reports whether events of a name tell how GC is.
func isService(name string) bool { return name == "System" || name == "Destination" }

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

// topicOf returns the topic of a conversation without an agent.
func topicOf(name string) (topic string, ok bool) { return strings.CutPrefix(name, "dest:") }
