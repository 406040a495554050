package gcsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gctap/capture"
)

// ControlTopic is where a running simulator takes stimuli.
const ControlTopic = "topic://gctap.sim.control"

// What a Stimulus can do.
const (
	DoCall            = "call"
	DoHangup          = "hangup"
	DoReserveOutbound = "reserve-outbound"
	DoInService       = "in-service"
	DoOutOfService    = "out-of-service"
	DoReLogin         = "re-login"
	DoReconnect       = "reconnect"
	DoConnectorSync   = "connector-sync"
)

// A Stimulus is something that happens at GC without a command; as JSON it is
// the body of a message on ControlTopic. The package comment lists them.
type Stimulus struct {
	Do          string
	Agent       string // login id
	From        string // number of the outside party
	To          string // login id or extension
	DialogID    string
	CallType    string // empty: PREROUTE_ACD_IN
	Mode        string // of a reservation: preview (also when empty), progressive
	Destination string // of a client
	Variables   map[string]string
}

// stimulus is the JSON form of a Stimulus.
type stimulus struct {
	Do          string            `json:"do"`
	Agent       string            `json:"agent,omitempty"`
	From        string            `json:"from,omitempty"`
	To          string            `json:"to,omitempty"`
	DialogID    string            `json:"dialogId,omitempty"`
	CallType    string            `json:"callType,omitempty"`
	Mode        string            `json:"mode,omitempty"`
	Destination string            `json:"destination,omitempty"`
	Variables   map[string]string `json:"variables,omitempty"`
}

// MarshalJSON writes the body of a control message.
func (st Stimulus) MarshalJSON() ([]byte, error) { return json.Marshal(stimulus(st)) }

// UnmarshalJSON reads the body of a control message. Unknown keys are refused:
// a misspelt one would change what happens.
func (st *Stimulus) UnmarshalJSON(body []byte) error {
	var raw stimulus
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return fmt.Errorf("stimulus: %w", err)
	}
	*st = Stimulus(raw)
	return nil
}

// Message is the control message that asks a running simulator for st.
func (st Stimulus) Message() capture.Outgoing {
	body, err := st.MarshalJSON()
	if err != nil { // strings and a map of strings always have a JSON form
		panic(err)
	}
	return capture.Outgoing{To: ControlTopic, Body: body}
}

// stimulate carries out a stimulus.
func (s *Sim) stimulate(st Stimulus) error {
	switch st.Do {
	case DoCall:
		return s.doCall(st)
	case DoHangup:
		return s.doHangup(st)
	case DoReserveOutbound:
		return s.doReserve(st)
	case DoInService, DoOutOfService:
		s.doService(st.Do == DoOutOfService)
	case DoReLogin:
		return s.doReLogin(st)
	case DoReconnect:
		s.doReconnect(st.Destination)
	case DoConnectorSync:
		return s.doSync(st)
	default:
		return fmt.Errorf("stimulus %q: not one of %s", st.Do, strings.Join([]string{DoCall, DoHangup, DoReserveOutbound,
			DoInService, DoOutOfService, DoReLogin, DoReconnect, DoConnectorSync}, ", "))
	}
	return nil
}

func (s *Sim) doCall(st Stimulus) error {
	var to *agent
	if st.To != "" {
		if to = s.find(st.To); to == nil {
			return fmt.Errorf("stimulus call to %q: nobody has that login id or extension", st.To)
		}
	}
	if st.From == "" {
		return errors.New("stimulus call: give from, the caller's number")
	}
	callType := st.CallType
	if callType == "" {
		callType = "PREROUTE_ACD_IN"
	}
	s.incoming(st.From, to, callType, own(variablesOf(st.Variables)))
	return nil
}

// find returns the agent with a login id, or logged in on an extension, or
// whose own phone it is.
func (s *Sim) find(name string) *agent {
	if a := s.agents[name]; a != nil {
		return a
	}
	if a := s.users[name]; a != nil {
		return a
	}
	for _, a := range s.people {
		if a.Extension == name {
			return a
		}
	}
	return nil
}

// doHangup ends the outside end of a call: the one named, or the one that the
// agent is in or that waits for it.
func (s *Sim) doHangup(st Stimulus) error {
	if st.DialogID != "" {
		if d := s.dialogs[st.DialogID]; d != nil {
			s.hangUp(d)
			return nil
		}
		return fmt.Errorf("stimulus hangup of %q: no such call", st.DialogID)
	}
	a := s.find(st.Agent)
	if a == nil {
		return fmt.Errorf("stimulus hangup at %q: no such agent", st.Agent)
	}
	for _, l := range a.legs {
		if !l.listened && !l.consult {
			s.hangUp(l.dialog)
			return nil
		}
	}
	for _, d := range s.waiting {
		if d.target == a {
			s.end(d)
			return nil
		}
	}
	return fmt.Errorf("stimulus hangup at %s: the agent has no call", a.ID)
}

// doReserve reserves an agent as soon as it is ready.
func (s *Sim) doReserve(st Stimulus) error {
	a := s.find(orText(st.Agent, st.To))
	switch {
	case a == nil:
		return fmt.Errorf("stimulus reserve-outbound of %q: no such agent", orText(st.Agent, st.To))
	case st.From == "":
		return errors.New("stimulus reserve-outbound: give from, the customer's number")
	case st.Mode != "" && st.Mode != "preview" && st.Mode != "progressive":
		return fmt.Errorf("stimulus reserve-outbound: mode %q is neither preview nor progressive", st.Mode)
	}
	s.reservations = append(s.reservations, &reservation{
		agent: a, number: st.From, mode: st.Mode, vars: own(variablesOf(st.Variables)), until: s.now.Add(s.cfg.Patience),
	})
	s.offer = true
	return nil
}

// doService tells every client that GC is, or is not, in service.
func (s *Sim) doService(down bool) {
	s.down = down
	for _, dest := range sortedKeys(s.dests) {
		s.emit(topic(dest), systemEvent(down), nil)
	}
}

// doReLogin makes GC forget one agent, or all, and say so.
func (s *Sim) doReLogin(st Stimulus) error {
	if st.Agent != "" && s.agents[st.Agent] == nil {
		return fmt.Errorf("stimulus re-login of %q: no such agent", st.Agent)
	}
	for _, a := range s.people {
		if a.known && (st.Agent == "" || a.ID == st.Agent) {
			a.known = false
			s.reLogin(a.ID, a.topic)
		}
	}
	return nil
}

// doReconnect makes GC forget a destination, or all, and their agents; the
// next Beat from there is answered with RECONNECT.
func (s *Sim) doReconnect(dest string) {
	for _, known := range sortedKeys(s.dests) {
		if dest == "" || dest == known {
			delete(s.dests, known)
			for _, a := range s.people {
				if a.topic == topic(known) {
					a.known = false
				}
			}
		}
	}
}

// doSync publishes an agent, or all who are logged in, on ConnectorSync.
func (s *Sim) doSync(st Stimulus) error {
	if st.Agent != "" && s.agents[st.Agent] == nil {
		return fmt.Errorf("stimulus connector-sync of %q: no such agent", st.Agent)
	}
	for _, a := range s.people {
		if a.loggedIn() && (st.Agent == "" || a.ID == st.Agent) {
			s.sync(a)
		}
	}
	return nil
}

func orText(s, or string) string {
	if s == "" {
		return or
	}
	return s
}
