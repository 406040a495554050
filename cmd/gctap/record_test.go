package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
	"gctap/store"
)

// A process is a gctap that runs while a test goes on.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	lines  chan string // of standard error
	mu     sync.Mutex
	stderr bytes.Buffer
	out    bytes.Buffer
}

// gctap starts the program, with the test's own store.
func gctap(t testing.TB, db string, args ...string) *process {
	t.Helper()
	return start(t, exec.Command("gctap", append([]string{"--db", db}, args...)...))
}

// gctapFrom starts it with standard input.
func gctapFrom(t testing.TB, in io.Reader, db string, args ...string) *process {
	t.Helper()
	cmd := exec.Command("gctap", append([]string{"--db", db}, args...)...)
	cmd.Stdin = in
	return start(t, cmd)
}

// gctapLimited starts it so that no file it writes gets larger than so many
// KiB: writing fails then as on a full disk.
func gctapLimited(t testing.TB, kib int, db string, args ...string) *process {
	t.Helper()
	script := fmt.Sprintf(`trap "" XFSZ; ulimit -f %d; exec "$@"`, kib)
	return start(t, exec.Command("bash", append([]string{"-c", script, "bash", "gctap", "--db", db}, args...)...))
}

func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, lines: make(chan string, 10_000)}
	p.cmd.Env = append(os.Environ(), "GCTAP_PASSWORD=")
	p.cmd.Stdout = &p.out
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		scan := bufio.NewScanner(io.TeeReader(stderr, &lockedWriter{p}))
		for scan.Scan() {
			p.lines <- scan.Text()
		}
		close(p.lines)
	}()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

type lockedWriter struct{ p *process }

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.stderr.Write(b)
}

// until waits for a line of standard error.
func (p *process) until(pattern string) string {
	p.t.Helper()
	for line := range p.lines {
		if regexp.MustCompile(pattern).MatchString(line) {
			return line
		}
	}
	p.t.Fatalf("%s ended without a line like %s; it said:\n%s", p.cmd, pattern, p.said())
	return ""
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// end sends a signal, waits, and returns the exit status.
func (p *process) end(signal os.Signal) int {
	p.t.Helper()
	if signal != nil {
		if err := p.cmd.Process.Signal(signal); err != nil {
			p.t.Fatal(err)
		}
	}
	for range p.lines { // Wait may not run before all is read
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func startBroker(t testing.TB, o brokertest.Options) *brokertest.Broker {
	t.Helper()
	b, err := brokertest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// dialBroker connects to url; user and password may be in it.
func dialBroker(t testing.TB, url string) *link.Conn {
	t.Helper()
	b, err := link.ParseBroker(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := link.Open(t.Context(), link.Config{Broker: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t testing.TB, l capture.Link, to, typ, body string) {
	t.Helper()
	m := capture.Outgoing{To: to, Body: []byte(body)}
	if typ != "" {
		m.JMSType = &typ
	}
	if err := l.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// records reads a session back.
func records(t testing.TB, db, ref string) (store.Session, []capture.Record) {
	t.Helper()
	st, session, err := store.OpenSession(t.Context(), db, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var all []capture.Record
	for rec, err := range st.Records(t.Context(), session.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec)
	}
	return session, all
}

func TestRecordStopsCleanly(t *testing.T) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup, which the program heeds
		ends = append(ends, syscall.SIGHUP)
	}
	for _, signal := range ends {
		broker := startBroker(t, brokertest.Options{Mirror: true})
		db := filepath.Join(t.TempDir(), "t.db")
		p := gctap(t, db, "record", broker.URL(), "--name", "incident")
		p.until("recording session 1, incident")
		conn := dialBroker(t, broker.URL())
		for i := range 100 {
			send(t, conn, "queue://Connector1", "MakeCall#1001", fmt.Sprint(i))
		}
		if code := p.end(signal); code != exitOK {
			t.Errorf("%v: exit %d: %s", signal, code, p.said())
		}
		session, all := records(t, db, "incident")
		if len(all) != 100 || session.Live || session.EndedAt == nil || session.Commands != 100 {
			t.Errorf("%v: %d records, %+v", signal, len(all), session)
		}
	}
}

func TestRecordSaysThatCommandsAreNotVisible(t *testing.T) {
	broker := startBroker(t, brokertest.Options{})
	p := gctap(t, filepath.Join(t.TempDir(), "t.db"), "record", broker.URL())
	p.until("recording session")
	send(t, dialBroker(t, broker.URL()), "topic://desk", "", "1001#Control#PrintStatusBar#hello")
	p.until("commands are not visible: .*Connector1.*gctap help record")
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d", code)
	}
}

// TestRecordKilled: what was stored stays, the cut is a gap row, and the next
// recording goes on.
func TestRecordKilled(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	conn := dialBroker(t, broker.URL())
	p := gctap(t, db, "record", broker.URL())
	p.until("recording session 1")
	for i := range 100 {
		send(t, conn, "queue://Connector1", "MakeCall#1001", fmt.Sprint(i))
	}
	waitStored(t, db, "1", 100)
	p.end(syscall.SIGKILL)

	session, all := records(t, db, "1")
	gap, ok := all[len(all)-1].Gap()
	if !session.Crashed() || len(all) != 101 || !ok || gap.Reason != capture.GapCrash {
		t.Errorf("%d records, last %+v, %+v", len(all), all[len(all)-1], session)
	}
	p = gctap(t, db, "record", broker.URL())
	p.until("recording session 2")
	send(t, conn, "queue://Connector1", "MakeCall#1001", "again")
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if session, all := records(t, db, "1"); session.EndReason != store.EndCrash || len(all) != 101 {
		t.Errorf("%d records, %+v", len(all), session)
	}
	if _, all := records(t, db, "2"); len(all) != 1 {
		t.Errorf("%d records in the second session", len(all))
	}
}

// waitStored waits until a session that is being recorded has n messages.
func waitStored(t testing.TB, db, ref string, n int) {
	t.Helper()
	st, session, err := store.OpenSession(t.Context(), db, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	got := 0
	for _, err := range st.Follow(t.Context(), session.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if got++; got == n {
			return
		}
	}
	t.Fatalf("the session ended with %d of %d messages", got, n)
}

func TestDurableRecordKilledLosesNothing(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true, VirtualTopics: true})
	db := filepath.Join(t.TempDir(), "t.db")
	conn := dialBroker(t, broker.URL())
	sent := 0
	sendSome := func() {
		for range 50 {
			send(t, conn, "queue://Connector1", "MakeCall#1001", fmt.Sprint(sent))
			sent++
		}
	}
	for round := range 3 {
		p := gctap(t, db, "record", broker.URL(), "--mode", "durable", "--name", "long")
		p.until("recording session 1, long")
		p.until("queue Consumer.gctap.VirtualTopic.Mirror.Connector1 stays")
		sendSome()
		waitStored(t, db, "long", sent+round-40) // some are on their way still
		p.end(syscall.SIGKILL)
		sendSome() // nobody taps
	}
	p := gctap(t, db, "record", broker.URL(), "--mode", "durable", "--name", "long")
	p.until("recording session 1, long")
	waitStored(t, db, "long", sent+3)
	if code := p.end(os.Interrupt); code != exitIncomplete {
		t.Errorf("exit %d, want %d: the session has gaps", code, exitIncomplete)
	}
	seen, gaps := map[string]int{}, 0
	_, all := records(t, db, "long")
	for i := range all {
		if _, ok := all[i].Gap(); ok {
			gaps++
			continue
		}
		seen[all[i].MessageID]++
	}
	if len(seen) != sent || len(all) != sent+gaps || gaps != 3 {
		t.Errorf("%d different messages in %d rows with %d gaps, want %d and 3", len(seen), len(all), gaps, sent)
	}
}

func TestRecordRefuses(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.db")
	if err := os.WriteFile(broken, bytes.Repeat([]byte("not a database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	secured := startBroker(t, brokertest.Options{Users: map[string]string{"tap": "right"}})
	closed := startBroker(t, brokertest.Options{})
	closed.Close()
	withUser := strings.Replace(secured.URL(), "://", "://tap:wr0ng-pass@", 1)
	for _, c := range []struct {
		name, db string
		args     []string
		want     string
	}{
		{"no broker", "a.db", []string{"record"}, "needs the broker's URL"},
		{"wrong URL", "a.db", []string{"record", "http://x"}, "use stomp://"},
		{"nobody listens", "a.db", []string{"record", closed.URL()}, "refused"},
		{"wrong password", "a.db", []string{"record", withUser}, "password"},
		{"broken store", broken, []string{"record", secured.URL()}, "broken.db"},
		{"unknown mode", "a.db", []string{"record", secured.URL(), "--mode", "steal"}, "--mode steal"},
		{"two queues in one", "a.db", []string{"record", secured.URL(), "--mode", "durable", "--queue", "Connector1,Connector2"}, "name of one queue"},
		{"two queues released", "a.db", []string{"release", secured.URL(), "--queue", "Connector1,Connector2"}, "name of one queue"},
		{"two queues examined", "a.db", []string{"doctor", secured.URL(), "--queue", "Connector1,Connector2"}, "name of one queue"},
		{"two topics in one", "a.db", []string{"record", secured.URL(), "--topic", "desk,/queue/Connector1"}, "one topic at a time"},
		{"stealing", "a.db", []string{"record", secured.URL(), "--mode", "consume"}, "--i-know-this-steals-commands"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !filepath.IsAbs(c.db) {
				c.db = filepath.Join(dir, c.db)
			}
			p := gctap(t, c.db, c.args...)
			code := p.end(nil)
			said := strings.TrimSuffix(p.said(), "\n")
			if code != exitFailed || !strings.Contains(said, c.want) || strings.Contains(said, "\n") {
				t.Errorf("exit %d, said %q; want one line with %q and exit 2", code, said, c.want)
			}
			if strings.Contains(said, "wr0ng-pass") {
				t.Errorf("shows the password: %s", said)
			}
		})
	}
}

func TestRecordInParts(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "long", "--part-size", "1K")
	p.until("recording session 1, long")
	conn := dialBroker(t, broker.URL())
	body := strings.Repeat("x", 600)
	sent := 0
	more := func(part string, want int) {
		send(t, conn, "queue://Connector1", "MakeCall#1001", body)
		sent++
		waitStored(t, db, part, want)
	}
	more("long", 1)
	more("long", 2) // over its size: the next message begins a new part
	for _, part := range []string{"long.2", "long.3"} {
		send(t, conn, "queue://Connector1", "MakeCall#1001", body)
		sent++
		p.until("part . begins: session ., " + regexp.QuoteMeta(part))
		more(part, 2)
	}
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	var stored, counted int64
	for _, part := range []string{"long", "long.2", "long.3"} {
		session, all := records(t, db, part)
		stored += int64(len(all))
		if all[0].Seq != 1 || session.EndedAt == nil || part != "long" && session.Parent != 1 {
			t.Errorf("part %s begins at %d: %+v", part, all[0].Seq, session)
		}
		counted += ledgerOf(t, db, part).Stored
	}
	if stored != int64(sent) || counted != stored {
		t.Errorf("stored %d, ledgers count %d, sent %d", stored, counted, sent)
	}
}

// ledgerLines reads the ledger of a session.
func ledgerLines(t *testing.T, db, ref string) []capture.Counts {
	t.Helper()
	st, s, err := store.OpenSession(t.Context(), db, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ledger, err := st.Ledger(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	return ledger
}

// wholeLedger is the sum over all destinations.
func wholeLedger(t *testing.T, db, ref string) capture.Counts {
	t.Helper()
	return sum(ledgerLines(t, db, ref))
}

// ledgerOf is the ledger of the command queue.
func ledgerOf(t *testing.T, db, ref string) capture.Counts {
	t.Helper()
	for _, c := range ledgerLines(t, db, ref) {
		if c.Destination == "queue://Connector1" {
			return c
		}
	}
	return capture.Counts{}
}

func TestRecordRetires(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "long", "--part-size", "1", "--keep", "1ns")
	p.until("recording session")
	conn := dialBroker(t, broker.URL())
	send(t, conn, "queue://Connector1", "MakeCall#1001", "5001")
	waitStored(t, db, "long", 1)
	send(t, conn, "queue://Connector1", "MakeCall#1001", "5001")
	p.until("part long has been deleted")
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	if _, all := records(t, db, "long.2"); len(all) != 1 {
		t.Errorf("%d records in the second part", len(all))
	}
}

// TestRecordRetiresAfterARestart: a durable tap that is started again deletes
// the old parts of the run before, and never what is no part, such as a replay
// of one.
func TestRecordRetiresAfterARestart(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true, VirtualTopics: true})
	db := filepath.Join(t.TempDir(), "t.db")
	conn := dialBroker(t, broker.URL())
	run := func(keep, last string) {
		p := gctap(t, db, "record", broker.URL(), "--mode", "durable", "--name", "long", "--part-size", "1", "--keep", keep)
		p.until("recording session")
		send(t, conn, "queue://Connector1", "MakeCall#1001", "5001")
		waitStored(t, db, "@last", 1)
		send(t, conn, "queue://Connector1", "MakeCall#1001", "5001")
		p.until(last)
		if code := p.end(os.Interrupt); code != exitOK {
			t.Errorf("exit %d: %s", code, p.said())
		}
	}
	run("1h", "part 2 begins")
	st, err := store.Open(t.Context(), db, store.Record)
	if err != nil {
		t.Fatal(err)
	}
	w, err := st.NewSession(t.Context(), store.SessionInfo{Name: "replayed", Origin: store.OriginReplay, Parent: 1, Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.End(t.Context(), "stopped"), w.Close(), st.Close()); err != nil {
		t.Fatal(err)
	}
	run("1ns", "part long.2 has been deleted")
	st, s, err := store.OpenSession(t.Context(), db, "replayed")
	if err != nil || s.Parent != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	st.Close()
}

func TestRecordMetrics(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	refused := gctap(t, db, "record", broker.URL(), "--metrics", "0.0.0.0:9464")
	if code := refused.end(nil); code != exitFailed || !strings.Contains(refused.said(), "loopback") {
		t.Errorf("exit %d: %s", code, refused.said())
	}
	addr := freeAddr(t)
	p := gctap(t, db, "record", broker.URL(), "--metrics", addr)
	p.until("recording session")
	send(t, dialBroker(t, broker.URL()), "queue://Connector1", "MakeCall#1001", "5001")
	waitStored(t, db, "@last", 1)
	response, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\ngctap_received_total 2\n", "\ngctap_doubled_total 1\n", "\ngctap_commands_visible 1\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	p.end(os.Interrupt)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestRecordStoodStill: a stopped process says that messages may be missing.
func TestRecordStoodStill(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "s")
	p.until("recording session")
	p.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(standstill + 500*time.Millisecond) // the time itself is what is tested
	p.cmd.Process.Signal(syscall.SIGCONT)
	p.until("the program stood still for")
	if code := p.end(os.Interrupt); code != exitIncomplete {
		t.Errorf("exit %d", code)
	}
	_, all := records(t, db, "s")
	if gap, ok := all[0].Gap(); !ok || gap.Reason != capture.GapStopped || gap.To.Sub(gap.From) < standstill {
		t.Errorf("recorded %+v", all)
	}
}

// TestDurableTapsAreKnownByTheirCommandLine: only the same command line takes a
// session up; a tap of another name, or one that keeps secrets, does not.
func TestDurableTapsAreKnownByTheirCommandLine(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true, VirtualTopics: true})
	db := filepath.Join(t.TempDir(), "t.db")
	args := []string{"record", broker.URL(), "--mode", "durable", "--name", "tap"}
	p := gctap(t, db, args...)
	p.until("recording session 1, tap,")
	p.end(syscall.SIGKILL)
	for i, extra := range [][]string{{"--consumer", "other"}, {"--keep-secrets"}, {"--filter", "seq > 0"}} {
		p := gctap(t, db, append(args[:4:4], extra...)...)
		p.until(fmt.Sprintf("recording session %d,", i+2))
		if code := p.end(os.Interrupt); code != exitOK {
			t.Errorf("%q: exit %d: %s", extra, code, p.said())
		}
	}
	p = gctap(t, db, args...)
	p.until("recording session 1, tap,")
	p.end(os.Interrupt)
	p = gctap(t, db, args...) // a service that is started again
	p.until("recording session 5, tap.2,")
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	for id, redacted := range map[string]bool{"1": true, "2": true, "3": false, "4": true} {
		if s, _ := records(t, db, id); s.Redacted != redacted {
			t.Errorf("session %s: redacted %v", id, s.Redacted)
		}
	}
}

// TestRecordLeavesAWholeFile: the store's file alone holds an ended session,
// even while somebody reads it.
func TestRecordLeavesAWholeFile(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctap(t, db, "record", broker.URL(), "--name", "s")
	p.until("recording session")
	conn := dialBroker(t, broker.URL())
	for i := range 50 {
		send(t, conn, "queue://Connector1", "MakeCall#1001", fmt.Sprint(i))
	}
	waitStored(t, db, "s", 50)
	reader, session, err := store.OpenSession(t.Context(), db, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.After(t.Context(), session.ID, 0, 10); err != nil {
		t.Fatal(err)
	}
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	text, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, all := records(t, copied, "s"); len(all) != 50 || s.EndedAt == nil {
		t.Errorf("the copy holds %d records, ended %v", len(all), s.EndedAt)
	}
}
