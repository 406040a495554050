package wire

import (
	"slices"
	"strings"

	"gctap/capture"
)

// Bounds of what a Gate remembers.
const (
	heldRows     = 300     // of one place, until it is known whose it is
	heldBytes    = 8 << 20 // of all places
	heldPlaces   = 1000
	knownPlaces  = 100_000
	tlsServers   = 100
	unknownPlace = "(unknown)" // counts messages whose destination was not seen
)

// GateConfig says what a Gate is told and whom it tells.
type GateConfig struct {
	Queues []string // GC's command queues, as far as known: names
	Topics []string // client topics that are recorded whatever is on them

	// Ours reports whether a message is certainly GC's or its clients'.
	Ours func(*capture.Record) bool
	// Handshake returns the client topics that a command names.
	Handshake func(*capture.Record) []string

	Offer   func(capture.Record) // takes what is to be recorded
	Foreign func(dest string)    // counts a message of another application
}

// A Gate tells the traffic of GC from that of others on the same wire: a packet
// capture holds whatever went by. Nothing of a queue, a topic or a server is
// recorded until one message there is GC's, or somebody has named it; until
// then a bounded number of its rows is held, in the order they came, and what
// is still there at the end, or does not fit, is counted and never stored.
//
// A place is a queue or topic of a broker, and for REST and xuc the server.
// Rows about a connection as a whole are recorded with the first of its rows
// that is. That a server speaks TLS is told once. Bytes missing of a broker's connection are always told: nobody knows
// what they held.
//
// It is used by one goroutine.
type Gate struct {
	cfg   GateConfig
	known map[string]struct{}
	held  map[string][]capture.Record
	size  int                 // bytes held
	full  map[string]struct{} // places that had their chance
	tls   map[string]struct{} // servers that were told of
}

// NewGate returns a Gate that knows what cfg names.
func NewGate(cfg GateConfig) *Gate {
	g := &Gate{cfg: cfg, known: map[string]struct{}{peerTopic: {}}, held: map[string][]capture.Record{}, full: map[string]struct{}{}, tls: map[string]struct{}{}}
	for _, queue := range cfg.Queues {
		g.known["queue://"+queue] = struct{}{}
	}
	for _, topic := range cfg.Topics {
		g.known["topic://"+topic] = struct{}{}
	}
	return g
}

// Take sorts one row of a Decoder.
func (g *Gate) Take(rec capture.Record) {
	if rec.Direction == capture.Note && rec.Header("amq.note") == "tls" {
		g.encrypted(rec)
		return
	}
	key := placeOf(&rec)
	if _, ok := g.known[key]; key == "" || ok {
		g.pass(rec)
		return
	}
	switch rec.Direction {
	case capture.Note, capture.GapRow:
		g.hold(key, rec)
		return
	}
	switch ours := g.cfg.Ours(&rec); {
	case ours && key == unknownPlace:
		g.pass(rec)
	case ours:
		g.meet(key)
		g.pass(rec)
	case key == unknownPlace:
		g.cfg.Foreign(unknownPlace)
	default:
		g.hold(key, rec)
	}
}

// encrypted tells of the first connection to a server that speaks TLS.
func (g *Gate) encrypted(rec capture.Record) {
	server := serverOf(&rec)
	if _, told := g.tls[server]; told || len(g.tls) >= tlsServers {
		return
	}
	g.tls[server] = struct{}{}
	g.cfg.Offer(rec)
}

// placeOf says where a row belongs; "" is what is always recorded.
func placeOf(rec *capture.Record) string {
	switch {
	case rec.Source == "rest" || rec.Source == "xuc":
		return serverOf(rec)
	case rec.Direction == capture.GapRow:
		if p := rec.Header("tcp.protocol"); p == "HTTP" || p == "WebSocket" {
			return serverOf(rec)
		}
		return ""
	case rec.Direction == capture.Note && rec.To == "":
		if kind := rec.Header("amq.note"); kind == "upgrade" || kind == "close" {
			return serverOf(rec)
		}
		return connPlace(rec.Header("tcp.from"), rec.Header("tcp.to"))
	case rec.Direction == capture.Note:
		to, _ := place(rec.To, "")
		return to
	case rec.To == "" || rec.Header("amq.destination") == "unknown":
		return unknownPlace
	}
	return rec.To
}

// serverOf is the place of an HTTP connection: the end that was connected to.
func serverOf(rec *capture.Record) string {
	_, server, _ := strings.Cut(rec.Conn, ">")
	return "tcp://" + server
}

// connPlace is the place of rows about a whole connection, whichever end they
// came from.
func connPlace(a, b string) string {
	if a > b {
		a, b = b, a
	}
	return a + "<>" + b
}

// pass lets a row through, and learns from it.
func (g *Gate) pass(rec capture.Record) {
	if rec.Direction == capture.Note && rec.To != "" {
		if from := rec.Header("tcp.from"); from != "" {
			g.meet(connPlace(from, rec.Header("tcp.to")))
		}
	}
	if rec.Direction == capture.Command {
		for _, topic := range g.cfg.Handshake(&rec) {
			g.meet("topic://" + topic)
		}
	}
	g.cfg.Offer(rec)
}

// meet makes a place known as GC's. What was held of it is recorded now.
func (g *Gate) meet(key string) {
	if _, ok := g.known[key]; ok {
		return
	}
	if len(g.known) >= knownPlaces { // what is still in use is soon known again
		g.known = NewGate(g.cfg).known
	}
	g.known[key] = struct{}{}
	held := g.held[key]
	delete(g.held, key)
	delete(g.full, key)
	for _, rec := range held {
		g.size -= rowSize(&rec)
		g.pass(rec)
	}
}

func rowSize(rec *capture.Record) int { return 256 + len(rec.Body) }

// hold keeps a row of a place that may yet turn out to be GC's.
func (g *Gate) hold(key string, rec capture.Record) {
	held, waiting := g.held[key]
	_, had := g.full[key]
	if !had && len(held) < heldRows && g.size+rowSize(&rec) <= heldBytes && (waiting || len(g.held) < heldPlaces) {
		g.held[key] = append(held, rec)
		g.size += rowSize(&rec)
		return
	}
	g.release(key)
	if len(g.full) >= knownPlaces {
		clear(g.full)
	}
	g.full[key] = struct{}{}
	g.foreign(&rec)
}

// release counts what is held of a place as foreign.
func (g *Gate) release(key string) {
	for _, rec := range g.held[key] {
		g.size -= rowSize(&rec)
		g.foreign(&rec)
	}
	delete(g.held, key)
}

func (g *Gate) foreign(rec *capture.Record) {
	if rec.Direction != capture.Note && rec.Direction != capture.GapRow {
		g.cfg.Foreign(rec.To)
	}
}

// Close counts what is still held: it was nobody's.
func (g *Gate) Close() {
	keys := make([]string, 0, len(g.held))
	for key := range g.held {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		g.release(key)
	}
}
