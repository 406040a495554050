package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gctap/replay/diff"
	"gctap/store"
	"gctap/viewer"
	"gctap/viewer/model"
)

type viewFlags struct {
	filter     string
	copyFile   string
	background string
	play       replayFlags // with --to
}

func viewCommand(a *app) *cobra.Command {
	var f viewFlags
	play := f.playFlags()
	cmd := &cobra.Command{
		Use:   "view [SESSION [OTHER]]",
		Short: "Look at sessions in the terminal, those being recorded too",
		Long: `Look at sessions in the terminal: the list of them, or the messages of SESSION. A
session that is being recorded is followed. ? lists the keys of what is shown. 1, 2 and 3
show a session as a list, as a ladder of arrows between clients and GC, and as a timeline
of its agents; with two sessions, how they differ is shown side by side, as by
'gctap diff --view', which has more options.

With --to the commands of SESSION are played to another GC, steered from the viewer: plan
and target are checked as by 'gctap replay', whose flags --to brings with it, and then the
console waits. Space starts, pauses and goes on, s sends one command, b stands before those
that a filter accepts, X stops, o opens the new session, 4 comes back to the console. With
--filter only what it accepts is played. To quit stops the replay; what was sent and
received is kept. The exit status is that of replay, 0 if nothing was started.

Marks and notes are kept in the session, sealed or not, and are signed beside it.

What y copies goes to the clipboard of the terminal, over SSH too (the sequence OSC 52),
and with --copy-file into that file as well. Inside tmux the clipboard needs the line
'set -g set-clipboard on' in tmux.conf; screen does not pass it on.

The colours fit a dark background unless --background or $COLORFGBG says light;
--color never and $NO_COLOR do without.`,
		Example: `  gctap view
  gctap view incident --filter 'agent == "1001"'
  gctap view @last --copy-file copied.txt
  gctap view incident @last
  gctap view incident --to stomp://lab:61613 --credentials agents.csv`,
		Args: counted(cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.checkPlay(play, args); err != nil {
				return err
			}
			return a.view(cmd.Context(), args, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.filter, "filter", "", "only messages that this expression accepts, with --to commands too; / changes it")
	flags.StringVar(&f.copyFile, "copy-file", "", "write what is copied to this file too")
	flags.StringVar(&f.background, "background", "auto", "auto, light or dark")
	flags.AddFlagSet(play)
	completeTarget(cmd)
	return cmd
}

func (a *app) view(ctx context.Context, args []string, f viewFlags) error {
	options, err := a.viewOptions(f)
	if err != nil {
		return err
	}
	if len(args) == 0 && f.filter != "" {
		return usagef("--filter needs a SESSION: `gctap sessions` lists them")
	}
	if !isTerminal(a.Out) {
		return usagef("view needs a terminal: use `gctap show` for a file or a pipe")
	}
	if len(args) == 2 {
		return diffSessions(ctx, a, args[0], args[1], diffFlags{late: diff.DefaultLate, filter: f.filter, view: &f})
	}
	if f.play.to != "" {
		return a.viewReplay(ctx, args[0], f, options)
	}
	var s *store.Store
	if len(args) == 0 {
		s, err = store.Open(ctx, a.db, store.Read)
	} else {
		var session store.Session
		s, session, err = store.OpenSession(ctx, a.db, args[0])
		options.Session = &session
	}
	if err != nil {
		return err
	}
	defer s.Close()
	options.Desk = a.desk(s)
	return viewer.Run(ctx, s, options)
}

func (a *app) viewOptions(f viewFlags) (viewer.Options, error) {
	filter, err := store.CompileFilter(f.filter)
	if err != nil {
		return viewer.Options{}, err
	}
	options := viewer.Options{
		Plain:    a.color == "never" || a.color != "always" && os.Getenv("NO_COLOR") != "",
		Filter:   filter,
		CopyFile: f.copyFile,
		Filters:  readFilters(),
		Remember: writeFilters,
	}
	switch f.background {
	case "auto":
		options.Light = lightBackground(os.Getenv("COLORFGBG"))
	case "light", "dark":
		options.Light = f.background == "light"
	default:
		return options, usagef("--background %s: it is auto, light or dark", f.background)
	}
	return options, nil
}

// lightBackground reads $COLORFGBG, which some terminals set: the numbers of
// the colours of text and background, of which 7 and 15 are white.
func lightBackground(colorfgbg string) bool {
	at := strings.LastIndexByte(colorfgbg, ';')
	return at >= 0 && (colorfgbg[at+1:] == "7" || colorfgbg[at+1:] == "15")
}

// desk is what the viewer may do with the sessions of a store: marks are saved
// and files are written by the same means as everywhere.
func (a *app) desk(s *store.Store) model.Desk {
	edit := func(ctx context.Context, change func(*store.Store) error) error {
		e, err := store.Open(ctx, s.Path(), store.Edit)
		if err != nil {
			return err
		}
		defer e.Close()
		return change(e)
	}
	return model.Desk{
		Mark: func(ctx context.Context, session, seq int64, text string) error {
			return edit(ctx, func(e *store.Store) error { return e.Mark(ctx, session, seq, text) })
		},
		Unmark: func(ctx context.Context, session, seq int64) error {
			return edit(ctx, func(e *store.Store) error { return e.Unmark(ctx, session, seq) })
		},
		Export: func(ctx context.Context, session store.Session, filter *store.Filter, file string, p *model.Progress) (string, error) {
			return a.viewExport(ctx, s, session, filter, file, p)
		},
	}
}

// viewExport is export for the viewer: the end of the file's name says which
// format, and nothing is printed.
func (a *app) viewExport(ctx context.Context, s *store.Store, session store.Session, filter *store.Filter, file string, p *model.Progress) (string, error) {
	f := exportFlags{format: formatSession, out: file, filter: filter.String()}
	switch filepath.Ext(file) {
	case ".jsonl", ".json":
		f.format = formatJSONL
	case ".csv":
		f.format = formatCSV
	}
	if file == "-" {
		return "", fmt.Errorf("standard output is the viewer's: name a file")
	}
	n := int64(0)
	f.seen = func(seq int64) {
		n++
		p.Set(seq, session.LastSeq)
	}
	path, err := filepath.Abs(s.Path())
	if err != nil {
		return "", err
	}
	quiet := *a
	var said strings.Builder
	quiet.Out, quiet.Err = io.Discard, &said
	if err := quiet.export(ctx, fmt.Sprintf("%s#%d", path, session.ID), f); err != nil {
		return "", err
	}
	if f.format != formatSession {
		return fmt.Sprintf("%d records exported to %s", n, file), nil
	}
	return oneLine(strings.TrimSpace(said.String())), nil
}

// filtersFile holds the filter lines that were written in the viewer.
func filtersFile() string { return filepath.Join(filepath.Dir(defaultDB()), "filters") }

func readFilters() []string {
	text, err := os.ReadFile(filtersFile())
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// writeFilters keeps them for the next time. Where that is not possible, the
// next time begins without.
func writeFilters(lines []string) {
	if len(lines) > 0 {
		_ = os.WriteFile(filtersFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
	}
}
