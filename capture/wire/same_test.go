package wire

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
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
	said := bufio.NewReader(stderr)
	for line, err := said.ReadString('\n'); !strings.Contains(line, "listening"); line, err = said.ReadString('\n') {
		if err != nil {
			cmd.Process.Kill()
			cmd.Wait()
			t.Skipf("tcpdump may not capture here: %s", line)
		}
	}
	go io.Copy(io.Discard, said)
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
func tapped(t *testing.T, b *brokertest.Broker) *collector {
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
	return &got
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
	for i, format := range combinations() {
		if os.Getenv("GCTAP_SLOW") == "" && !slices.Contains([]int{0, 7, 9, 14}, i) { // each option on and off, and each pair
			continue
		}
		t.Run(format, func(t *testing.T) {
			mirror := tapped(t, b)
			stop := tcpdump(t, addr)
			byProxy, _ := proxied(t, addr, func(addr string) {
				url := "tcp://" + addr + "?" + format
				if out, err := traffic(url, url, "gctap", "hush", "20", "héllo 😀 end").CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			})
			// What was rolled back was sent and never arrived.
			mirror.await(func(r []capture.Record) bool { return messages(r) >= messages(byProxy.records)-1 })
			byPcap := imported(t, stop())
			checkTraffic(t, byProxy)
			want := messagesOf(byProxy)
			arrived := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.Contains(s, "rolled back") })
			// A map is written otherwise by the broker.
			diffLines(t, "the mirror", withoutMaps(messagesOf(mirror)), withoutMaps(arrived))
			diffLines(t, "the capture", messagesOf(byPcap), want)
			checkNotes(t, byPcap)
		})
	}
}

// combinations are all ways to write the newest version.
func combinations() (all []string) {
	for i := range 16 {
		all = append(all, fmt.Sprintf("wireFormat.tightEncodingEnabled=%t&wireFormat.cacheEnabled=%t&wireFormat.sizePrefixDisabled=%t&jms.useCompression=%t",
			i&1 == 0, i&2 == 0, i&4 != 0, i&8 != 0))
	}
	return all
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
	mirror := tapped(t, b)
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
	mirror.await(func(r []capture.Record) bool { return messages(r) >= 100 })
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

// The three recordings of plain STOMP clients, by the version they speak.
func TestStompVersionsSeenTheSame(t *testing.T) {
	b := realBroker(t, brokertest.Options{Mirror: true})
	for _, version := range stompVersions {
		t.Run(version, func(t *testing.T) {
			const n = 10
			mirror := tapped(t, b)
			stop := tcpdump(t, b.Addr())
			byProxy, _ := proxied(t, b.Addr(), func(addr string) { stompTalk(t, addr, version, n) })
			mirror.await(func(r []capture.Record) bool { return messages(r) >= 2*n })
			want := messagesOf(mirror)
			if len(want) != 2*n {
				t.Errorf("the mirror has %d messages, want %d", len(want), 2*n)
			}
			byPcap := imported(t, stop()) // and what the tap's own connection did
			if got, want := countNotes(byProxy), fmt.Sprintf("ack %d, connect 2, disconnect 2, dispatch %d, subscribe 2", n, 2*n); got != want {
				t.Errorf("the proxy notes %s, want %s", got, want)
			}
			for what, c := range map[string]*collector{"the proxy": byProxy, "the capture": byPcap} {
				diffLines(t, what, messagesOf(c), want)
				if g := gapsOf(t, c); len(g) > 0 {
					t.Errorf("%s has gaps %v", what, g)
				}
				if strings.Contains(fmt.Sprintf("%+v", c.records), "hush") {
					t.Errorf("%s has the broker's password", what)
				}
			}
		})
	}
}

// countNotes says how many notes there are of each kind.
func countNotes(c *collector) string {
	counts := map[string]int{}
	for _, kind := range notesOf(c) {
		counts[kind]++
	}
	var all []string
	for kind, n := range counts {
		all = append(all, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
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

// TestUpdateCaptures takes testdata/captures anew, when asked to.
func TestUpdateCaptures(t *testing.T) {
	if os.Getenv("GCTAP_UPDATE_CAPTURES") == "" {
		t.Skip("takes testdata/captures anew with GCTAP_UPDATE_CAPTURES=1")
	}
	b := realBroker(t, brokertest.Options{OpenWire: "wireFormat.sizePrefixDisabled=true"})
	traffic := compiled(t, "WireTraffic")
	addr := strings.TrimPrefix(b.OpenWire(), "tcp://")
	for name, format := range map[string]string{
		"openwire-tight-cached":   "wireFormat.tightEncodingEnabled=true&wireFormat.cacheEnabled=true&wireFormat.sizePrefixDisabled=false",
		"openwire-tight-bare":     "wireFormat.tightEncodingEnabled=true&wireFormat.cacheEnabled=true&wireFormat.sizePrefixDisabled=true",
		"openwire-loose-packed":   "wireFormat.tightEncodingEnabled=false&wireFormat.cacheEnabled=false&wireFormat.sizePrefixDisabled=false&jms.useCompression=true",
		"openwire-loose-cached-5": "wireFormat.version=5&wireFormat.tightEncodingEnabled=false&wireFormat.cacheEnabled=true&wireFormat.sizePrefixDisabled=false",
	} {
		stop := tcpdump(t, addr)
		url := "tcp://" + addr + "?" + format
		if out, err := traffic(url, url, "gctap", "hush", "3", "héllo 😀 end", "300").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		keepCapture(t, name, stop())
	}
	for _, version := range stompVersions {
		stop := tcpdump(t, b.Addr())
		stompTalk(t, b.Addr(), version, 5)
		keepCapture(t, "stomp-"+version, stop())
	}
}

func keepCapture(t *testing.T, name string, file []byte) {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(file)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("testdata/captures/"+name+".pcap.gz", packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes, packed %d", name, len(file), packed.Len())
}

// stompVersions are the versions that clients ask for.
var stompVersions = []string{"1.0", "1.1", "1.2"}

// stompTalk has a client send n commands that a GC answers, each over one
// connection of a version, and ends when all is acknowledged.
func stompTalk(t *testing.T, addr, version string, n int) {
	t.Helper()
	gc, client := rawStomp(t, addr, version), rawStomp(t, addr, version)
	gc.send("SUBSCRIBE\nid:1\ndestination:/queue/Connector1\nack:client\nreceipt:r\n\n")
	gc.expect("RECEIPT")
	client.send("SUBSCRIBE\nid:1\ndestination:/topic/client.1\nack:auto\nreceipt:r\n\n")
	client.expect("RECEIPT")
	for i := range n {
		body := fmt.Sprintf("%d: ü, a\\b", i)
		length := ""
		if i%2 == 0 {
			length = fmt.Sprintf("content-length:%d\n", len(body))
		}
		client.send(fmt.Sprintf("SEND\ndestination:/queue/Connector1\nreply-to:/topic/client.1\ncorrelation-id:c\ntype:Beat#1001\nagent:1001\n%s\n%s", length, body))
		head := gc.expect("MESSAGE")
		gc.send("SEND\ndestination:/topic/client.1\n\n1001#State#READY#" + fmt.Sprint(i))
		client.expect("MESSAGE")
		if version == "1.2" {
			gc.send("ACK\nid:" + head["ack"] + "\n\n")
		} else {
			gc.send("ACK\nsubscription:1\nmessage-id:" + head["message-id"] + "\n\n")
		}
	}
	for _, c := range []*stompClient{gc, client} {
		c.send("DISCONNECT\nreceipt:bye\n\n")
		c.expect("RECEIPT")
		c.Close()
	}
}

// A stompClient writes frames as they are given.
type stompClient struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func rawStomp(t *testing.T, addr, version string) *stompClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &stompClient{conn, t, bufio.NewReader(conn)}
	accept := ""
	if version != "1.0" {
		accept = "accept-version:" + version + "\nhost:localhost\n"
	}
	c.send("CONNECT\n" + accept + "login:gctap\npasscode:hush\n\n")
	c.expect("CONNECTED")
	return c
}

func (c *stompClient) send(frame string) {
	c.t.Helper()
	if _, err := c.Write([]byte(frame + "\x00")); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads a frame and returns its headers.
func (c *stompClient) expect(command string) map[string]string {
	c.t.Helper()
	frame, err := c.r.ReadString(0)
	if err != nil {
		c.t.Fatal(err)
	}
	head, _, _ := strings.Cut(strings.TrimLeft(frame, "\r\n"), "\n\n")
	lines := strings.Split(head, "\n")
	if lines[0] != command {
		c.t.Fatalf("%q, want a %s", frame, command)
	}
	headers := map[string]string{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		headers[name] = value
	}
	return headers
}
