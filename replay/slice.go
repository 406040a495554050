package replay

import (
	"slices"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// beyond reports whether a slice cannot bring an event about: a command that is
// left out caused it, a call came that nobody needs or wants or to an agent none
// of whose commands has been played so far, it tells of a call that came about by
// such an event, or it is a state that nothing but such an event or command can
// have changed. The ids that were born in it are outside then.
func (b *planner) beyond(rec *capture.Record, msg *decode.Message, facts *flow.Facts) bool {
	if !b.plan.slice {
		return false
	}
	if facts.Trigger != nil {
		b.asked[rec.Seq] = b.opts.Keep(rec, msg)
	}
	c := b.conv(facts.Conversation)
	b.herald(rec, msg, facts, c)
	beyond := b.isBeyond(rec, msg, facts, c)
	if facts.Dialog != nil {
		c.beyond = beyond
	}
	if !beyond {
		return false
	}
	b.plan.out[rec.Seq] = true
	for _, birth := range facts.Births {
		if _, known := b.outside[birth.Value]; !known && b.births[birth.Value] == nil {
			b.outside[birth.Value] = rec.Seq
		}
	}
	return true
}

func (b *planner) isBeyond(rec *capture.Record, msg *decode.Message, facts *flow.Facts, c *convPlan) bool {
	switch {
	case b.without[rec.Seq]:
		return true
	case facts.Call != nil && !facts.First && b.overtaken(facts.Call, facts.By):
		return true
	case facts.By != nil:
		return b.plan.out[facts.By.Seq]
	case facts.Exchange != nil:
		return b.plan.out[facts.Exchange.Seq]
	case facts.Dialog != nil:
		if _, outside := b.outside[facts.Dialog.ID]; outside {
			return true
		}
	}
	if facts.Trigger != nil {
		agent := b.convs[facts.Trigger.Agent]
		unwanted := b.opts.exact && facts.Trigger.Kind != flow.CallHangsUp && !b.asked[rec.Seq]
		return unwanted || agent == nil || len(agent.steps) == 0
	}
	return msg.Name == "State" && facts.Subject == facts.Conversation && c.beyond
}

// acts notes that a command acts on a call.
func (b *planner) acts(seq int64, call *flow.Call) {
	if call == nil || !b.plan.slice {
		return
	}
	for _, dialog := range call.Dialogs {
		b.latest[dialog] = seq
	}
}

// overtaken reports whether the last command that acted on a call is left out
// and came after the one that an event is put down to: a colleague's answer
// lets a call go on as much as the command that rang him.
func (b *planner) overtaken(call *flow.Call, by *flow.Exchange) bool {
	last := int64(0)
	for _, dialog := range call.Dialogs {
		last = max(last, b.latest[dialog])
	}
	return last > 0 && b.plan.out[last] && (by == nil || by.Seq < last)
}

// A told is an event that tells of another's cause.
type told struct {
	seq int64
	at  time.Duration
}

// herald links the states that no command asked for to what they come with: an
// agent's own state to the next event of a call if that is nearer than what
// happened before, one that a supervisor is told
// to the agent's own.
func (b *planner) herald(rec *capture.Record, msg *decode.Message, facts *flow.Facts, c *convPlan) {
	now := told{rec.Seq, facts.At}
	switch {
	case facts.Dialog != nil:
		for _, state := range c.states {
			if ahead := facts.At - state.at; ahead <= flow.DefaultLate && ahead < state.at-c.happened {
				b.heralds[state.seq] = rec.Seq
			}
		}
		c.states, c.happened = nil, facts.At
	case msg.Name != "State" || facts.Exchange != nil || facts.By != nil:
	case facts.Subject == facts.Conversation:
		c.states = append(c.states, now)
	}
	if msg.Name != "State" {
		return
	}
	key := facts.Subject + " " + flow.State(msg)
	if facts.Subject == facts.Conversation {
		for _, copied := range b.copies[key] {
			if facts.At-copied.at <= flow.DefaultLate {
				b.heralds[copied.seq] = rec.Seq
			}
		}
		delete(b.copies, key)
		b.owns[key] = now
	} else if own, ok := b.owns[key]; ok && facts.At-own.at <= flow.DefaultLate {
		b.heralds[rec.Seq] = own.seq
	} else {
		b.copies[key] = append(b.copies[key], now)
	}
}

// unneeded returns, by seq, what a slice leaves out beside commands and what
// they caused: calls from outside that no command of it needs and that it does
// not name either, and states that come with what is left out.
func (b *planner) unneeded() map[int64]bool {
	out := map[int64]bool{}
	for seq := range b.without {
		out[seq] = true
	}
	for i := range b.plan.Stimuli {
		if s := &b.plan.Stimuli[i]; s.Kind != flow.CallHangsUp && len(s.Dependents) == 0 && !b.asked[s.Seq] {
			out[s.Seq] = true
		}
	}
	for state, event := range b.heralds {
		if b.plan.out[event] || out[event] {
			out[state] = true
		}
	}
	return out
}

// Covers reports whether a replay of the plan sends a record of the recording,
// or receives its like: all of them, unless the plan is of a slice. What is
// compared with a replay of a slice is what the slice covers.
func (p *Plan) Covers(rec *capture.Record) bool {
	switch {
	case !p.slice:
		return true
	case p.out[rec.Seq]:
		return false
	case rec.Direction == capture.Event:
		return slices.Contains(p.Topics, flow.Bare(rec.To))
	}
	return true
}
