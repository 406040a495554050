package check

import (
	"fmt"
	"slices"
	"strings"

	"gctap/decode"
)

// A Rule is one thing that a Checker looks for.
type Rule struct {
	ID       string
	Severity string // decode.Note, decode.Warning or decode.Error
	Doc      string // when it is found
	Says     string // what the documents say, or why it matters
}

// The ids of the rules.
const (
	Unanswered      = "unanswered"
	NotTaken        = "not-taken"
	TakenUnanswered = "taken-unanswered"
	LateAnswer      = "late"
	MissingEvent    = "missing-event"
	UnexpectedEvent = "unexpected-event"
	UnaskedMessage  = "unasked-message"
	DuplicateEvent  = "duplicate-event"
	DuplicateCmd    = "duplicate-command"
	ImpossibleState = "impossible-state"
	CallSequence    = "call-sequence"
	StateMismatch   = "state-mismatch"
	TwoCalls        = "two-calls"
	Refused         = "refused"
	ErrorEvent      = "error"
	ErrorLoop       = "error-loop"
	ReLogin         = "re-login"
	ReLoginLoop     = "re-login-loop"
	Reconnect       = "reconnect"
	ReconnectLoop   = "reconnect-loop"
	OutOfService    = "out-of-service"
	Malformed       = "malformed"
	Irregular       = "irregular"
	GapRule         = "gap"
	Overflow        = "overflow"
	Silence         = "silence"
)

var rules = []Rule{
	{Unanswered, decode.Error, "a command that the documents give an answer for got none",
		"Commands carry no id: an answer is known by agent, event and order. Connect, wrapup and a few others are silent and never reported."},
	{NotTaken, decode.Error, "a command that was not answered was handed to no consumer of its queue, as far as the wire was captured",
		"GC was not listening, or had as many commands as it takes at once and did not come to it. Told by captures of the wire that saw a consumer of the queue; otherwise it is unanswered."},
	{TakenUnanswered, decode.Error, "a command was handed to a consumer and not answered", "GC has the command, or had it: its log tells what became of it. Told by captures of the wire; otherwise it is unanswered."},
	{LateAnswer, decode.Warning, "an answer came later than the limit", "A client that has given up by then may have sent the command again."},
	{MissingEvent, decode.Error, "a command was answered, but not by all the events that the documents list", "Lists of expected events are those of the Developer Guide; what hangs on somebody picking up is left out."},
	{UnexpectedEvent, decode.Warning, "a list, or an answer of another kind, that nobody asked for", "Such events come as answers to commands only."},
	{UnaskedMessage, decode.Note, "a Control message that no command brought about", "GC may show the agent a text at any time."},
	{DuplicateEvent, decode.Warning, "the same event came twice to the same client, and no command asked twice", "Clients that count or toggle on events go wrong."},
	{DuplicateCmd, decode.Warning, "the same command again before the first was answered", "Mostly a client that sends twice; Hello and Beat are repeated by design."},
	{ImpossibleState, decode.Warning, "an agent's state changed in a way that the table of transitions has no row for",
		"The table lacks some changes that are seen and are not reported: RESERVED to NOT_READY, READY to TALKING when calling out, a forced logout from any state."},
	{CallSequence, decode.Warning, "the events of a call did not come in a possible order", "INITIATING, INITIATED, ALERTING, ACTIVE, (HELD, ACTIVE)*, DROPPED; an incoming call is announced by NewInboundCall."},
	{StateMismatch, decode.Warning, "an agent's state and its calls did not fit together for longer than the limit", "TALKING while a call is active, HOLD while all are held, RESERVED while one rings, none of them without a call."},
	{TwoCalls, decode.Warning, "an agent talked in two calls at once for longer than the limit", "The first is held while another is made; UCCX does not tell of holds: not looked for there, if the platform is told."},
	{Refused, decode.Warning, "a command was answered with an error", "The error tables say what the client should do."},
	{ErrorEvent, decode.Warning, "an error that answers no command of the recording", "SESSION_INVALIDATED comes when the agent logs in from elsewhere."},
	{ErrorLoop, decode.Error, "the same error over and over: 5 times within two minutes for one agent", "A client that repeats what is refused."},
	{ReLogin, decode.Warning, "GC does not know the agent and asks for Connect and Login", "RE_LOGIN comes after a restart of GC, or where Connect was left out."},
	{ReLoginLoop, decode.Error, "RE_LOGIN over and over: 3 times within two minutes for one agent", "The client does not log in again, or its Login does not help."},
	{Reconnect, decode.Warning, "GC does not know the client's topic", "DESTINATION RECONNECT answers a Beat: Connect and Login again for all agents of the client."},
	{ReconnectLoop, decode.Error, "RECONNECT over and over: 3 times within two minutes for one client", "The client does not connect again."},
	{OutOfService, decode.Warning, "GC said that it is out of service", "Commands are not answered until System IN_SERVICE."},
	{Malformed, decode.Error, "a message breaks the grammar", "Kept, shown and replayed byte for byte all the same."},
	{Irregular, decode.Warning, "a message bends the grammar: unknown words, surplus fields, values outside their lists", "Read as well as possible."},
	{GapRule, decode.Note, "messages may be missing here", "What could be a fault on either side of a gap is a note, marked uncertain."},
	{Silence, decode.Note, "nothing was heard for 12 hours of a call or of an agent who was signed in: forgotten", "Its end was lost, or lies outside the recording. What comes later is taken for a new one."},
	{Overflow, decode.Note, "more was open at once than is remembered: some findings may be missing", "Agents, calls and commands are remembered up to a limit each."},
}

// Rules returns the list of rules.
func Rules() []Rule { return slices.Clone(rules) }

// LookupRule finds a rule by its id; nil when there is none.
func LookupRule(id string) *Rule {
	for i := range rules {
		if rules[i].ID == id {
			return &rules[i]
		}
	}
	return nil
}

// CheckRules returns an error that names the first id which is no rule.
func CheckRules(ids []string) error {
	for _, id := range ids {
		if LookupRule(id) == nil {
			all := make([]string, len(rules))
			for i := range rules {
				all[i] = rules[i].ID
			}
			return fmt.Errorf("rule %q: not one of %s", id, strings.Join(all, ", "))
		}
	}
	return nil
}

// Rank orders severities: 0 for none, 1 note, 2 warning, 3 error; -1 for a
// word that is no severity.
func Rank(severity string) int {
	return slices.Index([]string{"", decode.Note, decode.Warning, decode.Error}, severity)
}

// left says which of a command's expected events may stay out without a fault:
// those that are another agent's, and those that come only if somebody picks
// up. State alone stands for any state.
var left = map[string][]decode.Expect{
	"MakeCall":     {{Event: "InboundCall", Value: "ACTIVE"}},
	"ConsultCall":  {{Event: "ConsultCall", Value: "ALERTING"}, {Event: "ConsultCall", Value: "ACTIVE"}},
	"ReleaseCall":  {{Event: "State"}}, // with another call the state may stay
	"TransferCall": {{Event: "InboundCall", Value: "ACTIVE"}, {Event: "InboundCall", Value: "DROPPED"}, {Event: "State"}},
	// The platforms differ in what follows, and the call goes on under another id.
	"AcceptOutboundPreview": {{Event: "InboundCall"}, {Event: "Control"}},
}

// steps are the possible orders of a call's states, as one agent is told them.
// The key is the state before; "" is a call that the agent has not heard of,
// "NEW" one that was announced.
var steps = map[string][]string{
	"":           {"INITIATING", "ALERTING", "FAILED"},
	"NEW":        {"ALERTING", "ACTIVE", "ACCEPTED", "INITIATING", "DROPPED", "FAILED"},
	"INITIATING": {"INITIATED", "DROPPED", "FAILED"},
	"INITIATED":  {"ALERTING", "ACTIVE", "DROPPED", "FAILED"},
	"ALERTING":   {"ACTIVE", "DROPPED", "FAILED"},
	"ACTIVE":     {"HELD", "ACCEPTED", "WRAP_UP", "DROPPED", "FAILED"},
	"HELD":       {"ACTIVE", "WRAP_UP", "DROPPED", "FAILED"},
	"ACCEPTED":   {"INITIATING", "ACTIVE", "DROPPED", "FAILED"},
	"WRAP_UP":    {"DROPPED"},
}

// mayFollow reports whether a call may go from one state to the next.
func mayFollow(from, to string) bool { return from == to || slices.Contains(steps[from], to) }

// stateMayFollow reports whether an agent's state may change so: by the table,
// or in a way that is seen in the field.
func stateMayFollow(from, to string) bool {
	if from == "" || from == to || from == "UNKNOWN" {
		return true
	}
	if _, ok := decode.FindTransition(from, to); ok {
		return true
	}
	switch from + " " + to {
	case "LOGOUT NOT_READY", // by way of LOGIN, which is not told
		"RESERVED NOT_READY": // the agent did not answer
		return true
	}
	return false
}

// fits reports whether an agent's state goes with what its calls ask for.
func fits(state, calls string) bool {
	switch calls {
	case "TALKING", "HOLD":
		return state == calls
	case "RESERVED":
		return state != "READY" && state != "HOLD" // a direct call rings at one who is NOT_READY, too
	}
	return state != "TALKING" && state != "HOLD" && state != "RESERVED"
}
