package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"gctap/capture"
)

// captures are what tcpdump took of a real ActiveMQ and its clients; see
// TestUpdateCaptures.
func captures(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/captures/*.pcap.gz")
	if err != nil || len(names) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		packed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if all[filepath.Base(name)], err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// streams returns what each side of each connection of a capture has sent.
func streams(t testing.TB, file []byte) (all [][]byte) {
	t.Helper()
	sent := map[string]int{}
	eachPacket(t, file, func(b []byte, _ gopacket.CaptureInfo) {
		p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.NoCopy)
		if tcp, ok := p.TransportLayer().(*layers.TCP); ok && len(tcp.Payload) > 0 {
			key := fmt.Sprint(p.NetworkLayer().NetworkFlow(), tcp.TransportFlow())
			if _, ok := sent[key]; !ok {
				sent[key] = len(all)
				all = append(all, nil)
			}
			all[sent[key]] = append(all[sent[key]], tcp.Payload...)
		}
	})
	return all
}

// seeds adds the streams of real captures, whole and damaged.
func seeds(f *testing.F, name string, add func([]byte)) {
	for file, data := range captures(f) {
		if !strings.HasPrefix(file, name) {
			continue
		}
		for _, s := range streams(f, data) {
			s = s[:min(len(s), 3000)] // long ones take the fuzzer minutes to make short
			add(s)
			add(s[:len(s)*2/3])
			flipped := slices.Clone(s)
			for at := 97; at < len(flipped); at += 211 {
				flipped[at] ^= 1 << (at % 8)
			}
			add(flipped)
			if len(s) > 600 {
				add(slices.Concat(s[:300], s[400:]))
				add(slices.Concat(s[:500], s[300:]))
			}
		}
	}
}

const fuzzLimit = 1 << 20

// fuzzed feeds the sides of a connection in pieces of n bytes, and checks what
// holds for any input.
func fuzzed(t *testing.T, whole bool, n int, turns ...[2][]byte) *collector {
	t.Helper()
	d, c := testDecoder(Config{Limit: fuzzLimit})
	d.most = 4 << 20
	conn := d.Connect(Endpoints{Client: "a:1", Server: "b:2", Via: "fuzz", Whole: whole})
	for _, turn := range turns {
		for s, data := range turn {
			for b := range pieces(data, n) {
				conn.Data(Side(s), testTime, b)
				if d.buffered > d.most {
					t.Fatalf("%d bytes are held", d.buffered)
				}
			}
		}
	}
	d.Close(testTime)
	if d.buffered != 0 || len(d.conns) != 0 {
		t.Errorf("%d bytes and %d connections are held at the end", d.buffered, len(d.conns))
	}
	for _, r := range c.records {
		if len(r.Body) > 6*fuzzLimit { // a map's bytes are longer as JSON
			t.Errorf("a body of %d bytes", len(r.Body))
		}
		if r.Direction == "" || r.Source == "" || r.Conn == "" && r.Direction == capture.GapRow {
			t.Errorf("a record without what it needs: %+v", r)
		}
	}
	return c
}

// size is how long the pieces are that a fuzzed input comes in.
func size(n uint16) int { return int(n)%1500 + 1 }

func FuzzOpenWire(f *testing.F) {
	var n uint8
	seeds(f, "openwire", func(b []byte) {
		f.Add(b, n%16, uint16(1447))
		n++
	})
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, n uint16) {
		if len(data) > 64<<10 {
			return
		}
		format := testFormats()[kind&7]
		whole := kind&8 == 0
		w := openWireWriter{format: format}
		var after []byte
		for i := range 40 {
			after = append(after, w.frame(textThing("queue://after", "ID:after", 7_000_000+i, "A#1", fmt.Sprintf("after %d", i)))...)
		}
		turns := [][2][]byte{{info(format), info(format)}, {data, nil}, {after, nil}}
		if !whole {
			turns = turns[1:]
		}
		c := fuzzed(t, whole, size(n), turns...)
		if whole && !format.noPrefix && !slices.Contains(bodiesOf(c), "after 39") && !taken(c, data) {
			for _, g := range c.of(capture.GapRow) {
				t.Logf("%v", g.Headers)
			}
			t.Errorf("what follows is not read: %.300q", bodiesOf(c))
		}
		fuzzed(t, whole, size(n), append(turns[:len(turns):len(turns)], [2][]byte{after, data})...)
	})
}

// taken reports whether a frame that the input began without its end took what
// follows for its own, or whether another message had the same id.
func taken(c *collector, data []byte) bool {
	for _, r := range c.records {
		if r.Direction != capture.GapRow && r.To != "queue://after" && strings.Contains(fmt.Sprintf("%s%+v", r.Body, r), "after") {
			return true
		}
	}
	return slices.Contains(notesOf(c), "send") || bytes.Contains(data, []byte("ID:after"))
}

func FuzzStomp(f *testing.F) {
	seeds(f, "stomp", func(b []byte) { f.Add(b, uint16(1447)) })
	f.Add([]byte("SEND\r\ndestination:/queue/q\r\ncontent-length:3\r\n\r\na\x00b\x00\n\n"), uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, n uint16) {
		if len(data) > 64<<10 {
			return
		}
		begin := [2][]byte{[]byte("STOMP\naccept-version:1.2\n\n\x00"), []byte("CONNECTED\nversion:1.2\n\n\x00")}
		after := []byte("\x00\nSEND\ndestination:/queue/after\n\nafter 1\x00\nSEND\ndestination:/queue/after\n\nafter 2\x00\n")
		c := fuzzed(t, true, size(n), begin, [2][]byte{data, nil}, [2][]byte{after, nil})
		if b := bodiesOf(c); !slices.ContainsFunc(b, func(s string) bool { return strings.HasSuffix(s, "after 2") || strings.Contains(s, string(after[:10])) }) {
			t.Errorf("what follows is not read: %q, gaps %v", b, gapsOf(t, c))
		}
		same(t, c, fuzzed(t, true, 1<<20, begin, [2][]byte{data, nil}, [2][]byte{after, nil}))
		fuzzed(t, false, size(n), [2][]byte{data, after}, [2][]byte{after, data})
	})
}

// same compares what came of the same bytes in other pieces.
func same(t *testing.T, a, b *collector) {
	t.Helper()
	if x, y := fmt.Sprintf("%q", bodiesOf(a)), fmt.Sprintf("%q", bodiesOf(b)); x != y && len(gapsOf(t, a))+len(gapsOf(t, b)) == 0 {
		t.Errorf("in pieces: %s\nat once: %s", x, y)
	}
}

func FuzzHTTP(f *testing.F) {
	f.Add([]byte("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n{}\nGET /b HTTP/1.1\r\n\r\n"),
		[]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\n{ }\r\n0\r\nT: x\r\n\r\nHTTP/1.1 304 No\r\n\r\n"), uint16(3))
	f.Add([]byte("HEAD /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"), []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n{\"a\":1}"), uint16(1447))
	f.Add([]byte("POST /a HTTP/1.1\r\nContent-Length: 99999\r\n\r\nGET /b HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\b\x00"), uint16(7))
	f.Fuzz(func(t *testing.T, client, server []byte, n uint16) {
		if len(client)+len(server) > 64<<10 {
			return
		}
		begin := [2][]byte{[]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 204 OK\r\n\r\n")}
		c := fuzzed(t, true, size(n), begin, [2][]byte{client, server})
		same(t, c, fuzzed(t, true, 1<<20, begin, [2][]byte{client, server}))
		fuzzed(t, false, size(n), [2][]byte{client, server})
	})
}

func FuzzWebSocket(f *testing.F) {
	pack := deflater{}
	f.Add(wsBytes(Client, 0xC1, pack.message("one")), uint8(0), uint16(3))
	f.Add(slices.Concat(wsBytes(Client, 0x01, []byte("a")), wsBytes(Client, 0x89, nil), wsBytes(Client, 0x80, []byte("b")), wsBytes(Client, 0x88, []byte{3, 232})), uint8(1), uint16(9))
	f.Add(slices.Concat(wsBytes(Server, 0x81, []byte(`{"msgType":"x"}`)), wsBytes(Server, 0x82, make([]byte, 70_000))[:200]), uint8(2), uint16(1447))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, n uint16) {
		if len(data) > 64<<10 {
			return
		}
		yes := wsYes
		if kind&1 != 0 {
			yes = strings.Replace(yes, "\r\n\r\n", "; client_no_context_takeover\r\n\r\n", 1)
		}
		if kind&2 != 0 {
			yes = strings.Replace(yes, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n", 1)
		}
		begin := [2][]byte{[]byte(wsAsk), fmt.Appendf(nil, yes, "")}
		c := fuzzed(t, true, size(n), begin, [2][]byte{data, data})
		same(t, c, fuzzed(t, true, 1<<20, begin, [2][]byte{data, data}))
		fuzzed(t, false, size(n), [2][]byte{data, data})
	})
}

// FuzzPcap reads anything as a capture file.
func FuzzPcap(f *testing.F) {
	for _, data := range captures(f) {
		data = data[:min(len(data), 8000)]
		f.Add(data)
		f.Add(relinked(f, data, layers.LinkTypeNull, nil, true))
		flipped := slices.Clone(data)
		for at := 47; at < len(flipped); at += 173 {
			flipped[at] ^= 1 << (at % 8)
		}
		f.Add(flipped)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 || len(data) > 1 && data[0] == 0x1F && data[1] == 0x8B { // packed files may be long
			return
		}
		var c collector
		stats, err := ReadPcap(context.Background(), bytes.NewReader(data), PcapConfig{Via: "fuzz", Emit: c.emit, Limit: fuzzLimit})
		if err == nil && stats.Bytes > int64(len(data)) {
			t.Errorf("%d bytes of packets in %d", stats.Bytes, len(data))
		}
	})
}

// FuzzSegments damages real captures as networks do: segments are lost,
// doubled and swapped, the beginning and the end are missing. No message is
// ever read that was not sent.
func FuzzSegments(f *testing.F) {
	files := captures(f)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	originals := map[string]map[string]bool{}
	for _, name := range names {
		c, _ := readBack(f, files[name])
		originals[name] = map[string]bool{}
		for _, r := range c.records {
			originals[name][string(r.Body)] = true
		}
	}
	for i := range names {
		f.Add(uint8(i), []byte{1, 20, 0, 1, 30, 2, 1, 40, 1})
		f.Add(uint8(i), []byte{0, 9, 3, 0, 200, 4, 1, 44, 0, 1, 44, 1, 1, 90, 2})
	}
	f.Fuzz(func(t *testing.T, which uint8, damage []byte) {
		name := names[int(which)%len(names)]
		var c collector
		_, err := ReadPcap(context.Background(), bytes.NewReader(damaged(t, files[name], damage)), PcapConfig{Via: "fuzz", Emit: c.emit})
		if err != nil {
			t.Skip()
		}
		for _, r := range c.records {
			if r.Direction != capture.Note && r.Direction != capture.GapRow && !originals[name][string(r.Body)] {
				t.Errorf("%s: nobody sent %q: %+v", name, r.Body, r)
			}
		}
	})
}

// damaged applies instructions of three bytes to the packets of a capture: a
// packet's number, and whether it is lost (0), doubled (1), swapped with the
// next (2), or all before (3) or after (4) it are lost.
func damaged(t testing.TB, file, instructions []byte) []byte {
	t.Helper()
	type packet struct {
		data []byte
		info gopacket.CaptureInfo
	}
	var packets []packet
	eachPacket(t, file, func(b []byte, info gopacket.CaptureInfo) { packets = append(packets, packet{b, info}) })
	for d := range slices.Chunk(instructions, 3) {
		if len(d) < 3 || len(packets) < 3 {
			break
		}
		i := int(binary.BigEndian.Uint16(d)) % (len(packets) - 1)
		switch d[2] % 5 {
		case 0:
			packets = slices.Delete(packets, i, i+1)
		case 1:
			packets = slices.Insert(packets, i, packets[i])
		case 2:
			packets[i], packets[i+1] = packets[i+1], packets[i]
		case 3:
			packets = packets[i:]
		case 4:
			packets = packets[:i+1]
		}
	}
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.WritePacket(p.info, p.data); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
