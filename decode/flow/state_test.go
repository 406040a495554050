package flow

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/replay/gcsim"
)

// shift is what a tap sees of a simulated shift: calls, consultations,
// transfers, a conference, supervisors, and a GC with faults.
func shift(t *testing.T, seed uint64, faults ...string) (records []capture.Record) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := gcsim.NewBus()
		cfg := gcsim.Config{Site: gcsim.NewSite(5), Seed: seed, DelayMin: time.Millisecond, DelayMax: 100 * time.Millisecond, Camp: 5 * time.Second, Faults: faults}
		server, err := gcsim.Serve(ctx, b.Dial(), "", cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		scenario, err := gcsim.Shift(cfg.Site)
		if err != nil {
			t.Fatal(err)
		}
		if err := gcsim.RunScenario(ctx, func() (capture.Link, error) { return b.Dial(), nil }, scenario); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // virtual
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		records = b.Records()
	})
	return records
}

// wild is traffic that makes little sense: few agents and calls that all meet,
// events that answer nothing, calls that are linked and come back to life,
// pauses of seconds and of hours.
func wild(rng *rand.Rand, n int) (records []capture.Record) {
	at := time.Duration(0)
	agent := func() string { return fmt.Sprint(1001 + rng.IntN(6)) }
	call := func() string { return fmt.Sprint(700 + rng.IntN(9)) }
	one := func(of ...string) string { return of[rng.IntN(len(of))] }
	for i := range n {
		switch rng.IntN(60) {
		case 0:
			at += time.Duration(rng.IntN(14)) * time.Hour
		case 1, 2:
			at += time.Duration(rng.IntN(400)) * time.Second
		default:
			at += time.Duration(rng.IntN(2000)) * time.Millisecond
		}
		a, topic := agent(), "T"+fmt.Sprint(rng.IntN(3))
		lines := []string{
			"> Connect#" + a + " " + topic + ",***", "> Login#" + a + " ***,300" + a[3:], "> Logout#" + a + " ", "> Hello#" + topic + " ",
			"> " + one("AnswerCall", "HoldCall", "RetrieveCall", "ReleaseCall") + "#" + a + " " + call(), "> MakeReady#" + a + " ",
			"> " + one("ConsultCall", "TransferCall") + "#" + a + " 300" + agent()[3:] + "," + call(), "> MakeCall#" + a + " 300" + agent()[3:],
			"> BargeIn#" + a + " 300" + agent()[3:] + "," + call(), "> Nonsense#" + a + " x",
			"< " + topic + " System#IN_SERVICE", "< " + topic + " " + a + "#Error#" + one("NO_DIALOG_ID", "CF_GENERIC_ERROR", "SESSION_INVALIDATED"),
			"< " + topic + " " + state(a, agent(), one("READY", "TALKING", "NOT_READY", "LOGOUT", "LOGOUT", "RESERVED_OUTBOUND", "HOLD")),
			"< " + topic + " " + a + "#NewInboundCall#42512#ani=42512|k=v#DialogID:" + call() + "#CallType:ACD_IN#x",
			inbound(a, one("ALERTING", "ACTIVE", "HELD", "DROPPED", "DROPPED"), call(), "ani=1"+one("", "|associatedDialogId="+call())),
			"< " + topic + " " + a + "#ConsultCall#" + one("INITIATED", "DROPPED") + "#AssDialogID:" + call() + "#3001#ani=3001|associatedDialogId=" + call() + "#A B#",
		}
		conn := one(connA, "ID:other-1-1-1:2")
		rec := wire(lines[rng.IntN(len(lines))], conn)
		id := func(i int) string { return fmt.Sprintf("%s:-1:1:%d", conn, i) }
		if rec.Direction == capture.Command {
			rec.MessageID = id(i)
		}
		if rng.IntN(3) == 0 { // as a capture of the wire tells of one of the last few
			rec = capture.Record{Direction: capture.Note, To: one("queue://Connector1", "queue://Connector1", "queue://Connector2"), Headers: []capture.Header{
				{Name: "amq.note", Value: one("subscribe", "dispatch", "dispatch", "ack")}, {Name: "amq.ack", Value: one("standard", "delivered")},
				{Name: "amq.message-id", Value: id(i - 1 - rng.IntN(4))}, {Name: "amq.client-id", Value: one("gc-1", "gc-2")},
			}}
		}
		rec.Seq, rec.Mono, rec.CapturedAt = int64(i+1), at, time.Unix(1000, 0).Add(at)
		records = append(records, rec)
	}
	return records
}

// tell writes all that a record's facts say, and what they point to.
func tell(facts *Facts) string {
	var b strings.Builder
	exchange := func(name string, x *Exchange) {
		if x != nil {
			fmt.Fprintf(&b, "%s %s %v %+v %d %d %q %q %q %q %q %v %q %q %d %v %v\n", name, x.Queue, x.Watched, x.Delivery, x.Seq, x.At, x.Conversation, x.Agent, x.Sender, x.Name, x.Dialog,
				x.Numbers, x.Outcome, x.Code, x.Latency, x.Answers, x.Expected())
		}
	}
	fmt.Fprintf(&b, "%+v %d %v\n", facts.Place, facts.At, facts.First)
	exchange("opened", facts.Opened)
	exchange("answers", facts.Exchange)
	exchange("by", facts.By)
	for _, x := range facts.Closed {
		exchange("closed", x)
	}
	if d := facts.Dialog; d != nil {
		fmt.Fprintf(&b, "dialog %q %q %q %d %d %v %v %d %v\n", d.ID, d.From, d.Type, d.Born, d.BornAt, d.States, d.Linked, d.Ended, d.Received)
	}
	if c := facts.Call; c != nil {
		fmt.Fprintf(&b, "call %v %+v\n", c.Dialogs, c.Stimulus)
	}
	fmt.Fprintf(&b, "%+v %v %v %+v %v\n", facts.Change, facts.Births, facts.Uses, facts.Trigger, facts.Forgot)
	return b.String()
}

func follow(f *Flow, rec *capture.Record) string {
	msg := Decode(rec, decode.Options{})
	facts := f.Observe(rec, &msg)
	return tell(&facts)
}

// TestASavedFlowGoesOnAsIfNothingHadHappened cuts sessions where it pleases,
// saves, loads and goes on: every record gives the same facts as in one pass,
// and the end the same state, to the byte.
func TestASavedFlowGoesOnAsIfNothingHadHappened(t *testing.T) {
	sessions := map[string][]capture.Record{}
	for seed := range uint64(6) {
		sessions[fmt.Sprint("shift ", seed)] = shift(t, seed)
		sessions[fmt.Sprint("faulty shift ", seed)] = shift(t, seed, "late:Phonebooks@1:3s", "double:ReasonCodes@1", "extra:State:TALKING@2")
	}
	for seed := range uint64(40) {
		sessions[fmt.Sprint("wild ", seed)] = wild(rand.New(rand.NewPCG(seed, 1)), 600)
	}
	known := map[Reason]int64{}
	for name, records := range sessions {
		for _, limit := range []int{0, 3} {
			opts := Options{Limit: limit}
			whole := New(opts)
			var want []string
			for i := range records {
				want = append(want, follow(whole, &records[i]))
			}
			for reason, n := range whole.Forgotten() {
				known[reason] += n
			}
			rng := rand.New(rand.NewPCG(uint64(len(name)), uint64(len(records))))
			f := New(opts)
			for i := range records {
				if rng.IntN(10) == 0 {
					f = again(t, f)
				}
				if got := follow(f, &records[i]); got != want[i] {
					t.Fatalf("%s, limit %d, record %d %q:\ngot  %s\nwant %s", name, limit, i+1, records[i].Body, got, want[i])
				}
			}
			if !bytes.Equal(f.Save(), whole.Save()) {
				t.Errorf("%s, limit %d: another state at the end", name, limit)
			}
			if got, want := len(f.Close()), len(whole.Close()); got != want {
				t.Errorf("%s: %d open exchanges at the end, want %d", name, got, want)
			}
		}
	}
	for _, reason := range []Reason{WasOver, LoggedOut, WasSilent, TooMany} {
		if known[reason] == 0 {
			t.Errorf("nothing was forgotten because of %q: the test shows less than it should", reason)
		}
	}
}

// again saves and loads a flow, and wants the same bytes of what it loaded.
func again(t *testing.T, f *Flow) *Flow {
	t.Helper()
	state := f.Save()
	loaded, err := Load(state)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(loaded.Save(), state) {
		t.Fatal("a loaded flow is saved otherwise")
	}
	return loaded
}

// TestAStateIsCompact: what is over takes no place.
func TestAStateIsCompact(t *testing.T) {
	f := New(Options{})
	records := shift(t, 1)
	for i := range records {
		follow(f, &records[i])
	}
	busy := len(f.Save())
	late := wire("< T9 System#IN_SERVICE", connA)
	late.Seq, late.Mono, late.CapturedAt = 10_000, 24*time.Hour, time.Unix(1000, 0).Add(24*time.Hour)
	follow(f, &late)
	quiet := len(f.Save())
	t.Logf("%d records: %d bytes, a day later %d", len(records), busy, quiet)
	if busy > 100*len(records) || quiet > busy/4 {
		t.Errorf("%d bytes after %d records, %d a day later", busy, len(records), quiet)
	}
}

func TestStatesThatAreNone(t *testing.T) {
	f := New(Options{})
	records := wild(rand.New(rand.NewPCG(1, 1)), 200)
	for i := range records {
		follow(f, &records[i])
	}
	good := f.Save()
	other := slices.Clone(good)
	other[len(stateMagic)] = 99
	bent := slices.Clone(good)
	bent[len(bent)/2] ^= 4
	for _, tt := range []struct {
		name  string
		state []byte
		want  error
	}{
		{"nothing", nil, ErrNoState}, {"something else", []byte("SQLite format 3 and so on"), ErrNoState}, {"cut short", good[:len(good)-3], ErrDamaged},
		{"another version", other, ErrOtherVersion}, {"a bit turned", bent, ErrDamaged},
	} {
		if _, err := Load(tt.state); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestATimeBeyondAllTimes: a session whose clock is set centuries ahead is
// followed like any other.
func TestATimeBeyondAllTimes(t *testing.T) {
	f := New(Options{})
	for i, line := range []string{"< T1 " + state("1001", "1001", "LOGOUT"), inbound("1001", "DROPPED", "700", "ani=1"), "< T1 System#IN_SERVICE"} {
		rec := wire(line, connA)
		rec.Seq, rec.Mono = int64(i+1), 1<<63-1
		follow(f, &rec)
	}
	again(t, f)
}

// FuzzLoad: whatever the bytes, Load refuses them or gives a flow that works.
func FuzzLoad(f *testing.F) {
	records := wild(rand.New(rand.NewPCG(2, 2)), 150)
	whole := New(Options{Limit: 20})
	for i := range records {
		follow(whole, &records[i])
	}
	f.Add(whole.Save()[len(stateMagic)+1:])
	f.Add(New(Options{}).Save()[len(stateMagic)+1:])
	f.Fuzz(func(t *testing.T, state []byte) {
		state = append(append([]byte(stateMagic), stateVersion), state...)
		state = binary.LittleEndian.AppendUint32(state, crc32.ChecksumIEEE(state))
		flow, err := Load(state)
		if err != nil {
			return
		}
		for i := range records {
			follow(flow, &records[i])
		}
		flow.Close()
	})
}
