package replay

import (
	"fmt"

	"gctap/decode/flow"
)

// Outside says what a stimulus is, as "an inbound call from 42512 to agent
// 1001".
func (s *Stimulus) Outside() string {
	from := ""
	if s.Number != "" {
		from = " from " + s.Number
	}
	switch s.Kind {
	case flow.CallHangsUp:
		return fmt.Sprintf("the end of the call%s to agent %s", from, s.Agent)
	case flow.Reservation:
		return fmt.Sprintf("an outbound reservation (%s) of agent %s", s.Type, s.Agent)
	}
	return fmt.Sprintf("an inbound call%s to agent %s", from, s.Agent)
}

// absent returns the stimuli that somebody waits for and that have not come,
// those included whose turn never came since the conversation had stopped
// before.
func (p *player) absent() (all []Stimulus) {
	awaited := make([]*Cause, len(p.plan.Stimuli))
	note := func(causes []Cause) {
		for i := range causes {
			if s := causes[i].Stimulus; s >= 0 {
				awaited[s] = &causes[i]
			}
		}
	}
	for i := range p.plan.Steps {
		note(p.plan.Steps[i].Causes)
	}
	for i := range p.plan.Conversations {
		note(p.plan.Conversations[i].Ends)
	}
	for i, cause := range awaited {
		if cause != nil && !p.came(*cause) {
			all = append(all, p.plan.Stimuli[i])
		}
	}
	return all
}
