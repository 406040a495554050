package store

import (
	"gctap/capture"
	"gctap/decode"
	"gctap/decode/flow"
)

// indexVersion counts the changes of what indexer makes of a message. Rows of
// an older version may be worked out again.
const indexVersion = 1

// An entry is a row of the table messages before its texts have numbers.
type entry struct {
	name, agent, dialog string
	place               flow.Place
	severity            int
}

// An indexer works out the entries of one session's records, in their order.
type indexer struct{ tracker *flow.Tracker }

func newIndexer() *indexer { return &indexer{flow.NewTracker()} }

// entry returns nil for rows that are no message.
func (x *indexer) entry(rec *capture.Record) *entry {
	if rec.Direction == capture.GapRow || rec.Direction == capture.Note {
		return nil
	}
	msg := flow.Decode(rec, decode.Options{})
	e := &entry{name: msg.Name, agent: msg.Agent, dialog: msg.Text("dialogId"), place: x.tracker.Observe(rec, &msg)}
	for _, f := range msg.Findings {
		e.severity = max(e.severity, severities[f.Severity])
	}
	return e
}

var severities = map[string]int{"note": 1, "warning": 2, "error": 3}
