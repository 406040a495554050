package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gctap/capture"
	"gctap/capture/wire"
	"gctap/store"
)

// What the import of a capture allows itself: bytes of records between reading
// and storing, and how many are committed at once. A file can be read again.
const (
	paceBytes  = 16 << 20
	paceMemory = paceBytes + 3*wire.DefaultLimit // of the recorder: never used up
	paceBatch  = 4000
)

// stdinName is the argument that stands for standard input, and what it is
// called.
const stdinName = "-"

// importPcap makes a session of a packet capture in one or more files.
func (a *app) importPcap(ctx context.Context, files []string, f wireFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	live := slices.Contains(files, stdinName)
	if live && len(files) > 1 {
		return usagef("import --pcap: standard input (-) is a capture of its own: give either - or files")
	}
	inputs, err := openCaptures(files, a.In)
	if err != nil {
		return err
	}
	defer func() {
		for _, in := range inputs {
			in.Close()
		}
	}()
	db, err := store.Open(ctx, a.db, store.Record)
	if err != nil {
		return err
	}
	defer db.Close()
	r := &recording{app: a, flags: f.flags(), say: newTalker(a.Err), origin: store.OriginImport, ended: "imported"}
	p := &pcapImport{wireRecording: newWireRecording(r), flags: f, inputs: inputs, live: live, db: db}
	return p.run(ctx)
}

// A captureInput is one file of a capture, or standard input.
type captureInput struct {
	name  string
	in    io.Reader
	close func() error
	size  int64     // 0: not known
	start time.Time // of its first packet; zero where it has none or is standard input
}

func (c *captureInput) Close() error { return c.close() }

// openCaptures opens the files and puts them into the order of their first
// packets.
func openCaptures(files []string, stdin io.Reader) (all []*captureInput, err error) {
	defer func() {
		if err != nil {
			for _, c := range all {
				c.Close()
			}
		}
	}()
	for _, name := range files {
		if name == stdinName {
			return []*captureInput{{name: "stdin", in: stdin, close: func() error { return nil }}}, nil
		}
		file, err := os.Open(name)
		if err != nil {
			return all, fmt.Errorf("import: %w", err)
		}
		c := &captureInput{name: filepath.Base(name), in: file, close: file.Close}
		all = append(all, c)
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			c.size = info.Size()
			if c.start, err = wire.PcapStart(file); err != nil {
				return all, fmt.Errorf("import %s: %w", name, err)
			}
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				return all, fmt.Errorf("import %s: %w", name, err)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y *captureInput) int { return x.start.Compare(y.start) })
	return all, nil
}

// A pcapImport is one run of import --pcap.
type pcapImport struct {
	*wireRecording
	flags  wireFlags
	inputs []*captureInput
	live   bool
	db     *store.Store

	read  atomic.Int64                     // bytes of the files
	began atomic.Pointer[capture.Recorder] // for the live line
}

func (p *pcapImport) run(ctx context.Context) error {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.pace, p.first, p.halt = newPacer(paceBytes), p.start, cancel
	stop := every(reading, time.Second, func() { p.say.status(p.liveLine()) })
	stats, err := wire.ReadPcaps(reading, p.files(reading), wire.PcapConfig{Emit: p.gate.Take, Skip: p.foreign, Guess: guessDirection})
	stop()
	if ctx.Err() != nil {
		err = nil // it is stopped, and told of as every recording
	}
	p.say.end()
	if stats.Packets > 0 {
		p.say.line("%s", p.packets(stats))
	}
	if !p.live {
		p.until = stats.Last
	}
	switch err = p.end(ctx, stats.Traffic, err); {
	case err != nil && !errors.Is(err, incomplete):
		return err
	case !p.live && ctx.Err() != nil:
		return context.Cause(ctx) // the rest of the file is not there
	case p.rec == nil:
		p.sayTraffic(stats.Traffic)
		return fmt.Errorf("import %s: no message of GC or its clients was found in it; no session was made", p.names())
	case p.rec.Status().Stored == 0:
		return incomplete
	}
	return err
}

// files are the inputs as ReadPcaps takes them: it stops reading when ctx ends,
// even where nothing comes.
func (p *pcapImport) files(ctx context.Context) (files []wire.PcapFile) {
	for _, in := range p.inputs {
		var r io.Reader = &countingReader{in.in, &p.read}
		if in.size == 0 {
			r = interruptedReader(ctx, r)
		}
		files = append(files, wire.PcapFile{Name: in.name, In: r})
	}
	return files
}

// start makes the session when the first row comes.
func (p *pcapImport) start(at time.Time) error {
	err := p.begin(context.Background(), p.db, p.sessionInfo(at), func(c *capture.RecorderConfig) {
		c.Memory, c.Spill, c.Batch = paceMemory, 0, paceBatch
	})
	if err != nil {
		return err
	}
	p.began.Store(p.rec)
	if s := p.keep.current(); p.live {
		p.say.line("recording session %d, %s, from standard input; Ctrl-C stops", s.ID, s.Name)
	} else {
		p.say.line("importing into session %d, %s", s.ID, s.Name)
	}
	return nil
}

func (p *pcapImport) sessionInfo(start time.Time) store.SessionInfo {
	info := p.flags.info()
	info.Origin, info.Mode, info.StartedAt = store.OriginImport, "pcap", start
	info.Host = strings.TrimSuffix(p.inputs[0].name, filepath.Ext(p.inputs[0].name))
	info.Note = "imported from " + p.names()
	return info
}

// names are those of the files.
func (p *pcapImport) names() string {
	var names []string
	for _, in := range p.inputs {
		names = append(names, in.name)
	}
	return some(names)
}

// packets says what was read.
func (p *pcapImport) packets(s wire.PcapStats) string {
	line := fmt.Sprintf("%s: %d packets, %s", p.names(), s.Packets, byteCount(s.Bytes))
	if !s.First.IsZero() {
		line += fmt.Sprintf(", %s to %s", s.First.UTC().Format(time.RFC3339), s.Last.UTC().Format(time.RFC3339))
	}
	if s.Cut > 0 {
		line += fmt.Sprintf("; %d were captured in part only (tcpdump -s 0 takes them whole)", s.Cut)
	}
	if s.Fragments > 0 {
		line += fmt.Sprintf("; %d were fragments of IP and are left out", s.Fragments)
	}
	if s.Broken {
		line += "; the file breaks off within a packet"
	}
	return line
}

func (p *pcapImport) liveLine() string {
	var size int64
	for _, in := range p.inputs {
		size += in.size
	}
	line := byteCount(p.read.Load()) + " read"
	if size > 0 {
		line = fmt.Sprintf("%d %% read", 100*p.read.Load()/size)
	}
	if rec := p.began.Load(); rec != nil {
		s := rec.Status()
		line += fmt.Sprintf("; messages %d, stored %d, gaps %d, foreign %d", s.Received-s.Foreign, s.Stored, s.Gaps, s.Foreign)
	}
	return line
}

type countingReader struct {
	in io.Reader
	n  *atomic.Int64
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	r.n.Add(int64(n))
	return n, err
}

// interruptedReader reads from in until ctx ends, which is then its end, even
// where a Read of in is waiting.
func interruptedReader(ctx context.Context, in io.Reader) io.Reader {
	out, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(io.EOF) })
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(cmp.Or(err, io.EOF))
	}()
	return out
}
