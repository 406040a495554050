package wire

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"gctap/capture"
)

// tshark returns what runs it, or skips the test where there is none.
func tshark(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("GCTAP_REQUIRE_TSHARK") != "" {
			t.Fatal(err)
		}
		t.Skip("no tshark here")
	}
	return exec.Command(path, args...)
}

// serverPort is the port that the first connection of a capture goes to.
func serverPort(t testing.TB, file []byte) (port string) {
	t.Helper()
	eachPacket(t, file, func(b []byte, _ gopacket.CaptureInfo) {
		p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.NoCopy)
		if tcp, ok := p.TransportLayer().(*layers.TCP); ok && tcp.SYN && !tcp.ACK && port == "" {
			port = fmt.Sprint(uint16(tcp.DstPort))
		}
	})
	return port
}

// tsharkFields has tshark read a capture as OpenWire; one line a packet.
func tsharkFields(t testing.TB, file []byte, fields ...string) [][]string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "test.pcap")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", name, "-d", "tcp.port==" + serverPort(t, file) + ",openwire", "-T", "fields", "-Y", "openwire"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := tshark(t, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.Bytes())
	}
	var lines [][]string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Split(strings.TrimRight(line, "\n"), "\t"))
	}
	return lines
}

// The same commands in the same order in what each port sent to each, as
// tshark names them; and bodies that it cannot read.
func TestTsharkNamesTheSame(t *testing.T) {
	for name, file := range captures(t) {
		if !strings.HasPrefix(name, "openwire") || strings.Contains(name, "bare") { // tshark wants lengths in front
			continue
		}
		t.Run(name, func(t *testing.T) {
			theirs, theirBodies := map[string][]string{}, ""
			for _, line := range tsharkFields(t, file, "tcp.srcport", "tcp.dstport", "openwire.command", "openwire.message.body") {
				key := line[0] + ">" + line[1]
				theirs[key] = append(theirs[key], strings.Split(line[2], ",")...)
				theirBodies += line[3]
			}
			ours := map[string][]string{}
			var c collector
			p := newPcapReader(PcapConfig{Via: name, Emit: c.emit})
			p.d.trace = func(conn *Conn, from Side, _ time.Time, o *object) {
				_, src, _ := strings.Cut(conn.endpoint(from), ":")
				_, dst, _ := strings.Cut(conn.endpoint(from.other()), ":")
				ours[src+">"+dst] = append(ours[src+">"+dst], fmt.Sprint(o.code))
			}
			if err := p.file(context.Background(), bytes.NewReader(file)); err != nil {
				t.Fatal(err)
			}
			p.finish()
			for key, want := range theirs {
				if got := fmt.Sprint(ours[key]); got != fmt.Sprint(want) {
					t.Errorf("%s\n   ours %s\ntshark %s", key, got, want)
				}
			}
			if len(ours) < 4 || len(theirs) != len(ours) {
				t.Errorf("%d directions, tshark has %d", len(ours), len(theirs))
			}
			if strings.Contains(name, "tight") {
				if theirBodies != "" {
					t.Errorf("tshark has learned to read tight bodies: %q", theirBodies)
				}
				if n := len(c.of(capture.Command)); n != len(wantTraffic)+3 {
					t.Errorf("%d commands with their bodies, want %d", n, len(wantTraffic)+3)
				}
			}
		})
	}
}
