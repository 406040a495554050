package diff

import "gctap/decode"

// Kinds of a Difference: what it means for whoever uses the right build.
const (
	SessionFailure = "session"  // signing in or out, or GC's own status, goes otherwise
	ErrorKind      = "error"    // an Error event is another one, is new or is gone
	Data           = "data"     // a message says something else
	Sequence       = "sequence" // messages are missing, too many, or in another order
	Timing         = "timing"   // messages come late
)

// kinds are in the order in which they are worth looking at.
var kinds = []string{SessionFailure, ErrorKind, Data, Sequence, Timing}

// kindOf tells what a difference is about. cause is the name of the command
// behind the message, empty where there is none.
func kindOf(d *Difference, cause string) string {
	switch {
	case d.Class == Late:
		return Timing
	case ofSession(d, cause):
		return SessionFailure
	case d.Name == "Error":
		return ErrorKind
	case d.Class == Changed:
		return Data
	}
	return Sequence
}

// ofSession reports whether a session, or GC itself, begins or ends otherwise:
// by decode's table a command of the group Session, an event that answers one
// and is missing, new or an error, a status of GC, or the state after a logout.
func ofSession(d *Difference, cause string) bool {
	whole := d.Class != Changed
	switch {
	case isService(d.Name):
		return true
	case d.Name == "State" && (d.State == "LOGOUT" || d.State == "RE_LOGIN"):
		return whole || changes(d, "state")
	case d.Name == "State" && changes(d, "state") && (changedTo(d, "LOGOUT") || changedTo(d, "RE_LOGIN")):
		return true
	case d.Name == "Error" && (d.State == "SESSION_INVALIDATED" || changedTo(d, "SESSION_INVALIDATED")):
		return true
	}
	return (whole || d.Name == "Error") && (inSessionGroup(d.Name) || inSessionGroup(cause))
}

func inSessionGroup(command string) bool {
	spec := decode.LookupCommand(command)
	return command != "" && spec != nil && spec.Group == "Session"
}

// changes reports whether a field is among those that changed.
func changes(d *Difference, field string) bool {
	for i := range d.Fields {
		if d.Fields[i].Field == field {
			return true
		}
	}
	return false
}

// changedTo reports whether a field has a new value.
func changedTo(d *Difference, value string) bool {
	for i := range d.Fields {
		if right := d.Fields[i].Right; right != nil && *right == value {
			return true
		}
	}
	return false
}
