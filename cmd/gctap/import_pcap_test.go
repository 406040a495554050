package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gctap/capture"
	"gctap/store"
)

// gcPcap is a capture of [jmsTalk] on a real ActiveMQ, its packets later than
// they were: 40 seconds pass after MakeCall, and 40 before the client leaves.
const gcPcap = "testdata/wire/gc.pcap"

// A packets is a capture file cut into its head and its packets, each with the
// 16 bytes in front of it.
type packets struct {
	head []byte
	all  [][]byte
}

func readPackets(t testing.TB, file string) (p packets) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.head, b = b[:24], b[24:]
	for len(b) > 0 {
		n := 16 + int(binary.LittleEndian.Uint32(b[8:]))
		p.all, b = append(p.all, b[:n]), b[n:]
	}
	return p
}

// file returns a capture of some of the packets.
func (p packets) file(some [][]byte) []byte {
	return append(slices.Clone(p.head), bytes.Join(some, nil)...)
}

// holding is the first packet that holds a text.
func (p packets) holding(t testing.TB, text string) int {
	t.Helper()
	i := slices.IndexFunc(p.all, func(b []byte) bool { return bytes.Contains(b, []byte(text)) })
	if i < 0 {
		t.Fatalf("no packet holds %s", text)
	}
	return i
}

// hello is a connection to port 443 that begins as TLS does: three packets made
// of one that goes to a broker.
func (p packets) hello(t testing.TB) [][]byte {
	t.Helper()
	payload := append([]byte{0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3}, make([]byte, 194)...)
	made := func(flags byte, seq uint32, payload []byte) []byte {
		b := slices.Clone(p.all[0][:16+14+20+20])
		ip, tcp := b[16+14:], b[16+14+20:]
		binary.BigEndian.PutUint16(ip[2:], uint16(40+len(payload)))
		binary.BigEndian.PutUint16(tcp[2:], 443)
		binary.BigEndian.PutUint32(tcp[4:], seq)
		tcp[12], tcp[13] = 5<<4, flags
		b = append(b, payload...)
		binary.LittleEndian.PutUint32(b[8:], uint32(len(b)-16))
		binary.LittleEndian.PutUint32(b[12:], uint32(len(b)-16))
		return b
	}
	return [][]byte{made(2, 1000, nil), made(0x18, 1001, payload)}
}

// TestWireScripts runs testdata/wire/*.txt over captures made of gcPcap.
func TestWireScripts(t *testing.T) {
	whole, err := filepath.Abs(gcPcap)
	if err != nil {
		t.Fatal(err)
	}
	p, dir := readPackets(t, gcPcap), t.TempDir()
	login := p.holding(t, "hush-hush,3001")
	for name, b := range map[string][]byte{
		"1.pcap":       p.file(p.all[:60]),
		"2.pcap":       p.file(p.all[60:]),
		"hole.pcap":    p.file(slices.Delete(slices.Clone(p.all), login, login+1)),
		"cut.pcap":     p.file(p.all)[:len(p.file(p.all[:90]))-5],
		"tls.pcap":     p.file(p.hello(t)),
		"foreign.pcap": p.file(p.all[:1]),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/wire",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GCTAP_DB", env.WorkDir+"/gctap.db")
			env.Setenv("GCTAP_KEY", os.Getenv("GCTAP_KEY"))
			env.Setenv("PCAP", whole)
			env.Setenv("PARTS", dir)
			env.Setenv("TZ", "UTC")
			return nil
		},
	})
}

// TestImportFollowsStandardInput: rows appear while the capture still comes,
// the session is live, and Ctrl-C ends it as it ends a recording.
func TestImportFollowsStandardInput(t *testing.T) {
	p := readPackets(t, gcPcap)
	half := p.holding(t, "hush-hush,3001") + 1
	db, fifo := filepath.Join(t.TempDir(), "t.db"), filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	in, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Write(p.file(p.all[:half])); err != nil {
		t.Fatal(err)
	}
	live := gctapFrom(t, in, db, "import", "--pcap", "-", "--name", "live")
	live.until("recording session 1, live")
	waitStored(t, db, "live", 17)
	if s, _ := records(t, db, "live"); !s.Live || s.Commands != 3 {
		t.Errorf("while it comes: %+v", s)
	}
	if code := live.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, live.said())
	}
	s, all := records(t, db, "live")
	if s.Live || s.EndReason != "stopped" || s.Commands != 3 || countOf(all, capture.GapRow) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestImportInterrupted: a file of which the rest is not read is no whole import.
func TestImportInterrupted(t *testing.T) {
	p := readPackets(t, gcPcap)
	db, fifo := filepath.Join(t.TempDir(), "t.db"), filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	in, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Write(p.file(p.all[:len(p.all)-10])); err != nil {
		t.Fatal(err)
	}
	importing := gctap(t, db, "import", "--pcap", fifo, "--name", "s")
	importing.until("importing into session 1, s")
	waitStored(t, db, "s", 30)
	if code := importing.end(os.Interrupt); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, importing.said())
	}
	if s, _ := records(t, db, "s"); s.Live || s.Commands < 5 {
		t.Errorf("%+v", s)
	}
}

// repeated writes a capture of n conversations like that of gcPcap, each of
// other machines and with other message-ids.
func (p packets) repeated(t testing.TB, file string, n int) {
	t.Helper()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(out, 1<<20)
	w.Write(p.head)
	for i := range n {
		for _, packet := range p.all {
			b := slices.Clone(packet)
			binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)+uint32(i))
			for _, at := range []int{12, 16} { // the addresses: 127.0.0.1 in the original
				binary.BigEndian.PutUint32(b[16+14+at:], 10<<24|uint32(i))
			}
			for _, start := range []string{"1795247488294", "1795247491364"} { // of the JMS clients, as it is in their ids
				b = bytes.ReplaceAll(b, []byte(start), fmt.Appendf(nil, "%s%07d", start[7:], i))
			}
			w.Write(b)
		}
	}
	if err := errors.Join(w.Flush(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkImportPcap imports a capture of b.N conversations of 15 messages
// each, and reports messages a second, the program's largest memory, and how
// many times as fast as tshark on the same file it is:
//
//	go test ./cmd/gctap -run '^$' -bench ImportPcap -benchtime 700x
//	go test ./cmd/gctap -run '^$' -bench ImportPcap -benchtime 70000x -timeout 30m
func BenchmarkImportPcap(b *testing.B) {
	dir := b.TempDir()
	file, db := filepath.Join(dir, "many.pcap"), filepath.Join(dir, "t.db")
	readPackets(b, gcPcap).repeated(b, file, b.N)
	b.ResetTimer()
	begin := time.Now()
	p := gctap(b, db, "import", "--pcap", file, "--name", "s")
	code := p.end(nil)
	ours := time.Since(begin)
	b.StopTimer()
	st, s, err := store.OpenSession(b.Context(), db, "s")
	if err != nil {
		b.Fatal(err)
	}
	st.Close()
	if code != exitOK || s.Commands != int64(6*b.N) || s.Events != int64(4*b.N) {
		b.Fatalf("exit %d, %d commands, %d events: %s", code, s.Commands, s.Events, p.said())
	}
	b.ReportMetric(float64(15*b.N)/ours.Seconds(), "messages/s")
	b.ReportMetric(float64(p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "MiB-peak")
	path, err := exec.LookPath("tshark")
	if err != nil || b.N < 100 {
		return
	}
	begin = time.Now()
	if err := exec.Command(path, "-r", file, "-d", "tcp.port==44709,openwire").Run(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(begin).Seconds()/ours.Seconds(), "times-tshark")
}
