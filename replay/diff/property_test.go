package diff_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/replay/diff"
)

// line is one message of a made-up session, before ids, times and order are
// drawn. In text, {n} is the id of the agent's n-th call.
type line struct {
	agent   int
	command bool
	text    string // a command's type, or an event's body
	body    string
	late    time.Duration // planted
	pause   bool          // a command that comes when the agent feels like it
}

// agentDay is what an agent does and is told.
func agentDay(agent int, calls int) []line {
	id, ext := fmt.Sprint(1000+agent), fmt.Sprint(3000+agent)
	state := func(s, reason string) string {
		return fmt.Sprintf("%s#State#%s#%s#{t}##{t}#Agent %s#%s#%s#label#Agent %s#login%s", id, s, reason, id, id, ext, id, id)
	}
	inbound := func(s string, n int, from string) string {
		return fmt.Sprintf("%s#InboundCall#%s#DialogID:{%d}#%s#ani=%s|callVariable1=x|callVariable2=#{t}#CallType:ACD_IN#ParticipantsCount:2#participants:%s",
			id, s, n, from, from, "{p}"+from+","+ext)
	}
	command := func(name, body string) line {
		return line{agent: agent, command: true, text: name + "#" + id, body: body, pause: true}
	}
	event := func(body string) line { return line{agent: agent, text: body} }
	day := []line{
		{agent: agent, command: true, text: "Hello#{topic}", pause: true}, event("System#IN_SERVICE"),
		command("Connect", "{topic},***"), {agent: agent, command: true, text: "Login#" + id, body: "***," + ext},
		event(fmt.Sprintf("%s#AgentInfo#A#B#false#OPTIONAL#7#Agent %s#login", id, id)),
		event(state("NOT_READY", "-1")), event(id + "#DialogStatus###"),
		command("reasoncodenotready", ""), event(id + "#ReasonCodes#Category:NOT_READY#1,2#Labels:Lunch,Break#Agent " + id),
		command("GetPhonebooks", ""), event(id + "#Phonebooks#name:Global,type:GLOBAL,id:1"),
		command("MakeReady", ""), event(state("READY", "")),
	}
	for n := range calls {
		from := fmt.Sprint(5550000 + 100*agent + n)
		comes := event(fmt.Sprintf("%s#NewInboundCall#%s#ani=%s|callVariable1=x#DialogID:{%d}#CallType:ACD_IN#{t}", id, from, from, n))
		comes.pause = true
		day = append(day, comes, event(state("RESERVED", "")), event(inbound("ALERTING", n, from)),
			command("AnswerCall", fmt.Sprintf("{%d}", n)), event(inbound("ACTIVE", n, from)), event(state("TALKING", "")),
			command("HoldCall", fmt.Sprintf("{%d}", n)), event(inbound("HELD", n, from)), event(state("HOLD", "")),
			command("RetrieveCall", fmt.Sprintf("{%d}", n)), event(inbound("ACTIVE", n, from)), event(state("TALKING", "")),
			command("ReleaseCall", fmt.Sprintf("{%d}", n)), event(inbound("DROPPED", n, from)), event(state("READY", "")))
	}
	return append(day, command("MakeNotReady", ""), event(state("NOT_READY", "3")), command("Logout", ""), event(state("LOGOUT", "-1")))
}

// world draws what differs from run to run.
type world struct {
	rng    *rand.Rand
	run    string
	delays time.Duration   // of events, at the most
	used   map[string]bool // ids that were given, by run
}

func newWorld(a, b uint64, delays time.Duration) *world {
	return &world{rand.New(rand.NewPCG(a, b)), "a", delays, map[string]bool{}}
}

// session gives the days their ids, times and order: agents do not wait for
// each other.
func (w *world) session(days [][]line) []capture.Record {
	type stamped struct {
		at  time.Duration
		rec capture.Record
	}
	var all []stamped
	for agent, day := range days {
		ids := map[int]string{}
		at := time.Duration(w.rng.Int64N(int64(2 * time.Second)))
		held := time.Duration(0) // what is planted late holds nothing else up
		for _, l := range day {
			if l.pause {
				at += 500*time.Millisecond + time.Duration(w.rng.Int64N(int64(3*time.Second)))
			} else if !l.command {
				at += time.Duration(w.rng.Int64N(int64(w.delays)))
			} else {
				at += time.Millisecond
			}
			all = append(all, stamped{at + l.late + held, w.record(agent, &l, ids)})
		}
	}
	slices.SortStableFunc(all, func(a, b stamped) int { return int(a.at - b.at) })
	records := make([]capture.Record, len(all))
	for i, s := range all {
		records[i] = s.rec
		records[i].Seq, records[i].Mono, records[i].CapturedAt = int64(i+1), s.at, time.Unix(1000, 0).Add(s.at)
	}
	return records
}

func (w *world) record(agent int, l *line, ids map[int]string) capture.Record {
	topic := fmt.Sprintf("topic-%s-%d", w.run, agent)
	text, body := w.fill(l.text, topic, ids), w.fill(l.body, topic, ids)
	rec := capture.Record{Source: "stomp", Conn: fmt.Sprint(agent)}
	if l.command {
		rec.Direction, rec.JMSType, rec.Body, rec.To = capture.Command, &text, []byte(body), "queue://Connector1"
		if i := strings.Index(body, "***"); i >= 0 {
			rec.Masked = []capture.Mask{{Field: "password", Start: i, End: i + 3}}
		}
		return rec
	}
	rec.Direction, rec.Body, rec.To = capture.Event, []byte(text), "topic://"+topic
	return rec
}

// fill replaces placeholders: ids of calls, times, the topic, and participants
// in an order of their own.
func (w *world) fill(text, topic string, ids map[int]string) string {
	text = strings.ReplaceAll(text, "{topic}", topic)
	for strings.Contains(text, "{t}") {
		text = strings.Replace(text, "{t}", fmt.Sprintf("2026-01-01 10:%02d:%02d", w.rng.IntN(60), w.rng.IntN(60)), 1)
	}
	if head, parts, ok := strings.Cut(text, "{p}"); ok {
		addresses := strings.Split(parts, ",")
		w.rng.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
		for i, a := range addresses {
			addresses[i] = fmt.Sprintf("%s,ACTIVE,AGENT_DEVICE,,2026-01-01 10:00:%02d", a, w.rng.IntN(60))
		}
		text = head + strings.Join(addresses, "|")
	}
	for n := 0; strings.Contains(text, "{"); n++ {
		mark := fmt.Sprintf("{%d}", n)
		if strings.Contains(text, mark) {
			for ids[n] == "" {
				id := fmt.Sprint(16777216 + w.rng.IntN(1<<24))
				if !w.used[w.run+id] {
					ids[n], w.used[w.run+id] = id, true
				}
			}
			text = strings.ReplaceAll(text, mark, ids[n])
		}
	}
	return text
}

const lateDelay = 5 * time.Second

// plant changes one event of a day and returns what diff must say.
func plant(rng *rand.Rand, days [][]line) (class, conversation, name, field string) {
	agent := rng.IntN(len(days))
	day := slices.Clone(days[agent])
	days[agent] = day
	conversation = fmt.Sprint(1000 + agent)
	kind := []string{diff.Changed, diff.Missing, diff.Extra, diff.Reordered, diff.Late, diff.Duplicated}[rng.IntN(6)]
	for {
		i := rng.IntN(len(day))
		l := &day[i]
		if l.command || strings.HasPrefix(l.text, "System") {
			continue
		}
		name = strings.Split(l.text, "#")[1]
		switch kind {
		case diff.Changed:
			for _, try := range [][3]string{{"#label#", "#Label#", "label"}, {"CallType:ACD_IN", "CallType:OUT", "callType"},
				{"Lunch", "Luncheon", "labels[0]"}, {"callVariable1=x", "callVariable1=y", "callVariables.callVariable1"}, {"#READY#", "#WORK#", "state"}} {
				if rng.IntN(2) == 0 && strings.Contains(l.text, try[0]) {
					l.text = strings.Replace(l.text, try[0], try[1], 1)
					return kind, conversation, name, try[2]
				}
			}
		case diff.Missing:
			days[agent] = slices.Delete(day, i, i+1)
			return kind, conversation, name, ""
		case diff.Extra:
			extra := line{agent: agent, text: conversation + "#Control#PrintStatusBar#unexpected"}
			days[agent] = slices.Insert(day, i+1, extra)
			return kind, conversation, "Control", ""
		case diff.Reordered:
			// Only answers of one command have an order between them.
			if i > 0 && i+1 < len(day) && day[i-1].command && !day[i+1].command && !day[i+1].pause && strings.Contains(day[i-1].text, "ReleaseCall") {
				day[i], day[i+1] = day[i+1], day[i]
				return kind, conversation, name, ""
			}
		case diff.Late:
			if i > 0 && day[i-1].command && !strings.Contains(day[i-1].text, "Login") {
				l.late = lateDelay
				return kind, conversation, name, ""
			}
		case diff.Duplicated:
			again := *l
			again.pause = false
			days[agent] = slices.Insert(day, i+1, again)
			return kind, conversation, name, ""
		}
	}
}

func days(agents, calls int) [][]line {
	var all [][]line
	for agent := range agents {
		all = append(all, agentDay(agent, calls))
	}
	return all
}

// TestTwoRunsOfOneBuildAreTheSame compares runs that differ in ids, times,
// topics, the order of participants and how agents interleave.
func TestTwoRunsOfOneBuildAreTheSame(t *testing.T) {
	for seed := range uint64(50) {
		w := newWorld(seed, 1, 900*time.Millisecond)
		left := w.session(days(5, 3))
		w.run = "b"
		right := w.session(days(5, 3))
		r := compare(t, left, right, diff.Options{})
		if r.Verdict != diff.Same {
			t.Fatalf("seed %d: %s", seed, text(r))
		}
		if n := len(r.IDs["dialogId"]); n != 15 {
			t.Errorf("seed %d: %d ids mapped, want 15", seed, n)
		}
	}
}

// TestPlantedDeviationsAreFound plants one deviation a run and wants exactly
// it.
func TestPlantedDeviationsAreFound(t *testing.T) {
	found := map[string]int{}
	for seed := range uint64(300) {
		w := newWorld(seed, 2, 300*time.Millisecond)
		left := w.session(days(4, 2))
		w.run = "b"
		other := days(4, 2)
		class, conversation, name, field := plant(w.rng, other)
		right := w.session(other)
		r := compare(t, left, right, diff.Options{})
		if len(r.Differences) != 1 {
			t.Errorf("seed %d: planted %s %s in %s, found: %s", seed, class, name, conversation, text(r))
			continue
		}
		d := r.Differences[0]
		if d.Class != class || d.Conversation != conversation || d.Name != name {
			t.Errorf("seed %d: planted %s %s %s in %s, found: %s", seed, class, name, field, conversation, text(r))
		}
		if field != "" && (len(d.Fields) != 1 || d.Fields[0].Field != field) {
			t.Errorf("seed %d: planted a change of %s, found %+v", seed, field, d.Fields)
		}
		found[class]++
	}
	t.Log(found)
	if len(found) < 6 {
		t.Errorf("only classes %v were planted", found)
	}
}

// relabel changes the label of a State.
func relabel(text string) string { return strings.Replace(text, "#label#", "#Label#", 1) }
