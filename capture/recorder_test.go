package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memorySink keeps what is written; hold and fail stand in for a slow and a
// broken disk.
type memorySink struct {
	mu      sync.Mutex
	records []Record
	ledger  map[string]Counts
	batches int
	hold    chan struct{} // Write waits for it to be closed
	fail    error
}

func (s *memorySink) Write(ctx context.Context, b Batch) error {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if s.ledger == nil {
		s.ledger = map[string]Counts{}
	}
	s.records = append(s.records, b.Records...)
	for _, c := range b.Ledger {
		s.ledger[c.Destination] = c
	}
	s.batches++
	return nil
}

func message(id, to string) Delivery {
	return Delivery{Record: Record{MessageID: id, To: to, Direction: Event, CapturedAt: time.Now(), Body: []byte(id)}}
}

// record runs a recorder over sink while offer is called, closes it and
// returns what Run returned.
func record(t *testing.T, cfg RecorderConfig, offer func(*Recorder)) (*Recorder, error) {
	t.Helper()
	r := NewRecorder(cfg)
	done := make(chan error)
	go func() { done <- r.Run(t.Context()) }()
	offer(r)
	r.Close()
	return r, <-done
}

func TestRecorderStoresOnceInOrder(t *testing.T) {
	sink := &memorySink{}
	acked := 0
	r, err := record(t, RecorderConfig{Sink: sink, Batch: 7}, func(r *Recorder) {
		for i := range 100 {
			d := message(fmt.Sprint("ID:", i), "topic://a")
			d.Ack = func() { acked++ }
			r.Offer(d)
			r.Offer(d) // the copy that another subscription brings
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sink.records) != 100 {
		t.Fatalf("stored %d records, want 100", len(sink.records))
	}
	for i, rec := range sink.records {
		if rec.Seq != int64(i+1) || rec.MessageID != fmt.Sprint("ID:", i) {
			t.Fatalf("record %d is seq %d, %s", i, rec.Seq, rec.MessageID)
		}
	}
	want := Counts{Destination: "topic://a", Received: 200, Stored: 100, Doubled: 100}
	if got := sink.ledger["topic://a"]; got != want {
		t.Errorf("ledger %+v, want %+v", got, want)
	}
	if acked != 200 {
		t.Errorf("%d acknowledged, want 200: a double is safe once its first copy is", acked)
	}
	if s := r.Status(); s.Stored != 100 || s.Doubled != 100 || s.Waiting != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestRecorderCommitsWithinTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memorySink{}
		r := NewRecorder(RecorderConfig{Sink: sink})
		go r.Run(t.Context())
		r.Offer(message("ID:1", "topic://a"))
		time.Sleep(DefaultDelay + time.Millisecond)
		synctest.Wait()
		if len(sink.records) != 1 {
			t.Errorf("not committed after %v", DefaultDelay)
		}
		r.Close()
	})
}

func TestRecorderFullBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memorySink{}
		r := NewRecorder(RecorderConfig{Sink: sink, Batch: 10})
		go r.Run(t.Context())
		for i := range 10 {
			r.Offer(message(fmt.Sprint(i), "topic://a"))
		}
		synctest.Wait() // no time passes
		if len(sink.records) != 10 {
			t.Errorf("%d of a full batch committed", len(sink.records))
		}
		r.Close()
	})
}

func TestRecorderDropsCountsAndSaysSo(t *testing.T) {
	sink := &memorySink{hold: make(chan struct{})}
	acks := 0
	_, err := record(t, RecorderConfig{Sink: sink, Memory: 10 * 600, Batch: 1000}, func(r *Recorder) {
		for i := range 50 {
			d := message(fmt.Sprint(i), "topic://a")
			d.Ack = func() { acks++ }
			r.Offer(d)
		}
		close(sink.hold)
	})
	if err != nil {
		t.Fatal(err)
	}
	got := sink.ledger["topic://a"]
	if got.Received != 50 || got.Lost == 0 || got.Stored+got.Lost != 50 {
		t.Fatalf("ledger %+v does not add up", got)
	}
	if int64(acks) != got.Stored {
		t.Errorf("%d acknowledged, %d stored", acks, got.Stored)
	}
	last := sink.records[len(sink.records)-1]
	gap, ok := last.Gap()
	if !ok || gap.Reason != GapOverflow || gap.Lost == nil || *gap.Lost != got.Lost {
		t.Errorf("last row is %+v with gap %+v, want an overflow of %d", last.Direction, gap, got.Lost)
	}
}

func TestRecorderFailureAcknowledgesNothing(t *testing.T) {
	full := errors.New("disk full")
	_, err := record(t, RecorderConfig{Sink: &memorySink{fail: full}}, func(r *Recorder) {
		d := message("ID:1", "topic://a")
		d.Ack = func() { t.Error("acknowledged what was not stored") }
		r.Offer(d)
	})
	if !errors.Is(err, full) {
		t.Errorf("Run returned %v", err)
	}
}

func TestRecorderGoesOn(t *testing.T) {
	sink := &memorySink{}
	_, err := record(t, RecorderConfig{
		Sink: sink, LastSeq: 41, Seen: []string{"ID:1"},
		Ledger: []Counts{{Destination: "topic://a", Received: 41, Stored: 41}},
	}, func(r *Recorder) {
		r.Offer(message("ID:1", "topic://a")) // redelivered after a crash
		r.Offer(message("ID:2", "topic://a"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sink.records) != 1 || sink.records[0].Seq != 42 {
		t.Errorf("stored %+v, want ID:2 as 42", sink.records)
	}
	want := Counts{Destination: "topic://a", Received: 43, Stored: 42, Doubled: 1}
	if got := sink.ledger["topic://a"]; got != want {
		t.Errorf("ledger %+v, want %+v", got, want)
	}
}

func TestRecorderMasksBeforeQueueing(t *testing.T) {
	sink := &memorySink{}
	_, err := record(t, RecorderConfig{
		Sink: sink,
		Mask: func(r *Record) { r.Body = []byte(strings.ReplaceAll(string(r.Body), "secret", "***")) },
		Keep: func(r *Record) bool { return !strings.Contains(string(r.Body), "secret") },
	}, func(r *Recorder) { r.Offer(message("secret", "topic://a")) })
	if err != nil {
		t.Fatal(err)
	}
	if len(sink.records) != 1 || string(sink.records[0].Body) != "***" {
		t.Errorf("stored %+v", sink.records)
	}
}

func TestRecorderFilterAndForeignAreCounted(t *testing.T) {
	sink := &memorySink{}
	_, err := record(t, RecorderConfig{Sink: sink, Keep: func(r *Record) bool { return r.To == "topic://a" }}, func(r *Recorder) {
		r.Offer(message("1", "topic://a"))
		r.Offer(message("2", "topic://b"))
		r.Foreign("topic://stocks")
		r.Gap(Gap{Reason: GapReconnect})
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, f := sink.ledger["topic://b"], sink.ledger["topic://stocks"]; b.Filtered != 1 || f.Foreign != 1 || f.Received != 1 {
		t.Errorf("ledger %+v %+v", b, f)
	}
	if len(sink.records) != 2 || sink.records[1].Direction != GapRow {
		t.Errorf("stored %+v, want one event and one gap row", sink.records)
	}
}

func TestWindowForgetsOnlyTheOld(t *testing.T) {
	w := newWindow(100)
	for i := range 1000 {
		if w.has(fmt.Sprint(i)) {
			t.Fatalf("%d is new", i)
		}
		w.add(fmt.Sprint(i))
		if i >= 100 && !w.has(fmt.Sprint(i-100)) {
			t.Fatalf("%d forgotten after 100 more", i-100)
		}
	}
	if n := len(w.old) + len(w.new); n > 201 {
		t.Errorf("remembers %d ids", n)
	}
}

func TestGapRecordRoundTrips(t *testing.T) {
	lost := int64(3)
	want := Gap{From: time.Unix(1, 0).UTC(), To: time.Unix(9, 5).UTC(), Reason: GapCrash, Lost: &lost}
	rec := want.Record()
	got, ok := rec.Gap()
	if !ok || !got.From.Equal(want.From) || !got.To.Equal(want.To) || got.Reason != want.Reason || *got.Lost != lost {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestRecorderWithABadClock: a wall clock that jumps back and stands still
// changes neither the order nor the time since the beginning.
func TestRecorderWithABadClock(t *testing.T) {
	sink := &memorySink{}
	start := time.Unix(1000, 0)
	offsets := []int{0, 5, 5, 5, -3600, -3599, 6}
	_, err := record(t, RecorderConfig{Sink: sink, Start: start}, func(r *Recorder) {
		for i, s := range offsets {
			r.Offer(Delivery{Record: Record{
				MessageID: fmt.Sprint(i), To: "topic://a", Direction: Event, CapturedAt: start.Add(time.Duration(s) * time.Second),
			}})
		}
	})
	if err != nil || len(sink.records) != len(offsets) {
		t.Fatal(len(sink.records), err)
	}
	want := []int{0, 5, 5, 5, 5, 5, 6}
	for i, rec := range sink.records {
		if rec.MessageID != fmt.Sprint(i) || rec.Mono != time.Duration(want[i])*time.Second {
			t.Errorf("record %d is %s at %v, want %d s", i, rec.MessageID, rec.Mono, want[i])
		}
		if !rec.CapturedAt.Equal(start.Add(time.Duration(offsets[i]) * time.Second)) {
			t.Errorf("record %d: the wall clock was changed to %v", i, rec.CapturedAt)
		}
	}
}

func TestLedgerIsBounded(t *testing.T) {
	sink := &memorySink{}
	const topics = ledgerSize + 500
	_, err := record(t, RecorderConfig{Sink: sink}, func(r *Recorder) {
		for i := range topics {
			r.Foreign(fmt.Sprint("topic://", i))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var foreign int64
	for _, c := range sink.ledger {
		foreign += c.Foreign
	}
	if len(sink.ledger) > ledgerSize+1 || sink.ledger[Others].Foreign != 500 || foreign != topics {
		t.Errorf("%d lines count %d, %d of them under %s", len(sink.ledger), foreign, sink.ledger[Others].Foreign, Others)
	}
}

// TestCopiesOfDroppedMessagesAreLostOnce: nearly every message comes twice.
func TestCopiesOfDroppedMessagesAreLostOnce(t *testing.T) {
	sink := &memorySink{hold: make(chan struct{})}
	r, err := record(t, RecorderConfig{Sink: sink, Memory: 10 * 600}, func(r *Recorder) {
		for i := range 40 {
			r.Offer(message(fmt.Sprint(i), "topic://a"))
			r.Offer(message(fmt.Sprint(i), "topic://a"))
		}
		close(sink.hold)
	})
	if err != nil {
		t.Fatal(err)
	}
	c := sink.ledger["topic://a"]
	if c.Lost == 0 || c.Stored+c.Lost != 40 || c.Doubled != 40 || c.Received != 80 {
		t.Errorf("ledger %+v", c)
	}
	gap, ok := sink.records[len(sink.records)-1].Gap()
	if !ok || *gap.Lost != c.Lost || r.Status().Lost != c.Lost {
		t.Errorf("gap %+v, status %+v, ledger %+v", gap, r.Status(), c)
	}
}

func TestACopyMakesGoodALoss(t *testing.T) {
	r := NewRecorder(RecorderConfig{Sink: &memorySink{}, Memory: 600})
	r.Offer(message("1", "topic://a"))
	r.Offer(message("2", "topic://a")) // no room
	r.mu.Lock()
	r.queue.next()
	r.queue.take(1)
	r.mu.Unlock()
	r.Offer(message("2", "topic://a"))
	if s := r.Status(); s.Lost != 0 || s.Waiting != 1 || s.Received != 3 || r.dropped != nil {
		t.Errorf("%+v", s)
	}
}

// TestLedgerAddsUpWhenTheSinkFails: of a batch that was kept in part, and of
// what waited behind it, every message is in one column.
func TestLedgerAddsUpWhenTheSinkFails(t *testing.T) {
	sink := &memorySink{fail: &Shortfall{Kept: 13, Err: errors.New("full")}}
	r, err := record(t, RecorderConfig{Sink: sink, Batch: 40}, func(r *Recorder) {
		for i := range 100 {
			r.Offer(message(fmt.Sprint(i), fmt.Sprint("topic://", i%2)))
		}
	})
	if err == nil {
		t.Fatal("the sink did not fail")
	}
	lost, ledger := r.Unstored()
	var all Counts
	for _, c := range ledger {
		all.Received += c.Received
		all.Stored += c.Stored
		all.Lost += c.Lost
	}
	if all.Stored != 13 || all.Lost != lost || all.Received != all.Stored+all.Lost || r.Status().Stored != 13 {
		t.Errorf("ledger %+v, lost %d, status %+v", all, lost, r.Status())
	}
}

// TestSinkFailsAfterDrops: the gap rows of what was dropped are lost with the
// sink, so that what is said at the end counts it too; of the rows that the sink
// took, nothing is counted again.
func TestSinkFailsAfterDrops(t *testing.T) {
	sink := &memorySink{}
	r := NewRecorder(RecorderConfig{Sink: sink, Memory: 10 * 600})
	offer := func(from, to int) {
		for i := from; i < to; i++ {
			r.Offer(message(fmt.Sprint(i), "topic://a"))
		}
	}
	write := func() error {
		b, _, _ := r.take()
		if err := sink.Write(t.Context(), b); err != nil {
			r.fail(b, err)
			return err
		}
		r.committed(b)
		return nil
	}
	for _, from := range []int{0, 100} { // the second time with the gap row of the first
		offer(from, from+100)
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	offer(200, 300)
	sink.fail = errors.New("full")
	if write() == nil {
		t.Fatal("the sink did not fail")
	}
	told := int64(0)
	for i := range sink.records {
		if gap, ok := sink.records[i].Gap(); ok {
			told += *gap.Lost
		}
	}
	lost, ledger := r.Unstored()
	if c := ledger[0]; told == 0 || c.Lost != told+lost || c.Received != 300 || c.Stored+c.Lost != 300 {
		t.Errorf("gap rows say %d, %d at the end, ledger %+v", told, lost, c)
	}
}

// TestRecorderKeepsNotesAndGapRows: rows that a source makes are kept as they
// are, in their place, and the ledger counts messages only.
func TestRecorderKeepsNotesAndGapRows(t *testing.T) {
	sink := &memorySink{}
	masked, acked := 0, 0
	cfg := RecorderConfig{Sink: sink, Mask: func(*Record) { masked++ }}
	r, err := record(t, cfg, func(r *Recorder) {
		for i := range 3 {
			gap := Delivery{Record: Gap{Reason: GapMissing}.Record(), Ack: func() { acked++ }}
			gap.Record.Headers = []Header{{"tcp.missing", "17"}}
			r.Offer(message(fmt.Sprint("ID:", i), "topic://a"))
			r.Offer(Delivery{Record: Record{Direction: Note, To: "topic://a", Body: []byte("handed over")}})
			r.Offer(gap)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(sink.records); n != 9 || sink.records[8].Header("tcp.missing") != "17" {
		t.Errorf("stored %d records, want 9: %+v", n, sink.records)
	}
	if masked != 6 || acked != 3 {
		t.Errorf("%d masked and %d acknowledged, want 6 and 3", masked, acked)
	}
	want := Counts{Destination: "topic://a", Received: 3, Stored: 3}
	if got := sink.ledger["topic://a"]; got != want || len(sink.ledger) != 1 {
		t.Errorf("ledger %+v, want %+v alone", sink.ledger, want)
	}
	if s := r.Status(); s.Received != 3 || s.Stored != 3 || s.Gaps != 3 {
		t.Errorf("status %+v", s)
	}
}

// TestRecorderDropsNotesAndSaysSo: a note that has no room leaves a gap row,
// in which no message is counted as lost.
func TestRecorderDropsNotesAndSaysSo(t *testing.T) {
	sink := &memorySink{}
	r, err := record(t, RecorderConfig{Sink: sink, Memory: 600}, func(r *Recorder) {
		r.Offer(Delivery{Record: Record{Direction: Note, Body: make([]byte, 1000)}})
		r.Offer(message("ID:1", "topic://a"))
	})
	if err != nil || len(sink.records) != 2 {
		t.Fatalf("%v, stored %+v", err, sink.records)
	}
	gap, ok := sink.records[0].Gap()
	if !ok || gap.Reason != GapOverflow || gap.Lost == nil || *gap.Lost != 0 || r.Status().Lost != 0 {
		t.Errorf("%+v, status %+v", sink.records[0], r.Status())
	}
}
