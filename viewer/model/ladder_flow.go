package model

import (
	"context"
	"errors"
	"iter"
	"slices"

	"gctap/capture"
	"gctap/decode/check"
	"gctap/decode/flow"
	"gctap/store"
)

// warmRows is how many messages before those on the screen are looked at, at
// the most, for the commands that they answer.
const warmRows = 5000

// A jump is from a command to its answers, or back.
type jump struct {
	from int64 // 0: none
	back bool  // to the command
}

// workOut has the arrows of the rows near the screen worked out.
func (v *LadderView) workOut() *Task {
	var missing []int64
	for _, item := range v.near() {
		if _, ok := v.rungs[item.Seq]; !ok {
			missing = append(missing, item.Seq)
		}
	}
	if len(missing) == 0 || v.broken {
		return nil
	}
	session, filter, first, last, window := v.Session.ID, v.Filter, missing[0], missing[len(missing)-1], v.count
	known := &v.known
	return &Task{
		What:   "following the messages",
		Wanted: func() bool { return v.count == window },
		Failed: func(error) { v.broken = true },
		Do: func(ctx context.Context, src Source, p *Progress) (func(), error) {
			rungs, err := rungsOf(ctx, src, known, session, filter, first, last, p)
			return func() {
				if v.Filter == filter {
					v.know(rungs, missing)
				}
			}, err
		},
	}
}

// know takes in arrows, and lets go of those far from the screen.
func (v *LadderView) know(rungs []Rung, missing []int64) {
	near := map[int64]Rung{}
	for _, item := range v.items {
		if r, ok := v.rungs[item.Seq]; ok {
			near[item.Seq] = r
		}
	}
	for _, seq := range missing { // notes have no arrow
		near[seq] = Rung{Seq: seq, Lane: NoLane}
	}
	for _, r := range rungs {
		near[r.Seq] = r
	}
	v.rungs = near
	v.show()
}

// rungsOf works out the arrows from one message to another, knowing what came
// shortly before.
func rungsOf(ctx context.Context, src Source, known *memory, session int64, filter *store.Filter, first, last int64, p *Progress) (rungs []Rung, err error) {
	err = watch(ctx, src, known, session, filter, first, func(s *check.Seen) bool {
		if s.Record.Seq < first {
			return true
		}
		p.Set(s.Record.Seq-first, last-first+1)
		if r, ok := RungOf(s); ok {
			rungs = append(rungs, r)
		}
		return s.Record.Seq < last
	})
	return rungs, err
}

// watch shows messages from a while before a seq on, with what flow makes of
// them, until see has seen enough. Whose they are is what the store knows from
// the whole session, which a flow that starts in the middle cannot. Where known
// remembers a flow that came near, it goes on from there; a filter hides too
// much for that.
func watch(ctx context.Context, src Source, known *memory, session int64, filter *store.Filter, seq int64, see func(*check.Seen) bool) error {
	var rows []store.Row
	from, after := known.before(session, seq)
	if filter != nil || from == nil {
		from, after = flow.New(flow.Options{}), seq-1
		var err error
		if rows, err = before(ctx, src, session, filter, seq); err != nil {
			return err
		}
	}
	var row *store.Row
	on := true
	watcher := seer(func(s *check.Seen) {
		place := flow.Place{Conversation: row.Conversation, Subject: row.Subject, Sender: row.Sender, Basis: row.Basis}
		if place.Conversation != "" {
			facts := *s.Facts
			facts.Place = place
			known := *s
			known.Facts = &facts
			s = &known
		}
		if on = see(s); !on && filter == nil {
			known.keep(session, row.Seq, from)
		}
	})
	return check.Run(func(yield func(capture.Record, error) bool) {
		for i := range rows {
			row = &rows[i]
			if !yield(row.Record, nil) || !on {
				return
			}
		}
		for r, err := range filtered(ctx, src, session, filter, after) {
			row = &r
			if !yield(r.Record, err) || !on {
				return
			}
		}
	}, check.Options{Resume: from}, watcher)
}

// before returns the messages shortly before a seq, in order.
func before(ctx context.Context, src Source, session int64, filter *store.Filter, seq int64) (rows []store.Row, err error) {
	for page, err := range pagesBefore(ctx, src, session, filter, seq) { // each in order
		if err != nil {
			return nil, err
		}
		rows = slices.Concat(page, rows)
		if len(rows) >= warmRows || len(rows) > 0 && rows[len(rows)-1].Mono-rows[0].Mono > flow.DefaultWindow {
			break
		}
	}
	return rows, nil
}

// pagesBefore yields pages of rows, each in order, the last one first.
func pagesBefore(ctx context.Context, src Source, session int64, filter *store.Filter, seq int64) iter.Seq2[[]store.Row, error] {
	if filter != nil {
		return func(yield func([]store.Row, error) bool) {
			for scan := src.Scan(session, filter, seq, true); !scan.Done(); {
				page, err := scan.Next(ctx)
				slices.Reverse(page)
				if !yield(page, err) || err != nil {
					return
				}
			}
		}
	}
	return func(yield func([]store.Row, error) bool) {
		for {
			page, err := src.Before(ctx, session, seq, 500)
			if err == nil && len(page) == 0 || !yield(page, err) || err != nil {
				return
			}
			seq = page[0].Seq
		}
	}
}

// filtered yields the rows behind a seq that a filter accepts.
func filtered(ctx context.Context, src Source, session int64, filter *store.Filter, seq int64) iter.Seq2[store.Row, error] {
	if filter == nil {
		return rowsOf(ctx, src, session, seq)
	}
	return func(yield func(store.Row, error) bool) {
		for scan := src.Scan(session, filter, seq, false); !scan.Done(); {
			page, err := scan.Next(ctx)
			if err != nil {
				yield(store.Row{}, err)
				return
			}
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// seer is an observer that is one function.
type seer func(*check.Seen)

func (f seer) Observe(s *check.Seen) { f(s) }
func (f seer) Close(*check.End)      {}

// trace looks for the other messages of the selected one's exchange.
func (v *LadderView) trace() *Task {
	session, j, known := v.Session.ID, v.jump, &v.known
	return &Task{
		What:   "looking for command and answers",
		Wanted: func() bool { return v.jump == j },
		Failed: func(error) { v.jump = jump{} },
		Do: func(ctx context.Context, src Source, _ *Progress) (func(), error) {
			command, answers, err := exchangeOf(ctx, src, known, session, j.from)
			if err != nil {
				return nil, err
			}
			to, err := j.to(command, answers)
			return func() { v.leap(to) }, err
		},
	}
}

// to is where a jump leads, given the exchange that it begins in.
func (j jump) to(command int64, answers []int64) (int64, error) {
	switch {
	case command == 0:
		return 0, errors.New("this message is neither a command nor the answer to a command that is known")
	case j.back:
		return command, nil
	case len(answers) == 0:
		return 0, errors.New("the recording holds no answer to this command")
	}
	return answers[(slices.Index(answers, j.from)+1)%len(answers)], nil
}

// leap goes to a message.
func (v *LadderView) leap(seq int64) {
	v.jump = jump{}
	v.Following = false
	v.goTo(seq)
	v.show()
}

// exchangeOf returns the command and the answers of the exchange that a message
// belongs to; 0 where it belongs to none.
func exchangeOf(ctx context.Context, src Source, known *memory, session, seq int64) (command int64, answers []int64, err error) {
	var x *flow.Exchange
	err = watch(ctx, src, known, session, nil, seq, func(s *check.Seen) bool {
		if s.Record.Seq == seq {
			if x = s.Opened; x == nil {
				x = s.Exchange
			}
		}
		return s.Record.Seq < seq || x != nil && s.At-x.At <= flow.DefaultWindow && !slices.Contains(s.Closed, x)
	})
	if x == nil || err != nil {
		return 0, nil, err
	}
	return x.Seq, x.Answers, nil
}
