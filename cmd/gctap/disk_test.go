package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gctap/capture"
	"gctap/store"
)

// A smallDisk is a Sink with room for so many records.
type smallDisk struct {
	mu      sync.Mutex
	room    int
	stored  int
	batches int
}

func (d *smallDisk) Write(_ context.Context, b capture.Batch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(b.Records) > d.room {
		return store.ErrFull
	}
	d.room -= len(b.Records)
	d.stored += len(b.Records)
	d.batches++
	return nil
}

func guarded(t *testing.T, disk capture.Sink, wait bool, stop <-chan struct{}) *guardedSink {
	t.Helper()
	r, err := newReserve(filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	return &guardedSink{sink: disk, spare: func(context.Context) error { return nil }, reserve: r, wait: wait, stop: stop, say: newTalker(io.Discard), every: time.Second}
}

func TestFullDiskStoresWhatFits(t *testing.T) {
	for room := range 12 {
		disk := &smallDisk{room: room}
		g := guarded(t, disk, false, nil)
		err := g.Write(t.Context(), capture.Batch{Records: make([]capture.Record, 11)})
		if room == 11 {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		short, ok := errors.AsType[*capture.Shortfall](err)
		if !ok || !errors.Is(err, store.ErrFull) || short.Kept != disk.stored || disk.stored != room {
			t.Errorf("room for %d: stored %d, %v", room, disk.stored, err)
		}
		if _, err := os.Stat(g.reserve.first); err == nil {
			t.Error("the reserve is still there")
		}
	}
}

func TestFullDiskIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &smallDisk{}
		g := guarded(t, disk, true, make(chan struct{}))
		done := make(chan error)
		go func() { done <- g.Write(t.Context(), capture.Batch{Records: make([]capture.Record, 5)}) }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		disk.mu.Lock()
		disk.room = 100
		disk.mu.Unlock()
		if err := <-done; err != nil || disk.stored != 5 || disk.batches != 1 {
			t.Errorf("%v, stored %d in %d batches", err, disk.stored, disk.batches)
		}
		if _, err := os.Stat(g.reserve.first); err != nil {
			t.Error("the reserve was given up for nothing: ", err)
		}
	})
}

func TestFullDiskWaitEndsWithTheRecording(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	g := guarded(t, &smallDisk{}, true, stop)
	if err := g.Write(t.Context(), capture.Batch{Records: make([]capture.Record, 5)}); !errors.Is(err, store.ErrFull) {
		t.Errorf("%v", err)
	}
}
