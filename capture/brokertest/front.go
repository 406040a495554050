package brokertest

import (
	"cmp"
	"fmt"
	"net"
	"sync"
)

// A front is the port that clients connect to. It hands their connections to
// serve, and is the place where faults happen.
type front struct {
	serve func(net.Conn)
	gate  gate

	mu       sync.Mutex
	listener net.Listener
	addr     string // stays the same over close and listen
	conns    map[*gated]bool
	busy     sync.WaitGroup
}

func newFront(serve func(net.Conn)) *front {
	f := &front{serve: serve, conns: map[*gated]bool{}}
	f.gate.changed = make(chan struct{})
	return f
}

// listen opens the port, if it is not open.
func (f *front) listen(addr string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", cmp.Or(addr, "127.0.0.1:0"))
	if err != nil {
		return fmt.Errorf("broker cannot listen: %w", err)
	}
	f.listener, f.addr = l, l.Addr().String()
	f.busy.Go(func() { f.accept(l) })
	return nil
}

func (f *front) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		g := &gated{Conn: c, front: f, closed: make(chan struct{})}
		if f.listener != l { // closed meanwhile
			f.mu.Unlock()
			c.Close()
			return
		}
		f.conns[g] = true
		f.busy.Go(func() {
			defer g.Close()
			f.serve(g)
		})
		f.mu.Unlock()
	}
}

func (f *front) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
}

func (f *front) drop() {
	f.mu.Lock()
	var all []*gated
	for c := range f.conns {
		all = append(all, c)
	}
	f.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

func (f *front) address() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addr
}

func (f *front) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// wait returns when every goroutine of the front has ended.
func (f *front) wait() { f.busy.Wait() }

// A gate holds up reads and writes.
type gate struct {
	mu           sync.Mutex
	reads, wrote bool
	changed      chan struct{} // closed and replaced by set
}

func (g *gate) set(reads, writes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reads, g.wrote = reads, writes
	close(g.changed)
	g.changed = make(chan struct{})
}

// pass waits until the gate is open for reads or for writes, or done is closed.
func (g *gate) pass(write bool, done <-chan struct{}) error {
	for {
		g.mu.Lock()
		shut, changed := g.reads, g.changed
		if write {
			shut = g.wrote
		}
		g.mu.Unlock()
		if !shut {
			return nil
		}
		select {
		case <-changed:
		case <-done:
			return net.ErrClosed
		}
	}
}

// A gated connection goes through its front's gate.
type gated struct {
	net.Conn
	front  *front
	once   sync.Once
	closed chan struct{}
}

func (c *gated) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if shut := c.front.gate.pass(false, c.closed); shut != nil {
		return 0, shut
	}
	return n, err
}

func (c *gated) Write(p []byte) (int, error) {
	if shut := c.front.gate.pass(true, c.closed); shut != nil {
		return 0, shut
	}
	return c.Conn.Write(p)
}

func (c *gated) Close() error {
	var err error
	c.once.Do(func() {
		close(c.closed)
		err = c.Conn.Close()
		c.front.mu.Lock()
		delete(c.front.conns, c)
		c.front.mu.Unlock()
	})
	return err
}
