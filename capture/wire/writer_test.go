package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"gctap/capture"
)

// A thing is an OpenWire structure to be written: its type and the fields that
// are not zero. Texts and bytes are string or []byte, numbers int.
type thing struct {
	name   string
	fields map[string]any
}

// openWireWriter writes as one end of a connection. It follows the same table
// as the reader; that the table is right is what the tests on a real broker say.
type openWireWriter struct {
	format format
	cache  map[string]int16
	keys   map[int16]string // of cache, by number
	next   int
	bits   []bool
	data   []byte
}

func (w *openWireWriter) layout(name string) *layout {
	for _, l := range openWireLayouts()[w.format.version] {
		if l != nil && l.name == name {
			return l
		}
	}
	panic("no structure " + name)
}

// frame returns one command with its length in front, unless there is none.
func (w *openWireWriter) frame(t thing) []byte {
	w.bits, w.data = nil, nil
	l := w.layout(t.name)
	w.structure(l, t.fields)
	out := []byte{l.code}
	if w.format.tight {
		out = append(out, packBits(w.bits)...)
	}
	out = append(out, w.data...)
	if w.format.noPrefix {
		return out
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(out))), out...)
}

func packBits(bits []bool) []byte {
	packed := make([]byte, (len(bits)+7)/8)
	for i, b := range bits {
		if b {
			packed[i/8] |= 1 << (i % 8)
		}
	}
	var out []byte
	switch n := len(packed); {
	case n < 64:
		out = []byte{byte(n)}
	case n < 256:
		out = []byte{0xC0, byte(n)}
	default:
		out = []byte{0x80, byte(n >> 8), byte(n)}
	}
	return append(out, packed...)
}

func (w *openWireWriter) bool(b bool) {
	switch {
	case w.format.tight:
		w.bits = append(w.bits, b)
	case b:
		w.data = append(w.data, 1)
	default:
		w.data = append(w.data, 0)
	}
}

func (w *openWireWriter) structure(l *layout, fields map[string]any) {
	for name := range fields {
		if _, ok := l.index[name]; !ok {
			panic(l.name + " has no field " + name)
		}
	}
	names := make([]string, len(l.kinds))
	for name, i := range l.index {
		names[i] = name
	}
	for i, kind := range l.kinds {
		w.value(kind, fields[names[i]])
	}
}

func textOf(v any) ([]byte, bool) {
	switch v := v.(type) {
	case string:
		return []byte(v), true
	case []byte:
		return v, v != nil
	}
	return nil, false
}

func (w *openWireWriter) value(kind fieldKind, v any) {
	n, _ := v.(int)
	switch kind {
	case kindBool:
		b, _ := v.(bool)
		w.bool(b)
	case kindByte:
		w.data = append(w.data, byte(n))
	case kindInt:
		w.data = binary.BigEndian.AppendUint32(w.data, uint32(n))
	case kindLong:
		w.long(int64(n))
	case kindString, kindSecret:
		w.string(v)
	case kindBytes, kindSecretBytes:
		b, ok := textOf(v)
		if w.bool(ok); ok {
			w.data = append(binary.BigEndian.AppendUint32(w.data, uint32(len(b))), b...)
		}
	case kindMagic:
		w.data = append(w.data, magic...)
	case kindNested:
		w.nested(v)
	case kindCached:
		w.cached(v)
	case kindArray:
		list, ok := v.([]thing)
		if w.bool(ok); ok {
			w.data = binary.BigEndian.AppendUint16(w.data, uint16(len(list)))
			for _, t := range list {
				w.nested(t)
			}
		}
	case kindThrowable:
		text, ok := v.(string)
		if w.bool(ok); ok {
			class, message, _ := strings.Cut(text, ": ")
			w.string(class)
			w.string(message)
			if w.format.stackTraces {
				w.data = append(w.data, 0, 0)
				w.bool(false)
			}
		}
	}
}

func (w *openWireWriter) long(n int64) {
	switch {
	case !w.format.tight:
		w.data = binary.BigEndian.AppendUint64(w.data, uint64(n))
	case n == 0:
		w.bits = append(w.bits, false, false)
	case n > 0 && n < 1<<16:
		w.bits = append(w.bits, false, true)
		w.data = binary.BigEndian.AppendUint16(w.data, uint16(n))
	case n > 0 && n < 1<<32:
		w.bits = append(w.bits, true, false)
		w.data = binary.BigEndian.AppendUint32(w.data, uint32(n))
	default:
		w.bits = append(w.bits, true, true)
		w.data = binary.BigEndian.AppendUint64(w.data, uint64(n))
	}
}

func (w *openWireWriter) string(v any) {
	b, ok := textOf(v)
	if w.bool(ok); !ok {
		return
	}
	if w.format.tight {
		ascii := !bytes.ContainsFunc(b, func(r rune) bool { return r > 127 || r == 0 })
		w.bits = append(w.bits, ascii)
	}
	w.data = append(binary.BigEndian.AppendUint16(w.data, uint16(len(b))), b...)
}

func (w *openWireWriter) nested(v any) {
	t, ok := v.(thing)
	if w.bool(ok); !ok {
		return
	}
	l := w.layout(t.name)
	w.data = append(w.data, l.code)
	if l.aware && w.format.tight {
		w.bits = append(w.bits, false)
	}
	w.structure(l, t.fields)
}

// cached numbers objects as ActiveMQ does: up to cacheNumbers, then anew.
func (w *openWireWriter) cached(v any) {
	t, ok := v.(thing)
	switch {
	case !w.format.cached:
		w.nested(v)
		return
	case !ok: // null is an object like any other, written without a number that counts
		w.bool(true)
		w.data = append(w.data, 0xFF, 0xFF)
		w.bool(false)
		return
	}
	key := fmt.Sprint(t)
	if n, known := w.cache[key]; known {
		w.bool(false)
		w.data = binary.BigEndian.AppendUint16(w.data, uint16(n))
		return
	}
	n := int16(w.next % cacheNumbers)
	delete(w.cache, w.keys[n])
	if w.cache == nil {
		w.cache, w.keys = map[string]int16{}, map[int16]string{}
	}
	w.cache[key], w.keys[n] = n, key
	w.next++
	w.bool(true)
	w.data = binary.BigEndian.AppendUint16(w.data, uint16(n))
	w.nested(t)
}

// info is the WireFormatInfo that both ends begin with.
func info(f format) []byte {
	var p []byte
	flags := []struct {
		name string
		on   bool
	}{{"TightEncodingEnabled", f.tight}, {"CacheEnabled", f.cached}, {"StackTraceEnabled", f.stackTraces}, {"SizePrefixDisabled", f.noPrefix}}
	p = binary.BigEndian.AppendUint32(p, uint32(len(flags)))
	for _, flag := range flags {
		p = append(binary.BigEndian.AppendUint16(p, uint16(len(flag.name))), flag.name...)
		p = append(p, 1, byte(map[bool]int{true: 1}[flag.on]))
	}
	w := openWireWriter{format: plainFormat}
	return w.frame(thing{"WireFormatInfo", map[string]any{"version": f.version, "properties": p}})
}

func connectionThing(id string) thing { return thing{"ConnectionId", map[string]any{"value": id}} }

func producerThing(id string) thing {
	return thing{"ProducerId", map[string]any{"connectionId": id, "value": 1, "sessionId": 1}}
}

func consumerThing(id string) thing {
	return thing{"ConsumerId", map[string]any{"connectionId": id, "value": 1, "sessionId": 1}}
}

// textThing is a text message number n of a producer.
func textThing(dest, producer string, n int, typ, text string) thing {
	kind := "Queue"
	if strings.HasPrefix(dest, "topic://") {
		kind = "Topic"
	}
	return thing{"ActiveMQTextMessage", map[string]any{
		"producerId": producerThing(producer), "destination": thing{kind, map[string]any{"name": dest[8:]}},
		"messageId": thing{"MessageId", map[string]any{"producerId": producerThing(producer), "sequence": n}},
		"commandId": n, "priority": 4, "timestamp": 1795230156949 + n, "type": typ,
		"content": append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...),
	}}
}

// dispatchThing hands a message to a consumer.
func dispatchThing(message thing, consumer string) thing {
	return thing{"MessageDispatch", map[string]any{
		"consumerId": consumerThing(consumer), "destination": message.fields["destination"], "message": message}}
}

// testDecoder returns a decoder and what it emits.
func testDecoder(cfg Config) (*Decoder, *collector) {
	var c collector
	cfg.Emit = c.emit
	if cfg.Source == "" {
		cfg.Source = "pcap"
	}
	return NewDecoder(cfg), &c
}

var testTime = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func wholeConn(d *Decoder) *Conn {
	return d.Connect(Endpoints{Client: "10.0.0.1:40000", Server: "10.0.0.2:61616", Via: "test", Whole: true})
}

// An openWireTalk is a connection whose both ends are written here.
type openWireTalk struct {
	*Conn
	sides [2]openWireWriter
}

func startTalk(d *Decoder, f format) *openWireTalk {
	t := &openWireTalk{Conn: wholeConn(d)}
	t.Data(Client, testTime, info(f))
	t.Data(Server, testTime, info(f))
	for s := range t.sides {
		t.sides[s].format = f
	}
	return t
}

func (t *openWireTalk) say(from Side, what thing) {
	t.Data(from, testTime, t.sides[from].frame(what))
}

// testFormats are the ways to write OpenWire, of the newest version.
func testFormats() (all []format) {
	for i := range 8 {
		all = append(all, format{version: 12, tight: i&1 != 0, cached: i&2 != 0, noPrefix: i&4 != 0, stackTraces: true})
	}
	return all
}

// bodiesOf are the bodies of the messages of a collector.
func bodiesOf(c *collector) (all []string) {
	for _, r := range c.records {
		if r.Direction != capture.Note && r.Direction != capture.GapRow {
			all = append(all, string(r.Body))
		}
	}
	return all
}

// notesOf are the kinds of notes, in order.
func notesOf(c *collector) (all []string) {
	for _, r := range c.of(capture.Note) {
		all = append(all, r.Header("amq.note"))
	}
	return all
}

// gapsOf are the gaps: reason, missing and unread bytes.
func gapsOf(t testing.TB, c *collector) (all []string) {
	t.Helper()
	for _, r := range c.of(capture.GapRow) {
		g, ok := r.Gap()
		if !ok {
			t.Fatalf("a gap row that is none: %s", r.Body)
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s missing=%s unread=%s", g.Reason, r.Header("tcp.missing"), r.Header("tcp.unread"))))
	}
	return all
}

// A pcapWriter writes a capture of TCP connections.
type pcapWriter struct {
	bytes.Buffer
	w    *pcapgo.Writer
	at   time.Time
	link layers.LinkType
}

func newPcapWriter(t testing.TB) *pcapWriter {
	t.Helper()
	p := &pcapWriter{at: testTime, link: layers.LinkTypeEthernet}
	p.w = pcapgo.NewWriter(&p.Buffer)
	if err := p.w.WriteFileHeader(65536, p.link); err != nil {
		t.Fatal(err)
	}
	return p
}

// A tcpTalk is one connection in a pcapWriter.
type tcpTalk struct {
	p    *pcapWriter
	ends [2]netip.AddrPort
	seq  [2]uint32
}

func (p *pcapWriter) talk(client, server string) *tcpTalk {
	return &tcpTalk{p: p, ends: [2]netip.AddrPort{netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)}, seq: [2]uint32{1000, 4294967000}}
}

// open writes the handshake.
func (c *tcpTalk) open() *tcpTalk {
	c.write(Client, layers.TCP{SYN: true}, nil)
	c.write(Server, layers.TCP{SYN: true, ACK: true}, nil)
	c.seq[0]++
	c.seq[1]++
	return c
}

// segment writes data of a side; skip: the capture does not hold it.
func (c *tcpTalk) segment(from Side, data []byte, skip bool) {
	if !skip {
		c.write(from, layers.TCP{ACK: true, PSH: true}, data)
	}
	c.seq[from] += uint32(len(data))
}

// send writes data in segments of the usual size.
func (c *tcpTalk) send(from Side, data []byte) {
	for len(data) > 0 {
		n := min(len(data), 1448)
		c.segment(from, data[:n], false)
		data = data[n:]
	}
}

func (c *tcpTalk) close() {
	for s := range c.seq {
		c.write(Side(s), layers.TCP{FIN: true, ACK: true}, nil)
		c.seq[s]++
	}
}

// write writes a packet at the side's present sequence number.
func (c *tcpTalk) write(from Side, tcp layers.TCP, data []byte) {
	src, dst := c.ends[from], c.ends[from.other()]
	tcp.SrcPort, tcp.DstPort, tcp.Seq, tcp.Window = layers.TCPPort(src.Port()), layers.TCPPort(dst.Port()), c.seq[from], 65535
	eth := layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	var ip gopacket.SerializableLayer
	if src.Addr().Is4() {
		v4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		tcp.SetNetworkLayerForChecksum(v4)
		ip = v4
	} else {
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		tcp.SetNetworkLayerForChecksum(v6)
		eth.EthernetType = layers.EthernetTypeIPv6
		ip = v6
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, &eth, ip, &tcp, gopacket.Payload(data)); err != nil {
		panic(err)
	}
	c.p.packet(buf.Bytes())
}

func (p *pcapWriter) packet(b []byte) {
	p.at = p.at.Add(100 * time.Microsecond)
	if err := p.w.WritePacket(gopacket.CaptureInfo{Timestamp: p.at, CaptureLength: len(b), Length: len(b)}, b); err != nil {
		panic(err)
	}
}
