package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"gctap/decode"
)

func decodeCommand(a *app) *cobra.Command {
	var jmsType, body, direction, hashToken string
	var asJSON, spans, secrets bool
	cmd := &cobra.Command{
		Use:   "decode [--type T] [--body B]",
		Short: "Decode one message, or JSON lines from standard input",
		Long: `Decode one message, or with neither --type nor --body one message a line from
standard input: {"type":…,"body":…|"bodyBase64":…,"direction":"command"|"event"}.
Passwords are printed as *** unless --show-secrets is given.`,
		Example: `  gctap decode --type 'MakeCall#1001' --body 5001
  gctap decode --body '1001#State#READY#Ana Cruz' --json --spans`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if spans && !asJSON {
				return usagef("--spans needs --json: places are a key of the object")
			}
			if len(hashToken) == 1 && strings.Contains(",:|= ", hashToken) || strings.Contains(hashToken, "#") {
				return usagef("--hash-token %q is a separator of the protocol: give the digits or letters that stand for a '#'", hashToken)
			}
			options := decode.Options{HashToken: hashToken}
			print := printMessage(secrets)
			if asJSON {
				print = jsonMessage(decode.JSONOptions{Spans: spans, ShowSecrets: secrets})
			}
			given := cmd.Flags().Changed("type") || cmd.Flags().Changed("body")
			if !given {
				return eachLine(cmd.Context(), a.In, a.Out, func(line, out []byte) ([]byte, error) {
					in, err := inputLine(line)
					if err != nil {
						return out, err
					}
					m := decode.Decode(in, options)
					return print(out, &m), nil
				})
			}
			in := decode.Input{Body: []byte(body)}
			if cmd.Flags().Changed("type") {
				in.Type = &jmsType
			}
			var err error
			if in.Direction, err = wayOf(direction); err != nil {
				return err
			}
			m := decode.Decode(in, options)
			_, err = a.Out.Write(print(nil, &m))
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&jmsType, "type", "", "the JMSType")
	flags.StringVar(&body, "body", "", "the body")
	flags.StringVar(&direction, "direction", "", "command or event, where that is known")
	flags.BoolVar(&asJSON, "json", false, "one JSON object a line")
	flags.BoolVar(&spans, "spans", false, "with --json: where each field stands in the bytes")
	flags.BoolVar(&secrets, "show-secrets", false, "print passwords")
	flags.StringVar(&hashToken, "hash-token", "", "how this site escapes a '#'; none: not at all")
	return cmd
}

// wayOf reads a direction; peer is what one GC sends to another.
func wayOf(direction string) (decode.Direction, error) {
	switch direction {
	case "":
		return decode.AnyDirection, nil
	case "command":
		return decode.ToGC, nil
	case "event", "peer":
		return decode.FromGC, nil
	}
	return 0, usagef("direction %q is none: use command or event", direction)
}

// inputLine reads a message as it stands on one line of standard input.
func inputLine(line []byte) (decode.Input, error) {
	var l struct {
		Type       *string `json:"type"`
		Body       *string `json:"body"`
		BodyBase64 []byte  `json:"bodyBase64"`
		Direction  string  `json:"direction"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return decode.Input{}, fmt.Errorf(`not {"type":…,"body":…}: %w`, err)
	}
	way, err := wayOf(l.Direction)
	in := decode.Input{Type: l.Type, Body: l.BodyBase64, Direction: way}
	if l.Body != nil {
		in.Body = []byte(*l.Body)
	}
	return in, err
}

// eachLine hands every line of in that is not blank to work and writes what it
// appends, in memory that does not grow with the number of lines. The output is
// complete up to the line at which it ends, interrupted or not; what has been
// read is written at once where no more is waiting.
func eachLine(ctx context.Context, in io.Reader, out io.Writer, work func(line, out []byte) ([]byte, error)) error {
	var mu sync.Mutex // of w
	w := bufio.NewWriterSize(out, 64<<10)
	done := make(chan error, 1)
	go func() { done <- workLines(in, w, &mu, work) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = context.Cause(ctx) // the reader may be waiting: leave it
	}
	mu.Lock()
	defer mu.Unlock()
	if flushed := w.Flush(); err == nil {
		err = flushed
	}
	return err
}

func workLines(in io.Reader, w *bufio.Writer, mu *sync.Mutex, work func(line, out []byte) ([]byte, error)) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var line, out []byte
	for n := 1; ; n++ {
		var err error
		line, err = readLine(r, line[:0])
		if err != nil && err != io.EOF {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if hasText(line) {
			var fault error
			if out, fault = work(line, out[:0]); fault != nil {
				return fmt.Errorf("line %d: %w", n, fault)
			}
			mu.Lock()
			_, fault = w.Write(out)
			if fault == nil && r.Buffered() == 0 {
				fault = w.Flush()
			}
			mu.Unlock()
			if fault != nil {
				return fault
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// hasText reports whether a line is more than blanks.
func hasText(line []byte) bool {
	return slices.ContainsFunc(line, func(c byte) bool { return c != ' ' && c != '\t' && c != '\r' && c != '\n' })
}

// readLine appends the next line of any length to dst.
func readLine(r *bufio.Reader, dst []byte) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		dst = append(dst, part...)
		if err != bufio.ErrBufferFull {
			return dst, err
		}
	}
}

// jsonMessage prints a message as one object a line.
func jsonMessage(o decode.JSONOptions) func([]byte, *decode.Message) []byte {
	return func(dst []byte, m *decode.Message) []byte {
		return append(m.AppendJSON(dst, o), '\n')
	}
}

// printMessage prints a message for people: a heading, a field a line, and
// what was found.
func printMessage(secrets bool) func([]byte, *decode.Message) []byte {
	return func(dst []byte, m *decode.Message) []byte {
		if !secrets {
			m = m.Masked()
		}
		head := []string{m.Protocol, m.Kind}
		if m.Protocol == m.Kind {
			head = head[:1]
		}
		head = append(head, m.Name, m.Variant)
		if m.Agent != "" {
			head = append(head, "agent "+m.Agent)
		}
		head = slices.DeleteFunc(head, func(s string) bool { return s == "" })
		dst = append(dst, printable(strings.Join(head, " "))...)
		dst = append(dst, '\n')
		dst = appendFields(dst, "  ", m.Fields)
		for _, f := range m.Findings {
			place := ""
			if f.Field != "" {
				place = " " + f.Field
			}
			dst = fmt.Appendf(dst, "  ! %s %s%s at byte %d: %s\n", f.Severity, f.Code, printable(place), f.Offset, f.Text)
		}
		if m.Omitted > 0 {
			dst = fmt.Appendf(dst, "  ! and %d findings more\n", m.Omitted)
		}
		return dst
	}
}

// appendFields prints fields with their values in a column; lists and records
// go on below, further in.
func appendFields(dst []byte, indent string, fields []decode.Field) []byte {
	width := 0
	for i := range fields {
		width = max(width, min(len(fields[i].Name), 30))
	}
	for i := range fields {
		dst = appendField(dst, indent, printable(fields[i].Name), width, fields[i].Value)
	}
	return dst
}

func appendField(dst []byte, indent, name string, width int, v decode.Value) []byte {
	v = v.Expand()
	dst = append(dst, indent...)
	switch {
	case v.Kind == decode.KindText:
		return append(fmt.Appendf(dst, "%-*s  %s", width, name, printable(v.Text)), '\n')
	case v.Kind == decode.KindJSON:
		return append(fmt.Appendf(dst, "%-*s  %s", width, name, printable(string(v.AppendJSON(nil)))), '\n')
	case len(v.Parts) == 0:
		return append(fmt.Appendf(dst, "%-*s  (none)", width, name), '\n')
	case v.Kind == decode.KindRecord:
		return appendFields(append(append(dst, name...), '\n'), indent+"  ", v.Parts)
	}
	if texts, ok := onlyTexts(v); ok {
		return append(fmt.Appendf(dst, "%-*s  %s", width, name, printable(strings.Join(texts, ", "))), '\n')
	}
	dst = append(append(dst, name...), '\n')
	for i := range v.Parts {
		dst = appendField(dst, indent+"  ", fmt.Sprintf("[%d]", i), 0, v.Parts[i].Value)
	}
	return dst
}

// onlyTexts returns the elements of a list of single values.
func onlyTexts(v decode.Value) ([]string, bool) {
	var texts []string
	for i := range v.Parts {
		text, ok := v.Parts[i].Value.Scalar()
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}
