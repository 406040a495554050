package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gctap/capture"
	"gctap/store"
)

// What a recording does when its disk is full.
const (
	onFullStop = "stop" // store what still fits, say so, end
	onFullWait = "wait" // for a service: wait for room, count what does not fit into memory
)

const (
	reserveBytes = 4 << 20
	lastBytes    = 512 << 10
	roomEvery    = time.Second
)

// A guardedSink brings batches to a sink whose disk may fill up. It keeps a
// reserve file and gives it up at that moment, so that what was already
// received, and the row that says what was not, still fit.
type guardedSink struct {
	sink    capture.Sink
	spare   func(context.Context) error // before the reserve is used up
	reserve *reserve
	wait    bool
	stop    <-chan struct{} // the recording is to end: stop waiting
	say     *talker
	every   time.Duration // between attempts

	since time.Time // the disk is full; zero: it is not
}

func (g *guardedSink) Write(ctx context.Context, b capture.Batch) error {
	err := g.sink.Write(ctx, b)
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	g.since = time.Now()
	if g.wait {
		if again := g.waitForRoom(ctx, b, err); !errors.Is(again, store.ErrFull) {
			return again
		}
	}
	if spareErr := g.spare(ctx); spareErr != nil {
		g.say.line("%v", spareErr)
	}
	g.reserve.free()
	return &capture.Shortfall{Kept: g.fit(ctx, b), Err: err}
}

// waitForRoom tries again until the batch fits or the recording is to end.
func (g *guardedSink) waitForRoom(ctx context.Context, b capture.Batch, err error) error {
	g.say.line("%v; waiting for room, and counting what does not fit into memory", err)
	for {
		select {
		case <-g.stop:
			return err
		case <-time.After(g.every):
		}
		if err = g.sink.Write(ctx, b); !errors.Is(err, store.ErrFull) {
			g.say.line("there is room again after %s", time.Since(g.since).Round(time.Second))
			g.since = time.Time{}
			return err
		}
	}
}

// fit stores as many of the batch's first records as there is room for, and
// returns how many. They are not acknowledged to the broker; one that it sends
// again is known by its message-id. The ledger comes with the last row.
func (g *guardedSink) fit(ctx context.Context, b capture.Batch) (kept int) {
	for n := len(b.Records); n > 0; n = min(n, len(b.Records)-kept) {
		if g.sink.Write(ctx, capture.Batch{Records: b.Records[kept : kept+n]}) == nil {
			kept += n
		} else {
			n /= 2
		}
	}
	return kept
}

// A reserve is room on the disk that is there when no other is: most of it for
// what was received, the rest for the row that counts what did not fit, and for
// the session's end.
type reserve struct{ first, last string }

// newReserve takes the room. Where there is too little of it for that the
// recording starts all the same, and says so.
func newReserve(db string) (*reserve, error) {
	r := &reserve{db + "-reserve", db + "-reserve-last"}
	err := os.WriteFile(r.last, make([]byte, lastBytes), 0o600)
	if err == nil {
		err = os.WriteFile(r.first, make([]byte, reserveBytes), 0o600)
	}
	if err != nil {
		r.free()
		r.freeLast()
		return r, fmt.Errorf("no reserve of %d MiB for a full disk beside %s: %w", reserveBytes>>20, db, err)
	}
	return r, nil
}

// The files may be gone already.
func (r *reserve) free()     { os.Remove(r.first) }
func (r *reserve) freeLast() { os.Remove(r.last) }
