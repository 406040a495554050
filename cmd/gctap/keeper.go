package main

import (
	"context"

	"gctap/capture"
	"gctap/store"
)

// A keeper makes sessions of what a recording brings: one, a row of parts, or
// one for each trigger of a ring.
type keeper interface {
	capture.Sink
	current() store.Session                       // that is being written
	totals() store.Session                        // counts of all of them
	end(ctx context.Context, reason string) error // of what is being written
	spare(ctx context.Context) error              // the disk is full: see store.Writer.Spare
}

var (
	_ keeper = (*partedSink)(nil)
	_ keeper = (*ringSink)(nil)
)
