package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/store"
)

// BenchmarkRecord sends b.N commands to a mirrored queue as fast as the broker
// takes them while gctap records, and reports how many a second were sent, how
// many of them were not stored, and the recorder's largest memory:
//
//	go test ./cmd/gctap -run '^$' -bench Record -benchtime 10000x
//	go test ./cmd/gctap -run '^$' -bench Record -benchtime 1000000x -timeout 30m
func BenchmarkRecord(b *testing.B) {
	for _, c := range []struct {
		name  string
		start func(testing.TB, brokertest.Options) *brokertest.Broker
	}{{"ActiveMQ", startActiveMQ}, {"InProcess", startBroker}} {
		b.Run(c.name, func(b *testing.B) { benchmarkRecord(b, c.start(b, brokertest.Options{Mirror: true})) })
	}
}

func benchmarkRecord(b *testing.B, broker *brokertest.Broker) {
	db := filepath.Join(b.TempDir(), "t.db")
	p := gctap(b, db, "record", broker.URL(), "--name", "s")
	p.until("recording session")
	gc, producer := reconnecting(b, broker), reconnecting(b, broker)
	taken := make(chan struct{}, b.N+1)
	_, err := gc.Subscribe(b.Context(), capture.Subscription{Destination: "queue://Connector1"}, func(capture.Delivery) { taken <- struct{}{} })
	if err != nil {
		b.Fatal(err)
	}
	body := []byte("5551234," + strings.Repeat("x", 140))
	b.ResetTimer()
	for i := range b.N {
		m := capture.Outgoing{To: "queue://Connector1", JMSType: new(fmt.Sprintf("MakeCall#%d", 1000+i%50)), Body: body}
		if err := producer.Send(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 { // a producer that does not flood the broker
			if err := producer.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := producer.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	sent := float64(b.N) / b.Elapsed().Seconds()
	for range b.N { // GC has lost none
		<-taken
	}
	stored := settledCommands(b, db)
	b.ReportMetric(sent, "sent/s")
	b.ReportMetric(float64(int64(b.N)-stored), "missing")
	b.ReportMetric(peakMiB(b, p.cmd.Process.Pid), "MiB-peak")
	p.end(os.Interrupt)
}

// settledCommands returns how many commands are stored once no more are.
func settledCommands(b *testing.B, db string) int64 {
	var before int64 = -1
	for {
		st, s, err := store.OpenSession(b.Context(), db, "s")
		if err != nil {
			b.Fatal(err)
		}
		st.Close()
		if s.Commands == before {
			return before
		}
		before = s.Commands
		time.Sleep(time.Second) // well over the recorder's delay
	}
}

// peakMiB is the most memory that a process has had (VmHWM).
func peakMiB(b *testing.B, pid int) float64 {
	peak, err := hasHad(pid)
	if err != nil {
		b.Skip(err)
	}
	return peak
}

func hasHad(pid int) (mib float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), "VmHWM:")
	if !ok {
		return 0, fs.ErrNotExist // it has ended
	}
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kib / 1024, err
}

// BenchmarkReaderMemory reports how much more memory the readers take on a
// large session than on one of 10 thousand messages: the whole process at its
// peak, SQLite's caches and all. GCTAP_BENCH_RECORDS makes the large one smaller.
//
//	go test ./cmd/gctap -run '^$' -bench ReaderMemory -benchtime 1x -timeout 1h
func BenchmarkReaderMemory(b *testing.B) {
	large, err := strconv.ParseInt(os.Getenv("GCTAP_BENCH_RECORDS"), 10, 64)
	if err != nil {
		large = 1_000_000
	}
	small, big := benchStore(b, 10_000), benchStore(b, large)
	for _, args := range []string{
		"show s", "show s --json", "show s --filter body.contains", "verify s", "check s", "stats s", "audit s --format csv",
		"export s -o OUT", "export s -o OUT --filter seq%2==0", "export s -o OUT --pseudonymise",
		"export s --format jsonl -o OUT", "export s --format csv -o OUT",
	} {
		b.Run(args, func(b *testing.B) {
			words := strings.Fields(strings.ReplaceAll(args, "body.contains", `body contains "000"`))
			if i := len(words) - 1; strings.Contains(args, "body.contains") {
				words = append(words[:i-2], strings.Join(words[i-2:], " "))
			}
			for b.Loop() {
				few, many := peakOf(b, small, words), peakOf(b, big, words)
				b.ReportMetric(many/few, "times-10k")
				b.ReportMetric(many, "MiB")
			}
		})
	}
}

// benchStore makes a store with one session, "s", of n messages of a busy site.
func benchStore(b *testing.B, n int64) string {
	b.Helper()
	db := filepath.Join(b.TempDir(), "bench.db")
	s, err := store.Open(context.Background(), db, store.Record)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	w, err := s.NewSession(context.Background(), store.SessionInfo{Name: "s", Origin: store.OriginRecord, StartedAt: nine, SiteTZ: "UTC", Redacted: true})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 5000
	for first := int64(1); first <= n; first += batch {
		var records []capture.Record
		for seq := first; seq < min(first+batch, n+1); seq++ {
			records = append(records, busy(seq))
		}
		if err := w.Write(context.Background(), capture.Batch{Records: records}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.End(context.Background(), "stopped"); err != nil {
		b.Fatal(err)
	}
	return db
}

// busy is the n-th message of a site of 200 agents: states, and calls that are
// answered and end.
func busy(n int64) capture.Record {
	agent := 1000 + n/5%200
	dialog := 700_000 + n/5
	at := time.Duration(n) * time.Millisecond
	rec := capture.Record{Seq: n, CapturedAt: nine.Add(at), Mono: at, Direction: capture.Event, Source: "stomp", Via: "mirror", BodyKind: capture.Text,
		To: fmt.Sprint("topic://client.", agent), Conn: "ID:gc-1-2-3:4", MessageID: fmt.Sprintf("ID:gc-34479-1795230156949-3:3:1:1:%d", n),
		Headers: []capture.Header{{Name: "priority", Value: "4"}, {Name: "expires", Value: "0"}}}
	call := fmt.Sprintf("#DialogID:%d#42512#ani=42512|callVariable1=%d#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:", dialog, n)
	switch n % 5 {
	case 0:
		rec.Body = fmt.Appendf(nil, "%d#NewInboundCall#42512#ani=42512#DialogID:%d#CallType:PREROUTE_ACD_IN#2026-11-23 09:02:00", agent, dialog)
	case 1:
		rec.Direction, rec.To, rec.JMSType = capture.Command, "queue://Connector1", new(fmt.Sprint("AnswerCall#", agent))
		rec.Body = fmt.Append(nil, dialog)
	case 2:
		rec.Body = fmt.Appendf(nil, "%d#InboundCall#ACTIVE%s", agent, call)
	case 3:
		rec.Body = fmt.Appendf(nil, "%d#InboundCall#DROPPED%s", agent, call)
	case 4:
		rec.Body = fmt.Appendf(nil, "%d#State#READY####2026-11-23 09:04:00#A B#%d#3001##A B#agent%d", agent, agent, agent)
	}
	return rec
}

// peakOf runs gctap on a store and returns the most memory that it has had, in
// MiB. What it writes is thrown away.
func peakOf(b *testing.B, db string, args []string) float64 {
	b.Helper()
	words := append([]string{"--db", db}, args...)
	for i := range words {
		if words[i] == "OUT" {
			words[i] = filepath.Join(b.TempDir(), "out")
		}
	}
	cmd := exec.Command("gctap", words...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	peak := 0.0
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			if code := cmd.ProcessState.ExitCode(); code != exitOK && code != exitNegative {
				b.Fatalf("%q: exit %d", args, code)
			}
			return peak
		case <-tick.C:
			if now, err := hasHad(cmd.Process.Pid); err == nil {
				peak = max(peak, now)
			}
		}
	}
}
