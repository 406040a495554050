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
// received, and the row that says what was not, still fit. One that is patient
// waits for the end of any failure: traffic that passes through this program
// must not stop with its recording.
type guardedSink struct {
	sink    capture.Sink
	spare   func(context.Context) error // before the reserve is used up
	reserve *reserve
	wait    bool
	patient bool
	stop    <-chan struct{} // the recording is to end: stop waiting
	say     *talker
	every   time.Duration // between attempts

	since time.Time // the disk is full; zero: it is not
}

func (g *guardedSink) Write(ctx context.Context, b capture.Batch) error {
	err := g.sink.Write(ctx, b)
	if !g.awaited(err) {
		return err
	}
	g.since = time.Now()
	if g.wait {
		if err = g.waitForRoom(ctx, b, err); !errors.Is(err, store.ErrFull) {
			return err
		}
	}
	if spareErr := g.spare(ctx); spareErr != nil {
		g.say.line("%v", spareErr)
	}
	g.reserve.free()
	return &capture.Shortfall{Kept: g.fit(ctx, b), Err: err}
}

// awaited reports whether an error is one whose end is waited for.
func (g *guardedSink) awaited(err error) bool {
	return errors.Is(err, store.ErrFull) || err != nil && g.patient
}

// waitForRoom tries again until the batch fits or the recording is to end.
func (g *guardedSink) waitForRoom(ctx context.Context, b capture.Batch, err error) error {
	what, over := "waiting for room", "there is room again"
	if !errors.Is(err, store.ErrFull) {
		what, over = "traffic goes on, and storing is tried again", "what comes is stored again"
	}
	g.say.line("%v; %s, and counting what does not fit into memory", err, what)
	for last := false; ; {
		select {
		case <-g.stop:
			last = true
		case <-time.After(g.every):
		}
		err = g.sink.Write(ctx, b)
		if err == nil {
			g.say.line("%s after %s", over, time.Since(g.since).Round(time.Second))
			g.since = time.Time{}
		}
		if last || !g.awaited(err) {
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
