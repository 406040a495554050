package capture

import "context"

// Counts are the ledger of one destination, as totals since the recording
// began. Each is counted by the recorder itself, none told by the broker.
type Counts struct {
	Destination string
	Received    int64 // by the reader, whatever became of it
	Stored      int64
	Doubled     int64 // copies of a message that is stored
	Filtered    int64 // left out by the recording's filter
	Lost        int64 // dropped because the tap could not keep up
	Foreign     int64 // another application's: counted, never stored
}

// A Batch is what is committed at once: records in Seq order, and the ledger
// of every destination that changed.
type Batch struct {
	Records []Record
	Ledger  []Counts
}

// A Sink keeps records. Write returns once all of the batch is safe, or an
// error and nothing of it is kept.
type Sink interface {
	Write(ctx context.Context, b Batch) error
}

// Minus returns what c has counted since it stood at before.
func (c Counts) Minus(before Counts) Counts {
	c.Received -= before.Received
	c.Stored -= before.Stored
	c.Doubled -= before.Doubled
	c.Filtered -= before.Filtered
	c.Lost -= before.Lost
	c.Foreign -= before.Foreign
	return c
}
