package main

import (
	"context"
	"io"
	"sync/atomic"

	"gctap/replay/diff"
	"gctap/viewer"
	"gctap/viewer/model"
)

// viewComparison shows two sessions side by side. It is diff --view, and view
// with two sessions.
func viewComparison(ctx context.Context, w twoSessionsOf) error {
	a := w.app
	if !isTerminal(a.Out) {
		return usagef("diff --view needs a terminal: without --view the report goes to a file or a pipe")
	}
	if _, err := w.flags.options(); err != nil { // said before the screen is taken
		return err
	}
	quiet := *a
	quiet.Err = io.Discard // the screen is the viewer's
	w.app = &quiet
	c := model.Comparison{Left: w.ls, Right: w.rs, Compare: func(ctx context.Context, p *model.Progress, pair func(*diff.Pair) error) (*diff.Report, error) {
		// What is read counts as much as what is aligned.
		var done atomic.Int64
		all := 2 * (w.ls.LastSeq + w.rs.LastSeq)
		step := func(n int64) { p.Set(done.Add(n), all) }
		return w.compare(ctx, func(bool, int64) { step(1) }, func(found *diff.Pair) error {
			step(2)
			if err := pair(found); err != nil {
				return err
			}
			return context.Cause(ctx)
		})
	}}
	flags := *w.flags.view
	flags.filter = "" // it is about the comparison
	options, err := a.viewOptions(flags)
	if err != nil {
		return err
	}
	options.Compare = &c
	return viewer.Run(ctx, model.TwoSources(w.left, w.right), options)
}
