package wire

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
)

// tcpdump captures what goes to and comes from a port of this machine. stop
// returns the capture once it holds everything before the call.
func tcpdump(t *testing.T, addr string) (stop func() []byte) {
	t.Helper()
	path, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("no tcpdump here")
	}
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "-i", "lo", "-U", "--immediate-mode", "-s", "0", "-B", "65536", "-w", "-", "tcp port "+port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 4096)
	n, err := stderr.Read(line)
	if err != nil || !bytes.Contains(line[:n], []byte("listening")) {
		cmd.Process.Kill()
		cmd.Wait()
		t.Skipf("tcpdump may not capture here: %s", line[:n])
	}
	mark := []byte("the end of the capture")
	marked, ended := make(chan struct{}), make(chan struct{})
	var held []byte
	go func() {
		defer close(ended)
		found := false
		for buf := make([]byte, 1<<16); ; {
			n, err := out.Read(buf)
			held = append(held, buf[:n]...)
			if !found && bytes.Contains(held[max(0, len(held)-n-len(mark)):], mark) {
				found = true
				close(marked)
			}
			if err != nil {
				return
			}
		}
	}()
	return func() []byte {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Write(mark)
			c.Close()
		}
		select {
		case <-marked:
		case <-ended:
		case <-t.Context().Done():
		}
		cmd.Process.Signal(os.Interrupt)
		<-ended
		cmd.Wait()
		return held
	}
}

// tapped records copies of commands on the mirror topic, and the events.
func tapped(t *testing.T, b *brokertest.Broker) (*collector, *link.Conn) {
	t.Helper()
	broker, err := link.ParseBroker(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := link.Open(t.Context(), link.Config{Broker: broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var got collector
	_, err = c.Subscribe(t.Context(), capture.Subscription{Destination: "topic://>"}, func(d capture.Delivery) {
		// ActiveMQ hands a text that is not compressed to STOMP as Java wrote it.
		d.Record.Body = javaUTF8(d.Record.Body)
		d.Record.To, d.Record.Direction = place(d.Record.To, d.Record.OriginalTo)
		got.emit(d.Record)
	})
	if err != nil {
		t.Fatal(err)
	}
	return &got, c
}

// messagesOf are the records of a collector that stand for messages, one line each.
func messagesOf(c *collector) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for _, r := range c.records {
		if r.Direction == capture.Note || r.Direction == capture.GapRow || seen[r.MessageID] {
			continue
		}
		seen[r.MessageID] = true
		body := string(r.Body)
		if r.BodyKind == capture.Map || strings.HasPrefix(body, "Map") { // STOMP has other ways to write a map
			body = "a map"
		}
		typ := "null"
		if r.JMSType != nil {
			typ = fmt.Sprintf("%q", *r.JMSType)
		}
		all = append(all, fmt.Sprintf("%s %s %s %s %s %q", r.MessageID, r.Direction, r.To, typ, r.ReplyTo, body))
	}
	slices.Sort(all)
	return all
}

func diffLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	cut := func(s string) string { return s[:min(len(s), 200)] }
	for _, s := range got {
		if !slices.Contains(want, s) {
			t.Errorf("%s has besides: %s", what, cut(s))
		}
	}
	for _, s := range want {
		if !slices.Contains(got, s) {
			t.Errorf("%s lacks: %s", what, cut(s))
		}
	}
}

func TestProxyPcapAndMirrorSeeTheSame(t *testing.T) {
	b := realBroker(t, brokertest.Options{OpenWire: "wireFormat.sizePrefixDisabled=true", Mirror: true})
	traffic := compiled(t, "WireTraffic")
	addr := strings.TrimPrefix(b.OpenWire(), "tcp://")
	for _, format := range wireFormats() {
		if !strings.Contains(format, "=12&") {
			continue
		}
		t.Run(format, func(t *testing.T) {
			mirror, tap := tapped(t, b)
			stop := tcpdump(t, addr)
			byProxy, _ := proxied(t, addr, func(addr string) {
				url := "tcp://" + addr + "?" + format
				if out, err := traffic(url, url, "gctap", "hush", "20", "héllo 😀 end").CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			})
			if err := tap.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			byPcap := imported(t, stop())
			checkTraffic(t, byProxy)
			want := messagesOf(byProxy)
			// What was rolled back was sent and never arrived.
			arrived := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.Contains(s, "rolled back") })
			// A map is written otherwise by the broker.
			diffLines(t, "the mirror", withoutMaps(messagesOf(mirror)), withoutMaps(arrived))
			diffLines(t, "the capture", messagesOf(byPcap), want)
			checkNotes(t, byPcap)
		})
	}
}

func withoutMaps(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return strings.Contains(s, `"Map#1001"`) })
}

// imported reads a capture.
func imported(t *testing.T, file []byte) *collector {
	t.Helper()
	var c collector
	stats, err := ReadPcap(context.Background(), bytes.NewReader(file), PcapConfig{Via: "lo.pcap", Emit: c.emit})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", stats)
	return &c
}

func TestStompOfARealBroker(t *testing.T) {
	b := realBroker(t, brokertest.Options{Mirror: true})
	mirror, tap := tapped(t, b)
	stop := tcpdump(t, b.Addr())
	byProxy, _ := proxied(t, b.Addr(), func(addr string) {
		gc, client := dial(t, "stomp://"+addr), dial(t, "stomp://"+addr)
		const n = 50
		done := make(chan struct{}, n)
		_, err := gc.Subscribe(t.Context(), capture.Subscription{Destination: "queue://Connector1", Individual: true}, func(d capture.Delivery) {
			go func() {
				gc.Send(t.Context(), capture.Outgoing{To: "topic://client.1", Body: append([]byte("1001#State#"), d.Record.Body...)})
				d.Ack()
			}()
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Subscribe(t.Context(), capture.Subscription{Destination: "topic://client.1"}, func(capture.Delivery) { done <- struct{}{} }); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			err := client.Send(t.Context(), capture.Outgoing{To: "queue://Connector1", JMSType: new("Beat#1001"), Body: fmt.Appendf(nil, "%d: ü", i),
				ReplyTo: "topic://client.1", CorrelationID: "c:1", Headers: []capture.Header{{Name: "agent", Value: "10:01"}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			<-done
		}
		if err := gc.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		gc.Close()
		client.Close()
	})
	if err := tap.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	byPcap := imported(t, stop())
	want := messagesOf(mirror)
	if len(want) != 100 {
		t.Errorf("the mirror has %d messages, want 100", len(want))
	}
	diffLines(t, "the proxy", messagesOf(byProxy), want)
	diffLines(t, "the capture", messagesOf(byPcap), want)
	dispatched, acked := 0, 0
	for _, n := range byProxy.of(capture.Note) {
		switch n.Header("amq.note") {
		case "dispatch":
			dispatched++
		case "ack":
			acked++
		}
	}
	if dispatched != 100 || acked != 50 {
		t.Errorf("%d dispatches and %d acks, want 100 and 50", dispatched, acked)
	}
	for _, g := range byProxy.of(capture.GapRow) {
		t.Errorf("gap: %s %v", g.Body, g.Headers)
	}
}

func dial(t *testing.T, url string) *link.Conn {
	t.Helper()
	broker, err := link.ParseBroker(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := link.Open(t.Context(), link.Config{Broker: broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
