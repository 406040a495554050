package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"gctap/capture"
)

// The benchmarks of this file look at large sessions. They are made once and
// kept for all of them; GCTAP_BENCH_RECORDS makes them smaller.
var benchStores struct {
	sync.Mutex
	made map[int64]*Store
}

func benchRecords(b *testing.B) int64 {
	n, err := strconv.ParseInt(os.Getenv("GCTAP_BENCH_RECORDS"), 10, 64)
	if err != nil {
		return 1_000_000
	}
	return n
}

// bigStore returns a store with one session of n records of a busy site.
func bigStore(b *testing.B, n int64) *Store {
	b.Helper()
	benchStores.Lock()
	defer benchStores.Unlock()
	if s := benchStores.made[n]; s != nil {
		return s
	}
	dir, err := os.MkdirTemp("", "gctap-bench-")
	if err != nil {
		b.Fatal(err)
	}
	benchDirs = append(benchDirs, dir)
	s, err := Open(context.Background(), filepath.Join(dir, "big.db"), Record)
	if err != nil {
		b.Fatal(err)
	}
	w, err := s.NewSession(context.Background(), SessionInfo{Name: "big", Origin: OriginRecord, StartedAt: noon})
	if err != nil {
		b.Fatal(err)
	}
	for seq := int64(1); seq <= n; seq += 10 * benchBatch {
		var batch []capture.Record
		for i := range int64(10) {
			batch = append(batch, traffic(seq+i*benchBatch)...)
		}
		batch = batch[:min(int64(len(batch)), n-seq+1)]
		if err := w.Write(context.Background(), capture.Batch{Records: batch}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.End(context.Background(), "stopped"); err != nil {
		b.Fatal(err)
	}
	if benchStores.made == nil {
		benchStores.made = map[int64]*Store{}
	}
	benchStores.made[n] = s
	return s
}

// benchDirs are removed by TestMain.
var benchDirs []string

// firstPage opens a store and reads the first page of its session.
func firstPage(b *testing.B, path string) time.Duration {
	start := time.Now()
	s, err := Open(b.Context(), path, Read)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	one, err := s.Find(b.Context(), Last)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.After(b.Context(), one.ID, 0, 100); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkFirstPage reports how much longer a large session takes to its first
// page than an empty one. Promised: under 50 times.
func BenchmarkFirstPage(b *testing.B) {
	big := bigStore(b, benchRecords(b))
	empty := newStore(b)
	newSession(b, empty, "empty")
	var full, none time.Duration
	for b.Loop() {
		none += firstPage(b, empty.Path())
		full += firstPage(b, big.Path())
	}
	b.ReportMetric(float64(full)/float64(none), "times-empty")
}

// BenchmarkFilterFirstRows reports the time to the first 100 rows of a filter on
// an indexed field. Promised: 200 ms of 1 million.
func BenchmarkFilterFirstRows(b *testing.B) {
	n := benchRecords(b)
	s := bigStore(b, n)
	for _, text := range []string{
		`agent == "1007"`, `name == "NewInboundCall"`, `name in ["State", "NewInboundCall"]`, `conversation == "1100" && direction == "command"`,
		fmt.Sprintf(`fields.dialogId == "%d"`, n/5*5-4), `agent == "1007" || agent == "1008"`, `finding("missing-field")`, `agent == "nobody"`, fmt.Sprintf(`agent == "1007" && seq > %d`, n/10*9),
	} {
		b.Run(text, func(b *testing.B) {
			f := mustFilter(b, text)
			for b.Loop() {
				rows := 0
				for _, err := range s.Filtered(b.Context(), 1, f, 1) {
					if err != nil {
						b.Fatal(err)
					}
					if rows++; rows == 100 {
						break
					}
				}
			}
		})
	}
}

// BenchmarkBodySearch reports how much longer a search that finds nothing takes
// than a plain scan of the same bytes out of the same file. Promised: 3 times.
func BenchmarkBodySearch(b *testing.B) {
	s := bigStore(b, benchRecords(b))
	f := mustFilter(b, `body contains "no such text"`)
	var search, plain time.Duration
	for b.Loop() {
		start := time.Now()
		for range s.Filtered(b.Context(), 1, f, 1) {
			b.Fatal("found what is not there")
		}
		search += time.Since(start)
		plain += plainScan(b, s, []byte("no such text"))
	}
	b.ReportMetric(float64(search)/float64(plain), "times-scan")
	b.ReportMetric(float64(search.Milliseconds())/float64(b.N), "ms/search")
}

// plainScan looks for a text in the bytes of the file.
func plainScan(b *testing.B, s *Store, text []byte) time.Duration {
	start := time.Now()
	f, err := os.Open(s.Path())
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for {
		n, err := f.Read(buf)
		if bytes.Contains(buf[:n], text) {
			b.Fatal("found what is not there")
		}
		if err != nil {
			return time.Since(start)
		}
	}
}
