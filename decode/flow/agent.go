package flow

import (
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode"
)

// An Agent is what is known of a person who logs in.
type Agent struct {
	ID        string
	Extension string
	State     string // the last one told, canonical
	Since     time.Duration
	Seq       int64 // of the event that told it

	touched  time.Duration
	leaving  bool     // in Flow.leaving
	dialogs  []string // those that the agent was told of last
	command  int64    // seq of the last command about the agent
	direct   bool     // the session holds what the agent itself is told
	last     step
	stimulus *Stimulus // the last that came for the agent
}

// step is what tells a change of state from a copy of it that somebody else is
// told too.
type step struct{ state, reason, time, receiver string }

// A StateChange is one step of an agent's state. The same step that a
// supervisor is told too is no second one.
type StateChange struct {
	Agent    string
	From, To string // canonical; From is empty for the first one seen
	Reason   string // reason code
	Label    string
	At       time.Duration
	Lasted   time.Duration // how long From did
	Seq      int64
}

func (f *Flow) touchAgent(id string) *Agent {
	a, ok := f.agents.get(id)
	if !ok {
		a = &Agent{ID: id}
		f.agents.put(id, a)
	}
	a.touched = f.now
	return a
}

// heard reports whether the session holds what an agent itself is told of its
// state.
func (f *Flow) heard(agent string) bool {
	a := f.Agent(agent)
	return a != nil && a.direct
}

// learnAgent takes an agent's extension from the login.
func (f *Flow) learnAgent(msg *decode.Message) {
	if (msg.Name == "Login" || msg.Name == "MobileAgentLogin") && msg.Agent != "" {
		if ext := msg.Text("extension"); ext != "" {
			f.sits(f.touchAgent(msg.Agent), ext)
		}
	}
}

// sits notes at which extension an agent is.
func (f *Flow) sits(a *Agent, extension string) {
	if a.Extension != extension {
		a.Extension = extension
		f.phones.put(extension, a.ID)
	}
}

// hears notes that an agent is told of a dialog.
func (a *Agent) hears(dialog string) {
	if slices.Contains(a.dialogs, dialog) {
		return
	}
	if len(a.dialogs) == dialogsKept {
		a.dialogs = slices.Delete(a.dialogs, 0, 1)
	}
	a.dialogs = append(a.dialogs, dialog)
}

// dialogsKept is how many dialogs of an agent a supervisor's command can touch.
const dialogsKept = 8

// agentEvent follows the states of agents.
func (f *Flow) agentEvent(rec *capture.Record, msg *decode.Message, facts *Facts) {
	if msg.Name != "State" || facts.Subject == "" {
		return
	}
	state := State(msg)
	if state == "" || state == "RE_LOGIN" {
		return
	}
	a := f.touchAgent(facts.Subject)
	a.direct = a.direct || facts.Conversation == facts.Subject
	if ext := msg.Text("extension"); ext != "" {
		f.sits(a, ext)
	}
	if a.direct && facts.Conversation != facts.Subject {
		return // a copy, which may come after what followed
	}
	now := step{state, msg.Text("reasonCode"), msg.Text("stateChangeTime"), facts.Conversation}
	if before := a.last; before.receiver != now.receiver {
		before.receiver = now.receiver
		if before == now {
			return
		}
	}
	a.last = now
	change := &StateChange{Agent: a.ID, From: a.State, To: state, Reason: msg.Text("reasonCode"), Label: msg.Text("label"),
		At: f.now, Seq: rec.Seq}
	if a.State != "" {
		change.Lasted = f.now - a.Since
	}
	a.State, a.Since, a.Seq = state, f.now, rec.Seq
	facts.Change = change
	if state == logout {
		f.signsOff(a)
	}
	if facts.Exchange == nil && isReservation(state) && change.From != state {
		facts.Trigger = f.reserved(a, &Stimulus{Seq: rec.Seq, At: f.now, Kind: Reservation, Agent: a.ID, Type: state})
	}
}

// reserved returns the stimulus of a reservation; nil when the call that it is
// for was told just before: then that one's stimulus is the reservation.
func (f *Flow) reserved(a *Agent, s *Stimulus) *Stimulus {
	if c := a.stimulus; c != nil && c.Kind == CallComes && f.now-c.At <= f.opts.Late {
		c.Kind, c.Type = Reservation, s.Type
		return nil
	}
	a.stimulus = s
	return s
}

// isReservation reports whether a state says that a dialler took the agent.
func isReservation(state string) bool {
	return state == "RESERVED_OUTBOUND" || state == "RESERVED_OUTBOUND_PREVIEW"
}
