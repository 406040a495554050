package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
	"gctap/decode/flow"
)

// recording makes records of lines "TIME > Type body" for a command and
// "TIME < topic body" for an event; a password of *** is a mask.
func recording(t testing.TB, lines string) iter.Seq2[capture.Record, error] {
	t.Helper()
	var records []capture.Record
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		d, err := time.ParseDuration(at)
		if err != nil {
			t.Fatal(err)
		}
		kind, rest, _ := strings.Cut(rest, " ")
		first, body, _ := strings.Cut(rest, " ")
		rec := capture.Record{Seq: int64(len(records) + 1), Mono: d, CapturedAt: time.Unix(0, 0).Add(d), Source: "stomp", Body: []byte(body)}
		switch kind {
		case ">":
			rec.Direction, rec.JMSType, rec.To = capture.Command, &first, "queue://Connector1"
			if i := strings.Index(body, "***"); i >= 0 {
				rec.Masked = []capture.Mask{{Field: "password", Start: i, End: i + 3}}
			}
		case "<":
			rec.Direction, rec.To = capture.Event, "topic://"+first
		case "gap":
			rec = capture.Gap{Reason: capture.GapReconnect}.Record()
			rec.Seq = int64(len(records) + 1)
		}
		records = append(records, rec)
	}
	return func(yield func(capture.Record, error) bool) {
		for _, rec := range records {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func plan(t *testing.T, lines string) *Plan {
	t.Helper()
	p, err := BuildPlan(recording(t, lines), PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shortCall is an agent who logs in, takes a call and hangs up.
const shortCall = `
	0s > Hello#T1
	100ms < T1 System#IN_SERVICE
	200ms > Connect#1001 T1,***
	200ms > Login#1001 ***,3001
	300ms < T1 1001#State#NOT_READY#-1#x##y#A B#1001#3001##A B#ab
	1s > MakeReady#1001
	1100ms < T1 1001#State#READY#0#x##y#A B#1001#3001##A B#ab
	5s < T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#x
	5s < T1 1001#State#RESERVED#0#x##y#A B#1001#3001##A B#ab
	6s > AnswerCall#1001 700
	6100ms < T1 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#x#CallType:ACD_IN#ParticipantsCount:0#participants:
	8s > ReleaseCall#1001 700
	8100ms < T1 1001#InboundCall#DROPPED#DialogID:700#42512#ani=42512#x#CallType:ACD_IN#ParticipantsCount:0#participants:`

func TestPlanOfAShortCall(t *testing.T) {
	var b strings.Builder
	if err := plan(t, shortCall).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `plan: 6 commands in 2 conversations, 1 stimuli, 8.1s at speed 1
      0.000s #1      dest:T1          Hello
      0.200s #3      1001             Connect (password to fill in)
                      after service #2 System IN_SERVICE
      0.200s #4      1001             Login (password to fill in)
      1.000s #6      1001             MakeReady
                      after answer #5 State NOT_READY
      6.000s #10     1001             AnswerCall dialogId=700
                      after id 700 from #8
                      after answer #7 State READY
                      after state #9 State RESERVED
      8.000s #12     1001             ReleaseCall dialogId=700
                      after id 700 from #8
                      after answer #11 InboundCall ACTIVE of 700
                      after state #9 State RESERVED
id         700, used by #10 #12
           born at 1001 dialogId 1
stimulus   5.000s #8 waits for an inbound call from 42512 to agent 1001; needed by #10 #12
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestPlanLeavesOutWhatNobodyWaitsFor(t *testing.T) {
	p := plan(t, `
		0s > GetPhonebooks#1001
		1s < T1 1001#Phonebooks#NoPhoneBookFound
		1s < T1 1001#Control#PrintStatusBar#hello
		1s < T1 2001#State#READY#0#x##y#A B#1002#3002##A B#ab
		2s > MakeReady#1001`)
	if causes := p.Steps[1].Causes; len(causes) != 0 {
		t.Errorf("MakeReady waits for %v", causes)
	}
}

func TestPlanCannotSendWhatIsMaskedWhole(t *testing.T) {
	rec := capture.Record{Seq: 1, Direction: capture.Command, Body: []byte("***"), Masked: []capture.Mask{{End: 3}}}
	typ := "Logon#1001"
	rec.JMSType = &typ
	p, err := BuildPlan(func(yield func(capture.Record, error) bool) { yield(rec, nil) }, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Steps[0].Blocked == "" {
		t.Error("a record masked whole would be sent")
	}
}

// fakeGC is a link with a GC of few words behind it: it gives what the test
// says for each command, a while later.
type fakeGC struct {
	mu      sync.Mutex
	start   time.Time
	deliver map[string]func(capture.Delivery)
	sent    []string // "TIME type body"
	answer  func(jmsType, body string) []reply
	done    chan struct{}
}

// reply is an event for a topic that comes after a while.
type reply struct {
	after       time.Duration
	topic, body string
}

func newFakeGC(answer func(jmsType, body string) []reply) *fakeGC {
	return &fakeGC{start: time.Now(), deliver: map[string]func(capture.Delivery){}, answer: answer, done: make(chan struct{})}
}

func (g *fakeGC) Subscribe(_ context.Context, s capture.Subscription, deliver func(capture.Delivery)) (func() error, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deliver[s.Destination] = deliver
	return func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.deliver, s.Destination)
		return nil
	}, nil
}

func (g *fakeGC) Send(_ context.Context, m capture.Outgoing) error {
	g.mu.Lock()
	g.sent = append(g.sent, fmt.Sprintf("%s %s %s", time.Since(g.start), *m.JMSType, m.Body))
	g.mu.Unlock()
	for _, r := range g.answer(*m.JMSType, string(m.Body)) {
		g.say(r)
	}
	return nil
}

func (g *fakeGC) say(r reply) {
	time.AfterFunc(r.after, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if deliver := g.deliver["topic://"+r.topic]; deliver != nil {
			deliver(capture.Delivery{Record: capture.Record{
				Direction: capture.Event, Source: "stomp", CapturedAt: time.Now(), To: "topic://" + r.topic, Body: []byte(r.body)}})
		}
	})
}

func (g *fakeGC) Sync(context.Context) error { return nil }
func (g *fakeGC) Identity() string           { return "" }
func (g *fakeGC) Done() <-chan struct{}      { return g.done }
func (g *fakeGC) Err() error                 { return errors.New("gone") }
func (g *fakeGC) Close() error               { return nil }

func state(s string) string { return "1001#State#" + s + "#0#x##y#A B#1001#3001##A B#ab" }

func call(s, id string) string {
	return "1001#InboundCall#" + s + "#DialogID:" + id + "#42512#ani=42512#x#CallType:ACD_IN#ParticipantsCount:0#participants:"
}

// shortCallGC answers the commands of shortCall after 10 ms, with another id.
func shortCallGC(id string) func(jmsType, body string) []reply {
	const topic = "gctap.replay.t.1"
	return func(jmsType, body string) []reply {
		name, _, _ := strings.Cut(jmsType, "#")
		answers := map[string]string{
			"Hello": "System#IN_SERVICE", "Login": state("NOT_READY"), "MakeReady": state("READY"),
			"AnswerCall": call("ACTIVE", id), "ReleaseCall": call("DROPPED", id),
		}
		if answers[name] == "" {
			return nil
		}
		return []reply{{10 * time.Millisecond, topic, answers[name]}}
	}
}

var passwords = Credentials{"1001": {Password: "geheim"}}

// replayOf plays a plan on a fake GC in virtual time.
func replayOf(t *testing.T, p *Plan, gc *fakeGC, opts PlayOptions) (*Result, []capture.Record) {
	t.Helper()
	var records []capture.Record
	opts.Run, opts.Credentials = "t", passwords
	opts.Offer = func(d capture.Delivery) { records = append(records, d.Record) }
	result, err := Play(t.Context(), gc, p, opts)
	if err != nil {
		t.Fatal(err)
	}
	return result, records
}

// rings lets the call of shortCall come in after a while.
func rings(gc *fakeGC, after time.Duration, id string) {
	gc.say(reply{after, "gctap.replay.t.1", "1001#NewInboundCall#42512#ani=42512#DialogID:" + id + "#CallType:ACD_IN#x"})
	gc.say(reply{after, "gctap.replay.t.1", state("RESERVED")})
}

func TestPlayRewritesAndKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		rings(gc, 5*time.Second, "9900")
		result, records := replayOf(t, plan(t, shortCall), gc, PlayOptions{})
		want := []string{
			"0s Hello#gctap.replay.t.1 ",
			"200ms Connect#1001 gctap.replay.t.1,geheim",
			"200ms Login#1001 geheim,3001",
			"1s MakeReady#1001 ",
			"6s AnswerCall#1001 9900",
			"8s ReleaseCall#1001 9900",
		}
		if !slices.Equal(gc.sent, want) {
			t.Errorf("sent:\n%s", strings.Join(gc.sent, "\n"))
		}
		if !result.Complete() || result.Received != 7 {
			t.Errorf("result %+v", result)
		}
		if result.IDs["700"] != "9900" {
			t.Errorf("ids %v", result.IDs)
		}
		if len(records) != 1+6+7 { // the mapping, commands, events
			t.Errorf("%d records kept", len(records))
		}
	})
}

func TestPlayFasterAndByCause(t *testing.T) {
	for _, opts := range []PlayOptions{{Speed: 4}, {Sync: SyncCause}, {Speed: math.Inf(1)}} {
		synctest.Test(t, func(t *testing.T) {
			gc := newFakeGC(shortCallGC("9900"))
			rings(gc, time.Second, "9900")
			result, _ := replayOf(t, plan(t, shortCall), gc, opts)
			if !result.Complete() || len(gc.sent) != 6 {
				t.Errorf("%+v: sent %v, %+v", opts, gc.sent, result)
			}
			if opts.Speed != 4 && result.Took > 2*time.Second {
				t.Errorf("%+v took %s", opts, result.Took)
			}
			if opts.Speed == 4 && !strings.HasPrefix(gc.sent[5], "2s ") {
				t.Errorf("at four times the speed: %s", gc.sent[5])
			}
		})
	}
}

func TestPlayStopsWhenTheCallDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		result, records := replayOf(t, plan(t, shortCall), gc, PlayOptions{})
		if len(result.Stopped) != 1 {
			t.Fatalf("result %+v", result)
		}
		s := result.Stopped[0]
		if s.Reason != "waits for an inbound call from 42512 to agent 1001" || s.Seq != 10 || s.Left != 2 {
			t.Errorf("stopped %+v", s)
		}
		if result.Took != 6*time.Second+DefaultTimeout {
			t.Errorf("took %s", result.Took)
		}
		if len(result.Absent) != 1 || result.Absent[0].Outside() != "an inbound call from 42512 to agent 1001" {
			t.Errorf("absent %+v", result.Absent)
		}
		_, stop := flow.ReplayNote(&records[len(records)-1])
		if stop == nil || stop.Conversation != "1001" || stop.After != 6 {
			t.Errorf("noted %+v", stop)
		}
		if len(result.Missed) != 0 {
			t.Errorf("missed %+v", result.Missed)
		}
	})
}

func TestPlayGoesOnWithoutALostEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := shortCallGC("9900")
		gc := newFakeGC(func(jmsType, body string) []reply {
			if strings.HasPrefix(jmsType, "MakeReady") {
				return nil
			}
			return answer(jmsType, body)
		})
		rings(gc, 2*time.Second, "9900")
		result, _ := replayOf(t, plan(t, shortCall), gc, PlayOptions{})
		if len(result.Missed) != 1 || result.Missed[0].Cause.Event.State != "READY" || len(result.Stopped) != 0 {
			t.Errorf("result %+v", result)
		}
		if len(gc.sent) != 6 {
			t.Errorf("sent %v", gc.sent)
		}
	})
}

func TestPlayStopsWithoutAPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		result, err := Play(t.Context(), gc, plan(t, shortCall), PlayOptions{Run: "t", Credentials: Credentials{}})
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Stopped) != 1 || !strings.Contains(result.Stopped[0].Reason, "password of agent 1001") {
			t.Errorf("result %+v", result)
		}
		if len(gc.sent) != 1 {
			t.Errorf("sent %v", gc.sent)
		}
	})
}

func TestPlayMapsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(func(jmsType, body string) []reply {
			if strings.HasPrefix(jmsType, "Login") {
				return []reply{{0, "lab", "2001#State#NOT_READY#-1#x##y#A B#2001#4001##A B#ab"}}
			}
			if strings.HasPrefix(jmsType, "Hello") {
				return []reply{{0, "lab", "System#IN_SERVICE"}}
			}
			return nil
		})
		p := plan(t, `
			0s > Hello#T1
			0s < T1 System#IN_SERVICE
			0s > Connect#1001 T1,***
			0s > Login#1001 ***,3001
			1s < T1 1001#State#NOT_READY#-1#x##y#A B#1001#3001##A B#ab
			2s > GetTeamUserState#1001 1001`)
		opts := PlayOptions{Credentials: Credentials{"2001": {Password: "a,b"}}, Queue: "Lab1"}
		for _, m := range []string{"agent:1001=2001", "ext:3001=4001", "dest:T1=lab"} {
			if err := opts.Map.Set(m); err != nil {
				t.Fatal(err)
			}
		}
		result, err := Play(t.Context(), gc, p, opts)
		if err != nil || !result.Complete() {
			t.Errorf("%+v, %v", result, err)
		}
		want := []string{"0s Hello#lab ", "0s Connect#2001 lab,a,b", "0s Login#2001 a,b,4001", "2s GetTeamUserState#2001 2001"}
		if !slices.Equal(gc.sent, want) {
			t.Errorf("sent %q", gc.sent)
		}
	})
}

func TestPlayEndsAtOnceWhenInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		ctx, cancel := context.WithCancelCause(t.Context())
		errStop := errors.New("stop")
		time.AfterFunc(500*time.Millisecond, func() { cancel(errStop) })
		result, err := Play(ctx, gc, plan(t, shortCall), PlayOptions{Run: "t", Credentials: passwords})
		if !errors.Is(err, errStop) || !result.Interrupted || result.Took != 500*time.Millisecond {
			t.Errorf("%+v, %v", result, err)
		}
		if len(gc.sent) != 3 || result.Received != 2 {
			t.Errorf("sent %v, received %d", gc.sent, result.Received)
		}
	})
}

func TestPlayEndsWithTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(shortCallGC("9900"))
		time.AfterFunc(500*time.Millisecond, func() { close(gc.done) })
		_, err := Play(t.Context(), gc, plan(t, shortCall), PlayOptions{Run: "t", Credentials: passwords})
		if err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("error %v", err)
		}
	})
}

func TestReadCredentials(t *testing.T) {
	got, err := ReadCredentials(strings.NewReader("# lab\n1001,geheim\n\n1002,\"a,\"\"b\",3002\n 1003 ,x y\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Credentials{"1001": {"geheim", ""}, "1002": {`a,"b`, "3002"}, "1003": {"x y", ""}}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for agent, c := range want {
		if got[agent] != c {
			t.Errorf("%s: got %v, want %v", agent, got[agent], c)
		}
	}
	for _, bad := range []string{"1001", "1001,hush,1,2", ",hush", "1001,\"hush"} {
		_, err := ReadCredentials(strings.NewReader("1000,x\n" + bad))
		if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestSameBroker(t *testing.T) {
	resolve := func(_ context.Context, name string) ([]string, error) {
		if name == "prod" || name == "alias" {
			return []string{"10.0.0.5"}, nil
		}
		return nil, errors.New("no such host")
	}
	source := Broker{Identity: "ID:gc1-3-4", Host: "gc1", Addresses: []string{"prod:61613"}}
	for _, tt := range []struct {
		name   string
		target Broker
		same   bool
	}{
		{"identity", Broker{Identity: "ID:gc1-3-4"}, true},
		{"host part of the identity", Broker{Identity: "ID:gc1-5-6", Host: "GC1"}, true},
		{"another name for its address", Broker{Addresses: []string{"alias:61700"}}, true},
		{"its address", Broker{Addresses: []string{"10.0.0.5:61613"}}, true},
		{"its name", Broker{Addresses: []string{"PROD"}}, true},
		{"another broker", Broker{Identity: "ID:lab-3-4", Host: "lab", Addresses: []string{"lab:61613", "10.0.0.6:61613"}}, false},
		{"nothing known", Broker{}, false},
	} {
		if why := SameBroker(t.Context(), source, tt.target, resolve); (why != "") != tt.same {
			t.Errorf("%s: %q", tt.name, why)
		}
	}
	if why := SameBroker(t.Context(), Broker{}, Broker{}, resolve); why != "" {
		t.Errorf("two unknown brokers: %q", why)
	}
}

func TestLookHearsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(nil)
		gc.say(reply{time.Second, ">", state("READY")})
		gc.say(reply{time.Second, ">", "7777#State#READY#0#x##y#A B#7777#3001##A B#ab"})
		gc.say(reply{2 * time.Second, ">", "an order of another application"})
		heard, err := Look(t.Context(), gc, 3*time.Second, []string{"1001"})
		if err != nil || !slices.Equal(heard, []string{"7777"}) {
			t.Errorf("heard %v, %v", heard, err)
		}
	})
}

func TestMappingRefusesNonsense(t *testing.T) {
	for _, bad := range []string{"", "agent", "agent:1001", "agent:=2", "team:1=2"} {
		var m Mapping
		if err := m.Set(bad); err == nil {
			t.Errorf("--map %q was taken", bad)
		}
	}
}

// TestPlayLingers: what nobody waits for is received all the same, if it comes
// soon after the end.
func TestPlayLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gc := newFakeGC(func(string, string) []reply {
			return []reply{{100 * time.Millisecond, "gctap.replay.t.1", state("READY")}, {300 * time.Millisecond, "gctap.replay.t.1", state("WORK")}}
		})
		p := plan(t, "0s > Connect#1001 T1,***\n0s > Beat#T1")
		result, _ := replayOf(t, p, gc, PlayOptions{Linger: 250 * time.Millisecond})
		if result.Received != 4 || result.Took != 0 {
			t.Errorf("result %+v", result)
		}
	})
}
