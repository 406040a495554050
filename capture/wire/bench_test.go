package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// writeTraffic writes a capture of n commands and their dispatches and acks, in
// tight and cached OpenWire over 20 pairs of connections.
func writeTraffic(t testing.TB, name string, n int) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	p := newPcapWriter(t)
	flush := func() {
		if _, err := out.Write(p.Bytes()); err != nil {
			t.Fatal(err)
		}
		p.Reset()
	}
	type pair struct {
		clients [2]*tcpTalk // who sends, who gets
		writers [2][2]openWireWriter
	}
	pairs := make([]pair, min(20, n))
	for i := range pairs {
		for k := range 2 {
			c := p.talk(fmt.Sprintf("10.0.%d.%d:40000", k+1, i+1), "10.0.0.2:61616").open()
			c.send(Client, info(pcapFormat))
			c.send(Server, info(pcapFormat))
			pairs[i].clients[k] = c
			for s := range 2 {
				pairs[i].writers[k][s].format = pcapFormat
			}
		}
	}
	for i := range n {
		x := &pairs[i%len(pairs)]
		m := textThing("queue://Connector1", fmt.Sprintf("ID:desk-%d-1", i%len(pairs)), i+1, "MakeCall#1001", "5001,some call of the usual length,"+strconv.Itoa(i))
		consumer := fmt.Sprintf("ID:gc-%d-1", i%len(pairs))
		x.clients[0].send(Client, x.writers[0][Client].frame(m))
		x.clients[1].send(Server, x.writers[1][Server].frame(dispatchThing(m, consumer)))
		x.clients[1].send(Client, x.writers[1][Client].frame(thing{"MessageAck", map[string]any{"consumerId": consumerThing(consumer), "type": 2, "count": 1,
			"destination": m.fields["destination"], "lastMessageId": m.fields["messageId"]}}))
		if p.Len() > 1<<20 {
			flush()
		}
	}
	flush()
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// peakHeap calls do and returns how far the heap grew above what it was.
func peakHeap(do func()) int64 {
	before, peak := liveHeap(), int64(0)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, int64(m.HeapAlloc)-before)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	do()
	close(done)
	<-stopped
	return peak
}

// liveHeap is what the heap holds that is still in use.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// readFile reads a capture, and calls each with the number of every command.
func readFile(t testing.TB, name string, each func(n int)) (messages int) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, err = ReadPcap(context.Background(), file, PcapConfig{Via: "bench", Emit: func(r capture.Record) {
		switch r.Direction {
		case capture.Command:
			messages++
			each(messages)
		case capture.GapRow:
			t.Errorf("gap: %v", r.Headers)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// BenchmarkPcap reads a capture of b.N messages, beside tshark reading the same
// file, where that is not too long: times-tshark is how many times as fast.
func BenchmarkPcap(b *testing.B) {
	name := filepath.Join(b.TempDir(), "bench.pcap")
	writeTraffic(b, name, b.N)
	b.ResetTimer()
	begin := time.Now()
	var got int
	before, live := liveHeap(), int64(0)
	peak := peakHeap(func() {
		got = readFile(b, name, func(n int) {
			if n == b.N {
				live = liveHeap() - before
			}
		})
	})
	ours := time.Since(begin)
	b.StopTimer()
	if got != b.N {
		b.Fatalf("%d messages of %d", got, b.N)
	}
	b.ReportMetric(float64(b.N)/ours.Seconds(), "messages/s")
	b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
	b.ReportMetric(float64(live)/(1<<20), "MiB-live") // the rest is what was not collected yet
	if b.N < 1000 || b.N > 200_000 {                  // of a million it would take tshark hours
		return
	}
	cmd := tshark(b, "-r", name, "-d", "tcp.port==61616,openwire")
	cmd.Stdout = io.Discard
	begin = time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(begin).Seconds()/ours.Seconds(), "times-tshark")
}

// BenchmarkProxy has a JMS client send b.N messages to an ActiveMQ and another
// get them, directly and through a proxy in turns, and then send one at a time
// and wait for it. ratio is of the throughput, more-ms the median's difference.
func BenchmarkProxy(b *testing.B) {
	if b.N < 1000 {
		return
	}
	broker, err := brokertest.StartActiveMQ(b.Context(), brokertest.Options{})
	if err != nil {
		b.Skip(err)
	}
	defer broker.Close()
	direct := strings.TrimPrefix(broker.OpenWire(), "tcp://")
	var rows int
	p, stop := runProxy(b, ProxyConfig{Pairs: []Pair{{Listen: "127.0.0.1:0", To: direct}}, Emit: func(capture.Record) { rows++ }})
	path, err := brokertest.ClassPath()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if out, err := exec.Command("javac", "-d", dir, "-cp", path, "testdata/jms/WireSpeed.java").CombinedOutput(); err != nil {
		b.Fatalf("javac: %v\n%s", err, out)
	}
	out, err := exec.Command("java", "-Xmx256m", "-cp", dir+":"+path, "WireSpeed", "tcp://"+direct, "tcp://"+p.Addr(0), strconv.Itoa(b.N), "7").Output()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	var rates, medians [2][]float64
	for line := range strings.Lines(string(out)) {
		var which int
		var rate, median float64
		if _, err := fmt.Sscan(line, &which, &rate, &median); err != nil {
			b.Fatalf("%q: %v", line, err)
		}
		rates[which], medians[which] = append(rates[which], rate), append(medians[which], median)
	}
	stop()
	middle := func(f []float64) float64 { slices.Sort(f); return f[len(f)/2] }
	b.ReportMetric(middle(rates[1])/middle(rates[0]), "ratio")
	b.ReportMetric(middle(rates[0]), "direct/s")
	b.ReportMetric(middle(medians[1])-middle(medians[0]), "more-ms")
	b.ReportMetric(middle(medians[0]), "direct-ms")
	b.ReportMetric(float64(p.Status().Left), "bytes-left-out")
	b.Logf("%d rows; rates %v, medians %v", rows, rates, medians)
}
