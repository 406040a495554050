package model

import (
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 漢":    "plain é 漢",
		"\x1b[31m":     "␛[31m",
		"a\tb\nc\x7f":  "a␉b␊c␡",
		"\u009b1m":     "�1m",
		"\xff\xfe":     "��",
		"a\u202eb":     "a�b",
		"two\u2028one": "two�one",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	login := "Login#1001"
	lost := int64(3)
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		rec  capture.Record
		want string
	}{
		{"a password is never shown", capture.Record{Direction: capture.Command, JMSType: &login, Body: []byte("hunter2,3001")}, "password=*** extension=3001"},
		{"records and lists are shortened", capture.Record{Direction: capture.Event, Body: []byte("1001#NewInboundCall#42512#ani=1|a=|b=2|c=3|d=4#DialogID:7")},
			"fromAddress=42512 callVariables{ani=1 b=2 c=3 +2} dialogId=7"},
		{"an unknown message is shown as it came", capture.Record{Direction: capture.Event, Body: []byte("what\x1b")}, "what␛ !unknown-name name"},
		{"a gap says what it knows", capture.Gap{From: noon, To: noon.Add(time.Second), Reason: capture.GapReconnect, Lost: &lost}.Record(),
			"reconnect: lost 3, 12:00:00.000Z to 12:00:01.000Z"},
	} {
		msg := flow.Decode(&test.rec, decode.Options{})
		if got := Summary(&test.rec, &msg); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	long := capture.Record{Direction: capture.Event, Body: []byte(strings.Repeat("é", 100_000))}
	msg := flow.Decode(&long, decode.Options{})
	if got := Summary(&long, &msg); len(got) > summaryLimit+len("…") {
		t.Errorf("a summary of %d bytes", len(got))
	}
}
