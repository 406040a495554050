package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/capture/brokertest"
	"gctap/capture/link"
	"gctap/replay/gcsim"
)

const (
	brokerUser     = "tap"
	brokerPassword = "broker-own-Passw0rd"
)

// A realSite is a real ActiveMQ with a GC that speaks JMS to it.
type realSite struct {
	broker *brokertest.Broker
	jms    *jmsLink
	gc     *gcsim.Server
	people *gcsim.Site
}

func newRealSite(t *testing.T, seed uint64, build string) *realSite {
	t.Helper()
	s := &realSite{people: gcsim.NewSite(5)}
	s.broker = startActiveMQ(t, brokertest.Options{Mirror: true, Users: map[string]string{brokerUser: brokerPassword}})
	classPath, err := brokertest.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	s.jms = dialJMS(t, compileJMSLink(t, classPath), classPath, s.broker.OpenWire(), brokerUser, brokerPassword)
	s.gc, err = gcsim.Serve(t.Context(), s.jms, "", gcsim.Config{
		Site: s.people, Seed: seed, Build: build, ConnectorSync: true,
		DelayMin: time.Millisecond, DelayMax: 20 * time.Millisecond, Camp: 5 * time.Second,
	}, func(text string) { t.Log("GC:", text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.gc.Close() })
	return s
}

func (s *realSite) dial(t *testing.T) capture.Link {
	t.Helper()
	b, err := link.ParseBroker(s.broker.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := link.Open(t.Context(), link.Config{Broker: b, Login: brokerUser, Passcode: brokerPassword})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestSiteEndToEnd is the main job on a real broker: tap it beside a GC that
// reads its queue over OpenWire, lose and take nothing, keep no password,
// replay to another such site, and find no difference.
func TestSiteEndToEnd(t *testing.T) {
	site := newRealSite(t, 1, "a")
	dir := t.TempDir()
	db := filepath.Join(dir, "store", "t.db")
	passwordFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(passwordFile, []byte(brokerPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := []string{"--user", brokerUser, "--password-file", passwordFile}

	tap := gctap(t, db, append([]string{"record", site.broker.URL(), "--name", "incident"}, login...)...)
	tap.until("recording session")
	scenario, err := gcsim.Shift(site.people)
	if err != nil {
		t.Fatal(err)
	}
	if err := gcsim.RunScenario(t.Context(), func() (capture.Link, error) { return site.dial(t), nil }, scenario); err != nil {
		t.Fatal(err)
	}
	heard := site.settled(t)
	waitStored(t, db, "incident", int(heard.Commands+heard.Events))
	if code := tap.end(os.Interrupt); code != exitOK {
		t.Fatalf("record: exit %d: %s", code, tap.said())
	}
	site.storedOnce(t, db, "incident", heard)

	lab := newRealSite(t, 2, "a")
	credentials := lab.credentials(t)
	play := gctap(t, db, append([]string{"replay", "incident", "--to", lab.broker.URL(), "--credentials", credentials,
		"--stimulus", "sim", "--look", "100ms", "--timeout", "20s", "--allow-source"}, login...)...)
	if code := play.end(nil); code != exitOK {
		t.Fatalf("replay: exit %d: %s", code, play.said())
	}
	if got := lab.settled(t); got.Commands != heard.Commands || len(lab.jms.notText) > 0 {
		t.Errorf("the lab's GC read %d commands of %d, and could not read %v", got.Commands, heard.Commands, lab.jms.notText)
	}
	differ := gctap(t, db, "diff", "incident", "@last")
	if code := differ.end(nil); code != exitOK || !strings.Contains(differ.out.String(), "same") {
		t.Errorf("diff of two equal builds: exit %d\n%s%s", code, differ.out.String(), differ.said())
	}
	secrets := []string{brokerPassword}
	for _, p := range site.people.People {
		secrets = append(secrets, p.Password)
	}
	noSecrets(t, dir, secrets, tap, play, differ)
}

// settled returns what GC has counted once nothing is under way any more: what
// was sent before a Beat has been answered before it.
func (s *realSite) settled(t *testing.T) gcsim.Counts {
	t.Helper()
	s.jms.Sync(t.Context())
	before := s.gc.Counts()
	for {
		time.Sleep(50 * time.Millisecond) // polling what has no event of its own: the simulator's quiet
		now := s.gc.Counts()
		if now == before {
			return now
		}
		before = now
	}
}

// storedOnce checks that the session holds what GC got and sent, each once.
func (s *realSite) storedOnce(t *testing.T, db, ref string, heard gcsim.Counts) {
	t.Helper()
	session, all := records(t, db, ref)
	ids := map[string]bool{}
	for i := range all {
		if id := all[i].MessageID; id == "" || ids[id] {
			t.Errorf("record %d has message-id %q, a second time or none", all[i].Seq, id)
		}
		ids[all[i].MessageID] = true
	}
	if session.Commands != heard.Commands || session.Events+session.Peers != heard.Events || session.Gaps != 0 {
		t.Errorf("stored %d commands, %d events, %d peer messages, %d gaps; GC got %d commands and sent %d messages",
			session.Commands, session.Events, session.Peers, session.Gaps, heard.Commands, heard.Events)
	}
	if len(s.jms.notText) > 0 {
		t.Errorf("GC could not read %v", s.jms.notText)
	}
}

// credentials writes the agents' passwords for a replay.
func (s *realSite) credentials(t *testing.T) string {
	t.Helper()
	var lines strings.Builder
	for _, p := range s.people.People {
		fmt.Fprintf(&lines, "%s,%s\n", p.ID, p.Password)
	}
	file := filepath.Join(t.TempDir(), "agents.csv")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

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
