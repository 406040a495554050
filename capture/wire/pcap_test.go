package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// readBack reads a capture that has to be readable.
func readBack(t testing.TB, file []byte) (*collector, PcapStats) {
	t.Helper()
	var c collector
	stats, err := ReadPcap(context.Background(), bytes.NewReader(file), PcapConfig{Via: "test.pcap", Emit: c.emit})
	if err != nil {
		t.Fatal(err)
	}
	return &c, stats
}

var pcapFormat = format{version: 12, tight: true, cached: true, stackTraces: true}

// talked writes a connection of n messages; edit may change its segments.
func talked(t testing.TB, n int, edit func(segments [][]byte, c *tcpTalk)) *pcapWriter {
	p := newPcapWriter(t)
	c := p.talk("10.0.0.1:40000", "10.0.0.2:61616").open()
	c.send(Server, info(pcapFormat))
	stream, _ := talkBytes(pcapFormat, n)
	var segments [][]byte
	for b := range pieces(stream, 200) {
		segments = append(segments, b)
	}
	edit(segments, c)
	c.close()
	return p
}

func numbersOf(c *collector) string {
	var all []string
	for _, b := range bodiesOf(c) {
		all = append(all, b[:strings.IndexByte(b, ' ')])
	}
	return strings.Join(all, " ")
}

func upTo(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return strings.Join(all, " ")
}

// Segments doubled, swapped and overlapping, with sequence numbers that go
// round, are one stream.
func TestPcapReordersAndRepeats(t *testing.T) {
	p := talked(t, 40, func(segments [][]byte, c *tcpTalk) {
		r := rand.New(rand.NewPCG(1, 1))
		c.seq[Client] = 1<<32 - 1000 // goes round soon
		offsets := make([]uint32, len(segments))
		at := c.seq[Client]
		for i, s := range segments {
			offsets[i] = at
			at += uint32(len(s))
		}
		order := make([]int, len(segments))
		for i := range order {
			order[i] = i
		}
		for i := 1; i+3 < len(order); i += 3 {
			r.Shuffle(3, func(a, b int) { order[i+a], order[i+b] = order[i+b], order[i+a] })
		}
		for _, i := range order {
			c.seq[Client] = offsets[i]
			c.write(Client, layers.TCP{ACK: true}, segments[i])
			if i%4 == 0 && i > 0 { // again, with half of the one before
				half := segments[i-1][100:]
				c.seq[Client] = offsets[i] - uint32(len(half))
				c.write(Client, layers.TCP{ACK: true}, append(slices.Clone(half), segments[i]...))
			}
		}
		c.seq[Client] = at
	})
	c, stats := readBack(t, rebased(t, p))
	if got := numbersOf(c); got != upTo(40) {
		t.Errorf("messages %s", got)
	}
	if g := gapsOf(t, c); len(g) > 0 {
		t.Errorf("gaps %v", g)
	}
	if len(stats.Traffic) != 1 || stats.Traffic[0].Unreadable != 0 {
		t.Errorf("%+v", stats.Traffic)
	}
}

// rebased is p: its handshake was written with other numbers when the test set
// them later, which TCP does not do. The SYN of the client is written anew.
func rebased(t testing.TB, p *pcapWriter) []byte {
	t.Helper()
	file := bytes.Clone(p.Bytes())
	const syn = 24 + 16 + 14 + 20 + 4 // file header, packet header, Ethernet, IP, ports
	binary.BigEndian.PutUint32(file[syn:], 1<<32-1000-1)
	return file
}

// A lost segment is a gap of its length; the frames around it are read.
func TestPcapLostSegment(t *testing.T) {
	p := talked(t, 60, func(segments [][]byte, c *tcpTalk) {
		for i, s := range segments {
			c.segment(Client, s, i == 10 || i == 11)
			c.p.at = c.p.at.Add(200 * time.Millisecond)
		}
	})
	c, stats := readBack(t, p.Bytes())
	if g := gapsOf(t, c); len(g) == 0 || !strings.HasPrefix(g[0], "missing missing=400 ") {
		t.Errorf("gaps %v", g)
	}
	if n := len(bodiesOf(c)); n < 54 || n > 58 {
		t.Errorf("%d messages of 60, with 400 bytes missing", n)
	}
	if stats.Traffic[0].Missing != 400 {
		t.Errorf("%+v", stats.Traffic)
	}
}

// A reset ends a connection only where its number fits, and what waited for a
// lost segment is not forgotten with it.
func TestPcapResets(t *testing.T) {
	p := talked(t, 40, func(segments [][]byte, c *tcpTalk) {
		for i, s := range segments {
			c.segment(Client, s, i == len(segments)-3)
			if i == 5 { // of another life
				right := c.seq[Client]
				c.seq[Client] -= 5000
				c.write(Client, layers.TCP{RST: true}, nil)
				c.seq[Client] = right
			}
		}
		c.write(Client, layers.TCP{RST: true}, nil)
	})
	c, _ := readBack(t, p.Bytes())
	if g := gapsOf(t, c); len(g) == 0 || !strings.HasPrefix(g[0], "missing missing=200 ") {
		t.Errorf("gaps %v", g)
	}
	if got := bodiesOf(c); len(got) < 35 || !strings.HasPrefix(got[len(got)-1], "39 ") {
		t.Errorf("%d messages, the last is %.10s", len(got), got[len(got)-1])
	}
}

// Connections that were reset leave nothing behind, though a side of each never
// said that it ended.
func TestPcapForgetsConnections(t *testing.T) {
	var c collector
	p := newPcapReader(PcapConfig{Emit: c.emit})
	stream, _ := talkBytes(pcapFormat, 2)
	const n = 3 * maxConnections
	w := newPcapWriter(t)
	var packets [][]byte
	w.w = pcapgo.NewWriter(writerFunc(func(b []byte) (int, error) {
		packets = append(packets, bytes.Clone(b))
		return len(b), nil
	}))
	for i := range n {
		talk := w.talk(fmt.Sprintf("10.%d.%d.%d:4000", i>>16, i>>8&255, i&255), "10.99.0.2:61616").open()
		talk.send(Server, info(pcapFormat))
		talk.send(Client, stream)
		talk.write(Client, layers.TCP{RST: true}, nil)
		for k, b := range packets {
			if k%2 == 1 { // the headers come apart
				p.packet(b, gopacket.CaptureInfo{Timestamp: w.at, CaptureLength: len(b), Length: len(b)}, layers.LinkTypeEthernet)
			}
		}
		packets = packets[:0]
	}
	if closed := p.asm.FlushAll(); closed > 0 {
		t.Errorf("the assembler holds %d halves", closed)
	}
	if len(p.flows) > 0 || len(p.d.conns) > 0 || p.d.buffered > 0 {
		t.Errorf("%d halves, %d connections, %d bytes are held", len(p.flows), len(p.d.conns), p.d.buffered)
	}
	if len(p.conns) > 2*maxConnections {
		t.Errorf("%d connections are remembered", len(p.conns))
	}
	if got := len(bodiesOf(&c)); got != 2 {
		t.Errorf("%d messages; all connections sent the same two", got)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// Segments that come late, after the end, are no new connection; the same ends
// connected again are, with a handshake or without.
func TestPcapSameEndsAgain(t *testing.T) {
	p := newPcapWriter(t)
	for round := range 3 {
		c := p.talk("10.0.0.1:40000", "10.0.0.2:61616")
		c.seq = [2]uint32{uint32(1e6 * (round + 1)), uint32(2e6 * (round + 1))}
		if round < 2 {
			c.open()
		}
		w := openWireWriter{format: pcapFormat}
		c.send(Server, info(pcapFormat))
		c.send(Client, info(pcapFormat))
		for n := range 3 {
			c.send(Client, w.frame(textThing("queue://q", fmt.Sprintf("ID:%d", round), n+1, "A#1", fmt.Sprintf("%d ", round*3+n))))
		}
		c.close()
		c.seq[Client] -= 100 // again
		c.write(Client, layers.TCP{ACK: true}, make([]byte, 50))
		p.at = p.at.Add(time.Minute)
	}
	c, stats := readBack(t, p.Bytes())
	if got := numbersOf(c); got != upTo(9) {
		t.Errorf("messages %s, gaps %v, notes %v", got, gapsOf(t, c), notesOf(c))
	}
	if g := gapsOf(t, c); len(g) > 0 {
		t.Errorf("gaps %v", g)
	}
	if stats.Traffic[0].Connections != 3 {
		t.Errorf("%+v", stats.Traffic)
	}
}

// Every link layer, IPv4 and IPv6, pcap and pcapng, packed or not.
func TestPcapLinkLayers(t *testing.T) {
	p := talked(t, 3, func(segments [][]byte, c *tcpTalk) {
		for _, s := range segments {
			c.segment(Client, s, false)
		}
	})
	v6 := newPcapWriter(t)
	c6 := v6.talk("[fe80::1]:40000", "[fe80::2]:61616").open()
	c6.send(Server, info(pcapFormat))
	stream, _ := talkBytes(pcapFormat, 3)
	c6.send(Client, stream)
	c6.close()
	for name, file := range map[string][]byte{"4": p.Bytes(), "6": v6.Bytes()} {
		for link, front := range map[layers.LinkType][]byte{
			layers.LinkTypeEthernet: nil, layers.LinkTypeLinuxSLL: {0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0},
			layers.LinkTypeLinuxSLL2: nil, layers.LinkTypeNull: nil, 101: nil, 12: nil, 9999: nil,
		} {
			for _, ng := range []bool{false, true} {
				got, _ := readBack(t, relinked(t, file, link, front, ng))
				want := upTo(3)
				if link == 9999 {
					want = ""
				}
				if numbersOf(got) != want {
					t.Errorf("IPv%s, link type %d, pcapng %t: %s", name, link, ng, numbersOf(got))
				}
			}
		}
	}
	tagged, _ := readBack(t, vlan(t, p.Bytes()))
	if numbersOf(tagged) != upTo(3) {
		t.Errorf("with VLAN tags: %s", numbersOf(tagged))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(p.Bytes())
	z.Close()
	unpacked, _ := readBack(t, packed.Bytes())
	if numbersOf(unpacked) != upTo(3) {
		t.Errorf("packed: %s", numbersOf(unpacked))
	}
}

// eachPacket calls do with the packets of a capture of Ethernet.
func eachPacket(t testing.TB, file []byte, do func(b []byte, info gopacket.CaptureInfo)) {
	t.Helper()
	r, err := pcapgo.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, info, err := r.ReadPacketData()
		if err != nil {
			return
		}
		do(b, info)
	}
}

// relinked writes a capture of Ethernet with another link layer.
func relinked(t testing.TB, file []byte, link layers.LinkType, front []byte, ng bool) []byte {
	t.Helper()
	var out bytes.Buffer
	write := func(gopacket.CaptureInfo, []byte) error { return nil }
	finish := func() error { return nil }
	if ng {
		w, err := pcapgo.NewNgWriter(&out, link)
		if err != nil {
			t.Fatal(err)
		}
		write, finish = w.WritePacket, w.Flush
	} else {
		w := pcapgo.NewWriter(&out)
		if err := w.WriteFileHeader(65536, link); err != nil {
			t.Fatal(err)
		}
		write = w.WritePacket
	}
	eachPacket(t, file, func(b []byte, info gopacket.CaptureInfo) {
		kind := b[12:14]
		ip := b[14:]
		switch link {
		case layers.LinkTypeEthernet:
			ip = b
		case layers.LinkTypeLinuxSLL:
			ip = slices.Concat(front, kind, ip)
		case layers.LinkTypeLinuxSLL2:
			ip = slices.Concat(kind, []byte{0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0}, ip)
		case layers.LinkTypeNull:
			family := byte(2)
			if kind[0] == 0x86 {
				family = 10
			}
			ip = append([]byte{family, 0, 0, 0}, ip...)
		}
		info.CaptureLength, info.Length = len(ip), len(ip)
		if err := write(info, ip); err != nil {
			t.Fatal(err)
		}
	})
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func vlan(t testing.TB, file []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	eachPacket(t, file, func(b []byte, info gopacket.CaptureInfo) {
		b = slices.Concat(b[:12], []byte{0x81, 0, 0, 7}, b[12:])
		info.CaptureLength, info.Length = len(b), len(b)
		if err := w.WritePacket(info, b); err != nil {
			t.Fatal(err)
		}
	})
	return out.Bytes()
}

// A file that breaks off is read up to there, and says so.
func TestPcapBreaksOff(t *testing.T) {
	p := talked(t, 30, func(segments [][]byte, c *tcpTalk) {
		for _, s := range segments {
			c.segment(Client, s, false)
		}
	})
	file := p.Bytes()
	c, stats := readBack(t, file[:len(file)*2/3+5])
	if !stats.Broken || len(bodiesOf(c)) < 10 {
		t.Errorf("%d messages, %+v", len(bodiesOf(c)), stats)
	}
	if g := gapsOf(t, c); len(g) == 0 {
		t.Error("no gap tells of it")
	}
}

// Two readings of one damaged capture are the same.
func TestPcapIsDeterministic(t *testing.T) {
	p := newPcapWriter(t)
	var talks []*tcpTalk
	for i := range 30 {
		c := p.talk(fmt.Sprintf("10.0.1.%d:40000", i+1), "10.0.0.2:61616").open()
		c.send(Server, info(pcapFormat))
		talks = append(talks, c)
	}
	for i, c := range talks {
		w := openWireWriter{format: pcapFormat}
		c.send(Client, info(pcapFormat))
		for n := range 10 {
			c.segment(Client, w.frame(textThing("queue://q", fmt.Sprintf("ID:%d", i), n+1, "A#1", "x")), n == 4)
		}
	}
	var first []byte
	for range 3 {
		c, _ := readBack(t, p.Bytes())
		text, err := json.Marshal(c.records)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = text
		} else if !bytes.Equal(first, text) {
			t.Fatal("the second reading differs")
		}
	}
}
