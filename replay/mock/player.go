package mock

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// DefaultFirstID is the first id that a call is given.
const DefaultFirstID = 30_000_001

// Config says how a Player plays. The zero value is the default.
type Config struct {
	Speed   float64           // of what follows a command; 0: 1
	FirstID int64             // of calls; 0: DefaultFirstID
	Agents  map[string]string // recorded agents by the client's names for them: recorded to client's
	Exts    map[string]string // the same for extensions and numbers
}

// An Event is what is to be sent to a client.
type Event struct {
	At    time.Time
	To    string // topic://NAME
	Body  []byte
	Seq   int64  // of the recording's event
	Agent string // the client's agent; empty where the event has none in its head
}

// A Match says what became of a client's command.
type Match struct {
	Name  string // of the command
	Agent string // the client's
	Seq   int64  // the recorded command that it was taken for; 0: none
	Why   string // of no match: the closest recorded command, and what differs
}

// Counts are what a Player has done so far.
type Counts struct {
	Commands, Matched, Events int
	Withheld                  int // events for agents who have no client here, or that cannot be written in the client's names
}

// A Player answers commands from a Script. It reads no clock and is used by one
// goroutine.
type Player struct {
	script  *Script
	cfg     Config
	names   *names
	at      map[string]int  // by recorded agent: place in the lane of the last turn; -1: none
	used    map[*turn]int   // how often a turn was played
	states  map[told]string // told to clients, in the recording's names
	pending []pending       // in the order in which they are due
	counts  Counts
}

// pending is an event that is not yet due.
type pending struct {
	at    time.Time
	reply *reply
	turn  *turn
	own   bool   // a command brought it about, and its agent has a client
	topic string // where it goes; "": by the recording's topic
}

// NewPlayer returns a Player at the beginning of the recording.
func NewPlayer(s *Script, cfg Config) *Player {
	if cfg.Speed <= 0 {
		cfg.Speed = 1
	}
	p := &Player{
		script: s, cfg: cfg, names: newNames(cmp.Or(cfg.FirstID, DefaultFirstID)), at: map[string]int{}, used: map[*turn]int{},
		states: map[told]string{},
	}
	for _, agent := range s.agents {
		p.at[agent] = -1
	}
	for _, from := range slices.Sorted(maps.Keys(cfg.Agents)) {
		p.names.cast(from, cfg.Agents[from])
	}
	maps.Copy(p.names.exts, cfg.Exts)
	return p
}

// Counts says what has been done so far.
func (p *Player) Counts() Counts { return p.counts }

// Next is when the next event is due; false where nothing is.
func (p *Player) Next() (time.Time, bool) {
	if len(p.pending) == 0 {
		return time.Time{}, false
	}
	return p.pending[0].at, true
}

// Command takes in a client's command and says what it was taken for. What
// follows it comes from Advance.
func (p *Player) Command(now time.Time, rec *capture.Record) Match {
	p.counts.Commands++
	msg := flow.Decode(rec, decode.Options{})
	m := Match{Name: msg.Name, Agent: msg.Agent}
	recorded, known := p.cast(&msg)
	best := p.find(rec, &msg, recorded, known)
	if best.turn == nil || !best.fits() {
		m.Why = best.why(&msg)
		return m
	}
	p.counts.Matched++
	m.Seq = best.turn.rec.Seq
	p.learn(rec, &msg, best.turn)
	if best.turn.steps {
		p.moveOn(now, best.turn)
	}
	p.used[best.turn]++
	p.schedule(now, best.turn, msg.Text("clientDestination"))
	return m
}

// cast returns the recorded agent whom the client's agent plays. One that the
// recording does not have is given, at its Connect or Login, the first that
// nobody plays.
func (p *Player) cast(msg *decode.Message) (recorded string, known bool) {
	if msg.Agent == "" {
		return "", true
	}
	if r, ok := p.names.parts[msg.Agent]; ok {
		return r, true
	}
	if _, taken := p.names.agents[msg.Agent]; !taken && p.script.lanes[msg.Agent] != nil {
		p.names.cast(msg.Agent, msg.Agent)
		return msg.Agent, true
	}
	if !begins(msg.Name) {
		return "", false
	}
	for _, agent := range p.script.agents {
		if _, taken := p.names.agents[agent]; !taken {
			p.names.cast(agent, msg.Agent)
			return agent, true
		}
	}
	return "", false
}

// learn takes the client's names from a command that stands for a recorded one.
func (p *Player) learn(rec *capture.Record, msg *decode.Message, t *turn) {
	topic := msg.Text("clientDestination")
	switch {
	case msg.Name == "Connect":
		p.names.topics[t.topic], p.names.desks[t.msg.Agent] = topic, topic
		p.forgetStates(t.msg.Agent)
	case msg.Name == "Hello" && p.names.topics[t.topic] == "":
		p.names.topics[t.topic] = topic
	case isLogin(msg.Name):
		if from, to := t.msg.Text("extension"), msg.Text("extension"); from != "" && to != "" {
			p.names.exts[from] = to
		}
	}
	if t.rec.ReplyTo != "" && rec.ReplyTo != "" {
		p.names.topics[flow.Bare(t.rec.ReplyTo)] = flow.Bare(rec.ReplyTo)
	}
}

// forgetStates lets an agent begin anew.
func (p *Player) forgetStates(agent string) {
	maps.DeleteFunc(p.states, func(t told, _ string) bool { return t.agent == agent })
}

// moveOn brings an agent's conversation to a turn. When that is the next one,
// what the recording has before it is sent at once: the client is ahead.
// Otherwise the client went another way: what nobody's command brings about
// (the call that would have come) stays away.
func (p *Player) moveOn(now time.Time, t *turn) {
	agent := t.msg.Agent
	next := t.place == p.at[agent]+1
	p.at[agent] = t.place
	p.pending = slices.DeleteFunc(p.pending, func(e pending) bool {
		return !next && !e.own && e.turn.msg.Agent == agent
	})
	for i := range p.pending {
		if e := &p.pending[i]; !e.own && e.turn.msg.Agent == agent && e.at.After(now) {
			e.at = now
		}
	}
	p.sort()
}

// schedule puts down what follows a turn. What answers a command without an
// agent goes to the topic that the command names.
func (p *Player) schedule(now time.Time, t *turn, topic string) {
	for _, r := range t.replies {
		if p.trigger(r) != t {
			continue
		}
		e := pending{at: now.Add(time.Duration(float64(r.at-t.at) / p.cfg.Speed)), reply: r, turn: t, own: r.own && slices.Contains(r.needs, t)}
		if t.msg.Agent == "" && flow.Bare(r.rec.To) == t.topic {
			e.topic = topic
		}
		if t.steps {
			p.order(&e)
		}
		p.pending = append(p.pending, e)
	}
	p.sort()
}

// trigger returns the command that an event follows: of those that brought it
// about the last whose agent has a client, else the receiver's own.
func (p *Player) trigger(r *reply) *turn {
	for _, t := range slices.Backward(r.needs) {
		if t.msg.Agent == "" || p.at[t.msg.Agent] >= 0 {
			return t
		}
	}
	return r.last
}

// order keeps the recording's order of what one agent is told. What a command
// brought about comes when it comes, and the next after it; what nobody's
// command did holds nothing up, and comes with the first that it came before.
func (p *Player) order(e *pending) {
	for i := range p.pending {
		before := &p.pending[i]
		if before.reply.agent != e.reply.agent || before.reply.rec.Seq > e.reply.rec.Seq {
			continue
		}
		switch {
		case before.own && e.at.Before(before.at):
			e.at = before.at
		case !before.own && e.own && before.at.After(e.at):
			before.at = e.at
		}
	}
}

func (p *Player) sort() {
	slices.SortStableFunc(p.pending, func(a, b pending) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.reply.rec.Seq, b.reply.rec.Seq))
	})
}

// Advance returns what has become due, in the order in which it is to be sent.
func (p *Player) Advance(now time.Time) (due []Event) {
	n := 0
	for ; n < len(p.pending) && !p.pending[n].at.After(now); n++ {
		next := &p.pending[n]
		if p.trigger(next.reply) != next.turn && !next.own {
			continue // whose command brings it about has a client by now
		}
		if e, ok := p.event(next); ok {
			due = append(due, e)
		} else {
			p.counts.Withheld++
		}
	}
	p.pending = slices.Delete(p.pending, 0, n)
	p.counts.Events += len(due)
	return due
}

// event writes a recorded event in the client's names. An id that is born here
// gets a new one.
func (p *Player) event(e *pending) (Event, bool) {
	r := e.reply
	topic := cmp.Or(e.topic, p.names.desks[r.agent], p.names.topics[flow.Bare(r.rec.To)])
	if topic == "" {
		return Event{}, false
	}
	for _, t := range r.states {
		if t.dialog != "" && p.over(t.dialog) {
			p.forget(t.dialog)
			p.names.give(t.dialog)
		}
		p.states[told{agent: t.agent, dialog: t.dialog}] = t.state
	}
	body, err := p.names.rewrite(r)
	if err != nil {
		return Event{}, false
	}
	return Event{At: e.at, To: "topic://" + topic, Body: body, Seq: r.rec.Seq, Agent: or(p.names.agents, r.agent)}, true
}

// over reports whether every client that was told of a call was told of its end.
func (p *Player) over(dialog string) bool {
	ended := false
	for t, state := range p.states {
		if t.dialog == dialog {
			if state != "DROPPED" && state != "FAILED" {
				return false
			}
			ended = true
		}
	}
	return ended
}

func (p *Player) forget(dialog string) {
	for t := range p.states {
		if t.dialog == dialog {
			delete(p.states, t)
		}
	}
}

// candidate is a recorded command beside a client's.
type candidate struct {
	turn    *turn
	differs []string // arguments
	agent   bool     // it is the same agent's
	known   bool     // the client's agent has a part
	next    bool     // it comes next in its conversation
	state   string   // what differs in state; "" where nothing does
	used    int
	away    int // how far from where the conversation stands
}

// fits reports whether the recorded command may stand for the client's.
func (c *candidate) fits() bool {
	return c.known && c.agent && len(c.differs) == 0 && (c.state == "" || c.next || !c.turn.steps)
}

// better orders candidates, the best first.
func better(a, b *candidate) int {
	flag := func(yes bool) int {
		if yes {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(flag(a.fits()), flag(b.fits())), cmp.Compare(flag(a.agent), flag(b.agent)),
		cmp.Compare(len(a.differs), len(b.differs)), cmp.Compare(flag(a.state == ""), flag(b.state == "")),
		cmp.Compare(min(a.used, 1), min(b.used, 1)), cmp.Compare(flag(a.next), flag(b.next)),
		cmp.Compare(a.away, b.away), cmp.Compare(a.turn.rec.Seq, b.turn.rec.Seq))
}

// find returns the best of the recorded commands of the same name; one without
// a turn where there is none.
func (p *Player) find(rec *capture.Record, msg *decode.Message, recorded string, known bool) candidate {
	var best candidate
	values := scalars(msg)
	for _, t := range p.script.turns[nameOf(rec, msg)] {
		c := candidate{turn: t, known: known, agent: t.msg.Agent == recorded, used: p.used[t], differs: p.differences(values, t)}
		at := p.at[t.msg.Agent]
		c.next = t.steps && t.place == at+1
		c.away = away(t.place, at)
		c.state = p.stateDiffers(t)
		if msg.Agent == "" && p.names.topics[t.topic] == msg.Text("clientDestination") {
			c.used = 0 // this client's own
		}
		if best.turn == nil || better(&c, &best) < 0 {
			best = c
		}
	}
	return best
}

// away is how far a place lies from where a conversation stands: what lies
// behind is farther than all that lies ahead.
func away(place, at int) int {
	if place > at {
		return place - at
	}
	return 1<<20 + at - place
}

// differences names the arguments that a recorded command has otherwise.
func (p *Player) differences(values map[string]value, t *turn) (differ []string) {
	for path, v := range t.values {
		if free(path, v, t.msg.Name) {
			continue
		}
		if ours, ok := values[path]; !ok || ours.text != p.names.of(v.class, v.text) {
			differ = append(differ, fmt.Sprintf("%s is %s, there %s", path, quoted(ours.text), quoted(p.names.of(v.class, v.text))))
		}
	}
	for path, v := range values {
		if _, ok := t.values[path]; !ok && !free(path, v, t.msg.Name) {
			differ = append(differ, fmt.Sprintf("%s is %s, there nothing", path, quoted(v.text)))
		}
	}
	slices.Sort(differ)
	return differ
}

func quoted(s string) string {
	if s == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", s)
}

// free reports whether an argument may differ: the agent is compared apart, a
// login's extension may be another phone.
func free(path string, v value, name string) bool {
	return path == "agent" || v.class == decode.ClassSecret || v.class == decode.ClassDest || v.class == decode.ClassTime ||
		v.volatile && v.class != decode.ClassDialog || path == "extension" && isLogin(name)
}

// stateDiffers says what a client was told last that is not so in the recording.
func (p *Player) stateDiffers(t *turn) string {
	if !t.steps || begins(t.msg.Name) {
		return ""
	}
	if now := p.states[told{agent: t.msg.Agent}]; now != t.state {
		return fmt.Sprintf("the agent is %s, there %s", orNone(now), orNone(t.state))
	}
	if t.call == "" {
		return ""
	}
	if now := p.states[told{agent: t.msg.Agent, dialog: t.call}]; now != t.called {
		return fmt.Sprintf("the call is %s, there %s", orNone(now), orNone(t.called))
	}
	return ""
}

func orNone(state string) string {
	if state == "" {
		return "in no state yet"
	}
	return state
}

// why says which recorded command comes closest to the client's.
func (c *candidate) why(msg *decode.Message) string {
	switch {
	case c.turn == nil:
		return fmt.Sprintf("the recording has no %s", orUnknown(msg.Name))
	case !c.known:
		return fmt.Sprintf("agent %s has no part in the recording; the closest %s is #%d of agent %s", msg.Agent, msg.Name, c.turn.rec.Seq, c.turn.msg.Agent)
	}
	reasons := slices.Clone(c.differs)
	if !c.agent {
		reasons = append([]string{"it is agent " + c.turn.msg.Agent + "'s"}, reasons...)
	}
	if c.state != "" {
		reasons = append(reasons, c.state)
	}
	return fmt.Sprintf("the closest is #%d: %s", c.turn.rec.Seq, strings.Join(reasons, "; "))
}

func orUnknown(name string) string {
	if name == "" {
		return "such message"
	}
	return name
}
