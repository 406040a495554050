package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"gctap/capture"
)

// A jmsLink is a capture.Link over OpenWire: a real JMS client in a Java
// process of its own (testdata/jms/JMSLink.java), so that the simulated GC and
// agents can be what GC and its clients are at a customer's site.
type jmsLink struct {
	in   io.WriteCloser
	done chan struct{}

	mu      sync.Mutex
	err     error
	subs    map[string]func(capture.Delivery)
	waiting map[string]chan struct{} // line that answers -> who waits for it
	synced  int
	// notText counts messages that a GC could not have read, by kind.
	notText map[string]int
}

// compileJMSLink compiles the Java source once for a test.
func compileJMSLink(t *testing.T, classPath string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	out, err := exec.Command("javac", "-d", dir, "-cp", classPath, "testdata/jms/JMSLink.java").CombinedOutput()
	if err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	return dir
}

// dialJMS starts a Java process that is connected to the broker.
func dialJMS(t *testing.T, classes, classPath, url, user, password string) *jmsLink {
	t.Helper()
	cmd := exec.Command("java", "-Xmx128m", "-cp", classes+":"+classPath, "JMSLink", url, user, password)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &jmsLink{
		in: in, done: make(chan struct{}),
		subs: map[string]func(capture.Delivery){}, waiting: map[string]chan struct{}{}, notText: map[string]int{},
	}
	ready := l.expect("READY")
	go func() {
		l.read(out)
		err := cmd.Wait()
		l.mu.Lock()
		if err != nil {
			l.err = fmt.Errorf("JMSLink: %w: %s", err, stderr.String())
		}
		l.mu.Unlock()
		close(l.done)
	}()
	t.Cleanup(func() { l.Close() })
	if err := l.wait(t.Context(), ready); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *jmsLink) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		l.mu.Lock()
		if answered := l.waiting[line]; answered != nil {
			close(answered)
			delete(l.waiting, line)
		}
		l.mu.Unlock()
		if f := strings.Split(line, "\t"); f[0] == "MSG" {
			l.receive(f)
		}
	}
}

func (l *jmsLink) receive(f []string) {
	dest, kind := unbase64(f[1]), f[2]
	rec := capture.Record{
		CapturedAt: time.Now(), Source: "openwire", To: dest, MessageID: unbase64(f[5]), ReplyTo: unbase64(f[6]),
		BodyKind: capture.BodyKind(kind), Body: []byte(unbase64(f[4])),
	}
	if f[3] != "-" {
		rec.JMSType = new(unbase64(f[3]))
	}
	l.mu.Lock()
	deliver := l.subs[dest]
	readable := kind == "text" || kind == "null"
	if !readable {
		l.notText[kind]++
	}
	l.mu.Unlock()
	if readable {
		deliver(capture.Delivery{Record: rec})
	}
}

// expect registers who waits for a line before the line that asks for it is
// written.
func (l *jmsLink) expect(line string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	answered := make(chan struct{})
	l.waiting[line] = answered
	return answered
}

func (l *jmsLink) wait(ctx context.Context, answered chan struct{}) error {
	select {
	case <-answered:
		return nil
	case <-l.done:
		return fmt.Errorf("the JMS link has ended: %w", l.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *jmsLink) say(fields ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.in, strings.Join(fields, "\t")+"\n")
	return err
}

func (l *jmsLink) Subscribe(ctx context.Context, s capture.Subscription, deliver func(capture.Delivery)) (func() error, error) {
	l.mu.Lock()
	l.subs[s.Destination] = deliver
	l.mu.Unlock()
	answered := l.expect("SUBBED\t" + base64ed(s.Destination))
	if err := l.say("SUB", base64ed(s.Destination)); err != nil {
		return nil, err
	}
	return func() error { return nil }, l.wait(ctx, answered)
}

func (l *jmsLink) Send(_ context.Context, m capture.Outgoing) error {
	typ, replyTo := "-", "-"
	if m.JMSType != nil {
		typ = base64ed(*m.JMSType)
	}
	if m.ReplyTo != "" {
		replyTo = base64ed(m.ReplyTo)
	}
	return l.say("SEND", base64ed(m.To), typ, base64ed(string(m.Body)), replyTo)
}

func (l *jmsLink) Sync(ctx context.Context) error {
	l.mu.Lock()
	l.synced++
	n := fmt.Sprint(l.synced)
	l.mu.Unlock()
	answered := l.expect("SYNCED\t" + n)
	if err := l.say("SYNC", n); err != nil {
		return err
	}
	return l.wait(ctx, answered)
}

func (l *jmsLink) Identity() string      { return "" }
func (l *jmsLink) Done() <-chan struct{} { return l.done }

func (l *jmsLink) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *jmsLink) Close() error {
	l.in.Close()
	<-l.done
	return l.Err()
}

func base64ed(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func unbase64(field string) string {
	if field == "-" {
		return ""
	}
	text, err := base64.StdEncoding.DecodeString(field)
	if err != nil {
		panic(err) // the test's own Java process wrote it
	}
	return string(text)
}

var _ capture.Link = (*jmsLink)(nil)
