package store

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gctap/capture"
)

// TestMain is also the program that the crash test kills: with GCTAP_CRASH set
// it writes records into that store, one a batch, and prints each Seq once it
// is stored, until it dies.
func TestMain(m *testing.M) {
	if path := os.Getenv("GCTAP_CRASH"); path != "" {
		os.Exit(writeUntilKilled(path))
	}
	data, err := os.MkdirTemp("", "gctap-key-")
	if err != nil {
		panic(err)
	}
	benchDirs = append(benchDirs, data)
	os.Setenv("GCTAP_KEY", filepath.Join(data, "signing.key"))
	code := m.Run()
	for _, dir := range benchDirs {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func writeUntilKilled(path string) int {
	ctx := context.Background()
	s, err := Open(ctx, path, Record)
	if err != nil {
		println(err.Error())
		return 1
	}
	w, err := s.NewSession(ctx, SessionInfo{Name: "doomed", Origin: OriginRecord})
	if err != nil {
		println(err.Error())
		return 1
	}
	for {
		if err := w.Write(ctx, capture.Batch{Records: []capture.Record{call(0)}}); err != nil {
			println(err.Error())
			return 1
		}
		os.Stdout.WriteString(".\n")
	}
}

func TestKilledWriterLeavesAGap(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GCTAP_CRASH="+s.Path())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := int64(0)
	lines := bufio.NewScanner(out)
	for acknowledged < 50 && lines.Scan() {
		acknowledged++
	}
	reader, err := Open(ctx, s.Path(), Read)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if live, err := reader.Find(ctx, "doomed"); err != nil || !live.Live || live.Gaps != 0 {
		t.Errorf("while written: %+v, %v", live, err)
	}
	cmd.Process.Kill()
	for lines.Scan() {
		acknowledged++
	}
	cmd.Wait()

	crashed, err := reader.Find(ctx, "doomed")
	if err != nil || crashed.Live || !crashed.Crashed() || crashed.Gaps != 1 || crashed.Events < acknowledged {
		t.Fatalf("after the kill, %d acknowledged: %+v, %v", acknowledged, crashed, err)
	}
	seen := records(t, reader, crashed.ID, 0)
	gap, ok := seen[len(seen)-1].Gap()
	if !ok || gap.Reason != capture.GapCrash || int64(len(seen)) != crashed.LastSeq || int64(len(seen)) != crashed.Events+1 {
		t.Errorf("a reader sees %d rows, the last %+v", len(seen), seen[len(seen)-1])
	}

	newSession(t, s, "next") // stores what readers worked out
	stored, err := s.Find(ctx, "doomed")
	if err != nil || stored.EndedAt == nil || stored.EndReason != EndCrash || stored.Gaps != 1 || stored.LastSeq != crashed.LastSeq {
		t.Errorf("settled: %+v, %v", stored, err)
	}
	after := records(t, s, stored.ID, crashed.LastSeq)
	if len(after) != 1 || string(after[0].Body) != string(seen[len(seen)-1].Body) {
		t.Errorf("stored gap %+v, readers saw %+v", after, seen[len(seen)-1])
	}
}

func TestResumeAfterACrash(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	w := newSession(t, s, "durable")
	id := w.Session().ID
	write(t, w, call(1), call(2))
	if _, err := s.Resume(ctx, id); err == nil {
		t.Fatal("two writers of one session")
	}
	w.Close() // without End: as if it had died

	before, err := s.Before(ctx, id, 1<<62, 2)
	if err != nil || len(before) != 2 || before[1].Direction != capture.GapRow || before[1].Seq != 3 {
		t.Errorf("back from the end: %+v, %v", before, err)
	}
	s.now = func() time.Time { return noon.Add(time.Hour) }
	w, err = s.Resume(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got, _ := s.Recent(ctx, id, 1); len(got) != 1 || got[0] != call(2).MessageID {
		t.Errorf("recent ids %q", got)
	}
	write(t, w, call(4))
	if err := w.End(ctx, "stopped"); err != nil {
		t.Fatal(err)
	}
	all := records(t, s, id, 0)
	if got := seqs(all, bySeq); got != "1 2 3 4" {
		t.Fatalf("records %s", got)
	}
	gap, ok := all[2].Gap()
	if !ok || !gap.From.Equal(call(2).CapturedAt) || !gap.To.Equal(noon.Add(time.Hour)) {
		t.Errorf("gap %+v", gap)
	}
	w, err = s.Resume(ctx, id) // after an ordinary end there is no gap to store
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got := w.Session(); got.LastSeq != 4 || got.EndedAt != nil {
		t.Errorf("resumed %+v", got)
	}
}

func TestSessionsAreWrittenSideBySide(t *testing.T) {
	first := newStore(t)
	second, err := Open(t.Context(), first.Path(), Record)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	writers := []*Writer{newSession(t, first, "a"), newSession(t, second, "b"), newSession(t, second, "c")}
	errs := make([]error, len(writers))
	var all sync.WaitGroup
	for i, w := range writers {
		all.Go(func() {
			for n := int64(1); n <= 40 && errs[i] == nil; n++ {
				errs[i] = w.Write(t.Context(), capture.Batch{Records: []capture.Record{call(n)}})
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, w := range writers {
		if got := records(t, first, w.Session().ID, 0); len(got) != 40 {
			t.Errorf("session %d: %d records", i, len(got))
		}
	}
}

func TestFollowEndsWithTheSession(t *testing.T) {
	s := newStore(t)
	w := newSession(t, s, "a")
	write(t, w, call(1))
	next := make(chan int64)
	go func() {
		defer close(next)
		for row, err := range s.Follow(t.Context(), w.Session().ID, 0) {
			if err != nil {
				t.Error(err)
				return
			}
			next <- row.Seq
		}
	}()
	for n := int64(1); n <= 5; n++ {
		if got := <-next; got != n {
			t.Fatalf("followed to %d, want %d", got, n)
		}
		write(t, w, call(n+1))
	}
	if err := w.End(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if got, ok := <-next; got != 6 || !ok {
		t.Errorf("last row %d", got)
	}
	if _, ok := <-next; ok {
		t.Error("goes on after the end")
	}
}
