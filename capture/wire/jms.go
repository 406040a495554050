package wire

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"gctap/capture"
)

// A body is what a JMS message holds, as a Record keeps it.
type body struct {
	kind      capture.BodyKind
	bytes     []byte
	truncated int64
	what      string // the message's Java type, where kind does not say it
}

// jmsBody reads the content of an OpenWire message. limit bounds what a
// compressed one may grow to. What cannot be read is returned as it stands,
// of kind unknown.
func jmsBody(m *object, limit int) body {
	content, null := m.get("content").bytes, m.get("content").bytes == nil
	compressed := m.is("compressed")
	switch m.name {
	case "ActiveMQTextMessage":
		if null {
			return body{kind: capture.Null}
		}
		return textBody(content, compressed, limit)
	case "ActiveMQBytesMessage":
		return bytesBody(content, compressed, limit)
	case "ActiveMQMapMessage":
		return mapBody(content, compressed, limit)
	case "ActiveMQObjectMessage", "ActiveMQStreamMessage":
		b := bytesBody(content, false, limit)
		if compressed {
			b.bytes, b.truncated, _ = inflate(content, limit)
		}
		b.what = pick(m.name == "ActiveMQObjectMessage", "object", "stream")
		return b
	case "ActiveMQBlobMessage":
		return body{kind: capture.None, what: "blob"}
	}
	return body{kind: capture.None}
}

// textBody is a length of four bytes and Java's modified UTF-8, all of it
// compressed or none of it.
func textBody(content []byte, compressed bool, limit int) body {
	raw := content
	var truncated int64
	if compressed {
		var ok bool
		if raw, truncated, ok = inflate(content, limit); !ok {
			return body{kind: capture.Unknown, bytes: bytes.Clone(content), what: "compressed text"}
		}
	}
	if len(raw) < 4 {
		return body{kind: capture.Unknown, bytes: bytes.Clone(raw), what: "text"}
	}
	claimed := int64(int32(binary.BigEndian.Uint32(raw)))
	text := raw[4:]
	if truncated > 0 {
		truncated = max(1, claimed-int64(len(text)))
	} else if claimed != int64(len(text)) {
		return body{kind: capture.Unknown, bytes: bytes.Clone(raw), what: "text"}
	}
	plain := javaUTF8(text)
	if !compressed && len(plain) > 0 && len(text) > 0 && &plain[0] == &text[0] {
		plain = bytes.Clone(plain)
	}
	if plain == nil {
		plain = []byte{}
	}
	return body{kind: capture.Text, bytes: plain, truncated: truncated}
}

// bytesBody is the bytes, or when compressed their length in four bytes and
// the compressed bytes.
func bytesBody(content []byte, compressed bool, limit int) body {
	if !compressed {
		return body{kind: capture.Bytes, bytes: bytes.Clone(content)}
	}
	if len(content) >= 4 {
		if raw, truncated, ok := inflate(content[4:], limit); ok {
			// ActiveMQ compresses its whole buffer, of which this many bytes count.
			length := int64(binary.BigEndian.Uint32(content))
			if truncated > 0 {
				truncated = max(0, length-int64(len(raw)))
			}
			raw = raw[:min(length, int64(len(raw)))]
			return body{kind: capture.Bytes, bytes: raw, truncated: truncated}
		}
	}
	return body{kind: capture.Unknown, bytes: bytes.Clone(content), what: "compressed bytes"}
}

// mapBody writes a map as a JSON object, its entries in wire order. Byte arrays
// become base64.
func mapBody(content []byte, compressed bool, limit int) body {
	raw := content
	if compressed {
		var truncated int64
		var ok bool
		if raw, truncated, ok = inflate(content, limit); !ok || truncated > 0 {
			return body{kind: capture.Unknown, bytes: bytes.Clone(content), what: "compressed map"}
		}
	}
	if len(raw) == 0 {
		return body{kind: capture.Map, bytes: []byte("{}")}
	}
	r := primitives{buf: raw}
	text := r.object(nil, 0)
	if r.bad || len(r.buf) > 0 {
		return body{kind: capture.Unknown, bytes: bytes.Clone(content), what: "map"}
	}
	return body{kind: capture.Map, bytes: text}
}

// inflate returns at most limit bytes of a zlib stream; truncated is 1 when
// there is more.
func inflate(b []byte, limit int) (raw []byte, truncated int64, ok bool) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, 0, false
	}
	raw, err = io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err != nil {
		return nil, 0, false
	}
	if len(raw) > limit {
		return raw[:limit], 1, true
	}
	return raw, 0, true
}

// properties returns the JMS properties of a message as headers, in wire order.
func properties(b []byte) []capture.Header {
	if len(b) < 4 {
		return nil
	}
	r := primitives{buf: b}
	n := r.int32()
	headers := make([]capture.Header, 0, max(0, min(int(n), len(b)/3)))
	for ; n > 0 && !r.bad; n-- {
		name := r.utf(int(r.uint16()))
		value := r.value(nil, 0, true)
		if !r.bad {
			headers = append(headers, capture.Header{Name: string(name), Value: string(value)})
		}
	}
	return headers
}

// primitives reads ActiveMQ's marshalled primitive values: a type byte, then
// the value as Java's DataOutput writes it.
type primitives struct {
	buf []byte
	bad bool
}

func (r *primitives) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.buf) {
		r.bad = true
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func (r *primitives) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *primitives) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *primitives) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *primitives) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *primitives) utf(n int) []byte { return javaUTF8(r.take(n)) }

// value appends the next value to dst: as plain text for a header, else as JSON.
func (r *primitives) value(dst []byte, depth int, plain bool) []byte {
	if depth > maxDepth {
		r.bad = true
		return dst
	}
	switch kind := r.byte(); kind {
	case 0:
		return append(dst, pick(plain, "", "null")...)
	case 1:
		return strconv.AppendBool(dst, r.byte() != 0)
	case 2:
		return strconv.AppendInt(dst, int64(int8(r.byte())), 10)
	case 3:
		return appendText(dst, utf8.AppendRune(nil, rune(r.uint16())), plain)
	case 4:
		return strconv.AppendInt(dst, int64(int16(r.uint16())), 10)
	case 5:
		return strconv.AppendInt(dst, int64(r.int32()), 10)
	case 6:
		return strconv.AppendInt(dst, r.int64(), 10)
	case 7:
		return appendFloat(dst, math.Float64frombits(uint64(r.int64())), 64, plain)
	case 8:
		return appendFloat(dst, float64(math.Float32frombits(uint32(r.int32()))), 32, plain)
	case 9:
		return appendText(dst, r.utf(int(r.uint16())), plain)
	case 10:
		return appendText(dst, base64.StdEncoding.AppendEncode(nil, r.take(int(r.int32()))), plain)
	case 11:
		return r.object(dst, depth+1)
	case 12:
		return r.list(dst, depth+1)
	case 13:
		return appendText(dst, r.utf(int(r.int32())), plain)
	}
	r.bad = true
	return dst
}

func (r *primitives) object(dst []byte, depth int) []byte {
	dst = append(dst, '{')
	n := r.int32()
	for i := int32(0); i < n && !r.bad; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, r.utf(int(r.uint16())), false)
		dst = append(dst, ':')
		dst = r.value(dst, depth, false)
	}
	return append(dst, '}')
}

func (r *primitives) list(dst []byte, depth int) []byte {
	dst = append(dst, '[')
	n := r.int32()
	for i := int32(0); i < n && !r.bad; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.value(dst, depth, false)
	}
	return append(dst, ']')
}

func appendText(dst, text []byte, plain bool) []byte {
	if plain {
		return append(dst, text...)
	}
	quoted, err := json.Marshal(string(text))
	if err != nil { // strings always marshal
		return dst
	}
	return append(dst, quoted...)
}

// appendFloat writes what JSON has no number for as a text.
func appendFloat(dst []byte, f float64, bits int, plain bool) []byte {
	text := strconv.AppendFloat(nil, f, 'g', -1, bits)
	if plain || !math.IsNaN(f) && !math.IsInf(f, 0) {
		return append(dst, text...)
	}
	return appendText(dst, text, false)
}

// javaUTF8 turns Java's modified UTF-8 into UTF-8: NUL is written there as C0
// 80, and a character beyond the first 65,536 as two surrogates of three bytes
// each. Bytes that are neither stay as they are. Where there is nothing to
// change, which is nearly always, it returns b itself.
func javaUTF8(b []byte) []byte {
	if bytes.IndexByte(b, 0xC0) < 0 && bytes.IndexByte(b, 0xED) < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] == 0xC0 && i+1 < len(b) && b[i+1] == 0x80 {
			out = append(out, 0)
			i += 2
			continue
		}
		high, low := surrogate(b[i:]), rune(0)
		if high >= 0xD800 && high < 0xDC00 {
			low = surrogate(b[i+3:])
		}
		if low >= 0xDC00 {
			out = utf8.AppendRune(out, 0x10000+(high-0xD800)<<10+(low-0xDC00))
			i += 6
			continue
		}
		out = append(out, b[i])
		i++
	}
	return out
}

// surrogate returns the surrogate that b begins with, or 0.
func surrogate(b []byte) rune {
	if len(b) < 3 || b[0] != 0xED || b[1] < 0xA0 || b[1] > 0xBF || b[2]&0xC0 != 0x80 {
		return 0
	}
	return 0xD000 | rune(b[1]&0x3F)<<6 | rune(b[2]&0x3F)
}
