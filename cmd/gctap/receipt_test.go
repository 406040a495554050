package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReceipt runs what a build job runs: replay, compare, keep the receipt.
func TestReceipt(t *testing.T) {
	dir := t.TempDir()
	db, file := filepath.Join(dir, "t.db"), filepath.Join(dir, "receipt.json")
	recordShift(t, db)
	credentials, _ := credentialsFile(t, t.TempDir())
	p := gctap(t, db, "replay", "incident", "--to", startLaboratory(t, 51).URL(), "--sync", "cause", "--stimulus", "sim", "--look", "50ms",
		"--allow-source", "--credentials", credentials, "--diff", "--receipt", file, "--name", "again")
	if code := p.end(nil); code != exitOK {
		t.Fatalf("exit %d: %s%s", code, p.out.String(), p.said())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r receiptJSON
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Verdict != "same" || !r.Complete || r.Commands == 0 || r.Sent != r.Commands || len(r.Plan) != 64 || r.Counts == nil || r.Counts.Matched == 0 {
		t.Errorf("%s", text)
	}
	for _, proof := range []proofJSON{r.Recording, r.Replay} {
		v := gctap(t, db, "verify", proof.Name, "--print-head")
		v.end(nil)
		if head := strings.TrimSpace(v.out.String()); head == "" || head != proof.Head || proof.Broken || proof.Records == 0 {
			t.Errorf("%s: head %s, verify prints %s", proof.Name, proof.Head, head)
		}
	}
	// A replay that comes to nothing leaves no receipt of the one before.
	if code := gctap(t, db, "replay", "incident", "--to", "stomp://127.0.0.1:1", "--credentials", credentials, "--receipt", file).end(nil); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the receipt of the replay before is still there")
	}
}
