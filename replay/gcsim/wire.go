package gcsim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"gctap/decode"
)

// This file makes the events out of what the simulator knows. The layouts, the
// separators and the order of arguments are decode's; here stands only which
// value goes into which field.

// event begins an event of the text form.
func event(agent, name, variant string, fields ...decode.Field) decode.Message {
	return decode.Message{Protocol: decode.GCText, Kind: decode.KindEvent, Name: name, Variant: variant, Agent: agent, Fields: fields}
}

var f = decode.F

func list(name string, values []string) decode.Field {
	l := make([]decode.Value, len(values))
	for i, v := range values {
		l[i] = decode.TextOf(v)
	}
	return decode.Field{Name: name, Value: decode.ListOf(l...)}
}

func records(name string, records []decode.Value) decode.Field {
	return decode.Field{Name: name, Value: decode.ListOf(records...)}
}

// bodyOf writes an event. A site or a stimulus may bring in texts that hold a
// separator of the place where they go; as the protocol has no escape for
// those, they are replaced.
func bodyOf(m *decode.Message) []byte {
	in, err := decode.Encode(m)
	if err != nil {
		clean(m.Fields)
		in, err = decode.Encode(m)
	}
	if err != nil { // a text that no event can carry, not even so
		e := errorEvent(m.Agent, "GENERAL_ERROR")
		in, _ = decode.Encode(&e)
	}
	return in.Body
}

// separators are put out of the way where decode refuses them.
var separators = strings.NewReplacer("#", " ", "|", "/", ",", ";", "\n", " ")

func clean(fields []decode.Field) {
	for i := range fields {
		if fields[i].Name == "args" { // built here, see newPreviewEvent
			continue
		}
		v := &fields[i].Value
		if v.Kind == decode.KindText {
			v.Text = separators.Replace(v.Text)
		}
		clean(v.Parts)
	}
}

func systemEvent(down bool) decode.Message {
	status := "IN_SERVICE"
	if down {
		status = "OUT_OF_SERVICE"
	}
	return event("", "System", "", f("status", status))
}

func reconnectEvent(dest string) decode.Message {
	return event("", "Destination", "", f("clientDestination", dest), f("action", "RECONNECT"))
}

func reLoginEvent(agent string) decode.Message {
	return event(agent, "State", "re-login", f("state", "RE_LOGIN"))
}

func errorEvent(agent, code string) decode.Message {
	return event(agent, "Error", "", f("errorCode", code))
}

func printEvent(agent, message string) decode.Message {
	return event(agent, "Control", "print", f("message", message))
}

func callbackEvent(text string) decode.Message { return event("", "Callback", "", f("callback", text)) }

func syncEvent(a *agent, now string) decode.Message {
	return event("", "AgentState", "", f("agentId", a.ID), f("password", a.Password), f("extension", a.address()), f("subscriptionTime", now))
}

// infoEvent says who an agent is, and of a supervisor which teams it has.
func infoEvent(a *agent, teams []Team) decode.Message {
	fields := []decode.Field{f("firstName", a.FirstName), f("lastName", a.LastName), f("supervisor", titleBool(a.Supervisor)), f("wrapUpOnIncoming", a.wrapUp())}
	variant := "agent"
	if a.Supervisor {
		variant = "supervisor"
		var list []decode.Value
		for _, t := range teams {
			list = append(list, decode.RecordOf(f("id", t.ID), f("name", t.Name)))
		}
		fields = append(fields, f("totalNumberOfTeams", decimal(len(teams))), records("teams", list))
	}
	fields = append(fields, f("team", a.Team), f("fullName", a.FullName()), f("loginName", a.LoginName))
	return event(a.ID, "AgentInfo", variant, fields...)
}

// titleBool is how the Developer Guide prints a boolean.
func titleBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// stateEvent is the state of an agent for itself or for a supervisor.
func stateEvent(to, a *agent) decode.Message {
	return event(to.ID, "State", "normal",
		f("state", a.state), f("reasonCode", a.reason.Code), f("stateChangeTimeString", ""), f("pendingState", a.pendingState()),
		f("stateChangeTime", a.since), f("fullName", a.FullName()), f("agentId", a.ID), f("extension", a.address()),
		f("label", a.reason.Label), f("fullName2", a.FullName()), f("loginName", a.LoginName))
}

func memberEvent(to, a *agent) decode.Message {
	return event(to.ID, "TeamMemberStateChanged", "", f("teamId", a.Team), f("state", a.state))
}

// dialogStatusEvent says after a login which calls the agent is in.
func dialogStatusEvent(a *agent) decode.Message {
	if len(a.legs) == 0 {
		return event(a.ID, "DialogStatus", "none", f("dialogId", ""), f("state", ""), f("associatedDialogId", ""))
	}
	l := a.legs[0]
	fields := []decode.Field{f("dialogId", l.dialog.id), f("state", l.state), f("fromAddress", l.dialog.from), variables("callVariables", l.dialog.vars)}
	if c := a.about(l.dialog); c != nil {
		fields = append(fields, f("associatedDialogId", c.dialog.id), f("associatedState", c.state),
			f("associatedFromAddress", c.dialog.from), variables("associatedCallVariables", c.dialog.vars))
	} else {
		fields = append(fields, f("associatedDialogId", ""), f("associatedState", ""), f("associatedFromAddress", ""), variables("associatedCallVariables", nil))
	}
	return event(a.ID, "DialogStatus", "normal", fields...)
}

func variables(name string, vars []variable) decode.Field {
	var fields []decode.Field
	for _, v := range vars {
		fields = append(fields, f(v.name, v.value))
	}
	return decode.Field{Name: name, Value: decode.RecordOf(fields...)}
}

// variablesIn reads the call variables of a command.
func variablesIn(m *decode.Message) (vars []variable) {
	v, _ := m.Get("callVariables")
	if v.Kind != decode.KindRecord {
		return nil
	}
	for _, p := range v.Parts {
		vars = append(vars, variable{p.Name, p.Value.Text})
	}
	return vars
}

// dialogOf is the id of the call that an event is about.
func dialogOf(m *decode.Message) string {
	if m.Name == "ConsultCall" {
		return m.Text("associatedDialogId")
	}
	return m.Text("dialogId")
}

// callEvent is the event of a call in a state, as the agent of the leg sees it.
func callEvent(l *leg, state string) decode.Message {
	d := l.dialog
	if l.consult {
		return event(l.agent.ID, "ConsultCall", "normal", f("state", state), f("associatedDialogId", d.id),
			f("fromAddress", d.from), variables("callVariables", d.vars), f("fullName", l.agent.FullName()))
	}
	people := participants(l, state)
	return event(l.agent.ID, "InboundCall", "normal", f("state", state), f("dialogId", d.id), f("fromAddress", d.from),
		variables("callVariables", d.vars), f("startTime", d.started), f("callType", d.callType),
		f("participantsCount", decimal(len(people))), records("participants", people))
}

// participants are those who are in a call; in its end the one who goes too.
func participants(l *leg, state string) (people []decode.Value) {
	for _, o := range l.dialog.present() {
		if o.state != "DROPPED" || o == l {
			people = append(people, decode.RecordOf(f("address", o.address), f("state", o.state),
				f("deviceType", o.device), f("reason", o.why), f("time", o.time)))
		}
	}
	return people
}

// failedEvent says why a call could not be made.
func failedEvent(l *leg, cause string) decode.Message {
	id, name := "dialogId", "InboundCall"
	if l.consult {
		id, name = "associatedDialogId", "ConsultCall"
	}
	return event(l.agent.ID, name, "failure", f("state", "FAILED"), f(id, l.dialog.id), f("failureCause", cause), f("fullName", l.agent.FullName()))
}

func newCallEvent(l *leg, callType string) decode.Message {
	d := l.dialog
	return event(l.agent.ID, "NewInboundCall", "normal", f("fromAddress", d.from), variables("callVariables", d.vars),
		f("dialogId", d.id), f("callType", callType), f("startTime", d.started))
}

func newOutboundEvent(l *leg) decode.Message {
	d := l.dialog
	return event(l.agent.ID, "NewOutboundCall", "", f("fromAddress", d.from), variables("callVariables", d.vars), f("dialogId", d.id))
}

// newPreviewEvent announces a reservation. Its layout is in no document; this
// one is that of NewOutboundCall.
func newPreviewEvent(l *leg) decode.Message {
	d := l.dialog
	var pairs []string
	for _, v := range d.vars {
		pairs = append(pairs, v.name+"="+separators.Replace(v.value))
	}
	return event(l.agent.ID, "NewOutboundPreviewCall", "", list("args", []string{d.from, strings.Join(pairs, "|"), "DialogID:" + d.id}))
}

func dialogStateEvent(a *agent, id, state string) decode.Message {
	return event(a.ID, "DialogState", "normal", f("state", state), f("dialogId", id), f("fullName", a.FullName()))
}

func reasonsEvent(a *agent, category string, reasons []Reason) decode.Message {
	codes, labels := columns(reasons)
	return event(a.ID, "ReasonCodes", "normal", f("category", category), list("codes", codes), list("labels", labels), f("fullName", a.FullName()))
}

func phonebooksEvent(a *agent, name string, books []*Phonebook) decode.Message {
	if len(books) == 0 {
		return event(a.ID, name, "none")
	}
	var list []decode.Value
	for _, b := range books {
		kind := "GLOBAL"
		if b.Team != "" {
			kind = "TEAM"
		}
		list = append(list, decode.RecordOf(f("name", b.Name), f("type", kind), f("id", b.ID)))
	}
	return event(a.ID, name, "list", records("phonebooks", list))
}

func contactsEvent(a *agent, contacts []Contact) decode.Message {
	if len(contacts) == 0 {
		return event(a.ID, "PhonebookContacts", "none")
	}
	var list []decode.Value
	for _, c := range contacts {
		list = append(list, decode.RecordOf(f("description", c.Description), f("firstName", c.FirstName),
			f("lastName", c.LastName), f("phoneNumber", c.Phone), f("id", c.ID)))
	}
	return event(a.ID, "PhonebookContacts", "list", records("contacts", list))
}

func queueListEvent(a *agent, queues []string, n figures) decode.Message {
	if len(queues) == 0 {
		return event(a.ID, "QueueList", "empty", records("queue", nil))
	}
	var list []decode.Value
	for i, q := range queues {
		if i > 0 { // callers wait in the first queue only
			n.waiting, n.oldest = 0, ""
		}
		list = append(list, decode.RecordOf(f("queueName", q),
			f("agentsNotReady", decimal(n.notReady)), f("agentsReady", decimal(n.ready)), f("agentsTalkingInbound", decimal(n.inbound)),
			f("agentsTalkingInternal", decimal(n.internal)), f("agentsTalkingOutbound", decimal(n.outbound)),
			f("agentsWrapUpNotReady", decimal(n.workNotReady)), f("agentsWrapUpReady", decimal(n.workReady)),
			f("callsInQueue", decimal(n.waiting)), f("startTimeOfLongestCallInQueue", n.oldest)))
	}
	return event(a.ID, "QueueList", "ucce", records("queue", list))
}

func teamUsersEvent(to *agent, members []*agent) decode.Message {
	var list []decode.Value
	for _, a := range members {
		list = append(list, decode.RecordOf(f("firstName", a.FirstName), f("lastName", a.LastName), f("extension", a.address()),
			f("loginId", a.ID), f("state", a.state), f("pendingState", a.pendingState()), f("mediaType", "Voice"),
			f("stateChangeTime", a.since), f("label", a.reason.Label)))
	}
	return event(to.ID, "TeamUsersList", "", records("users", list))
}

// jsonEvent is one of the events that exist as JSON only.
func jsonEvent(a *agent, name, key string, value any) decode.Message {
	text, err := json.Marshal(value)
	if err != nil { // maps and slices of strings always have a JSON form
		panic(err)
	}
	m := event(a.ID, name, "", decode.Field{Name: key, Value: decode.JSONOf(string(text))}, f("agentId", a.ID))
	m.Protocol = decode.GCJSON
	return m
}

func decimal(n int) string { return strconv.Itoa(n) }

func isTrue(word string) bool { return sameWord(word, "true") }

// sameWord compares words as the protocol does, without regard to case.
func sameWord(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), b) }

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
