package gcsim

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gctap/decode"
)

// Kinds of a Fault.
const (
	Missing   = "missing"   // the event is not sent
	Double    = "double"    // it is sent twice
	Late      = "late"      // it is sent later; what comes after it is not held up
	Change    = "change"    // one of its fields has another value
	Extra     = "extra"     // another event follows it
	Reorder   = "reorder"   // it changes places with the receiver's next event of the same cause
	Malformed = "malformed" // its last argument is cut off
	Fail      = "error"     // the command is answered with an error and not carried out
	Ignore    = "ignore"    // the command is not carried out, and nothing answers it
)

// A Fault is something that a Sim does wrong on request.
type Fault struct {
	Kind  string
	Agent string // receiver of the event, id of the command; empty: any
	Name  string // canonical name of the event or, for error and ignore, the command
	State string // the field state of the event; empty: any
	Field string // what Change changes
	Old   string // Change only where the field has this value; see Any
	Any   bool   // Change whatever the value was
	Value string // new value, error code, or state of the extra event
	Delay time.Duration
	Nth   int // the first that can be struck from this one on, once; 0: every one

	text string
	seen int
	done bool
}

// String is the text that the fault was read from.
func (f *Fault) String() string { return f.text }

// A Deviation is a fault as it was planted.
type Deviation struct {
	Class        string    `json:"class"`        // as diff calls it: changed, missing, extra, reordered, late, duplicated; also malformed, error, unanswered
	Conversation string    `json:"conversation"` // login id
	Name         string    `json:"name"`         // of the event, or of the command for error and unanswered
	Field        string    `json:"field"`        // of a change
	Old          string    `json:"old"`          // of a change; of an error New is the code
	New          string    `json:"new"`          // of a change; of an error New is the code
	At           time.Time `json:"at"`
	Fault        string    `json:"fault"`
}

// classes of the kinds.
var classes = map[string]string{
	Missing: "missing", Double: "duplicated", Late: "late", Change: "changed", Extra: "extra",
	Reorder: "reordered", Malformed: "malformed", Fail: "error", Ignore: "unanswered",
}

// ParseFault reads a fault as --fault takes it. The package comment has the
// grammar.
func ParseFault(text string) (*Fault, error) {
	f := &Fault{text: text}
	kind, rest, ok := strings.Cut(text, ":")
	if !ok || classes[kind] == "" {
		return nil, fmt.Errorf("fault %q: begin with missing, double, late, change, extra, reorder, malformed, error or ignore, and a colon", text)
	}
	f.Kind = kind
	rest, f.Nth = cutNth(rest)
	if agent, after, ok := strings.Cut(rest, "/"); ok && !strings.ContainsAny(agent, ":=.") {
		f.Agent, rest = agent, after
	}
	if err := f.readArgument(&rest); err != nil {
		return nil, err
	}
	return f, f.readName(rest)
}

// cutNth takes @N out of a fault, where it stands at the end or before a ':'.
func cutNth(text string) (rest string, n int) {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text, 0
	}
	digits, after, _ := strings.Cut(text[at+1:], ":")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 {
		return text, 0
	}
	if after != "" {
		after = ":" + after
	}
	return text[:at] + after, n
}

// readArgument takes what stands behind '=' or, of a late one, the last ':'.
func (f *Fault) readArgument(rest *string) (err error) {
	if f.Kind == Late {
		i := strings.LastIndexByte(*rest, ':')
		if i < 0 {
			return fmt.Errorf("fault %q: say by how much, as in late:State@1:3s", f.text)
		}
		if f.Delay, err = time.ParseDuration((*rest)[i+1:]); err != nil || f.Delay <= 0 {
			return fmt.Errorf("fault %q: %q is not a duration such as 3s", f.text, (*rest)[i+1:])
		}
		*rest = (*rest)[:i]
		return nil
	}
	before, value, given := strings.Cut(*rest, "=")
	*rest, f.Value, f.Any = before, value, true
	needs := f.Kind == Change || f.Kind == Fail
	switch {
	case needs && !given:
		return fmt.Errorf("fault %q: say what comes instead behind =", f.text)
	case given && !needs && f.Kind != Extra:
		return fmt.Errorf("fault %q: %s takes nothing behind =", f.text, f.Kind)
	}
	if old, now, ok := strings.Cut(value, "=>"); ok && f.Kind == Change {
		f.Old, f.Value, f.Any = old, now, false
	}
	return nil
}

// readName reads NAME[:STATE][.FIELD] and holds it against the grammar.
func (f *Fault) readName(text string) error {
	end := strings.IndexAny(text, ":.")
	if end < 0 {
		end = len(text)
	}
	f.Name = text[:end]
	if end < len(text) {
		if text[end] == ':' {
			f.State, f.Field, _ = strings.Cut(text[end+1:], ".")
		} else {
			f.Field = text[end+1:]
		}
	}
	spec := decode.LookupEvent(f.Name)
	what := "event"
	if f.Kind == Fail || f.Kind == Ignore {
		spec, what = decode.LookupCommand(f.Name), "command"
	}
	switch {
	case spec == nil:
		return fmt.Errorf("fault %q: %q is no %s of the protocol", f.text, f.Name, what)
	case f.Kind == Change && (f.Field == "" || spec.Arg(f.Field) == nil):
		return fmt.Errorf("fault %q: %s has no field %q", f.text, spec.Name, f.Field)
	case f.Kind != Change && f.Field != "":
		return fmt.Errorf("fault %q: only change takes a field", f.text)
	case (f.Kind == Extra && f.Value != "" || f.State != "") && spec.Arg("state") == nil:
		return fmt.Errorf("fault %q: %s has no state", f.text, spec.Name)
	}
	f.Name = spec.Name
	return nil
}

// faultsOf are the faults of the build and those asked for.
func faultsOf(cfg Config) (faults []*Fault, err error) {
	b, ok := LookupBuild(cfg.Build)
	if !ok {
		return nil, fmt.Errorf("build %q: not one of %s", cfg.Build, buildNames())
	}
	for _, text := range append(append([]string(nil), b.Faults...), cfg.Faults...) {
		f, err := ParseFault(text)
		if err != nil {
			return nil, err
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// meets counts a match and reports whether the fault may strike now.
func (f *Fault) meets(agent, name, state string) bool {
	if f.done || f.Name != name || f.Agent != "" && f.Agent != agent || f.State != "" && !sameState(f.State, state) {
		return false
	}
	f.seen++
	return f.seen >= f.Nth
}

// sameState compares states, aliases resolved: DROP is DROPPED.
func sameState(a, b string) bool {
	a, _ = decode.CanonicalDialogState(a)
	b, _ = decode.CanonicalDialogState(b)
	return sameWord(a, b)
}

// plant books that a fault has struck.
func (s *Sim) plant(f *Fault, d Deviation) {
	f.done = f.Nth > 0
	d.Class, d.Fault = classes[f.Kind], f.text
	s.planted = append(s.planted, d)
}

// Planted returns the deviations so far, in the order in which they struck.
func (s *Sim) Planted() []Deviation { return append([]Deviation(nil), s.planted...) }

// hindered plants the faults of commands and reports whether one has struck.
func (s *Sim) hindered(r *request) bool {
	for _, f := range s.faults {
		if f.Kind != Fail && f.Kind != Ignore || !f.meets(r.Agent, r.Name, "") {
			continue
		}
		s.plant(f, Deviation{Conversation: r.Agent, Name: r.Name, New: f.Value, At: s.now})
		if f.Kind == Fail {
			s.failWith(r, f.Value)
		} else {
			s.counts.Ignored++
		}
		return true
	}
	return false
}

// failWith answers a command with an error; the words RE_LOGIN and RECONNECT
// stand for the events by which GC says that it does not know somebody.
func (s *Sim) failWith(r *request, code string) {
	dest := r.Text("clientDestination")
	switch {
	case code == "RECONNECT" && dest != "":
		s.emit(topic(dest), reconnectEvent(dest), nil)
	case code == "RE_LOGIN":
		s.reLogin(r.Agent, s.topicFor(s.agents[r.Agent], r))
	case dest != "":
		s.emit(topic(dest), errorEvent(r.Agent, code), nil)
	default:
		s.emit(s.topicFor(s.agents[r.Agent], r), errorEvent(r.Agent, code), nil)
	}
}

// reorder plants the faults of the order of events.
func (s *Sim) reorder(batch []*outgoing) {
	for i, o := range batch {
		for _, f := range s.faults {
			if f.Kind != Reorder || !f.meetsEvent(o) {
				continue
			}
			for j := i + 1; j < len(batch); j++ {
				if n := batch[j]; n.to == o.to && n.message.Agent == o.message.Agent {
					batch[i], batch[j] = n, o
					s.plant(f, Deviation{Conversation: o.message.Agent, Name: o.message.Name, At: s.now})
					break
				}
			}
			if batch[i] != o {
				break
			}
		}
	}
}

func (f *Fault) meetsEvent(o *outgoing) bool {
	return o.to != "" && f.meets(o.message.Agent, o.message.Name, o.message.Text("state"))
}

// spoil plants the faults of one event and returns what is to be sent in its
// place.
func (s *Sim) spoil(e Event, o *outgoing) []Event {
	events := []Event{e}
	for _, f := range s.faults {
		if f.Kind == Reorder || f.Kind == Fail || f.Kind == Ignore || len(events) == 0 || !f.meetsEvent(o) {
			continue
		}
		d := Deviation{Conversation: e.Agent, Name: e.Name, Field: f.Field, At: e.At}
		if after, ok := f.strike(events, &d); ok {
			events = after
			s.plant(f, d)
		}
	}
	return events
}

// strike does to events, the first of which is the one in question, what the
// fault says. It is false where that would change nothing.
func (f *Fault) strike(events []Event, d *Deviation) ([]Event, bool) {
	e := &events[0]
	switch f.Kind {
	case Missing:
		return events[1:], true
	case Double:
		return append(events, *e), true
	case Late:
		e.At = e.At.Add(f.Delay)
		return events, true
	case Malformed:
		cut := bytes.LastIndexByte(e.Body, '#')
		if cut < 0 {
			return events, false
		}
		e.Body = e.Body[:cut:cut]
		return events, true
	case Extra:
		other, ok := f.another(*e)
		d.Name = other.Name
		return append(events, other), ok
	}
	old, body, ok := rewritten(e.Body, f.Field, f.Value)
	d.Old, d.New = old, f.Value
	if !ok || old == f.Value || !f.Any && old != f.Old {
		return events, false
	}
	e.Body = body
	return events, true
}

// another is the event that follows one too many: the same call or agent in
// another state or, without one, a message for the agent's screen.
func (f *Fault) another(e Event) (Event, bool) {
	if f.Value == "" {
		m := printEvent(e.Agent, "unexpected")
		return Event{At: e.At, To: e.To, Agent: e.Agent, Name: m.Name, Body: bodyOf(&m)}, e.Agent != ""
	}
	_, body, ok := rewritten(e.Body, "state", f.Value)
	e.Body = body
	return e, ok
}

// rewritten puts a value into the field of an event.
func rewritten(body []byte, field, value string) (old string, after []byte, ok bool) {
	m := decode.Decode(decode.Input{Body: body, Direction: decode.FromGC}, decode.Options{})
	if _, ok := m.Get(field); !ok {
		return "", nil, false
	}
	in, err := decode.Rewrite(&m, map[string]string{field: value})
	return m.Text(field), in.Body, err == nil
}
