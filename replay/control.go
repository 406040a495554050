package replay

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// A Control steers a replay under way. Its methods may be called from any
// goroutine, before, during and after the replay, and return at once. A Control
// belongs to one replay. The zero value is ready and lets everything pass.
//
// A replay stands either because Pause was called, or before a command, because
// of Hold, Step or Break. While it stands, time stands still for it: nothing is
// sent or brought about, what was due is due as much later, and no event runs
// out of its time. What comes in is received and kept all the same.
type Control struct {
	mu     sync.Mutex
	stands bool
	hold   bool // stand before the next command
	steps  int  // commands that may go first
	match  func(*Step) bool
	at     Progress
	fates  []Fate        // by step
	wake   chan struct{} // made by the replay; nil before
}

// A Fate is what has become of a command of the plan.
type Fate uint8

// The fates.
const (
	StepWaits   Fate = iota // it is still to be sent
	StepSent                // it went out
	StepGivenUp             // it was skipped, or its conversation was stopped before it
)

// Pause makes the replay stand at once.
func (c *Control) Pause() { c.change(func() { c.stands = true }) }

// Resume lets it go on.
func (c *Control) Resume() { c.change(func() { c.stands, c.hold, c.steps = false, false, 0 }) }

// Hold lets it go on, and stand before the next command.
func (c *Control) Hold() { c.change(func() { c.stands, c.hold = false, true }) }

// Step lets it go on until one command is sent, and stand before the one after
// that. The command that it stands before is the one that is sent. Called again
// meanwhile, it lets one more pass.
func (c *Control) Step() {
	c.change(func() {
		c.stands, c.hold = false, true
		c.steps++
	})
}

// Break makes the replay stand before every command that match accepts, in
// place of the breakpoint there was; nil takes it away. match is called on the
// goroutine of the replay and must neither change the step nor call the Control.
func (c *Control) Break(match func(*Step) bool) { c.change(func() { c.match = match }) }

// Progress returns where the replay stands, as it was last told.
func (c *Control) Progress() Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Fate returns what has become of a step, by its place in the plan.
func (c *Control) Fate(step int) Fate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if step >= len(c.fates) {
		return StepWaits // the replay has not begun
	}
	return c.fates[step]
}

func (c *Control) change(set func()) {
	c.mu.Lock()
	set()
	wake := c.wake
	c.mu.Unlock()
	if wake == nil {
		return
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// attach makes the replay of so many steps hear of changes.
func (c *Control) attach(steps int) <-chan struct{} {
	wake := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake, c.fates = wake, make([]Fate, steps)
	return wake
}

func (c *Control) became(step int, f Fate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fates[step] = f
}

func (c *Control) standing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stands
}

func (c *Control) told(p Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = p
}

// pass reports whether a command may go, and makes the replay stand if not.
// passed says that the replay has stood before it at a breakpoint already.
func (c *Control) pass(step *Step, passed bool) (ok, broke bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stands:
		return false, false
	case c.hold && c.steps == 0:
		c.stands = true
		return false, false
	case !passed && c.match != nil && c.match(step):
		c.stands = true
		return false, true
	case c.hold:
		c.steps--
	}
	return true, false
}

// A watch is the time of a replay: it stands still while the replay does.
type watch struct {
	lost  time.Duration
	since time.Time // when it was stopped; zero: it goes
}

func (w *watch) now() time.Time {
	if !w.since.IsZero() {
		return w.since.Add(-w.lost)
	}
	return time.Now().Add(-w.lost)
}

func (w *watch) stop() {
	if w.since.IsZero() {
		w.since = time.Now()
	}
}

func (w *watch) run() {
	if !w.since.IsZero() {
		w.lost += time.Since(w.since)
		w.since = time.Time{}
	}
}

// control is what a player has to do with its Control, if it has one.
type control struct {
	watch   watch
	by      *Control
	changed <-chan struct{}
	stood   bool    // as thaw saw it last
	kept    []*lane // could have gone on while the replay stood
	first   *lane   // of kept: before whose next step it stands
	broke   bool    // because of a breakpoint
	passed  *lane   // it has stood at the breakpoint before its next step
}

func (c *control) attach(by *Control, steps int) {
	if by != nil {
		c.by, c.changed = by, by.attach(steps)
	}
}

// became tells what has become of a step.
func (c *control) became(step int, f Fate) {
	if c.by != nil {
		c.by.became(step, f)
	}
}

// stopped reports whether the replay stands, and has the watch stand with it.
func (c *control) stopped() bool {
	if c.by == nil {
		return false
	}
	if c.by.standing() {
		c.watch.stop()
		return true
	}
	c.watch.run()
	return false
}

// keep has the lane looked at when the replay goes on.
func (c *control) keep(l *lane) {
	if !slices.Contains(c.kept, l) {
		c.kept = append(c.kept, l)
	}
}

// mayPass reports whether the next step of the lane may be sent, and makes the
// replay stand before it if not.
func (p *player) mayPass(l *lane) bool {
	if p.by == nil {
		return true
	}
	ok, broke := p.by.pass(&p.plan.Steps[l.conversation.Steps[l.next]], p.passed == l)
	if ok {
		if p.passed == l {
			p.passed = nil
		}
		return true
	}
	p.keep(l)
	if p.first == nil {
		p.first, p.broke = l, broke
	}
	if broke {
		p.passed = l
	}
	p.told = time.Time{}
	p.stopped()
	p.progress()
	return false
}

// before returns the step that the replay stands before, nil if it does not.
func (p *player) before() (broke bool, step *Step) {
	if p.first == nil || !p.stopped() {
		return false, nil
	}
	return p.broke, &p.plan.Steps[p.first.conversation.Steps[p.first.next]]
}

// thaw goes on when the replay no longer stands: first with the step it stood
// before, then in the order of the plan.
func (p *player) thaw(ctx context.Context) error {
	if stands := p.stopped(); stands != p.stood {
		p.stood, p.told = stands, time.Time{}
		p.progress()
	}
	if p.stood || len(p.kept) == 0 {
		return nil
	}
	lanes, first := p.kept, p.first
	p.kept, p.first = nil, nil
	slices.SortStableFunc(lanes, func(a, b *lane) int {
		switch {
		case a == first:
			return -1
		case b == first:
			return 1
		}
		return cmp.Compare(p.order(a), p.order(b))
	})
	for _, l := range lanes {
		if err := p.advance(ctx, l); err != nil {
			return err
		}
	}
	return nil
}
