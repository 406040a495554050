package model

import (
	"context"
	"fmt"
	"strings"

	"gctap/decode"
	"gctap/store"
)

// Copy has a text put on the clipboard.
func (m *Model) Copy(what, text string) {
	m.clip = &text
	m.Notice = fmt.Sprintf("copied %s, %d bytes", what, len(text))
}

// TakeCopy returns, once, what is to be put on the clipboard.
func (m *Model) TakeCopy() (text string, ok bool) {
	if m.clip == nil {
		return "", false
	}
	text, m.clip = *m.clip, nil
	return text, true
}

// copy puts the selected message on the clipboard, as it came.
func (l *Messages) copy(m *Model) {
	seq, id := l.Selected, l.Session.ID
	if seq == 0 {
		return
	}
	m.Later(&Task{
		What: fmt.Sprint("reading message ", seq),
		Do: func(ctx context.Context, src Source, _ *Progress) (func(), error) {
			rows, err := src.After(ctx, id, seq-1, 1)
			if err != nil || len(rows) == 0 || rows[0].Seq != seq {
				return nil, err
			}
			return func() { m.Copy(fmt.Sprint("message ", seq), messageText(&rows[0])) }, nil
		},
	})
}

// messageText is a message as one line: its JMSType and its body.
func messageText(row *store.Row) string {
	return decode.Show(decode.Input{Type: row.JMSType, Body: row.Body})
}

// askExport lets the user name the file that the filtered messages go to.
func (m *Model) askExport() {
	if m.Desk.Export == nil {
		m.Notice = "nothing can be exported here"
		return
	}
	s, filter := m.Messages.Session, m.Messages.Filter
	what := "the session"
	if filter != nil {
		what = "what passes the filter"
	}
	m.Ask(&Prompt{
		Label: "export " + what + " to (.gctap, .jsonl, .csv):",
		Accept: func(m *Model, file string) bool {
			if strings.TrimSpace(file) == "" {
				return true
			}
			m.Later(&Task{
				What: "exporting to " + Printable(file),
				Do: func(ctx context.Context, _ Source, p *Progress) (func(), error) {
					said, err := m.Desk.Export(ctx, s, filter, file, p)
					return func() { m.Notice = Printable(said) }, err
				},
			})
			return true
		},
	}, fileName(s.Name)+".gctap")
}

// fileName makes the name of a session fit for a file.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '/' || r == '\\' || r == ':' {
			return '-'
		}
		return r
	}, name)
}
