package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/decode"
	"gctap/replay"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
	"gctap/store"
)

// linger is how long GC must be silent before a replay ends.
const linger = 250 * time.Millisecond

type replayFlags struct {
	broker      brokerFlags
	to          string
	queue       string
	name        string
	sync        string
	speed       string
	timeout     time.Duration
	maps        []string
	mapFile     string
	filter      string
	credentials string
	stimulus    string
	onUnmapped  string
	dryRun      bool
	json        bool
	look        time.Duration
	allowSource bool
	allowLive   bool
	allowGaps   bool
	noSource    bool
	diff        bool
	skipIdle    time.Duration
	rate        float64
	step        bool
	breakAt     string
	receipt     string
	diffFlags   diffFlags
}

func replayCommand(a *app) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay SESSION --to BROKER",
		Short: "Play a session's commands to a GC and record what it answers",
		Long: `Play the commands of a session to another GC, each when its time and the events it
followed have come, with the ids that this GC gives, and keep what is sent and received
as a new session.

It never sends to the broker that the session was recorded from, nor to one where agents
are at work, unless told so. Passwords are filled in from --credentials, a file of lines
agent,password[,extension] (a password with a comma in quotes), or asked for on a
terminal; they are kept nowhere.

--filter plays a slice: the commands that it accepts, and of the calls from outside those
that they need or that it accepts too. What the slice cannot bring about is neither
waited for nor compared; --dry-run names the ids that are born outside of it.

--sync   clock: at the recorded times; cause: once the events that a command followed
         have come; both: not before either
--rate   commands a second at most; what is due earlier queues, and the schedule stays
--step, --break  stand before each command, or before those that a filter accepts. While
         the replay stands, time stands still for it: what is due comes as much later,
         and no event runs out of its --timeout. What GC sends is kept all the same.
         Keys: space pauses and goes on, s or Enter sends one command, c goes on, q stops;
         keys are read from standard input where that is no terminal
--stimulus  what happened outside (a customer calls): none waits for it, and stops the
         conversation that needs it; sim asks a simulated GC on the same broker; prompt
         asks you to place the call, and waits until it has come or you say that it
         cannot be done (Enter: done, x: cannot); exec:COMMAND runs a command for each,
         cut at blanks and without a shell, with one JSON object on its standard input:
         {"stimulus":"call|hangup|reservation","seq":8,"at":5.1,"agent":"1001",
         "number":"42512","dialog":"…","type":"ACD_IN","variables":{…}}, agent, number
         and dialog being those of the target. The event has --timeout to come; if the
         command fails, the conversation that needs it stops. It is killed with the
         replay

Exit status: 0 all was sent and every awaited event came, 3 otherwise; with --diff that
of diff.`,
		Example: "  gctap replay incident --to stomp://lab:61613 --credentials agents.csv --diff\n  gctap replay incident --dry-run\n  gctap replay incident --to stomp://lab:61613 --filter 'agent in [\"1001\", \"1002\"]' --break 'name == \"AnswerCall\"'",
		Args:    oneSession,
		RunE: func(cmd *cobra.Command, args []string) error {
			return replaySession(cmd.Context(), a, args[0], &f)
		},
	}
	f.register(cmd)
	completeTarget(cmd)
	return cmd
}

// completeTarget has a shell complete the words that flags of replay, shrink and
// view take.
func completeTarget(cmd *cobra.Command) {
	for flag, words := range map[string][]string{
		"sync":        {"clock", "cause", "both"},
		"on-unmapped": {"stop", "skip", "fail"},
		"stimulus":    {"none", "sim", "prompt", "exec:"},
	} {
		// it fails only for a flag that is not there, which a test would see
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

func (f *replayFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.registerTarget(flags)
	f.registerSteering(flags)
	flags.StringVar(&f.receipt, "receipt", "", "write what was played, and with --diff the verdict, to this file as JSON")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the plan and send nothing")
	flags.BoolVar(&f.json, "json", false, "with --dry-run: one object a line")
	flags.BoolVar(&f.diff, "diff", false, "compare the new session with the recorded one")
	f.diffFlags.register(cmd)
}

// registerSteering adds the flags that replay and view share.
func (f *replayFlags) registerSteering(flags *pflag.FlagSet) {
	flags.StringVar(&f.stimulus, "stimulus", "none", "who places the calls of the recording: "+stimulusHelp)
	flags.BoolVar(&f.step, "step", false, "send a command for each key that is typed")
	flags.StringVar(&f.breakAt, "break", "", "stand before each command that this filter accepts, as name == \"AnswerCall\", until a key is typed")
}

// registerTarget adds the flags that replay and shrink share.
func (f *replayFlags) registerTarget(flags *pflag.FlagSet) {
	f.registerPlay(flags)
	flags.StringVar(&f.filter, "filter", "", "play only the commands that this expression accepts, as agent == \"1001\"")
}

// registerPlay adds those of them that view has too: its --filter is wider.
func (f *replayFlags) registerPlay(flags *pflag.FlagSet) {
	f.broker.register(flags)
	flags.StringVar(&f.to, "to", "", "the target broker")
	flags.StringVar(&f.queue, "queue", "", "command queue of the GC (default: as recorded)")
	flags.StringVar(&f.name, "name", "", "name of the new session (default: host and time)")
	flags.StringVar(&f.sync, "sync", string(replay.SyncBoth), "clock, cause or both")
	flags.StringVar(&f.speed, "speed", "1", "0.1 to 1000, or max")
	flags.DurationVar(&f.timeout, "timeout", replay.DefaultTimeout, "how long a command waits for an event")
	flags.StringArrayVar(&f.maps, "map", nil, "another name: agent:1001=2001, ext:3001=4001, dest:A=B, text:5=12 for any other value")
	flags.StringVar(&f.mapFile, "map-file", "", "file with a --map a line; lines that begin with # say nothing")
	flags.StringVar(&f.credentials, "credentials", "", "file of agent,password[,extension] lines")
	flags.StringVar(&f.onUnmapped, "on-unmapped", string(replay.StopConversation), "what to do when an id is not known: stop its conversation, skip the command, fail")
	flags.DurationVar(&f.skipIdle, "skip-idle", 0, "shorten stretches in which nothing is due to this")
	flags.Float64Var(&f.rate, "rate", 0, "commands a second at most (default: no limit)")
	flags.DurationVar(&f.look, "look", 3*time.Second, "listen this long for live agents on the target")
	flags.BoolVar(&f.allowSource, "allow-source", false, "the target may be the broker that was recorded")
	flags.BoolVar(&f.allowLive, "allow-live", false, "other agents may be at work on the target")
	flags.BoolVar(&f.allowGaps, "allow-gaps", false, "the session may have gaps")
	flags.BoolVar(&f.noSource, "no-source-check", false, "do not connect to the recorded broker to learn whether the target is the same")
}

func oneSession(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s needs a session: an id, a name, @last or a file; 'gctap sessions' lists them", cmd.Name())
	}
	return nil
}

// options turns the flags into what Play takes, and refuses wrong ones.
func (f *replayFlags) options() (replay.PlayOptions, error) {
	opts := replay.PlayOptions{
		Run: strings.ToLower(rand.Text()[:8]), Sync: replay.Sync(f.sync), Timeout: f.timeout, Queue: f.queue,
		OnUnmapped: replay.Unmapped(f.onUnmapped), Rate: f.rate, Linger: linger,
	}
	if !(f.rate >= 0 && f.rate <= 1e6) {
		return opts, usagef("--rate %v: it is commands a second, up to a million; 0 is no limit", f.rate)
	}
	switch opts.Sync {
	case replay.SyncClock, replay.SyncCause, replay.SyncBoth:
	default:
		return opts, usagef("--sync %s: it is clock, cause or both", f.sync)
	}
	switch opts.OnUnmapped {
	case replay.StopConversation, replay.SkipCommand, replay.FailReplay:
	default:
		return opts, usagef("--on-unmapped %s: it is stop, skip or fail", f.onUnmapped)
	}
	if err := checkStimulus(f.stimulus); err != nil {
		return opts, err
	}
	if f.to == "" && !f.dryRun {
		return opts, usagef("replay needs the target: --to stomp://HOST:61613, or --dry-run")
	}
	if err := f.names(&opts.Map); err != nil {
		return opts, err
	}
	speed, err := readSpeed(f.speed)
	opts.Speed = speed
	return opts, errors.Join(err, f.diffFlags.check())
}

// names takes in --map-file and then --map, which has the last word.
func (f *replayFlags) names(m *replay.Mapping) error {
	if f.mapFile != "" {
		file, err := os.Open(f.mapFile)
		if err != nil {
			return usagef("--map-file: %w", err)
		}
		defer file.Close()
		if err := m.Read(file); err != nil {
			return usagef("--map-file %s, %w", f.mapFile, err)
		}
	}
	for _, arg := range f.maps {
		if err := m.Set(arg); err != nil {
			return usagef("--%w", err)
		}
	}
	return nil
}

func readSpeed(text string) (float64, error) {
	if text == "max" {
		return math.Inf(1), nil
	}
	speed, err := strconv.ParseFloat(text, 64)
	if err != nil || !(speed >= 0.1 && speed <= 1000) {
		return 0, usagef("--speed %s: it is 0.1 to 1000, or max", text)
	}
	return speed, nil
}

// replaySession is the command.
func replaySession(ctx context.Context, a *app, ref string, f *replayFlags) error {
	r, err := planReplay(ctx, a, ref, f)
	if err != nil {
		return err
	}
	defer r.from.Close()
	if f.dryRun {
		if f.json {
			return r.plan.WriteJSON(a.Out)
		}
		return r.plan.WriteText(&printableWriter{Writer: a.Out})
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	return r.run(ctx)
}

// planReplay works out what the flags ask for. It opens the session's store.
func planReplay(ctx context.Context, a *app, ref string, f *replayFlags) (_ *replaying, err error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	from, source, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			from.Close()
		}
	}()
	plan, err := buildPlan(ctx, a, from, source, f.filter)
	if err != nil {
		return nil, err
	}
	breaks, err := matching(ctx, a, from, source, "--break", f.breakAt)
	if err != nil {
		return nil, err
	}
	if f.skipIdle > 0 {
		plan.SkipIdle(f.skipIdle)
	}
	return &replaying{app: a, flags: f, opts: opts, plan: plan, breaks: breaks, source: source, from: from, say: newTalker(a.Err)}, nil
}

// buildPlan works out the plan of a session, or of what a filter leaves of it.
func buildPlan(ctx context.Context, a *app, from *store.Store, source store.Session, filter string) (*replay.Plan, error) {
	kept, err := matching(ctx, a, from, source, "--filter", filter)
	if err != nil {
		return nil, err
	}
	var opts replay.PlanOptions
	if kept != nil {
		opts.Keep = func(rec *capture.Record, _ *decode.Message) bool { return kept[rec.Seq] }
	}
	return replay.BuildPlan(from.Records(ctx, source.ID, 1), opts)
}

// matching returns the messages of a session, by seq, that the expression of a
// flag accepts, nil where there is none. A command has to be among them.
func matching(ctx context.Context, a *app, from *store.Store, source store.Session, flag, expression string) (map[int64]bool, error) {
	filter, err := store.CompileFilter(expression)
	if err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	if filter == nil {
		return nil, nil
	}
	seqs, commands := map[int64]bool{}, 0
	for row, err := range from.Filtered(ctx, source.ID, filter, 1) {
		if err != nil {
			return nil, err
		}
		seqs[row.Seq] = true
		if row.Direction == capture.Command {
			commands++
		}
	}
	tellFailures(a.Err, filter)
	if commands == 0 {
		return nil, usagef("%s %q accepts no command of session %s", flag, expression, source.Name)
	}
	return seqs, nil
}

// replaying is one run of replay.
type replaying struct {
	*app
	flags  *replayFlags
	opts   replay.PlayOptions
	plan   *replay.Plan
	breaks map[int64]bool // seqs of --break; nil: none
	source store.Session
	from   *store.Store
	say    *talker

	console *console            // nil: no keys
	began   func(store.Session) // told of the new session; may be nil
}

// A target is a broker that a replay may go to, and the store it is kept in.
type target struct {
	config link.Config
	conn   *link.Conn
	db     *store.Store
}

func (t *target) close() {
	t.db.Close()
	t.conn.Close()
}

// check refuses what needs no connection to be refused, and finds the passwords.
func (r *replaying) check(ctx context.Context) error {
	if unsent := r.plan.Unsent; len(r.plan.Steps) == 0 && len(unsent) > 0 {
		return fmt.Errorf("session %s cannot be replayed, because replay sends over a broker: of %d commands none can go there (#%d: %s)",
			r.source.Name, len(unsent), unsent[0].Seq, unsent[0].Reason)
	}
	if len(r.plan.Steps) == 0 {
		return fmt.Errorf("session %s has no commands to replay: was it recorded in mode events?", r.source.Name)
	}
	if r.plan.Gaps > 0 && !r.flags.allowGaps {
		return fmt.Errorf("session %s has %d gaps, so that commands may be missing: --allow-gaps replays it all the same", r.source.Name, r.plan.Gaps)
	}
	if r.flags.credentials != "" {
		file, err := os.Open(r.flags.credentials)
		if err != nil {
			return usagef("--credentials: %w", err)
		}
		defer file.Close()
		r.opts.Credentials, err = replay.ReadCredentials(file)
		return err
	}
	return r.ask(ctx)
}

// ask reads the passwords on the terminal.
func (r *replaying) ask(ctx context.Context) error {
	need := r.plan.NeedPasswords()
	if len(need) == 0 {
		return nil
	}
	in, ok := r.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return fmt.Errorf("passwords were masked when session %s was recorded: give --credentials FILE with lines agent,password for %s", r.source.Name, some(need))
	}
	r.opts.Credentials = replay.Credentials{}
	for _, agent := range need {
		if to, ok := r.opts.Map.Agents[agent]; ok {
			agent = to
		}
		fmt.Fprintf(r.Err, "password of agent %s: ", printable(agent))
		password, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(r.Err)
		if err != nil {
			return fmt.Errorf("read the password of agent %s: %w", agent, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.opts.Credentials[agent] = replay.Credential{Password: string(password)}
	}
	return nil
}

// some names the first few of many.
func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}

// run connects, makes sure of the target, plays, and says how it went.
func (r *replaying) run(ctx context.Context) error {
	t, err := r.reach(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	return r.record(ctx, t)
}

// reach connects and makes sure of the target.
func (r *replaying) reach(ctx context.Context) (*target, error) {
	if err := r.noReceipt(); err != nil {
		return nil, err
	}
	config, err := r.flags.broker.config(r.flags.to)
	if err != nil {
		return nil, err
	}
	conn, err := link.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := r.safe(ctx, config, conn); err != nil {
		conn.Close()
		return nil, err
	}
	db, err := store.Open(ctx, r.db, store.Record)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &target{config, conn, db}, nil
}

// record plays into a new session, and says how it went.
func (r *replaying) record(ctx context.Context, t *target) error {
	config, conn, db := t.config, t.conn, t.db
	session, err := db.NewSession(ctx, r.info(config, conn.Peer(), db))
	if err != nil {
		return err
	}
	if r.began != nil {
		r.began(session.Session())
	}
	r.say.line("replaying %s to %s as session %d, %s; Ctrl-C stops", r.source.Name, config.Broker, session.Session().ID, session.Session().Name)
	result, err := r.play(ctx, config, conn, session)
	reason := "done"
	if err != nil {
		reason = "failed"
		if errors.Is(err, errInterrupted) {
			reason = "interrupted"
		}
	}
	if endErr := session.End(context.WithoutCancel(ctx), reason); endErr != nil {
		err = errors.Join(err, endErr)
	}
	r.summary(result, session.Session())
	if err != nil {
		return err
	}
	if r.flags.diff {
		found, err := r.compare(ctx, db, session.Session())
		return errors.Join(err, r.receipt(ctx, result, db, session.Session(), found))
	}
	if err := r.receipt(ctx, result, db, session.Session(), nil); err != nil {
		return err
	}
	if !result.Complete() || r.plan.Gaps > 0 {
		return incomplete
	}
	return nil
}

// safe makes sure that the target is not the broker that was recorded, and
// that nobody is at work there.
func (r *replaying) safe(ctx context.Context, config link.Config, conn *link.Conn) error {
	if !r.flags.allowSource {
		if why := r.isSource(ctx, config, conn.Peer()); why != "" {
			return fmt.Errorf("replay into %s refused: %s; --allow-source sends there all the same", config.Broker, why)
		}
	}
	if r.flags.allowLive {
		return nil
	}
	if r.flags.look <= 0 {
		return usagef("--look %s does not listen for live agents at all: if that is meant, say --allow-live", r.flags.look)
	}
	r.say.line("listening for %s whether agents are at work on %s", r.flags.look, config.Broker)
	var own []string
	for _, agent := range r.plan.Agents {
		if to, ok := r.opts.Map.Agents[agent]; ok {
			agent = to
		}
		own = append(own, agent)
	}
	heard, err := replay.Look(ctx, conn, r.flags.look, own)
	if err != nil {
		return err
	}
	if len(heard) > 0 {
		return fmt.Errorf("replay into %s refused: agents are at work there: %s; --allow-live sends there all the same", config.Broker, some(heard))
	}
	r.say.line("none heard in %s", r.flags.look)
	return nil
}

// isSource says why the target may be the broker of the recording: by what the
// session knows of it, and by a fresh connection to the recorded URL.
func (r *replaying) isSource(ctx context.Context, config link.Config, peer link.Peer) string {
	target := replay.Broker{Identity: peer.Identity, Host: link.IdentityHost(peer.Identity), Addresses: []string{peer.Addr, peer.Host}}
	for _, address := range config.Broker.Addresses {
		target.Addresses = append(target.Addresses, address.Host)
	}
	source := replay.Broker{Identity: r.source.Identity, Host: link.IdentityHost(r.source.Identity), Addresses: r.source.Addresses}
	if r.source.Host != "" {
		source.Addresses = append(source.Addresses, r.source.Host)
	}
	recorded, err := link.ParseBroker(r.source.Broker)
	if err == nil {
		for _, address := range recorded.Addresses {
			source.Addresses = append(source.Addresses, address.Host)
		}
	}
	if why := replay.SameBroker(ctx, source, target, nil); why != "" || err != nil || r.flags.noSource {
		return why
	}
	// A broker that lets nobody in without a password tells nothing here; what
	// the session knows of it has been compared already.
	fresh, err := link.Open(ctx, link.Config{Broker: recorded, TLS: config.TLS, Timeout: 3 * time.Second})
	if err != nil {
		return ""
	}
	defer fresh.Close()
	now := fresh.Peer()
	return replay.SameBroker(ctx, replay.Broker{Identity: now.Identity, Host: link.IdentityHost(now.Identity)}, target, nil)
}

func (r *replaying) info(config link.Config, peer link.Peer, db *store.Store) store.SessionInfo {
	info := store.SessionInfo{
		Name: r.flags.name, Origin: store.OriginReplay, Broker: config.Broker.String(), Identity: peer.Identity,
		Addresses: []string{peer.Addr}, Host: peer.Host, Mode: "replay", Queues: r.plan.Queues, SiteTZ: r.source.SiteTZ,
		TZAssumed: r.source.TZAssumed, Redacted: true, Program: version, StartedAt: time.Now(),
	}
	if r.flags.queue != "" {
		info.Queues = []string{r.flags.queue}
	}
	if db.Path() == r.from.Path() {
		info.Parent = r.source.ID
	} else {
		info.Note = fmt.Sprintf("replay of %s#%d", filepath.Base(r.from.Path()), r.source.ID)
	}
	return info
}

// play plays the plan and keeps what goes over the link.
func (r *replaying) play(ctx context.Context, config link.Config, conn *link.Conn, session *store.Writer) (*replay.Result, error) {
	masker := decode.NewMasker()
	for _, secret := range config.Secrets() {
		masker.Learn(secret)
	}
	for _, c := range r.opts.Credentials {
		masker.Learn(c.Password)
	}
	recorder := capture.NewRecorder(capture.RecorderConfig{Sink: session, Start: session.Session().StartedAt, Mask: maskRecord(masker)})
	stored := make(chan error, 1)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		err := recorder.Run(context.WithoutCancel(ctx))
		if err != nil {
			stop(err) // what is not kept must not be sent
		}
		stored <- err
	}()
	r.opts.Offer = recorder.Offer
	if r.flags.stimulus == "sim" {
		r.opts.Stimulate = simulated(conn)
	}
	if command, ok := strings.CutPrefix(r.flags.stimulus, "exec:"); ok {
		r.opts.Arrange = execStimulus(command, r.say)
	}
	defer r.steer(ctx, stop)()
	result, err := replay.Play(ctx, conn, r.plan, r.opts)
	r.say.end()
	recorder.Close()
	if kept := <-stored; kept != nil {
		err = kept
	}
	return result, err
}

// simulated asks a simulated GC on the same broker for stimuli.
func simulated(conn *link.Conn) func(context.Context, replay.Stimulus) error {
	return func(ctx context.Context, s replay.Stimulus) error {
		if st, ok := simStimulus(&s); ok {
			return conn.Send(ctx, st.Message())
		}
		return nil
	}
}

// simStimulus is a stimulus in the words of the simulated GC.
func simStimulus(s *replay.Stimulus) (gcsim.Stimulus, bool) {
	switch s.Kind {
	case "call":
		return gcsim.Stimulus{Do: gcsim.DoCall, From: s.Number, To: s.Agent, CallType: s.Type, Variables: s.Vars}, true
	case "hangup":
		return gcsim.Stimulus{Do: gcsim.DoHangup, DialogID: s.Dialog}, true
	case "reservation":
		mode := "preview"
		if s.Type == "RESERVED_OUTBOUND" {
			mode = "progressive"
		}
		return gcsim.Stimulus{Do: gcsim.DoReserveOutbound, Agent: s.Agent, From: s.Number, Mode: mode, Variables: s.Vars}, true
	}
	return gcsim.Stimulus{}, false
}

// steer lets keys steer the replay: where that is asked for, or standard input
// is a terminal.
func (r *replaying) steer(ctx context.Context, stop context.CancelCauseFunc) (end func()) {
	if r.opts.Control != nil {
		return func() {} // the viewer steers, and asks where it stands
	}
	r.opts.Progress = r.progress
	in, ok := r.In.(*os.File)
	terminal := ok && term.IsTerminal(int(in.Fd()))
	if !terminal && !r.flags.step && r.breaks == nil && r.flags.stimulus != "prompt" {
		return func() {}
	}
	r.opts.Control = r.control()
	r.console = &console{control: r.opts.Control, say: r.say, step: r.flags.step, stop: stop}
	if r.flags.stimulus == "prompt" {
		r.console.prompt = newPrompt(r.say)
		r.opts.Arrange, r.opts.Patient = r.console.prompt.arrange, true
	}
	keys := openKeyboard(ctx, r.In)
	go r.console.steer(ctx, keys.keys)
	return keys.restore
}

// control is what steers the replay, as --step and --break begin.
func (r *replaying) control() *replay.Control {
	c := &replay.Control{}
	if r.flags.step {
		c.Hold()
	}
	breakAt(c, r.breaks)
	return c
}

// breakAt makes a replay stand before the commands with those seqs; nil: before
// none.
func breakAt(c *replay.Control, seqs map[int64]bool) {
	if seqs == nil {
		c.Break(nil)
		return
	}
	c.Break(func(s *replay.Step) bool { return seqs[s.Record.Seq] })
}

func (r *replaying) progress(p replay.Progress) {
	if r.console != nil {
		r.console.progress(p)
	}
	line := fmt.Sprintf("sent %d of %d, received %d, behind %s", p.Sent, p.Steps, p.Received, p.Behind.Round(time.Millisecond))
	if p.Waiting > 0 {
		line += fmt.Sprintf("; %d waiting: %s", p.Waiting, p.Waits)
	}
	r.say.status(line)
}

// summary says on standard error how it went.
func (r *replaying) summary(result *replay.Result, s store.Session) {
	if result == nil {
		return
	}
	r.say.line("session %d, %s: sent %d of %d commands, received %d events in %s", s.ID, s.Name, result.Sent, len(r.plan.Steps),
		result.Received, result.Took.Round(time.Millisecond))
	for _, stop := range result.Stopped {
		at := "at its end"
		if stop.Seq != 0 {
			at = fmt.Sprintf("before #%d, %d commands not sent", stop.Seq, stop.Left)
		}
		r.say.line("%s stopped %s: %s", stop.Conversation, at, stop.Reason)
	}
	for _, missed := range result.Missed {
		r.say.line("%s: %s did not come in %s", missed.Conversation, missed.Cause, r.opts.Timeout)
	}
	for _, failed := range result.Failed {
		r.say.line("not brought about: %s", failed)
	}
	for i := range result.Absent {
		s := &result.Absent[i]
		r.say.line("did not come: %s (#%d)", s.Outside(), s.Seq)
	}
	for _, u := range result.Unsent {
		r.say.line("#%d was not sent: %s", u.Seq, u.Reason)
	}
	if result.Skipped > 0 {
		r.say.line("%d commands were skipped for want of an id or a password", result.Skipped)
	}
}

// compare goes on to diff, with what was to be played.
func (r *replaying) compare(ctx context.Context, db *store.Store, s store.Session) (*diff.Report, error) {
	return compareSessions(ctx, r.app, r.from, r.source, db, s, r.flags.diffFlags, r.plan.Covers)
}
