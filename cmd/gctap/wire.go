package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"gctap/capture"
	"gctap/capture/wire"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/store"
)

// What import --pcap and proxy share: from the rows of a wire.Decoder to a
// session.

// wireFlags are the flags of both.
type wireFlags struct {
	name        string
	siteTZ      string
	queues      []string
	topics      []string
	filter      string
	keepSecrets bool
}

// only says after each flag of import that it is for captures.
func (f *wireFlags) register(flags *pflag.FlagSet, only string) {
	flags.StringArrayVar(&f.queues, "queue", []string{defaultQueue}, "command queue of GC; others are found by what is on them"+only)
	flags.StringArrayVar(&f.topics, "topic", nil, "client topic that is recorded whatever is on it"+only)
	flags.StringVar(&f.siteTZ, "site-tz", "", "time zone of the times in messages (default: this machine's, marked as assumed)"+only)
	flags.StringVar(&f.filter, "filter", "", "keep only messages that this expression accepts; the others are counted"+only)
	flags.BoolVar(&f.keepSecrets, "keep-secrets", false, "store passwords as they come; the session is marked"+only)
}

func (f *wireFlags) check() error {
	if slices.Contains(f.queues, "") || slices.Contains(f.topics, "") {
		return usagef("--queue or --topic is empty: give a name")
	}
	if f.siteTZ != "" {
		if _, err := time.LoadLocation(f.siteTZ); err != nil {
			return usagef("--site-tz %s: %w; names are like Europe/Paris", f.siteTZ, err)
		}
	}
	_, err := store.CompileFilter(f.filter)
	return err
}

// flags are those that recording reads.
func (f *wireFlags) flags() recordFlags {
	return recordFlags{name: f.name, queues: f.queues, topics: f.topics, siteTZ: f.siteTZ, filter: f.filter, keepSecrets: f.keepSecrets, onFull: onFullStop}
}

// info is what is known of the session before anything was read.
func (f *wireFlags) info() store.SessionInfo {
	zone, assumed := siteZone(f.siteTZ)
	return store.SessionInfo{
		Name: f.name, Queues: f.queues, Topics: f.topics, SiteTZ: zone, TZAssumed: assumed, Redacted: !f.keepSecrets, Program: version,
	}
}

// A wireRecording brings what a Decoder reads to a session: what is GC's is
// recorded, all else is counted.
type wireRecording struct {
	*recording
	gate  *wire.Gate
	rec   *capture.Recorder // nil until there is a session
	pace  *pacer            // nil: whoever offers never waits
	done  chan error        // of rec.Run
	early map[string]int    // foreign messages before there was a session

	first  func(time.Time) error // begins the session with the first row; nil where it has begun
	halt   func(error)           // is told that nothing can be stored any more; may be nil
	failed error                 // of first
	until  time.Time             // when what was read is over; zero: when its recording is
}

func newWireRecording(r *recording) *wireRecording {
	w := &wireRecording{recording: r, early: map[string]int{}}
	w.gate = wire.NewGate(wire.GateConfig{
		Queues: r.flags.queues, Topics: r.flags.topics, Ours: isOurs, Handshake: handshakeTopics, Offer: w.offer, Foreign: w.foreign,
	})
	return w
}

// begin makes the session. tune changes how the recorder works.
func (w *wireRecording) begin(ctx context.Context, db *store.Store, info store.SessionInfo, tune func(*capture.RecorderConfig)) error {
	config, err := w.prepare(ctx, db, info)
	if err != nil {
		return err
	}
	tune(&config)
	w.rec = capture.NewRecorder(config)
	w.done = make(chan error, 1)
	go func() {
		err := w.rec.Run(context.WithoutCancel(ctx))
		w.pace.open()
		if err != nil && w.halt != nil {
			w.halt(err)
		}
		w.done <- err
	}()
	for dest, n := range w.early {
		for range n {
			w.rec.Foreign(dest)
		}
	}
	clear(w.early)
	return nil
}

// offer takes a row that is to be recorded.
func (w *wireRecording) offer(rec capture.Record) {
	if w.rec == nil && w.failed == nil {
		if w.failed = w.first(rec.CapturedAt); w.failed != nil && w.halt != nil {
			w.halt(w.failed)
		}
	}
	if w.failed != nil {
		return
	}
	w.rec.Offer(capture.Delivery{Record: rec, Ack: w.pace.enter(&rec)})
}

func (w *wireRecording) foreign(dest string) {
	if w.rec != nil {
		w.rec.Foreign(dest)
		return
	}
	if w.early[dest] == 0 && len(w.early) >= 10_000 {
		dest = capture.Others
	}
	w.early[dest]++
}

// end stores what is left and ends the session, with what is known of its
// brokers now. err is why reading ended, nil where it came to its end.
func (w *wireRecording) end(ctx context.Context, traffic []wire.Traffic, err error) error {
	w.gate.Close()
	if w.rec == nil {
		return err
	}
	defer func() { w.sink.reserve.free(); w.sink.reserve.freeLast() }()
	w.rec.Close()
	if failed := <-w.done; failed != nil {
		err = failed
	}
	if err == nil {
		err = w.amend(context.WithoutCancel(ctx), traffic)
	}
	if parts, ok := w.keep.(*partedSink); ok && err == nil && ctx.Err() == nil && !w.until.IsZero() {
		err = parts.part.EndAt(ctx, w.ended, w.until)
	}
	w.say.end()
	w.sayTraffic(traffic)
	return w.recording.end(ctx, w.rec, err)
}

// amend notes which brokers were seen, so that a replay knows them.
func (w *wireRecording) amend(ctx context.Context, traffic []wire.Traffic) error {
	schemes := map[string]string{"OpenWire": "tcp://", "STOMP": "stomp://"}
	broker, addresses := "", []string(nil)
	for _, t := range traffic {
		if scheme := schemes[t.Protocol]; scheme != "" && len(t.Servers) > 0 {
			if broker == "" {
				broker = scheme + t.Servers[0]
			}
			addresses = append(addresses, t.Servers...)
		}
	}
	parts, ok := w.keep.(*partedSink)
	if broker == "" || !ok {
		return nil
	}
	return parts.part.Amend(ctx, func(info *store.SessionInfo) {
		info.Broker = broker
		for _, a := range addresses {
			if !slices.Contains(info.Addresses, a) {
				info.Addresses = append(info.Addresses, a)
			}
		}
	})
}

// sayTraffic says what was on the wire, a line for each protocol.
func (w *wireRecording) sayTraffic(traffic []wire.Traffic) {
	for _, t := range traffic {
		w.say.line("  %s", trafficLine(t))
	}
}

// trafficLine is one protocol's.
func trafficLine(t wire.Traffic) string {
	to := strings.Join(t.Servers[:min(len(t.Servers), 3)], ", ")
	if len(t.Servers) > 3 {
		to += " and others"
	}
	line := fmt.Sprintf("%s: %d connections to %s, %s", t.Protocol, t.Connections, to, byteCount(t.Bytes))
	switch t.Protocol {
	case "TLS":
		line += ", encrypted: cannot be read"
	case "unknown":
		line += ", not read"
	default:
		line += fmt.Sprintf(", %d bytes missing, %d unreadable", t.Missing, t.Unreadable)
	}
	return line
}

// byteCount writes a number of bytes for people.
func byteCount(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// isOurs reports whether a message seen on the wire is certainly GC's or its
// clients': it decodes, by a row of the table, without an error.
func isOurs(rec *capture.Record) bool {
	if rec.Direction != capture.Command && rec.Source != "xuc" {
		return isEvent(rec)
	}
	m := flow.Decode(rec, decode.Options{})
	if rec.Source == "xuc" && m.Protocol != decode.XUC {
		return false
	}
	return m.Kind != decode.Unknown && wellFormed(&m)
}

// guessDirection says what a message is where its place does not tell; empty
// where it is neither command nor event.
func guessDirection(rec *capture.Record) capture.Direction {
	m := decode.Decode(decode.Input{Type: rec.JMSType, Body: rec.Body}, decode.Options{})
	switch {
	case !wellFormed(&m):
		return ""
	case m.Kind == decode.KindCommand:
		return capture.Command
	case m.Kind == decode.KindEvent && (m.Protocol != decode.GCJSON || m.Agent != ""):
		return capture.Event
	}
	return ""
}

// A pacer makes whoever reads wait for whoever writes, so that what is between
// them is bounded in bytes. A nil pacer lets everything through.
type pacer struct {
	mu     sync.Mutex
	room   sync.Cond
	limit  int
	size   int
	opened bool // nobody writes any more
}

func newPacer(limit int) *pacer {
	p := &pacer{limit: limit}
	p.room.L = &p.mu
	return p
}

// enter waits until there is room for a record. What it returns gives the room
// back.
func (p *pacer) enter(rec *capture.Record) (leave func()) {
	if p == nil {
		return nil
	}
	size := 512 + len(rec.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.size > 0 && p.size+size > p.limit && !p.opened {
		p.room.Wait()
	}
	p.size += size
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.size -= size
		p.room.Signal()
	}
}

// open lets everything through from now on.
func (p *pacer) open() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = true
	p.room.Broadcast()
}
