package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"gctap/replay"
	"gctap/store"
	"gctap/viewer"
	"gctap/viewer/model"
)

// playFlags are the flags of view that are about a replay.
func (f *viewFlags) playFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("replay", pflag.ContinueOnError)
	f.play.registerPlay(flags)
	f.play.registerSteering(flags)
	return flags
}

// checkPlay refuses flags of a replay where there is none, and what the screen
// has no room for.
func (f *viewFlags) checkPlay(play *pflag.FlagSet, args []string) (err error) {
	if f.play.to == "" {
		play.VisitAll(func(flag *pflag.Flag) {
			if flag.Changed {
				err = usagef("--%s is about a replay: it needs --to BROKER", flag.Name)
			}
		})
		return err
	}
	if len(args) != 1 {
		return usagef("--to replays one session: gctap view SESSION --to BROKER")
	}
	if f.play.stimulus == "prompt" {
		return usagef("--stimulus prompt asks where the viewer's screen is: use none, sim or exec:COMMAND, or gctap replay")
	}
	return nil
}

// viewReplay opens the viewer with a replay that waits to be started. All that
// may be refused is refused before.
func (a *app) viewReplay(ctx context.Context, ref string, f viewFlags, options viewer.Options) error {
	f.play.filter, f.play.diffFlags.format = f.filter, "text"
	r, err := planReplay(ctx, a, ref, &f.play)
	if err != nil {
		return err
	}
	defer r.from.Close()
	if err := r.check(ctx); err != nil {
		return err
	}
	t, err := r.reach(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	d := newDeck(ctx, r, t)
	options.Replay, options.Desk = d, d.desk(a)
	return d.end(viewer.Run(ctx, d.sources(), options))
}

// A deck is the replay that the viewer steers. What it has to say is shown in
// the viewer, and on standard error once the screen is given back.
type deck struct {
	*replay.Control
	replaying *replaying
	target    *target
	ctx       context.Context
	stop      context.CancelCauseFunc
	out       io.Writer     // standard error
	done      chan struct{} // closed when all is saved

	mu    sync.Mutex
	state model.PlayState
	err   error
	panic any // of the goroutine that plays: told by the one that owns the screen
}

func newDeck(ctx context.Context, r *replaying, t *target) *deck {
	d := &deck{replaying: r, target: t, Control: r.control(), out: r.Err, done: make(chan struct{})}
	d.ctx, d.stop = context.WithCancelCause(ctx)
	quiet := *r.app
	quiet.Err = d
	r.app, r.say, r.began = &quiet, newTalker(d), d.began
	r.opts.Control = d.Control
	d.state.Breaks = r.flags.breakAt
	return d
}

// maxSaid bounds what is kept of what a replay has to say, in lines.
const maxSaid = 1000

// Write takes in what there is to say.
func (d *deck) Write(text []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(string(text)) {
		d.state.Said = append(d.state.Said, strings.TrimSuffix(line, "\n"))
	}
	d.state.Said = d.state.Said[max(len(d.state.Said)-maxSaid, 0):]
	return len(text), nil
}

// apart reports whether the new session is in another store than the old one.
func (d *deck) apart() bool { return d.target.db.Path() != d.replaying.from.Path() }

func (d *deck) sources() model.Source {
	if d.apart() {
		return model.TwoSources(d.replaying.from, d.target.db)
	}
	return d.replaying.from
}

// desk is that of the store that a session is in: the ids of the new one's are
// negative where that is another.
func (d *deck) desk(a *app) model.Desk {
	old := a.desk(d.replaying.from)
	if !d.apart() {
		return old
	}
	fresh := a.desk(d.target.db)
	of := func(id int64) (model.Desk, int64) {
		if id < 0 {
			return fresh, -id
		}
		return old, id
	}
	return model.Desk{
		Mark: func(ctx context.Context, session, seq int64, text string) error {
			desk, own := of(session)
			return desk.Mark(ctx, own, seq, text)
		},
		Unmark: func(ctx context.Context, session, seq int64) error {
			desk, own := of(session)
			return desk.Unmark(ctx, own, seq)
		},
		Export: func(ctx context.Context, s store.Session, f *store.Filter, file string, p *model.Progress) (string, error) {
			desk, own := of(s.ID)
			s.ID = own
			return desk.Export(ctx, s, f, file, p)
		},
	}
}

func (d *deck) began(s store.Session) {
	if d.apart() {
		s.ID = -s.ID
	}
	s.Live = true
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Session = s
}

// Session is what is played.
func (d *deck) Session() store.Session { return d.replaying.source }

// Target is the broker, without a password.
func (d *deck) Target() string { return d.target.config.Broker.String() }

// Plan is what is to be sent.
func (d *deck) Plan() *replay.Plan { return d.replaying.plan }

// Start begins to play.
func (d *deck) Start() {
	d.mu.Lock()
	begun := d.state.Begun
	d.state.Begun = true
	d.mu.Unlock()
	if !begun {
		go d.play()
	}
}

func (d *deck) play() {
	defer close(d.done)
	err := errors.New("the replay crashed")
	defer func() {
		crash := recover()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.state.Over, d.state.Session.Live = true, false
		d.err, d.panic = err, crash
	}()
	err = d.replaying.record(d.ctx, d.target)
}

// Stop ends the replay as Ctrl-C ends gctap replay.
func (d *deck) Stop() { d.stop(errInterrupted) }

// State is how the replay stands.
func (d *deck) State() model.PlayState {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.panic != nil {
		panic(d.panic)
	}
	state := d.state
	if d.err != nil && d.err.Error() != "" {
		state.Said = append(slices.Clip(state.Said), oneLine(d.err.Error()))
	}
	return state
}

// Break makes the replay stand before the commands that a filter accepts.
func (d *deck) Break(ctx context.Context, expression string) error {
	r := d.replaying
	seqs, err := matching(ctx, r.app, r.from, r.source, "break", expression)
	if err != nil {
		return err
	}
	breakAt(d.Control, seqs)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Breaks = expression
	return nil
}

// end stops the replay once the viewer has ended, and returns how both went.
func (d *deck) end(err error) error {
	defer d.stop(nil)
	if !d.State().Begun {
		return err
	}
	d.stop(errInterrupted)
	<-d.done
	for _, line := range d.state.Said { // the error is printed as every other
		fmt.Fprintln(d.out, line)
	}
	if d.err != nil {
		return d.err
	}
	return err
}
