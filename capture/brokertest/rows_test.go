package brokertest_test

import (
	"fmt"
	"slices"
	"strings"

	"gctap/capture/brokertest"
)

var (
	plain   = brokertest.Options{}
	mirror  = brokertest.Options{Mirror: true, VirtualTopics: true}
	onlyMir = brokertest.Options{Mirror: true}
	limited = brokertest.Options{PendingLimit: 1000}
	guarded = brokertest.Options{Users: map[string]string{"tap": "secret"}, Readable: []string{"topic://public.>", "queue://public"}}
)

// rows are what brokers were measured to do, one by one.
var rows = []row{
	{"version 1.2 is agreed on", plain, func(w *world) { w.agree("1.0,1.1,1.2", "0,0") }},
	{"version 1.1 is agreed on", plain, func(w *world) { w.agree("1.1", "0,0") }},
	{"version 1.0 is agreed on", plain, func(w *world) { w.agree("1.0", "0,0") }},
	{"no version means 1.0", plain, func(w *world) { w.agree("", "0,0") }},
	{"an unknown version is refused", plain, func(w *world) { w.agree("2.0", "0,0") }},
	{"heartbeats are as the client proposed", plain, func(w *world) { w.agree("1.2", "4000,6000") }},

	{"a text message with all its headers", plain, func(w *world) {
		w.topic("type", "Login#1001", "reply-to", "/topic/client.1", "correlation-id", "c1", "persistent", "true",
			"priority", "7", "agent", "1001")("pass,3001")
	}},
	{"a text message without headers", plain, func(w *world) { w.topic()("x") }},
	{"an empty type is not an absent one", plain, func(w *world) { w.topic("type", "")("x") }},
	{"no body", plain, func(w *world) { w.topic()("") }},
	{"a bytes message", plain, func(w *world) { w.topic("content-length", "3")("a\x00b") }},
	{"a text that holds NUL", plain, func(w *world) { w.topic("content-length", "3", "amq-msg-type", "text")("a\x00b") }},
	{"a header given twice counts once", plain, func(w *world) { w.topic("agent", "1", "agent", "2")("x") }},
	{"a producer's timestamp and id are not taken", plain, func(w *world) { w.topic("timestamp", "5", "message-id", "7")("x") }},
	{"escapes", plain, func(w *world) { w.topic("type", `a\cb\\c\nd`, `na\cme`, `\\`)("x") }},
	{"a carriage return in a header", plain, func(w *world) { w.topic("type", `a\rb`)("x") }},
	{"an expiry", plain, func(w *world) { w.topic("expires", "4102444800000")("x") }},

	{"topic > is every topic, dots or not", plain, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/"+w.name(">"))
		for _, t := range []string{"a", "192.168.1.72", "b.c"} {
			c.send("SEND", "x", "destination", "/topic/"+w.name(t))
		}
		w.destinations(c, 3)
	}},
	{"a star is one part of a name", plain, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/"+w.name("*.x"))
		for _, t := range []string{"a.x", "a.b.x", "x", "b.x", "b.y"} {
			c.send("SEND", "x", "destination", "/topic/"+w.name(t))
		}
		w.destinations(c, 2)
	}},
	{"two subscriptions get two copies with one id", plain, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/"+w.name("t"))
		c.subscribe("2", "/topic/"+w.name(">"))
		c.send("SEND", "x", "destination", "/topic/"+w.name("t"))
		w.frames(c, 2)
	}},
	{"a mirrored queue is copied to its topic", onlyMir, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/VirtualTopic.Mirror."+w.name("Q"))
		c.subscribe("2", "/queue/"+w.name("Q"))
		c.send("SEND", "x", "destination", "/queue/"+w.name("Q"), "type", "Beat")
		w.frames(c, 2)
	}},
	{"a virtual topic keeps messages for its consumers", mirror, func(w *world) {
		c := w.client()
		consumer := "/queue/Consumer.gctap.VirtualTopic.Mirror." + w.name("Q")
		c.subscribe("1", consumer)
		c.send("UNSUBSCRIBE", "", "id", "1")
		c.send("SEND", "x", "destination", "/queue/"+w.name("Q"))
		c.sync()
		c.subscribe2("2", consumer)
		w.frames(c, 1)
	}},
	{"consumer queues are mirrored in their turn", mirror, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/>")
		c.subscribe("2", "/queue/Consumer.gctap.VirtualTopic.Mirror."+w.name("Q"))
		c.send("SEND", "x", "destination", "/queue/"+w.name("Q"))
		w.destinations(c, 3)
	}},
	{"a composite queue is copied to its topic", brokertest.Options{Composite: []string{"C"}}, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/gctap.C")
		c.subscribe("2", "/queue/C")
		c.send("SEND", "x", "destination", "/queue/C")
		w.frames(c, 2)
	}},

	{"consumers of a queue compete", plain, func(w *world) {
		a, b := w.client(), w.client()
		a.subscribe("1", "/queue/"+w.name("Q"))
		b.subscribe("1", "/queue/"+w.name("Q"))
		for i := range 10 {
			a.send("SEND", fmt.Sprint(i), "destination", "/queue/"+w.name("Q"))
		}
		var all []string
		n := 0
		for range 5 {
			all = append(all, string(a.next().Body), string(b.next().Body))
			n++
		}
		slices.Sort(all)
		w.sayf("%d each, together %v", n, all)
	}},
	{"what was not acknowledged comes again", plain, func(w *world) {
		a := w.client()
		a.subscribe("1", "/queue/"+w.name("Q"), "ack", "client-individual")
		for _, body := range []string{"1", "2", "3"} {
			a.send("SEND", body, "destination", "/queue/"+w.name("Q"))
		}
		a.next()
		second := a.next()
		a.next()
		a.send("ACK", "", "id", second.Header.Get("ack"))
		a.sync()
		a.net.Close()
		b := w.client()
		b.subscribe2("1", "/queue/"+w.name("Q"))
		w.frames(b, 2)
	}},
	{"client mode acknowledges all before", plain, func(w *world) {
		a := w.client()
		a.subscribe("1", "/queue/"+w.name("Q"), "ack", "client")
		for _, body := range []string{"1", "2", "3"} {
			a.send("SEND", body, "destination", "/queue/"+w.name("Q"))
		}
		a.next()
		second := a.next()
		a.next()
		a.send("ACK", "", "id", second.Header.Get("ack"))
		a.sync()
		a.send("DISCONNECT", "", "receipt", "bye")
		w.frame(a.next())
		b := w.client()
		b.subscribe2("1", "/queue/"+w.name("Q"))
		w.frames(b, 1)
	}},
	{"acknowledging in 1.1 is by message-id", plain, func(w *world) {
		a := w.client("accept-version", "1.1")
		a.subscribe("1", "/queue/"+w.name("Q"), "ack", "client-individual")
		a.send("SEND", "1", "destination", "/queue/"+w.name("Q"))
		a.send("SEND", "2", "destination", "/queue/"+w.name("Q"))
		w.frame(a.next())
		f := a.next()
		id := f.Header.Get("message-id")
		a.send("ACK", "", "message-id", escape(id), "subscription", "1")
		w.sayf("%d frames before the answer", len(a.sync()))
		a.net.Close()
		b := w.client()
		b.subscribe2("1", "/queue/"+w.name("Q"))
		w.frames(b, 1)
	}},
	{"prefetch bounds what is in flight", plain, func(w *world) {
		a := w.client()
		a.subscribe("1", "/queue/"+w.name("Q"), "ack", "client-individual", "activemq.prefetchSize", "2")
		for i := range 5 {
			a.send("SEND", fmt.Sprint(i), "destination", "/queue/"+w.name("Q"))
		}
		first := a.next()
		second := a.next()
		w.sayf("%s %s, then %d more", first.Body, second.Body, len(a.sync()))
		a.send("ACK", "", "id", first.Header.Get("ack"))
		w.sayf("after an acknowledgement %s", a.next().Body)
	}},
	{"a browser sees what waits and takes nothing", plain, func(w *world) {
		c := w.client()
		for _, body := range []string{"1", "2"} {
			c.send("SEND", body, "destination", "/queue/"+w.name("Q"), "type", "T")
		}
		c.subscribe2("1", "/queue/"+w.name("Q"), "browser", "true")
		w.frames(c, 3)
		c.send("UNSUBSCRIBE", "", "id", "1")
		c.subscribe2("2", "/queue/"+w.name("Q"))
		w.frames(c, 2)
	}},
	{"a message that was refused goes to the dead letters", plain, func(w *world) {
		c := w.client()
		c.subscribe("1", "/queue/"+w.name("Q"), "ack", "client-individual")
		c.subscribe("2", "/queue/ActiveMQ.DLQ")
		c.send("SEND", "x", "destination", "/queue/"+w.name("Q"), "persistent", "true")
		c.send("NACK", "", "id", c.next().Header.Get("ack"))
		w.sayf("%s", c.next().Header.Get("destination"))
	}},

	{"a topic subscriber that does not read holds up nobody", plain, func(w *world) { w.slow() }},
	{"the oldest are dropped where the broker has a pending limit", limited, func(w *world) { w.slow() }},

	{"transactions hold sends back", plain, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/"+w.name("t"))
		c.send("BEGIN", "", "transaction", "a")
		c.send("SEND", "kept", "destination", "/topic/"+w.name("t"), "transaction", "a")
		c.send("BEGIN", "", "transaction", "b")
		c.send("SEND", "undone", "destination", "/topic/"+w.name("t"), "transaction", "b")
		w.sayf("%d before the commit", len(c.sync()))
		c.send("ABORT", "", "transaction", "b")
		c.send("COMMIT", "", "transaction", "a")
		w.frames(c, 1)
	}},
	{"what has expired is not delivered", plain, func(w *world) {
		c := w.client()
		c.subscribe("1", "/topic/"+w.name("t"))
		for _, to := range []string{"/topic/t", "/queue/Q"} {
			c.send("SEND", "old", "destination", to[:7]+w.name(to[7:]), "expires", "1000")
			c.send("SEND", "new", "destination", to[:7]+w.name(to[7:]), "expires", "4102444800000")
		}
		w.frames(c, 1)
		c.subscribe2("2", "/queue/"+w.name("Q"))
		w.frames(c, 1)
	}},
	{"a client that promised heartbeats and is silent is cut off", plain, func(w *world) {
		c := w.client("accept-version", "1.2", "heart-beat", "300,0")
		w.frame(c.next())
	}},
	{"a temporary topic has a name for others", plain, func(w *world) {
		a, b := w.client(), w.client()
		a.subscribe("1", "/temp-topic/mine")
		b.subscribe("1", "/topic/"+w.name("t"))
		a.send("SEND", "question", "destination", "/topic/"+w.name("t"), "reply-to", "/temp-topic/mine")
		question := b.next()
		w.frame(question)
		b.send("SEND", "answer", "destination", escape(question.Header.Get("reply-to")))
		w.frame(a.next())
	}},

	{"a wrong password", guarded, func(w *world) { w.refused("accept-version", "1.2", "login", "tap", "passcode", "wrong") }},
	{"an unknown login", guarded, func(w *world) { w.refused("accept-version", "1.2", "login", "nobody", "passcode", "secret") }},
	{"no login", guarded, func(w *world) { w.refused("accept-version", "1.2") }},
	{"the right password", guarded, func(w *world) {
		c := w.client("accept-version", "1.2", "login", "tap", "passcode", "secret")
		w.sayf("in, and %d frames more", len(c.sync()))
	}},
	{"a destination that may not be read", guarded, func(w *world) {
		c := w.client("accept-version", "1.2", "login", "tap", "passcode", "secret")
		for _, to := range []string{"/topic/private", "/queue/private"} {
			c.send("SUBSCRIBE", "", "id", "1", "destination", to, "receipt", "r")
			w.error(c.next())
		}
		w.sayf("the connection goes on: %d frames", len(c.sync()))
	}},
	{"a pattern may be read where one of the same width may", guarded, func(w *world) {
		c := w.client("accept-version", "1.2", "login", "tap", "passcode", "secret")
		for i, to := range []string{"/topic/>", "/topic/public.>", "/topic/public.a"} {
			c.send("SUBSCRIBE", "", "id", fmt.Sprint(i), "destination", to, "receipt", "r")
			w.error(c.next())
		}
		for _, to := range []string{"/topic/private", "/topic/public.a"} {
			c.send("SEND", "x", "destination", to)
		}
		w.destinations(c, 2)
	}},
	{"a destination without a prefix is a queue", plain, func(w *world) {
		c := w.client()
		c.subscribe("1", w.name("Q"))
		c.send("SEND", "x", "destination", "/queue/"+w.name("Q"))
		w.destinations(c, 1)
	}},
	{"ending a subscription that is none", plain, func(w *world) { w.wrong("UNSUBSCRIBE", "id", "9", "receipt", "r") }},
	{"acknowledging what is not there", plain, func(w *world) { w.wrong("ACK", "id", "9", "receipt", "r") }},
	{"a transaction that is none", plain, func(w *world) { w.wrong("COMMIT", "transaction", "9", "receipt", "r") }},
	{"a frame before CONNECT", plain, func(w *world) {
		c := w.raw()
		c.send("SEND", "x", "destination", "/topic/t")
		w.error(c.next())
	}},
}

// agree observes the answer to CONNECT.
func (w *world) agree(versions, beat string) {
	c := w.raw()
	headers := []string{"heart-beat", beat}
	if versions != "" {
		headers = append(headers, "accept-version", versions)
	}
	c.send("CONNECT", "", headers...)
	w.error(c.next())
}

// topic returns a function that sends a body with the given headers and
// observes what a subscriber gets.
func (w *world) topic(headers ...string) func(body string) {
	return func(body string) {
		c := w.client()
		c.subscribe("1", "/topic/"+w.name("t"))
		c.send("SEND", body, append([]string{"destination", "/topic/" + w.name("t")}, headers...)...)
		w.frames(c, 1)
	}
}

// frames observes the next n frames and that no more come. Copies of one
// message may come in any order.
func (w *world) frames(c *peer, n int) {
	var all []string
	before := w.saw
	for range n {
		w.saw = nil
		w.frame(c.next())
		all = append(all, join(w.saw))
	}
	slices.Sort(all)
	w.saw = append(before, all...)
	w.sayf("and %d more", len(c.sync()))
}

// destinations observes where the next n frames were read from.
func (w *world) destinations(c *peer, n int) {
	var all []string
	for range n {
		all = append(all, c.next().Header.Get("destination"))
	}
	slices.Sort(all)
	w.sayf("%v and %d more", all, len(c.sync()))
}

// refused observes the answer to a CONNECT that is refused, and the end. ActiveMQ
// now and then ends the connection before its answer is out, so one that ended
// without an answer is made again.
func (w *world) refused(headers ...string) {
	for try := 1; ; try++ {
		c := w.raw()
		c.send("CONNECT", "", headers...)
		answer := c.next()
		if answer == nil && try < 5 {
			continue
		}
		w.error(answer)
		w.frame(c.next())
		return
	}
}

// wrong observes the answer to a frame that is refused, and whether the
// connection goes on.
func (w *world) wrong(command string, headers ...string) {
	c := w.client()
	c.send(command, "", headers...)
	w.error(c.next())
	w.sayf("the connection goes on: %d frames", len(c.sync()))
}

// slow observes what becomes of the messages of a topic one of whose
// subscribers does not read for a while: 20 MB, more than the network buffers.
func (w *world) slow() {
	slow, sender := w.deaf(), w.client()
	sender.subscribe("1", "/queue/"+w.name("ready"))
	slow.subscribe2("1", "/topic/"+w.name("t"), "activemq.prefetchSize", "10", "activemq.maximumPendingMessageLimit", "20")
	slow.send("SEND", "", "destination", "/queue/"+w.name("ready"))
	sender.next()
	for range 2000 {
		sender.send("SEND", strings.Repeat("x", 10_000), "destination", "/topic/"+w.name("t"))
	}
	w.sayf("all taken, %d frames more", len(sender.sync()))
	sender.send("SEND", "last", "destination", "/topic/"+w.name("t"))
	sender.sync()
	slow.listen()
	n := 1
	for string(slow.next().Body) != "last" {
		n++
	}
	w.sayf("the last one came; some were dropped: %v", n < 2001)
}
