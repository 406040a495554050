package wire

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// realBroker starts an ActiveMQ, or skips the test where there is none.
func realBroker(t *testing.T, o brokertest.Options) *brokertest.Broker {
	t.Helper()
	b, err := brokertest.StartActiveMQ(t.Context(), o)
	if errors.Is(err, brokertest.ErrNoActiveMQ) && os.Getenv("GCTAP_REQUIRE_ACTIVEMQ") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// compiled compiles testdata/jms/NAME.java and returns what runs it.
func compiled(t *testing.T, name string) func(args ...string) *exec.Cmd {
	t.Helper()
	path, err := brokertest.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command("javac", "-d", dir, "-cp", path, filepath.Join("testdata/jms", name+".java")).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return func(args ...string) *exec.Cmd {
		return exec.Command("java", append([]string{"-Xmx128m", "-cp", dir + ":" + path, name}, args...)...)
	}
}

// collector keeps records.
type collector struct {
	mu      sync.Mutex
	records []capture.Record
	more    sync.Cond // L is set by who waits
}

func (c *collector) emit(r capture.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, r)
	if c.more.L != nil {
		c.more.Broadcast()
	}
}

// await returns when enough says that the records are enough. The test's own
// time limit bounds it.
func (c *collector) await(enough func([]capture.Record) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.more.L = &c.mu; !enough(c.records); {
		c.more.Wait()
	}
}

// messages counts the messages among records, copies once.
func messages(records []capture.Record) int {
	seen := map[string]bool{}
	for _, r := range records {
		if r.Direction != capture.Note && r.Direction != capture.GapRow {
			seen[r.MessageID] = true
		}
	}
	return len(seen)
}

// of returns the records of a direction.
func (c *collector) of(d capture.Direction) (all []capture.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.records {
		if r.Direction == d {
			all = append(all, r)
		}
	}
	return all
}

// proxied runs a proxy to an address for as long as do takes.
func proxied(t *testing.T, to string, do func(addr string)) (*collector, []Traffic) {
	t.Helper()
	var c collector
	p, err := ListenProxy(ProxyConfig{Pairs: []Pair{{Listen: "127.0.0.1:0", To: to}}, Emit: c.emit, Say: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []Traffic)
	go func() { done <- p.Run(ctx) }()
	do(p.Addr(0))
	cancel()
	return &c, <-done
}

func summaryOf(r capture.Record) string {
	body := string(r.Body)
	if len(body) > 60 {
		body = fmt.Sprintf("%s… %d bytes", body[:60], len(r.Body))
	}
	return fmt.Sprintf("%s %s %q %s %q", r.Direction, r.To, r.Type(), r.BodyKind, body)
}

// wantTraffic is what WireTraffic says, but for the plain commands.
var wantTraffic = []string{
	`command queue://Connector1 "Login#1001" text "hush,3001"`,
	`command queue://Connector1 "Hello#client.1" null ""`,
	`command queue://Connector1 "" text ""`,
	`command queue://Connector1 "" text "no type"`,
	`command queue://Connector1 "MakeCall#1001" text "héllo 😀 \x00 end"`,
	`command queue://Connector1 "MakeCall#1001" text "` + strings.Repeat("long ", 12) + `… 100000 bytes"`,
	`command queue://Connector1 "Bytes#1001" bytes "\x01\x02\x03\x00\xff"`,
	`command queue://Connector1 "Map#1001" map "{\"n\":-7,\"name\":\"välue\"}"`,
	`command queue://Connector1 "Ready#1001" text "rolled back"`,
	`command queue://Connector1 "Ready#1001" text "committed"`,
}

func checkTraffic(t *testing.T, c *collector) {
	t.Helper()
	var got []string
	for _, r := range c.of(capture.Command) {
		s := summaryOf(r)
		s = strings.Replace(s, `😀 end`, `😀 \x00 end`, 1)                                            // left out where STOMP looks on: a broker sends it NUL without a length
		s = strings.Replace(s, `{\"name\":\"välue\",\"n\":-7}`, `{\"n\":-7,\"name\":\"välue\"}`, 1) // Java's maps have no order
		if !strings.Contains(s, "Beat#1001") {
			got = append(got, s)
		}
	}
	for i := range max(len(got), len(wantTraffic)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(wantTraffic) {
			w = wantTraffic[i]
		}
		if g != w {
			t.Errorf("command %d\n got %s\nwant %s", i, g, w)
		}
	}
	for _, g := range c.of(capture.GapRow) {
		t.Errorf("gap: %s %v", g.Body, g.Headers)
	}
	if n := len(c.of(capture.Peer)); n != 1 {
		t.Errorf("%d messages between GCs, want 1", n)
	}
}

// wireFormats are the options of a JMS client's URL that change its bytes.
func wireFormats() (all []string) {
	for _, version := range []int{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1} {
		for _, tight := range []bool{true, false} {
			for _, cached := range []bool{true, false} {
				for _, noPrefix := range []bool{false, true} {
					if version < 12 && noPrefix != cached { // half of them tell enough
						continue
					}
					all = append(all, fmt.Sprintf("wireFormat.version=%d&wireFormat.tightEncodingEnabled=%t&wireFormat.cacheEnabled=%t&wireFormat.sizePrefixDisabled=%t&jms.useCompression=%t",
						version, tight, cached, noPrefix, tight == cached))
				}
			}
		}
	}
	return all
}

func TestOpenWireOfARealBroker(t *testing.T) {
	b := realBroker(t, brokertest.Options{OpenWire: "wireFormat.sizePrefixDisabled=true"}) // and off where the client wants it on
	traffic := compiled(t, "WireTraffic")
	for _, format := range wireFormats() {
		if strings.Contains(format, "=12&") || os.Getenv("GCTAP_SLOW") != "" {
			t.Run(format, func(t *testing.T) {
				c, _ := proxied(t, strings.TrimPrefix(b.OpenWire(), "tcp://"), func(addr string) {
					url := "tcp://" + addr + "?" + format
					if out, err := traffic(url, url, "gctap", "hush", "20", "héllo 😀 NUL end").CombinedOutput(); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
				})
				checkTraffic(t, c)
				checkNotes(t, c)
				checkFormat(t, c, format)
			})
		}
	}
}

// checkNotes finds for each command and event who got it and that he said so.
func checkNotes(t *testing.T, c *collector) {
	t.Helper()
	dispatched, acked := map[string]string{}, map[string]bool{}
	for _, n := range c.of(capture.Note) {
		switch n.Header("amq.note") {
		case "dispatch":
			dispatched[n.Header("amq.message-id")] = n.Header("amq.client-id")
		case "ack":
			for _, h := range n.Headers {
				if h.Name == "amq.message-id" {
					acked[h.Value] = true
				}
			}
		case "error":
			t.Errorf("%s", n.Body)
		}
		if strings.Contains(string(n.Body), "hush") || slices.ContainsFunc(n.Headers, func(h capture.Header) bool { return strings.Contains(h.Value, "hush") }) {
			t.Errorf("a password in %s %v", n.Body, n.Headers)
		}
	}
	for _, r := range slices.Concat(c.of(capture.Command), c.of(capture.Event)) {
		want := "gc-1"
		if r.Direction == capture.Event {
			want = "client-1"
		}
		if string(r.Body) == "rolled back" {
			want = ""
		}
		if got := dispatched[r.MessageID]; got != want {
			t.Errorf("%s went to %q, want %q", summaryOf(r), got, want)
		}
		if want != "" && !acked[r.MessageID] {
			t.Errorf("%s was not acknowledged", summaryOf(r))
		}
	}
}

// checkFormat holds what was found to have been agreed against the URL.
func checkFormat(t *testing.T, c *collector, url string) {
	t.Helper()
	options, err := neturl.ParseQuery(url)
	if err != nil {
		t.Fatal(err)
	}
	version, err := strconv.Atoi(options.Get("wireFormat.version"))
	if err != nil {
		t.Fatal(err)
	}
	f := format{version: version, tight: options.Get("wireFormat.tightEncodingEnabled") == "true",
		cached: options.Get("wireFormat.cacheEnabled") == "true", noPrefix: options.Get("wireFormat.sizePrefixDisabled") == "true"}
	for _, n := range c.of(capture.Note) {
		if n.Header("amq.note") == "connect" && !strings.HasPrefix(string(n.Body), "connected with "+f.String()+" as") {
			t.Errorf("%s, want %s", n.Body, f)
		}
	}
}
