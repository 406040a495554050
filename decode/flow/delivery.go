package flow

import (
	"cmp"

	"gctap/capture"
)

// A Delivery says who was handed a command, as notes of a capture of the wire
// tell it.
type Delivery struct {
	Seq      int64  // of the note
	Consumer string // for people: the client's id or user, else the consumer's id, and where it is
	Times    int    // how often it was handed out
	Acked    bool   // the consumer has acknowledged it
	NoAck    bool   // the consumer never acknowledges: a STOMP subscription of mode auto
}

// deliveries follow open commands from the queue to whom they are handed.
type deliveries struct {
	open    map[string]*Exchange     // by message-id
	watched *aging[string, struct{}] // queues of which a consumer was seen
}

func newDeliveries(limit int) *deliveries {
	return &deliveries{open: map[string]*Exchange{}, watched: newAging[string, struct{}](limit, nil)}
}

func (d *deliveries) add(x *Exchange) {
	if x.message != "" {
		d.open[x.message] = x
	}
}

func (d *deliveries) remove(x *Exchange) {
	if d.open[x.message] == x {
		delete(d.open, x.message)
	}
	_, watched := d.watched.get(x.Queue)
	x.Watched = watched && x.message != ""
}

// note takes in a row about a message or a consumer. A copy that a tap is
// handed has another destination than the command; who browses takes nothing.
func (d *deliveries) note(rec *capture.Record) {
	if rec.Header("amq.browser") == "true" {
		return
	}
	switch rec.Header("amq.note") {
	case "subscribe":
		d.watched.put(rec.To, struct{}{})
	case "dispatch":
		d.watched.put(rec.To, struct{}{})
		if x := d.open[rec.Header("amq.message-id")]; x != nil && x.Queue == rec.To {
			d.handed(x, rec)
		}
	case "ack":
		if kind := rec.Header("amq.ack"); kind != "standard" && kind != "individual" {
			return
		}
		for _, h := range rec.Headers {
			if h.Name != "amq.message-id" {
				continue
			}
			if x := d.open[h.Value]; x != nil && x.Delivery != nil && x.Queue == rec.To {
				x.Delivery.Acked = true
			}
		}
	}
}

func (d *deliveries) handed(x *Exchange, rec *capture.Record) {
	if x.Delivery == nil {
		x.Delivery = &Delivery{}
	}
	who := cmp.Or(rec.Header("amq.client-id"), rec.Header("amq.user"), rec.Header("amq.consumer"), "a consumer")
	if at := rec.Header("tcp.to"); at != "" {
		who += " at " + at
	}
	v := x.Delivery
	v.Seq, v.Consumer, v.Acked, v.NoAck = rec.Seq, who, false, rec.Header("amq.ack-mode") == "auto"
	v.Times++
}
