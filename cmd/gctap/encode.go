package main

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"gctap/decode"
)

func encodeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "encode",
		Short: "Write messages from names and fields, as JSON lines",
		Long: `Reads one object a line from standard input, as decode --json prints it:
{"protocol":…,"kind":…,"name":…,"variant":…,"agent":…,"fields":{…}}. Protocol,
kind and variant may be left out where the name leaves no doubt; the newest form
that takes the fields is written. Prints {"type":…,"body":…}.`,
		Example: `  echo '{"name":"MakeCall","agent":"1001","fields":{"toAddress":"5001"}}' | gctap encode`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return eachLine(cmd.Context(), a.In, a.Out, encodeLine)
		},
	}
}

// encodeLine appends the message that a line describes.
func encodeLine(line, out []byte) ([]byte, error) {
	m, err := decode.FromJSON(line)
	if err != nil {
		return out, err
	}
	in, err := decode.Encode(&m)
	if err != nil {
		return out, err
	}
	wire := struct {
		Type       *string `json:"type"`
		Body       *string `json:"body,omitempty"`
		BodyBase64 *string `json:"bodyBase64,omitempty"`
	}{Type: in.Type}
	if text := string(in.Body); utf8.ValidString(text) {
		wire.Body = &text
	} else {
		text = base64.StdEncoding.EncodeToString(in.Body)
		wire.BodyBase64 = &text
	}
	return appendLine(out, wire)
}

// appendLine appends v as JSON on a line, '<' and '&' as they are.
func appendLine(dst []byte, v any) ([]byte, error) {
	w := sliceWriter{dst}
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return w.b, err
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}
