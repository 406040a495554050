package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// ErrHolds says that the whole recording does not fail.
var ErrHolds = errors.New("the whole session does not fail")

// ShrinkOptions say what Shrink looks for.
type ShrinkOptions struct {
	Plan PlanOptions // but for Keep
	// Fails plays a slice on a target that knows nothing of the last one, and
	// reports whether what is looked for shows.
	Fails func(context.Context, *Plan) (bool, error)
	Tries int // calls of Fails at the most; 0: as many as it takes
	// Confirm is how often a slice has to pass before it counts as passing: a
	// fault that comes and goes is missed by one look. 0: once.
	Confirm int
	// Tell, if not nil, is told after each try.
	Tell func(Shrunk)
}

// Shrunk is how far a recording was shrunk.
type Shrunk struct {
	Plan  *Plan // the smallest slice that fails; nil: not even the whole does
	Tries int
	Least bool // nothing can be taken out of it: no conversation, no command, no call from outside
}

// Shrink finds a smallest slice of a recording whose replay still fails: it
// takes out whole conversations first, then single commands and calls from
// outside. A command that uses an id goes with the command or call that brought
// the id about, and every command of an agent with those that sign it in. The
// records are read for every try.
//
// When it ends early, by ctx, by the number of tries or by an error of Fails,
// what it has found so far is returned beside the error; running out of tries
// is none.
func Shrink(ctx context.Context, records iter.Seq2[capture.Record, error], opts ShrinkOptions) (Shrunk, error) {
	s := &shrinker{records: records, opts: opts, known: map[string]bool{}}
	whole, err := BuildPlan(records, opts.Plan)
	if err != nil {
		return s.best, err
	}
	s.needs = whole.signIns()
	fails, err := s.fails(ctx, whole.units())
	if err != nil || !fails {
		return s.best, cmpErr(err, ErrHolds)
	}
	for _, grouped := range []bool{true, false} {
		if err := s.reduce(ctx, grouped); err != nil {
			if errors.Is(err, errTries) {
				err = nil
			}
			return s.best, err
		}
	}
	s.best.Least = true
	return s.best, nil
}

// errTries says that no try is left.
var errTries = errors.New("no try is left")

// A unit is what can be taken out: a command, or a call from outside.
type unit struct {
	seq          int64
	conversation string
}

func (p *Plan) units() (all []unit) {
	for i := range p.Steps {
		all = append(all, unit{p.Steps[i].Record.Seq, p.Steps[i].Conversation})
	}
	for i := range p.Stimuli {
		all = append(all, unit{p.Stimuli[i].Seq, p.Stimuli[i].Agent})
	}
	return all
}

// signIns returns, by seq of a command, the commands that signed its agent in
// before it: those that carry a password, the last of each name.
func (p *Plan) signIns() map[int64][]int64 {
	needs, signed := map[int64][]int64{}, map[string]map[string]int64{}
	for i := range p.Steps {
		step := &p.Steps[i]
		for name, seq := range signed[step.Agent] {
			if name != step.Name {
				needs[step.Record.Seq] = append(needs[step.Record.Seq], seq)
			}
		}
		msg := flow.Decode(&step.Record, decode.Options{})
		if _, ok := msg.Get("password"); ok && step.Agent != "" {
			if signed[step.Agent] == nil {
				signed[step.Agent] = map[string]int64{}
			}
			signed[step.Agent][step.Name] = step.Record.Seq
		}
	}
	return needs
}

type shrinker struct {
	needs   map[int64][]int64 // by command: those that signed its agent in
	records iter.Seq2[capture.Record, error]
	opts    ShrinkOptions
	known   map[string]bool // by slice: whether it fails
	best    Shrunk
}

// reduce takes out what can be taken out: halves first, then ever smaller
// parts, until no single group can go.
func (s *shrinker) reduce(ctx context.Context, grouped bool) error {
	for parts := 2; ; {
		groups := group(s.best.Plan.units(), grouped)
		if len(groups) < 2 {
			return nil
		}
		parts = min(parts, len(groups))
		smaller, err := s.without(ctx, groups, parts)
		switch {
		case err != nil:
			return err
		case smaller:
			parts = max(parts-1, 2)
		case parts == len(groups):
			return nil
		default:
			parts *= 2
		}
	}
}

// without tries to do without one of so many parts of the groups, the last
// first: what came later depends on what came before.
func (s *shrinker) without(ctx context.Context, groups [][]unit, parts int) (smaller bool, err error) {
	for n := parts - 1; n >= 0; n-- {
		from, to := n*len(groups)/parts, (n+1)*len(groups)/parts
		rest := slices.Concat(slices.Concat(groups[:from]...), slices.Concat(groups[to:]...))
		if fails, err := s.fails(ctx, rest); err != nil || fails {
			return fails, err
		}
	}
	return false, nil
}

// group returns the units one by one, or by conversation.
func group(units []unit, grouped bool) (groups [][]unit) {
	place := map[string]int{}
	for _, u := range units {
		key := u.conversation
		if !grouped {
			key = fmt.Sprint(u.seq)
		}
		if i, ok := place[key]; ok {
			groups[i] = append(groups[i], u)
			continue
		}
		place[key] = len(groups)
		groups = append(groups, []unit{u})
	}
	return groups
}

// fails tries the slice of some units, unless its like was tried before, and
// keeps it when it fails and is the smallest.
func (s *shrinker) fails(ctx context.Context, units []unit) (bool, error) {
	plan, err := s.slice(units)
	if err != nil || len(plan.Steps) == 0 {
		return false, err
	}
	key := fmt.Sprint(plan.units())
	if fails, ok := s.known[key]; ok {
		return fails && len(plan.units()) < len(s.best.Plan.units()), nil
	}
	fails := false
	for range max(s.opts.Confirm, 1) {
		if s.opts.Tries > 0 && s.best.Tries >= s.opts.Tries {
			return false, errTries
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		s.best.Tries++
		if fails, err = s.opts.Fails(ctx, plan); err != nil {
			return false, err
		}
		if fails {
			s.best.Plan = plan
		}
		if s.opts.Tell != nil {
			s.opts.Tell(s.best)
		}
		if fails {
			break
		}
	}
	s.known[key] = fails
	return fails, nil
}

// slice plans some units, but for the commands that use an id which the others
// do not bring about, and those whose agent the others do not sign in.
func (s *shrinker) slice(units []unit) (*Plan, error) {
	keep := map[int64]bool{}
	for _, u := range units {
		keep[u.seq] = true
	}
	opts := s.opts.Plan
	opts.exact = true
	opts.Keep = func(rec *capture.Record, _ *decode.Message) bool { return keep[rec.Seq] }
	for {
		plan, err := BuildPlan(s.records, opts)
		if err != nil {
			return nil, err
		}
		broken := 0
		for i := range plan.Steps {
			step := &plan.Steps[i]
			signedOut := slices.ContainsFunc(s.needs[step.Record.Seq], func(seq int64) bool { return !keep[seq] })
			if signedOut || len(step.Outside) > 0 {
				delete(keep, step.Record.Seq)
				broken++
			}
		}
		if broken == 0 {
			return plan, nil
		}
	}
}
