package flow

import (
	"fmt"
	"strings"
	"testing"
)

// consultation is two agents of whom the first, on a call, consults the second.
func consultation() string {
	return `
		> Connect#1001 T1,***
		> Login#1001 ***,3001
		< T1 ` + state("1001", "1001", "NOT_READY") + `
		> Connect#1002 T2,***
		> Login#1002 ***,3002
		< T2 ` + strings.ReplaceAll(state("1002", "1002", "NOT_READY"), "3001", "3002") + `
		+10s
		< T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#x
		> AnswerCall#1001 700
		` + inbound("1001", "ACTIVE", "700", "ani=42512") + `
		+10s
		> ConsultCall#1001 3002,700
		< T1 1001#ConsultCall#INITIATED#AssDialogID:701#3001#ani=3001|associatedDialogId=700#A B#
		< T2 1002#NewInboundCall#3001#ani=3001|associatedDialogId=700#DialogID:701#CallType:CONSULT#x
		> AnswerCall#1002 701
		` + strings.Replace(inbound("1002", "ACTIVE", "701", "ani=3001|associatedDialogId=700"), "T1", "T2", 1) + `
		+10s
		> TransferCall#1001 3002,700
		` + strings.Replace(inbound("1002", "DROPPED", "701", "ani=3001|associatedDialogId=700"), "T1", "T2", 1) + `
		< T1 1001#ConsultCall#DROPPED#AssDialogID:701#3001#ani=3001|associatedDialogId=700#A B#
		` + inbound("1001", "DROPPED", "700", "ani=42512")
}

// TestTheOtherSideOfATransferHearsFirst: that the consultation has ended for
// the second agent is the transfer's doing, whoever is told first.
func TestTheOtherSideOfATransferHearsFirst(t *testing.T) {
	got := story(t, New(Options{}), consultation())
	if strings.Contains(got, "outside(hangup") || strings.Count(got, "outside(") != 1 {
		t.Errorf("a hangup from outside in:\n%s", got)
	}
	if !strings.Contains(got, "16 InboundCall by 15") {
		t.Errorf("the end of the consultation is not the transfer's:\n%s", got)
	}
}

// TestAnErrorIsNotThatOfASilentCommand: Connect has no answer on success, and
// does not wait for one.
func TestAnErrorIsNotThatOfASilentCommand(t *testing.T) {
	for _, code := range []string{"NO_DIALOG_ID", "CF_GENERIC_ERROR", "SOMETHING_NEW"} {
		got := story(t, New(Options{}), fmt.Sprintf(`
			> Connect#1001 T1,***
			+20s
			> HoldCall#1001 700
			< T1 1001#Error#%s`, code))
		want(t, got, fmt.Sprintf(`
			1 Connect
			2 HoldCall uses(700)
			3 Error answers 2 error 100ms %s [HoldCall 2 error]
			end: Connect 1 silent`, code))
	}
}

// TestAPendingStateIsTheAnswer: during a call the state asked for is told as
// the pending one, and the next command's answer is its own.
func TestAPendingStateIsTheAnswer(t *testing.T) {
	pending := strings.Replace(state("1001", "1001", "TALKING"), "#x##y#", "#x#NOT_READY#y#", 1)
	got := story(t, New(Options{}), `
		< T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#x
		> AnswerCall#1001 700
		`+inbound("1001", "ACTIVE", "700", "ani=42512")+`
		< T1 `+state("1001", "1001", "TALKING")+`
		> MakeNotReadyWithReason#1001 3
		< T1 `+pending+`
		> ReleaseCall#1001 700
		`+inbound("1001", "DROPPED", "700", "ani=42512"))
	if !strings.Contains(got, "6 State answers 5 answered 100ms") || !strings.Contains(got, "8 InboundCall answers 7 answered") {
		t.Errorf("%s", got)
	}
}

// TestAPhoneRingsByTheCommandThatNamesIt: a supervisor has joined the call
// before, which rings phones too, but not this one.
func TestAPhoneRingsByTheCommandThatNamesIt(t *testing.T) {
	joined := strings.Replace(consultation(), "> ConsultCall#1001 3002,700\n", `> Connect#2001 T9,***
		> Login#2001 ***,4001
		> BargeIn#2001 3001,700
		< T9 2001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:CONFERENCE#x
		> ConsultCall#1001 3002,700
		`, 1)
	got := story(t, New(Options{}), joined)
	if !strings.Contains(got, "16 NewInboundCall by 14") {
		t.Errorf("the second agent's phone does not ring by the consultation:\n%s", got)
	}
	late := strings.Replace(joined, "< T1 1001#ConsultCall#INITIATED#AssDialogID:701#3001#ani=3001|associatedDialogId=700#A B#\n", "", 1)
	got = story(t, New(Options{}), late)
	if !strings.Contains(got, "15 NewInboundCall by 14") {
		t.Errorf("nor when it is told first:\n%s", got)
	}
}

// TestTheSameStateAgainIsTheLastCommands: one agent of a conference leaves; the
// others are told that they are still talking, and to whom.
func TestTheSameStateAgainIsTheLastCommands(t *testing.T) {
	at := func(topic, line string) string { return strings.Replace(line, "T1", topic, 1) }
	got := story(t, New(Options{}), `
		> Connect#1001 T1,***
		> Login#1001 ***,3001
		> Connect#1002 T2,***
		> Login#1002 ***,3002
		< T1 1001#NewInboundCall#42512#ani=42512#DialogID:700#CallType:ACD_IN#x
		> AnswerCall#1001 700
		`+inbound("1001", "ACTIVE", "700", "ani=42512")+`
		> ConferenceCall#1001 3002,700
		`+inbound("1001", "ACTIVE", "700", "ani=42512")+`
		`+at("T2", inbound("1002", "ACTIVE", "700", "ani=42512"))+`
		+10s
		> ReleaseCall#1001 700
		`+at("T2", inbound("1002", "ACTIVE", "700", "ani=42512"))+`
		`+inbound("1001", "DROPPED", "700", "ani=42512"))
	if !strings.Contains(got, "10 InboundCall by 8") || !strings.Contains(got, "12 InboundCall by 11") {
		t.Errorf("\n%s", got)
	}
}
