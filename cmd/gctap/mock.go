package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay"
	"gctap/replay/gcsim"
	"gctap/replay/mock"
	"gctap/store"
)

type mockFlags struct {
	broker      brokerFlags
	on          string
	queue       string
	name        string
	fallback    string
	speed       string
	maps        []string
	look        time.Duration
	allowSource bool
	allowLive   bool
	noSource    bool
}

func mockCommand(a *app) *cobra.Command {
	var f mockFlags
	cmd := &cobra.Command{
		Use:   "mock SESSION --on BROKER",
		Short: "Play GC from a recording, for real clients",
		Long: `Read the command queue of a broker as GC does and answer from a session: each command
with the events that the recorded one of the same name, agent and arguments had in the
same state, at the recorded distance in time. Calls come when they came in the recording.
Clients read their own login ids and extensions, and new ids of calls. What is asked and
answered becomes a new session.

A command that nothing recorded fits is told, with the closest recorded one and what
differs there. --fallback says what the client gets: silent (nothing), error (an Error
event), sim (the answer of a simulated GC that has followed the logins and states).

It reads the queue away from any other GC, and so refuses the broker that the session
was recorded from and one where agents are at work. Ends on SIGINT or SIGTERM.`,
		Example: "  gctap mock incident --on stomp://lab:61613 --fallback sim",
		Args:    oneSession,
		RunE:    func(cmd *cobra.Command, args []string) error { return mockSession(cmd.Context(), a, args[0], &f) },
	}
	flags := cmd.Flags()
	f.broker.register(flags)
	flags.StringVar(&f.on, "on", "", "the broker's URL")
	flags.StringVar(&f.queue, "queue", "", "command queue to read (default: as recorded)")
	flags.StringVar(&f.name, "name", "", "name of the new session (default: host and time)")
	flags.StringVar(&f.fallback, "fallback", "error", "what answers a command that nothing recorded fits: sim, error or silent")
	flags.StringVar(&f.speed, "speed", "1", "0.1 to 1000, or max: how fast events follow")
	flags.StringArrayVar(&f.maps, "map", nil, "a client's name: agent:1001=2001, ext:3001=4001")
	flags.DurationVar(&f.look, "look", 3*time.Second, "listen this long for live agents on the broker")
	flags.BoolVar(&f.allowSource, "allow-source", false, "the broker may be the one that was recorded")
	flags.BoolVar(&f.allowLive, "allow-live", false, "other agents may be at work on the broker")
	flags.BoolVar(&f.noSource, "no-source-check", false, "do not connect to the recorded broker to learn whether this one is the same")
	return cmd
}

// config turns the flags into what a Player takes, and refuses wrong ones.
func (f *mockFlags) config() (mock.Config, error) {
	var c mock.Config
	if f.on == "" {
		return c, usagef("mock needs the broker's URL: gctap mock SESSION --on stomp://HOST:61613")
	}
	switch f.fallback {
	case "sim", "error", "silent":
	default:
		return c, usagef("--fallback %s: it is sim, error or silent", f.fallback)
	}
	var names replay.Mapping
	for _, m := range f.maps {
		if err := names.Set(m); err != nil {
			return c, usagef("--%w", err)
		}
	}
	speed, err := readSpeed(f.speed)
	c.Speed, c.Agents, c.Exts = speed, names.Agents, names.Exts
	return c, err
}

// mockSession is the command.
func mockSession(ctx context.Context, a *app, ref string, f *mockFlags) error {
	config, err := f.config()
	if err != nil {
		return err
	}
	from, source, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return err
	}
	script, err := mock.ReadScript(from.Records(ctx, source.ID, 1))
	from.Close()
	if err != nil {
		return err
	}
	if script.Commands() == 0 {
		return fmt.Errorf("session %s has no commands to answer: was it recorded in mode events?", source.Name)
	}
	if f.queue == "" {
		f.queue = gcsim.DefaultQueue
		if len(source.Queues) > 0 {
			f.queue = source.Queues[0]
		}
	}
	m := &mocking{app: a, flags: f, source: source, script: script, player: mock.NewPlayer(script, config), say: newTalker(a.Err)}
	return m.run(ctx)
}

// mocking is one run of mock.
type mocking struct {
	*app
	flags  *mockFlags
	source store.Session
	script *mock.Script
	player *mock.Player
	say    *talker
	missed int // commands that nothing recorded fitted; the server's goroutine counts
}

// run connects, makes sure of the broker, and plays until stopped.
func (m *mocking) run(ctx context.Context) error {
	config, err := m.flags.broker.config(m.flags.on)
	if err != nil {
		return err
	}
	conn, err := link.Open(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := m.safe(ctx, config, conn); err != nil {
		return err
	}
	db, err := store.Open(ctx, m.db, store.Record)
	if err != nil {
		return err
	}
	defer db.Close()
	peer := conn.Peer()
	session, err := db.NewSession(ctx, store.SessionInfo{
		Name: m.flags.name, Origin: store.OriginMock, Broker: config.Broker.String(), Identity: peer.Identity, Addresses: []string{peer.Addr},
		Host: peer.Host, Mode: "mock", Queues: []string{m.flags.queue}, SiteTZ: m.source.SiteTZ, TZAssumed: m.source.TZAssumed,
		Redacted: true, Program: version, StartedAt: time.Now(), Note: "GC played from " + m.source.Name,
	})
	if err != nil {
		return err
	}
	err = m.keep(ctx, config, conn, session)
	reason := "done"
	if err != nil {
		reason = "failed"
	}
	return errors.Join(err, session.End(context.WithoutCancel(ctx), reason))
}

// safe makes sure that no GC loses commands to this one.
func (m *mocking) safe(ctx context.Context, config link.Config, conn *link.Conn) error {
	if !m.flags.allowSource {
		r := replaying{app: m.app, flags: &replayFlags{noSource: m.flags.noSource}, source: m.source}
		if why := r.isSource(ctx, config, conn.Peer()); why != "" {
			return fmt.Errorf("mock on %s refused: %s; --allow-source plays there all the same", config.Broker, why)
		}
	}
	if m.flags.allowLive {
		return nil
	}
	if m.flags.look <= 0 {
		return usagef("--look %s does not listen for live agents at all: if that is meant, say --allow-live", m.flags.look)
	}
	m.say.line("listening for %s whether agents are at work on %s", m.flags.look, config.Broker)
	heard, err := replay.Look(ctx, conn, m.flags.look, nil)
	if err != nil {
		return err
	}
	if len(heard) > 0 {
		return fmt.Errorf("mock on %s refused: agents are at work there: %s; --allow-live plays there all the same", config.Broker, some(heard))
	}
	return nil
}

// keep plays, with all that goes over the link going into the session.
func (m *mocking) keep(ctx context.Context, config link.Config, conn *link.Conn, session *store.Writer) error {
	masker := decode.NewMasker()
	for _, secret := range config.Secrets() {
		masker.Learn(secret)
	}
	recorder := capture.NewRecorder(capture.RecorderConfig{Sink: session, Start: session.Session().StartedAt, Mask: maskRecord(masker)})
	stored := make(chan error, 1)
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		err := recorder.Run(context.WithoutCancel(ctx))
		if err != nil {
			stop(err)
		}
		stored <- err
	}()
	var one sync.Mutex // the recorder masks outside its own: one at a time
	offer := func(d capture.Delivery) {
		one.Lock()
		defer one.Unlock()
		recorder.Offer(d)
	}
	err := m.play(running, conn, offer, session.Session())
	recorder.Close()
	return errors.Join(err, <-stored)
}

// play answers until ctx ends.
func (m *mocking) play(ctx context.Context, conn *link.Conn, offer func(capture.Delivery), s store.Session) error {
	opts := mock.ServeOptions{Queue: m.flags.queue, Via: "mock", Offer: offer, Answer: m.answer}
	if m.flags.fallback == "sim" {
		other, err := newOtherGC(conn, offer)
		if err != nil {
			return err
		}
		defer other.run(ctx)()
		opts.Answer = func(rec capture.Record, match mock.Match) []capture.Outgoing {
			m.told(&rec, match)
			other.take(rec, match.Seq != 0)
			return nil
		}
	}
	server, err := mock.Serve(ctx, conn, m.player, opts)
	if err != nil {
		return err
	}
	m.say.line("playing GC on queue %s from %s: %d commands of %d agents; session %d, %s; Ctrl-C stops",
		m.flags.queue, m.source.Name, m.script.Commands(), len(m.script.Agents()), s.ID, s.Name)
	if n := m.script.Masked(); n > 0 {
		m.say.line("%d events of the recording cannot be sent: something in them is masked", n)
	}
	m.wait(ctx, server)
	err = server.Close()
	m.say.end()
	c := server.Counts()
	m.say.line("%d commands, %d answered from the recording, %d not; %d events sent", c.Commands, c.Matched, m.missed, c.Events)
	return err
}

// wait shows the live line until the end.
func (m *mocking) wait(ctx context.Context, server *mock.Server) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-server.Done():
			return
		case <-tick.C:
			c := server.Counts()
			m.say.status(fmt.Sprintf("%d commands, %d answered from the recording, %d events sent", c.Commands, c.Matched, c.Events))
		}
	}
}

// told says which command nothing recorded fits.
func (m *mocking) told(rec *capture.Record, match mock.Match) {
	if match.Seq == 0 {
		m.missed++
		m.say.line("%s of %s: %s", orDash(match.Name), orDash(match.Agent), match.Why)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// answer is the fallback error and silent.
func (m *mocking) answer(rec capture.Record, match mock.Match) []capture.Outgoing {
	m.told(&rec, match)
	if match.Seq != 0 || m.flags.fallback != "error" {
		return nil
	}
	if out, ok := m.player.Refusal(&rec); ok {
		return []capture.Outgoing{out}
	}
	return nil
}

// otherGC is the simulated GC that answers what the recording cannot. It is
// told of all logins and states, so that it knows who is there; what it says to
// those is not sent.
type otherGC struct {
	link  capture.Link
	offer func(capture.Delivery)
	mu    sync.Mutex // guards sim
	sim   *gcsim.Sim
	wake  chan struct{}
	muted map[string]bool // names of commands that it follows
}

func newOtherGC(conn capture.Link, offer func(capture.Delivery)) (*otherGC, error) {
	sim, err := gcsim.New(gcsim.Config{Open: true, Seed: uint64(time.Now().UnixNano())})
	if err != nil {
		return nil, err
	}
	return &otherGC{link: conn, offer: offer, sim: sim, wake: make(chan struct{}, 1), muted: map[string]bool{
		"Hello": true, "Connect": true, "Login": true, "MobileAgentLogin": true, "Logout": true,
		"MakeReady": true, "MakeNotReady": true, "MakeNotReadyWithReason": true,
	}}, nil
}

// take gives the simulator a command. Without delays it answers at once, so
// that what it says to a muted one is told apart.
func (g *otherGC) take(rec capture.Record, answered bool) {
	msg := flow.Decode(&rec, decode.Options{})
	if answered && !g.muted[msg.Name] {
		return
	}
	now := time.Now()
	g.mu.Lock()
	due := g.sim.Advance(now)
	g.sim.Command(now, gcsim.Command{Type: rec.Type(), Body: rec.Body, ReplyTo: rec.ReplyTo, Conn: rec.Conn})
	said := g.sim.Advance(now)
	g.mu.Unlock()
	if answered {
		said = nil
	}
	g.send(append(due, said...))
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *otherGC) send(events []gcsim.Event) {
	for _, e := range events {
		now := time.Now()
		g.offer(capture.Delivery{Record: capture.Record{
			CapturedAt: now, SentAt: &now, Direction: capture.Event, Source: "stomp", Via: "mock", To: e.To, BodyKind: capture.Text, Body: e.Body,
		}})
		_ = g.link.Send(context.Background(), capture.Outgoing{To: e.To, Body: e.Body}) // a link that is gone ends the server
	}
}

// run sends what the simulator does later, until ctx ends; the function it
// returns waits for that.
func (g *otherGC) run(ctx context.Context) (wait func()) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		timer := time.NewTimer(time.Hour)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-g.wake:
			case <-timer.C:
			}
			g.mu.Lock()
			due := g.sim.Advance(time.Now())
			next, ok := g.sim.Next()
			g.mu.Unlock()
			g.send(due)
			if ok {
				timer.Reset(time.Until(next))
			}
		}
	}()
	return func() { stop(); <-done }
}
