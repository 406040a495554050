package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gctap/store"
)

func sessionsCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the sessions of the store; rename, note, delete",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := store.Open(cmd.Context(), a.db, store.Read)
			if err != nil {
				return err
			}
			defer s.Close()
			sessions, err := s.Sessions(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return a.sessionsJSON(sessions)
			}
			return a.sessionsTable(sessions)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.AddCommand(ledgerCommand(a), renameCommand(a), noteCommand(a), deleteCommand(a))
	return cmd
}

// sessionJSON is a promise to other programs: keys may be added, none changed.
type sessionJSON struct {
	ID        int64   `json:"id"`
	Name      string  `json:"name"`
	Origin    string  `json:"origin"`
	Broker    string  `json:"broker"`
	Mode      string  `json:"mode"`
	StartedAt string  `json:"startedAt"`
	EndedAt   *string `json:"endedAt"`
	Live      bool    `json:"live"`
	Messages  int64   `json:"messages"`
	Commands  int64   `json:"commands"`
	Events    int64   `json:"events"`
	Gaps      int64   `json:"gaps"`
	Lost      int64   `json:"lost"`
	Redacted  bool    `json:"redacted"`
	Parent    *int64  `json:"parent"`
	Note      string  `json:"note"`
	EndReason string  `json:"endReason"`
	Crashed   bool    `json:"crashed"`
}

func (a *app) sessionsJSON(sessions []store.Session) error {
	out := jsonLines(a.Out)
	for i := range sessions {
		s := &sessions[i]
		row := sessionJSON{
			ID: s.ID, Name: s.Name, Origin: s.Origin, Broker: s.Broker, Mode: s.Mode,
			StartedAt: jsonTime(s.StartedAt), Live: s.Live,
			Messages: s.Messages(), Commands: s.Commands, Events: s.Events, Gaps: s.Gaps, Lost: s.Lost,
			Redacted: s.Redacted, Note: s.Note, EndReason: s.EndReason, Crashed: s.Crashed(),
		}
		if s.EndedAt != nil {
			end := jsonTime(*s.EndedAt)
			row.EndedAt = &end
		}
		if s.Parent != 0 {
			row.Parent = &s.Parent
		}
		if err := out.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// jsonTime is a time of the tap's clock as our JSON has it.
func jsonTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") }

// tableTime is a time as tables have it, in the reader's zone.
func tableTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func (a *app) sessionsTable(sessions []store.Session) error {
	if len(sessions) == 0 {
		fmt.Fprintln(a.Err, "no sessions: record something first")
		return nil
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tORIGIN\tMODE\tSTARTED\tEND\tMESSAGES\tGAPS\tLOST\tBROKER\tNOTE")
	for i := range sessions {
		s := &sessions[i]
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", s.ID, printable(s.Name), s.Origin, printable(s.Mode), tableTime(s.StartedAt),
			sessionEnd(s), s.Messages(), s.Gaps, lostCell(s), printable(s.Broker), printable(s.Note))
	}
	return w.Flush()
}

// sessionEnd says how long a session lasted, or how it stands.
func sessionEnd(s *store.Session) string {
	switch {
	case s.Live:
		return "live"
	case s.Crashed():
		return "crashed"
	}
	return "after " + s.EndedAt.Sub(s.StartedAt).Round(time.Second).String()
}

// lostCell never says 0 where the gaps do not know.
func lostCell(s *store.Session) string {
	switch {
	case s.Gaps == 0:
		return "0"
	case s.Lost == 0:
		return "unknown"
	}
	return fmt.Sprint("≥", s.Lost)
}

func renameCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rename SESSION NAME",
		Short: "Give a session another name",
		Args:  counted(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editSession(cmd, args[0], func(s *store.Store, one store.Session) error {
				return s.Rename(cmd.Context(), one.ID, args[1])
			})
		},
	}
}

func noteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "note SESSION TEXT...",
		Short: "Replace the note of a session",
		Args:  counted(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editSession(cmd, args[0], func(s *store.Store, one store.Session) error {
				return s.SetNote(cmd.Context(), one.ID, strings.Join(args[1:], " "))
			})
		},
	}
}

func deleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "delete SESSION",
		Short: "Remove a session and all its messages",
		Args:  counted(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editSession(cmd, args[0], func(s *store.Store, one store.Session) error {
				if err := s.Delete(cmd.Context(), one.ID); err != nil {
					return err
				}
				fmt.Fprintf(a.Err, "deleted session %d, %s: %d messages\n", one.ID, printable(one.Name), one.Messages())
				return nil
			})
		},
	}
}

func (a *app) editSession(cmd *cobra.Command, ref string, edit func(*store.Store, store.Session) error) error {
	s, one, err := store.OpenSessionAs(cmd.Context(), a.db, ref, store.Edit)
	if err != nil {
		return err
	}
	defer s.Close()
	return edit(s, one)
}
