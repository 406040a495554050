package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/decode"
	"gctap/replay"
	"gctap/replay/diff"
	"gctap/store"
)

type shrinkFlags struct {
	replayFlags
	expression string
	tries      int
	confirm    int
	duration   time.Duration
	reset      string
	asJSON     bool
}

func shrinkCommand(a *app) *cobra.Command {
	var f shrinkFlags
	cmd := &cobra.Command{
		Use:   "shrink SESSION --to BROKER --fail-on EXPR",
		Short: "Find the fewest commands of a session that still fail",
		Long: `Play ever smaller slices of a session to a GC, and keep what still fails: whole
conversations are taken out first, then single commands and calls from outside. A command
that uses an id goes with what brought the id about, and every command of an agent with
those that sign it in. A slice that stops where the whole session did not counts for
nothing. The result is a new session, and the command line that replays it.

--fail-on says what failing is:
  EXPR              GC sends a message that this filter accepts
  CLASS             the comparison with the recording finds a difference of this class:
                    changed, missing, extra, reordered, late, duplicated, or different for any
  CLASS: EXPR       … in a message that the filter accepts: the new one, or the recorded one
                    where there is no new one
A difference counts when the whole session shows its like: the same class, conversation,
message and fields. Otherwise a slice would fail for want of what was taken out of it.

Each try has topics of its own. What it leaves behind is tidied up as far as commands can:
calls are released, agents made not ready and logged out. Where that is not enough, --reset
runs a command before each try, cut at blanks and without a shell. A fault that comes and
goes: --confirm N lets a slice pass only after N tries, and tries the result N times.

Exit status: 0 the least was found; 3 tries or time ran out before, and the result is the
smallest found; 1 the session does not fail.`,
		Example: "  gctap shrink incident --to stomp://lab:61613 --credentials agents.csv --stimulus sim --fail-on 'changed: name == \"State\"'\n" +
			"  gctap shrink incident --to stomp://lab:61613 --credentials agents.csv --fail-on 'name == \"Error\" && fields.errorCode == \"GENERIC\"' --tries 200",
		Args: oneSession,
		RunE: func(cmd *cobra.Command, args []string) error {
			return shrinkSession(cmd.Context(), a, args[0], &f, cmd.Flags())
		},
	}
	flags := cmd.Flags()
	f.registerTarget(flags)
	for name, value := range map[string]string{"sync": string(replay.SyncCause), "timeout": "2s"} {
		flag := flags.Lookup(name)
		_ = flag.Value.Set(value) // both are values that the flags take
		flag.DefValue = value
	}
	flags.StringVar(&f.stimulus, "stimulus", "none", "who places the calls of the recording: none, sim, or exec:COMMAND")
	flags.StringVar(&f.expression, "fail-on", "", "what failing is: a filter, or a class of difference, or CLASS: FILTER")
	flags.IntVar(&f.tries, "tries", 0, "replays at the most (default: as many as it takes)")
	flags.IntVar(&f.confirm, "confirm", 1, "a slice passes only if it does so this often")
	flags.DurationVar(&f.duration, "duration", 0, "stop after this long, with the smallest found")
	flags.StringVar(&f.reset, "reset", "", "command that makes the target as new, run before each try")
	flags.StringArrayVar(&f.diffFlags.ignore, "ignore", nil, "field that is no difference: reasonCode, or State.reasonCode")
	flags.StringVar(&f.diffFlags.rules, "rules", "", "YAML file of what is no difference, as diff takes it")
	flags.DurationVar(&f.diffFlags.late, "late", diff.DefaultLate, "an event is late this long after its command, if it also takes three times as long as recorded")
	completeTarget(cmd)
	flags.BoolVar(&f.asJSON, "json", false, "print the result as one JSON object")
	return cmd
}

// shrinking is one run of shrink.
type shrinking struct {
	*replaying
	flags  *shrinkFlags
	config link.Config
	conn   *link.Conn
	fail   *failure
	best   int // commands of the smallest slice so far

	stopped *[]replay.Stopped // what the whole session could not play to the end; nil before
}

func shrinkSession(ctx context.Context, a *app, ref string, f *shrinkFlags, set *pflag.FlagSet) error {
	f.diffFlags.format = "text"
	if f.expression == "" {
		return usagef("shrink needs what to look for: --fail-on 'changed: name == \"State\"'; --help says more")
	}
	if f.stimulus == "prompt" {
		return usagef("--stimulus prompt: nobody wants to place calls for every try; use exec:COMMAND or sim")
	}
	if f.tries < 0 || f.confirm < 1 {
		return usagef("--tries %d --confirm %d: a number of tries is positive", f.tries, f.confirm)
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	from, source, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return err
	}
	defer from.Close()
	keep, plan, err := wholePlan(ctx, a, from, source, f.filter)
	if err != nil {
		return err
	}
	s := &shrinking{flags: f, replaying: &replaying{app: a, flags: &f.replayFlags, opts: opts, plan: plan, source: source, from: from, say: newTalker(a.Err)}}
	if s.fail, err = newFailure(ctx, f.expression, from, source); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	if s.config, err = f.broker.config(f.to); err != nil {
		return err
	}
	if s.conn, err = link.Open(ctx, s.config); err != nil {
		return err
	}
	defer s.conn.Close()
	if err := s.safe(ctx, s.config, s.conn); err != nil {
		return err
	}
	return s.run(ctx, keep, set)
}

// wholePlan is the plan of all that may be played, and what it keeps.
func wholePlan(ctx context.Context, a *app, from *store.Store, source store.Session, filter string) (replay.PlanOptions, *replay.Plan, error) {
	var opts replay.PlanOptions
	kept, err := matching(ctx, a, from, source, "--filter", filter)
	if err != nil {
		return opts, nil, err
	}
	if kept != nil {
		opts.Keep = func(rec *capture.Record, _ *decode.Message) bool { return kept[rec.Seq] }
	}
	plan, err := replay.BuildPlan(from.Records(ctx, source.ID, 1), opts)
	return opts, plan, err
}

// errTime ends a search whose time is over.
var errTime = errors.New("the time is over")

// run searches, keeps the result, and says how to replay it.
func (s *shrinking) run(ctx context.Context, keep replay.PlanOptions, set *pflag.FlagSet) error {
	search, stop := ctx, context.CancelFunc(func() {})
	if s.flags.duration > 0 {
		search, stop = context.WithTimeoutCause(ctx, s.flags.duration, errTime)
	}
	defer stop()
	found, err := replay.Shrink(search, s.from.Records(context.WithoutCancel(ctx), s.source.ID, 1), replay.ShrinkOptions{
		Plan: keep, Fails: s.try, Tries: s.flags.tries, Confirm: s.flags.confirm, Tell: s.tell,
	})
	s.say.end()
	if errors.Is(err, replay.ErrHolds) {
		return &exitError{exitNegative, fmt.Sprintf("session %s does not fail on %s: nothing to shrink", s.source.Name, s.flags.expression)}
	}
	if found.Plan == nil {
		if err == nil || errors.Is(err, errTime) {
			err = errors.New("no try was left to see the whole session fail: raise --tries or --duration")
		}
		return err
	}
	result := shrunkJSON{Commands: len(found.Plan.Steps), Of: len(s.plan.Steps), Stimuli: len(found.Plan.Stimuli), Tries: found.Tries, Least: found.Least}
	if err == nil && s.flags.confirm > 1 {
		err = s.confirm(search, found.Plan, &result)
	}
	if keepErr := s.keep(context.WithoutCancel(ctx), found.Plan, &result, set); keepErr != nil {
		return errors.Join(err, keepErr)
	}
	if printErr := s.print(&result); printErr != nil {
		return errors.Join(err, printErr)
	}
	if err != nil && !errors.Is(err, errTime) {
		return err
	}
	if !found.Least {
		return incomplete
	}
	return nil
}

// confirm tries the result as often as a slice has to pass.
func (s *shrinking) confirm(ctx context.Context, plan *replay.Plan, result *shrunkJSON) error {
	for range s.flags.confirm {
		fails, err := s.try(ctx, plan)
		if err != nil {
			return err
		}
		result.Confirmed++
		if fails {
			result.Failed++
		}
	}
	return nil
}

func (s *shrinking) tell(now replay.Shrunk) {
	if now.Plan == nil {
		s.say.status(fmt.Sprintf("try %d", now.Tries))
		return
	}
	n := len(now.Plan.Steps)
	if n != s.best {
		s.best = n
		s.say.line("try %d: %d of %d commands still fail", now.Tries, n, len(s.plan.Steps))
	}
	s.say.status(fmt.Sprintf("try %d: %d of %d commands still fail", now.Tries, n, len(s.plan.Steps)))
}

// try plays a slice and reports whether it fails.
func (s *shrinking) try(ctx context.Context, plan *replay.Plan) (bool, error) {
	if err := s.reset(ctx); err != nil {
		return false, err
	}
	if s.flags.skipIdle > 0 {
		plan.SkipIdle(s.flags.skipIdle)
	}
	opts := s.opts
	opts.Run = strings.ToLower(rand.Text()[:8])
	var records []capture.Record
	began, masker := time.Now(), decode.NewMasker()
	for _, c := range opts.Credentials {
		masker.Learn(c.Password)
	}
	mask := maskRecord(masker)
	opts.Offer = func(d capture.Delivery) {
		rec := d.Record
		mask(&rec)
		rec.Seq, rec.Mono = int64(len(records)+1), rec.CapturedAt.Sub(began)
		records = append(records, rec)
	}
	switch command, isExec := strings.CutPrefix(s.flags.stimulus, "exec:"); {
	case isExec:
		opts.Arrange = execStimulus(command, s.say)
	case s.flags.stimulus == "sim":
		opts.Stimulate = simulated(s.conn)
	}
	result, err := replay.Play(ctx, s.conn, plan, opts)
	if err != nil {
		return false, err
	}
	if err := s.tidy(ctx, plan, result); err != nil {
		return false, err
	}
	if s.stopped == nil {
		s.stopped = &result.Stopped
	} else if !played(result.Stopped, *s.stopped) {
		return false, nil // that tells nothing of the fault
	}
	return s.judge(ctx, plan, records)
}

// played reports whether a slice was played as far as the whole session was:
// no conversation stopped but those that stopped there too.
func played(slice, whole []replay.Stopped) bool {
	return !slices.ContainsFunc(slice, func(stop replay.Stopped) bool {
		return !slices.ContainsFunc(whole, func(there replay.Stopped) bool { return there.Conversation == stop.Conversation })
	})
}

// judge compares what a try recorded with what it covers of the session.
func (s *shrinking) judge(ctx context.Context, plan *replay.Plan, records []capture.Record) (bool, error) {
	if s.fail.class == "" {
		return s.fail.sent(records), nil
	}
	opts, err := s.flags.diffFlags.options()
	if err != nil {
		return false, err
	}
	played := func(yield func(capture.Record, error) bool) {
		for _, rec := range records {
			if !yield(rec, nil) {
				return
			}
		}
	}
	found, err := diff.Compare(covered(s.from.Records(ctx, s.source.ID, 1), plan.Covers), played, opts)
	if err != nil {
		return false, err
	}
	return s.fail.differs(found.Differences, records), nil
}

// reset makes the target as new.
func (s *shrinking) reset(ctx context.Context) error {
	words := strings.Fields(s.flags.reset)
	if len(words) == 0 {
		return nil
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	out := &saidLines{say: s.say, prefix: words[0]}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, execGrace
	ownGroup(cmd)
	err := cmd.Run()
	out.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("--reset %s: %w", words[0], err)
	}
	return nil
}

// settling is how long a target has between the commands that tidy up.
const settling = 100 * time.Millisecond

// tidy releases the calls of a try, makes its agents not ready and logs them
// out. What the target refuses is not there to be tidied.
func (s *shrinking) tidy(ctx context.Context, plan *replay.Plan, result *replay.Result) error {
	queue := s.flags.queue
	if queue == "" && len(plan.Queues) > 0 {
		queue = renamed(result.Map.Dests, plan.Queues[0])
	}
	var records []capture.Record
	var failed error
	add := func(at time.Duration, name, agent string, fields map[string]string) {
		in, err := written(name, agent, fields)
		failed = errors.Join(failed, err)
		records = append(records, capture.Record{Seq: int64(len(records) + 1), Mono: at, CapturedAt: time.Unix(0, 0).Add(at),
			Direction: capture.Command, Source: "stomp", To: "queue://" + queue, JMSType: in.Type, Body: in.Body})
	}
	for _, leg := range legs(plan, result) {
		add(0, "ReleaseCall", leg[0], map[string]string{"dialogId": leg[1]})
	}
	for i, name := range []string{"MakeNotReady", "Logout"} {
		for _, agent := range plan.Agents {
			add(time.Duration(i+1)*settling, name, renamed(result.Map.Agents, agent), map[string]string{})
		}
	}
	if failed != nil || len(records) == 0 {
		return failed
	}
	last, err := replay.BuildPlan(func(yield func(capture.Record, error) bool) {
		for _, rec := range records {
			if !yield(rec, nil) {
				return
			}
		}
	}, replay.PlanOptions{})
	if err != nil {
		return err
	}
	for i := range last.Steps {
		last.Steps[i].Uses = nil // they are the target's own ids
	}
	_, err = replay.Play(ctx, s.conn, last, replay.PlayOptions{Run: "tidy", Sync: replay.SyncClock, Queue: queue, Linger: settling})
	return err
}

// written is a command as the table writes it.
func written(name, agent string, fields map[string]string) (decode.Input, error) {
	text, err := json.Marshal(map[string]any{"kind": "command", "name": name, "agent": agent, "fields": fields})
	if err != nil {
		return decode.Input{}, err
	}
	m, err := decode.FromJSON(text)
	if err != nil {
		return decode.Input{}, err
	}
	return decode.Encode(&m)
}

// legs are the agents, and the calls that they were on, by the target's names.
func legs(plan *replay.Plan, result *replay.Result) (all [][2]string) {
	add := func(agent, id string) {
		leg := [2]string{renamed(result.Map.Agents, agent), result.IDs[id]}
		if leg[1] != "" && !slices.Contains(all, leg) {
			all = append(all, leg)
		}
	}
	for i := range plan.Steps {
		for _, use := range plan.Steps[i].Uses {
			add(plan.Steps[i].Agent, use.Value)
		}
	}
	for i := range plan.Stimuli {
		add(plan.Stimuli[i].Agent, plan.Stimuli[i].Dialog)
	}
	return all
}

func renamed(names map[string]string, name string) string {
	if to, ok := names[name]; ok {
		return to
	}
	return name
}

// shrunkJSON is the result.
type shrunkJSON struct {
	Session   int64  `json:"session"`
	Name      string `json:"name"`
	Commands  int    `json:"commands"`
	Of        int    `json:"of"` // commands of the whole session
	Stimuli   int    `json:"stimuli"`
	Tries     int    `json:"tries"`
	Least     bool   `json:"least"` // nothing more can be taken out
	Confirmed int    `json:"confirmed,omitempty"`
	Failed    int    `json:"failed,omitempty"` // of confirmed
	Replay    string `json:"replay"`           // the command line
}

func (s *shrinking) print(r *shrunkJSON) error {
	if s.flags.asJSON {
		return json.NewEncoder(s.Out).Encode(r)
	}
	how := "the least: nothing can be taken out of it"
	if !r.Least {
		how = "smaller ones were not all tried"
	}
	_, err := fmt.Fprintf(s.Out, "session %d, %s: %d of %d commands, %d calls from outside, after %d tries; %s\n", r.Session, printable(r.Name), r.Commands, r.Of, r.Stimuli, r.Tries, how)
	if err == nil && r.Confirmed > 0 {
		_, err = fmt.Fprintf(s.Out, "it failed %d times out of %d\n", r.Failed, r.Confirmed)
	}
	if err == nil {
		_, err = fmt.Fprintln(s.Out, r.Replay)
	}
	return err
}

// keep writes the slice as a session.
func (s *shrinking) keep(ctx context.Context, plan *replay.Plan, result *shrunkJSON, set *pflag.FlagSet) error {
	text, err := s.seqs(ctx, plan)
	if err != nil {
		return err
	}
	filter, err := store.CompileFilter(text)
	if err != nil {
		return fmt.Errorf("the slice has too many pieces for a session of its own: %w", err)
	}
	db, err := store.Open(ctx, s.db, store.Record)
	if err != nil {
		return err
	}
	defer db.Close()
	copied, err := s.from.CopyTo(ctx, s.source.ID, db, filter)
	if err != nil {
		return err
	}
	result.Session = copied.Session.ID
	name := s.flags.name
	if name == "" {
		if name, err = freeName(ctx, db, s.source.Name+"-shrunk"); err != nil {
			return err
		}
	}
	if err := db.Rename(ctx, result.Session, name); err != nil {
		return err
	}
	result.Name = name
	result.Replay = "gctap replay " + shellWord(name) + s.target(set)
	return nil
}

// seqs is a filter that accepts what the slice covers.
func (s *shrinking) seqs(ctx context.Context, plan *replay.Plan) (string, error) {
	var parts []string
	first, last := int64(0), int64(0)
	end := func() {
		if first > 0 {
			parts = append(parts, fmt.Sprintf("seq >= %d && seq <= %d", first, last))
		}
	}
	for rec, err := range s.from.Records(ctx, s.source.ID, 1) {
		if err != nil {
			return "", err
		}
		if !plan.Covers(&rec) || rec.Direction == capture.GapRow {
			continue
		}
		if first == 0 || rec.Seq != last+1 {
			end()
			first = rec.Seq
		}
		last = rec.Seq
	}
	end()
	return strings.Join(parts, " || "), nil
}

// target repeats the flags that say how to replay, without passwords.
func (s *shrinking) target(set *pflag.FlagSet) string {
	text := " --to " + shellWord(s.config.Broker.String())
	own := []string{"to", "name", "fail-on", "tries", "confirm", "duration", "reset", "json", "filter", "db", "color"}
	set.VisitAll(func(flag *pflag.Flag) {
		if slices.Contains(own, flag.Name) || !flag.Changed && flag.Name != "sync" {
			return
		}
		values := []string{flag.Value.String()}
		if many, ok := flag.Value.(pflag.SliceValue); ok {
			values = many.GetSlice()
		}
		for _, value := range values {
			text += " --" + flag.Name + "=" + shellWord(value)
		}
	})
	return text + " --diff"
}

// shellWord quotes a word for a shell where it needs to be.
func shellWord(word string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./:,=@%+-]+$`).MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
