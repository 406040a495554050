package mock_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/replay/gcsim"
	"gctap/replay/mock"
)

// recording makes records of lines "TIME > Type body" for a command and
// "TIME < topic body" for an event.
func recording(t testing.TB, lines string) []capture.Record {
	t.Helper()
	var records []capture.Record
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
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
		case "<":
			rec.Direction, rec.To = capture.Event, "topic://"+first
		}
		records = append(records, rec)
	}
	return records
}

const shortCall = `
	0s > Hello#T1
	100ms < T1 System#IN_SERVICE
	200ms > Connect#1001 T1,***
	200ms > Login#1001 ***,3001
	300ms < T1 1001#State#NOT_READY#-1#x##y#A B#1001#3001##A B#ab
	1s > GetPhonebooks#1001
	1100ms < T1 1001#Phonebooks#name:Global,type:GLOBAL,id:1
	2s > MakeReady#1001
	2100ms < T1 1001#State#READY#0#x##y#A B#1001#3001##A B#ab
	5s < T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#x
	5s < T1 1001#State#RESERVED#0#x##y#A B#1001#3001##A B#ab
	6s > AnswerCall#1001 700
	6100ms < T1 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#x#CallType:ACD_IN#ParticipantsCount:1#participants:3001,ACTIVE,AGENT_DEVICE,,x
	6200ms < T1 1001#State#TALKING#0#x##y#A B#1001#3001##A B#ab
	8s > ReleaseCall#1001 700
	8100ms < T1 1001#InboundCall#DROPPED#DialogID:700#42512#ani=42512#x#CallType:ACD_IN#ParticipantsCount:0#participants:
	8200ms < T1 1001#State#READY#0#x##y#A B#1001#3001##A B#ab
	9s > MakeNotReadyWithReason#1001 3
	9100ms < T1 1001#State#NOT_READY#3#x##y#A B#1001#3001##A B#ab
	10s > Logout#1001
	10100ms < T1 1001#State#LOGOUT#-1#x##y#A B#1001#3001##A B#ab`

// stage is a Player and what a client does with it.
type stage struct {
	t      *testing.T
	player *mock.Player
	now    time.Time
}

func newStage(t *testing.T, lines string) *stage {
	t.Helper()
	script, err := mock.ReadScript(seq(recording(t, lines)))
	if err != nil {
		t.Fatal(err)
	}
	return &stage{t, mock.NewPlayer(script, mock.Config{}), time.Unix(5000, 0)}
}

// send sends a command "Type body" and returns what it was taken for.
func (s *stage) send(command string) mock.Match {
	first, body, _ := strings.Cut(command, " ")
	return s.player.Command(s.now, &capture.Record{Direction: capture.Command, JMSType: &first, Body: []byte(body), To: "queue://Connector1"})
}

// after lets time pass and wants exactly these events: "topic agent#Name#state" as
// far as they are given.
func (s *stage) after(d time.Duration, want ...string) []mock.Event {
	s.t.Helper()
	s.now = s.now.Add(d)
	got := s.player.Advance(s.now)
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.HasPrefix(flow.Bare(got[i].To)+" "+string(got[i].Body), want[i])
	}
	if !ok {
		var lines []string
		for _, e := range got {
			lines = append(lines, flow.Bare(e.To)+" "+string(e.Body))
		}
		s.t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	return got
}

func (s *stage) login(topic, agent, ext string) {
	s.t.Helper()
	s.send("Hello#" + topic)
	s.after(100*time.Millisecond, topic+" System#IN_SERVICE")
	s.send("Connect#" + agent + " " + topic + ",pw")
	s.send("Login#" + agent + " pw," + ext)
	s.after(100*time.Millisecond, topic+" "+agent+"#State#NOT_READY#-1#x##y#A B#"+agent+"#"+ext)
}

// TestAnotherAgentOnAnotherPhone plays the recording to a client whose agent,
// extension and topic are not in it.
func TestAnotherAgentOnAnotherPhone(t *testing.T) {
	s := newStage(t, shortCall)
	s.login("desk7", "2002", "4002")
	s.send("MakeReady#2002")
	s.after(99 * time.Millisecond)
	s.after(time.Millisecond, "desk7 2002#State#READY")
	s.after(2899 * time.Millisecond)
	rings := s.after(time.Millisecond, "desk7 2002#NewInboundCall#42512#ani=42512#DialogID:30000001#", "desk7 2002#State#RESERVED")
	if len(rings) != 2 || rings[0].Seq != 10 || rings[0].Agent != "2002" {
		t.Errorf("rings %+v", rings)
	}
	if m := s.send("AnswerCall#2002 30000001"); m.Seq != 12 || m.Why != "" {
		t.Errorf("AnswerCall: %+v", m)
	}
	talks := s.after(time.Second, "desk7 2002#InboundCall#ACTIVE#DialogID:30000001#", "desk7 2002#State#TALKING")
	if !strings.Contains(string(talks[0].Body), "participants:4002,") {
		t.Errorf("the extension is not the client's: %s", talks[0].Body)
	}
	s.send("ReleaseCall#2002 30000001")
	s.after(time.Second, "desk7 2002#InboundCall#DROPPED", "desk7 2002#State#READY")
	if c := s.player.Counts(); c.Commands != 6 || c.Matched != 6 || c.Withheld != 0 {
		t.Errorf("%+v", c)
	}
}

// TestTheSameCallAgain: a second MakeReady brings a call with an id of its own.
func TestTheSameCallAgain(t *testing.T) {
	s := newStage(t, shortCall)
	s.login("T9", "1001", "3001")
	for n := range 2 {
		id := fmt.Sprint(30000001 + n)
		s.send("MakeReady#1001")
		s.after(4*time.Second, "T9 1001#State#READY", "T9 1001#NewInboundCall#42512#ani=42512#DialogID:"+id, "T9 1001#State#RESERVED")
		s.send("AnswerCall#1001 " + id)
		s.after(time.Second, "T9 1001#InboundCall#ACTIVE#DialogID:"+id, "T9 1001#State#TALKING")
		s.send("ReleaseCall#1001 " + id)
		s.after(time.Second, "T9 1001#InboundCall#DROPPED#DialogID:"+id, "T9 1001#State#READY")
		s.send("MakeNotReadyWithReason#1001 3")
		s.after(time.Second, "T9 1001#State#NOT_READY#3")
	}
}

// TestTheClientGoesAnotherWay: the call that would have come stays away, and
// what is asked in between changes nothing.
func TestTheClientGoesAnotherWay(t *testing.T) {
	s := newStage(t, shortCall)
	s.login("T9", "1001", "3001")
	s.send("MakeReady#1001")
	s.after(time.Second, "T9 1001#State#READY")
	s.send("GetPhonebooks#1001")
	s.after(time.Second, "T9 1001#Phonebooks")
	s.send("MakeNotReadyWithReason#1001 3")
	s.after(time.Minute, "T9 1001#State#NOT_READY#3")
	s.send("Logout#1001")
	s.after(time.Minute, "T9 1001#State#LOGOUT")
	s.login("T9", "1001", "3001")
}

// TestTheClientIsAhead: what comes before the client's command in the recording
// is sent before its answer.
func TestTheClientIsAhead(t *testing.T) {
	s := newStage(t, `
		0s > Connect#1001 T1,***
		0s > Login#1001 ***,3001
		1s < T1 1001#State#NOT_READY#-1#x##y#A B#1001#3001##A B#ab
		30s < T1 1001#Control#PrintStatusBar#hello
		31s > MakeReady#1001
		32s < T1 1001#State#READY#0#x##y#A B#1001#3001##A B#ab`)
	s.send("Connect#1001 D,pw")
	s.send("Login#1001 pw,3001")
	s.send("MakeReady#1001")
	s.after(time.Second, "D 1001#Control", "D 1001#State#NOT_READY", "D 1001#State#READY")
}

func TestNothingMatches(t *testing.T) {
	for _, tt := range []struct{ command, want string }{
		{"MakeNotReadyWithReason#1001 4", `the closest is #18: reasonCode is "4", there "3"`},
		{"MakeNotReadyWithReason#1001 3,7", `the closest is #18: `},
		{"AnswerCall#1001 999", `the closest is #12: dialogId is "999", there "700"; the agent is NOT_READY, there RESERVED`},
		{"HoldCall#1001 700", "the recording has no HoldCall"},
		{"MakeReady#1002", "agent 1002 has no part in the recording; the closest MakeReady is #8 of agent 1001"},
		{"Dance#1001 tango", "the recording has no Dance"},
		{"Logout#1001", "the closest is #20: "},
	} {
		t.Run(tt.command, func(t *testing.T) {
			s := newStage(t, shortCall)
			s.login("T9", "1001", "3001")
			if tt.command == "Logout#1001" {
				s.send("MakeReady#1001")
				s.after(4*time.Second, "T9 1001#State#READY", "T9 1001#NewInboundCall", "T9 1001#State#RESERVED")
			}
			m := s.send(tt.command)
			if m.Seq != 0 || !strings.Contains(m.Why, tt.want) {
				t.Errorf("taken for %d: %q, want %q", m.Seq, m.Why, tt.want)
			}
			s.after(time.Minute)
		})
	}
}

func TestRefusal(t *testing.T) {
	s := newStage(t, shortCall)
	s.login("T9", "1001", "3001")
	typ := "HoldCall#1001"
	out, ok := s.player.Refusal(&capture.Record{Direction: capture.Command, JMSType: &typ, Body: []byte("700")})
	if !ok || out.To != "topic://T9" || string(out.Body) != "1001#Error#GENERAL_ERROR" {
		t.Errorf("%v %s %q", ok, out.To, out.Body)
	}
	typ = "HoldCall#1009"
	if out, ok := s.player.Refusal(&capture.Record{Direction: capture.Command, JMSType: &typ}); ok {
		t.Errorf("told %s", out.To)
	}
}

func TestMaskedEventsAreLeftOut(t *testing.T) {
	records := recording(t, shortCall)
	records[4].Masked = []capture.Mask{{Field: "", End: 3}}
	script, err := mock.ReadScript(seq(records))
	if err != nil {
		t.Fatal(err)
	}
	if script.Masked() != 1 || script.Commands() != 9 || !slices.Equal(script.Agents(), []string{"1001"}) {
		t.Errorf("%d masked, %d commands, agents %v", script.Masked(), script.Commands(), script.Agents())
	}
}

// TestShiftAgainstItsRecording lets the simulated agents work their shift with
// a GC that is only a recording of another such shift: five agents, calls,
// consultation, transfer, conference, hold, barge-in and silent monitoring.
func TestShiftAgainstItsRecording(t *testing.T) { playShifts(t, 20, 0) }

// TestShiftOfSlowClients is the same with clients that are busy: in what order
// two of them come is another thing in the recording than in the play.
func TestShiftOfSlowClients(t *testing.T) { playShifts(t, 200, 80*time.Millisecond) }

// playShifts records a shift of clients who are slow by up to most, and plays
// it to them.
func playShifts(t *testing.T, seeds uint64, most time.Duration) {
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shift, records := recordShift(t, seed, most)
				playShift(t, records, shift, 1000*seed+500, most)
			})
		})
	}
}

// TestOneClientAlone: the recording plays all the others, with the calls that
// they make to this one.
func TestOneClientAlone(t *testing.T) {
	for seed := range uint64(10) {
		for i := range 5 {
			t.Run(fmt.Sprint(seed, " ", i), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shift, records := recordShift(t, seed, 80*time.Millisecond)
					shift.Scripts = shift.Scripts[i : i+1]
					playShift(t, records, shift, seed, 80*time.Millisecond)
				})
			})
		}
	}
}

// recordShift lets agents who are slow by up to most work their shift with a
// simulated GC.
func recordShift(t *testing.T, seed uint64, most time.Duration) (gcsim.Scenario, []capture.Record) {
	t.Helper()
	site := gcsim.NewSite(5)
	cfg := gcsim.Config{Site: site, Seed: seed, DelayMin: time.Millisecond, DelayMax: 50 * time.Millisecond, Camp: 5 * time.Second}
	shift, err := gcsim.Shift(site)
	if err != nil {
		t.Fatal(err)
	}
	b := gcsim.NewBus()
	gc, err := gcsim.Serve(t.Context(), b.Dial(), "", cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := work(t, b, shift, 1000*seed, most); err != nil {
		t.Fatal(err)
	}
	if err := gc.Close(); err != nil {
		t.Fatal(err)
	}
	return shift, b.Records()
}

// work lets agents work over links that are slow by up to most.
func work(t *testing.T, b *gcsim.Bus, sc gcsim.Scenario, seed uint64, most time.Duration) error {
	return gcsim.RunScenario(t.Context(), func() (capture.Link, error) {
		if most == 0 {
			return b.Dial(), nil
		}
		seed++
		return slow(b.Dial(), seed, most), nil
	}, sc)
}

// playShift lets agents work with a recording, which must have an answer to
// every command.
func playShift(t *testing.T, records []capture.Record, sc gcsim.Scenario, seed uint64, most time.Duration) {
	t.Helper()
	script, err := mock.ReadScript(seq(records))
	if err != nil {
		t.Fatal(err)
	}
	b := gcsim.NewBus()
	server, err := mock.Serve(t.Context(), b.Dial(), mock.NewPlayer(script, mock.Config{}), mock.ServeOptions{Queue: gcsim.DefaultQueue,
		Answer: func(rec capture.Record, m mock.Match) []capture.Outgoing {
			if m.Seq == 0 {
				t.Errorf("%s: %s", rec.Type(), m.Why)
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := work(t, b, sc, seed, most); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if c := server.Counts(); c.Commands == 0 || c.Matched != c.Commands {
		t.Errorf("%+v", c)
	}
	for _, rec := range b.Records() {
		msg := flow.Decode(&rec, decode.Options{})
		if rec.Direction == capture.Event && len(msg.Findings) > 0 {
			t.Errorf("%s: %v", rec.Body, msg.Findings)
		}
	}
}

// TestStatesComeWithTheirCall: a consulted agent is RESERVED when the call
// rings there, READY once the other one has ended it, and its supervisor is
// told of both then, however long the clients take.
func TestStatesComeWithTheirCall(t *testing.T) {
	state := func(topic, receiver, subject, state string) string {
		return fmt.Sprintf("< %s %s#State#%s#0#x##y#A B#%s#3%s##A B#ab", topic, receiver, state, subject, subject[1:])
	}
	s := newStage(t, `
		0s > Connect#2001 T9,***
		0s > Login#2001 ***,3901
		0s `+state("T9", "2001", "2001", "NOT_READY")+`
		0s > Connect#1001 T1,***
		0s > Login#1001 ***,3001
		0s `+state("T1", "1001", "1001", "TALKING")+`
		0s > Connect#1002 T2,***
		0s > Login#1002 ***,3002
		0s `+state("T2", "1002", "1002", "READY")+`
		1s > MakeCall#1001 3002
		1100ms `+state("T9", "2001", "1002", "RESERVED")+`
		1100ms `+state("T2", "1002", "1002", "RESERVED")+`
		1100ms < T2 1002#NewInboundCall#3001#ani=3001#DialogID:700#CallType:OTHER_IN#x
		1200ms < T1 1001#InboundCall#INITIATED#DialogID:700#3001#ani=3001#x#CallType:OUT#ParticipantsCount:0#participants:
		2s > AnswerCall#1002 700
		2100ms < T2 1002#InboundCall#ACTIVE#DialogID:700#3001#ani=3001#x#CallType:OTHER_IN#ParticipantsCount:0#participants:
		2200ms < T1 1001#InboundCall#ACTIVE#DialogID:700#3001#ani=3001#x#CallType:OUT#ParticipantsCount:0#participants:
		9s > ReleaseCall#1001 700
		9100ms < T2 1002#InboundCall#DROPPED#DialogID:700#3001#ani=3001#x#CallType:OTHER_IN#ParticipantsCount:0#participants:
		9100ms `+state("T2", "1002", "1002", "READY")+`
		9200ms `+state("T9", "2001", "1002", "READY"))
	for i, agent := range []string{"2001", "1001", "1002"} {
		s.send(fmt.Sprintf("Connect#%s D%d,pw", agent, i))
		s.send("Login#" + agent + " pw,3" + agent[1:])
	}
	s.after(time.Minute, "D0 2001#State#NOT_READY", "D1 1001#State#TALKING", "D2 1002#State#READY")
	s.send("MakeCall#1001 3002")
	s.after(time.Second, "D0 2001#State#RESERVED", "D2 1002#State#RESERVED", "D2 1002#NewInboundCall", "D1 1001#InboundCall#INITIATED")
	s.send("AnswerCall#1002 30000001")
	s.after(time.Minute, "D2 1002#InboundCall#ACTIVE", "D1 1001#InboundCall#ACTIVE")
	s.send("ReleaseCall#1001 30000001")
	s.after(time.Minute, "D2 1002#InboundCall#DROPPED", "D2 1002#State#READY", "D0 2001#State#READY")
}

// seq turns records into what ReadScript reads.
func seq(records []capture.Record) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}
