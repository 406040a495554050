package gcsim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gctap/capture"
	"gctap/decode"
)

// A Desk is the client side: it seats scripted agents, any number of them, on
// one link.
type Desk struct {
	link  capture.Link
	queue string
	run   string // makes its topics fresh
}

// NewDesk returns a Desk that sends commands to a queue (empty: DefaultQueue).
func NewDesk(link capture.Link, queue string) *Desk {
	if queue == "" {
		queue = DefaultQueue
	}
	return &Desk{link: link, queue: "queue://" + queue, run: strings.ToLower(rand.Text()[:10])}
}

// An Agent is a client of GC with one person logged in. Its methods are for
// one goroutine.
type Agent struct {
	Person
	Topic string // the name of its own topic, without topic://

	desk  *Desk
	end   func() error
	calls map[string]string // ids of calls by the names a script gives them

	mu   sync.Mutex
	got  []decode.Message // events nobody has waited for yet
	wake chan struct{}
}

// Seat subscribes a topic of its own for a person.
func (d *Desk) Seat(ctx context.Context, p Person) (*Agent, error) {
	a := &Agent{
		Person: p, Topic: "gctap.desk." + d.run + "." + p.ID, desk: d,
		calls: map[string]string{}, wake: make(chan struct{}, 1),
	}
	end, err := d.link.Subscribe(ctx, capture.Subscription{Destination: topic(a.Topic)}, a.take)
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", p.ID, err)
	}
	a.end = end
	return a, nil
}

// Leave ends the agent's subscription; it does not log out.
func (a *Agent) Leave() error { return a.end() }

// take keeps an event until somebody waits for it.
func (a *Agent) take(d capture.Delivery) {
	m := decode.Decode(decode.Input{Type: d.Record.JMSType, Body: d.Record.Body, Direction: decode.FromGC}, decode.Options{})
	a.mu.Lock()
	a.got = append(a.got, m)
	a.mu.Unlock()
	if d.Ack != nil {
		d.Ack()
	}
	select {
	case a.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Call returns the id of a call by the name that a Want kept it under.
func (a *Agent) Call(name string) string { return a.calls[name] }

// Send sends a command by its canonical name, with its arguments in the order
// of the protocol; "$name" stands for the id of the call of that name.
func (a *Agent) Send(ctx context.Context, name string, args ...string) error {
	return a.SendAs(ctx, a.ID, name, args...)
}

// SendAs sends a command about another agent, as supervisors do.
func (a *Agent) SendAs(ctx context.Context, id, name string, args ...string) error {
	given := make([]string, len(args))
	for i, arg := range args {
		given[i] = arg
		if call, ok := strings.CutPrefix(arg, "$"); ok {
			if given[i] = a.calls[call]; given[i] == "" {
				return fmt.Errorf("agent %s: %s names the call %s, which no event has brought", a.ID, name, arg)
			}
		}
	}
	in, err := command(id, a.Topic, name, given)
	if err != nil {
		return fmt.Errorf("agent %s: %w", a.ID, err)
	}
	err = a.desk.link.Send(ctx, capture.Outgoing{To: a.desk.queue, JMSType: in.Type, Body: in.Body, ReplyTo: topic(a.Topic)})
	if err != nil {
		return fmt.Errorf("agent %s: send %s: %w", a.ID, name, err)
	}
	return nil
}

// command builds a command. Hello and Beat carry the topic in place of an
// agent's id.
func command(id, dest, name string, args []string) (decode.Input, error) {
	spec := decode.LookupCommand(name)
	if spec == nil {
		return decode.Input{}, fmt.Errorf("%q is no command of the protocol", name)
	}
	m := decode.Message{Protocol: decode.GCText, Kind: decode.KindCommand, Name: spec.Name, Agent: id}
	if spec.Name == "Hello" || spec.Name == "Beat" {
		m.Agent, m.Fields = "", []decode.Field{f("clientDestination", dest)}
	}
	fields, err := arguments(spec, args)
	if err != nil {
		return decode.Input{}, err
	}
	m.Fields = append(m.Fields, fields...)
	in, err := decode.Encode(&m)
	if err != nil {
		// What the grammar will not write, a password with a comma or too few
		// arguments, clients send all the same.
		jmsType := spec.Word + "#" + id
		in = decode.Input{Type: &jmsType, Body: []byte(strings.Join(args, ",")), Direction: decode.ToGC}
	}
	return in, nil
}

// arguments gives texts the names that the protocol has for them. Call
// variables are written name=value, one a text, behind all others.
func arguments(spec *decode.Spec, args []string) (fields []decode.Field, err error) {
	form := spec.Form("")
	for i, text := range args {
		if form == nil || i >= len(form.Args) {
			return nil, fmt.Errorf("%s takes fewer arguments than %d", spec.Name, len(args))
		}
		if form.Args[i].Shape == decode.Pairs {
			var vars []variable
			for _, pair := range args[i:] {
				name, value, _ := strings.Cut(pair, "=")
				vars = append(vars, variable{name, value})
			}
			return append(fields, variables(form.Args[i].Name, vars)), nil
		}
		fields = append(fields, f(form.Args[i].Name, text))
	}
	return fields, nil
}

// A Want is an event that somebody waits for.
type Want struct {
	Event string // canonical name
	State string // its field state, or status; empty: any
	Call  string // name of the call it must be about; empty: any
	Type  string // its call type; empty: any
	Keep  string // name to keep the id of its call under
	Of    string // of State: the agent concerned; empty: the receiver itself
	Code  string // of Error: the code; empty: any
}

func (w Want) String() string {
	text := w.Event
	for _, part := range []string{w.State, w.Type, w.Code} {
		if part != "" {
			text += " " + part
		}
	}
	if w.Call != "" {
		text += " of the call " + w.Call
	}
	return text
}

// matches reports whether an event is the one.
func (a *Agent) matches(w Want, m *decode.Message) bool {
	if m.Name != w.Event || w.State != "" && !sameState(w.State, orText(m.Text("state"), m.Text("status"))) || w.Code != "" && m.Text("errorCode") != w.Code || w.Type != "" && m.Text("callType") != w.Type {
		return false
	}
	if m.Name == "State" {
		of := w.Of
		if of == "" {
			of = a.ID
		}
		if concerned := m.Text("agentId"); concerned != "" && concerned != of {
			return false
		}
	}
	return w.Call == "" || dialogOf(m) == a.calls[w.Call]
}

// errSilence is the cause of a wait that took too long.
var errSilence = errors.New("no such event came")

// Await returns when all of wants have come, in any order; what came before
// the last of them is forgotten. An Error event that is not wanted ends the
// wait, and so does the end of ctx, of the link or of the time given.
func (a *Agent) Await(ctx context.Context, within time.Duration, wants ...Want) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	missing := append([]Want(nil), wants...)
	for from := 0; ; {
		var err error
		if missing, from, err = a.look(missing, from); len(missing) == 0 || err != nil {
			return err
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.desk.link.Done():
			return fmt.Errorf("agent %s: the connection ended: %w", a.ID, a.desk.link.Err())
		case <-timer.C:
			return fmt.Errorf("agent %s: waited %s for %v: %w", a.ID, within, missing, errSilence)
		}
	}
}

// look goes through the events from one on and strikes out what is wanted;
// once nothing is missing, what has been looked at is forgotten.
func (a *Agent) look(missing []Want, from int) ([]Want, int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ; from < len(a.got) && len(missing) > 0; from++ {
		m := &a.got[from]
		i := a.wanted(missing, m)
		if i >= 0 {
			if keep := missing[i].Keep; keep != "" {
				a.calls[keep] = dialogOf(m)
			}
			missing = append(missing[:i:i], missing[i+1:]...)
		} else if m.Name == "Error" {
			err := fmt.Errorf("agent %s: got the error %s, waiting for %v", a.ID, m.Text("errorCode"), missing)
			a.got = a.got[from+1:]
			return missing, 0, err
		}
	}
	if len(missing) == 0 {
		a.got = append([]decode.Message(nil), a.got[from:]...)
		from = 0
	}
	return missing, from, nil
}

func (a *Agent) wanted(missing []Want, m *decode.Message) int {
	for i, w := range missing {
		if a.matches(w, m) {
			return i
		}
	}
	return -1
}

// helloEvery is how often a client says Hello until GC is in service
// (CONNECT_TIMEOUT of the Developer Guide: 3 s at the most).
const helloEvery = 3 * time.Second

// Login says Hello until GC is in service, connects and logs in.
func (a *Agent) Login(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("agent %s: not logged in after %s", a.ID, within))
	defer cancel()
	for {
		if err := a.Send(ctx, "Hello"); err != nil {
			return err
		}
		err := a.Await(ctx, helloEvery, Want{Event: "System", State: "IN_SERVICE"})
		if err == nil {
			break
		}
		if !errors.Is(err, errSilence) {
			return err
		}
	}
	if err := a.Send(ctx, "Connect", a.Topic, a.Password); err != nil {
		return err
	}
	if err := a.Send(ctx, "Login", a.Password, a.Extension); err != nil {
		return err
	}
	return a.Await(ctx, within, Want{Event: "AgentInfo"}, Want{Event: "State"}, Want{Event: "DialogStatus"})
}
