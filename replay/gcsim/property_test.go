package gcsim

import (
	"fmt"
	"testing"
	"time"

	"gctap/decode"

	"pgregory.net/rapid"
)

// Whatever clients send, in whatever order: nothing panics, every event reads
// back without a fault, an agent's states follow the transition table, the book
// says the same as the events, and no call is left without an agent.
func TestAnyOrderOfCommands(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := Config{
			Seed: rapid.Uint64().Draw(rt, "seed"), Site: wrapUpSite(), Calls: rapid.SampledFrom([]Calls{CallsAuto, CallsDriven}).Draw(rt, "calls"),
			DelayMax: rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond}).Draw(rt, "delay"),
			Camp:     rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(rt, "camp"),
		}
		w := &wild{rig: newRig(t, cfg), rt: rt, state: map[string]string{}, free: map[string]bool{}}
		w.login("1001", "1002", "1003", "1004", "1005", "2001")
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			w.step()
		}
		w.now = w.now.Add(time.Hour)
		w.take()
		w.follow()
		w.compare()
	})
}

// wild sends anything.
type wild struct {
	*rig
	rt    *rapid.T
	done  int               // events looked at
	state map[string]string // of each agent, as it was last told
	free  map[string]bool   // agents whose next LOGOUT needs no row of the table
}

func (w *wild) pick(what string, from []string) string {
	return rapid.SampledFrom(from).Draw(w.rt, what)
}

var everybody = []string{"1001", "1002", "1003", "1004", "1005", "2001"}

// step is one input.
func (w *wild) step() {
	switch rapid.IntRange(0, 9).Draw(w.rt, "what") {
	case 0:
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(w.rt, "seconds")) * time.Second)
	case 1, 2:
		w.stimulus()
	case 3:
		w.any()
	default:
		w.sensible()
	}
	w.take()
	w.follow()
}

// sensible sends what a client would: something that fits the agent's calls.
func (w *wild) sensible() {
	id := w.pick("who", everybody)
	a := w.sim.agents[id]
	say := func(commands ...string) { w.command(id + " " + w.pick("say", commands)) }
	if !a.known || !a.loggedIn() {
		w.free[id] = true
		w.command(id + " Connect topic-" + id + "," + a.Password)
		w.command(id + " Login " + a.Password + "," + a.Extension)
		return
	}
	if a.Supervisor && rapid.Bool().Draw(w.rt, "supervise") {
		w.supervise(a, say)
		return
	}
	if len(a.legs) == 0 {
		say("MakeReady", "MakeReady", "MakeNotReady", "MakeNotReadyWithReason 2", "MakeCall 5551000", "MakeCall 3002", "WrapUp Sale "+orText(a.lastID, "1"), "Logout")
		return
	}
	l := a.legs[rapid.IntRange(0, len(a.legs)-1).Draw(w.rt, "leg")]
	d, ext := l.dialog.id, w.pick("ext", []string{"3001", "3002", "3003", "3004", "5551000"})
	switch {
	case l.dialog.outbound == "preview" && l.state == "ALERTING":
		say("AcceptOutboundPreview "+d+" ACCEPT", "RejectOutboundPreview "+d+" REJECT", "CloseOutboundPreview "+d+" CLOSE", "MakeNotReady")
	case l.state == "ALERTING" && l.incoming:
		say("AnswerCall " + d)
	case a.about(l.dialog) != nil:
		other := a.about(l.dialog).dialog.other(a.about(l.dialog))
		if other != nil {
			ext = other.address
		}
		say("TransferCall "+ext+" "+d, "ConferenceCall "+ext+" "+d, "ReleaseCall "+a.about(l.dialog).dialog.id, "ReleaseCall "+d)
	case l.state == "HELD":
		say("RetrieveCall "+d, "ConsultCall "+ext+" "+d, "ReleaseCall "+d, "BlindTransfer "+ext+" "+d)
	default:
		say("HoldCall "+d, "ConsultCall "+ext+" "+d, "BlindTransfer "+ext+" "+d, "ReleaseCall "+d, "UpdateCallVariable "+d+",a=b",
			"MakeNotReady", "MakeWorkReady", "ScheduleCallback "+a.address()+","+d+",10:00,5551000", "GetDialogState "+d)
	}
}

// supervise sends what a supervisor would.
func (w *wild) supervise(boss *agent, say func(...string)) {
	member := w.pick("member", everybody[:5])
	ext := w.sim.agents[member].address()
	if len(boss.legs) > 0 {
		d := boss.legs[0].dialog
		if d.monitors != nil {
			say("EndSilentMonitor "+d.id, "BargeIn "+d.monitors.address+" "+d.id)
		} else {
			say("DropParticipant "+ext+" "+d.id, "ReleaseCall "+d.id)
		}
		return
	}
	call := "1"
	if t := w.sim.agents[member].talking(); t != nil {
		call = t.dialog.id
	}
	if rapid.IntRange(0, 9).Draw(w.rt, "force") == 0 {
		w.free[member] = true
		w.command("2001>" + member + " ForceLogout")
		return
	}
	say("SilentMonitor "+ext, "BargeIn "+ext+" "+call, "GetTeamUsers 5 true", "GetQueueList", "MakeNotReady", "GetTeamUserState "+member)
}

func (w *wild) stimulus() {
	st := Stimulus{
		Do:    w.pick("do", []string{DoCall, DoCall, DoCall, DoHangup, DoReserveOutbound, DoReLogin, DoConnectorSync, DoInService}),
		Agent: w.pick("agent", everybody), From: "5550100", To: w.pick("to", append(everybody, "")),
		Mode: w.pick("mode", []string{"", "preview", "progressive"}), Variables: map[string]string{"callVariable1": w.pick("value", []string{"", "a,b", "a#b", "null"})},
	}
	_ = w.sim.Stimulate(w.now, st) // refused ones are part of it
}

// any sends a command with arguments that may fit.
func (w *wild) any() {
	specs := decode.Commands()
	spec := specs[rapid.IntRange(0, len(specs)-1).Draw(w.rt, "command")]
	id := w.pick("id", append(everybody, "4711", ""))
	var args []string
	if form := spec.Form(""); form != nil {
		for _, arg := range form.Args {
			args = append(args, w.argument(arg, id))
		}
		args = args[:rapid.SampledFrom([]int{len(args), len(args), len(args), 0, len(args) / 2}).Draw(w.rt, "given")]
	}
	body := ""
	for i, arg := range args {
		if i > 0 {
			body += ","
		}
		body += arg
	}
	if spec.Name == "ForceLogout" || spec.Name == "Connect" {
		w.free[id] = true
	}
	w.sim.Command(w.now, Command{Type: spec.Word + "#" + id, Body: []byte(body), ReplyTo: "topic://reply"})
}

func (w *wild) argument(arg decode.Arg, id string) string {
	switch arg.Class {
	case decode.ClassDialog:
		if len(w.ids) > 0 {
			return w.pick("dialog", append(w.ids[max(0, len(w.ids)-4):], "1"))
		}
		return "1"
	case decode.ClassSecret:
		return w.pick("password", []string{PasswordOf(id), PasswordOf(id), "wrong"})
	case decode.ClassExt:
		return w.pick("number", []string{"3001", "3002", "3003", "3004", "3005", "4001", "5551000", "x"})
	case decode.ClassTeam:
		return w.pick("team", []string{"5", "6"})
	case decode.ClassAgent:
		return w.pick("member", everybody)
	case decode.ClassDest:
		return w.pick("dest", []string{"topic-" + id, "elsewhere"})
	}
	if arg.Values != nil {
		return w.pick("word", arg.Values.Values)
	}
	return w.pick("text", []string{"1", "2", "10", "callVariable1=x", "", "a,b"})
}

// follow checks the states that agents were told of.
func (w *wild) follow() {
	for ; w.done < len(w.all); w.done++ {
		e := &w.all[w.done]
		if e.At.After(w.now) || w.done > 0 && e.At.Before(w.all[w.done-1].At) {
			w.rt.Errorf("%s is sent at %s, out of turn", e.Event.Name, e.At)
		}
		id := e.Text("agentId")
		if e.Event.Name != "State" || id != e.Event.Agent {
			continue
		}
		from, to := w.state[id], e.Text("state")
		w.state[id] = to
		switch {
		case from == "" || from == to || possible(from, to):
		case from == "LOGOUT" && to == "NOT_READY": // by way of LOGIN
		case to == "LOGOUT" && w.free[id]:
		default:
			w.rt.Errorf("%s went from %s to %s", id, from, to)
		}
	}
}

// compare holds the book and the calls against each other.
func (w *wild) compare() {
	book := w.sim.Book(w.now)
	for i := range book.Agents {
		b := &book.Agents[i]
		last := time.Time{}
		for _, span := range b.States {
			if span.From.Before(last) || span.To.Before(span.From) {
				w.rt.Errorf("%s: the book runs back at %v", b.Agent, span)
			}
			last = span.To
		}
		a := w.sim.agents[b.Agent]
		if w.sim.cfg.DelayMax == 0 && a.loggedIn() && b.States[len(b.States)-1].State != a.state {
			w.rt.Errorf("%s is %s, the book says %s", b.Agent, a.state, b.States[len(b.States)-1].State)
		}
		if want := a.callState(); a.loggedIn() && want != "" && want != a.state {
			w.rt.Errorf("%s is %s with calls that ask for %s", b.Agent, a.state, want)
		}
	}
	for id, d := range w.sim.dialogs {
		if d.over || len(d.present()) == 0 {
			w.rt.Errorf("call %s is kept though it is over", id)
		}
	}
	var inside error
	for _, a := range w.sim.people {
		for _, l := range a.legs {
			if l.gone || w.sim.dialogs[l.dialog.id] != l.dialog {
				inside = fmt.Errorf("agent %s is in the call %s, which is over", a.ID, l.dialog.id)
			}
		}
	}
	if inside != nil {
		w.rt.Error(inside)
	}
}
