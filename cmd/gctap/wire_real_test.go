package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gctap/capture"
	"gctap/capture/brokertest"
)

// tcpdumpTo captures what goes to and comes from a port of this machine into a
// file until stop is called. It skips the test where that is not possible.
func tcpdumpTo(t *testing.T, file, addr string) (stop func()) {
	t.Helper()
	path, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("no tcpdump here")
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	// -Z root: it has to write where the test may.
	cmd := exec.Command(path, "-i", "lo", "-Z", "root", "-U", "--immediate-mode", "-s", "0", "-B", "65536", "-w", file, "tcp port "+port)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(stderr)
	for said.Scan() {
		if strings.Contains(said.Text(), "listening") {
			return func() {
				cmd.Process.Signal(os.Interrupt)
				for said.Scan() {
				}
				cmd.Wait()
			}
		}
	}
	cmd.Wait()
	t.Skip("tcpdump may not capture here")
	return nil
}

// jmsTalk is a client's morning with a GC, both over JMS: it signs in and gets
// ready, its call is taken and never answered, GC goes away, and the next
// command is never taken. Beside it another application uses the broker.
func jmsTalk(t *testing.T, gc, client capture.Link) {
	t.Helper()
	const topic = "topic://desk.1"
	answers := map[string]string{
		"Hello": "System#IN_SERVICE", "Connect": "1001#System#IN_SERVICE",
		"Login":     "1001#State#NOT_READY#-1###2026-11-21 09:00:01#José Müller#1001#3001##José Müller#jmuller",
		"MakeReady": "1001#State#READY####2026-11-21 09:00:02#José Müller#1001#3001##José Müller#jmuller",
	}
	taken, answered := make(chan string, 10), make(chan string, 10)
	_, err := gc.Subscribe(t.Context(), capture.Subscription{Destination: "queue://Connector1"}, func(d capture.Delivery) {
		name, _, _ := strings.Cut(d.Record.Type(), "#")
		if answer := answers[name]; answer != "" {
			gc.Send(t.Context(), capture.Outgoing{To: topic, Body: []byte(answer)})
		}
		taken <- name
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Subscribe(t.Context(), capture.Subscription{Destination: topic}, func(d capture.Delivery) { answered <- string(d.Record.Body) })
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][2]string{{"Hello#desk.1", ""}, {"Connect#1001", "desk.1,hush-hush"}, {"Login#1001", "hush-hush,3001"}, {"MakeReady#1001", ""}, {"MakeCall#1001", "5551234"}} {
		send(t, client, "queue://Connector1", command[0], command[1])
		send(t, client, "queue://orders", "", "another application's order")
		name := <-taken
		if answer := answers[name]; answer != "" {
			if got := <-answered; got != answer {
				t.Fatalf("%s was answered by %q", name, got)
			}
		}
	}
	if err := gc.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := gc.Close(); err != nil {
		t.Fatal(err)
	}
	send(t, client, "queue://Connector1", "MakeNotReady#1001", "")
}

// sameMessages is what three ways of recording have to agree on.
func sameMessages(all []capture.Record) (lines []string) {
	for i := range all {
		if r := &all[i]; r.Direction == capture.Command || r.Direction == capture.Event {
			lines = append(lines, fmt.Sprintf("%s %s %s %q %q", r.MessageID, r.Direction, r.To, r.Type(), r.Body))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestActiveMQProxyCaptureAndMirrorAgree: the same traffic of a GC and a client
// over JMS, through the proxy, in a packet capture, and by a mirror: three
// sessions with the same messages, and diff says so.
func TestActiveMQProxyCaptureAndMirrorAgree(t *testing.T) {
	broker := startActiveMQ(t, brokertest.Options{Mirror: true})
	classPath, err := brokertest.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	db, file, openWire := filepath.Join(dir, "t.db"), filepath.Join(dir, "gc.pcap"), strings.TrimPrefix(broker.OpenWire(), "tcp://")
	stop := tcpdumpTo(t, file, openWire)
	mirror := gctap(t, db, "record", broker.URL(), "--mode", "mirror", "--name", "mirror")
	mirror.until("recording session")
	relay := gctap(t, db, "proxy", "--listen", "127.0.0.1:0", "--to", openWire, "--name", "proxy")
	url := "tcp://" + listening(relay)
	classes := compileJMSLink(t, classPath)
	gc, client := dialJMS(t, classes, classPath, url, "gc", "x"), dialJMS(t, classes, classPath, url, "client", "x")
	jmsTalk(t, gc, client)
	waitStored(t, db, "mirror", 10)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	for p, name := range map[*process]string{mirror: "record", relay: "proxy"} {
		if code := p.end(os.Interrupt); code != exitOK {
			t.Errorf("%s: exit %d: %s", name, code, p.said())
		}
	}
	capturing := gctap(t, db, "import", "--pcap", file, "--name", "capture")
	if code := capturing.end(nil); code != exitOK {
		t.Errorf("import: exit %d: %s", code, capturing.said())
	}
	_, byMirror := records(t, db, "mirror")
	_, byProxy := records(t, db, "proxy")
	s, byCapture := records(t, db, "capture")
	want := sameMessages(byMirror)
	if len(want) != 10 || s.Commands != 6 || s.Events != 4 {
		t.Errorf("the mirror has %d messages; the capture %d commands and %d events", len(want), s.Commands, s.Events)
	}
	if got := sameMessages(byProxy); !slices.Equal(got, want) {
		t.Errorf("the proxy has\n%s\nthe mirror\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := sameMessages(byCapture); !slices.Equal(got, want) {
		t.Errorf("the capture has\n%s\nthe mirror\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, pair := range [][2]string{{"mirror", "proxy"}, {"mirror", "capture"}, {"proxy", "capture"}} {
		p := gctap(t, db, "diff", pair[0], pair[1])
		if code := p.end(nil); code != exitOK {
			t.Errorf("diff %s %s: exit %d:\n%s%s", pair[0], pair[1], code, p.out.String(), p.said())
		}
	}
	for _, name := range []string{"proxy", "capture"} {
		p := gctap(t, db, "check", "--late", "1ms", name)
		code, out := p.end(nil), ""
		out = p.out.String()
		if code != exitNegative || !strings.Contains(out, "MakeCall was taken by ") || !strings.Contains(out, "MakeNotReady was not taken from queue://Connector1") {
			t.Errorf("check %s: exit %d:\n%s", name, code, out)
		}
	}
	secretFree(t, dir, "hush-hush")
}

// secretFree looks for a secret in all files of a folder but packet captures.
func secretFree(t *testing.T, dir, secret string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(file) != ".pcap" && strings.Contains(string(text), secret) {
			t.Errorf("%s holds a password", file)
		}
	}
}
