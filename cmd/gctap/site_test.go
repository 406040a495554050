package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gctap/capture"
	"gctap/capture/brokertest"
)

const (
	brokerUser     = "tap"
	brokerPassword = "broker-own-Passw0rd"
)

// noSecrets searches everything that was written and said.
func noSecrets(t *testing.T, dir string, secrets []string, processes ...*process) {
	t.Helper()
	written := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		written[path], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(written) == 0 {
		t.Fatal(len(written), "files to search: ", err)
	}
	for _, p := range processes {
		written["what "+p.cmd.Args[3]+" said"] = []byte(p.said() + p.out.String())
	}
	for name, text := range written {
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds the password %s", name, secret)
			}
		}
	}
}

// TestNoPasswordIsStored sends passwords in every way they were seen to take,
// and some that a person's mistake may take.
func TestNoPasswordIsStored(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true, Users: map[string]string{brokerUser: brokerPassword}})
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	url := strings.Replace(broker.URL(), "://", "://"+brokerUser+":"+brokerPassword+"@", 1)
	p := gctap(t, db, "record", url, "--name", "s")
	p.until("recording session")
	conn := dialBroker(t, url)
	queue := "queue://Connector1"
	messages := []struct{ to, typ, body string }{
		{queue, "Hello#desk", ""},
		{queue, "Connect#1001", "desk,plain-secret1"},
		{queue, "Login#1001", "plain-secret1,3001"},
		{queue, "Login#1002", "comma,in-secret2,3001"},
		{queue, "Logn#1003", "misspelt-secret3,3001"},
		{queue, "MOBILEAGENTLOGIN#1004", "mobile-secret4,3001,5551,true"},
		{queue, "Connect#1005", "desk,sso-secret5,SSO"},
		{queue, "Login#1006", "no-extension-secret6"},
		{queue, " LOGIN # 1007 ", "blank-secret7 , 3001"},
		{queue, "", `{"data":{"type":"Login#1008","body":"rest-secret8,3001"}}`},
		{queue, "", `{"data":{"type":"Login#1009","body":"cut-secret9,3001`},
		{"topic://ConnectorSync", "", "AgentState#1001#peer-secret10#3001#2026-11-21 09:00:00"},
		{"topic://ConnectorSync", "", "AgentState#1001#hash#in-secret11#3001#2026-11-21 09:00:00"},
		{queue, "MakeCall#1001", "again plain-secret1 and " + brokerPassword},
		{"topic://desk", "", "1001#Control#PrintStatusBar#your password is plain-secret1"},
	}
	for _, m := range messages {
		send(t, conn, m.to, m.typ, m.body)
	}
	waitStored(t, db, "s", len(messages))
	if code := p.end(os.Interrupt); code != exitOK {
		t.Errorf("exit %d: %s", code, p.said())
	}
	secrets := []string{brokerPassword}
	for _, m := range messages {
		for _, word := range strings.FieldsFunc(m.body, func(r rune) bool { return strings.ContainsRune(`, #":{}`, r) }) {
			if strings.Contains(word, "secret") {
				secrets = append(secrets, word)
			}
		}
	}
	noSecrets(t, dir, secrets, p)
	if _, all := records(t, db, "s"); len(all) != len(messages) || len(all[1].Masked) == 0 {
		t.Errorf("%d records; the second says of its mask: %+v", len(all), all[1].Masked)
	}
}

// TestRecordOnAFullDisk: one clear line, exit 2, and what was stored stays. The
// limit on file size stands in for the disk.
func TestRecordOnAFullDisk(t *testing.T) {
	broker := startBroker(t, brokertest.Options{Mirror: true})
	db := filepath.Join(t.TempDir(), "t.db")
	p := gctapLimited(t, 1000, db, "record", broker.URL(), "--name", "s")
	p.until("recording session")
	conn := dialBroker(t, broker.URL())
	body := strings.Repeat("x", 4000)
	for range 20 {
		send(t, conn, "queue://Connector1", "MakeCall#1001", body)
	}
	waitStored(t, db, "s", 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // more than the disk holds
		for i := 0; ctx.Err() == nil && i < 2000; i++ {
			conn.Send(ctx, capture.Outgoing{To: "queue://Connector1", JMSType: new("MakeCall#1001"), Body: []byte(body)})
		}
	}()
	p.until("recording stopped")
	if code := p.end(nil); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	said := p.said()
	if !strings.Contains(said, "t.db") || !strings.Contains(said, "is kept in session 1") {
		t.Errorf("said %s", said)
	}
	if _, all := records(t, db, "s"); len(all) < 20 || len(all) >= 2000 {
		t.Errorf("%d records are left, want the first 20 and not all", len(all))
	}
}
