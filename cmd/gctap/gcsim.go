package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/replay/gcsim"
)

type gcsimFlags struct {
	broker brokerFlags
	on     string
	queue  string
	agents int
	book   string
	shift  bool
	calls  string
	sim    gcsim.Config
}

func gcsimCommand(a *app) *cobra.Command {
	var f gcsimFlags
	cmd := &cobra.Command{
		Use:   "gcsim --on BROKER",
		Short: "Run a simulated GC on a broker, for clients and tests without a real one",
		Long: `Run a simulated GC on a broker until SIGINT or SIGTERM. It reads the command queue
and answers on the topics that clients name in Hello and Connect, as GC does.

Inbound calls come by themselves with --calls auto. With --calls driven, and
beside that, they are asked for on the topic gctap.sim.control:
  {"do":"call","from":"42512","to":"1001","variables":{"callVariable1":"…"}}
  {"do":"hangup","agent":"1001"}
  {"do":"reserve-outbound","agent":"1001","from":"5550100","mode":"preview"}
  {"do":"out-of-service"}  {"do":"in-service"}
  {"do":"re-login","agent":"1001"}  {"do":"reconnect"}  {"do":"connector-sync"}

A --fault makes it misbehave; @N is the Nth time only:
  missing:InboundCall:ACTIVE@2     double:State@2        reorder:InboundCall:HELD
  late:InboundCall:ACTIVE@1:3s     extra:State@2         malformed:State@2
  change:State.label=Lunch@3       change:State.reasonCode=-1=>0
  error:HoldCall=CF_RESOURCE_BUSY@1                      ignore:MakeReady@1
A name may have an agent in front: missing:1001/State@2.

Builds:
` + builds(),
		Example: "  gctap gcsim --on stomp://localhost:61613 --calls auto",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runGCSim(cmd.Context(), a, f) },
	}
	flags := cmd.Flags()
	f.broker.register(flags)
	flags.StringVar(&f.on, "on", "", "the broker's URL")
	flags.StringVar(&f.queue, "queue", gcsim.DefaultQueue, "command queue")
	flags.IntVar(&f.agents, "agents", 5, "how many agents can log in; each twenty have a supervisor")
	flags.BoolVar(&f.sim.Open, "open", false, "let everybody in, with any login id, password and extension")
	flags.StringVar(&f.calls, "calls", string(gcsim.CallsDriven), "inbound calls: auto (some of its own) or driven (only when asked for)")
	flags.DurationVar(&f.sim.Auto.Every, "every", 0, "with --calls auto: a call comes this often on average (default 20s)")
	flags.StringVar(&f.sim.Build, "build", "a", "behave as this build, see above")
	flags.StringArrayVar(&f.sim.Faults, "fault", nil, "do this wrong, see above; may be given several times")
	flags.Uint64Var(&f.sim.Seed, "seed", 0, "of call ids, delays and calls (default: another one each time)")
	flags.DurationVar(&f.sim.DelayMin, "delay-min", 0, "an event leaves this long after its cause, at least")
	flags.DurationVar(&f.sim.DelayMax, "delay-max", 0, "… and at most")
	flags.DurationVar(&f.sim.Camp, "camp", 0, "a call to an agent who is not ready waits this long before it fails")
	flags.IntVar(&f.sim.Licenses, "licenses", 0, "how many agents may be logged in at once (default: all)")
	flags.BoolVar(&f.sim.ConnectorSync, "connector-sync", false, "publish AgentState with the password at each login, as GC does between connectors")
	flags.BoolVar(&f.shift, "shift", false, "let four scripted agents and their supervisor work a short shift, then end")
	flags.StringVar(&f.book, "book", "", "write what really happened, and the faults planted, to this file as JSON at the end")
	return cmd
}

// builds is the list of builds for the help.
func builds() string {
	var b strings.Builder
	for _, build := range gcsim.Builds() {
		fmt.Fprintf(&b, "  %s  %s\n", build.Name, build.Doc)
	}
	return b.String()
}

// runGCSim is the command.
func runGCSim(ctx context.Context, a *app, f gcsimFlags) error {
	if f.on == "" {
		return usagef("gcsim needs the broker's URL: gctap gcsim --on stomp://HOST:61613")
	}
	if f.agents < 1 || f.shift && f.agents < 4 {
		return usagef("--agents %d: give 1 at least, 4 with --shift", f.agents)
	}
	f.sim.Site, f.sim.Calls = gcsim.NewSite(f.agents), gcsim.Calls(f.calls)
	if f.sim.Seed == 0 {
		f.sim.Seed = uint64(time.Now().UnixNano())
	}
	if _, err := gcsim.New(f.sim); err != nil { // before anything is connected
		return err
	}
	config, err := f.broker.config(f.on)
	if err != nil {
		return err
	}
	config.Reconnect = true
	conn, err := link.Open(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	say := newTalker(a.Err)
	server, err := gcsim.Serve(ctx, conn, f.queue, f.sim, func(line string) { say.line("%s", line) })
	if err != nil {
		return err
	}
	fmt.Fprint(a.Out, serving(f))
	err = f.wait(ctx, config, server, say)
	return errors.Join(err, f.keep(server), server.Close())
}

// serving says what is there, for somebody with a client at hand.
func serving(f gcsimFlags) string {
	var b strings.Builder
	fmt.Fprintf(&b, "simulated GC, build %s, on queue %s; calls: %s; seed %d\n", f.sim.Build, f.queue, f.calls, f.sim.Seed)
	agents, bosses := ends(f.sim.Site, false), ends(f.sim.Site, true)
	fmt.Fprintf(&b, "agents       %s\nsupervisors  %s\n", agents, bosses)
	fmt.Fprintf(&b, "passwords    %s for 1001, and so on\n", gcsim.PasswordOf("1001"))
	return b.String()
}

// ends names the first and the last of the people, with their extensions.
func ends(s *gcsim.Site, supervisors bool) string {
	var names []string
	for i := range s.People {
		if p := &s.People[i]; p.Supervisor == supervisors {
			names = append(names, fmt.Sprintf("%s (extension %s)", p.ID, p.Extension))
		}
	}
	if len(names) > 2 {
		names = []string{names[0], "…", names[len(names)-1]}
	}
	return strings.Join(names, " ")
}

// wait shows the live line until the end: of ctx, of the connection or of the
// shift.
func (f *gcsimFlags) wait(ctx context.Context, config link.Config, server *gcsim.Server, say *talker) error {
	defer say.end()
	shift := make(chan error, 1)
	if f.shift {
		go func() { shift <- f.work(ctx, config) }()
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // stopped by who started it: the job is done
		case <-server.Done():
			return server.Err()
		case err := <-shift:
			return err
		case <-tick.C:
			c := server.Counts()
			say.status(fmt.Sprintf("%d logged in, %d calls, %d waiting; %d commands, %d events, %d faults planted",
				c.LoggedIn, c.Dialogs, c.Waiting, c.Commands, c.Events, len(server.Planted())))
		}
	}
}

// work plays the scripted agents.
func (f *gcsimFlags) work(ctx context.Context, config link.Config) error {
	sc, err := gcsim.Shift(f.sim.Site)
	if err != nil {
		return err
	}
	sc.Queue = f.queue
	config.OnState = nil
	return gcsim.RunScenario(ctx, func() (capture.Link, error) { return link.Open(ctx, config) }, sc)
}

// keep writes the book.
func (f *gcsimFlags) keep(server *gcsim.Server) error {
	if f.book == "" {
		return nil
	}
	text, err := json.MarshalIndent(struct {
		Book    *gcsim.Book       `json:"book"`
		Planted []gcsim.Deviation `json:"planted"`
	}{server.Book(), server.Planted()}, "", " ")
	if err != nil {
		return fmt.Errorf("--book: %w", err)
	}
	if err := os.WriteFile(f.book, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("--book: %w", err)
	}
	return nil
}
