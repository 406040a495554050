package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/gopacket/gopacket/tcpassembly"

	"gctap/capture"
)

// PcapConfig says what to do with a packet capture.
type PcapConfig struct {
	Via   string               // Record.Via: the file's name
	Emit  func(capture.Record) // takes the records; see Config
	Skip  func(dest string)
	Guess func(*capture.Record) capture.Direction
	Limit int // largest frame; 0: DefaultLimit
}

// PcapStats is what was found in a capture.
type PcapStats struct {
	Packets   int64
	Bytes     int64 // of packets, as captured
	TCP       int64 // packets among them that were read as TCP
	Fragments int64 // packets left out because IP had split them
	Cut       int64 // packets of which the capture holds the beginning only
	Broken    bool  // the file ends within a packet
	First     time.Time
	Last      time.Time
	Traffic   []Traffic
}

// How long out-of-order bytes wait for those before them, in the capture's time
// and in pages of 1,900 bytes.
const (
	reorderTime     = 2 * time.Second
	reorderConnPage = 4096
	reorderPages    = 40_000
)

// ReadPcap reads a packet capture in the format of pcap or pcapng, also packed
// with gzip, to its end. Link layers are Ethernet, Linux cooked, loopback and
// raw IP, with VLAN tags; IPv4 and IPv6.
//
// A capture may begin and end anywhere. Bytes that it does not hold become gap
// rows; a file that breaks off is read up to there, and so is one of ctx.
func ReadPcap(ctx context.Context, in io.Reader, cfg PcapConfig) (PcapStats, error) {
	return ReadPcaps(ctx, []PcapFile{{cfg.Via, in}}, cfg)
}

// A PcapFile is one file of a capture.
type PcapFile struct {
	Name string // Record.Via of connections that begin in it
	In   io.Reader
}

// ReadPcaps reads the files of one capture, oldest first, as [ReadPcap] does:
// connections go on from one to the next. A file that is no capture ends it.
func ReadPcaps(ctx context.Context, files []PcapFile, cfg PcapConfig) (PcapStats, error) {
	p := newPcapReader(cfg)
	for _, f := range files {
		p.cfg.Via = f.Name
		if err := p.file(ctx, f.In); err != nil {
			if p.stats.Packets == 0 {
				return p.stats, err
			}
			p.finish()
			return p.stats, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	p.finish()
	return p.stats, context.Cause(ctx)
}

// file reads one file to its end.
func (p *pcapReader) file(ctx context.Context, in io.Reader) error {
	source, err := openPcap(in)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		data, info, err := source.read()
		switch {
		case err == nil:
			p.packet(data, info, source.link(info))
		case err == io.EOF || ctx.Err() != nil:
			return nil
		default:
			p.stats.Broken = true
			p.breaksOff()
			return nil
		}
	}
	return nil
}

// breaksOff says that a file ends within a packet, or can not be read on.
func (p *pcapReader) breaksOff() {
	g := capture.Gap{From: p.stats.Last, To: p.stats.Last, Reason: capture.GapMissing}.Record()
	g.Source, g.Via = "pcap", p.cfg.Via
	g.Headers = []capture.Header{{Name: "tcp.why", Value: "the file breaks off, or is damaged, at packet " + strconv.FormatInt(p.stats.Packets+1, 10)}}
	p.cfg.Emit(g)
}

// PcapStart returns the time of a capture's first packet; zero where it has
// none. It reads as much as it needs.
func PcapStart(in io.Reader) (time.Time, error) {
	source, err := openPcap(in)
	if err != nil {
		return time.Time{}, err
	}
	if _, info, err := source.read(); err == nil {
		return info.Timestamp, nil
	}
	return time.Time{}, nil
}

// A packetSource is a capture file of either format.
type packetSource struct {
	read func() ([]byte, gopacket.CaptureInfo, error)
	link func(gopacket.CaptureInfo) layers.LinkType
}

func openPcap(in io.Reader) (*packetSource, error) {
	r := bufio.NewReaderSize(in, 1<<20)
	head, err := r.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("no packet capture: %w", err)
	}
	if head[0] == 0x1F && head[1] == 0x8B {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("no packet capture: %w", err)
		}
		r = bufio.NewReaderSize(z, 1<<20)
		if head, err = r.Peek(4); err != nil {
			return nil, fmt.Errorf("no packet capture: %w", err)
		}
	}
	if bytes.Equal(head, []byte{0x0A, 0x0D, 0x0D, 0x0A}) {
		ng, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, fmt.Errorf("no packet capture: %w", err)
		}
		return &packetSource{read: ng.ZeroCopyReadPacketData, link: func(i gopacket.CaptureInfo) layers.LinkType {
			intf, err := ng.Interface(i.InterfaceIndex)
			if err != nil {
				return ng.LinkType()
			}
			return intf.LinkType
		}}, nil
	}
	pr, err := pcapgo.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("no packet capture, neither pcap nor pcapng: %w", err)
	}
	return &packetSource{read: pr.ZeroCopyReadPacketData, link: func(gopacket.CaptureInfo) layers.LinkType { return pr.LinkType() }}, nil
}

// IsPcap reports whether a file's first four bytes are those of a capture, and
// whether it is packed.
func IsPcap(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	switch binary.LittleEndian.Uint32(head) {
	case 0xA1B2C3D4, 0xD4C3B2A1, 0xA1B23C4D, 0x4D3CB2A1, 0x0A0D0D0A:
		return true
	}
	return false
}

// A pcapReader turns packets into what the sides of connections have sent.
type pcapReader struct {
	cfg   PcapConfig
	d     *Decoder
	asm   *tcpassembly.Assembler
	stats PcapStats

	parsers map[gopacket.LayerType]*gopacket.DecodingLayerParser
	decoded []gopacket.LayerType
	ip4     layers.IPv4
	ip6     layers.IPv6
	tcp     layers.TCP

	conns    map[tuple]*tcpConn
	flows    map[uint64]*tcpHalf // by the number in the flow that the assembler knows
	next     uint64
	flushed  time.Time
	segment  layers.TCP // in the assembler's hands
	flushing bool
	held     []flushedBytes // while flushing
}

// A tuple names a connection by its ends, the smaller first.
type tuple struct{ a, b netip.AddrPort }

// A tcpConn is a connection in the capture.
type tcpConn struct {
	key    tuple
	conn   *Conn
	client netip.AddrPort
	halves [2]*tcpHalf
	gone   bool // has ended; kept to know late segments by
	end    time.Time
}

// A tcpHalf is what one side has sent. It is the assembler's stream.
type tcpHalf struct {
	p       *pcapReader
	c       *tcpConn
	side    Side
	flow    gopacket.Flow
	known   bool   // the assembler knows where it begins
	isn     uint32 // of its SYN
	started bool   // isn is set
	next    uint32 // the sequence number that the assembler waits for
	highest uint32 // the one after the last byte that was captured
	closed  bool
}

func newPcapReader(cfg PcapConfig) *pcapReader {
	p := &pcapReader{cfg: cfg, conns: map[tuple]*tcpConn{}, flows: map[uint64]*tcpHalf{}}
	p.d = NewDecoder(Config{Source: "pcap", Limit: cfg.Limit, Emit: cfg.Emit, Skip: cfg.Skip, Guess: cfg.Guess})
	p.asm = tcpassembly.NewAssembler(tcpassembly.NewStreamPool(p))
	p.asm.MaxBufferedPagesPerConnection = reorderConnPage
	p.asm.MaxBufferedPagesTotal = reorderPages
	p.parsers = map[gopacket.LayerType]*gopacket.DecodingLayerParser{}
	return p
}

// New makes the assembler's stream of a flow.
func (p *pcapReader) New(flow, _ gopacket.Flow) tcpassembly.Stream {
	return p.flows[binary.BigEndian.Uint64(flow.Src().Raw())]
}

// firstLayer is what packets of a link type begin with.
func firstLayer(link layers.LinkType) gopacket.LayerType {
	switch link {
	case layers.LinkTypeEthernet:
		return layers.LayerTypeEthernet
	case layers.LinkTypeLinuxSLL:
		return layers.LayerTypeLinuxSLL
	case layers.LinkTypeLinuxSLL2:
		return layers.LayerTypeLinuxSLL2
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return layers.LayerTypeLoopback
	case layers.LinkTypeIPv4:
		return layers.LayerTypeIPv4
	case layers.LinkTypeIPv6:
		return layers.LayerTypeIPv6
	}
	return gopacket.LayerTypeZero
}

// rawLinks are the numbers under which systems write packets that begin with IP.
var rawLinks = map[layers.LinkType]bool{12: true, 14: true, 101: true}

func (p *pcapReader) parser(link layers.LinkType, data []byte) *gopacket.DecodingLayerParser {
	first := firstLayer(link)
	if rawLinks[link] && len(data) > 0 {
		first = layers.LayerTypeIPv4
		if data[0]>>4 == 6 {
			first = layers.LayerTypeIPv6
		}
	}
	if first == gopacket.LayerTypeZero {
		return nil
	}
	parser := p.parsers[first]
	if parser == nil {
		parser = gopacket.NewDecodingLayerParser(first, &layers.Ethernet{}, &layers.LinuxSLL{}, &layers.LinuxSLL2{},
			&layers.Loopback{}, &layers.Dot1Q{}, &p.ip4, &p.ip6, &layers.IPv6ExtensionSkipper{}, &p.tcp)
		parser.IgnoreUnsupported = true
		p.parsers[first] = parser
	}
	return parser
}

func (p *pcapReader) packet(data []byte, info gopacket.CaptureInfo, link layers.LinkType) {
	p.stats.Packets++
	p.stats.Bytes += int64(len(data))
	if p.stats.First.IsZero() {
		p.stats.First = info.Timestamp
	}
	if info.Timestamp.After(p.stats.Last) {
		p.stats.Last = info.Timestamp
	}
	if info.CaptureLength < info.Length {
		p.stats.Cut++
	}
	if parser := p.parser(link, data); parser != nil {
		p.decoded = p.decoded[:0]
		// A packet that does not decode to the end is none of ours, or cut.
		if err := parser.DecodeLayers(data, &p.decoded); err == nil || len(p.decoded) > 0 {
			p.transport(info.Timestamp)
		}
	}
	if p.flushed.IsZero() || info.Timestamp.Before(p.flushed.Add(-reorderTime)) {
		p.flushed = info.Timestamp // clocks are set back, and packets damaged
	}
	if info.Timestamp.Sub(p.flushed) > reorderTime/2 {
		p.flushed = info.Timestamp
		p.flush(info.Timestamp.Add(-reorderTime))
	}
}

// transport hands a TCP segment to the assembler.
func (p *pcapReader) transport(at time.Time) {
	var src, dst netip.Addr
	isTCP := false
	for _, l := range p.decoded {
		switch l {
		case layers.LayerTypeIPv4:
			src, _ = netip.AddrFromSlice(p.ip4.SrcIP)
			dst, _ = netip.AddrFromSlice(p.ip4.DstIP)
			if p.ip4.Flags&layers.IPv4MoreFragments != 0 || p.ip4.FragOffset != 0 {
				p.stats.Fragments++
				return
			}
		case layers.LayerTypeIPv6:
			src, _ = netip.AddrFromSlice(p.ip6.SrcIP)
			dst, _ = netip.AddrFromSlice(p.ip6.DstIP)
		case layers.LayerTypeIPv6Fragment:
			p.stats.Fragments++
			return
		case layers.LayerTypeTCP:
			isTCP = true
		}
	}
	if !isTCP || !src.IsValid() || !dst.IsValid() {
		return
	}
	p.stats.TCP++
	t := &p.tcp
	from := netip.AddrPortFrom(src, uint16(t.SrcPort))
	half := p.half(from, netip.AddrPortFrom(dst, uint16(t.DstPort)), at)
	if half == nil || half.closed {
		return
	}
	if t.RST {
		p.resets(half, at)
		return
	}
	if !half.known && len(t.Payload) > 0 && !t.SYN {
		// The capture begins within this half: it begins here.
		half.known, half.next, half.highest = true, t.Seq, t.Seq
		p.assemble(half, &layers.TCP{SYN: true, Seq: t.Seq - 1}, at)
	}
	if t.SYN && !half.known {
		half.known, half.next, half.highest = true, t.Seq+1, t.Seq+1
	}
	if half.known {
		if end := t.Seq + uint32(len(t.Payload)); int32(end-half.highest) > 0 {
			half.highest = end
		}
		p.assemble(half, t, at)
	}
	if half.c.halves[0].closed && half.c.halves[1].closed {
		p.over(half.c, at)
	}
}

// assemble hands a segment to the assembler, which knows a half by its flow
// alone: ports would tell segments that were read from those made here.
func (p *pcapReader) assemble(h *tcpHalf, t *layers.TCP, at time.Time) {
	p.segment = layers.TCP{BaseLayer: layers.BaseLayer{Payload: t.Payload}, Seq: t.Seq, SYN: t.SYN, FIN: t.FIN, RST: t.RST}
	p.asm.AssembleWithTimestamp(h.flow, &p.segment, at)
}

// maxWindow is the largest window that TCP can have: a reset beyond it belongs
// to something else.
const maxWindow = 1 << 30

// resets ends a connection, unless the reset is an old one.
func (p *pcapReader) resets(half *tcpHalf, at time.Time) {
	if ahead := int32(p.tcp.Seq - half.next); half.known && (ahead < 0 || ahead > maxWindow) {
		return
	}
	for _, h := range half.c.halves {
		if h.known && !h.closed && h.next != h.highest { // bytes wait for others that will not come
			p.flush(at.Add(1))
			break
		}
	}
	p.over(half.c, at)
}

// half returns what the sender of the segment in hand sends to, made anew where
// the segment begins a connection.
func (p *pcapReader) half(from, to netip.AddrPort, at time.Time) *tcpHalf {
	key := tuple{from, to}
	if from.Compare(to) > 0 {
		key = tuple{to, from}
	}
	t := &p.tcp
	c := p.conns[key]
	if c != nil && t.SYN {
		h := c.halves[c.sideOf(from)]
		if h.started && h.isn != t.Seq || h.known && !h.started {
			p.over(c, at) // the same ends, connected again
			c = nil
		}
	}
	if c != nil && c.gone && !t.SYN && len(t.Payload) > 0 && at.Sub(c.end) > reorderTime {
		if h := c.halves[c.sideOf(from)]; !h.known || int32(t.Seq-h.highest) > 0 {
			c = nil // the same, without the beginning
		}
	}
	if c == nil {
		if t.RST || !t.SYN && len(t.Payload) == 0 {
			return nil
		}
		c = p.connect(key, from, to)
	}
	h := c.halves[c.sideOf(from)]
	if t.SYN {
		h.isn, h.started = t.Seq, true
	}
	return h
}

func (c *tcpConn) sideOf(from netip.AddrPort) Side {
	if from == c.client {
		return Client
	}
	return Server
}

func (p *pcapReader) connect(key tuple, from, to netip.AddrPort) *tcpConn {
	if len(p.conns) >= 2*maxConnections {
		p.sweep()
	}
	client, server := from, to
	if p.tcp.SYN && p.tcp.ACK || !p.tcp.SYN && from.Port() < to.Port() { // the listener has the lower port, mostly
		client, server = to, from
	}
	c := &tcpConn{key: key, client: client}
	c.conn = p.d.Connect(Endpoints{Client: client.String(), Server: server.String(), Via: p.cfg.Via, Whole: p.tcp.SYN})
	for side := range c.halves {
		p.next++
		n := binary.BigEndian.AppendUint64(nil, p.next)
		h := &tcpHalf{p: p, c: c, side: Side(side), flow: gopacket.NewFlow(layers.EndpointIPv4, n, nil)}
		c.halves[side] = h
		p.flows[p.next] = h
	}
	p.conns[key] = c
	return c
}

// sweep forgets connections that ended, and where that is not enough, any.
func (p *pcapReader) sweep() {
	for key, c := range p.conns {
		if c.gone {
			delete(p.conns, key)
		}
	}
	if len(p.conns) < maxConnections {
		return
	}
	oldest := slices.SortedFunc(maps.Values(p.conns), func(a, b *tcpConn) int { return cmp.Compare(a.conn.used, b.conn.used) })
	for _, c := range oldest[:len(oldest)-maxConnections/2] {
		p.over(c, p.stats.Last)
		delete(p.conns, c.key)
	}
}

// flush gives up bytes that did not come before old, connection by connection:
// the assembler goes through its connections in no order.
func (p *pcapReader) flush(old time.Time) {
	p.flushing = true
	p.asm.FlushWithOptions(tcpassembly.FlushOptions{T: old})
	p.flushing = false
	slices.SortStableFunc(p.held, func(a, b flushedBytes) int {
		return cmp.Or(cmp.Compare(a.half.c.conn.number, b.half.c.conn.number), cmp.Compare(a.half.side, b.half.side))
	})
	for _, h := range p.held {
		h.half.take(h.Reassembly)
	}
	clear(p.held)
	p.held = p.held[:0]
}

// flushedBytes are copied from the assembler.
type flushedBytes struct {
	half *tcpHalf
	tcpassembly.Reassembly
}

// over ends a connection, for the assembler too.
func (p *pcapReader) over(c *tcpConn, at time.Time) {
	if c.gone {
		return
	}
	c.gone, c.end = true, at
	c.conn.Close(at)
	for _, h := range c.halves {
		if h.known && !h.closed {
			p.assemble(h, &layers.TCP{RST: true, Seq: h.next}, at)
		}
		h.closed = true
		delete(p.flows, binary.BigEndian.Uint64(h.flow.Src().Raw()))
	}
}

// Reassembled takes bytes in their order.
func (h *tcpHalf) Reassembled(list []tcpassembly.Reassembly) {
	for _, r := range list {
		h.next += uint32(max(r.Skip, 0) + len(r.Bytes))
		if h.p.flushing {
			r.Bytes = bytes.Clone(r.Bytes)
			h.p.held = append(h.p.held, flushedBytes{h, r})
		} else {
			h.take(r)
		}
	}
}

func (h *tcpHalf) take(r tcpassembly.Reassembly) {
	if h.c.gone {
		return
	}
	if r.Skip != 0 {
		h.c.conn.Lost(h.side, r.Seen, int64(r.Skip))
	}
	h.c.conn.Data(h.side, r.Seen, r.Bytes)
	if r.End {
		h.c.conn.End(h.side, r.Seen)
	}
}

// ReassemblyComplete is called after the last bytes.
func (h *tcpHalf) ReassemblyComplete() { h.closed = true }

// finish ends what is still open.
func (p *pcapReader) finish() {
	p.flush(p.stats.Last.Add(time.Hour)) // no page is younger
	p.d.stopped = true
	p.d.Close(p.stats.Last)
	p.stats.Traffic = p.d.Traffic()
}
