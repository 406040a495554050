package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"gctap/capture"
)

// benchBatch is how many records the recorder commits at once under load.
const benchBatch = 500

// traffic is a batch like those of a busy site: 200 agents, a command for
// every four events.
func traffic(first int64) []capture.Record {
	batch := make([]capture.Record, benchBatch)
	for i := range batch {
		n := first + int64(i)
		agent := 1000 + n%200
		rec := call(n)
		rec.To = fmt.Sprint("topic://client.", agent)
		rec.Conn = fmt.Sprint("ID:gc-1-2-3:", agent)
		rec.Headers = []capture.Header{{Name: "priority", Value: "4"}, {Name: "expires", Value: "0"}}
		rec.Body = fmt.Appendf(nil, "%d#State#READY#-1#2022-07-22 18:16:47#%d", agent, n)
		switch n % 5 {
		case 0:
			word := fmt.Sprint("MakeCall#", agent)
			rec.Direction, rec.To, rec.JMSType, rec.Body = capture.Command, "queue://Connector1", &word, fmt.Append(nil, n)
		case 1:
			rec.Body = fmt.Appendf(nil, "%d#NewInboundCall#42512#ani=42512|callVariable1=|callVariable3=null#DialogID:%d", agent, n)
		}
		batch[i] = rec
	}
	return batch
}

// BenchmarkWrite stores with everything that belongs to it: decode, place,
// names, records, index, totals, commit. Compare with BenchmarkBareInsert.
func BenchmarkWrite(b *testing.B) {
	s := newStore(b)
	w := newSession(b, s, "bench")
	seq := int64(1)
	for b.Loop() {
		b.StopTimer()
		batch := capture.Batch{Records: traffic(seq)}
		seq += benchBatch
		b.StartTimer()
		if err := w.Write(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkBareInsert puts the same rows, worked out beforehand, into the same
// tables and indexes with the same statements, batch and settings.
func BenchmarkBareInsert(b *testing.B) { bareInsert(b, insertRecord, insertMessage) }

// BenchmarkBareInsertWithoutIndex leaves the indexes out.
func BenchmarkBareInsertWithoutIndex(b *testing.B) {
	bareInsert(b, insertRecord, insertMessage, "name", "agent", "conversation", "dialog", "severity")
}

func bareInsert(b *testing.B, recordText, messageText string, without ...string) {
	s := newStore(b)
	w := newSession(b, s, "bench")
	ctx := b.Context()
	for _, index := range without {
		if _, err := w.conn.ExecContext(ctx, "DROP INDEX messages_"+index); err != nil {
			b.Fatal(err)
		}
	}
	seq := int64(1)
	for b.Loop() {
		b.StopTimer()
		records, messages := rowsOf(b, w, traffic(seq))
		seq += benchBatch
		b.StartTimer()
		err := transact(ctx, w.conn, func(ctx context.Context, _ *sql.Conn) error {
			for i := range records {
				if _, err := w.insert.record.ExecContext(ctx, records[i]...); err != nil {
					return err
				}
				if _, err := w.insert.message.ExecContext(ctx, messages[i]...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "records/s")
}

func rowsOf(b *testing.B, w *Writer, batch []capture.Record) (records, messages [][]any) {
	for i := range batch {
		id := key(w.session.ID, batch[i].Seq)
		record, err := w.recordRow(b.Context(), id, &batch[i])
		if err != nil {
			b.Fatal(err)
		}
		message, err := w.messageRow(b.Context(), id, w.index.entry(&batch[i]))
		if err != nil {
			b.Fatal(err)
		}
		records, messages = append(records, record), append(messages, message)
	}
	return records, messages
}

// BenchmarkRecords reads a session back.
func BenchmarkRecords(b *testing.B) {
	s := newStore(b)
	w := newSession(b, s, "bench")
	for n := range int64(20) {
		write(b, w, traffic(n*benchBatch+1)...)
	}
	read := 0
	for b.Loop() {
		for _, err := range s.Records(b.Context(), w.Session().ID, 0) {
			if err != nil {
				b.Fatal(err)
			}
			read++
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkEvidence reports what storing with chain and checkpoints achieves of
// storing without, in records a second. Promised: 0.8.
func BenchmarkEvidence(b *testing.B) {
	s := newStore(b)
	with, without := newSession(b, s, "with"), newSession(b, s, "without")
	without.chain.name = nil
	var took [2]time.Duration
	seq := int64(1)
	for b.Loop() {
		batch := capture.Batch{Records: traffic(seq)}
		seq += benchBatch
		for n := range 2 {
			i := (n + int(seq/benchBatch)) % 2 // who comes second finds things warm
			start := time.Now()
			if err := []*Writer{with, without}[i].Write(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "of-without")
}

// BenchmarkDurability reports what each setting costs: how often the disk is
// waited for, and how much is committed at once. record uses FULL and up to 500.
func BenchmarkDurability(b *testing.B) {
	for _, synchronous := range []string{"FULL", "NORMAL", "OFF"} {
		for _, size := range []int{1, 50, 500} {
			b.Run(fmt.Sprintf("%s-%d", synchronous, size), func(b *testing.B) {
				w := newSession(b, newStore(b), "bench")
				if _, err := w.conn.ExecContext(b.Context(), "PRAGMA synchronous="+synchronous); err != nil {
					b.Fatal(err)
				}
				all := traffic(1)
				stored, seq := 0, int64(0)
				for b.Loop() {
					batch := capture.Batch{Records: slices.Clone(all[:size])}
					for i := range batch.Records {
						seq++
						batch.Records[i].Seq = seq
					}
					if err := w.Write(b.Context(), batch); err != nil {
						b.Fatal(err)
					}
					stored += size
				}
				b.ReportMetric(float64(stored)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}
