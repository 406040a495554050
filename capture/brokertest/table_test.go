package brokertest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture/brokertest"

	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/go-cmp/cmp"
)

// A row exercises one behaviour and puts what it sees into words. What it sees
// must be equal on the broker in process and on a real ActiveMQ.
type row struct {
	name    string
	options brokertest.Options
	observe func(w *world)
}

// A world is a broker as a row uses it.
type world struct {
	t      *testing.T
	broker *brokertest.Broker
	prefix string // makes names of the row its own
	saw    []string
	ids    map[string]string
}

// sayf adds to what is observed.
func (w *world) sayf(format string, args ...any) {
	w.saw = append(w.saw, fmt.Sprintf(format, args...))
}

// TestBrokersBehaveAlike runs every row on both brokers. The rows share one
// broker of each kind for each set of options.
func TestBrokersBehaveAlike(t *testing.T) {
	both := map[string][]*brokertest.Broker{}
	for i, r := range rows {
		key := fmt.Sprintf("%+v", r.options)
		if both[key] == nil {
			memory, err := brokertest.Start(t.Context(), r.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { memory.Close() })
			both[key] = []*brokertest.Broker{memory, activeMQ(t, r.options)}
		}
		t.Run(r.name, func(t *testing.T) {
			var saw []string
			for _, b := range both[key] {
				w := &world{t: t, broker: b, prefix: fmt.Sprintf("row%d.", i), ids: map[string]string{}}
				r.observe(w)
				saw = append(saw, strings.ReplaceAll(strings.Join(w.saw, "\n"), w.prefix, ""))
			}
			if testing.Verbose() {
				t.Log("\n" + saw[1])
			}
			if diff := cmp.Diff(strings.Split(saw[1], "\n"), strings.Split(saw[0], "\n")); diff != "" {
				t.Errorf("ActiveMQ (-) and the broker in process (+) differ:\n%s", diff)
			}
			if reflect.DeepEqual(saw[0], "") {
				t.Error("nothing was observed")
			}
		})
	}
}

// activeMQ starts a real broker. Where there is none the test is skipped, but
// in a build job, which sets GCTAP_REQUIRE_ACTIVEMQ.
func activeMQ(t *testing.T, o brokertest.Options) *brokertest.Broker {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	b, err := brokertest.StartActiveMQ(ctx, o)
	if errors.Is(err, brokertest.ErrNoActiveMQ) && os.Getenv("GCTAP_REQUIRE_ACTIVEMQ") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(b.Log())
		}
		b.Close()
	})
	return b
}

// A peer is a bare STOMP client: what it sends and gets is not interpreted.
type peer struct {
	w      *world
	net    net.Conn
	reader *frame.Reader
	frames chan *frame.Frame
}

// raw connects without a CONNECT.
func (w *world) raw() *peer {
	p := w.dial()
	p.listen()
	return p
}

// deaf logs in and does not read until told to listen.
func (w *world) deaf() *peer {
	p := w.dial()
	p.net.(*net.TCPConn).SetReadBuffer(64 << 10)
	p.send("CONNECT", "", "accept-version", "1.2", "heart-beat", "0,0")
	if f, err := p.reader.Read(); err != nil || f.Command != frame.CONNECTED {
		w.t.Fatal(f, err)
	}
	return p
}

func (w *world) dial() *peer {
	w.t.Helper()
	c, err := net.Dial("tcp", w.broker.Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return &peer{w: w, net: c, reader: frame.NewReader(c), frames: make(chan *frame.Frame, 10_000)}
}

// listen begins to read.
func (p *peer) listen() {
	go func() {
		defer close(p.frames)
		for {
			f, err := p.reader.Read()
			if err != nil {
				return
			}
			if f != nil {
				p.frames <- f
			}
		}
	}()
}

// client connects and logs in with version 1.2, or what headers say.
func (w *world) client(headers ...string) *peer {
	w.t.Helper()
	p := w.raw()
	if len(headers) == 0 {
		headers = []string{"accept-version", "1.2", "heart-beat", "0,0"}
	}
	p.send("CONNECT", "", headers...)
	if f := p.next(); f == nil || f.Command != frame.CONNECTED {
		w.t.Fatalf("CONNECT was answered by %v", f)
	}
	return p
}

// send writes a frame with its headers as they are: escapes are the row's.
func (p *peer) send(command, body string, headers ...string) {
	p.w.t.Helper()
	var b strings.Builder
	b.WriteString(command + "\n")
	for i := 0; i < len(headers); i += 2 {
		b.WriteString(headers[i] + ":" + headers[i+1] + "\n")
	}
	b.WriteString("\n" + body + "\x00")
	if _, err := p.net.Write([]byte(b.String())); err != nil {
		p.w.t.Fatal(err)
	}
}

// next returns the next frame, nil when the connection has ended.
func (p *peer) next() *frame.Frame {
	p.w.t.Helper()
	select {
	case f := <-p.frames:
		return f
	case <-time.After(patience):
		p.w.t.Fatal("no frame came")
		return nil
	}
}

// sync sends a question and returns the frames that come before its answer.
func (p *peer) sync() (before []*frame.Frame) {
	p.w.t.Helper()
	p.send("BEGIN", "", "transaction", "sync")
	p.send("ABORT", "", "transaction", "sync", "receipt", "sync")
	for {
		f := p.next()
		if f == nil || f.Header.Get(frame.ReceiptId) == "sync" {
			return before
		}
		before = append(before, f)
	}
}

// subscribe subscribes and waits for the receipt; a refusal is observed.
func (p *peer) subscribe(id, destination string, headers ...string) {
	p.w.t.Helper()
	p.send("SUBSCRIBE", "", append([]string{"id", id, "destination", destination, "receipt", "sub-" + id}, headers...)...)
	for {
		f := p.next()
		if f == nil {
			p.w.sayf("the connection ended")
			return
		}
		if f.Header.Get(frame.ReceiptId) == "sub-"+id {
			if f.Command != frame.RECEIPT {
				p.w.frame(f)
			}
			return
		}
		p.w.t.Fatalf("SUBSCRIBE was answered by %v", f)
	}
}

var (
	idForm   = regexp.MustCompile(`ID:[^ :]+-\d+-\d{13}-\d+:\d+`)
	timeForm = regexp.MustCompile(`^\d{13}$`)
)

// frame observes a frame: its command, its headers in the order of their
// names, for ActiveMQ's own order is that of a hash, and its body. Ids are told
// by when they were first seen.
func (w *world) frame(f *frame.Frame) {
	if f == nil {
		w.sayf("the connection ended")
		return
	}
	var lines []string
	for i := range f.Header.Len() {
		name, value := f.Header.GetAt(i)
		if timeForm.MatchString(value) {
			value = "<time>"
		}
		if name == frame.Ack {
			value = "<ack>"
		}
		value = idForm.ReplaceAllStringFunc(value, func(id string) string {
			if w.ids[id] == "" {
				w.ids[id] = fmt.Sprintf("<id%d>", len(w.ids)+1)
			}
			return w.ids[id]
		})
		lines = append(lines, fmt.Sprintf("  %s: %q", name, value))
	}
	slices.Sort(lines)
	w.sayf("%s %q", f.Command, f.Body)
	w.saw = append(w.saw, lines...)
}

// error observes an ERROR without its body, where ActiveMQ has a stack trace.
func (w *world) error(f *frame.Frame) {
	if f != nil {
		f = f.Clone()
		f.Body = nil
		for _, name := range []string{frame.ContentType, frame.ContentLength} {
			f.Header.Del(name)
		}
	}
	w.frame(f)
}

// name makes a name of the row's own.
func (w *world) name(s string) string { return w.prefix + s }

// subscribe2 subscribes without waiting: messages may come before a receipt.
func (p *peer) subscribe2(id, destination string, headers ...string) {
	p.w.t.Helper()
	p.send("SUBSCRIBE", "", append([]string{"id", id, "destination", destination}, headers...)...)
}

func join(lines []string) string { return strings.Join(lines, "\n") }

// escape writes a header's value as STOMP 1.1 wants it.
func escape(s string) string { return strings.ReplaceAll(s, ":", `\c`) }
