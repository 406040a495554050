package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/capture/wire"
	"gctap/decode"
	"gctap/store"
)

type importFlags struct {
	name     string
	identity string
	salvage  bool
	pcap     bool
	wire     wireFlags
}

func importCommand(a *app) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Take sessions, or what a packet capture saw, into the store",
		Long: `Take sessions into the store from files that 'gctap export' wrote: session files, or
JSON lines. What a file is, its beginning says. A session keeps its chain, its seal
and the signatures of who recorded it; JSON lines carry none, and become a new chain.
Passwords in them are masked.

With --salvage the good beginning of each session is taken out of a damaged store,
with a gap row where it breaks off. The file itself is never touched.

With --pcap the files are one packet capture (pcap or pcapng, gzip too), in any order,
or - for standard input, which is recorded while it comes. What passed between GC, its
broker and its clients is found by content, whatever the ports: OpenWire (JMS), STOMP,
REST and xuc. Messages become a session with the packets' times; who was handed a
message, and when it was acknowledged, are its notes; what the capture does not hold
becomes gap rows. Passwords are masked; other applications' messages are counted and
never stored; what is encrypted with TLS is named. A capture for gctap is made with:

  tcpdump -i any -s 0 -U -w gc.pcap 'tcp port 61616 or tcp port 61613'`,
		Example: `  gctap import incident.gctap
  gctap import --identity key.txt incident.age
  gctap import --salvage damaged.db
  gctap import --pcap gc.pcap --name incident
  ssh root@broker tcpdump -i any -s 0 -U -w - tcp port 61616 | gctap import --pcap - --name live`,
		Args: counted(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd.Flags().Changed); err != nil {
				return err
			}
			if f.pcap {
				f.wire.name = f.name
				return a.importPcap(cmd.Context(), args, f.wire)
			}
			return a.importFiles(cmd.Context(), args, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name of the session, where the file has one session")
	flags.StringVar(&f.identity, "identity", "", "file with the age identity that decrypts")
	flags.BoolVar(&f.salvage, "salvage", false, "take what can be read out of damaged stores")
	flags.BoolVar(&f.pcap, "pcap", false, "the files are one packet capture; - is standard input")
	f.wire.register(flags, " (--pcap)")
	return cmd
}

// check refuses flags that do not go together.
func (f *importFlags) check(given func(string) bool) error {
	if f.pcap && (f.salvage || f.identity != "") {
		return usagef("--pcap reads packet captures: --salvage and --identity are for sessions")
	}
	for _, name := range []string{"queue", "topic", "site-tz", "filter", "keep-secrets"} {
		if !f.pcap && given(name) {
			return usagef("--%s goes with --pcap: a session that is imported has its own", name)
		}
	}
	return nil
}

func (a *app) importFiles(ctx context.Context, files []string, f importFlags) error {
	s, err := store.Open(ctx, a.db, store.Record)
	if err != nil {
		return err
	}
	defer s.Close()
	damaged := false
	for _, file := range files {
		list, err := a.importFile(ctx, s, file, f)
		for _, c := range list {
			fmt.Fprintf(a.Err, "%s: session %d, %s: %d records\n", printable(file), c.Session.ID, printable(c.Session.Name), c.Records)
			damaged = damaged || f.salvage && c.Session.Gaps > 0
		}
		if err == nil && f.name != "" && len(list) == 1 {
			err = s.Rename(ctx, list[0].Session.ID, f.name)
		}
		if err != nil {
			return err
		}
	}
	if damaged {
		return incomplete
	}
	return nil
}

// What files of each kind begin with.
const (
	beginsStore = "SQLite format 3\x00"
	beginsAge   = "age-encryption.org/"
	beginsArmor = "-----BEGIN AGE"
)

func (a *app) importFile(ctx context.Context, s *store.Store, file string, f importFlags) ([]store.Copied, error) {
	if f.salvage {
		return s.Salvage(ctx, file)
	}
	in, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer in.Close()
	r := bufio.NewReader(in)
	head, err := r.Peek(len(beginsAge))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("import %s: %w", file, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte(beginsStore)):
		return importStore(ctx, s, file, filepath.Base(file))
	case bytes.HasPrefix(head, []byte(beginsAge)):
		return a.importEncrypted(ctx, s, r, file, f)
	case bytes.HasPrefix(head, []byte(beginsArmor)):
		return nil, fmt.Errorf("import %s: is armoured: take the armour off first with age --decrypt", file)
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")):
		return importLines(ctx, s, r, filepath.Base(file))
	case wire.IsPcap(head):
		return nil, usagef("import %s: is a packet capture: gctap import --pcap %s", file, file)
	}
	return nil, fmt.Errorf("import %s: is neither a session file, nor encrypted by export, nor lines of JSON; for a damaged store add --salvage", file)
}

// importStore opens a stranger's file, which is refused where it holds more
// than a store does.
func importStore(ctx context.Context, s *store.Store, path, what string) ([]store.Copied, error) {
	from, err := store.Open(ctx, path, store.Read)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	if from.Path() == s.Path() {
		return nil, usagef("import %s: is the store itself", path)
	}
	return s.Import(ctx, from, 0, what)
}

// importEncrypted decrypts into a file beside the store that only this user may
// read, and removes it again.
func (a *app) importEncrypted(ctx context.Context, s *store.Store, r io.Reader, file string, f importFlags) ([]store.Copied, error) {
	if f.identity == "" {
		return nil, usagef("import %s: is encrypted: give the file with your key with --identity", file)
	}
	keys, err := os.Open(f.identity)
	if err != nil {
		return nil, fmt.Errorf("--identity: %w", err)
	}
	defer keys.Close()
	identities, err := age.ParseIdentities(keys)
	if err != nil {
		return nil, fmt.Errorf("--identity %s: %w", f.identity, err)
	}
	plain, err := age.Decrypt(r, identities...)
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", file, err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(s.Path()), ".gctap-import-*")
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "session.db")
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	_, err = io.Copy(out, plain)
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("import %s: %w", file, err)
	}
	f.identity = ""
	return a.importFile(ctx, s, path, f)
}

// importLines takes lines of `show --json` as a new session.
func importLines(ctx context.Context, s *store.Store, r *bufio.Reader, what string) ([]store.Copied, error) {
	lines := &lineReader{in: r, mask: maskRecord(decode.NewMasker())}
	first, err := lines.next()
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", what, err)
	}
	w, err := s.NewSession(ctx, store.SessionInfo{
		Origin: store.OriginImport, Host: strings.TrimSuffix(what, filepath.Ext(what)), StartedAt: first.CapturedAt, Redacted: true,
		Note: "imported from " + what, Program: version,
	})
	if err != nil {
		return nil, err
	}
	n, err := lines.copyTo(ctx, w, first)
	if err == nil {
		err = w.End(ctx, "imported")
	}
	session := w.Session()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("import %s: %w", what, err), w.Close(), s.Delete(context.WithoutCancel(ctx), session.ID))
	}
	return []store.Copied{{Session: session, Records: n}}, nil
}

// maxLine bounds a line of JSON, in bytes.
const maxLine = 256 << 20

// A lineReader reads records from lines of JSON, and masks the secrets of those
// that nobody has masked.
type lineReader struct {
	in    *bufio.Reader
	mask  func(*capture.Record)
	line  int
	start time.Time
}

// next returns io.EOF after the last record.
func (l *lineReader) next() (capture.Record, error) {
	for {
		text, err := l.read()
		if len(bytes.TrimSpace(text)) == 0 {
			if err != nil {
				return capture.Record{}, err
			}
			continue
		}
		rec, err := recordOf(text)
		if err != nil {
			return rec, fmt.Errorf("line %d: %w", l.line, err)
		}
		if len(rec.Masked) == 0 && rec.Direction != capture.GapRow {
			l.mask(&rec)
		}
		if l.start.IsZero() {
			l.start = rec.CapturedAt
		}
		rec.Mono = max(0, rec.CapturedAt.Sub(l.start))
		return rec, nil
	}
}

func (l *lineReader) read() (text []byte, err error) {
	l.line++
	for {
		part, err := l.in.ReadSlice('\n')
		text = append(text, part...)
		if len(text) > maxLine {
			return nil, fmt.Errorf("line %d: is longer than %d MiB", l.line, maxLine>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, err
		}
	}
}

func (l *lineReader) copyTo(ctx context.Context, w *store.Writer, first capture.Record) (n int64, err error) {
	batch := []capture.Record{first}
	for {
		rec, err := l.next()
		if err == nil {
			batch = append(batch, rec)
		}
		if err != nil || len(batch) == 500 {
			if err := w.Write(ctx, capture.Batch{Records: batch}); err != nil {
				return n, err
			}
			n += int64(len(batch))
			batch = batch[:0]
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// recordOf reads a line of `show --json`.
func recordOf(line []byte) (rec capture.Record, err error) {
	var m struct {
		messageJSON
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
		Reason string    `json:"reason"`
		Lost   *int64    `json:"lost"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return rec, fmt.Errorf("is no message of show --json: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.CapturedAt)
	if err != nil {
		return rec, fmt.Errorf("capturedAt: %w", err)
	}
	if m.Direction == capture.GapRow {
		rec = capture.Gap{From: m.From, To: m.To, Reason: m.Reason, Lost: m.Lost}.Record()
		rec.Seq, rec.CapturedAt, rec.Source, rec.Conn = m.Seq, at, m.Source, m.Connection
		for _, h := range m.Headers {
			rec.Headers = append(rec.Headers, capture.Header{Name: h[0], Value: h[1]})
		}
		return rec, nil
	}
	rec = capture.Record{
		Seq: m.Seq, CapturedAt: at, Direction: m.Direction, Source: m.Source, Via: m.Via, Conn: m.Connection, To: m.Destination, ReplyTo: m.ReplyTo,
		MessageID: m.MessageID, CorrelationID: m.CorrelationID, JMSType: m.JMSType, BodyKind: m.BodyKind, Masked: m.Masked, Truncated: m.Truncated,
	}
	for _, mask := range rec.Masked {
		if mask.Start < 0 || mask.End < mask.Start {
			return rec, fmt.Errorf("masked: from %d to %d is no place in a text", mask.Start, mask.End)
		}
	}
	if len(rec.Masked) == 0 {
		rec.Masked = nil
	}
	if m.SentAt != nil {
		sent, err := time.Parse(time.RFC3339Nano, *m.SentAt)
		if err != nil {
			return rec, fmt.Errorf("sentAt: %w", err)
		}
		rec.SentAt = &sent
	}
	switch {
	case m.Body != nil:
		rec.Body = []byte(*m.Body)
	case m.BodyBase64 != nil:
		if rec.Body, err = base64.StdEncoding.DecodeString(*m.BodyBase64); err != nil {
			return rec, fmt.Errorf("bodyBase64: %w", err)
		}
	}
	for _, h := range m.Headers {
		rec.Headers = append(rec.Headers, capture.Header{Name: h[0], Value: h[1]})
	}
	return rec, nil
}
