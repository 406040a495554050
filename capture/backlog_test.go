package capture

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stall offers n messages while the sink stands still, then lets it go on.
func stall(t *testing.T, cfg RecorderConfig, n int) (*Recorder, *memorySink, Status) {
	t.Helper()
	sink := &memorySink{hold: make(chan struct{})}
	cfg.Sink = sink
	var during Status
	r, err := record(t, cfg, func(r *Recorder) {
		for i := range n {
			r.Offer(message(fmt.Sprint(i), "topic://a"))
			r.spills.Wait() // the disk is fast here, so that the test knows what to expect
		}
		during = r.Status()
		close(sink.hold)
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, sink, during
}

func TestBacklogSpillsAndComesBackInOrder(t *testing.T) {
	const n = 2000
	r, sink, during := stall(t, RecorderConfig{Memory: 100 * 600, Spill: 1 << 30, SpillDir: t.TempDir(), Batch: 10}, n)
	if during.Lost != 0 || !during.Spilled || during.Waiting < n-10 {
		t.Errorf("while the sink stood still: %+v", during)
	}
	if len(sink.records) != n {
		t.Fatalf("stored %d of %d", len(sink.records), n)
	}
	for i, rec := range sink.records {
		if rec.MessageID != fmt.Sprint(i) || rec.Seq != int64(i+1) {
			t.Fatalf("place %d holds %s as %d", i, rec.MessageID, rec.Seq)
		}
	}
	if s := r.Status(); s.Waiting != 0 || r.queue.memory != 0 || s.Spilled {
		t.Errorf("afterwards %+v, %d bytes in memory", s, r.queue.memory)
	}
}

func TestBacklogDropsBeyondTheFile(t *testing.T) {
	_, sink, during := stall(t, RecorderConfig{Memory: 100 * 600, Spill: 10_000, SpillDir: t.TempDir(), Batch: 10}, 5000)
	c := sink.ledger["topic://a"]
	if during.Lost == 0 || c.Lost != during.Lost || c.Stored+c.Lost != 5000 {
		t.Errorf("status %+v, ledger %+v", during, c)
	}
}

func TestBacklogWithoutADisk(t *testing.T) {
	_, sink, during := stall(t, RecorderConfig{Memory: 100 * 600, Spill: 1 << 30, SpillDir: t.TempDir() + "/absent", Batch: 10}, 500)
	c := sink.ledger["topic://a"]
	if during.Spilled || c.Lost == 0 || c.Stored+c.Lost != 500 {
		t.Errorf("status %+v, ledger %+v", during, c)
	}
}

func TestBacklogLosesNothingInSilenceWhenTheFileIsDamaged(t *testing.T) {
	sink := &memorySink{hold: make(chan struct{})}
	r, err := record(t, RecorderConfig{Sink: sink, Memory: 100 * 600, Spill: 1 << 30, SpillDir: t.TempDir(), Batch: 10}, func(r *Recorder) {
		for i := range 1000 {
			r.Offer(message(fmt.Sprint(i), "topic://a"))
			r.spills.Wait()
		}
		if err := r.queue.file.Truncate(r.queue.end / 2); err != nil {
			t.Fatal(err)
		}
		close(sink.hold)
	})
	if err != nil {
		t.Fatal(err)
	}
	var stored, lost int64
	for i := range sink.records {
		if gap, ok := sink.records[i].Gap(); ok {
			lost += *gap.Lost
		} else {
			stored++
		}
	}
	if lost == 0 || stored+lost != 1000 || r.Status().Lost != lost || sink.ledger["topic://a"].Lost != lost {
		t.Errorf("stored %d, gap rows say %d lost, status %+v, ledger %+v", stored, lost, r.Status(), sink.ledger)
	}
}

func TestChunkKeepsEveryField(t *testing.T) {
	f, err := openSpill(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sent := time.Unix(0, 0).UTC()
	full := Record{
		Seq: 1, CapturedAt: time.Unix(5, 7).UTC(), Mono: 3, SentAt: &sent, Direction: Command, Source: "stomp", Via: "mirror",
		Conn: "c", From: "f", To: "t", OriginalTo: "o", ReplyTo: "r", MessageID: "m", CorrelationID: "x", JMSType: new(""),
		BodyKind: Text, Body: bytes.Repeat([]byte{0, 0xff}, 50), Headers: []Header{{"a", "1"}, {"a", ""}},
		Masked: []Mask{{Field: "password", Start: 1, End: 4}}, Truncated: 9,
	}
	c := &chunk{file: f, items: []Delivery{{Record: full}, {Record: Record{SentAt: &time.Time{}, Body: []byte{}}}, {}}, acks: make([]func(), 3)}
	if c.size, err = c.write(); err != nil {
		t.Fatal(err)
	}
	got, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if diff := cmp.Diff(c.items[i].Record, got[i].Record); diff != "" {
			t.Errorf("record %d: %s", i, diff)
		}
	}
}

func TestSpillFileHasNoName(t *testing.T) {
	dir := t.TempDir()
	stall(t, RecorderConfig{Memory: 100 * 600, Spill: 1 << 30, SpillDir: dir, Batch: 10}, 500)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOfferNeverWaitsForTheSpill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memorySink{hold: make(chan struct{})}
		r := NewRecorder(RecorderConfig{Sink: sink, Memory: 100 * 600, Spill: 1 << 30, SpillDir: t.TempDir(), Batch: 10})
		go r.Run(t.Context())
		for i := range 5000 { // all at once: whatever the disk does, no time passes here
			r.Offer(message(fmt.Sprint(i), "topic://a"))
		}
		s := r.Status()
		if s.Received != 5000 {
			t.Errorf("%+v", s)
		}
		close(sink.hold)
		r.Close()
		synctest.Wait()
		if s := r.Status(); s.Stored+s.Lost != 5000 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestSinkFailsOverAFullFile: what waits in the file is lost by destination,
// too, and what is no message is not counted as one.
func TestSinkFailsOverAFullFile(t *testing.T) {
	sink := &memorySink{hold: make(chan struct{}), fail: errors.New("full")}
	cfg := RecorderConfig{Sink: sink, Memory: 100 * 600, Spill: 1 << 30, SpillDir: t.TempDir(), Batch: 10}
	spilled := false
	r, err := record(t, cfg, func(r *Recorder) {
		for i := range 1000 {
			d := message(fmt.Sprint(i), fmt.Sprint("topic://", i%2))
			d.Ack = func() {}
			r.Offer(d)
			r.Offer(d) // a copy: only its acknowledgement waits
			r.Gap(Gap{Reason: GapReconnect})
			r.spills.Wait()
		}
		spilled = r.Status().Spilled
		close(sink.hold)
	})
	if err == nil || !spilled {
		t.Fatalf("the sink gave %v, spilled %t", err, spilled)
	}
	lost, ledger := r.Unstored()
	if lost != 1000 || len(ledger) != 2 {
		t.Errorf("%d lost, ledger %+v", lost, ledger)
	}
	for _, c := range ledger {
		if c.Received != 1000 || c.Doubled != 500 || c.Lost != 500 || c.Stored != 0 {
			t.Errorf("%+v", c)
		}
	}
}
