package flow

import (
	"encoding/json"
	"time"

	"gctap/capture"
)

// A replay writes notes into the session it records, so that whoever compares
// the session later knows what it is a replay of and where it had to stop.

// Mapping is a replay's first note: which name of the recording became which
// name of the replay. Names that stayed as they were are left out.
type Mapping struct {
	Agents map[string]string `json:"agents,omitempty"`
	Exts   map[string]string `json:"exts,omitempty"`
	Dests  map[string]string `json:"dests,omitempty"` // bare
	Texts  map[string]string `json:"texts,omitempty"` // whole values of any other kind, see FreeText
}

// Stop is a note that a conversation was not played to its end: what it lacks
// from there on is not a difference.
type Stop struct {
	Conversation string `json:"conversation"` // as the replay names it
	After        int64  `json:"after"`        // seq, in the recording, of the last command sent; 0: none was
	Reason       string `json:"reason"`
}

// note is the body of a Note record of these kinds.
type note struct {
	Note    string   `json:"note"`
	Mapping *Mapping `json:"mapping,omitempty"`
	Stop    *Stop    `json:"stop,omitempty"`
}

const (
	noteMapping = "replay-mapping"
	noteStop    = "replay-stopped"
)

// Record returns the row that tells m.
func (m Mapping) Record(at time.Time) capture.Record {
	return noteRecord(note{Note: noteMapping, Mapping: &m}, at)
}

// Record returns the row that tells s.
func (s Stop) Record(at time.Time) capture.Record {
	return noteRecord(note{Note: noteStop, Stop: &s}, at)
}

func noteRecord(n note, at time.Time) capture.Record {
	body, err := json.Marshal(n)
	if err != nil { // strings and a number always marshal
		body = []byte(`{"note":"` + n.Note + `"}`)
	}
	return capture.Record{CapturedAt: at, Direction: capture.Note, Source: "replay", BodyKind: capture.Text, Body: body}
}

// ReplayNote returns what a Note record tells of a replay; nil, nil for any
// other record.
func ReplayNote(rec *capture.Record) (*Mapping, *Stop) {
	var n note
	if rec.Direction != capture.Note || json.Unmarshal(rec.Body, &n) != nil {
		return nil, nil
	}
	return n.Mapping, n.Stop
}
