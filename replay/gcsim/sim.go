package gcsim

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"gctap/decode"
)

// Calls says where inbound calls come from.
type Calls string

const (
	CallsDriven Calls = "driven" // only from stimuli
	CallsAuto   Calls = "auto"   // also made by the simulator itself, see Auto
)

// Config says what a Sim is and how it behaves. The zero value is a driven GC
// for a site of five agents, without delays and faults.
type Config struct {
	Site *Site  // nil: NewSite(5)
	Seed uint64 // of dialog ids, delays and calls; the same seed, the same run
	// Open lets everybody in: people whom Site does not have too, and with any
	// password, on any phone.
	Open   bool
	Calls  Calls // empty: CallsDriven
	Auto   Auto
	Build  string   // a key of Builds; empty: "a"
	Faults []string // see ParseFault
	// Each event leaves between DelayMin and DelayMax after what made it, and
	// never before an earlier event of its receiver.
	DelayMin, DelayMax time.Duration
	RingTime           time.Duration // a call rings this long at the most; 0: 20 s
	AnswerTime         time.Duration // an outside party takes this long to answer; 0: 100 ms
	WrapUpTime         time.Duration // the wrap-up timer; 0: 30 s
	Patience           time.Duration // a caller waits this long for an agent; 0: 2 min
	// A call, transfer or silent monitoring whose target is an agent that is not
	// ready, or not talking, for it yet waits this long before it fails. Real
	// ones fail at once (0); a replay that lets agents run free of each other
	// needs some patience here.
	Camp          time.Duration
	Licenses      int            // agents logged in at once; 0: no limit
	ConnectorSync bool           // publish AgentState at each login, password and all
	Zone          *time.Location // of times on the wire; nil: that of the clock
}

// Auto says how often CallsAuto lets a call come in, and how long it lasts.
type Auto struct {
	Every            time.Duration // on average; 0: 20 s
	TalkMin, TalkMax time.Duration // the caller hangs up after this; 0: 15 s to 60 s
}

// orElse gives the zero fields of c their meaning.
func (c Config) orElse() Config {
	if c.Site == nil {
		c.Site = NewSite(5)
	}
	fill := func(d *time.Duration, or time.Duration) {
		if *d == 0 {
			*d = or
		}
	}
	fill(&c.RingTime, 20*time.Second)
	fill(&c.AnswerTime, 100*time.Millisecond)
	fill(&c.WrapUpTime, 30*time.Second)
	fill(&c.Patience, 2*time.Minute)
	fill(&c.Auto.Every, 20*time.Second)
	fill(&c.Auto.TalkMin, 15*time.Second)
	fill(&c.Auto.TalkMax, max(time.Minute, c.Auto.TalkMin))
	if c.Calls == "" {
		c.Calls = CallsDriven
	}
	if c.Build == "" {
		c.Build = "a"
	}
	return c
}

// A Command is a message from the command queue.
type Command struct {
	Type    string // the JMSType
	Body    []byte
	ReplyTo string // topic://NAME; empty: none
	Conn    string // the producer's connection, if known: tells who acts on others
}

// An Event is a message that GC sends.
type Event struct {
	At    time.Time // when it is due
	To    string    // topic://NAME
	Agent string    // the receiver in its head; empty where it is headless
	Name  string
	Body  []byte
}

// Counts are what a Sim has done so far.
type Counts struct {
	Commands, Events int64
	Ignored          int64 // commands that got no answer because nobody can be told, or by a fault
	LoggedIn         int   // agents now
	Dialogs          int   // calls now
	Waiting          int   // callers now waiting for an agent
}

// A Sim is the simulated GC without a broker: commands and stimuli go in with
// the time they came at, events come out when they are due. It reads no clock,
// starts no goroutine and is not safe for use by several; what it does depends
// on its Config and on what went in, in that order, and on nothing else.
type Sim struct {
	cfg          Config
	rng          *rand.Rand
	now          time.Time
	down         bool // System OUT_OF_SERVICE
	agents       map[string]*agent
	people       []*agent          // in the order of the site
	watchers     []*agent          // supervisors who get State events of members
	phones       map[string]bool   // extensions that exist
	users        map[string]*agent // who is logged in on an extension
	dests        map[string]bool   // client destinations that Hello or Connect named
	dialogs      map[string]*dialog
	waiting      []*dialog      // calls that wait for an agent, oldest first
	reservations []*reservation // that wait for an agent
	offer        bool           // a waiting call or reservation may have found its agent
	pending      schedule
	seq          int64
	batch        []*outgoing // what the message in hand has caused so far
	last         map[string]time.Time
	ready        []Event
	faults       []*Fault
	parked       []*parked
	turnOf       int // whose turn it is among the people
	planted      []Deviation
	counts       Counts
}

// New returns a Sim in service. It fails where cfg names a build that does not
// exist, a fault that cannot be read, or a site with contradictions.
func New(cfg Config) (*Sim, error) {
	cfg = cfg.orElse()
	if err := cfg.Site.check(); err != nil {
		return nil, err
	}
	if cfg.Calls != CallsAuto && cfg.Calls != CallsDriven {
		return nil, fmt.Errorf("calls %q: give auto or driven", cfg.Calls)
	}
	if cfg.DelayMin < 0 || cfg.DelayMax < cfg.DelayMin {
		return nil, fmt.Errorf("delay %s to %s: give the shorter one first", cfg.DelayMin, cfg.DelayMax)
	}
	s := &Sim{
		cfg:     cfg,
		rng:     rand.New(rand.NewPCG(cfg.Seed, cfg.Seed^0x9e3779b97f4a7c15)),
		agents:  map[string]*agent{},
		phones:  cfg.Site.phones(),
		users:   map[string]*agent{},
		dests:   map[string]bool{},
		dialogs: map[string]*dialog{},
		last:    map[string]time.Time{},
	}
	for i := range cfg.Site.People {
		a := newAgent(&cfg.Site.People[i])
		s.agents[a.ID], s.people = a, append(s.people, a)
	}
	faults, err := faultsOf(cfg)
	s.faults = faults
	return s, err
}

// Command takes in one message of the command queue.
func (s *Sim) Command(now time.Time, c Command) {
	s.run(now)
	s.counts.Commands++
	m := decode.Decode(decode.Input{Type: &c.Type, Body: c.Body, Direction: decode.ToGC}, decode.Options{})
	s.obey(&request{Message: m, Command: c})
	s.flush()
}

// Stimulate makes something happen that no command asked for.
func (s *Sim) Stimulate(now time.Time, st Stimulus) error {
	s.run(now)
	err := s.stimulate(st)
	s.flush()
	return err
}

// Advance lets time pass until now and returns what has become due, in the
// order in which it is to be sent.
func (s *Sim) Advance(now time.Time) []Event {
	s.run(now)
	due := s.ready
	s.ready = nil
	s.counts.Events += int64(len(due))
	return due
}

// Next says when something will be due, false where nothing will be unless
// something comes in.
func (s *Sim) Next() (time.Time, bool) {
	if len(s.ready) > 0 {
		return s.now, true
	}
	if len(s.pending) == 0 {
		return time.Time{}, false
	}
	return s.pending[0].at, true
}

// Counts says what has been done so far.
func (s *Sim) Counts() Counts {
	c := s.counts
	c.LoggedIn, c.Dialogs, c.Waiting = len(s.users), len(s.dialogs), len(s.waiting)
	return c
}

// An outgoing event waits in the batch of what caused it, to get its time.
type outgoing struct {
	to      string // topic://NAME; empty: nobody is there to be told
	message decode.Message
	sent    func(at time.Time) // told when the event is due, or would have been
}

// emit puts an event into the batch. A nil sent has nothing to be told.
func (s *Sim) emit(to string, m decode.Message, sent func(time.Time)) {
	s.batch = append(s.batch, &outgoing{to: to, message: m, sent: sent})
}

// flush gives every event of the batch its time and its bytes. Faults are
// planted here, where the events that one cause brings stand side by side.
func (s *Sim) flush() {
	s.unpark()
	s.offerWaiting()
	batch := s.batch
	s.batch = nil
	s.reorder(batch)
	for _, o := range batch {
		at := s.due(o)
		if o.sent != nil {
			o.sent(at)
		}
		if o.to == "" {
			continue
		}
		e := Event{At: at, To: o.to, Agent: o.message.Agent, Name: o.message.Name, Body: bodyOf(&o.message)}
		for _, e := range s.spoil(e, o) {
			s.at(e.At, func() { s.ready = append(s.ready, e) })
		}
	}
}

// due draws the time of an event, behind all others of its receiver.
func (s *Sim) due(o *outgoing) time.Time {
	at := s.now.Add(s.between(s.cfg.DelayMin, s.cfg.DelayMax))
	key := o.message.Agent
	if key == "" {
		key = o.to
	}
	if last := s.last[key]; at.Before(last) {
		at = last
	}
	if len(s.last) > 2*len(s.agents)+1000 {
		maps.DeleteFunc(s.last, func(_ string, last time.Time) bool { return last.Before(s.now) })
	}
	s.last[key] = at
	return at
}

// between draws a duration.
func (s *Sim) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(s.rng.Int64N(int64(high-low)+1))
}

// after lets f happen d from now, if nothing prevents it: f looks for itself.
func (s *Sim) after(d time.Duration, f func()) { s.at(s.now.Add(d), f) }

func (s *Sim) at(t time.Time, f func()) {
	s.seq++
	heap.Push(&s.pending, task{at: t, seq: s.seq, do: f})
}

// run does all that is due up to now, at its own time each. A clock that runs
// back is taken to stand still.
func (s *Sim) run(now time.Time) {
	if s.now.IsZero() {
		s.start(now)
	}
	for len(s.pending) > 0 && !s.pending[0].at.After(now) {
		t := heap.Pop(&s.pending).(task)
		if t.at.After(s.now) {
			s.now = t.at
		}
		t.do()
		s.flush()
	}
	if now.After(s.now) {
		s.now = now
	}
}

// start begins the simulated time.
func (s *Sim) start(now time.Time) {
	s.now = now
	if s.cfg.Calls == CallsAuto {
		s.nextAuto()
	}
}

// wire is the present time as events carry it.
func (s *Sim) wire() string {
	if s.cfg.Zone != nil {
		return wireTime(s.now.In(s.cfg.Zone))
	}
	return wireTime(s.now)
}

// A task is something to do later. Tasks of one time are done in order.
type task struct {
	at  time.Time
	seq int64
	do  func()
}

type schedule []task

func (q schedule) Len() int { return len(q) }
func (q schedule) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q schedule) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *schedule) Push(x any)   { *q = append(*q, x.(task)) }
func (q *schedule) Pop() any {
	old := *q
	x := old[len(old)-1]
	old[len(old)-1] = task{}
	*q = old[:len(old)-1]
	return x
}

// topic writes a client destination as the tool does.
func topic(dest string) string {
	if dest == "" || strings.Contains(dest, "://") {
		return dest
	}
	return "topic://" + dest
}
