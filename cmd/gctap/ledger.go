package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gctap/capture"
	"gctap/store"
)

// Where a total comes from. A recorder that speaks to brokers as they are is
// told by none how much it has missed.
const (
	evidenceCounted = "counted" // by the recorder itself
	evidenceUnknown = "unknown" // messages may be missing, and nobody knows how many
)

func ledgerCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ledger SESSION",
		Short: "What was received at each destination, and what became of it",
		Long: `What the recorder received at each destination and what became of it. Received is
stored + doubled (copies of stored messages) + filtered + foreign (another
application's: counted, never stored) + lost (received and not kept). These are
counted by the recorder. What was never received is in no total: each gap row of
the session says when and why messages may be missing, and how many where that
is known.`,
		Args: oneSessionArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, session, err := store.OpenSession(cmd.Context(), a.db, args[0])
			if err != nil {
				return err
			}
			defer st.Close()
			counts, err := st.Ledger(cmd.Context(), session.ID)
			if err != nil {
				return err
			}
			if asJSON {
				return a.ledgerJSON(counts)
			}
			return a.ledgerTable(session, counts)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// oneSessionArg checks the arguments of commands that take a SESSION.
func oneSessionArg(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s takes one session: its id, its name, @last or a file; `gctap sessions` lists them", cmd.CommandPath())
	}
	return nil
}

type ledgerRow struct {
	Destination string `json:"destination"`
	Received    int64  `json:"received"`
	Stored      int64  `json:"stored"`
	Doubled     int64  `json:"doubled"`
	Filtered    int64  `json:"filtered"`
	Foreign     int64  `json:"foreign"`
	Lost        int64  `json:"lost"`
	Evidence    string `json:"evidence"`
}

func (a *app) ledgerJSON(counts []capture.Counts) error {
	out := jsonLines(a.Out)
	for _, c := range counts {
		row := ledgerRow{c.Destination, c.Received, c.Stored, c.Doubled, c.Filtered, c.Foreign, c.Lost, evidenceCounted}
		if err := out.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) ledgerTable(session store.Session, counts []capture.Counts) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RECEIVED\tSTORED\tDOUBLED\tFILTERED\tFOREIGN\tLOST\tDESTINATION")
	for _, c := range append(counts, sum(counts)) {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%s\n", c.Received, c.Stored, c.Doubled, c.Filtered, c.Foreign, c.Lost, printable(c.Destination))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Out, gapsLine(session))
	return err
}

func sum(counts []capture.Counts) (all capture.Counts) {
	all.Destination = "all"
	for _, c := range counts {
		all.Received += c.Received
		all.Stored += c.Stored
		all.Doubled += c.Doubled
		all.Filtered += c.Filtered
		all.Foreign += c.Foreign
		all.Lost += c.Lost
	}
	return all
}

// ledgerLine is a session's ledger on one line, for the end of a listing.
func ledgerLine(session store.Session, counts []capture.Counts) string {
	if d := session.Derived(); d != nil && len(counts) == 0 {
		return fmt.Sprintf("%d messages of a session of %d records (%s), whose ledger is not here; %s",
			session.Messages(), d.Records, printable(strings.TrimSpace(d.How+" "+d.Filter)), gapsLine(session))
	}
	c := sum(counts)
	return fmt.Sprintf("received %d: %d stored, %d doubled, %d filtered, %d foreign, %d lost (%s); %s",
		c.Received, c.Stored, c.Doubled, c.Filtered, c.Foreign, c.Lost, evidenceCounted, gapsLine(session))
}

// gapsLine says what the gaps mean for every total.
func gapsLine(session store.Session) string {
	if session.Gaps == 0 {
		return "no gaps"
	}
	return fmt.Sprintf("%d gaps: %d messages known to be missing in them (%s), how many beyond that is %s",
		session.Gaps, session.Lost, evidenceCounted, evidenceUnknown)
}
