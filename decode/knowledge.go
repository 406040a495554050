package decode

import "slices"

// What the documents know beside the layouts: errors, states, transitions,
// call types, texts for users. decode/flow, explain and GRAMMAR.md read it.

// An ErrorCode is a row of the error tables.
type ErrorCode struct {
	Code    string
	Aliases []string // other spellings of the same code
	Origin  string   // Finesse or GC; "" where the documents do not say
	Meaning string
	Client  string // what the client should do, as the Developer Guide says
	Driver  string // what it should do, as the JSON API and JTAPI pages say
	Text    string // message for users, JTAPI page
	Notes   string
	Sources string
}

const goOn = "display the message and continue"

var errorTable = []ErrorCode{
	{Code: "CF_INVALID_CALLED_DEVICE", Origin: "Finesse", Meaning: "The called device is not valid.", Driver: goOn, Sources: "002, 003"},
	{Code: "CF_INVALID_CALLING_DEVICE", Origin: "Finesse", Meaning: "The calling device is not valid.", Driver: goOn, Sources: "002, 003"},
	{Code: "CF_INVALID_CONNECTION_ID_FOR_ACTIVE_CALL", Origin: "Finesse", Meaning: "The active connection id in the request is invalid.", Driver: goOn, Sources: "002, 003"},
	{Code: "CF_INVALID_CONSULT_TYPE", Origin: "Finesse", Meaning: "The consult type is invalid.", Driver: goOn, Sources: "002, 003"},
	{Code: "CF_AGENT_ACCOUNT_LOCKED_OUT", Origin: "Finesse", Meaning: "The account is locked out.", Driver: goOn, Sources: "002, 003"},
	{Code: "CF_INVALID_CSTA_DEVICE_IDENTIFIER", Origin: "Finesse", Meaning: "The device id is not valid.", Driver: "display the message, ask for a valid extension", Sources: "002, 003"},
	{Code: "CF_RESOURCE_BUSY", Origin: "Finesse", Meaning: "An internal resource is busy.", Client: "send the request again", Text: "Phone extension is already in use", Sources: "001, 002, 003"},
	{Code: "CF_INVALID_LOGON_DEVICE_SPECIFIED", Origin: "Finesse", Meaning: "The request specified an invalid logon device.", Client: "display the message, ask for a valid extension, send again", Driver: "display the message, ask for a valid extension", Text: "Incorrect phone extension.", Sources: "001, 002, 003"},
	{Code: "CF_GENERIC_UNSPECIFIED_REJECTION", Origin: "Finesse", Meaning: "The request has been rejected (no specific details available).", Text: "Please reset your phone and try again", Notes: "Not the same as CF_GENERIC_UNSPECIFIED (A-35).", Sources: "002, 003"},
	{Code: "CF_GENERIC_UNSPECIFIED", Origin: "Finesse", Meaning: "The root cause is unclear, no specific details available; can occur at any command.", Client: "display the message and send again", Notes: "CTI value 0; not the same as CF_GENERIC_UNSPECIFIED_REJECTION (A-35).", Sources: "001"},
	{Code: "CF_INVALID_OBJECT_STATE", Origin: "Finesse", Meaning: "The object is in the incorrect state for the request.", Client: "send the request again", Notes: "The answer to a state change that the agent's state does not allow: see the transitions.", Sources: "001, 002, 003"},
	{Code: "CF_INVALID_PASSWORD_SPECIFIED", Origin: "Finesse", Meaning: "The request specified an invalid agent password.", Driver: "prompt for a valid password", Sources: "002, 003"},
	{Code: "CF_GENERIC_SYSTEM_RESOURCE_AVAILABILITY", Origin: "Finesse", Meaning: "Not described.", Notes: "003 gives a link of the vendor in place of a behaviour.", Sources: "002, 003"},
	{Code: "E_CTI_INVALID_CALLID", Aliases: []string{"E_CTI_INVALID_CALL_ID"}, Origin: "Finesse", Meaning: "A request was received with an invalid call id.", Client: "send again with a valid call id", Notes: "CTI value 13. 001 spells it E_CTI_INVALID_CALL_ID (A-36).", Sources: "001, 002, 003"},
	{Code: "USER_NOT_FOUND", Origin: "Finesse", Meaning: "The agent id is not found in Finesse.", Client: "display the message, ask for valid credentials, send again", Driver: "display the message", Sources: "001, 002, 003"},
	{Code: "GENERAL_ERROR", Origin: "Finesse", Meaning: "The root cause is unclear; 001: sent for Login only.", Client: "display the message and send again", Driver: goOn, Notes: "The user messages have GENERIC_ERROR instead (A-39).", Sources: "001, 002, 003"},
	{Code: "CF_GENERIC_OPERATION", Origin: "Finesse", Meaning: "An operation error occurred (no specific details available).", Client: "display a message according to the last command sent", Driver: "display a message according to the last command sent", Notes: "CTI value 1.", Sources: "001, 002, 003"},
	{Code: "BAD_DESTINATION", Origin: "Finesse", Meaning: "The agent called an invalid extension.", Driver: goOn, Notes: "Also a failure cause of calls.", Sources: "002, 003"},
	{Code: "DOWN", Origin: "GC", Meaning: "IOException.", Driver: goOn, Sources: "002, 003"},
	{Code: "LICENSES_EXCEEDED", Origin: "GC", Meaning: "The limit of user licences is exceeded.", Client: "display the message", Driver: "display the message", Text: "License exceeded, please contact system administrator.", Sources: "001, 002, 003"},
	{Code: "MISSING_EXTENSION", Origin: "GC", Meaning: "The extension is missing in the request.", Client: "display the message, ask for an extension, send again", Driver: "display the message, ask for an extension", Text: "Extension is missing.", Sources: "001, 002, 003"},
	{Code: "MISSING_NUMBER", Origin: "GC", Meaning: "The number to dial is missing in the request.", Client: "send the request again with the number to dial", Driver: "display the message, ask for a number to dial", Notes: "001 says \"with dialog id\", a slip (A-37).", Sources: "001, 002, 003"},
	{Code: "MISSING_PASSWORD", Origin: "GC", Meaning: "The password is missing in the request.", Client: "display the message, ask for a password, send again", Driver: "display the message, ask for credentials", Text: "Password not set, please contact system administrator.", Sources: "001, 002, 003"},
	{Code: "MISSING_REASON_CODE", Origin: "GC", Meaning: "GC or Finesse expects a reason code that the client did not give.", Client: "send again with a reason code", Driver: "display the message, ask for a reason code", Sources: "001, 002, 003"},
	{Code: "MISSING_DIALOG_ID", Origin: "GC", Meaning: "The dialog id is missing in the request.", Client: "send again with a dialog id", Notes: "Not the same as NO_DIALOG_ID.", Sources: "001"},
	{Code: "NO_DIALOG_ID", Origin: "GC", Meaning: "The dialog asked for does not exist in GC.", Driver: "send GetDialogState for any active dialogs", Text: "Invalid operation or call not found.", Notes: "Not the same as MISSING_DIALOG_ID.", Sources: "002, 003"},
	{Code: "NOT_REACHABLE", Aliases: []string{"NOT_RECHEABLE"}, Origin: "GC", Meaning: "SocketTimeoutException.", Driver: goOn, Notes: "A running client spells it NOT_RECHEABLE.", Sources: "002, 003"},
	{Code: "PLEASE_RETRY", Origin: "GC", Meaning: "Invalid request parameters, IOException, or the request timed out.", Client: "send the request again", Driver: goOn, Text: "An error occurred, please try again later.", Sources: "001, 002, 003"},
	{Code: "SUBSCRIPTION_FAILED", Origin: "GC", Meaning: "Invalid credentials were supplied for the agent's login.", Client: "display the message, ask for valid credentials, send again", Driver: "display the message, ask for valid credentials", Text: "Invalid LoginId / Password.", Sources: "001, 002, 003"},
	{Code: "UNABLE_TO_SUBSCRIBE_TO_FINESSE", Origin: "GC", Meaning: "Invalid credentials were supplied for the agent's login.", Client: "display the message, ask for valid credentials, send again", Driver: "display the message, ask for valid credentials", Sources: "001, 002, 003"},
	{Code: "WRONG_EXTENSION", Origin: "GC", Meaning: "The extension is not valid (it has letters).", Client: "display the message, ask for a valid extension, send again", Driver: "display the message, ask for a valid extension", Sources: "001, 002, 003"},
	{Code: "SESSION_INVALIDATED", Origin: "GC", Meaning: "The session ended: the user logged in from another destination.", Client: "display the message, ask to log in again", Driver: "display the message, ask to log in again", Notes: "State LOGOUT comes just before or just after it: the documents say both (A-38).", Sources: "001, 002, 003"},
	{Code: "INVALID_CALL_DATA", Origin: "GC", Meaning: "Parameters are missing in the body of update_call_variable.", Client: "display a message according to the last command sent", Notes: "001's title row says CF_GENERIC_OPERATION, and prints other words for the agent's id (A-33).", Sources: "001"},
	{Code: "FINESSE_UNAVAILABLE", Meaning: "Known from the user messages only.", Text: "System is not available, it will connect automatically once available.", Sources: "003"},
	{Code: "GENERIC_ERROR", Meaning: "Known from the user messages only.", Text: "An error occurred, please try again later.", Notes: "The error tables have GENERAL_ERROR instead (A-39).", Sources: "003"},
	{Code: "Unauthorized", Meaning: "Invalid credentials; errorType of the JSON form.", Sources: "002"},
	{Code: "AUTHORIZATION_FAILURE", Origin: "Finesse", Meaning: "The user may not use this supervisor feature.", Sources: "draft for GC 4.1"},
	{Code: "NOT_FOUND", Origin: "Finesse", Meaning: "What the supervisor feature asked for does not exist.", Sources: "draft for GC 4.1"},
}

// Errors returns the error codes of the documents. Others may pass through
// from Finesse.
func Errors() []ErrorCode { return slices.Clone(errorTable) }

// LookupError finds an error code by its name or another spelling of it, in
// any case; nil when the documents do not list it.
func LookupError(code string) *ErrorCode {
	code = trimText(code)
	for i := range errorTable {
		e := &errorTable[i]
		if equalFold(e.Code, code) || slices.ContainsFunc(e.Aliases, func(a string) bool { return equalFold(a, code) }) {
			c := *e
			return &c
		}
	}
	return nil
}

// A StateInfo is a row of a list of states or types.
type StateInfo struct {
	Name    string
	Aliases []string
	Doc     string
	Text    string // message for users about an agent's state or an InboundCall
	Consult string // message for users about a ConsultCall
	Sources string
}

var agentStates = []StateInfo{
	{Name: "UNKNOWN", Doc: "the state is not known; unlikely", Text: "An error occurred, please refresh your browser.", Sources: "001, 003"},
	{Name: "READY", Doc: "may be given a call", Text: "Your State: Ready", Sources: "001, 003"},
	{Name: "NOT_READY", Doc: "logged in, takes no calls; the reason code says why (-1: the first after login)", Text: "Your State: Not Ready", Sources: "001, 003"},
	{Name: "LOGOUT", Doc: "logged out", Text: "You are Logged out", Sources: "001, 003"},
	{Name: "LOGIN", Doc: "signed in; goes on to NOT_READY at once", Sources: "001"},
	{Name: "TALKING", Doc: "on a call", Text: "You are talking.", Sources: "001, 003"},
	{Name: "RESERVED", Doc: "a call is about to be given to the agent", Text: "Your are Reserved, an inbound call is coming.", Sources: "001, 003"},
	{Name: "RESERVED_OUTBOUND", Doc: "reserved for a progressive or predictive outbound call", Sources: "001"},
	{Name: "RESERVED_OUTBOUND_PREVIEW", Doc: "reserved for a preview outbound call, which the agent accepts, rejects or closes", Sources: "001"},
	{Name: "WORK", Doc: "wrap-up after a call, then NOT_READY", Text: "Wrap up -> Not Ready", Sources: "001, 003"},
	{Name: "WORK_READY", Doc: "wrap-up after a call, then READY", Text: "Wrap up -> Ready", Sources: "001, 003"},
	{Name: "HOLD", Doc: "the call is on hold", Text: "Call is on hold.", Sources: "001, 003"},
	{Name: "RE_LOGIN", Doc: "GC does not know the agent: send Connect and Login again", Text: "Reconnecting, please wait...", Sources: "001, 003"},
	{Name: "LOGGED_IN", Doc: "in the user messages only (A-40)", Text: "You are Logged in", Sources: "003"},
}

// AgentStates returns the states of agents, the special ones last.
func AgentStates() []StateInfo { return slices.Clone(agentStates) }

var dialogStates = []StateInfo{
	{Name: "INITIATING", Doc: "off hook", Text: "Call is initiated..", Sources: "001, 003"},
	{Name: "INITIATED", Doc: "dialling", Sources: "001, 003"},
	{Name: "ALERTING", Doc: "ringing at a device", Text: "Call is ringing..", Consult: "Consult call is ringing..", Sources: "001, 003"},
	{Name: "ACTIVE", Doc: "at least one active participant", Text: "Call is active..", Consult: "Consult call is active..", Sources: "001, 003"},
	{Name: "HELD", Aliases: []string{"Hold"}, Doc: "on hold; likely a participant's state that GC puts on the call; UCCX does not send it", Sources: "001, 002"},
	{Name: "FAILED", Doc: "could not be set up; the event then has a cause", Text: "Call has failed..", Consult: "Consult call has failed..", Sources: "001, 003"},
	{Name: "DROPPED", Aliases: []string{"DROP", "Deleted"}, Doc: "ended, no active participant", Text: "Call has been released..", Consult: "Consult call has dropped.", Sources: "001, 003"},
	{Name: "ACCEPTED", Doc: "an outbound preview was accepted", Text: "Call is accepted..", Sources: "001, 003"},
	{Name: "WRAP_UP", Doc: "wrap-up; likely a participant's state", Sources: "001, 003"},
	{Name: "NOT_FOUND", Aliases: []string{"NotFound"}, Doc: "no such dialog; answer to GetDialogState", Sources: "002, 003"},
}

// DialogStates returns the states of calls; participants have the same, but
// for NOT_FOUND.
func DialogStates() []StateInfo { return slices.Clone(dialogStates) }

// CanonicalDialogState returns the list's spelling of a dialog state, aliases
// resolved ("DROP" is DROPPED); ok is false for a value outside the list.
func CanonicalDialogState(state string) (canonical string, ok bool) {
	return dialogStateList.Canonical(state)
}

// CanonicalAgentState returns the list's spelling of an agent state.
func CanonicalAgentState(state string) (canonical string, ok bool) {
	return agentStateList.Canonical(state)
}

// AnyState is the From of a transition that may start anywhere.
const AnyState = "*"

// A Transition is a row of the Developer Guide's table of agent states.
type Transition struct{ From, To, Cause string }

var transitions = []Transition{
	{AnyState, "UNKNOWN", "state unknown, unlikely"},
	{"LOGOUT", "LOGIN", "the agent signs in; LOGIN goes on to NOT_READY"},
	{"LOGIN", "NOT_READY", "after a successful login"},
	{"NOT_READY", "LOGOUT", "the agent signs out; only from NOT_READY"},
	{"NOT_READY", "NOT_READY", "change of the reason code"},
	{"NOT_READY", "READY", "the agent"},
	{"NOT_READY", "TALKING", "the agent places a call"},
	{"READY", "RESERVED", "an incoming call arrives"},
	{"READY", "RESERVED_OUTBOUND", "progressive or predictive outbound"},
	{"READY", "RESERVED_OUTBOUND_PREVIEW", "preview outbound"},
	{"READY", "NOT_READY", "the agent"},
	{"RESERVED", "READY", "reserved but never took a call"},
	{"RESERVED", "TALKING", "answers"},
	{"RESERVED_OUTBOUND", "READY", "the agent leaves; may be put back"},
	{"RESERVED_OUTBOUND", "NOT_READY", "the agent leaves"},
	{"RESERVED_OUTBOUND", "TALKING", "an Outbound Option call arrives"},
	{"RESERVED_OUTBOUND_PREVIEW", "READY", "if READY before the reservation"},
	{"RESERVED_OUTBOUND_PREVIEW", "NOT_READY", "pending: takes effect when the call is complete or the reservation closed or rejected"},
	{"RESERVED_OUTBOUND_PREVIEW", "TALKING", "a call arrives"},
	{"TALKING", "READY", "call dropped, was READY"},
	{"TALKING", "NOT_READY", "call dropped, was NOT_READY"},
	{"TALKING", "WORK", "wrap-up enabled and NOT_READY chosen during the call"},
	{"TALKING", "WORK_READY", "wrap-up enabled, call dropped"},
	{"TALKING", "HOLD", "hold"},
	{"HOLD", "READY", "held call dropped, was READY"},
	{"HOLD", "NOT_READY", "held call dropped, was NOT_READY"},
	{"HOLD", "WORK", "wrap-up enabled, NOT_READY chosen"},
	{"HOLD", "WORK_READY", "wrap-up enabled"},
	{"HOLD", "TALKING", "retrieve"},
	{"WORK", "READY", "the agent"},
	{"WORK", "NOT_READY", "the agent or the wrap-up timer"},
	{"WORK_READY", "READY", "the agent or the wrap-up timer"},
	{"WORK_READY", "NOT_READY", "the agent"},
}

// Transitions returns the 33 transitions of agent states. The table lacks some
// that are seen: RESERVED to NOT_READY when an agent does not answer, a logout
// by a supervisor from READY, any state to LOGOUT when a session is
// invalidated, READY to TALKING when calling out. A checker warns, no more.
func Transitions() []Transition { return slices.Clone(transitions) }

// FindTransition returns the row from one agent state to another, compared
// without regard to case.
func FindTransition(from, to string) (Transition, bool) {
	from, _ = agentStateList.Canonical(from)
	to, _ = agentStateList.Canonical(to)
	for _, t := range transitions {
		if t.To == to && (t.From == from || t.From == AnyState) {
			return t, true
		}
	}
	return Transition{}, false
}

var callTypes = []StateInfo{
	{Name: "SUPERVISOR_MONITOR", Aliases: []string{"SM"}, Doc: "silent monitoring; on the wire SM (A-41)", Sources: "001"},
	{Name: "OUTBOUND", Doc: "outbound call, progressive or predictive", Sources: "002"},
	{Name: "CONSULT_IN", Doc: "consult call, called side", Sources: "seen"},
	{Name: "ACD_IN", Doc: "call from a queue", Sources: "Finesse"},
	{Name: "PREROUTE_ACD_IN", Doc: "call from a queue, routed before it arrived", Sources: "Finesse"},
	{Name: "PREROUTE_DIRECT_AGENT", Doc: "routed to the agent before it arrived", Sources: "Finesse"},
	{Name: "TRANSFER", Doc: "after a transfer", Sources: "Finesse"},
	{Name: "OVERFLOW_IN", Doc: "overflow", Sources: "Finesse"},
	{Name: "OTHER_IN", Doc: "another incoming call", Sources: "Finesse"},
	{Name: "AUTO_OUT", Doc: "automatic outgoing call", Sources: "Finesse"},
	{Name: "AGENT_OUT", Doc: "outgoing call of an agent", Sources: "Finesse"},
	{Name: "OUT", Doc: "outgoing call", Sources: "Finesse"},
	{Name: "AGENT_INSIDE", Doc: "call between agents", Sources: "Finesse"},
	{Name: "OFFERED", Doc: "offered", Sources: "Finesse"},
	{Name: "CONSULT", Doc: "consult call", Sources: "Finesse"},
	{Name: "CONSULT_OFFERED", Aliases: []string{"CONSULT_OFFERRED"}, Doc: "consult call, offered", Sources: "Finesse"},
	{Name: "CONSULT_CONFERENCE", Doc: "consult call for a conference", Sources: "Finesse"},
	{Name: "CONFERENCE", Doc: "conference", Sources: "Finesse"},
	{Name: "UNMONITORED", Doc: "not monitored", Sources: "Finesse"},
	{Name: "PREVIEW", Doc: "outbound preview", Sources: "Finesse"},
	{Name: "RESERVATION", Doc: "outbound reservation", Sources: "Finesse"},
	{Name: "ASSIST", Doc: "supervisor's assistance", Sources: "Finesse"},
	{Name: "EMERGENCY", Doc: "emergency", Sources: "Finesse"},
	{Name: "SUPERVISOR_WHISPER", Doc: "supervisor whispers", Sources: "Finesse"},
	{Name: "SUPERVISOR_BARGE_IN", Aliases: []string{"SUPERVISOR_BARGEIN"}, Doc: "supervisor barges in", Sources: "Finesse"},
	{Name: "SUPERVISOR_INTERCEPT", Doc: "supervisor takes the call over", Sources: "Finesse"},
	{Name: "NON_ACD", Doc: "not from a queue", Sources: "Finesse"},
	{Name: "OUTBOUND_PREVIEW", Doc: "outbound preview", Sources: "Finesse"},
	{Name: "OUTBOUND_CALLBACK_PREVIEW", Doc: "preview of a callback", Sources: "Finesse"},
	{Name: "OUTBOUND_DIRECT_PREVIEW", Doc: "direct preview", Sources: "Finesse"},
}

// CallTypes returns the call types known. The list is open: after a UCCX
// failover the call type may be null or empty.
func CallTypes() []StateInfo { return slices.Clone(callTypes) }

var failureCauses = []StateInfo{
	{Name: "BAD_DESTINATION", Doc: "the number is not valid", Sources: "Finesse"},
	{Name: "BUSY", Doc: "the called side is busy", Sources: "Finesse"},
	{Name: "DEVICE_RESOURCE_NOT_AVAILABLE", Doc: "the device cannot take the call", Sources: "Finesse"},
	{Name: "OTHER", Doc: "another cause", Sources: "Finesse"},
}

// FailureCauses returns the causes of failed calls known; the list is open.
func FailureCauses() []StateInfo { return slices.Clone(failureCauses) }

var callVariables = []StateInfo{
	{Name: "callVariable1", Doc: "callVariable1 to callVariable10: 40 bytes each", Sources: "Finesse"},
	{Name: "user.NAME", Doc: "ECC variables, arrays as user.NAME[i]", Sources: "Finesse"},
	{Name: "ani", Doc: "caller's number; GC puts it in front", Sources: "seen"},
	{Name: "associatedDialogId", Doc: "dialog that the call belongs to; GC puts it in front", Sources: "seen"},
	{Name: "BACampaign", Doc: "campaign of an outbound call", Sources: "Finesse"},
	{Name: "BAAccountNumber", Doc: "customer's account", Sources: "Finesse"},
	{Name: "BAResponse", Doc: "answer to a reservation: Accept, Reject, Reject-Close, Skip, Skip-Close, Cancel Reservation; REX_VOICE and the like during the call", Sources: "Finesse"},
	{Name: "BAStatus", Doc: "[BLENDED_]{PROGRESSIVE|PREDICTIVE|PREVIEW|DIRECT_PREVIEW}_OUTBOUND[_RESERVATION]; on UCCX two letters", Sources: "Finesse"},
	{Name: "BADialedListID", Doc: "entry of the dialling list", Sources: "Finesse"},
	{Name: "BATimeZone", Doc: "customer's time zone", Sources: "Finesse"},
	{Name: "BABuddyName", Doc: "customer's name as \"last,first\"", Sources: "Finesse"},
	{Name: "BACustomerNumber", Doc: "customer's number, UCCX only", Sources: "Finesse"},
}

// CallVariables returns the reserved names among call variables.
func CallVariables() []StateInfo { return slices.Clone(callVariables) }

// VolatileVariable reports whether a call variable's value differs from run to
// run.
func VolatileVariable(name string) bool { return equalFold(name, "associatedDialogId") }

// Order says how the events of a Sequence come.
type Order uint8

// The orders.
const (
	InOrder  Order = iota // one after the other
	AnyOrder              // all, in any order
	OneOf                 // one of them
)

// A Sequence is what is expected around a command, for one receiver. The
// documents give them as what was seen; events of other causes come between.
type Sequence struct {
	For      Role   // Supervisor, or Agent where both get events; "" the command's agent
	Platform string // UCCE or UCCX; "" both
	Before   bool   // what precedes the command
	Order    Order
	Events   []Expect
}

// An Expect is one event of a Sequence.
type Expect struct {
	Event    string // name
	Field    string // with this field
	Value    string // holding this value; "" any
	Optional bool
}

// Matches reports whether a message is the event that e expects.
func (e Expect) Matches(m *Message) bool {
	if m.Name != e.Event || m.Kind != KindEvent {
		return false
	}
	if e.Value == "" {
		return true
	}
	got := m.Text(e.Field)
	if c, ok := dialogStateList.Canonical(got); ok && e.Event != "State" {
		got = c
	}
	return equalFold(got, e.Value)
}

// An Ambiguity is where the documents contradict each other or leave open.
type Ambiguity struct {
	ID, Sources, What, Handling string
}

// Ambiguities returns the contradictions between the documents, and what this
// package does about each.
func Ambiguities() []Ambiguity { return slices.Clone(ambiguities) }

// LookupAmbiguity finds an ambiguity by its id.
func LookupAmbiguity(id string) (Ambiguity, bool) {
	for _, a := range ambiguities {
		if equalFold(a.ID, id) {
			return a, true
		}
	}
	return Ambiguity{}, false
}

// A Source is one of the documents.
type Source struct{ ID, Title string }

// Sources returns the documents that rows name.
func Sources() []Source {
	return []Source{
		{"000", "Developer Guide, differences"},
		{"001", "Developer Guide 4.4.11, the fullest for commands and text events"},
		{"002", "JSON API 4.4.12"},
		{"003", "Generic Connector JTAPI 4.4, with text events, errors and user messages"},
		{"004", "xuc agent API"},
	}
}
