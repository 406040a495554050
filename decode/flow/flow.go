// Package flow says what messages mean together: whose conversation a message
// belongs to, which events answer a command, how a call and an agent's state
// go on, where an id was born and where it is used. It reads messages once, in
// the order of Record.Seq, in memory that is bounded by what is open and not by
// the length of the session.
//
// What the protocol says comes from decode's table; what is worked out over
// several messages is worked out here and nowhere else: stats, checks, the
// audit, replay's gates, the comparison and the viewer's ladder read it.
package flow

import (
	"strings"
	"time"

	"gctap/capture"
	"gctap/decode"
)

// Defaults of Options.
const (
	DefaultLate   = 2 * time.Second
	DefaultWindow = 30 * time.Second
	DefaultForget = 5 * time.Minute
	DefaultLimit  = 100_000
)

// Options are the limits of a Flow. The zero value is the default.
type Options struct {
	Late   time.Duration // an answer after more than this is late
	Window time.Duration // a command that has no answer for this long gets none
	Forget time.Duration // an ended call is remembered for this long
	Limit  int           // open exchanges, calls, agents and ids at the most, each
}

func (o *Options) fill() {
	if o.Late <= 0 {
		o.Late = DefaultLate
	}
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	if o.Forget <= 0 {
		o.Forget = DefaultForget
	}
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
}

// A Flow follows one session. It is used by one goroutine.
type Flow struct {
	opts    Options
	tracker *Tracker
	clock   Clock
	now     time.Duration

	open    *openExchanges
	dialogs *aging[string, *Dialog]
	agents  *aging[string, *Agent]
	phones  *aging[string, string] // extension: the agent who is logged in there
	births  *birthplaces
	leaving []departure
	forgot  []Forgotten      // at the record being looked at
	counts  map[Reason]int64 // of all
}

// Facts are what one record adds. What it points to goes on changing as later
// records come: copy what must stay.
type Facts struct {
	Place
	At time.Duration // since the first record

	Opened   *Exchange   // the record is this exchange's command
	Exchange *Exchange   // the record is an event that answers this exchange
	First    bool        // … and the first to do so
	Closed   []*Exchange // exchanges that are over, with their final outcome

	Dialog  *Dialog // the call leg that the record is about
	Call    *Call   // and its call
	Change  *StateChange
	Births  []Birth
	Uses    []Use
	Trigger *Stimulus   // the record shows that something outside happened
	Forgot  []Forgotten // what was let go of at this record
	By      *Exchange   // the command that brought the event about, by its answer or on another agent; nil: none

	// Met is when somebody else sent the last command, after By, that the event
	// had to wait for too: a consultation is ACTIVE once it is answered. 0: none.
	Met time.Duration
}

// New returns a Flow at the beginning of a session.
func New(o Options) *Flow {
	o.fill()
	f := &Flow{opts: o, tracker: NewTracker(), counts: map[Reason]int64{}}
	f.open = newOpenExchanges(o, func(x *Exchange) { f.births.close(x) })
	f.dialogs = newAging(o.Limit, func(_ string, d *Dialog) { f.dropDialog(d, TooMany) })
	f.agents = newAging(o.Limit, func(_ string, a *Agent) { f.dropAgent(a, TooMany) })
	f.phones = newAging[string, string](o.Limit, nil)
	f.births = newBirthplaces(o.Limit)
	return f
}

// Observe takes in the next record, decoded as msg.
func (f *Flow) Observe(rec *capture.Record, msg *decode.Message) Facts {
	f.now = f.clock.At(rec)
	f.forget() // before an id that is given again meets the call that had it
	facts := Facts{Place: f.tracker.Observe(rec, msg), At: f.now}
	facts.Closed = f.open.expire(f.now)
	switch rec.Direction {
	case capture.Command:
		f.command(rec, msg, &facts)
	case capture.Event:
		f.event(rec, msg, &facts)
	case capture.Note:
		f.open.way.note(rec)
		if rec.Header("amq.note") == "rollback" {
			facts.Closed = append(facts.Closed, f.open.rolledBack(rec)...)
		}
	}
	facts.Forgot, f.forgot = f.forgot, nil
	return facts
}

// Close ends the session: it returns the exchanges that were still open.
func (f *Flow) Close() []*Exchange { return f.open.close() }

// Dropped is how many calls, agents, exchanges and ids the limits drove out
// while they were still in use: what depended on them is not known.
func (f *Flow) Dropped() int64 { return f.counts[TooMany] + f.open.dropped + f.births.dropped }

// Agent returns what is known of an agent; nil when nothing is.
func (f *Flow) Agent(id string) *Agent {
	a, _ := f.agents.get(id)
	return a
}

// Dialog returns a dialog that is open or ended a short while ago; nil when
// there is none.
func (f *Flow) Dialog(id string) *Dialog {
	d, _ := f.dialogs.get(id)
	return d
}

// A Clock gives records' times since the first of their session, by the tap's
// monotonic clock where the record has one, else by its wall clock. It never
// runs back.
type Clock struct {
	start time.Time
	last  time.Duration
}

// At returns the time of the next record.
func (c *Clock) At(rec *capture.Record) time.Duration {
	if c.start.IsZero() {
		c.start = rec.CapturedAt.Add(-rec.Mono)
	}
	at := rec.Mono
	if at == 0 {
		at = rec.CapturedAt.Sub(c.start)
	}
	c.last = max(c.last, at)
	return c.last
}

// Decode reads the message of a record with the direction the record knows.
// Gap rows and notes hold no message: they give kind "unknown".
func Decode(rec *capture.Record, o decode.Options) decode.Message {
	in := decode.Input{Type: rec.JMSType, Body: rec.Body}
	switch rec.Direction {
	case capture.Command:
		in.Direction = decode.ToGC
	case capture.Event, capture.Peer:
		in.Direction = decode.FromGC
	case capture.GapRow, capture.Note:
		return decode.Message{Protocol: decode.Unknown, Kind: decode.Unknown}
	}
	return decode.Decode(in, o)
}

// Bare returns the name of a destination without queue://, topic:// or
// temp-topic://: what clients write into Hello, Beat and Connect.
func Bare(destination string) string {
	if _, name, ok := strings.Cut(destination, "://"); ok {
		return name
	}
	return destination
}

// State returns the canonical agent or dialog state that a message carries,
// in capitals: DROP is DROPPED. Empty when it carries none.
func State(msg *decode.Message) string {
	v := strings.TrimSpace(msg.Text("state"))
	if v == "" {
		return ""
	}
	if list := msg.Trait("state").Values; list != nil {
		v, _ = list.Canonical(v)
	}
	return strings.ToUpper(v)
}

// FreeText reports whether values of a class are named by Mapping.Texts: they
// are what a site calls its things, and no agent, number, address or id of GC.
func FreeText(class decode.Class) bool {
	switch class {
	case decode.ClassText, decode.ClassTeam, decode.ClassPhonebook, decode.ClassContact:
		return true
	}
	return false
}
