package model

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"gctap/capture"
	"gctap/store"
)

// busy is a Source of a session in which 200 agents change their states, made
// up from the seq.
type busy struct{ fake }

func (b *busy) After(_ context.Context, session, seq int64, n int) ([]store.Row, error) {
	states := []string{"READY", "RESERVED", "TALKING", "WORK", "NOT_READY"}
	var rows []store.Row
	for seq++; seq <= b.sessions[session-1].LastSeq && len(rows) < n; seq++ {
		agent := 1000 + seq%200
		at := time.Duration(seq) * 10 * time.Millisecond
		rows = append(rows, store.Row{Record: capture.Record{
			Seq: seq, CapturedAt: noon.Add(at), Mono: at, Direction: capture.Event, To: fmt.Sprint("topic://desk.", agent), BodyKind: capture.Text,
			Body: fmt.Appendf(nil, "%d#State#%s#0###2026-11-23 09:00:00#x#%d#3001##x#agent%d", agent, states[seq/200%5], agent, agent),
		}})
	}
	return rows, nil
}

// BenchmarkTimeline reads a session for the timeline, and then zooms to a
// hundredth of it: how long the first takes a message, the second at all, and
// what is held in memory afterwards.
func BenchmarkTimeline(b *testing.B) {
	for _, n := range []int64{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			src := &busy{fake{sessions: []store.Session{session(1, n, false)}}}
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				began := time.Now()
				s, err := makeSpool(b.Context(), src, src.sessions[0], func(int64, int64) {})
				if err != nil {
					b.Fatal(err)
				}
				read := time.Since(began)
				v := &TimelineView{session: src.sessions[0], spool: s}
				v.Resize(200, 60)
				v.all()
				v.zoom(0.01)
				want := bars{from: v.from, to: v.to, top: 0, rows: v.rows(), columns: v.columns()}
				began = time.Now()
				if v.drawn, err = s.bars(b.Context(), want); err != nil {
					b.Fatal(err)
				}
				zoomed := time.Since(began)
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(v)
				b.ReportMetric(float64(read.Nanoseconds())/float64(n), "ns/message")
				b.ReportMetric(float64(zoomed.Microseconds())/1000, "ms/zoom")
				b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MiB-held")
				s.close()
			}
		})
	}
}
