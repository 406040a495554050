package model

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

// lights returns the text of the lit parts of the screen, and of the selected
// one.
func lights(m *Model) (lit, chosen string) {
	for _, line := range m.Reader.Visible() {
		for _, part := range line.Parts {
			if part.Style.IsLit() {
				lit += part.Text
			}
			if part.Style.IsSelected() {
				chosen += part.Text
			}
		}
	}
	return lit, chosen
}

func reading1(t *testing.T, body string) (*Model, Source) {
	t.Helper()
	call := row(1)
	call.Body = []byte(body)
	m := New()
	m.Resize(100, 40)
	m.Messages.Session = session(1, 1, false)
	m.Messages.Selected = 1
	m.Messages.read(m, Detail)
	src := one{call}
	do(t.Context(), m, src, m.Next())
	return m, src
}

func TestFieldLightsUpItsBytes(t *testing.T) {
	m, _ := reading1(t, "1001#State#READY#7#2022-07-22")
	for m.Reader.path != "reasonCode" {
		before := m.Reader.line
		m.Key("l")
		if m.Reader.line == before {
			t.Fatalf("no line shows reasonCode:\n%s", shown(m))
		}
	}
	m.Key("r")
	if lit, chosen := lights(m); lit != "7" || chosen != "7" {
		t.Errorf("raw lights up %q, selects %q", lit, chosen)
	}
	m.Key("x")
	if lit, _ := lights(m); lit != "377" { // in hex and as text
		t.Errorf("hex lights up %q", lit)
	}
	for range 3 { // back to the Y of READY
		m.Key("h")
	}
	if lit, chosen := lights(m); m.Reader.path != "state" || !strings.HasSuffix(lit, "READY") || chosen != "44D" {
		t.Errorf("three bytes before: field %q, lit %q, selected %q", m.Reader.path, lit, chosen)
	}
	m.Key("d")
	if line := m.Reader.text.Line(m.Reader.line); line.Label != "state" || !strings.HasPrefix(line.Text, "READY") {
		t.Errorf("decoded, the line %+v is selected", line)
	}
	m.Key("=")
	if got := string(m.Asking().text); got != `fields.state == "READY"` {
		t.Errorf("filter by this value: %s", got)
	}
	m.Key("Esc")
	m.Key("y")
	if text, ok := m.TakeCopy(); !ok || text != "READY" {
		t.Errorf("copied %q", text)
	}
}

// TestEveryByteLeadsToItsField, whatever the message, and every line of a field
// to bytes that are its own.
func TestEveryByteLeadsToItsField(t *testing.T) {
	for _, body := range []string{
		"1001#NewInboundCall#42512#ani=1|wide=漢字#DialogID:17672721",
		"1001#State#READY#7#2022-07-22 18:16:47",
		`{"type":"State","agentId":"1001","state":"READY"}`,
		"no message\xff\x00\x1b", "", "\n\n", "1001#Error#CF_INVALID_OBJECT_STATE#x",
	} {
		for _, view := range []string{"r", "x"} {
			m, _ := reading1(t, body)
			m.Key(view)
			r := &m.Reader
			for i := range body {
				r.selectByte(spot{i, false})
				want := r.msg.FieldAt(i, false)
				if r.path != want && !strings.HasPrefix(want, r.path) && r.path != "" {
					t.Errorf("%q: byte %d is of %q, not %q", body, i, want, r.path)
				}
				if row := r.page.row(r.page.rowOf(r.at)); i < row.from || i >= row.to {
					t.Errorf("%q in %s: byte %d stands on row %+v", body, view, i, row)
				}
				if line := r.page.line(r.page.rowOf(r.at)); line < r.offset || line >= r.offset+r.height {
					t.Errorf("%q: byte %d is not on the screen", body, i)
				}
			}
			for _, key := range []string{"j", "k", "l", "h", "G", "g", "PgDn", "PgUp", "l", "l", "j", "d"} {
				m.Key(key)
			}
			for i := range r.text.Len {
				r.selectLine(i)
				if lit := r.lit(); r.path != "" && lit.to > len(body) {
					t.Errorf("%q: %s is lit at %+v", body, r.path, lit)
				}
			}
		}
	}
}

func TestClickSelectsField(t *testing.T) {
	m, _ := reading1(t, "1001#State#READY#7#2022-07-22")
	m.Key("r")
	m.Click(13, 3) // head, JMSType, body says, bytes
	if m.Reader.path != "state" {
		t.Errorf("a click on READY selects %q", m.Reader.path)
	}
	m.Key("x")
	m.Click(12, 3)
	if m.Reader.at != (spot{0, false}) {
		t.Errorf("a click on the first byte selects %+v", m.Reader.at)
	}
	m.Click(63, 3)
	if m.Reader.at != (spot{2, false}) {
		t.Errorf("a click on the third character selects %+v", m.Reader.at)
	}
	m.Key("d")
	m.Click(3, 4)
	if m.Reader.line != 3 {
		t.Errorf("a click selects line %d", m.Reader.line)
	}
}

func TestMeaningsStandBesideValues(t *testing.T) {
	m, _ := reading1(t, "1001#Error#CF_INVALID_OBJECT_STATE#x")
	if text := shown(m); !strings.Contains(text, "CF_INVALID_OBJECT_STATE  ") {
		t.Errorf("an error code is not explained:\n%s", text)
	}
}

// TestControlCharactersAreFolded counts what is seen: a control character takes
// a column, though it has no width of its own.
func TestControlCharactersAreFolded(t *testing.T) {
	m, _ := reading1(t, strings.Repeat("\x01\x02\xff\u202e", 100)+"end")
	m.Key("r")
	text := ""
	for _, line := range m.Reader.Visible() {
		if n := runewidth.StringWidth(line.Text); n > 100 {
			t.Errorf("a row of %d columns on a screen of 100: %q", n, line.Text)
		}
		text += line.Text
	}
	if !strings.HasSuffix(text, "end") {
		t.Errorf("the end is not shown: %q", text)
	}
	m.Click(40, 3) // bytes 0xff are one each, the mark that turns the direction is three
	if at := m.Reader.at; at.offset != 40/4*6 {
		t.Errorf("column 40 is byte %d", at.offset)
	}
}
