package wire

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"gctap/capture"
)

// The last ids are known, and remembering takes no memory but that of the first.
func TestSeenTakesItsMemoryAtOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 100, 1000} {
		s := newSeen(size)
		ids := make([]string, 10*size)
		for i := range ids {
			ids[i] = strconv.Itoa(i)
		}
		wrong := 0
		from, to := 0, 1
		n := testing.AllocsPerRun(1, func() { // calls it twice, and counts the second
			for i := from; i < to; i++ {
				if !s.add(ids[i]) {
					wrong++
				}
				for _, known := range ids[max(0, i+1-size) : i+1] {
					if s.add(known) {
						wrong++
					}
				}
			}
			from, to = to, len(ids)
		})
		if n != 0 || wrong > 0 {
			t.Errorf("%d remembered: %v allocations after the first, %d wrong answers", size, n, wrong)
		}
	}
}

// Ids and headers that no program writes take no memory once they were read.
func TestLongIDsAreNotRemembered(t *testing.T) {
	long := strings.Repeat("x", 50_000)
	openWire := func(conn *Conn) *openWireWriter {
		f := format{version: 12, tight: true, stackTraces: true}
		conn.Data(Client, testTime, info(f))
		conn.Data(Server, testTime, info(f))
		return &openWireWriter{format: f}
	}
	for name, begin := range map[string]func(*Conn) func(i int) (Side, []byte){
		"STOMP subscriptions": func(*Conn) func(int) (Side, []byte) {
			return func(i int) (Side, []byte) {
				return Client, fmt.Appendf(nil, "SUBSCRIBE\nid:%d%s\ndestination:/queue/q\nack:client\n\n\x00", i, long)
			}
		},
		"STOMP messages among long headers": func(*Conn) func(int) (Side, []byte) {
			return func(i int) (Side, []byte) {
				return Server, fmt.Appendf(nil, "MESSAGE\nsubscription:1\ndestination:/queue/q\nmessage-id:%d\nlong:%s\n\n\x00", i, long)
			}
		},
		"HTTP requests": func(c *Conn) func(int) (Side, []byte) {
			c.d.most = 1 << 20
			return func(i int) (Side, []byte) { return Client, fmt.Appendf(nil, "GET /%d%s HTTP/1.1\r\n\r\n", i, long) }
		},
		"OpenWire clients": func(c *Conn) func(int) (Side, []byte) {
			w := openWire(c)
			return func(i int) (Side, []byte) {
				return Client, w.frame(thing{"ConnectionInfo", map[string]any{"connectionId": connectionThing(fmt.Sprint(i)), "clientId": long}})
			}
		},
		"OpenWire consumers": func(c *Conn) func(int) (Side, []byte) {
			w := openWire(c)
			return func(i int) (Side, []byte) {
				return Client, w.frame(thing{"ConsumerInfo", map[string]any{"consumerId": consumerThing(fmt.Sprint(i, long)), "destination": thing{"Queue", map[string]any{"name": "q"}}}})
			}
		},
		"OpenWire messages": func(c *Conn) func(int) (Side, []byte) {
			w := openWire(c)
			return func(i int) (Side, []byte) {
				return Server, w.frame(dispatchThing(textThing("queue://q", fmt.Sprint(i, long), 1, "A#1", "x"), "ID:c"))
			}
		},
	} {
		records := 0
		d := NewDecoder(Config{Source: "pcap", Emit: func(capture.Record) { records++ }})
		conn := wholeConn(d)
		if strings.HasPrefix(name, "STOMP") {
			conn.Data(Client, testTime, []byte("CONNECT\nlogin:u\n\n\x00")) // of 1.0: a header is no copy
			conn.Data(Server, testTime, []byte("CONNECTED\nsession:ID:b-1\n\n\x00"))
		}
		next := begin(conn)
		side, b := next(0)
		conn.Data(side, testTime, b)
		before, read := liveHeap(), records
		const n = 600
		for i := 1; i <= n; i++ {
			side, b := next(i)
			conn.Data(side, testTime, b)
		}
		if grown := liveHeap() - before; grown > 5<<20 {
			t.Errorf("%s: %d of 50,000 bytes each take %d bytes", name, n, grown)
		}
		if records-read < n {
			t.Errorf("%s: %d rows of %d", name, records-read, n)
		}
		d.Close(testTime)
	}
}
