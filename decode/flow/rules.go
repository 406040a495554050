package flow

import (
	"slices"
	"strings"

	"gctap/decode"
)

// This file is the bridge to decode's table: which rows speak of calls, and
// what a command's row expects. It holds names of messages, no grammar.

// An expectation is one event that a row says will follow a command.
type expectation struct {
	decode.Expect
	either int // expectations of one number stand for each other; 0: alone
}

// expectations returns what a command's row says its own agent will be told.
func expectations(spec *decode.Spec) (all []expectation) {
	if spec == nil {
		return nil
	}
	for i, seq := range spec.Expects {
		if seq.Before || seq.For == decode.Agent && hasRole(spec, decode.Supervisor) {
			continue
		}
		either := 0
		if seq.Order == decode.OneOf {
			either = i + 1
		}
		for _, e := range seq.Events {
			all = append(all, expectation{e, either})
		}
	}
	return all
}

// hasRole reports whether one of the row's sequences is for a role.
func hasRole(spec *decode.Spec, role decode.Role) bool {
	return slices.ContainsFunc(spec.Expects, func(s decode.Sequence) bool { return s.For == role })
}

// expects returns the first event that x still expects and msg is; -1: none. A
// row that expects some state beside other events means neither the state that
// announces the next call nor, once it is answered, one that comes after a
// later command of the agent.
func (x *Exchange) expects(msg *decode.Message, last bool) int {
	vague := msg.Name == "State" && len(expectations(x.spec)) > 1 &&
		(strings.HasPrefix(State(msg), "RESERVED") || x.Outcome != Waiting && !last)
	return slices.IndexFunc(x.rest, func(e expectation) bool {
		fits := e.Matches(msg) || pends(&e.Expect, msg) || x.consults(&e.Expect, msg)
		return fits && !(vague && e.Value == "")
	})
}

// consults reports whether the call that x names is a consult call: its events
// are then ConsultCall where the table says InboundCall.
func (x *Exchange) consults(e *decode.Expect, msg *decode.Message) bool {
	return x.Dialog != "" && e.Event == "InboundCall" && msg.Name == "ConsultCall" && idText(msg, "associatedDialogId") == x.Dialog &&
		(e.Value == "" || strings.EqualFold(State(msg), e.Value))
}

// pends reports whether a State says that the expected one comes once the call
// is over: that is how GC answers a MakeNotReady during a call.
func pends(e *decode.Expect, msg *decode.Message) bool {
	return e.Event == "State" && msg.Name == "State" && e.Value != "" && strings.EqualFold(strings.TrimSpace(msg.Text("pendingState")), e.Value)
}

// consumed takes the i-th expectation out, and those that stood for it.
func consumed(rest []expectation, i int) []expectation {
	if either := rest[i].either; either != 0 {
		return slices.DeleteFunc(rest, func(e expectation) bool { return e.either == either })
	}
	return slices.Delete(rest, i, i+1)
}

// brings reports whether a command brings about that an agent is told this
// state of a dialog. Its own agent is told what its row says. Others are told
// the same, but that a dialog has ended only when the command ends it for all,
// says so of the other side, or goes on with another dialog of the call: a
// transfer drops the consultation.
func brings(x *Exchange, receiver, dialog, state string) bool {
	if x.spec == nil {
		return false
	}
	goesOn, tells := false, false
	for _, seq := range x.spec.Expects {
		if seq.Before {
			continue
		}
		for _, e := range seq.Events {
			if !isCallEvent(e.Event) {
				continue
			}
			goesOn = goesOn || e.Value == "ACTIVE" || e.Value == ""
			if e.Value == state || e.Value == "" || isNewCall(e.Event) && state == "" {
				tells = true
			}
		}
	}
	if receiver == x.Agent || state != "DROPPED" {
		return tells
	}
	another := x.Dialog != "" && x.Dialog != dialog
	return tells && (!goesOn || another || hasRole(x.spec, decode.Agent))
}

// isCallEvent reports whether events of a name tell how a call goes on.
// DialogState and DialogStatus tell about a call on request.
func isCallEvent(name string) bool {
	switch name {
	case "InboundCall", "OutboundCall", "NewInboundCall", "NewOutboundCall", "NewOutboundPreviewCall", "ConsultCall":
		return true
	}
	return false
}

// isNewCall reports whether events of a name announce a call.
func isNewCall(name string) bool { return isCallEvent(name) && strings.HasPrefix(name, "New") }

// IsList reports whether events of a name carry lists and texts that a client
// asks for or shows: nothing that a later command depends on.
func IsList(name string) bool {
	switch name {
	case "System", "Destination", "Error", "AgentInfo", "State", "DialogState", "DialogStatus":
		return false
	}
	return !isCallEvent(name)
}

// makesCalls reports whether a command names a number and expects call events:
// it rings somewhere.
func makesCalls(x *Exchange) bool {
	if len(x.Numbers) == 0 || x.spec == nil {
		return false
	}
	return slices.ContainsFunc(expectations(x.spec), func(e expectation) bool { return isCallEvent(e.Event) })
}

// dialogIDs returns the id of the dialog that an event is about, and those of
// dialogs that belong to the same call. A ConsultCall names its own dialog
// AssDialogID in the text form.
func dialogIDs(msg *decode.Message) (id string, linked []string) {
	id = idText(msg, "dialogId")
	for _, path := range []string{"associatedDialogId", "callVariables.associatedDialogId"} {
		if v := idText(msg, path); v != "" && v != id {
			linked = append(linked, v)
		}
	}
	if id == "" && len(linked) > 0 {
		id, linked = linked[0], linked[1:]
	}
	return id, linked
}

// idText returns an id, "" for the spellings of no id.
func idText(msg *decode.Message, path string) string {
	switch v := strings.TrimSpace(msg.Text(path)); v {
	case "null", "NULL", "0":
		return ""
	default:
		return v
	}
}
