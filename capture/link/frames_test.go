package link

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-stomp/stomp/v3/frame"
	"pgregory.net/rapid"
)

// slowly are readers that hand out the same bytes in other portions.
var slowly = map[string]func(io.Reader) io.Reader{
	"whole":   func(r io.Reader) io.Reader { return r },
	"one":     iotest.OneByteReader,
	"half":    iotest.HalfReader,
	"dataErr": iotest.DataErrReader,
}

const twoFrames = "\n\nMESSAGE\r\ntype:Login#1\\c\ncontent-length:3\n\na\x00b\x00\n\nMESSAGE\ntype:x\n\nbody\x00"

func TestGuardPassesFramesOn(t *testing.T) {
	for name, slow := range slowly {
		r := frame.NewReader(newGuard(slow(strings.NewReader(twoFrames)), 1000))
		got := ""
		for {
			f, err := r.Read()
			if err != nil {
				if err != io.EOF {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
			if f != nil {
				got += fmt.Sprintf("%s %q;", f.Header.Get("type"), f.Body)
			}
		}
		if want := "Login#1: \"a\\x00b\";x \"body\";"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestGuardStopsWhatIsTooBig(t *testing.T) {
	for _, c := range []struct{ name, frame string }{
		{"a length it claims", "MESSAGE\ncontent-length:4000000000\n\nx"},
		{"a body", "MESSAGE\n\n" + strings.Repeat("x", 200)},
		{"a header", "MESSAGE\ntype:" + strings.Repeat("x", 200)},
		{"many headers", "MESSAGE\n" + strings.Repeat("a:b\n", 50)},
	} {
		for name, slow := range slowly {
			// A small frame before must not count.
			in := "\nMESSAGE\n\n" + strings.Repeat("y", 80) + "\x00" + c.frame
			r := frame.NewReader(newGuard(slow(strings.NewReader(in)), 100))
			r.Read() // the heartbeat
			if f, err := r.Read(); err != nil || len(f.Body) != 80 {
				t.Errorf("%s, %s: the small frame: %v", c.name, name, err)
			}
			_, err := r.Read()
			if big, ok := errors.AsType[*TooBig](err); !ok || big.Max != 100 {
				t.Errorf("%s, %s: got %v", c.name, name, err)
			}
		}
	}
}

// Whatever comes, the guard changes nothing of it (but for STOMP 1.0).
func TestGuardChangesNothing(t *testing.T) {
	piece := rapid.SampledFrom([]string{"\n", "\r\n", "\x00", ":", `\`, "MESSAGE", "content-length:", "3", "a:b\n", "\n\n", twoFrames})
	rapid.Check(t, func(t *rapid.T) {
		in := "\n" + strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "")
		slow := slowly[rapid.SampledFrom([]string{"whole", "one", "half"}).Draw(t, "reader")]
		out, err := io.ReadAll(newGuard(slow(strings.NewReader(in)), 1<<40))
		if string(out) != in || err != nil {
			t.Errorf("%q came out as %q, %v", in, out, err)
		}
	})
}

// What is written in a version is read in that version, whatever it holds.
func TestFramesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.SampledFrom([]string{v10, v11, v12}).Draw(t, "version")
		f := frame.New(frame.MESSAGE)
		f.Body = rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		f.Header.Add(frame.ContentLength, fmt.Sprint(len(f.Body)))
		for range rapid.IntRange(0, 5).Draw(t, "headers") {
			name := rapid.StringMatching(`[a-z\\]{1,100}`).Draw(t, "name")
			value := rapid.StringMatching(`[ -~\\:äж]{0,100}`).Draw(t, "value")
			if version != v10 {
				value += rapid.SampledFrom([]string{"", "\n", "\r", `\n`, `\\`, ":"}).Draw(t, "break")
			}
			f.Header.Add("x"+name, value)
		}
		data, err := appendFrame(nil, f, version)
		if err != nil {
			t.Fatal(err)
		}
		g := newGuard(slowly[rapid.SampledFrom([]string{"whole", "one", "half"}).Draw(t, "reader")](strings.NewReader("\n"+string(data))), 1<<20)
		g.plain = version == v10
		r := frame.NewReaderSize(g, 64)
		if beat, err := r.Read(); beat != nil || err != nil {
			t.Fatal(beat, err)
		}
		back, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%q %q", back.Body, *back.Header) != fmt.Sprintf("%q %q", f.Body, *f.Header) {
			t.Errorf("%s: %q %q came back as %q %q", version, *f.Header, f.Body, *back.Header, back.Body)
		}
	})
}

func TestPlainHeadersCannotHoldLineBreaks(t *testing.T) {
	for _, c := range []struct {
		command, version, value string
		ok                      bool
	}{
		{frame.SEND, v12, "a\nb", true},
		{frame.SEND, v10, "a\nb", false},
		{frame.CONNECT, v12, "a\nb", false},
		{frame.CONNECT, v12, `a\:b`, true},
		{frame.SEND, v12, "a\x00b", false},
	} {
		_, err := appendFrame(nil, frame.New(c.command, "h", c.value), c.version)
		if (err == nil) != c.ok {
			t.Errorf("%s %s %q: %v", c.command, c.version, c.value, err)
		}
	}
}
