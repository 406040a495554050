package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
	"gctap/capture/stomptap"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
	"gctap/store"
)

// demoFaults are what the second build of the demo does differently.
var demoFaults = []string{
	"change:NewInboundCall.callType=ACD_IN@2",
	"change:State:NOT_READY.label=Break=>Pause@1",
	"missing:ReasonCodes@2",
	"change:Error.errorCode=GENERIC_ERROR@1",
}

type demoFlags struct {
	dir  string
	view bool
}

// demoThink is how long the demo's people think. Two who act within a broker's
// delay of each other may come in another order when they are replayed.
const demoThink = 50 * time.Millisecond

func demoCommand(a *app) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Do the whole job on this machine, with nothing installed",
		Long: `Do the whole job on parts that are built in: a broker, a simulated GC, five
simulated agents. Tap them, look at what was recorded, replay it to a second
build of that GC which misbehaves, and compare. Exit status 0 when exactly the
planted differences were found.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), a, f) },
	}
	cmd.Flags().StringVar(&f.dir, "dir", "", "keep the files in this folder (default: a new one for temporary files)")
	cmd.Flags().BoolVar(&f.view, "view", false, "open the viewer on the recording at the end")
	return cmd
}

func demo(ctx context.Context, a *app, f demoFlags) (err error) {
	dir := f.dir
	if dir == "" {
		dir, err = os.MkdirTemp("", "gctap-demo-")
	} else {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d := &demonstration{app: a, db: filepath.Join(dir, "demo.db"), dir: dir}
	if err := d.run(ctx); err != nil {
		return err
	}
	if f.view {
		return d.gctap(ctx, a.Out, "view", d.incident)
	}
	return nil
}

// A demonstration is one run of demo.
type demonstration struct {
	*app
	dir, db          string
	incident, replay string // names of its sessions
	steps            int
}

func (d *demonstration) step(format string, args ...any) {
	d.steps++
	fmt.Fprintf(d.Out, "\n%d. %s\n", d.steps, fmt.Sprintf(format, args...))
}

func (d *demonstration) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "   %s\n", fmt.Sprintf(format, args...))
}

func (d *demonstration) run(ctx context.Context) error {
	stamp := time.Now().Format("150405")
	d.incident, d.replay = "demo-"+stamp, "demo-replay-"+stamp
	if err := d.record(ctx); err != nil {
		return err
	}
	if err := d.look(ctx); err != nil {
		return err
	}
	planted, err := d.play(ctx)
	if err != nil {
		return err
	}
	return d.compare(ctx, planted)
}

// A place is a broker with a GC behind it.
type place struct {
	broker *brokertest.Broker
	gc     *gcsim.Server
	people *gcsim.Site
	links  []capture.Link
}

func (d *demonstration) place(ctx context.Context, seed uint64, faults []string) (*place, error) {
	p := &place{people: gcsim.NewSite(5)}
	var err error
	if p.broker, err = brokertest.Start(ctx, brokertest.Options{Mirror: true}); err != nil {
		return nil, err
	}
	conn, err := p.dial(ctx)
	if err == nil {
		p.gc, err = gcsim.Serve(ctx, conn, "", gcsim.Config{
			Site: p.people, Seed: seed, Faults: faults, DelayMin: time.Millisecond, DelayMax: 20 * time.Millisecond,
			Camp: 5 * time.Second, // who dials waits for the other agent, as people do
		}, nil)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) dial(ctx context.Context) (capture.Link, error) {
	b, err := link.ParseBroker(p.broker.URL())
	if err != nil {
		return nil, err
	}
	conn, err := link.Open(ctx, link.Config{Broker: b})
	if err != nil {
		return nil, err
	}
	p.links = append(p.links, conn)
	return conn, nil
}

func (p *place) close() {
	if p.gc != nil {
		p.gc.Close()
	}
	for _, l := range p.links {
		l.Close()
	}
	p.broker.Close()
}

// record taps a site while its agents work.
func (d *demonstration) record(ctx context.Context) error {
	site, err := d.place(ctx, 1, nil)
	if err != nil {
		return err
	}
	defer site.close()
	d.step("A site: broker %s with mirrored queues, a simulated GC, four agents and their supervisor", site.broker.URL())
	d.say("$ gctap record %s --name %s", site.broker.URL(), d.incident)

	db, err := store.Open(ctx, d.db, store.Record)
	if err != nil {
		return err
	}
	defer db.Close()
	config, err := new(brokerFlags).config(site.broker.URL())
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	r := &recording{
		app: d.app, config: config, origin: store.OriginDemo, say: newTalker(prefixed(d.Out)), ready: func() { close(ready) },
		flags: recordFlags{queues: []string{defaultQueue}, mode: string(stomptap.Auto), onFull: onFullStop, consumer: defaultConsumer, name: d.incident},
	}
	tapping, stop := context.WithCancel(ctx)
	defer stop()
	recorded := make(chan error, 1)
	go func() { recorded <- r.run(tapping, db) }()
	select {
	case <-ready:
	case err := <-recorded:
		return err
	}
	scenario, err := gcsim.Shift(site.people)
	if err != nil {
		return err
	}
	scenario.Think = demoThink
	err = gcsim.RunScenario(ctx, func() (capture.Link, error) { return site.dial(ctx) }, scenario)
	stop()
	return errors.Join(err, <-recorded)
}

// look shows what there is, and that no password is in it.
func (d *demonstration) look(ctx context.Context) error {
	d.step("The recording, in one file: %s", d.db)
	d.say("$ gctap sessions")
	if err := d.gctap(ctx, prefixed(d.Out), "sessions"); err != nil {
		return err
	}
	found, err := d.secretsStored()
	if err != nil {
		return err
	}
	people := gcsim.NewSite(5).People
	d.say("%d people logged in; passwords found in what was written: %d", len(people), found)
	if found > 0 {
		return errors.New("demo: the recording holds a password")
	}
	return nil
}

// secretsStored counts the passwords that a search of the written files finds.
func (d *demonstration) secretsStored() (found int, err error) {
	files, err := filepath.Glob(d.db + "*")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		for _, p := range gcsim.NewSite(5).People {
			found += bytes.Count(text, []byte(p.Password))
		}
	}
	return found, nil
}

// play replays the recording to a lab whose GC misbehaves, and returns what was
// planted there.
func (d *demonstration) play(ctx context.Context) ([]gcsim.Deviation, error) {
	lab, err := d.place(ctx, 2, demoFaults)
	if err != nil {
		return nil, err
	}
	defer lab.close()
	d.step("A lab: another broker, %s, and another build of the GC, with call ids of its own and %d faults", lab.broker.URL(), len(demoFaults))
	credentials := filepath.Join(d.dir, "credentials.csv")
	var lines strings.Builder
	for _, p := range lab.people.People {
		fmt.Fprintf(&lines, "%s,%s\n", p.ID, p.Password)
	}
	if err := os.WriteFile(credentials, []byte(lines.String()), 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(credentials)
	args := []string{"replay", d.incident, "--to", lab.broker.URL(), "--credentials", credentials,
		"--stimulus", "sim", "--name", d.replay, "--allow-source", "--look", "200ms", "--timeout", "3s"}
	d.say("$ gctap %s", strings.Join(args, " "))
	d.say("(--allow-source because site and lab are one machine here; both are gone when the demo ends, and so is the password file)")
	if err := d.gctap(ctx, prefixed(d.Out), args...); err != nil && !errors.Is(err, incomplete) {
		return nil, err
	}
	return lab.gc.Planted(), nil
}

// compare diffs the two sessions and holds the result against what was planted.
func (d *demonstration) compare(ctx context.Context, planted []gcsim.Deviation) error {
	d.step("What the new build does differently")
	d.say("$ gctap diff %s %s", d.incident, d.replay)
	err := d.gctap(ctx, prefixed(d.Out), "diff", d.incident, d.replay)
	if err != nil && !errors.Is(err, negative) {
		return err
	}
	var out bytes.Buffer
	if err := d.gctap(ctx, &out, "diff", d.incident, d.replay, "--format", "json"); err != nil && !errors.Is(err, negative) {
		return err
	}
	var report struct{ Differences []diff.Difference }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return fmt.Errorf("demo: reading the result of diff: %w", err)
	}
	found, want := foundDeviations(report.Differences), plantedDeviations(planted)
	d.step("Planted: %d. Found: %d.", len(want), len(found))
	for _, w := range want {
		d.say("%s %s", mark(slices.Contains(found, w)), w)
	}
	ok := slices.Equal(found, want)
	for _, f := range found {
		if !slices.Contains(want, f) {
			d.say("not planted: %s", f)
		}
	}
	d.further()
	if !ok {
		return &exitError{exitNegative, "demo: what was found is not what was planted"}
	}
	return nil
}

func mark(found bool) string {
	if found {
		return "found "
	}
	return "MISSED"
}

// foundDeviations and plantedDeviations put both sides into the same words,
// sorted.
func foundDeviations(differences []diff.Difference) []string {
	var all []string
	for _, d := range differences {
		fields := []string{""}
		if len(d.Fields) > 0 {
			fields = fields[:0]
			for _, f := range d.Fields {
				fields = append(fields, "."+f.Field)
			}
		}
		for _, field := range fields {
			all = append(all, fmt.Sprintf("%s: agent %s, %s%s", d.Class, d.Conversation, d.Name, field))
		}
	}
	slices.Sort(all)
	return all
}

func plantedDeviations(planted []gcsim.Deviation) []string {
	var all []string
	for _, p := range planted {
		field := ""
		if p.Field != "" {
			field = "." + p.Field
		}
		all = append(all, fmt.Sprintf("%s: agent %s, %s%s", p.Class, p.Conversation, p.Name, field))
	}
	slices.Sort(all)
	return all
}

// further says where to look next.
func (d *demonstration) further() {
	d.step("Look further")
	for _, command := range []string{"view " + d.incident, "show " + d.incident + " --json", "diff " + d.incident + " " + d.replay + " --format json"} {
		d.say("$ %s --db %s %s", program(), d.db, command)
	}
	d.say("$ %s explain State", program())
}

// program is how this program can be called again: `go run` builds it into a
// folder that is gone afterwards.
func program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/gctap"
	}
	return os.Args[0]
}

// gctap runs a command of this program as a user would.
func (d *demonstration) gctap(ctx context.Context, out io.Writer, args ...string) error {
	root := newRoot(stdio{d.In, out, prefixed(d.Err)})
	root.SetArgs(append([]string{"--db", d.db}, args...))
	return root.ExecuteContext(ctx)
}

// prefixed indents what is written, line by line.
func prefixed(w io.Writer) io.Writer { return &indenter{w: w, fresh: true} }

type indenter struct {
	w     io.Writer
	fresh bool // at the beginning of a line
}

func (i *indenter) Write(p []byte) (int, error) {
	var out []byte
	for _, b := range p {
		if i.fresh && b != '\n' {
			out = append(out, "   "...)
		}
		out = append(out, b)
		i.fresh = b == '\n'
	}
	_, err := i.w.Write(out)
	return len(p), err
}
