package stomptap

import (
	"context"
	"sync/atomic"
	"time"

	"gctap/capture"
)

// Release empties the queue that a durable tap left on the broker: it takes
// and drops every message until none has come for quiet, and returns how many
// there were. The empty queue stays; STOMP cannot delete one.
//
// The queue is named by consumer and command queue, so that no mistake can make
// it GC's own.
func Release(ctx context.Context, link capture.Link, queue, consumer string, quiet time.Duration) (dropped int64, err error) {
	var count atomic.Int64
	came := make(chan struct{}, 1)
	cancel, err := link.Subscribe(ctx, capture.Subscription{
		Destination: consumerQueue(consumer, queue), Individual: true, Prefetch: prefetch, Pending: pending,
	}, func(d capture.Delivery) {
		d.Ack()
		count.Add(1)
		select {
		case came <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return 0, err
	}
	defer func() { dropped = count.Load() }()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		select {
		case <-came:
			timer.Reset(quiet)
		case <-timer.C:
			if err := cancel(); err != nil {
				return 0, err
			}
			return 0, link.Sync(ctx) // the broker has the acknowledgements
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-link.Done():
			return 0, link.Err()
		}
	}
}
