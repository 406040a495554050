package diff_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/replay"
	"gctap/replay/diff"
	"gctap/replay/gcsim"
)

// record plays the shift on a simulated GC and returns what a tap sees.
func record(t *testing.T, cfg gcsim.Config) []capture.Record {
	t.Helper()
	b := gcsim.NewBus()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server, err := gcsim.Serve(ctx, b.Dial(), "", cfg, func(s string) { t.Log("sim:", s) })
	if err != nil {
		t.Fatal(err)
	}
	shift, err := gcsim.Shift(cfg.Site)
	if err != nil {
		t.Fatal(err)
	}
	if err := gcsim.RunScenario(ctx, func() (capture.Link, error) { return b.Dial(), nil }, shift); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // virtual: the last events are due by then
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	return masked(b.Records())
}

var site = gcsim.NewSite(5)

// masked does to a session what a recording does.
func masked(records []capture.Record) []capture.Record {
	masker := decode.NewMasker()
	for i := range records {
		r := &records[i]
		in := decode.Input{Type: r.JMSType, Body: r.Body, Direction: decode.FromGC}
		if r.Direction == capture.Command {
			in.Direction = decode.ToGC
		}
		out, masks := masker.Mask(in)
		r.Body, r.JMSType = out.Body, out.Type
		for _, m := range masks {
			r.Masked = append(r.Masked, capture.Mask{Field: m.Field, Start: m.Start, End: m.End})
		}
	}
	return records
}

// credentials are those of everybody on a site.
func credentials(site *gcsim.Site) replay.Credentials {
	c := replay.Credentials{}
	for _, p := range site.People {
		c[p.ID] = replay.Credential{Password: p.Password}
	}
	return c
}

// played is a replay and what it recorded.
type played struct {
	result  *replay.Result
	records []capture.Record
	planted []gcsim.Deviation
}

// play replays a recording on a simulated GC.
func play(t *testing.T, recording []capture.Record, cfg gcsim.Config, opts replay.PlayOptions) played {
	t.Helper()
	plan, err := replay.BuildPlan(seq(recording), replay.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := gcsim.NewBus()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server, err := gcsim.Serve(ctx, b.Dial(), "", cfg, func(s string) { t.Log("sim:", s) })
	if err != nil {
		t.Fatal(err)
	}
	link := b.Dial()
	var p played
	start := time.Now()
	opts.Credentials = credentials(cfg.Site)
	opts.Run = "t"
	opts.Offer = func(d capture.Delivery) {
		d.Record.Seq = int64(len(p.records) + 1)
		d.Record.Mono = d.Record.CapturedAt.Sub(start)
		p.records = append(p.records, d.Record)
	}
	if opts.Stimulate == nil {
		opts.Stimulate = func(ctx context.Context, s replay.Stimulus) error {
			st, ok := stimulusFor(&s)
			if !ok {
				return nil
			}
			return link.Send(ctx, st.Message())
		}
	}
	p.result, err = replay.Play(ctx, link, plan, opts)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	p.planted = server.Planted()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	p.records = masked(p.records)
	return p
}

func stimulusFor(s *replay.Stimulus) (gcsim.Stimulus, bool) {
	switch s.Kind {
	case "call":
		return gcsim.Stimulus{Do: gcsim.DoCall, From: s.Number, To: s.Agent, CallType: s.Type, Variables: s.Vars}, true
	case "hangup":
		return gcsim.Stimulus{Do: gcsim.DoHangup, DialogID: s.Dialog}, true
	case "reservation":
		mode := "preview"
		if s.Type == "RESERVED_OUTBOUND" {
			mode = "progressive"
		}
		return gcsim.Stimulus{Do: gcsim.DoReserveOutbound, Agent: s.Agent, From: s.Number, Mode: mode, Variables: s.Vars}, true
	}
	return gcsim.Stimulus{}, false
}

// plain is a simulator with random delays.
func plain(seed uint64, faults ...string) gcsim.Config {
	return gcsim.Config{Site: site, Seed: seed, DelayMin: time.Millisecond, DelayMax: 300 * time.Millisecond, Camp: 5 * time.Second, Faults: faults}
}

func complete(t *testing.T, p played) {
	t.Helper()
	for _, s := range p.result.Stopped {
		t.Errorf("%s was stopped before %d: %s", s.Conversation, s.Seq, s.Reason)
	}
	for _, m := range p.result.Missed {
		t.Errorf("%s: missed %+v before %d", m.Conversation, m.Cause, m.Before)
	}
	if p.result.Skipped > 0 || len(p.result.Unsent) > 0 {
		t.Errorf("%d skipped, %d unsent", p.result.Skipped, len(p.result.Unsent))
	}
}

// steady is a recording of the shift whose agents think for a while before
// they act, as people do: scripts act at once, and what one does then depends
// on a race with another.
func steady(t *testing.T, seed uint64) []capture.Record {
	t.Helper()
	return steadyAt(t, plain(seed))
}

// steadyAt is steady on a site of one's own.
func steadyAt(t *testing.T, cfg gcsim.Config) []capture.Record {
	t.Helper()
	cfg.DelayMax = 50 * time.Millisecond
	records := record(t, cfg)
	start := records[0].CapturedAt.Add(-records[0].Mono)
	for i := range records {
		records[i].Mono *= 20
		records[i].CapturedAt = start.Add(records[i].Mono)
	}
	return records
}

func TestReplayOnAnEqualGCIsTheSame(t *testing.T) {
	for seed := range uint64(seeds) {
		for _, sync := range []replay.Sync{replay.SyncBoth, replay.SyncCause, replay.SyncClock} {
			t.Run(fmt.Sprint(sync, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					recording := steady(t, seed)
					p := play(t, recording, plain(99+seed), replay.PlayOptions{Sync: sync})
					complete(t, p)
					r := compare(t, recording, p.records, diff.Options{})
					if r.Verdict != diff.Same {
						t.Errorf("%s", text(r))
					}
					if n := len(r.IDs["dialogId"]); n < 8 {
						t.Errorf("only %d ids of calls were mapped", n)
					}
					if want := 6; p.result.Stimuli != want {
						t.Errorf("%d stimuli, want %d: five calls and a caller who hangs up", p.result.Stimuli, want)
					}
				})
			})
		}
	}
}

// seeds is how many different runs the slower tests go through.
const seeds = 50

// TestWithoutStimuliTheReplayStops: nobody calls.
func TestWithoutStimuliTheReplayStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recording := steady(t, 1)
		quiet := func(context.Context, replay.Stimulus) error { return nil }
		p := play(t, recording, plain(99), replay.PlayOptions{Stimulate: quiet})
		if p.result.Complete() {
			t.Error("the replay is complete, and nobody called")
		}
		var reasons []string
		for _, s := range p.result.Stopped {
			reasons = append(reasons, s.Reason)
		}
		for _, want := range []string{"waits for an inbound call from 5552001 to agent 1001", "waits for an inbound call from 5552003 to agent 1003"} {
			if !slices.Contains(reasons, want) {
				t.Errorf("no conversation %q; they are %q", want, reasons)
			}
		}
		r := compare(t, recording, p.records, diff.Options{})
		if r.Verdict != diff.Incomplete {
			t.Errorf("%s", text(r))
		}
	})
}

// TestFaultsOfAGCAreFound replays on a GC that does one thing wrong.
func TestFaultsOfAGCAreFound(t *testing.T) {
	for _, fault := range []string{
		"change:State:NOT_READY.label=Luncheon@2",
		"change:NewInboundCall.callType=OTHER_IN@1",
		"missing:Phonebooks@1",
		"missing:InboundCall:HELD@1",
		"double:ReasonCodes@1",
		"double:InboundCall:ACTIVE@3",
		"extra:State:TALKING@2",
		"extra:PhonebookContacts@1",
		"late:Phonebooks@1:9s",
		"late:InboundCall:HELD@2:9s",
		"reorder:InboundCall:HELD@1",
		"change:Error.errorCode=GENERIC_ERROR@1",
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				recording := steady(t, 5)
				p := play(t, recording, plain(77, fault), replay.PlayOptions{Timeout: 15 * time.Second})
				r := compare(t, recording, p.records, diff.Options{})
				if len(p.planted) != 1 {
					t.Fatalf("planted %+v", p.planted)
				}
				want := p.planted[0]
				if len(r.Differences) != 1 {
					t.Fatalf("planted %+v, found:\n%s", want, text(r))
				}
				if d := r.Differences[0]; d.Class != want.Class || d.Conversation != want.Conversation || d.Name != want.Name {
					t.Errorf("planted %+v, found:\n%s", want, text(r))
				}
			})
		})
	}
}

// seq turns records into what Compare and BuildPlan read.
func seq(records []capture.Record) iter.Seq2[capture.Record, error] {
	return func(yield func(capture.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}
