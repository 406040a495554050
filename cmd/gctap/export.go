package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"gctap/decode"
	"gctap/decode/flow"
	"gctap/store"
)

// The formats of export.
const (
	formatSession = "session"
	formatJSONL   = "jsonl"
	formatCSV     = "csv"
)

type exportFlags struct {
	format     string
	out        string
	filter     string
	recipients []string
	hide       bool   // --pseudonymise
	hideKey    string // file
	report     string
	reveal     string // file

	seen func(seq int64) // told of each message that is written as text; nil: nobody is
}

func exportCommand(a *app) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export SESSION",
		Short: "Hand a session or a slice of it on, as one file",
		Long: `Write a session, or the slice that --filter accepts, to a file.

  session  one SQLite file that every command takes as SESSION and 'gctap import'
           takes into a store. A whole session keeps its seal; a slice is sealed
           anew, and 'gctap verify' proves each of its records by the original's
           signatures. Gap rows belong to every slice.
  jsonl    the lines of 'gctap show --json'
  csv      a row a message; cells that a spreadsheet would run begin with '

With --pseudonymise every name, number, host and free text is replaced by a token of
the same shape, the same one each time under the same key; the protocol's own words,
states and times stay. What could not be replaced so that it reads the same is masked
whole. The report on standard error, or in --report as JSON, says what was replaced.
The key lies beside the signing key unless --pseudonym-key names another file. With
--reveal KEYFILE the export of such a session is the way back, in lines that replay's
--map-file takes, so that it can be replayed where it came from.`,
		Example: `  gctap export incident -o incident.gctap
  gctap export incident --filter 'agent == "1001"' -o 1001.gctap --encrypt-to age1…
  gctap export incident --format jsonl | jq .
  gctap export incident --pseudonymise -o public.gctap
  gctap export public.gctap --reveal pseudonym.key -o names.txt
  gctap replay public.gctap --to stomp://lab:61613 --map-file names.txt --diff`,
		Args: counted(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.export(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", formatSession, "session, jsonl or csv")
	flags.StringVarP(&f.out, "output", "o", "", "file to write; - is standard output")
	flags.StringVar(&f.filter, "filter", "", "only messages that this expression accepts")
	flags.StringArrayVar(&f.recipients, "encrypt-to", nil, "encrypt to this age public key, or to those in this file; may be given several times")
	flags.BoolVar(&f.hide, "pseudonymise", false, "replace people, numbers, hosts and texts by tokens")
	flags.StringVar(&f.hideKey, "pseudonym-key", "", "file with the key of the tokens; made where it is missing (default: beside the signing key)")
	flags.StringVar(&f.report, "report", "", "with --pseudonymise: file for the report, as JSON")
	flags.StringVar(&f.reveal, "reveal", "", "write what the tokens of a pseudonymised session stand for, by this key file")
	return cmd
}

func (a *app) export(ctx context.Context, ref string, f exportFlags) error {
	if f.format != formatSession && f.format != formatJSONL && f.format != formatCSV {
		return usagef("--format %s: it is session, jsonl or csv", f.format)
	}
	filter, err := store.CompileFilter(f.filter)
	if err != nil {
		return err
	}
	recipients, err := readRecipients(f.recipients)
	if err != nil {
		return err
	}
	if f.hide && f.reveal != "" {
		return usagef("--pseudonymise and --reveal exclude each other")
	}
	if f.out == "" && f.format == formatSession && f.reveal == "" || f.out == "" && len(recipients) > 0 && isTerminal(a.Out) {
		return usagef("export needs -o FILE to write a %s file to", f.format)
	}
	s, session, err := store.OpenSession(ctx, a.db, ref)
	if err != nil {
		return err
	}
	defer s.Close()
	defer func() { tellFailures(a.Err, filter) }()
	switch {
	case f.reveal != "":
		err = a.exportMap(ctx, s, session, f, recipients)
	case f.hide:
		err = a.exportHidden(ctx, s, session, filter, f, recipients)
	case f.format == formatSession:
		err = a.exportSession(f.out, recipients, func(path string) (store.Copied, error) { return s.ExportFile(ctx, session.ID, path, filter) })
	default:
		err = a.exportText(ctx, s, session, filter, f, recipients)
	}
	if err == nil {
		a.noteAccess(ctx, s, session, f)
	}
	return err
}

// exportHidden exports a pseudonymised copy.
func (a *app) exportHidden(ctx context.Context, s *store.Store, session store.Session, filter *store.Filter, f exportFlags, recipients []age.Recipient) error {
	file := f.hideKey
	if file == "" {
		var err error
		if file, err = store.PseudonymKeyFile(); err != nil {
			return err
		}
	}
	key, err := store.ReadPseudonymKey(file, true)
	if err != nil {
		return err
	}
	var report *store.PseudonymReport
	hide := func(path string) (c store.Copied, err error) {
		c, report, err = s.ExportPseudonymised(ctx, session.ID, path, filter, store.NewPseudonymiser(key))
		return c, err
	}
	if f.format == formatSession {
		err = a.exportSession(f.out, recipients, hide)
	} else {
		err = a.exportHiddenText(ctx, hide, f, recipients)
	}
	if err != nil {
		return err
	}
	return a.tellHidden(report, f.report)
}

// exportHiddenText goes through a session file that is removed again.
func (a *app) exportHiddenText(ctx context.Context, hide func(path string) (store.Copied, error), f exportFlags, recipients []age.Recipient) error {
	dir, err := os.MkdirTemp("", "gctap-export-*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "session.db")
	if _, err := hide(path); err != nil {
		return err
	}
	s, session, err := store.OpenSession(ctx, path, store.Last)
	if err != nil {
		return err
	}
	defer s.Close()
	return a.exportText(ctx, s, session, nil, f, recipients)
}

// tellHidden says what a pseudonymised export replaced.
func (a *app) tellHidden(report *store.PseudonymReport, file string) error {
	fmt.Fprintf(a.Err, "%d of %d records changed, %d masked whole, under key %s\n", report.Changed, report.Records, report.Masked, report.Key)
	for _, h := range report.Hidden {
		fmt.Fprintf(a.Err, "record %d was masked whole: %s\n", h.Seq, h.Why)
	}
	if file == "" {
		for _, name := range slices.Sorted(maps.Keys(report.Fields)) {
			fmt.Fprintf(a.Err, "  %s: %d\n", printable(name), report.Fields[name])
		}
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// exportMap writes what the tokens of a pseudonymised session stand for.
func (a *app) exportMap(ctx context.Context, s *store.Store, session store.Session, f exportFlags, recipients []age.Recipient) error {
	key, err := store.ReadPseudonymKey(f.reveal, false)
	if err != nil {
		return err
	}
	lines, err := s.MapLines(ctx, session.ID, store.NewPseudonymiser(key))
	if err != nil {
		return err
	}
	return a.writeOut(f.out, recipients, func(w io.Writer) error {
		for _, line := range lines {
			if _, err := fmt.Fprintln(w, printable(line)); err != nil {
				return err
			}
		}
		return nil
	})
}

// exportSession makes the file, and encrypts it on its way to where it goes.
func (a *app) exportSession(out string, recipients []age.Recipient, export func(path string) (store.Copied, error)) error {
	if out != "-" && len(recipients) == 0 {
		copied, err := export(out)
		if err == nil {
			a.sayExported(copied.Records, out)
		}
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(strings.TrimSuffix(out, "-")), ".gctap-export-*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer os.RemoveAll(dir)
	plain := filepath.Join(dir, "session.db")
	copied, err := export(plain)
	if err != nil {
		return err
	}
	in, err := os.Open(plain)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer in.Close()
	err = a.writeOut(out, recipients, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
	if err == nil {
		a.sayExported(copied.Records, out)
	}
	return err
}

func (a *app) sayExported(n int64, out string) {
	fmt.Fprintf(a.Err, "%d records exported to %s\n", n, out)
}

// exportText writes a line a message.
func (a *app) exportText(ctx context.Context, s *store.Store, session store.Session, filter *store.Filter, f exportFlags, recipients []age.Recipient) error {
	return a.writeOut(f.out, recipients, func(w io.Writer) error {
		out := bufio.NewWriter(w)
		print, finish := showJSON(session.ID), out.Flush
		if f.format == formatCSV {
			print, finish = csvRows(out, isTerminal(a.Out) && (f.out == "" || f.out == "-"))
		}
		for row, err := range s.Filtered(ctx, session.ID, filter, 1) {
			if err == nil {
				err = print(out, &row)
			}
			if err != nil {
				return err
			}
			if f.seen != nil {
				f.seen(row.Seq)
			}
		}
		return finish()
	})
}

// writeOut hands f what leads to a new file or to standard output, encrypted
// where there is somebody to encrypt to. A file that could not be finished is
// removed.
func (a *app) writeOut(path string, recipients []age.Recipient, f func(io.Writer) error) error {
	if path == "" || path == "-" {
		return encrypted(a.Out, recipients, f)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w: name another file", err)
	}
	err = encrypted(file, recipients, f)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

func encrypted(w io.Writer, recipients []age.Recipient, f func(io.Writer) error) error {
	if len(recipients) == 0 {
		return f(w)
	}
	hidden, err := age.Encrypt(w, recipients...)
	if err != nil {
		return fmt.Errorf("encryption: %w", err)
	}
	if err := f(hidden); err != nil {
		return err
	}
	return hidden.Close()
}

// readRecipients takes public keys of age, or files of them.
func readRecipients(words []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, word := range words {
		if strings.HasPrefix(word, "age1") {
			r, err := age.ParseX25519Recipient(word)
			if err != nil {
				return nil, usagef("--encrypt-to: %v; a key is what age-keygen prints after \"public key:\"", err)
			}
			all = append(all, r)
			continue
		}
		file, err := os.Open(word)
		if err != nil {
			return nil, usagef("--encrypt-to %s: is neither a key, which begins with age1, nor a file", word)
		}
		list, err := age.ParseRecipients(file)
		file.Close()
		if err != nil {
			return nil, usagef("--encrypt-to %s: %v", word, err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// noteAccess says in the session's annotations that it was handed on. A file
// that cannot be written to is left as it is.
func (a *app) noteAccess(ctx context.Context, s *store.Store, session store.Session, f exportFlags) {
	what := f.format
	switch {
	case f.reveal != "":
		what = "names revealed"
	case f.hide:
		what += ", pseudonymised"
	}
	if f.filter != "" {
		what += " of " + f.filter
	}
	edit, err := store.Open(ctx, s.Path(), store.Edit)
	if err == nil {
		defer edit.Close()
		err = edit.Accessed(ctx, session.ID, store.AnnotatedExport, what)
	}
	if err != nil {
		fmt.Fprintf(a.Err, "gctap: the export could not be noted in the session: %s\n", oneLine(err.Error()))
	}
}

var csvHead = []string{"seq", "capturedAt", "sentAt", "direction", "conversation", "agent", "name", "variant", "destination", "messageId", "jmsType", "body", "findings"}

// csvRows prints messages as rows of a table, after its head; with visible, so
// that nothing in them acts on a terminal.
func csvRows(out *bufio.Writer, visible bool) (print func(*bufio.Writer, *store.Row) error, finish func() error) {
	w := csv.NewWriter(out)
	err := w.Write(csvHead)
	print = func(_ *bufio.Writer, row *store.Row) error {
		if err != nil {
			return err
		}
		cells := csvRow(row)
		for i := range cells {
			if visible {
				cells[i] = printable(cells[i])
			}
		}
		return w.Write(cells)
	}
	return print, func() error {
		w.Flush()
		return errors.Join(w.Error(), out.Flush())
	}
}

func csvRow(row *store.Row) []string {
	msg := flow.Decode(&row.Record, decode.Options{})
	sent := ""
	if row.SentAt != nil {
		sent = sentTime(*row.SentAt)
	}
	var findings []string
	for _, f := range msg.Findings {
		findings = append(findings, f.Code)
	}
	cells := []string{fmt.Sprint(row.Seq), jsonTime(row.CapturedAt), sent, string(row.Direction), row.Conversation, msg.Agent, msg.Name, msg.Variant,
		row.Record.To, row.MessageID, row.Type(), string(row.Body), strings.Join(findings, " ")}
	for i := range cells {
		cells[i] = plainCell(cells[i])
	}
	return cells
}
