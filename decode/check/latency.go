package check

import (
	"math/bits"
	"time"
)

// latencies is a histogram of durations in microseconds: exact up to 256, then
// 128 steps for every doubling. It holds the maximum exactly.
type latencies struct {
	Unanswered, Silent, Errors, Late int64

	n       int64
	max     time.Duration
	buckets []int64
}

const subBits = 7 // 128 steps a doubling

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	shift := max(bits.Len64(us)-subBits-1, 0)
	return shift<<subBits + int(us>>shift)
}

// valueOf returns the largest duration in a bucket, in whole microseconds.
func valueOf(bucket int) time.Duration {
	shift := max(bucket>>subBits-1, 0)
	us := uint64(bucket-shift<<subBits+1)<<shift - 1
	return time.Duration(us) * time.Microsecond
}

func (l *latencies) add(d time.Duration) {
	l.n++
	l.max = max(l.max, d)
	i := bucketOf(d)
	if i >= len(l.buckets) {
		l.buckets = append(l.buckets, make([]int64, i+1-len(l.buckets))...)
	}
	l.buckets[i]++
}

// percentile returns the smallest duration that p per cent of all do not
// exceed.
func (l *latencies) percentile(p int64) time.Duration {
	need := (l.n*p + 99) / 100
	for i, n := range l.buckets {
		if need -= n; need <= 0 && n > 0 {
			return min(valueOf(i), l.max)
		}
	}
	return l.max
}

func (l *latencies) summary(name string) Latency {
	ms := func(d time.Duration) float64 { return float64(d.Round(time.Microsecond).Microseconds()) / 1000 }
	return Latency{
		Name: name, Count: l.n, Unanswered: l.Unanswered, Silent: l.Silent, Errors: l.Errors, Late: l.Late,
		P50: ms(l.percentile(50)), P95: ms(l.percentile(95)), P99: ms(l.percentile(99)), Max: ms(l.max),
	}
}
