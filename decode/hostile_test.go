//go:build unix

package decode_test

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gctap/decode"
)

// hostileShapes are bodies that a careless reader takes quadratic time or deep
// recursion for. Each is a beginning, what is repeated, and an end.
type hostileShape struct{ name, front, again, back string }

var hostileShapes = []hostileShape{
	{"tokens", "1#Dance", "#a token of it", ""},
	{"arguments too many", "1#State#READY", "#too many,", ""},
	{"bars in participants", "1#InboundCall#ACTIVE#DialogID:7#42##t#CallType:X#ParticipantsCount:2#participants:", "|3001,SLEEPING,AGENT", ""},
	{"pieces without =", "1#NewOutboundCall#42#a=1", "|b|", "#DialogID:7"},
	{"names that differ", "1#NewOutboundCall#42#", " callVariable \u0100 =a value of it|", "#DialogID:7"},
	{"the same name", "1#NewOutboundCall#42#", "a =1|", "#DialogID:7"},
	{"last key first", "1#InboundCall#ACTIVE#DialogID:7#42", "#CallType:a CallType", "#x#y"},
	{"records", "1#TeamUsersList", "#FirstName:Ana,LastName:de la Cruz,xyz:y", ""},
	{"a record of #", "1#Phonebooks#name:", "##", ""},
	{"record parts", "1#Phonebooks#name:a", ",another:part of it, and more", ""},
	{"groups", "1#QueueList#QueueName:a,Type:SnapShot:x", "|Type:SnapShot:", ""},
	{"bars in a record", "1#QueueList#QueueName:a,Type:SnapShot:x", "| Typ", ""},
	{"blanks and keys", "1#AgentsList#LoginId=1", " Name Name=", ""},
	{"escapes", "1#State#READY#", "0010001100011 ", ""},
	{"blanks", "1#State#", "   \t", "#x"},
	{"not UTF-8", "1#State#READY#", "not in UTF-8: \xff#", ""},
	{"brackets", "", "[", ""},
	{"nested", "{\"type\":\"State\",\"x\":", "[{\"a\":", ""},
	{"keys", "{\"type\":\"State\"", ",\"a key with \\u0041 and \u0100\":12345", "}"},
	{"escaped strings", "{\"data\":{\"type\":\"Login#1\",\"body\":\"", "\\u002c", "\"}}"},
	{"one name", "", "x", ""},
}

// hostileSecrets are shapes with many secrets.
var hostileSecrets = []hostileShape{
	{"secret keys", "{\"type\":\"State\"", ",\"token\":\"\u0100abcd\"", "}"},
	{"lists of secrets", "{\"type\":\"State\",\"x\":[0", ",{\"token\":\"\u0100abcd\"}", "]}"},
	{"addresses", "1#NewOutboundCall#42#a=1", "|u\u0100=/x?token=abcdef", "#DialogID:7"},
	{"addresses in records", "1#TeamUsersList", "#FirstName:/x?token=abcdef,LastName:\u0100", ""},
	{"addresses in strings", "{\"type\":\"State\"", ",\"\u0100\":\"\\/x?token=abcdef\"", "}"},
	{"secrets in an address", "1#State#READY#/x?a=1", "&token=\u0100abcdef", ""},
}

// TestHostileSecrets: the same for masking, printing and writing.
func TestHostileSecrets(t *testing.T) {
	most := 1 << 20
	if testing.Short() || raceDetector {
		most = 512 << 10
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	work := map[string]func(in decode.Input){
		"mask":  func(in decode.Input) { decode.NewMasker().Mask(in) },
		"print": func(in decode.Input) { print(in, decode.JSONOptions{Spans: true}) },
		"write": func(in decode.Input) {
			if m, err := decode.FromJSON(print(in, decode.JSONOptions{ShowSecrets: true})); err == nil {
				_, _ = decode.Encode(&m) // may be refused: what counts is the time
			}
		},
	}
	for name, do := range work {
		for _, s := range slices.Concat(hostileSecrets, hostileShapes) {
			t.Run(name+" "+s.name, func(t *testing.T) { linear(t, s, 64<<10, most, do) })
		}
	}
}

func print(in decode.Input, o decode.JSONOptions) []byte {
	m := decode.Decode(in, decode.Options{Limit: len(in.Body)})
	return m.AppendJSON(nil, o)
}

// linear fails when a byte of the greatest body takes four times as long as one
// of the smallest: these bodies are 16 times as long.
func linear(t *testing.T, s hostileShape, least, most int, do func(decode.Input)) {
	small, great := s.body(least), s.body(most)
	var first, last float64
	for range 4 {
		first, last = quickest(first, small, do), quickest(last, great, do)
		if last <= 4*first {
			return
		}
	}
	t.Errorf("%d KiB take %.1f ns a byte, %d KiB %.1f", least>>10, first, most>>10, last)
}

// quickest is the lesser of a time for a byte, when there is one, and another.
func quickest(before float64, in decode.Input, do func(decode.Input)) float64 {
	runtime.GC()
	start := processorTime()
	do(in)
	took := float64((processorTime() - start).Nanoseconds()) / float64(len(in.Body))
	if before > 0 {
		return min(before, took)
	}
	return took
}

// repeat makes a shape of about n bytes. Where names have to differ, each
// letter U+0100 is another one.
func repeat(front, again, back string, n int) []byte {
	var b bytes.Buffer
	b.Grow(n + 64)
	b.WriteString(front)
	for i := 0; b.Len() < n; i++ {
		if strings.Contains(again, "\u0100") {
			b.WriteString(strings.Replace(again, "\u0100", fmt.Sprintf("%x", i), 1))
		} else {
			b.WriteString(again)
		}
	}
	b.WriteString(back)
	return b.Bytes()
}

// TestHostileShapes: the time for a byte does not grow with the body. What
// counts is the processor's time, and of it the best of a few runs, each from a
// swept heap: neither the machine's other work nor a collection in between is to
// be taken for the decoder's. The bodies grow 256 times, and what is not linear
// with them; the log shows that a byte takes at most twice as long on a machine
// with nothing else to do, and four times leaves room for caches in use by others.
func TestHostileShapes(t *testing.T) {
	most := 16 << 20
	if testing.Short() || raceDetector {
		most = 1 << 20
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, s := range hostileShapes {
		t.Run(s.name, func(t *testing.T) {
			var times []float64
			for size := 64 << 10; size <= most; size *= 2 {
				times = append(times, fastest(s.body(size)))
			}
			t.Logf("%.1f ns a byte", times)
			for i, perByte := range times {
				for again := 0; perByte > 4*slices.Max(times[:3]) && again < 5; again++ {
					perByte = min(perByte, fastest(s.body(64<<10<<i)))
				}
				if perByte > 4*slices.Max(times[:3]) {
					t.Errorf("%d KiB take %.1f ns a byte, 64 KiB %.1f", 64<<i, perByte, times[0])
				}
			}
		})
	}
}

func (s *hostileShape) body(size int) decode.Input {
	return decode.Input{Body: repeat(s.front, s.again, s.back, size), Direction: decode.FromGC}
}

func fastest(in decode.Input) float64 {
	best := time.Duration(1 << 62)
	runs := max(1, min(20, 4<<20/len(in.Body)))
	for range runs {
		runtime.GC()
		start := processorTime()
		m := decode.Decode(in, decode.Options{Limit: len(in.Body)})
		best = min(best, processorTime()-start)
		runtime.KeepAlive(m)
	}
	return float64(best.Nanoseconds()) / float64(len(in.Body))
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
