package store

import (
	"context"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkMemory reports how much more memory reading, exporting and verifying
// take on a large session than on one of 10 thousand records: the highest heap
// seen while they run. Promised: 1.5 times. SQLite's own cache is bounded by
// its default of 2 MB a connection and not counted.
func BenchmarkMemory(b *testing.B) {
	small, big := bigStore(b, 10_000), bigStore(b, benchRecords(b))
	for _, c := range []struct {
		name string
		run  func(*testing.B, *Store)
	}{
		{"show", func(b *testing.B, s *Store) {
			for _, err := range s.Rows(b.Context(), 1, 1) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}},
		{"export", func(b *testing.B, s *Store) {
			if _, err := s.ExportFile(b.Context(), 1, filepath.Join(b.TempDir(), "out.db"), nil); err != nil {
				b.Fatal(err)
			}
		}},
		{"verify", func(b *testing.B, s *Store) {
			if v, err := s.Verify(b.Context(), 1, nil); err != nil || !v.OK() {
				b.Fatal(v.Describe(), err)
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				few := highestHeap(func() { c.run(b, small) })
				many := highestHeap(func() { c.run(b, big) })
				b.ReportMetric(float64(many)/float64(few), "times-10k")
				b.ReportMetric(float64(many)/(1<<20), "MiB")
			}
		})
	}
}

// highestHeap runs f and returns the highest heap that was seen meanwhile. The
// collector is kept close to what lives: otherwise a longer run only shows a
// higher crest of what is waiting for it.
func highestHeap(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	var highest atomic.Uint64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			highest.Store(max(highest.Load(), m.HeapInuse))
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	f()
	cancel()
	<-done
	return highest.Load()
}
