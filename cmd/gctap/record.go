package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture/stomptap"
	"gctap/store"
)

// What record does when nobody says otherwise.
const (
	defaultQueue    = "Connector1" // as seen on a real site: inventory 17.5
	defaultConsumer = "gctap"
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
	parts       partLimits
	ring        ringConfig
	trigger     string
	metrics     string
	filter      string
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
  events     no commands, even where the broker copies them
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
	flags.StringArrayVar(&f.topics, "topic", nil, "client topic, or topics by wildcard (192.168.>, 10.0.*.7), recorded whatever is on them; may be given several times")
	flags.StringVar(&f.mode, "mode", string(stomptap.Auto), "how commands are seen: see above")
	flags.StringVar(&f.consumer, "consumer", defaultConsumer, "name of this tap in durable mode")
	flags.StringVar(&f.name, "name", "", "name of the session (default: host and time)")
	flags.StringVar(&f.filter, "filter", "", "keep only messages that this expression accepts; the others are counted")
	flags.DurationVar(&f.duration, "duration", 0, "stop after this time")
	flags.StringVar(&f.siteTZ, "site-tz", "", "time zone of the times in messages (default: this machine's, marked as assumed)")
	flags.BoolVar(&f.noDiscovery, "no-discovery", false, "do not read all topics to find the clients'; handshakes and --topic find them")
	flags.BoolVar(&f.steal, "i-know-this-steals-commands", false, "with --mode consume: GC does not get the commands that are recorded")
	flags.StringVar(&f.onFull, "on-full", onFullStop, "when the disk is full: stop, or wait for room and count what does not fit into memory")
	flags.DurationVar(&f.parts.age, "part-age", 0, "go on in a new session after this time")
	flags.Var(&f.parts.size, "part-size", "go on in a new session after so many bytes of bodies, such as 512M")
	flags.DurationVar(&f.parts.keep, "keep", 0, "delete parts of this recording that ended longer ago than this")
	flags.DurationVar(&f.ring.before, "ring", 0, "flight recorder: keep this much of the past in memory, save it when --trigger says")
	flags.StringVar(&f.trigger, "trigger", "", "with --ring: save what was before and what follows a message that this expression accepts")
	flags.DurationVar(&f.ring.after, "after", 0, "with --ring: go on saving so long after the last trigger (default: as --ring)")
	flags.StringVar(&f.metrics, "metrics", "", "serve counters for Prometheus on this loopback address, such as 127.0.0.1:9464")
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
	for name, d := range map[string]time.Duration{
		"duration": f.duration, "probe": f.broker.probe, "part-age": f.parts.age, "keep": f.parts.keep, "ring": f.ring.before, "after": f.ring.after,
	} {
		if d < 0 {
			return usagef("--%s %s: a time is not negative", name, d)
		}
	}
	for _, topic := range f.topics {
		if err := stomptap.CheckTopic(topic); err != nil {
			return usagef("--topic: %v", err)
		}
	}
	if err := checkQueues(f.queues...); err != nil {
		return err
	}
	if err := f.checkRing(); err != nil {
		return err
	}
	if f.parts.keep > 0 && f.parts.age == 0 && f.parts.size == 0 {
		return usagef("--keep deletes old parts: say with --part-age or --part-size when a part ends")
	}
	if _, err := store.CompileFilter(f.filter); err != nil {
		return err
	}
	if f.siteTZ != "" {
		if _, err := time.LoadLocation(f.siteTZ); err != nil {
			return usagef("--site-tz %s: %w; names are like Europe/Paris", f.siteTZ, err)
		}
	}
	return nil
}

func (f *recordFlags) checkRing() error {
	switch {
	case f.ring.before == 0 && f.trigger == "":
		return nil
	case f.ring.before <= 0 || f.trigger == "":
		return usagef("--ring and --trigger go together: --ring 10m --trigger 'name == \"Error\"'")
	case f.mode == string(stomptap.Durable):
		return usagef("--ring keeps messages in memory only, so it cannot acknowledge those of --mode durable: take another mode")
	case f.parts.age > 0 || f.parts.size > 0:
		return usagef("--ring makes a session for each trigger: it has no parts")
	}
	if f.ring.after == 0 {
		f.ring.after = f.ring.before
	}
	if _, err := store.CompileFilter(f.trigger); err != nil {
		return usagef("--trigger: %w", err)
	}
	return nil
}

// checkQueues refuses what is not the name of one queue.
func checkQueues(queues ...string) error {
	for _, queue := range queues {
		if err := stomptap.CheckQueue(queue); err != nil {
			return usagef("--queue %w; --queue may be given several times where a command takes several", err)
		}
	}
	return nil
}

// checkConsumer refuses names with which the broker's queue would not be the
// tap's own.
func checkConsumer(name string) error {
	if strings.ContainsAny(name, ".*>, ") || name == "" {
		return usagef("--consumer %q: give a name without dots, blanks, commas and wildcards; the broker's queue is named by it", name)
	}
	return nil
}

// command is what a durable tap is known by when it is started again: all that
// decides what is recorded and how. Other modes leave nothing to take up.
func (f *recordFlags) command() string {
	if f.mode != string(stomptap.Durable) {
		return ""
	}
	return fmt.Sprintf("durable consumer=%q queues=%q topics=%q filter=%q discovery=%t secrets=%t",
		f.consumer, f.queues, f.topics, f.filter, !f.noDiscovery, f.keepSecrets)
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
	// A guest beside live calls: memory that is not let go at once is somebody
	// else's. It costs a few per cent of what a recorder can do.
	debug.SetGCPercent(25)
	r := &recording{app: a, flags: f, config: config, say: newTalker(a.Err), origin: store.OriginRecord}
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.duration, errDuration)
		defer cancel()
	}
	return r.run(ctx, db)
}
