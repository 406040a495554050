package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/replay/gcsim"
)

// A floor is a simulated GC with people at work, in simulated time: what they
// send and are told is the recording, and the simulator's book and the faults
// planted in it are what the answers are held against.
//
// Nobody acts while an event is on its way, so that a run without faults is
// free of refused commands.
type floor struct {
	t       testing.TB
	sim     *gcsim.Sim
	rng     *rand.Rand
	now     time.Time
	end     time.Time
	people  []*worker
	records []capture.Record
	callers map[string]time.Time // when the outside party of a call hangs up
	quiet   time.Time            // nobody acts before
	nextIn  time.Time            // the next call from outside
	opts    floorOptions
}

type floorOptions struct {
	seed   uint64
	start  time.Time
	length time.Duration
	faults []string
	agents int
	calm   bool // no supervisor
	dialer bool // a campaign calls customers, too
	zone   *time.Location
}

// A worker is a client of one person, who sees only what it is told.
type worker struct {
	gcsim.Person
	topic string
	state string
	calls map[string]*view
	next  time.Time
	beat  time.Time
	step  int // of the login
	away  bool
	n     int
	boss  bool
	eager bool // to see whether it is known again
	again bool
	last  func()
	leave time.Time
}

// view is a call as its agent sees it.
type view struct {
	id, state, callType string
	incoming, consult   bool
	main                string
	touched             int // things done with it
}

// fill gives the zero fields their meaning.
func (o *floorOptions) fill() {
	if o.start.IsZero() {
		o.start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	}
	if o.length == 0 {
		o.length = 40 * time.Minute
	}
	if o.agents == 0 {
		o.agents = 5
	}
}

// play runs a floor to its end.
func play(t testing.TB, o floorOptions) *floor {
	t.Helper()
	o.fill()
	site := gcsim.NewSite(o.agents)
	for i := range site.People {
		if i%3 == 2 {
			site.People[i].WrapUp = "REQUIRED"
		}
	}
	sim, err := gcsim.New(gcsim.Config{Site: site, Seed: o.seed, Faults: o.faults, DelayMin: 2 * time.Millisecond, DelayMax: 60 * time.Millisecond, Zone: o.zone})
	if err != nil {
		t.Fatal(err)
	}
	f := &floor{t: t, sim: sim, rng: rand.New(rand.NewPCG(o.seed, 7)), now: o.start, end: o.start.Add(o.length), callers: map[string]time.Time{}, opts: o}
	for i, p := range site.People {
		if p.Supervisor && o.calm {
			continue
		}
		w := &worker{Person: p, topic: "desk." + p.ID, calls: map[string]*view{}, boss: p.Supervisor}
		w.next = f.now.Add(time.Duration(i)*700*time.Millisecond + 100*time.Millisecond)
		w.leave = f.end.Add(-time.Duration(f.rng.IntN(240)) * time.Second)
		if f.rng.IntN(4) == 0 {
			w.leave = f.end.Add(time.Hour) // still there when the recording ends
		}
		f.people = append(f.people, w)
	}
	f.nextIn = f.now.Add(20 * time.Second)
	for f.now.Before(f.end) {
		f.turn()
	}
	return f
}

// turn lets time pass to the next thing that happens.
func (f *floor) turn() {
	at := f.end
	if due, ok := f.sim.Next(); ok && due.Before(at) {
		at = due
	}
	who := f.first()
	if who != nil {
		act := later(who.next, f.quiet)
		if act.Before(at) {
			at = act
		}
	}
	outside := later(f.nextOutside(), f.quiet)
	if outside.Before(at) {
		at = outside
	}
	f.now = later(at, f.now)
	f.listen()
	switch {
	case !f.now.Before(f.end) || f.now.Before(f.quiet):
	case !outside.After(f.now):
		f.happen()
	case who != nil && !later(who.next, f.quiet).After(f.now):
		f.act(who)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (f *floor) first() *worker {
	var first *worker
	for _, w := range f.people {
		if !w.away && (first == nil || w.next.Before(first.next)) {
			first = w
		}
	}
	return first
}

// nextOutside is when a caller calls or hangs up next.
func (f *floor) nextOutside() time.Time {
	at := f.nextIn
	for _, t := range f.callers {
		if t.Before(at) {
			at = t
		}
	}
	return at
}

// happen lets the outside act.
func (f *floor) happen() {
	ids := make([]string, 0, len(f.callers))
	for id := range f.callers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if !f.callers[id].After(f.now) {
			delete(f.callers, id)
			_ = f.sim.Stimulate(f.now, gcsim.Stimulus{Do: gcsim.DoHangup, DialogID: id}) // it may be over
			f.busy()
			return
		}
	}
	f.nextIn = f.now.Add(f.between(8, 50))
	if f.opts.dialer && f.rng.IntN(3) > 0 {
		f.dial()
		return
	}
	err := f.sim.Stimulate(f.now, gcsim.Stimulus{Do: gcsim.DoCall, From: fmt.Sprint(5550000 + f.rng.IntN(9999)), Variables: map[string]string{"callVariable1": "gold"}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.busy()
}

// dial has the campaign's dialler take an agent who is ready.
func (f *floor) dial() {
	for _, w := range f.people {
		if w.boss || w.away || w.state != "READY" || len(w.calls) > 0 {
			continue
		}
		mode := []string{"preview", "progressive"}[f.rng.IntN(2)]
		err := f.sim.Stimulate(f.now, gcsim.Stimulus{Do: gcsim.DoReserveOutbound, Agent: w.ID, From: fmt.Sprint(5557000 + f.rng.IntN(999)), Mode: mode})
		if err != nil {
			f.t.Fatal(err)
		}
		break
	}
	f.busy()
}

// busy keeps all others still until the events are there.
func (f *floor) busy() { f.quiet = f.now.Add(250 * time.Millisecond) }

func (f *floor) between(low, high int) time.Duration {
	return time.Duration(low)*time.Second + time.Duration(f.rng.Int64N(int64(time.Duration(high-low)*time.Second)))
}

// listen records what is due and lets its receivers see it.
func (f *floor) listen() {
	for _, e := range f.sim.Advance(f.now) {
		rec := capture.Record{
			Direction: capture.Event, Source: "stomp", To: e.To, BodyKind: capture.Text, Body: e.Body, CapturedAt: e.At,
			MessageID: fmt.Sprintf("ID:gc-1-1:1:1:1:%d", len(f.records)),
		}
		f.record(rec)
		m := decode.Decode(decode.Input{Body: e.Body, Direction: decode.FromGC}, decode.Options{})
		for _, w := range f.people {
			if e.To == "topic://"+w.topic {
				f.see(w, &m)
			}
		}
		f.quiet = later(f.quiet, f.now.Add(100*time.Millisecond))
	}
}

func (f *floor) record(rec capture.Record) {
	rec.Seq = int64(len(f.records) + 1)
	f.records = append(f.records, rec)
}

// see brings what a worker knows up to date.
func (f *floor) see(w *worker, m *decode.Message) {
	switch m.Name {
	case "State":
		if m.Text("agentId") == w.ID || m.Text("state") == "RE_LOGIN" {
			f.feel(w, m.Text("state"))
		}
	case "Destination":
		w.step, w.next, w.eager = 0, f.now.Add(time.Second), true
	case "Error": // it tries again
		w.again, w.next = true, f.now.Add(3*time.Second)
	case "NewInboundCall":
		w.calls[m.Text("dialogId")] = &view{id: m.Text("dialogId"), state: "ALERTING", incoming: true, callType: m.Text("callType")}
	case "InboundCall", "OutboundCall", "ConsultCall":
		f.call(w, m)
	}
}

func (f *floor) feel(w *worker, state string) {
	if state == "RE_LOGIN" {
		w.step, w.next = 0, f.now.Add(time.Second)
		return
	}
	if w.state != state && w.step > 2 {
		w.next = f.now.Add(f.between(3, 25))
		if state == "RESERVED" {
			w.next = f.now.Add(f.between(1, 7))
		}
	}
	w.state = state
}

func (f *floor) call(w *worker, m *decode.Message) {
	id := m.Text("dialogId")
	consult := m.Name == "ConsultCall"
	if consult {
		id = m.Text("associatedDialogId")
	}
	state, _ := decode.CanonicalDialogState(m.Text("state"))
	if state == "DROPPED" || state == "FAILED" {
		delete(w.calls, id)
		return
	}
	c := w.calls[id]
	if c == nil {
		c = &view{id: id}
		w.calls[id] = c
	}
	c.state, c.consult = state, consult
	if t := m.Text("callType"); t != "" {
		c.callType = t
	}
	if consult {
		c.main = m.Text("callVariables.associatedDialogId")
	}
	if _, known := f.callers[id]; state == "ACTIVE" && !known && c.callType == "PREROUTE_ACD_IN" {
		f.callers[id] = f.now.Add(f.between(10, 120))
	}
}

// send sends a command of a worker, about another agent where about is set.
func (f *floor) send(w *worker, about, name string, args ...string) {
	spec := decode.LookupCommand(name)
	if spec == nil {
		f.t.Fatalf("no command %s", name)
	}
	if about == "" {
		about = w.ID
	}
	if name == "Hello" || name == "Beat" {
		about = w.topic
	}
	w.last = func() { f.send(w, about, name, args...) }
	w.n++
	typ, body := spec.Word+"#"+about, strings.Join(args, ",")
	conn := "ID:desk-" + w.ID + "-1:1"
	f.record(capture.Record{
		Direction: capture.Command, Source: "stomp", To: "queue://Connector1", ReplyTo: "topic://" + w.topic, JMSType: &typ, BodyKind: capture.Text,
		Body: []byte(strings.ReplaceAll(body, w.Password, "***")), CapturedAt: f.now, Conn: conn, MessageID: fmt.Sprintf("%s:1:1:%d", conn, w.n),
	})
	f.sim.Command(f.now, gcsim.Command{Type: typ, Body: []byte(body), ReplyTo: "topic://" + w.topic, Conn: conn})
	f.busy()
}

// act lets a worker do the next thing.
func (f *floor) act(w *worker) {
	w.next = f.now.Add(f.between(5, 40))
	if w.step < 4 {
		f.login(w)
		return
	}
	if w.again && w.last != nil {
		w.again = false
		w.last()
		return
	}
	if f.now.After(w.beat) {
		w.beat, w.next = f.now.Add(f.between(60, 120)), f.now.Add(time.Second)
		f.send(w, "", "Beat")
		return
	}
	switch {
	case len(w.calls) > 0:
		f.phone(w)
	case w.boss:
		f.supervise(w)
	case w.state == "NOT_READY":
		f.pause(w)
	case w.state == "READY":
		f.idle(w)
	case w.state == "LOGOUT":
		w.step, w.next = 1, f.now.Add(f.between(30, 120))
	}
}

func (f *floor) login(w *worker) {
	w.step++
	w.next = f.now.Add(300 * time.Millisecond)
	switch w.step {
	case 1:
		f.send(w, "", "Hello")
	case 2:
		f.send(w, "", "Connect", w.topic, w.Password)
	case 3:
		f.send(w, "", "Login", w.Password, w.Extension)
		w.next = f.now.Add(f.between(2, 12))
	default:
		w.beat = f.now.Add(time.Minute)
		if w.eager {
			w.beat = f.now
		}
	}
}

// pause is what an agent does in NOT_READY.
func (f *floor) pause(w *worker) {
	if f.now.After(w.leave) {
		w.away = true
		f.send(w, "", "LogoutWithReason", "10")
		return
	}
	switch f.rng.IntN(12) {
	case 0:
		f.send(w, "", "MakeCall", fmt.Sprint(5551000+f.rng.IntN(99)))
	case 1:
		f.send(w, "", "ReasonCodeNotReady")
	case 2:
		f.send(w, "", "GetPhonebooks")
	case 3:
		f.send(w, "", "GetPhonebookContacts", "1")
	case 4:
		f.send(w, "", "WrapUpReasonCode")
	case 5:
		f.send(w, "", "MakeNotReadyWithReason", []string{"1", "2", "22"}[f.rng.IntN(3)])
	default:
		f.send(w, "", "MakeReady")
	}
}

// idle is what an agent does in READY.
func (f *floor) idle(w *worker) {
	switch {
	case f.now.After(w.leave):
		f.send(w, "", "MakeNotReady")
		w.next = f.now.Add(2 * time.Second)
	case f.rng.IntN(3) == 0:
		f.send(w, "", "MakeNotReadyWithReason", []string{"1", "2", "22"}[f.rng.IntN(3)])
	case f.rng.IntN(2) == 0:
		f.send(w, "", "GetState")
	}
}

// phone is what an agent does with its calls.
func (f *floor) phone(w *worker) {
	ids := make([]string, 0, len(w.calls))
	for id := range w.calls {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if c := w.calls[id]; c.consult {
			f.consulting(w, c)
			return
		}
	}
	for _, id := range ids {
		c := w.calls[id]
		switch {
		case c.callType == "OUTBOUND_PREVIEW":
			word := []string{"Accept", "Accept", "Accept", "Reject", "Close"}[f.rng.IntN(5)]
			delete(w.calls, id)
			f.send(w, "", word+"OutboundPreview", id, strings.ToUpper(word))
			return
		case c.callType == "SM" && !w.boss: // it is listened to
			continue
		case c.callType == "SM":
			f.listening(w, c)
			return
		case c.state == "ALERTING" && c.incoming:
			if f.rng.IntN(6) > 0 && w.state == "RESERVED" {
				w.next = f.now.Add(f.between(4, 20))
				f.send(w, "", "AnswerCall", id)
			} else {
				w.next = f.now.Add(30 * time.Second) // it rings out
			}
			return
		case c.state == "HELD":
			f.send(w, "", "RetrieveCall", id)
			return
		case c.state == "ACTIVE":
			f.talk(w, c)
			return
		}
	}
	w.next = f.now.Add(time.Second)
}

func (f *floor) talk(w *worker, c *view) {
	c.touched++
	if c.touched > 4 {
		f.send(w, "", "ReleaseCall", c.id)
		return
	}
	plain := c.callType == "PREROUTE_ACD_IN" || c.callType == "OUT"
	if f.opts.dialer && f.rng.IntN(4) == 0 {
		f.send(w, "", []string{"ScheduleCallback", "UpdateCallback"}[f.rng.IntN(2)], w.Extension, c.id, "2026-11-22 10:00", "5550100")
		return
	}
	switch n := f.rng.IntN(10); {
	case n < 2:
		f.send(w, "", "HoldCall", c.id)
	case n == 2:
		f.send(w, "", "UpdateCallVariable", c.id, fmt.Sprintf("callVariable2=v%d", f.rng.IntN(1000)))
	case n == 3 && c.incoming:
		f.send(w, "", "WrapUp", "Sale", c.id)
	case n == 4 && plain && !w.boss:
		f.send(w, "", "ConsultCall", fmt.Sprint(5559000+f.rng.IntN(99)), c.id)
		w.next = f.now.Add(f.between(3, 9))
	case n == 5 && plain && !w.boss:
		f.send(w, "", "BlindTransfer", fmt.Sprint(5559000+f.rng.IntN(99)), c.id)
	case n == 6 && plain && !w.boss && f.free(w) != nil:
		f.send(w, "", "ConsultCall", f.free(w).Extension, c.id)
		w.next = f.now.Add(f.between(9, 12))
	case n == 7:
		f.send(w, "", "MakeNotReady")
	default:
		f.send(w, "", "ReleaseCall", c.id)
	}
}

// free is a colleague whom a call can be put to.
func (f *floor) free(w *worker) *worker {
	for _, o := range f.people {
		if o != w && o.state == "READY" && len(o.calls) == 0 {
			return o
		}
	}
	return nil
}

// consulting ends a consult call by a transfer, a conference or a release.
func (f *floor) consulting(w *worker, c *view) {
	to := f.partner(w, c)
	main := w.calls[c.main]
	switch n := f.rng.IntN(3); {
	case c.state != "ACTIVE" || to == "" || main == nil || n == 0:
		f.send(w, "", "ReleaseCall", c.id)
	case n == 1:
		f.send(w, "", "TransferCall", to, c.main)
	default:
		f.send(w, "", "ConferenceCall", to, c.main)
	}
	w.next = f.now.Add(f.between(2, 9))
}

// partner is the number at the other end of a consult call.
func (f *floor) partner(w *worker, c *view) string {
	for i := len(f.records) - 1; i >= 0; i-- {
		r := &f.records[i]
		if r.Type() == "ConsultCall#"+w.ID && strings.HasSuffix(string(r.Body), ","+c.main) {
			to, _, _ := strings.Cut(string(r.Body), ",")
			return to
		}
	}
	return ""
}

// supervise is what a supervisor does between calls.
func (f *floor) supervise(w *worker) {
	if w.step == 4 {
		w.step++
		f.send(w, "", "GetTeamUsers", w.Team, "true")
		return
	}
	for _, o := range f.people {
		if !o.boss && !o.away && o.state == "TALKING" && w.state == "NOT_READY" && f.rng.IntN(4) == 0 && len(o.calls) == 1 {
			f.send(w, "", "SilentMonitor", o.Extension)
			w.next = f.now.Add(f.between(2, 8))
			return
		}
		if !o.boss && !o.away && o.state == "NOT_READY" && f.rng.IntN(25) == 0 && len(o.calls) == 0 {
			f.send(w, o.ID, []string{"MakeReady", "ForceLogout", "Logout"}[f.rng.IntN(3)])
			return
		}
	}
}

// listening goes on to barge in, or stops.
func (f *floor) listening(w *worker, c *view) {
	for _, o := range f.people {
		for _, l := range o.calls {
			if l.id == c.id && !o.boss && f.rng.IntN(2) == 0 && o.talking() {
				f.send(w, "", "BargeIn", o.Extension, c.id)
				w.next = f.now.Add(f.between(3, 20))
				return
			}
		}
	}
	f.send(w, "", "EndSilentMonitor", c.id)
}

// talking reports whether the agent talks in its only call.
func (w *worker) talking() bool {
	own, active := 0, 0
	for _, c := range w.calls {
		if c.callType == "SM" {
			continue
		}
		own++
		if c.state == "ACTIVE" {
			active++
		}
	}
	return own == 1 && active == 1 && w.state == "TALKING"
}

// all yields the recording.
func (f *floor) all(yield func(capture.Record, error) bool) {
	for _, r := range f.records {
		if !yield(r, nil) {
			return
		}
	}
}

// around writes the records near a seq, for messages of failed tests.
func (f *floor) around(seq int64, n int) string {
	var b strings.Builder
	for i := max(0, int(seq)-n); i < min(len(f.records), int(seq)+n); i++ {
		r := &f.records[i]
		fmt.Fprintf(&b, "%5d %s %-7s %s %s %s\n", r.Seq, r.CapturedAt.Format("15:04:05.000"), r.Direction, r.To, r.Type(), r.Body)
	}
	return b.String()
}
