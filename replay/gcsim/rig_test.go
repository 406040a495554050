package gcsim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/decode"
)

// morning is when the tests begin.
var morning = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// A rig plays conversations written as text against a Sim and writes down what
// it answers. One line is one input:
//
//	1001 MakeReady            a command by its canonical name; arguments by blanks
//	1001 Login pw,3001        … or as a body, where there is a comma
//	2001>1001 MakeReady       sent by 2001 over its own connection, about 1001
//	! {"do":"call", …}        a stimulus
//	+5s                       time passes
//
// d1, d2, … are the ids of calls in the order of their birth.
type rig struct {
	t   testing.TB
	sim *Sim
	now time.Time
	ids []string
	all []said // every event so far
}

// said is an event, decoded.
type said struct {
	Event
	decode.Message
}

func newRig(t testing.TB, cfg Config) *rig {
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, sim: sim, now: morning}
}

// play takes in one line and returns the events that follow at once.
func (r *rig) play(line string) []said {
	r.t.Helper()
	switch {
	case strings.HasPrefix(line, "+"):
		d, err := time.ParseDuration(line[1:])
		if err != nil {
			r.t.Fatal(err)
		}
		r.now = r.now.Add(d)
	case strings.HasPrefix(line, "! "):
		var st Stimulus
		if err := json.Unmarshal([]byte(r.real(line[2:])), &st); err != nil {
			r.t.Fatal(err)
		}
		if err := r.sim.Stimulate(r.now, st); err != nil {
			r.t.Fatal(err)
		}
	default:
		r.command(line)
	}
	return r.take()
}

// command sends a command line.
func (r *rig) command(line string) {
	r.t.Helper()
	who, rest, _ := strings.Cut(line, " ")
	name, args, _ := strings.Cut(rest, " ")
	sender, id, other := strings.Cut(who, ">")
	if !other {
		id = sender
	}
	spec := decode.LookupCommand(name)
	if spec == nil {
		r.t.Fatalf("%s: no such command", line)
	}
	args = r.real(args)
	if !strings.Contains(args, ",") {
		args = strings.ReplaceAll(args, " ", ",")
	}
	r.sim.Command(r.now, Command{Type: spec.Word + "#" + id, Body: []byte(args), Conn: "conn-" + sender})
}

// take collects what is due.
func (r *rig) take() []said {
	r.t.Helper()
	var events []said
	for _, e := range r.sim.Advance(r.now) {
		m := decode.Decode(decode.Input{Body: e.Body, Direction: decode.FromGC}, decode.Options{})
		r.check(e, &m)
		events = append(events, said{e, m})
		if id := dialogOf(&m); id != "" && m.Name != "DialogState" && !slices.Contains(r.ids, id) {
			r.ids = append(r.ids, id)
		}
	}
	r.all = append(r.all, events...)
	return events
}

// check holds an event against the grammar.
func (r *rig) check(e Event, m *decode.Message) {
	r.t.Helper()
	for _, f := range m.Findings {
		if f.Severity == "error" || f.Severity == "warning" && f.Code != "unknown-name" {
			r.t.Errorf("%s: finding %s on %s", e.Body, f.Code, f.Field)
		}
	}
	if m.Name != e.Name || m.Agent != e.Agent {
		r.t.Errorf("%s: says it is %s for %q", e.Body, e.Name, e.Agent)
	}
}

var birth = regexp.MustCompile(`\bd[0-9]+\b`)

// real puts the ids of calls into a line.
func (r *rig) real(text string) string {
	return birth.ReplaceAllStringFunc(text, func(name string) string {
		var n int
		if _, err := fmt.Sscanf(name, "d%d", &n); err != nil || n < 1 || n > len(r.ids) {
			r.t.Fatalf("%s: there is no such call yet", name)
		}
		return r.ids[n-1]
	})
}

// born gives the ids of calls their names again.
func (r *rig) born(text string) string {
	for i, id := range r.ids {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("d%d", i+1))
	}
	return text
}

// line is an event in short: receiver, name and what matters in it.
func (r *rig) line(e said) string {
	parts := []string{e.Event.Agent, e.Event.Name}
	if e.Event.Agent == "" {
		parts[0] = strings.TrimPrefix(e.To, "topic://")
	}
	add := func(fields ...string) {
		for _, f := range fields {
			if v := e.Text(f); v != "" {
				parts = append(parts, v)
			}
		}
	}
	switch e.Event.Name {
	case "State":
		add("state", "reasonCode", "label")
		if p := e.Text("pendingState"); p != "" {
			parts = append(parts, "pending "+p)
		}
		if id := e.Text("agentId"); id != e.Event.Agent && id != "" {
			parts = append(parts, "of "+id)
		}
	case "InboundCall", "ConsultCall":
		add("state", "dialogId", "associatedDialogId", "callType", "failureCause")
		parts = append(parts, r.people(e))
	case "NewInboundCall":
		add("dialogId", "callType", "fromAddress")
	case "TeamUsersList":
		users, _ := e.Get("users")
		parts = append(parts, fmt.Sprint(len(users.Parts)))
	case "ReasonCodes", "Phonebooks", "TeamPhonebooks", "PhonebookContacts", "QueueList", "SkillGroups", "Supervisors", "AgentExtension", "NewOutboundPreviewCall", "DialogStatus":
		return r.born(string(e.Body))
	default:
		for _, f := range e.Fields {
			if text, ok := f.Value.Scalar(); ok && text != "" {
				parts = append(parts, text)
			}
		}
	}
	return strings.TrimSpace(r.born(strings.Join(parts, " ")))
}

// people are the participants of a call, each with what is not ACTIVE.
func (r *rig) people(e said) string {
	list, ok := e.Get("participants")
	if !ok {
		return ""
	}
	var people []string
	for _, p := range list.Parts {
		text := ""
		for _, name := range []string{"address", "state", "reason"} {
			if v, _ := p.Value.Get(name); v.Text != "" && v.Text != "ACTIVE" {
				text += " " + v.Text
			}
		}
		people = append(people, strings.TrimSpace(text))
	}
	return "(" + strings.Join(people, ", ") + ")"
}

// login logs agents of NewSite in and forgets the events.
func (r *rig) login(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		p := r.sim.cfg.Site.Person(id)
		r.play(id + " Connect topic-" + id + "," + p.Password)
		r.play(id + " Login " + p.Password + "," + p.Extension)
	}
}

// lines plays several lines and returns the events in short.
func (r *rig) lines(text string) (lines []string) {
	r.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		for _, e := range r.play(strings.TrimSpace(line)) {
			lines = append(lines, r.line(e))
		}
	}
	return lines
}
