package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A format is what the two ends of an OpenWire connection agreed on.
type format struct {
	version     int
	tight       bool // booleans and lengths of a frame gathered in front of it
	cached      bool // ids and destinations written once, then by number
	stackTraces bool
	noPrefix    bool // frames without their length in front
}

// plainFormat is how a connection begins, until both ends have said what they
// can do.
var plainFormat = format{version: 1}

func (f format) String() string {
	words := []string{fmt.Sprintf("OpenWire %d", f.version)}
	words = append(words, pick(f.tight, "tight", "loose"))
	words = append(words, pick(f.cached, "cached", "not cached"))
	if f.noPrefix {
		words = append(words, "no size prefix")
	}
	return strings.Join(words, ", ")
}

func pick(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

// An object is one decoded structure. Its values point into the frame's bytes
// and hold until the next frame is read; cached ones are copies.
type object struct {
	*layout
	values []value
}

// A value is one field: n for numbers and booleans, bytes for texts and bytes
// (nil: null), object for nested ones. An array leaves its length in n.
type value struct {
	n      int64
	bytes  []byte
	object *object
}

var unknownLayout = &layout{name: "unknown"}

// unknownObject stands for a cached object that was sent when nobody listened.
var unknownObject = &object{layout: unknownLayout}

func (o *object) get(field string) value {
	if o == nil {
		return value{}
	}
	i, ok := o.index[field]
	if !ok || i >= len(o.values) {
		return value{}
	}
	return o.values[i]
}

func (o *object) text(field string) string    { return string(o.get(field).bytes) }
func (o *object) number(field string) int64   { return o.get(field).n }
func (o *object) is(field string) bool        { return o.get(field).n != 0 }
func (o *object) object(field string) *object { return o.get(field).object }

// clone copies what outlives the frame.
func (o *object) clone() *object {
	c := &object{layout: o.layout, values: make([]value, len(o.values))}
	for i, v := range o.values {
		if v.bytes != nil {
			v.bytes = append([]byte{}, v.bytes...)
		}
		if v.object != nil && v.object != unknownObject {
			v.object = v.object.clone()
		}
		c.values[i] = v
	}
	return c
}

// size is about what a clone takes in memory.
func (o *object) size() int {
	n := 64 + 48*len(o.values)
	for _, v := range o.values {
		n += len(v.bytes)
		if v.object != nil && v.object != unknownObject {
			n += v.object.size()
		}
	}
	return n
}

// Bounds of what hostile bytes can make the reader hold.
const (
	maxDepth     = 16      // objects within objects
	maxCauses    = 32      // exceptions within exceptions
	maxCacheSize = 8 << 20 // bytes of cached objects in one direction
)

// objectCache is the other end's memory of what it has written by number. A
// writer counts up and begins again when it comes to its end.
type objectCache struct {
	objects map[int16]*object
	size    int
	last    int16 // number that was written last
}

func (c *objectCache) set(n int16, o *object) {
	if n < 0 { // -1: written whole because the writer's cache was full
		return
	}
	c.drop(n)
	c.last = n
	size := o.size()
	if c.size+size > maxCacheSize {
		return
	}
	if c.objects == nil {
		c.objects = map[int16]*object{}
	}
	c.objects[n] = o.clone()
	c.size += size
}

func (c *objectCache) drop(n int16) {
	if old := c.objects[n]; old != nil {
		c.size -= old.size()
		delete(c.objects, n)
	}
}

// minCached is the fewest bytes in which an object can be written for the
// cache: its number and its type.
const minCached = 3

// doubt forgets what may have been written anew in n bytes that were not read:
// an id that is not known is better than another's. n < 0: not known how many.
func (c *objectCache) doubt(n int64) {
	most := n/minCached + 1
	if n < 0 || most > math.MaxInt16 {
		*c = objectCache{last: c.last}
		return
	}
	if len(c.objects) == 0 {
		return
	}
	end := int(c.last) + int(most)
	for k := range c.objects {
		if d := int(k); d > int(c.last) && d <= end || d <= end-cacheNumbers {
			c.drop(k)
		}
	}
}

// cacheNumbers is how many numbers ActiveMQ uses before it begins again.
const cacheNumbers = math.MaxInt16 / 2

// errMalformed is a frame that is not what its first bytes promise.
var errMalformed = errors.New("malformed")

// A reader reads the frames of one direction. After an error everything it
// returns is zero until the next frame.
type reader struct {
	format format
	cache  objectCache

	buf        []byte
	pos        int
	bits       bitStream
	err        error
	need       int // how long buf has to be for the read that failed
	unresolved int // numbers that stood for objects not seen
	depth      int
	pending    []cachedObject // what this frame puts into the cache

	values  []value
	objects []object

	lastCode byte    // of the frame that resync found
	trial    *reader // reads frames that may be none
}

// probe returns a reader to try whether bytes are a frame in format f. It knows
// nothing that was cached, and what it reads changes nothing.
func (r *reader) probe(f format) *reader {
	if r.trial == nil {
		r.trial = &reader{}
	}
	r.trial.format = f
	return r.trial
}

type cachedObject struct {
	n int16
	o *object
}

// bitStream holds the booleans of a tightly encoded frame.
type bitStream struct {
	bytes []byte
	next  int
}

// frame reads one object from the front of buf, the type byte first. It
// returns the object, nil for the null frame, and how many bytes it took. When
// buf is too short, need is how long it would have to be at least.
func (r *reader) frame(buf []byte) (o *object, used, need int, err error) {
	r.buf, r.pos, r.err, r.need, r.depth, r.unresolved = buf, 0, nil, 0, 0, 0
	r.values, r.objects, r.pending = r.values[:0], r.objects[:0], r.pending[:0]
	code := r.byte()
	if r.err == nil && code != 0 {
		l := r.layout(code)
		if r.err == nil && r.format.tight {
			r.bits = r.bitStream()
		}
		o = r.structure(l)
	}
	if r.err != nil {
		return nil, 0, r.need, r.err
	}
	return o, r.pos, 0, nil
}

// commit puts the objects that the last frame brought along into the cache:
// only a frame that was whole may change it.
func (r *reader) commit() {
	for _, c := range r.pending {
		r.cache.set(c.n, c.o)
	}
	r.pending = r.pending[:0]
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = errMalformed
	}
}

// take returns the next n bytes, nil where there are fewer.
func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.buf)-r.pos {
		r.fail()
		if n > 0 {
			r.need = r.pos + n
		}
		return nil
	}
	b := r.buf[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// bitStream reads the booleans in front of a tightly encoded frame: how many
// bytes they take (up to 63 as one byte, up to 255 after 0xC0, else as two
// bytes after 0x80), then those bytes, lowest bit first.
func (r *reader) bitStream() bitStream {
	n := int(r.byte())
	switch n {
	case 0xC0:
		n = int(r.byte())
	case 0x80:
		n = int(r.uint16())
	}
	return bitStream{bytes: r.take(n)}
}

// bool reads a boolean: a bit of the stream, or a byte where encoding is loose.
func (r *reader) bool() bool {
	if !r.format.tight {
		switch r.byte() {
		case 0:
		case 1:
			return true
		default: // Java writes 0 or 1 and nothing else
			r.fail()
		}
		return false
	}
	i := r.bits.next
	if r.err != nil || i>>3 >= len(r.bits.bytes) {
		r.fail()
		return false
	}
	r.bits.next++
	return r.bits.bytes[i>>3]&(1<<(i&7)) != 0
}

// long is eight bytes, or when tight two booleans that say which of 0, 2, 4 or
// 8 bytes follow.
func (r *reader) long() int64 {
	if !r.format.tight {
		return r.int64()
	}
	if r.bool() {
		if r.bool() {
			return r.int64()
		}
		return int64(uint32(r.int32()))
	}
	if r.bool() {
		return int64(r.uint16())
	}
	return 0
}

// string is a boolean for "not null", when tight another for "ASCII only", a
// length of two bytes and Java's modified UTF-8.
func (r *reader) string() []byte {
	if !r.bool() {
		return nil
	}
	ascii := r.format.tight && r.bool()
	b := r.take(int(r.uint16()))
	if ascii || r.err != nil {
		return b
	}
	return javaUTF8(b)
}

func (r *reader) byteArray() []byte {
	if !r.bool() {
		return nil
	}
	return r.take(int(r.int32()))
}

func (r *reader) layout(code byte) *layout {
	l := openWireLayouts()[r.format.version][code]
	if l == nil {
		r.fail()
		return unknownLayout
	}
	return l
}

// structure reads the fields of l.
func (r *reader) structure(l *layout) *object {
	if r.depth++; r.depth > maxDepth {
		r.fail()
	}
	o := r.newObject(l)
	for i, kind := range l.kinds {
		if r.err != nil {
			break
		}
		o.values[i] = r.value(kind)
	}
	r.depth--
	return o
}

// newObject takes an object from the slab, which is used again for every frame.
func (r *reader) newObject(l *layout) *object {
	n := len(l.kinds)
	if len(r.values)+n > cap(r.values) {
		r.values = make([]value, 0, max(256, n))
	}
	from := len(r.values)
	r.values = r.values[:from+n]
	values := r.values[from : from+n : from+n]
	clear(values)
	if len(r.objects) == cap(r.objects) {
		r.objects = make([]object, 0, 32)
	}
	r.objects = append(r.objects, object{layout: l, values: values})
	return &r.objects[len(r.objects)-1]
}

func (r *reader) value(kind fieldKind) (v value) {
	switch kind {
	case kindBool:
		if r.bool() {
			v.n = 1
		}
	case kindByte:
		v.n = int64(r.byte())
	case kindInt:
		v.n = int64(r.int32())
	case kindLong:
		v.n = r.long()
	case kindString:
		v.bytes = r.string()
	case kindSecret:
		if r.string() != nil {
			v.bytes = []byte("***")
		}
	case kindBytes:
		v.bytes = r.byteArray()
	case kindSecretBytes:
		if r.byteArray() != nil {
			v.bytes = []byte("***")
		}
	case kindMagic:
		v.bytes = r.take(8)
	case kindNested:
		v.object = r.nested()
	case kindCached:
		v.object = r.cachedObject()
	case kindArray:
		v.n = r.array()
	case kindThrowable:
		v.bytes = r.throwable(maxCauses)
	}
	return v
}

// nested reads an object within another: a boolean for "not null", the type,
// the fields. In tight encoding a message may instead be nested with the bytes
// it was marshalled to before: the length, the type again, and booleans of its
// own.
func (r *reader) nested() *object {
	if !r.bool() || r.err != nil {
		return nil
	}
	l := r.layout(r.byte())
	if !l.aware || !r.format.tight || !r.bool() {
		return r.structure(l)
	}
	r.int32()
	r.byte()
	outer := r.bits
	r.bits = r.bitStream()
	o := r.structure(l)
	r.bits = outer
	return o
}

// cachedObject reads an object that the writer keeps: new, then its number and
// itself; or known, then its number alone.
func (r *reader) cachedObject() *object {
	if !r.format.cached {
		return r.nested()
	}
	if r.bool() {
		n := int16(r.uint16())
		o := r.nested()
		if o != nil && r.err == nil {
			r.pending = append(r.pending, cachedObject{n, o})
		}
		return o
	}
	n := int16(r.uint16())
	if r.err != nil {
		return nil
	}
	for i := len(r.pending) - 1; i >= 0; i-- {
		if r.pending[i].n == n {
			return r.pending[i].o
		}
	}
	if o := r.cache.objects[n]; o != nil {
		return o
	}
	r.unresolved++
	return unknownObject
}

func (r *reader) array() int64 {
	if !r.bool() {
		return 0
	}
	n := int(r.uint16())
	for i := 0; i < n && r.err == nil; i++ {
		r.nested()
	}
	return int64(n)
}

// throwable reads a Java exception: class, message and, where agreed, its
// stack and its cause. What it returns is "class: message".
func (r *reader) throwable(causes int) []byte {
	if !r.bool() || r.err != nil {
		return nil
	}
	class, message := r.string(), r.string()
	if r.format.stackTraces {
		for n := r.uint16(); n > 0 && r.err == nil; n-- {
			r.string()
			r.string()
			r.string()
			r.int32()
		}
		if causes == 0 {
			r.fail()
		}
		if r.err == nil {
			r.throwable(causes - 1)
		}
	}
	if r.err != nil {
		return nil
	}
	return fmt.Appendf(nil, "%s: %s", class, message)
}

// The texts of ids and destinations are those that JMS and the broker's other
// protocols show.

// destination writes queue://NAME and the like; empty where it is not known.
func destination(o *object) string {
	if o == nil {
		return ""
	}
	switch o.code {
	case 100:
		return "queue://" + o.text("name")
	case 101:
		return "topic://" + o.text("name")
	case 102:
		return "temp-queue://" + o.text("name")
	case 103:
		return "temp-topic://" + o.text("name")
	}
	return ""
}

// id writes a ConnectionId, SessionId, ConsumerId or ProducerId as
// connection:session:number, a LocalTransactionId as TX:connection:number.
func id(o *object) string {
	if o == nil {
		return ""
	}
	switch o.code {
	case 120, 124:
		return o.text("value")
	case 121:
		return join(o.text("connectionId"), o.number("value"))
	case 122, 123:
		return join(o.text("connectionId"), o.number("sessionId"), o.number("value"))
	case 111:
		return "TX:" + join(id(o.object("connectionId")), o.number("value"))
	case 112:
		return fmt.Sprintf("XID:%d:%x:%x", o.number("format"), o.get("global").bytes, o.get("branch").bytes)
	}
	return ""
}

// connectionOf returns the connection that an id begins with.
func connectionOf(o *object) string {
	if o == nil {
		return ""
	}
	switch o.code {
	case 120:
		return o.text("value")
	case 121, 122, 123:
		return o.text("connectionId")
	}
	return ""
}

// messageID writes producer:sequence, or the text that a foreign producer gave.
// Empty where the producer was written by a number that nobody saw explained.
func messageID(o *object) string {
	if o == nil {
		return ""
	}
	if view := o.text("textView"); view != "" {
		if strings.HasPrefix(view, "ID:") {
			return view
		}
		return "ID:" + view
	}
	producer := id(o.object("producerId"))
	if producer == "" {
		return ""
	}
	return join(producer, o.number("sequence"))
}

func join(front string, numbers ...int64) string {
	b := make([]byte, 0, len(front)+24)
	b = append(b, front...)
	for _, n := range numbers {
		b = append(b, ':')
		b = strconv.AppendInt(b, n, 10)
	}
	return string(b)
}
