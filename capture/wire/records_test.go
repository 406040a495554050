package wire

import (
	"strconv"
	"testing"
)

// The last ids are known, and remembering takes no memory but that of the first.
func TestSeenTakesItsMemoryAtOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 100, 1000} {
		s := newSeen(size)
		ids := make([]string, 10*size)
		for i := range ids {
			ids[i] = strconv.Itoa(i)
		}
		wrong := 0
		from, to := 0, 1
		n := testing.AllocsPerRun(1, func() { // calls it twice, and counts the second
			for i := from; i < to; i++ {
				if !s.add(ids[i]) {
					wrong++
				}
				for _, known := range ids[max(0, i+1-size) : i+1] {
					if s.add(known) {
						wrong++
					}
				}
			}
			from, to = to, len(ids)
		})
		if n != 0 || wrong > 0 {
			t.Errorf("%d remembered: %v allocations after the first, %d wrong answers", size, n, wrong)
		}
	}
}
