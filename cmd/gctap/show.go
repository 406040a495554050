package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gctap/capture"
	"gctap/capture/link"
	"gctap/decode"
	"gctap/decode/flow"
	"gctap/store"
	"gctap/viewer/model"
)

func showCommand(a *app) *cobra.Command {
	var follow, raw, asJSON bool
	var from int64
	var expression string
	cmd := &cobra.Command{
		Use:   "show SESSION",
		Short: "Print the messages of a session",
		Args:  oneSessionArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if raw && asJSON {
				return usagef("--raw and --json exclude each other: the JSON holds the raw body")
			}
			filter, err := store.CompileFilter(expression)
			if err != nil {
				return err
			}
			defer func() { tellFailures(a.Err, filter) }()
			s, session, err := store.OpenSession(cmd.Context(), a.db, args[0])
			if err != nil {
				return err
			}
			defer s.Close()
			rows := s.Filtered(cmd.Context(), session.ID, filter, from)
			if follow {
				rows = s.FollowFiltered(cmd.Context(), session.ID, filter, from)
			}
			out := bufio.NewWriter(a.Out)
			print := tableRow
			switch {
			case asJSON:
				print = showJSON(session.ID)
			case raw:
				print = rawRow(isTerminal(a.Out))
			default:
				fmt.Fprintf(out, tableFormat, "SEQ", "TIME", "KIND", "AGENT", "NAME", "WHAT")
			}
			for row, err := range rows {
				if err == nil {
					err = print(out, &row)
				}
				if err == nil && follow {
					err = out.Flush()
				}
				if err != nil {
					out.Flush()
					return err
				}
			}
			if err := out.Flush(); err != nil || asJSON || raw {
				return err
			}
			return tellLedger(cmd.Context(), a.Err, s, session.ID)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&follow, "follow", false, "go on while the session is being recorded")
	flags.BoolVar(&raw, "raw", false, "JMSType and body as they came; made printable on a terminal")
	flags.BoolVar(&asJSON, "json", false, "one JSON object a line")
	flags.StringVar(&expression, "filter", "", "only messages that this expression accepts, as agent == \"1001\" && name == \"State\"")
	flags.Int64Var(&from, "from-seq", 1, "begin at this message")
	return cmd
}

// tellLedger ends a listing with what it stands on.
func tellLedger(ctx context.Context, w io.Writer, s *store.Store, id int64) error {
	session, err := s.Session(ctx, id) // as it stands now: it may be live
	if err != nil {
		return err
	}
	counts, err := s.Ledger(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "session %d, %s: %s\n", session.ID, printable(session.Name), ledgerLine(session, counts))
	return nil
}

// tellFailures says at the end for how many records a filter could not be
// worked out, which counted as no match.
func tellFailures(w io.Writer, f *store.Filter) {
	if n, first := f.Failures(); n > 0 {
		fmt.Fprintf(w, "gctap: the filter could not be worked out for %d records, which count as no match; the first: %s\n", n, oneLine(first.Error()))
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

const tableFormat = "%7s  %-23s  %-7s  %-8s  %-20s  %s\n"

// tableRow prints one line for a person.
func tableRow(w *bufio.Writer, row *store.Row) error {
	msg := flow.Decode(&row.Record, decode.Options{})
	_, err := fmt.Fprintf(w, tableFormat, fmt.Sprint(row.Seq), row.CapturedAt.Local().Format("2006-01-02 15:04:05.000"),
		row.Direction, printable(msg.Agent), printable(model.RowName(&row.Record, &msg)), model.Summary(&row.Record, &msg))
	return err
}

// rawRow prints a line that says which message it is, and its body as it came.
func rawRow(visible bool) func(*bufio.Writer, *store.Row) error {
	return func(w *bufio.Writer, row *store.Row) error {
		jmsType := "no type"
		if row.JMSType != nil {
			jmsType = "type " + *row.JMSType
		}
		body := string(row.Body)
		if visible {
			body = model.Printable(body)
		}
		_, err := fmt.Fprintf(w, "--- %d %s %s %s, %d bytes\n%s\n", row.Seq, row.Direction, printable(row.To), printable(jmsType), len(row.Body), body)
		return err
	}
}

// messageJSON is a promise to other programs: keys may be added, none changed.
type messageJSON struct {
	Session       int64             `json:"session"`
	Seq           int64             `json:"seq"`
	CapturedAt    string            `json:"capturedAt"`
	SentAt        *string           `json:"sentAt"`
	Direction     capture.Direction `json:"direction"`
	Source        string            `json:"source"`
	Via           string            `json:"via"`
	Connection    string            `json:"connection"`
	Destination   string            `json:"destination"`
	ReplyTo       string            `json:"replyTo"`
	MessageID     string            `json:"messageId"`
	CorrelationID string            `json:"correlationId"`
	JMSType       *string           `json:"jmsType"`
	Body          *string           `json:"body"`
	BodyBase64    *string           `json:"bodyBase64"`
	BodyKind      capture.BodyKind  `json:"bodyKind"`
	Headers       [][2]string       `json:"headers"`
	Properties    map[string]string `json:"properties"`
	Redacted      bool              `json:"redacted"`
	Masked        []capture.Mask    `json:"masked"`
	Truncated     int64             `json:"truncated,omitempty"`
	Conversation  string            `json:"conversation"`
	Subject       string            `json:"subject"`
	Sender        *senderJSON       `json:"sender"`
	Decoded       json.RawMessage   `json:"decoded"`
}

type senderJSON struct {
	Agent string `json:"agent,omitempty"`
	Basis string `json:"basis"`
}

// gapJSON is a row that stands for what may be missing.
type gapJSON struct {
	Session    int64             `json:"session"`
	Seq        int64             `json:"seq"`
	CapturedAt string            `json:"capturedAt"`
	Direction  capture.Direction `json:"direction"`
	From       string            `json:"from"`
	To         string            `json:"to"`
	Reason     string            `json:"reason"`
	Lost       *int64            `json:"lost"`
	Connection string            `json:"connection,omitempty"`
	Headers    [][2]string       `json:"headers,omitempty"` // where on the wire, how many bytes, why
}

// showJSON prints rows as `show --json` promises.
func showJSON(session int64) func(*bufio.Writer, *store.Row) error {
	return func(w *bufio.Writer, row *store.Row) error {
		out := jsonLines(w)
		if gap, ok := row.Gap(); ok {
			g := gapJSON{
				Session: session, Seq: row.Seq, CapturedAt: jsonTime(row.CapturedAt), Direction: row.Direction,
				From: jsonTime(gap.From), To: jsonTime(gap.To), Reason: gap.Reason, Lost: gap.Lost, Connection: row.Conn,
			}
			for _, h := range row.Headers {
				g.Headers = append(g.Headers, [2]string{h.Name, h.Value})
			}
			return out.Encode(g)
		}
		return out.Encode(rowJSON(session, row))
	}
}

func rowJSON(session int64, row *store.Row) *messageJSON {
	msg := flow.Decode(&row.Record, decode.Options{})
	m := &messageJSON{
		Session: session, Seq: row.Seq, CapturedAt: jsonTime(row.CapturedAt), Direction: row.Direction,
		Source: row.Source, Via: row.Via, Connection: row.Conn, Destination: row.To, ReplyTo: row.ReplyTo,
		MessageID: row.MessageID, CorrelationID: row.CorrelationID, JMSType: row.JMSType, BodyKind: row.BodyKind,
		Headers: make([][2]string, 0, len(row.Headers)), Properties: map[string]string{},
		Redacted: len(row.Masked) > 0, Masked: row.Masked, Truncated: row.Truncated,
		Conversation: row.Conversation, Subject: row.Subject, Decoded: msg.AppendJSON(nil, decode.JSONOptions{}),
	}
	if m.Masked == nil {
		m.Masked = []capture.Mask{}
	}
	if row.SentAt != nil {
		sent := sentTime(*row.SentAt)
		m.SentAt = &sent
	}
	if row.Basis != "" {
		m.Sender = &senderJSON{row.Sender, row.Basis}
	}
	switch body := string(row.Body); {
	case row.Body == nil:
	case utf8.ValidString(body):
		m.Body = &body
	default:
		encoded := base64.StdEncoding.EncodeToString(row.Body)
		m.BodyBase64 = &encoded
	}
	for _, h := range row.Headers {
		m.Headers = append(m.Headers, [2]string{h.Name, h.Value})
		if _, again := m.Properties[h.Name]; !again && isProperty(h.Name) {
			m.Properties[h.Name] = h.Value
		}
	}
	return m
}

// isProperty reports whether a header is one that the message's sender set.
func isProperty(name string) bool {
	for _, source := range []string{"http.", "ws.", "tcp.", "amq."} {
		if strings.HasPrefix(name, source) {
			return false
		}
	}
	return link.IsProperty(name)
}

// sentTime is a producer's time: JMS counts in milliseconds.
func sentTime(t time.Time) string {
	if t.Nanosecond()%int(time.Millisecond) == 0 {
		return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	return jsonTime(t)
}
