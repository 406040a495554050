package check

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gctap/decode"
)

// A Finding is one place where a session went against the protocol.
type Finding struct {
	Rule         string
	Severity     string
	Time         time.Time // of the message in question, by the tap's clock
	Seq          int64     // of that message
	Seqs         []int64   // of all that matter, in order
	Conversation string
	Agent        string // whom it concerns; empty where that is nobody
	Name         string // of the command or event
	Dialog       string // id of the call, where there is one
	Text         string // what is wrong, one line
	Says         string // what the documents say
	Uncertain    bool   // a gap in the recording may be the cause
}

// MarshalJSON writes the keys of `check --json`.
func (f Finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Rule         string  `json:"rule"`
		Severity     string  `json:"severity"`
		At           string  `json:"at"`
		Seq          int64   `json:"seq"`
		Seqs         []int64 `json:"seqs"`
		Conversation string  `json:"conversation"`
		Agent        string  `json:"agent"`
		Name         string  `json:"name"`
		Dialog       string  `json:"dialogId"`
		Text         string  `json:"text"`
		Says         string  `json:"says"`
		Uncertain    bool    `json:"uncertain"`
	}{f.Rule, f.Severity, jsonTime(f.Time), f.Seq, f.Seqs, f.Conversation, f.Agent, f.Name, f.Dialog, f.Text, f.Says, f.Uncertain})
}

// jsonTime is a time of the tap's clock as our JSON has it.
func jsonTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") }

// Tally counts findings by severity and rule.
type Tally struct {
	Notes, Warnings, Errors int
	Uncertain               int
	ByRule                  map[string]int
}

// Add counts a finding.
func (t *Tally) Add(f *Finding) {
	switch f.Severity {
	case decode.Error:
		t.Errors++
	case decode.Warning:
		t.Warnings++
	default:
		t.Notes++
	}
	if f.Uncertain {
		t.Uncertain++
	}
	if t.ByRule == nil {
		t.ByRule = map[string]int{}
	}
	t.ByRule[f.Rule]++
}

// AtLeast is how many findings are of a severity or worse.
func (t *Tally) AtLeast(severity string) int {
	n := t.Errors
	if Rank(severity) <= Rank(decode.Warning) {
		n += t.Warnings
	}
	if Rank(severity) <= Rank(decode.Note) {
		n += t.Notes
	}
	return n
}

// seqsOf returns seqs in order, each once, at most sixteen of them.
func seqsOf(seqs ...int64) []int64 {
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	if len(seqs) > 0 && seqs[0] == 0 {
		seqs = seqs[1:]
	}
	return slices.Clip(seqs[:min(len(seqs), 16)])
}

// expectations writes a list of expected events for people.
func expectations(list []decode.Expect) string {
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = e.Event + cmp.Or(" "+e.Value, "")
		words[i] = strings.TrimSpace(words[i])
	}
	return strings.Join(words, ", ")
}
