package main

import (
	"fmt"
	"os"
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
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}
