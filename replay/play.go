package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// Sync says what a command waits for.
type Sync string

// The ways to keep commands in step with the recording.
const (
	SyncClock Sync = "clock" // its time
	SyncCause Sync = "cause" // the events it followed
	SyncBoth  Sync = "both"  // both
)

// Unmapped says what happens to a conversation whose next command cannot be
// written.
type Unmapped string

// The ways to go on.
const (
	StopConversation Unmapped = "stop"
	SkipCommand      Unmapped = "skip"
	FailReplay       Unmapped = "fail"
)

// Defaults of PlayOptions.
const (
	DefaultTimeout = 5 * time.Second
	impatient      = 200 * time.Millisecond // for a cause that failed to come once
	progressEvery  = 100 * time.Millisecond
)

// PlayOptions say how a plan is played.
type PlayOptions struct {
	Run         string // part of the names of the replay's own topics
	Sync        Sync   // "": SyncBoth
	Speed       float64
	Timeout     time.Duration // for a cause, without the time that a Control makes the replay stand; 0: DefaultTimeout
	Queue       string        // all commands go here; "": where they went, mapped
	Map         Mapping
	Credentials Credentials
	OnUnmapped  Unmapped // "": StopConversation
	Rate        float64  // commands a second at most, evenly; what is due earlier waits its turn. 0: no limit
	Decode      decode.Options
	Control     *Control // steers the replay; nil: nobody does
	// Linger is how long nothing must have come before the replay ends, once all
	// is played: GC may have more to say than anybody waits for. It is not
	// waited for more than four times as long.
	Linger time.Duration

	// Stimulate brings a stimulus about when it is due; nil: nobody does. It
	// must not wait for what follows from it.
	Stimulate func(context.Context, Stimulus) error
	// Arrange takes the place of Stimulate where that may take its time: it runs
	// on a goroutine of its own, and what it fails with stops the conversations
	// that need the stimulus. Its context ends with the replay.
	Arrange func(context.Context, Stimulus) error
	// Patient says that no command runs out of its time while what it waits for
	// is being arranged, and that an arrangement is over, its context ended, once
	// its event has come.
	Patient bool
	// Offer is handed all that is sent, received and noted, in order.
	Offer func(capture.Delivery)
	// Progress, if not nil, is told now and then where the replay stands. It
	// must return at once.
	Progress func(Progress)
}

// Progress is where a replay stands.
type Progress struct {
	Sent, Steps int
	Received    int
	Waiting     int           // conversations that wait for an event
	Waits       string        // what one of them waits for
	Behind      time.Duration // how much later than due the last command was sent
	Stands      bool          // time stands still: see Control
	Broke       bool          // because of a breakpoint
	Before      *Step         // the command it stands before; nil: none. Not to be changed
	Over        bool          // the replay has ended
}

// Result is how a replay went.
type Result struct {
	Sent, Received, Skipped int
	Stimuli                 int // brought about by the replay
	Stopped                 []Stopped
	Missed                  []Missed
	Absent                  []Stimulus // what had to happen outside, and did not
	Unsent                  []Unsent
	Failed                  []Failed
	Behind                  []time.Duration // of each command sent: sent minus due
	IDs                     map[string]string
	Map                     Mapping
	Took                    time.Duration
	Stood                   time.Duration // of Took: a Control made it stand
	Interrupted             bool
}

// Complete reports whether every command was sent and every awaited event came.
func (r *Result) Complete() bool {
	return len(r.Stopped) == 0 && len(r.Missed) == 0 && r.Skipped == 0 && len(r.Unsent) == 0 && len(r.Failed) == 0 && !r.Interrupted
}

// Stopped is a conversation that was not played to its end.
type Stopped struct {
	Conversation string
	Seq          int64 // of the first command, in the recording, that was not sent; 0: all were
	Left         int   // commands not sent
	Reason       string
}

// Missed is an event that a command waited for in vain; the command was sent
// all the same.
type Missed struct {
	Conversation string
	Cause        Cause
	Before       int64 // seq, in the recording, of the command; 0: the end
}

// Play plays a plan over a link and returns when every conversation came to
// its end, ctx is done, or the link is given up. The Result is whole in each
// case, and all that was received has been offered.
func Play(ctx context.Context, link capture.Link, plan *Plan, opts PlayOptions) (*Result, error) {
	p := newPlayer(link, plan, opts)
	cancel, err := p.listen(ctx)
	if err != nil {
		return p.result, err
	}
	err = p.run(ctx)
	if err == nil {
		err = p.linger(ctx)
	}
	if err == nil {
		err = link.Sync(ctx) // nobody answers some commands; they have to be out before the link is closed
	}
	cancel()
	p.drain()
	return p.result, err
}

// player is a replay under way. One goroutine, that of Play, owns all of it
// but the inbox.
type player struct {
	link   capture.Link
	plan   *Plan
	opts   PlayOptions
	write  writer
	flow   *flow.Flow
	result *Result
	start  time.Time // by the watch, as all moments of the replay are
	told   time.Time // when Progress was
	untold bool      // something has changed since then

	agentsBack, destsBack map[string]string // the replay's names to the recording's
	idsBack               map[string]string
	commands              map[int64]int64 // seq of a sent command here, and in the recording
	seq                   int64
	counts                map[string]map[Event]int // by conversation of the recording
	short                 map[string]map[Event]int // events that failed to come

	lanes   []*lane
	timers  timers
	waiters map[string][]*lane // by conversation whose events they wait for
	left    int                // conversations that go on
	done    []bool             // by step: sent, or given up
	sent    []bool             // by step
	turn    int                // the first step that is not done
	queued  map[int][]*lane    // by step: whose turn comes then
	nudged  []string           // conversations that sent or gave up something
	pace    pace
	arrange arrangements
	control
	mu    sync.Mutex
	inbox []capture.Delivery
	ended []arranged
	wake  chan struct{}
}

func newPlayer(link capture.Link, plan *Plan, opts PlayOptions) *player {
	if opts.Sync == "" {
		opts.Sync = SyncBoth
	}
	if opts.Speed <= 0 {
		opts.Speed = 1
	}
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.OnUnmapped == "" {
		opts.OnUnmapped = StopConversation
	}
	if opts.Offer == nil {
		opts.Offer = func(capture.Delivery) {}
	}
	names := opts.Map.clone()
	names.own(plan.Topics, opts.Run)
	p := &player{
		link: link, plan: plan, opts: opts, flow: flow.New(flow.Options{}),
		write:      writer{names: names, credentials: opts.Credentials, ids: map[string]string{}, queue: opts.Queue, decode: opts.Decode},
		agentsBack: inverse(names.Agents), destsBack: inverse(names.Dests), idsBack: map[string]string{},
		commands: map[int64]int64{}, counts: map[string]map[Event]int{}, short: map[string]map[Event]int{},
		done: make([]bool, len(plan.Steps)), sent: make([]bool, len(plan.Steps)),
		queued: map[int][]*lane{}, waiters: map[string][]*lane{}, wake: make(chan struct{}, 1),
		result: &Result{Map: names, Unsent: plan.Unsent},
	}
	p.result.IDs = p.write.ids
	p.pace.limit(opts.Rate)
	p.control.attach(opts.Control, len(plan.Steps))
	p.awaitStimuli()
	return p
}

// listen subscribes to the replay's own topics, in place of each client topic
// of the recording, and to the topics of GCs among themselves that it has too.
func (p *player) listen(ctx context.Context) (stop func(), err error) {
	var cancels []func() error
	stop = func() {
		for _, cancel := range cancels {
			_ = cancel() // the link may be gone; there is nothing left to end then
		}
	}
	hear := func(topic string, as capture.Direction) error {
		to := "topic://" + topic
		cancel, err := p.link.Subscribe(ctx, capture.Subscription{Destination: to}, func(d capture.Delivery) {
			d.Record.Direction = as
			p.deliver(d)
		})
		if err != nil {
			stop()
			return fmt.Errorf("listen on %s: %w", to, err)
		}
		cancels = append(cancels, cancel)
		return nil
	}
	for _, topic := range p.plan.Topics {
		if err := hear(p.write.names.Dests[topic], capture.Event); err != nil {
			return nil, err
		}
	}
	for _, topic := range p.plan.Peers {
		if err := hear(topic, capture.Peer); err != nil {
			return nil, err
		}
	}
	return stop, nil
}

// deliver is called on the goroutine that reads the connection.
func (p *player) deliver(d capture.Delivery) {
	p.mu.Lock()
	p.inbox = append(p.inbox, d)
	p.mu.Unlock()
	p.nudge()
}

// nudge has the replay look at what there is.
func (p *player) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *player) take() []capture.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.inbox
	p.inbox = nil
	return got
}

// drain offers what came last.
func (p *player) drain() {
	for _, d := range p.take() {
		p.receive(d)
	}
}

// run sends what is due and takes in what comes, until all lanes have ended.
func (p *player) run(ctx context.Context) error {
	p.start = p.watch.now()
	defer p.endArrangements()
	defer p.over(time.Now())
	m := p.write.names
	p.offer(flow.Mapping{Agents: m.Agents, Exts: m.Exts, Dests: m.Dests, Texts: m.Texts}.Record(time.Now()))
	p.makeLanes()
	for _, l := range p.lanes {
		if err := p.advance(ctx, l); err != nil {
			return p.interrupted(err)
		}
	}
	for p.left > 0 {
		if err := p.settle(ctx); err != nil {
			return p.interrupted(err)
		}
		if p.left == 0 {
			break
		}
		if err := p.wait(ctx); err != nil {
			return p.interrupted(err)
		}
		if err := p.goOn(ctx); err != nil {
			return p.interrupted(err)
		}
	}
	return nil
}

// goOn does what has become possible by what came, by the time and by the
// Control.
func (p *player) goOn(ctx context.Context) error {
	for _, d := range p.take() {
		if err := p.follow(ctx, p.receive(d)); err != nil {
			return err
		}
	}
	if err := p.conclude(ctx); err != nil {
		return err
	}
	if err := p.thaw(ctx); err != nil {
		return err
	}
	if err := p.ring(ctx); err != nil {
		return err
	}
	if p.untold {
		p.progress()
	}
	return nil
}

// linger takes in what comes until nothing has come for a while.
func (p *player) linger(ctx context.Context) error {
	if p.opts.Linger <= 0 {
		return nil
	}
	latest := time.NewTimer(4 * p.opts.Linger)
	defer latest.Stop()
	for {
		quiet := time.NewTimer(p.opts.Linger)
		select {
		case <-p.wake:
			quiet.Stop()
			p.drain()
			continue
		case <-quiet.C:
			return nil
		case <-latest.C:
			return nil
		case <-ctx.Done():
			return nil // all has been played
		case <-p.link.Done():
			return p.lost()
		}
	}
}

// over closes the books.
func (p *player) over(began time.Time) {
	p.watch.run()
	p.result.Took, p.result.Stood = time.Since(began), p.watch.lost
	if !p.result.Interrupted {
		p.result.Absent = p.absent()
	}
	p.told = time.Time{}
	p.progress()
}

// settle does what has become possible by what was sent.
func (p *player) settle(ctx context.Context) error {
	for {
		turn, nudged := p.turn, p.nudged
		p.nudged = nil
		if err := p.follow(ctx, nudged); err != nil {
			return err
		}
		if err := p.pass(ctx); err != nil {
			return err
		}
		if p.turn == turn && len(p.nudged) == 0 {
			return nil
		}
	}
}

// wait returns when something came, a timer rings or the replay is over.
func (p *player) wait(ctx context.Context) error {
	var ring <-chan time.Time
	if d, ok := p.sleep(); ok {
		timer := time.NewTimer(d)
		defer timer.Stop()
		ring = timer.C
	}
	select {
	case <-p.wake:
	case <-p.changed:
	case <-ring:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.link.Done():
		return p.lost()
	}
	return nil
}

func (p *player) lost() error {
	return fmt.Errorf("replay: connection lost: %w", cmpErr(p.link.Err(), errors.New("the link was closed")))
}

// sleep returns how long there is nothing to do, unless something comes.
func (p *player) sleep() (d time.Duration, ok bool) {
	soonest := func(other time.Duration) {
		if !ok || other < d {
			d, ok = other, true
		}
	}
	if p.untold {
		soonest(time.Until(p.told.Add(progressEvery)))
	}
	if p.stopped() {
		return d, ok
	}
	if next, any := p.timers.next(); any {
		soonest(next.Sub(p.watch.now()))
	}
	if len(p.pace.lanes) > 0 {
		soonest(p.pace.free.Sub(p.watch.now()))
	}
	return d, ok
}

func cmpErr(err, or error) error {
	if err != nil {
		return err
	}
	return or
}

// interrupted stops all that is left.
func (p *player) interrupted(err error) error {
	p.result.Interrupted = true
	for _, l := range p.lanes {
		if !l.over {
			p.stop(l, "the replay ended early")
		}
	}
	return err
}

// ring advances the lanes whose timer is due, and those whose turn it is by
// the rate.
func (p *player) ring(ctx context.Context) error {
	for !p.stopped() {
		next, ok := p.timers.next()
		if !ok || next.After(p.watch.now()) {
			break
		}
		if err := p.advance(ctx, p.timers.pop()); err != nil {
			return err
		}
	}
	for !p.stopped() {
		l := p.pace.next(p.watch.now())
		if l == nil {
			break
		}
		if err := p.advance(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// follow advances the lanes that waited for events of a conversation.
func (p *player) follow(ctx context.Context, conversations []string) error {
	for _, c := range conversations {
		lanes := p.waiters[c]
		delete(p.waiters, c)
		for _, l := range lanes {
			if err := p.advance(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// timeless reports whether the recorded times count for nothing.
func (p *player) timeless() bool { return p.opts.Sync == SyncCause || math.IsInf(p.opts.Speed, 1) }

// due is the moment of a time of the recording.
func (p *player) due(at time.Duration) time.Time {
	if p.timeless() {
		return p.start
	}
	return p.start.Add(time.Duration(float64(at) / p.opts.Speed))
}

func (p *player) offer(rec capture.Record) { p.opts.Offer(capture.Delivery{Record: rec}) }

// progress tells where the replay stands, ten times a second at the most.
func (p *player) progress() {
	if p.opts.Progress == nil && p.opts.Control == nil {
		return
	}
	now := time.Now()
	if p.untold = now.Sub(p.told) < progressEvery; p.untold {
		return
	}
	p.told = now
	s := Progress{Sent: p.result.Sent, Steps: len(p.plan.Steps), Received: p.result.Received, Stands: p.stopped(), Over: p.left == 0}
	s.Broke, s.Before = p.before()
	if n := len(p.result.Behind); n > 0 {
		s.Behind = p.result.Behind[n-1]
	}
	for _, l := range p.lanes {
		if !l.over && len(l.waits) > 0 {
			s.Waiting++
			s.Waits = l.waits
		}
	}
	if p.opts.Control != nil {
		p.opts.Control.told(s)
	}
	if p.opts.Progress != nil {
		p.opts.Progress(s)
	}
}
