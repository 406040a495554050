package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/capture/stomptap"
	"gctap/decode"
	"gctap/store"
)

// What a recording allows itself.
const (
	blindAfter  = 3 * time.Second // of events without a command
	standstill  = 5 * time.Second // between two ticks of a second: the process was stopped
	redelivered = 10_000          // message-ids that a durable tap may get again
	spillBytes  = 1 << 30         // of records that may wait in a file
	logLimit    = 1 << 30         // of the write-ahead log: far more than it needs
	caughtUp    = 500             // records waiting: few enough to attach again
)

// errDuration is the cause of a context that --duration ended.
var errDuration = errors.New("duration")

// A recording is one run of record.
type recording struct {
	*app
	flags  recordFlags
	config link.Config
	say    *talker
	origin string // of the session
	ended  string // why it ends where nobody stops it
	ready  func() // told once everything is subscribed; may be nil
	sink   *guardedSink
	keep   keeper
	began  time.Time      // to tap
	moves  sync.WaitGroup // of the tap away from its topics and back
	moving atomic.Bool
	filter *store.Filter // nil: everything is kept

	mu  sync.Mutex
	tap *stomptap.Tap // nil until there is a session
}

// run taps until ctx ends, and says at the end what there is.
func (r *recording) run(ctx context.Context, db *store.Store) error {
	r.config.Reconnect = true
	r.config.OnState = r.onState
	conn, err := link.Open(ctx, r.config)
	if errors.Is(context.Cause(ctx), errDuration) {
		return fmt.Errorf("connect to %s: no answer within --duration", r.config.Broker)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	prepared, err := r.prepare(ctx, db, r.info(conn.Peer()))
	if err != nil {
		return err
	}
	rec := capture.NewRecorder(prepared)
	defer func() { r.sink.reserve.free(); r.sink.reserve.freeLast() }()
	stopMetrics, err := r.serveMetrics(rec)
	if err != nil {
		return errors.Join(err, r.keep.end(ctx, "failed: "+oneLine(err.Error())))
	}
	defer stopMetrics()
	r.setTap(stomptap.New(r.tapConfig(), rec))
	stored := make(chan error, 1)
	go func() { stored <- rec.Run(context.WithoutCancel(ctx)) }()

	running := true
	if err = r.tap.Start(ctx, conn); err == nil {
		r.begin()
		running, err = r.wait(ctx, conn, rec, stored)
	}
	conn.Close() // nothing is delivered from here on
	r.moves.Wait()
	r.tap.End(time.Now())
	r.tap.Close()
	rec.Close()
	if running {
		err = errors.Join(err, <-stored)
	}
	return r.end(ctx, rec, err)
}

func (r *recording) serveMetrics(rec *capture.Recorder) (stop func(), err error) {
	if r.flags.metrics == "" {
		return func() {}, nil
	}
	visible := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.tap != nil && r.tap.Via() != ""
	}
	return serveMetrics(r.flags.metrics, rec.Status, visible)
}

// prepare makes all that is behind the recorder.
func (r *recording) prepare(ctx context.Context, db *store.Store, info store.SessionInfo) (config capture.RecorderConfig, err error) {
	if config, err = r.keeper(ctx, db, info); err != nil {
		return config, err
	}
	held, err := newReserve(db.Path())
	if err != nil {
		r.say.line("%v", err)
	}
	r.sink = &guardedSink{
		sink: r.keep, spare: r.keep.spare, reserve: held, wait: r.flags.onFull == onFullWait, stop: ctx.Done(), say: r.say, every: roomEvery,
	}
	config.Sink, config.Spill = r.sink, spillBytes
	if r.filter, err = store.CompileFilter(r.flags.filter); err != nil {
		return config, err // not reached: the flag was checked
	}
	if r.filter != nil {
		config.Keep = store.NewSieve(r.filter).Keep
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
	return config, nil
}

// keeper makes what sessions are kept in, and says where the recorder begins:
// anew, or where a durable tap with the same command line was cut.
func (r *recording) keeper(ctx context.Context, db *store.Store, info store.SessionInfo) (config capture.RecorderConfig, err error) {
	if r.flags.ring.before > 0 {
		trigger, err := store.CompileFilter(r.flags.trigger)
		if err != nil {
			return config, err
		}
		r.keep = newRingSink(db, info, r.flags.ring, store.NewSieve(trigger).Keep, r.say)
		config.Start = time.Now()
		return config, nil
	}
	w, seen, err := r.session(ctx, db, info)
	if err != nil {
		return config, err
	}
	if why := w.Unsigned(); why != nil {
		r.say.line("the session is not signed: %v", why)
	}
	s := w.Session()
	r.keep = newPartedSink(db, w, s.SessionInfo, r.flags.parts, r.say)
	ledger, err := db.Ledger(ctx, s.ID)
	return capture.RecorderConfig{Start: s.StartedAt, LastSeq: s.LastSeq, Seen: seen, Ledger: ledger}, err
}

// session makes the session, or takes up the one that a durable tap with the
// same command line left when it died. seen are the message-ids that such a
// tap may get again.
func (r *recording) session(ctx context.Context, db *store.Store, info store.SessionInfo) (*store.Writer, []string, error) {
	before, err := r.before(ctx, db, info)
	if err != nil || before == nil {
		w, err := db.NewSession(ctx, info)
		return w, nil, err
	}
	seen, err := recentIDs(ctx, db, before)
	if err != nil {
		return nil, nil, err
	}
	if before.Crashed() && (info.Name == "" || info.Name == before.Name) {
		w, err := db.Resume(ctx, before.ID)
		return w, seen, err
	}
	// A service that was stopped and is started again with its --name: its parts
	// are of one recording.
	info.Parent = before.Parent
	if info.Name, err = freeName(ctx, db, info.Name); err != nil {
		return nil, nil, err
	}
	w, err := db.NewSession(ctx, info)
	return w, seen, err
}

// freeName returns name, or where a session has it name.2, name.3 and so on.
func freeName(ctx context.Context, db *store.Store, name string) (string, error) {
	sessions, err := db.Sessions(ctx)
	if err != nil || name == "" {
		return name, err
	}
	taken := map[string]bool{}
	for _, s := range sessions {
		taken[s.Name] = true
	}
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s.%d", name, n)
	}
	return free, nil
}

func (r *recording) info(peer link.Peer) store.SessionInfo {
	zone, assumed := siteZone(r.flags.siteTZ)
	return store.SessionInfo{
		Name: r.flags.name, Origin: r.origin, Broker: r.config.Broker.String(), Identity: peer.Identity,
		Addresses: []string{peer.Addr}, Host: peer.Host, Mode: r.flags.mode, Queues: r.flags.queues, Topics: r.flags.topics,
		SiteTZ: zone, TZAssumed: assumed, Redacted: !r.flags.keepSecrets, Program: version, Command: r.flags.command(),
	}
}

// siteZone returns the time zone of the times in messages, and whether nobody
// said so.
func siteZone(flag string) (zone string, assumed bool) {
	if flag == "" {
		return zoneName(time.Local.String(), "/etc/localtime"), true
	}
	return flag, false
}

// zoneName returns a name for this machine's time zone that means the same on
// another one. What the machine takes from a link has no name but Local: the
// link then tells it, where it leads into the zone database.
func zoneName(local, link string) string {
	if local != "Local" {
		return local
	}
	path, err := filepath.EvalSymlinks(link)
	if err != nil {
		return local
	}
	_, name, ok := strings.Cut(filepath.ToSlash(path), "/zoneinfo/")
	if _, err := time.LoadLocation(name); !ok || err != nil {
		return local
	}
	return name
}

// before returns the last session of the same durable tap, nil where there is
// none.
func (r *recording) before(ctx context.Context, db *store.Store, info store.SessionInfo) (*store.Session, error) {
	if info.Command == "" {
		return nil, nil
	}
	sessions, err := db.Sessions(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(sessions) {
		if s.Command == info.Command && s.Broker == info.Broker && !s.Live {
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
func (r *recording) begin() {
	r.began = time.Now()
	if s := r.keep.current(); s.ID > 0 {
		r.say.line("recording session %d, %s, from %s in mode %s; Ctrl-C stops", s.ID, s.Name, s.Broker, s.Mode)
	} else {
		r.say.line("flight recorder: the last %s from %s in mode %s are kept in memory until a message is %s; Ctrl-C stops",
			r.flags.ring.before, r.config.Broker, r.flags.mode, r.flags.trigger)
	}
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
	w := &watch{recording: r, rec: rec, ticked: r.began}
	for {
		select {
		case <-ctx.Done():
			return true, nil // being stopped is how a recording ends
		case <-conn.Done():
			return true, conn.Err()
		case err := <-stored:
			return false, err
		case <-tick.C:
			w.tick(time.Now())
		}
	}
}

// A watch looks every second at how a recording goes.
type watch struct {
	*recording
	rec    *capture.Recorder
	ticked time.Time
	lost   int64
	told   bool // that commands are not visible

	toldLog bool // that the write-ahead log grows
}

func (w *watch) tick(now time.Time) {
	s := w.rec.Status()
	w.stoodStill(now)
	w.keepUp(s, now)
	w.watchLog()
	line := liveLine(s)
	if why, blind := w.tap.Blind(now, blindAfter); blind {
		if !w.told {
			w.say.line("%s", why)
			w.told = true
		}
		line += "; commands are not visible"
	}
	w.say.status(line)
}

// watchLog says once when the write-ahead log beside the store has grown:
// somebody keeps a read transaction open, and the log cannot be folded back.
func (w *watch) watchLog() {
	info, err := os.Stat(w.db + "-wal")
	if w.toldLog || err != nil || info.Size() < logLimit {
		return
	}
	w.toldLog = true
	w.say.line("the log %s-wal has grown to %d MiB: another program keeps the store open in one long read; end it before the disk fills", w.db, info.Size()>>20)
}

// stoodStill notes that the process was stopped for a while (SIGSTOP, a
// suspended machine): the broker keeps only so much for a reader that does not
// read, and does not say what it dropped.
func (w *watch) stoodStill(now time.Time) {
	from := w.ticked
	w.ticked = now
	if now.Round(0).Sub(from.Round(0)) < standstill { // by the wall clock, which goes on while a machine sleeps
		return
	}
	w.rec.Gap(capture.Gap{From: from, To: now, Reason: capture.GapStopped})
	w.say.line("the program stood still for %s; messages may be missing", now.Round(0).Sub(from.Round(0)).Round(time.Second))
}

// keepUp detaches the tap from topics while it cannot keep up. The broker is
// asked beside this loop: it may take its time to answer.
func (w *watch) keepUp(s capture.Status, now time.Time) {
	dropping := s.Lost > w.lost
	w.lost = s.Lost
	switch {
	case w.moving.Load():
	case dropping && !w.tap.Detached():
		w.move("the store cannot keep up: reading of topics is suspended until it has", func() error { return w.tap.Detach(now) })
	case w.tap.Detached() && s.Waiting < caughtUp:
		w.move("the store has caught up: topics are read again", func() error { return w.tap.Attach(now) })
	}
}

func (w *watch) move(why string, ask func() error) {
	w.say.line("%s", why)
	w.moving.Store(true)
	w.moves.Go(func() {
		if err := ask(); err != nil {
			w.say.line("%v", err)
		}
		w.moving.Store(false)
	})
}

func liveLine(s capture.Status) string {
	line := fmt.Sprintf("received %d, stored %d, gaps %d, lost %d, behind %s", s.Received, s.Stored, s.Gaps, s.Lost, s.Behind.Round(10*time.Millisecond))
	if s.Spilled {
		line += ", waiting on disk"
	}
	return line
}

// end closes the session and says what there is.
func (r *recording) end(ctx context.Context, rec *capture.Recorder, err error) error {
	reason := "stopped"
	if ctx.Err() == nil {
		reason = cmp.Or(r.ended, reason)
	}
	switch {
	case err != nil:
		reason = "failed: " + oneLine(err.Error())
	case errors.Is(context.Cause(ctx), errDuration):
		reason = "duration"
	}
	r.say.end()
	if n, first := r.filter.Failures(); n > 0 {
		r.say.line("the filter could not be worked out for %d messages, which were not kept; the first: %v", n, first)
	}
	ctx = context.WithoutCancel(ctx)
	if !r.sink.since.IsZero() {
		r.unstored(ctx, rec)
	}
	s, total, status := r.keep.current(), r.keep.totals(), rec.Status()
	if endErr := r.keep.end(ctx, reason); err == nil {
		err = endErr
	}
	r.say.line("%s: %d commands, %d events, %d peer messages stored; %d copies dropped, %d foreign counted, %d lost, %d gaps",
		title(s), total.Commands, total.Events, total.Peers, status.Doubled, status.Foreign, status.Lost, total.Gaps)
	r.sayLeftBehind()
	if err != nil {
		return fmt.Errorf("recording stopped: %w; what was stored before is kept in session %d", err, s.ID)
	}
	if total.Gaps > 0 {
		return incomplete
	}
	return nil
}

// title names a session for the last line.
func title(s store.Session) string {
	if s.ID == 0 {
		return "saved by the ring"
	}
	return fmt.Sprintf("session %d, %s", s.ID, s.Name)
}

// unstored puts into the room that the reserve left the row that says what was
// received and could not be stored.
func (r *recording) unstored(ctx context.Context, rec *capture.Recorder) {
	r.sink.reserve.freeLast()
	lost, ledger := rec.Unstored()
	gap := capture.Gap{From: r.sink.since, To: time.Now(), Reason: capture.GapStopped, Lost: &lost}
	row := gap.Record()
	row.Mono = max(0, gap.To.Sub(r.keep.current().StartedAt))
	if err := r.keep.Write(ctx, capture.Batch{Records: []capture.Record{row}, Ledger: ledger}); err != nil {
		r.say.line("%d messages were received and not stored, and there was no room to say so in the session: %v", lost, err)
	}
}
