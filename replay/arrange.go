package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errCame ends the context of an arrangement whose event has come.
var errCame = errors.New("it has come")

// arrangements are the stimuli that PlayOptions.Arrange has been asked for.
type arrangements struct {
	cause map[int]Cause // by stimulus: the event that tells of it, where a step or an end waits for it
	asked map[int]*arrangement
	wg    sync.WaitGroup
}

// An arrangement is one of them.
type arrangement struct {
	stimulus Stimulus
	cancel   context.CancelCauseFunc
	over     bool
	at       time.Time // when it was over, by the watch
	err      error
}

// arranged is what a goroutine of Arrange ended with.
type arranged struct {
	stimulus int
	err      error
}

func (p *player) awaitStimuli() {
	p.arrange = arrangements{cause: map[int]Cause{}, asked: map[int]*arrangement{}}
	note := func(causes []Cause) {
		for _, c := range causes {
			if c.Stimulus >= 0 {
				p.arrange.cause[c.Stimulus] = c
			}
		}
	}
	for i := range p.plan.Conversations {
		note(p.plan.Conversations[i].Ends)
	}
	for i := range p.plan.Steps {
		note(p.plan.Steps[i].Causes)
	}
}

// begin has a stimulus arranged. s has the names of the new GC.
func (p *player) begin(ctx context.Context, n int, s Stimulus) {
	ctx, cancel := context.WithCancelCause(ctx)
	p.arrange.asked[n] = &arrangement{stimulus: s, cancel: cancel}
	p.arrange.wg.Go(func() {
		defer cancel(nil)
		err := p.opts.Arrange(ctx, s)
		if context.Cause(ctx) == errCame {
			err = nil
		}
		p.mu.Lock()
		p.ended = append(p.ended, arranged{n, err})
		p.mu.Unlock()
		p.nudge()
	})
}

// conclude takes in what arrangements ended with, and ends those whose event
// has come where nobody has to go on with them.
func (p *player) conclude(ctx context.Context) error {
	p.mu.Lock()
	ended := p.ended
	p.ended = nil
	p.mu.Unlock()
	for _, e := range ended {
		a := p.arrange.asked[e.stimulus]
		a.over, a.at, a.err = true, p.watch.now(), e.err
		if e.err == nil {
			p.result.Stimuli++
		} else {
			p.result.Failed = append(p.result.Failed, Failed{Stimulus: a.stimulus, Err: e.err})
		}
		if err := p.follow(ctx, []string{p.arrange.cause[e.stimulus].Conversation}); err != nil {
			return err
		}
	}
	if !p.opts.Patient {
		return nil
	}
	for n, a := range p.arrange.asked {
		if cause, ok := p.arrange.cause[n]; ok && !a.over && p.came(cause) {
			a.cancel(errCame)
		}
	}
	return nil
}

// arranging looks at what is being arranged among the causes of a lane's next
// step: failed says that it will not come; hold that the step is to be patient
// with all its causes. Patience begins anew once that is over.
func (p *player) arranging(l *lane, causes []Cause) (hold bool, failed string) {
	if l.conversation == nil {
		return false, ""
	}
	for _, cause := range causes {
		a := p.arrange.asked[cause.Stimulus]
		switch {
		case a == nil:
		case a.err != nil && !p.came(cause):
			return false, fmt.Sprintf("%s: %v", waitsFor(&p.plan.Stimuli[cause.Stimulus]), a.err)
		case !p.opts.Patient:
		case !a.over:
			hold = true
		case a.at.After(l.since) && !l.since.IsZero():
			l.since = a.at
		}
	}
	return hold, ""
}

// endArrangements ends those that are under way, and waits for them.
func (p *player) endArrangements() {
	for _, a := range p.arrange.asked {
		a.cancel(errors.New("the replay has ended"))
	}
	p.arrange.wg.Wait()
}

// Failed is a stimulus that could not be arranged.
type Failed struct {
	Stimulus Stimulus // in the names of the new GC
	Err      error
}

// String says what did not happen, and why.
func (f Failed) String() string { return fmt.Sprintf("%s: %v", f.Stimulus.Outside(), f.Err) }

// Wanted says what somebody has to bring about, as an order.
func (s *Stimulus) Wanted() string {
	from := "a caller"
	if s.Number != "" {
		from = s.Number
	}
	switch s.Kind {
	case "hangup":
		return fmt.Sprintf("have %s end the call to agent %s", from, s.Agent)
	case "reservation":
		return fmt.Sprintf("have the dialler reserve agent %s (%s) for %s", s.Agent, s.Type, from)
	}
	return fmt.Sprintf("place a call from %s to agent %s", from, s.Agent)
}
