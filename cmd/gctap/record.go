package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/capture/stomptap"
	"gctap/decode"
	"gctap/store"
)

// What record does when nobody says otherwise.
const (
	defaultQueue    = "Connector1" // as seen on a real site: inventory 17.5
	defaultConsumer = "gctap"
	blindAfter      = 3 * time.Second // of events without a command
	redelivered     = 10_000          // message-ids that a durable tap may get again
	spillBytes      = 1 << 30         // of records that may wait in a file
)

type recordFlags struct {
	broker      brokerFlags
	queues      []string
	topics      []string
	mode        string
	consumer    string
	name        string
	duration    time.Duration
	siteTZ      string
	noDiscovery bool
	keepSecrets bool
	steal       bool
	onFull      string
}

func recordCommand(a *app) *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record BROKER",
		Short: "Tap a live broker until stopped, without taking a command away from GC",
		Long: `Tap a live broker until SIGINT, SIGTERM or --duration, and keep what is seen as a
session of the store. Passwords are masked before anything is written.

Modes, which say how commands are seen; every mode sees the events:
  auto       mirror, composite and events at once; leaves nothing on the broker
  mirror     the topic VirtualTopic.Mirror.QUEUE
  composite  the topic gctap.QUEUE
  durable    the queue Consumer.NAME.VirtualTopic.Mirror.QUEUE: the broker keeps
             commands while the tap is away, until the queue is read or deleted
  events     no commands
  browse     looks at GC's queue every second; misses what GC takes in between
  consume    takes the commands away from GC; needs --i-know-this-steals-commands

A broker copies commands once its administrator has added one of these inside
<broker> of activemq.xml and restarted it.

For mirror and auto:
` + indent(stomptap.BrokerXML(stomptap.Mirror, nil)) + `
For durable:
` + indent(stomptap.BrokerXML(stomptap.Durable, nil)) + `
For composite and auto:
` + indent(stomptap.BrokerXML(stomptap.Composite, []string{defaultQueue})),
		Example: "  gctap record stomp://broker:61613 --name incident --duration 10m",
		Args:    oneBroker,
		RunE:    func(cmd *cobra.Command, args []string) error { return record(cmd.Context(), a, args[0], f) },
	}
	flags := cmd.Flags()
	f.broker.register(flags)
	flags.StringArrayVar(&f.queues, "queue", []string{defaultQueue}, "command queue of GC; may be given several times")
	flags.StringArrayVar(&f.topics, "topic", nil, "client topic that is recorded whatever is on it; may be given several times")
	flags.StringVar(&f.mode, "mode", string(stomptap.Auto), "how commands are seen: see above")
	flags.StringVar(&f.consumer, "consumer", defaultConsumer, "name of this tap in durable mode")
	flags.StringVar(&f.name, "name", "", "name of the session (default: host and time)")
	flags.DurationVar(&f.duration, "duration", 0, "stop after this time")
	flags.StringVar(&f.siteTZ, "site-tz", "", "time zone of the times in messages (default: this machine's, marked as assumed)")
	flags.BoolVar(&f.noDiscovery, "no-discovery", false, "do not read all topics to find the clients'; handshakes and --topic find them")
	flags.BoolVar(&f.steal, "i-know-this-steals-commands", false, "with --mode consume: GC does not get the commands that are recorded")
	flags.StringVar(&f.onFull, "on-full", onFullStop, "when the disk is full: stop, or wait for room and count what does not fit into memory")
	flags.BoolVar(&f.keepSecrets, "keep-secrets", false, "store passwords as they come; the session is marked")
	return cmd
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// oneBroker checks the arguments of commands that take a BROKER.
func oneBroker(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s needs the broker's URL: gctap %s stomp://HOST:61613", cmd.Name(), cmd.Name())
	}
	return nil
}

func (f *recordFlags) check() error {
	if f.mode == string(stomptap.Consume) && !f.steal {
		return usagef("--mode consume takes every command away from GC, whose agents then wait for nothing: if that is meant, add --i-know-this-steals-commands")
	}
	if !slices.Contains(stomptap.Modes, stomptap.Mode(f.mode)) {
		return usagef("--mode %s: it is one of %s", f.mode, joinModes())
	}
	if err := checkConsumer(f.consumer); err != nil {
		return err
	}
	if f.onFull != onFullStop && f.onFull != onFullWait {
		return usagef("--on-full %s: it is stop or wait", f.onFull)
	}
	for _, queue := range f.queues {
		if strings.ContainsAny(queue, "*>") || queue == "" {
			return usagef("--queue %q: give the name of one queue, without wildcards", queue)
		}
	}
	if f.siteTZ != "" {
		if _, err := time.LoadLocation(f.siteTZ); err != nil {
			return usagef("--site-tz %s: %w; names are like Europe/Paris", f.siteTZ, err)
		}
	}
	return nil
}

// checkConsumer refuses names with which the broker's queue would not be the
// tap's own.
func checkConsumer(name string) error {
	if strings.ContainsAny(name, ".*> ") || name == "" {
		return usagef("--consumer %q: give a name without dots, blanks and wildcards; the broker's queue is named by it", name)
	}
	return nil
}

func joinModes() string {
	var names []string
	for _, m := range stomptap.Modes {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// record is the command.
func record(ctx context.Context, a *app, broker string, f recordFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	config, err := f.broker.config(broker)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, a.db, store.Record)
	if err != nil {
		return err
	}
	defer db.Close()
	r := &recording{app: a, flags: f, config: config, say: newTalker(a.Err), origin: store.OriginRecord}
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.duration, errDuration)
		defer cancel()
	}
	return r.run(ctx, db)
}

// errDuration is the cause of a context that --duration ended.
var errDuration = errors.New("duration")

// A recording is one run of record.
type recording struct {
	*app
	flags  recordFlags
	config link.Config
	say    *talker
	origin string // of the session
	ready  func() // told once everything is subscribed; may be nil
	sink   *guardedSink

	mu  sync.Mutex
	tap *stomptap.Tap // nil until there is a session
}

// run taps until ctx ends, and says at the end what there is.
func (r *recording) run(ctx context.Context, db *store.Store) error {
	r.config.Reconnect = true
	r.config.OnState = r.onState
	conn, err := link.Open(ctx, r.config)
	if err != nil {
		return err
	}
	defer conn.Close()
	session, seen, err := r.session(ctx, db, conn.Peer())
	if err != nil {
		return err
	}
	rec, err := r.recorder(ctx, db, session, seen)
	defer r.sink.reserve.free()
	if err != nil {
		return errors.Join(err, session.Close())
	}
	r.setTap(stomptap.New(r.tapConfig(), rec))
	stored := make(chan error, 1)
	go func() { stored <- rec.Run(context.WithoutCancel(ctx)) }()

	running := true
	if err = r.tap.Start(ctx, conn); err == nil {
		r.begin(session.Session())
		running, err = r.wait(ctx, conn, rec, stored)
	}
	conn.Close() // nothing is delivered from here on
	r.tap.End(time.Now())
	r.tap.Close()
	rec.Close()
	if running {
		err = errors.Join(err, <-stored)
	}
	return r.end(ctx, session, rec, err)
}

// session makes the session, or takes up the one that a durable tap with the
// same command line left when it died. seen are the message-ids that such a
// tap may get again.
func (r *recording) session(ctx context.Context, db *store.Store, peer link.Peer) (*store.Writer, []string, error) {
	info := r.info(peer)
	before, err := r.before(ctx, db, info)
	if err != nil || before == nil {
		w, err := db.NewSession(ctx, info)
		return w, nil, err
	}
	seen, err := recentIDs(ctx, db, before)
	if err != nil {
		return nil, nil, err
	}
	var w *store.Writer
	if before.Crashed() && (info.Name == "" || info.Name == before.Name) {
		w, err = db.Resume(ctx, before.ID)
	} else {
		w, err = db.NewSession(ctx, info)
	}
	return w, seen, err
}

func (r *recording) info(peer link.Peer) store.SessionInfo {
	zone, assumed := r.flags.siteTZ, false
	if zone == "" {
		zone, assumed = time.Local.String(), true
	}
	return store.SessionInfo{
		Name: r.flags.name, Origin: r.origin, Broker: r.config.Broker.String(), Identity: peer.Identity,
		Addresses: []string{peer.Addr}, Host: peer.Host, Mode: r.flags.mode, Queues: r.flags.queues, Topics: r.flags.topics,
		SiteTZ: zone, TZAssumed: assumed, Redacted: !r.flags.keepSecrets, Program: version,
	}
}

// before returns the last session of the same durable tap, nil where there is
// none.
func (r *recording) before(ctx context.Context, db *store.Store, info store.SessionInfo) (*store.Session, error) {
	if r.flags.mode != string(stomptap.Durable) {
		return nil, nil
	}
	sessions, err := db.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(sessions) {
		if s.Mode == info.Mode && s.Broker == info.Broker && slices.Equal(s.Queues, info.Queues) && !s.Live {
			return &s, nil
		}
	}
	return nil, nil
}

// recentIDs returns the last message-ids of a session, as many as a broker may
// deliver again.
func recentIDs(ctx context.Context, db *store.Store, s *store.Session) ([]string, error) {
	var ids []string
	for seq := s.LastSeq + 1; len(ids) < redelivered; {
		rows, err := db.Before(ctx, s.ID, seq, 1000)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		for _, row := range slices.Backward(rows) {
			if row.MessageID != "" {
				ids = append(ids, row.MessageID)
			}
		}
		seq = rows[0].Seq
	}
	slices.Reverse(ids)
	return ids, nil
}

func (r *recording) recorder(ctx context.Context, db *store.Store, session *store.Writer, seen []string) (*capture.Recorder, error) {
	s := session.Session()
	held, err := newReserve(db.Path())
	if err != nil {
		r.say.line("%v", err)
	}
	r.sink = &guardedSink{
		sink: session, reserve: held, wait: r.flags.onFull == onFullWait, stop: ctx.Done(), say: r.say, every: roomEvery,
	}
	ledger, err := db.Ledger(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	config := capture.RecorderConfig{
		Sink: r.sink, Start: s.StartedAt, LastSeq: s.LastSeq, Seen: seen, Ledger: ledger, Spill: spillBytes,
	}
	if r.flags.keepSecrets {
		r.say.line("--keep-secrets: passwords are stored as they come, and the session says so")
	} else {
		masker := decode.NewMasker()
		for _, secret := range r.config.Secrets() {
			masker.Learn(secret)
		}
		config.Mask = maskRecord(masker)
	}
	return capture.NewRecorder(config), nil
}

func (r *recording) tapConfig() stomptap.Config {
	return stomptap.Config{
		Mode: stomptap.Mode(r.flags.mode), Queues: r.flags.queues, Topics: r.flags.topics, Consumer: r.flags.consumer,
		NoDiscover: r.flags.noDiscovery, Handshake: handshakeTopics, IsEvent: isEvent,
		Say: func(text string) { r.say.line("%s", text) },
	}
}

func (r *recording) setTap(tap *stomptap.Tap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tap = tap
}

// onState is told by the link when the connection is lost and found.
func (r *recording) onState(s link.State) {
	r.mu.Lock()
	tap := r.tap
	r.mu.Unlock()
	if tap == nil {
		return
	}
	switch s.Change {
	case link.Down:
		tap.Down(s.At)
		r.say.line("connection lost: %v; trying again", s.Err)
	case link.Up:
		tap.Up(s.At)
		r.say.line("connected again to %s", s.Addr)
	case link.Complaint:
		r.say.line("%v", s.Err)
	}
}

// begin says what is being recorded and what will stay on the broker.
func (r *recording) begin(s store.Session) {
	r.say.line("recording session %d, %s, from %s in mode %s; Ctrl-C stops", s.ID, s.Name, s.Broker, s.Mode)
	r.sayLeftBehind()
	if r.flags.mode == string(stomptap.Consume) {
		r.say.line("mode consume takes commands away from GC")
	}
	if r.ready != nil {
		r.ready()
	}
}

func (r *recording) sayLeftBehind() {
	if r.flags.mode != string(stomptap.Durable) {
		return
	}
	for i, queue := range r.tapConfig().ConsumerQueues() {
		r.say.line("queue %s stays on the broker and fills while no tap reads it; 'gctap release %s --queue %s --consumer %s' drains it",
			queue, r.config.Broker, r.flags.queues[i], r.flags.consumer)
	}
}

// wait keeps the live line until ctx, the link or the recorder ends. running
// says whether the recorder still runs.
func (r *recording) wait(ctx context.Context, conn *link.Conn, rec *capture.Recorder, stored <-chan error) (running bool, err error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-ctx.Done():
			return true, nil // being stopped is how a recording ends
		case <-conn.Done():
			return true, conn.Err()
		case err := <-stored:
			return false, err
		case now := <-tick.C:
			line := liveLine(rec.Status())
			if why, blind := r.tap.Blind(now, blindAfter); blind {
				if !told {
					r.say.line("%s", why)
					told = true
				}
				line += "; commands are not visible"
			}
			r.say.status(line)
		}
	}
}

func liveLine(s capture.Status) string {
	line := fmt.Sprintf("received %d, stored %d, gaps %d, lost %d, behind %s", s.Received, s.Stored, s.Gaps, s.Lost, s.Behind.Round(10*time.Millisecond))
	if s.Spilled {
		line += ", waiting on disk"
	}
	return line
}

// end closes the session and says what there is.
func (r *recording) end(ctx context.Context, session *store.Writer, rec *capture.Recorder, err error) error {
	reason := "stopped"
	switch {
	case err != nil:
		reason = "failed: " + oneLine(err.Error())
	case errors.Is(context.Cause(ctx), errDuration):
		reason = "duration"
	}
	r.say.end()
	ctx = context.WithoutCancel(ctx)
	if !r.sink.since.IsZero() {
		r.unstored(ctx, session, rec)
	}
	s := session.Session()
	if endErr := session.End(ctx, reason); err == nil {
		err = endErr
	}
	session.Close()
	status := rec.Status()
	r.say.line("session %d, %s: %d commands, %d events, %d peer messages stored; %d copies dropped, %d foreign counted, %d lost, %d gaps",
		s.ID, s.Name, s.Commands, s.Events, s.Peers, status.Doubled, status.Foreign, status.Lost, s.Gaps)
	r.sayLeftBehind()
	if err != nil {
		return fmt.Errorf("recording stopped: %w; what was stored before is kept in session %d", err, s.ID)
	}
	if s.Gaps > 0 {
		return incomplete
	}
	return nil
}

// unstored puts into the room that the reserve left the row that says what was
// received and could not be stored.
func (r *recording) unstored(ctx context.Context, session *store.Writer, rec *capture.Recorder) {
	lost := r.sink.lost + int64(rec.Status().Waiting)
	gap := capture.Gap{From: r.sink.since, To: time.Now(), Reason: capture.GapStopped, Lost: &lost}
	row := gap.Record()
	row.Mono = max(0, gap.To.Sub(session.Session().StartedAt))
	if err := session.Write(ctx, capture.Batch{Records: []capture.Record{row}}); err != nil {
		r.say.line("%d messages were received and not stored, and there was no room to say so in the session: %v", lost, err)
	}
}
