package main

import (
	"context"
	"encoding/csv"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gctap/capture"
	"gctap/store"
)

// TestAnalysisScripts runs testdata/analysis/*.txt on a store that holds two
// days of one small site: "clean", "faulty" and "cut", which has a gap.
func TestAnalysisScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/analysis",
		Setup: func(env *testscript.Env) error {
			db := filepath.Join(env.WorkDir, "gctap.db")
			env.Setenv("GCTAP_DB", db)
			env.Setenv("TZ", "UTC")
			return makeAnalysisStore(t.Context(), db)
		},
	})
}

// A morning is written as lines: the time since nine o'clock, > for a command
// of the agent whose desk is named or < for an event to a desk, and the message.
const morningClean = `
0s      a > Hello#desk.a
20ms    a < System#IN_SERVICE
100ms   a > Connect#1001 desk.a,***
200ms   a > Login#1001 ***,3001
250ms   a < 1001#AgentInfo#José#Müller#False#OPTIONAL#5#José Müller#agent1001
260ms   a < 1001#State#NOT_READY#-1###2026-11-23 09:00:00#José Müller#1001#3001##José Müller#agent1001
1m      a > MakeReady#1001
1m50ms  a < 1001#State#READY####2026-11-23 09:01:00#José Müller#1001#3001##José Müller#agent1001
2m      a < 1001#State#RESERVED####2026-11-23 09:02:00#José Müller#1001#3001##José Müller#agent1001
2m10ms  a < 1001#NewInboundCall#42512#ani=42512|callVariable1=<script>alert(1)</script>#DialogID:700#CallType:PREROUTE_ACD_IN#2026-11-23 09:02:00
2m5s    a > AnswerCall#1001 700
2m5s40ms a < 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:
2m5s50ms a < 1001#State#TALKING####2026-11-23 09:02:05#José Müller#1001#3001##José Müller#agent1001
3m      a > HoldCall#1001 700
3m100ms a < 1001#InboundCall#HELD#DialogID:700#42512#ani=42512#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:
3m110ms a < 1001#State#HOLD####2026-11-23 09:03:00#José Müller#1001#3001##José Müller#agent1001
3m30s   a > RetrieveCall#1001 700
3m30s50ms a < 1001#InboundCall#ACTIVE#DialogID:700#42512#ani=42512#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:
3m30s60ms a < 1001#State#TALKING####2026-11-23 09:03:30#José Müller#1001#3001##José Müller#agent1001
4m      a > ReleaseCall#1001 700
4m30ms  a < 1001#InboundCall#DROPPED#DialogID:700#42512#ani=42512#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:
4m50ms  a < 1001#State#READY####2026-11-23 09:04:00#José Müller#1001#3001##José Müller#agent1001
10m     b > Login#2001 ***,4001
10m50ms b < 2001#AgentInfo#Ann#Boss#True#OPTIONAL#TotalNumberOfTeams:1#5,Sales#5#Ann Boss#boss2001
10m60ms b < 2001#State#NOT_READY#-1###2026-11-23 09:10:00#Ann Boss#2001#4001##Ann Boss#boss2001
11m     b > force_logout#1001
11m50ms a < 1001#State#LOGOUT#-1###2026-11-23 09:11:00#José Müller#1001###José Müller#agent1001
`

// morningFaulty goes on where the clean one ends.
const morningFaulty = morningClean + `12m     b > MakeReady#2001
13m     b > MakeNotReadyWithReason#2001 7
13m5s   b < 2001#State#NOT_READY#7###2026-11-23 09:13:00#Ann Boss#2001#4001#Meeting#Ann Boss#boss2001
14m     b > HoldCall#2001 1
14m1s   b < 2001#Error#NO_DIALOG_ID
15m     b < 2001#State#WORK####2026-11-23 09:15:00#Ann Boss#2001#4001##Ann Boss#boss2001
15m1s   b < 2001#ReasonCodes#Category:LOGOUT#1#Labels:Lunch#Ann Boss
15m2s   b < 2001#State
16m     b > MakeNotReady#2001
16m50ms b < 2001#State#NOT_READY#-1###2026-11-23 09:16:00#Ann Boss#2001#4001##Ann Boss#boss2001
`

// morningCut lacks what came between 3:00 and 4:00.
var morningCut = func() string {
	before, _, _ := strings.Cut(morningClean, "3m  ")
	_, after, _ := strings.Cut(morningClean, "4m50ms")
	return before + "4m gap 3m\n4m50ms" + after
}()

func makeAnalysisStore(ctx context.Context, db string) error {
	s, err := store.Open(ctx, db, store.Record)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, one := range []struct{ name, lines string }{{"clean", morningClean}, {"faulty", morningFaulty}, {"cut", morningCut}} {
		records, err := morningRecords(one.lines)
		if err != nil {
			return err
		}
		w, err := s.NewSession(ctx, store.SessionInfo{Name: one.name, Origin: store.OriginRecord, Mode: "mirror", Redacted: true, SiteTZ: "Europe/Berlin", StartedAt: nine})
		if err != nil {
			return err
		}
		if err := w.Write(ctx, capture.Batch{Records: records, Ledger: []capture.Counts{{Destination: "queue://Connector1", Received: 9, Stored: 9}}}); err != nil {
			return err
		}
		if err := w.End(ctx, "stopped"); err != nil {
			return err
		}
	}
	return nil
}

var nine = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func morningRecords(lines string) (records []capture.Record, err error) {
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		parts := strings.SplitN(strings.Join(strings.Fields(line), " "), " ", 4)
		at, err := time.ParseDuration(parts[0])
		if err != nil {
			return nil, err
		}
		rec := capture.Record{Source: "stomp", Via: "mirror", BodyKind: capture.Text}
		switch {
		case parts[1] == "gap":
			from, err := time.ParseDuration(parts[2])
			if err != nil {
				return nil, err
			}
			rec = capture.Gap{From: nine.Add(from), To: nine.Add(at), Reason: capture.GapReconnect}.Record()
		case parts[2] == ">":
			typ, body, _ := strings.Cut(parts[3], " ")
			rec.Direction, rec.To, rec.JMSType, rec.Body = capture.Command, "queue://Connector1", &typ, []byte(body)
			rec.MessageID = "ID:desk-" + parts[1] + ":1:1:1"
		default:
			rec.Direction, rec.To, rec.Body = capture.Event, "topic://desk."+parts[1], []byte(parts[3])
		}
		rec.CapturedAt, rec.Mono = nine.Add(at), at+time.Nanosecond
		records = append(records, rec)
	}
	return records, nil
}

// TestCellsAreNoFormulas: a spreadsheet must not run what a message holds.
func TestCellsAreNoFormulas(t *testing.T) {
	for in, want := range map[string]string{"=1+1": "'=1+1", "@SUM(A1)": "'@SUM(A1)", "-1": "-1", "+49 30": "'+49 30", "a=b": "a=b", "": ""} {
		if got := plainCell(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestAuditCSVActsOnNoTerminal: names come out of messages.
func TestAuditCSVActsOnNoTerminal(t *testing.T) {
	var b strings.Builder
	p := auditCSV{w: csv.NewWriter(&b)}
	if err := p.row("1001", "A\x1b]0;x\x07B", "=1"); err != nil {
		t.Fatal(err)
	}
	p.w.Flush()
	if got := b.String(); strings.ContainsAny(got, "\x1b\x07") || !strings.Contains(got, "'=1") {
		t.Errorf("%q", got)
	}
}
