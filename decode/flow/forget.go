package flow

import (
	"maps"
	"time"
)

// HoursOfSilence is how long a dialog or agent of whom nothing is heard is
// remembered.
const HoursOfSilence = 12 * time.Hour

// Reason is why a Flow let go of something.
type Reason string

// The reasons of a Forgotten.
const (
	WasOver   Reason = "over"       // a call that ended some minutes ago
	LoggedOut Reason = "logged-out" // an agent who logged out some minutes ago
	WasSilent Reason = "silent"     // nothing was heard of it for 12 hours
	TooMany   Reason = "limit"      // more were open than Options.Limit: the one touched longest ago went
)

// Forgotten is something that a Flow let go of: a later message about it is
// taken for the first.
type Forgotten struct {
	Reason Reason
	Dialog string // of a call leg
	Agent  string // of an agent
	Open   bool   // the call was still going on, or the agent signed in, as far as is known
}

// departure is a dialog or an agent whose end was told.
type departure struct {
	dialog, agent string
	since         time.Duration // the end, or what was heard later
}

// ends notes that a dialog has ended: it is forgotten when nothing more is
// heard of its call for a while.
func (f *Flow) ends(d *Dialog) {
	if !d.leaving {
		d.leaving = true
		f.leaving = append(f.leaving, departure{dialog: d.ID, since: f.now})
	}
}

// signsOff notes that an agent has logged out.
func (f *Flow) signsOff(a *Agent) {
	if !a.leaving {
		a.leaving = true
		f.leaving = append(f.leaving, departure{agent: a.ID, since: f.now})
	}
}

// forget lets go of what is over, and of what was silent for hours.
func (f *Flow) forget() {
	for len(f.leaving) > 0 && f.now-f.leaving[0].since > f.opts.Forget {
		next := f.leaving[0]
		f.leaving = f.leaving[1:]
		if next.dialog != "" {
			f.partDialog(next)
		} else {
			f.partAgent(next)
		}
	}
	for id, d := range f.dialogs.all {
		if f.now-d.call.touched <= HoursOfSilence {
			break
		}
		f.dropDialog(d, WasSilent)
		f.dialogs.drop(id)
	}
	for id, a := range f.agents.all {
		if f.now-a.touched <= HoursOfSilence {
			break
		}
		f.dropAgent(a, WasSilent)
		f.agents.drop(id)
	}
}

// partDialog forgets a dialog whose call has ended and was quiet since then. A
// transfer may have brought it to life again.
func (f *Flow) partDialog(p departure) {
	d, ok := f.dialogs.peek(p.dialog)
	switch {
	case !ok:
	case d.Ended == 0:
		d.leaving = false
	case f.now-d.call.touched <= f.opts.Forget:
		f.leaving = append(f.leaving, departure{dialog: d.ID, since: d.call.touched})
	default:
		f.dropDialog(d, WasOver)
		f.dialogs.drop(d.ID)
	}
}

// partAgent forgets an agent who has not come back since the logout.
func (f *Flow) partAgent(p departure) {
	a, ok := f.agents.peek(p.agent)
	switch {
	case !ok:
	case a.State != logout:
		a.leaving = false
	case f.now-a.touched <= f.opts.Forget:
		f.leaving = append(f.leaving, departure{agent: a.ID, since: a.touched})
	default:
		f.dropAgent(a, LoggedOut)
		f.agents.drop(a.ID)
	}
}

// logout is the agent state after which an agent is forgotten.
const logout = "LOGOUT"

// dropDialog tells that a dialog is let go of, and forgets where its id was
// born: it may be given again.
func (f *Flow) dropDialog(d *Dialog, why Reason) {
	f.tell(Forgotten{Reason: why, Dialog: d.ID, Open: d.Ended == 0})
	for _, conversation := range d.Received {
		f.births.forget(conversation, d.ID)
		for _, id := range d.Linked {
			if _, open := f.dialogs.peek(id); !open {
				f.births.forget(conversation, id)
			}
		}
	}
}

// dropAgent tells that an agent is let go of; somebody else may sit at the
// phone.
func (f *Flow) dropAgent(a *Agent, why Reason) {
	f.tell(Forgotten{Reason: why, Agent: a.ID, Open: a.State != "" && a.State != logout})
	if at, ok := f.phones.peek(a.Extension); ok && at == a.ID {
		f.phones.drop(a.Extension)
	}
}

func (f *Flow) tell(gone Forgotten) {
	f.forgot = append(f.forgot, gone)
	f.counts[gone.Reason]++
}

// Forgotten counts what the Flow let go of, by reason.
func (f *Flow) Forgotten() map[Reason]int64 {
	counts := maps.Clone(f.counts)
	if n := f.Dropped(); n > 0 {
		counts[TooMany] = n
	}
	return counts
}
