package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gctap/decode/flow"
	"gctap/replay"
)

// TestReplayExec has a command bring every stimulus of the shift about: it
// repeats what it reads, and the test does it.
func TestReplayExec(t *testing.T) {
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	lab := startLaboratory(t, 81)
	p, _ := typedReplay(t, db, lab, "--stimulus", "exec:tee -a "+os.DevNull, "--name", "by command", "--diff")
	for line := range p.lines {
		text, ok := strings.CutPrefix(line, "tee: ")
		if !ok {
			continue
		}
		var s struct {
			Stimulus                    flow.StimulusKind
			Seq                         int64
			Agent, Number, Dialog, Type string
			Variables                   map[string]string
		}
		if err := json.Unmarshal([]byte(text), &s); err != nil || s.Seq == 0 {
			t.Errorf("%s: %v", text, err)
		}
		st, _ := simStimulus(&replay.Stimulus{Stimulus: flow.Stimulus{Kind: s.Stimulus, Agent: s.Agent, Number: s.Number,
			Dialog: s.Dialog, Type: s.Type, Vars: s.Variables}})
		if err := lab.gc.Stimulate(st); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if code := p.end(nil); code != exitOK || !strings.HasPrefix(p.out.String(), "same: ") {
		t.Errorf("exit %d: %s%s", code, p.out.String(), p.said())
	}
}

func TestReplayExecFails(t *testing.T) {
	t.Parallel() // it waits more than it works
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	p, _ := typedReplay(t, db, startLaboratory(t, 82), "--stimulus", "exec:false", "--name", "failed")
	if code := p.end(nil); code != exitIncomplete || !strings.Contains(p.said(), "waits for an inbound call from 5552001 to agent 1001: false: exit status 1") {
		t.Errorf("exit %d: %s", code, p.said())
	}
	for how, want := range map[string]string{"exec:": "names no command", "exec:/nowhere/at-all": "/nowhere/at-all"} {
		p, _ := typedReplay(t, db, startLaboratory(t, 83), "--stimulus", how)
		if code := p.end(nil); code != exitFailed || !strings.Contains(p.said(), want) {
			t.Errorf("%s: exit %d: %s", how, code, p.said())
		}
	}
}

// TestReplayExecIsKilled: the command ends with the replay, and with it what it
// has started.
func TestReplayExecIsKilled(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "t.db")
	recordShift(t, db)
	script := filepath.Join(dir, "call")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 600 &\necho started $!\nwait\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, _ := typedReplay(t, db, startLaboratory(t, 84), "--timeout", "10m", "--stimulus", "exec:"+script, "--name", "killed")
	line := p.until(": started [0-9]+$")
	if code := p.end(os.Interrupt); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, p.said())
	}
	child := line[strings.LastIndexByte(line, ' ')+1:]
	if state, err := exec.Command("ps", "-o", "stat=", "-p", child).Output(); err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z") {
		t.Errorf("process %s is still there: %s", child, state)
	}
}

func TestReplayPrompt(t *testing.T) {
	t.Parallel() // it waits more than it works
	db := filepath.Join(t.TempDir(), "t.db")
	recordShift(t, db)
	t.Run("cannot", func(t *testing.T) {
		p, keys := typedReplay(t, db, startLaboratory(t, 85), "--stimulus", "prompt", "--name", "prompted")
		for line := range p.lines {
			if strings.HasPrefix(line, "please ") {
				press(t, keys, "x")
			}
		}
		if code := p.end(nil); code != exitIncomplete || !strings.Contains(p.said(), "not brought about: an inbound call from 5552001 to agent 1001: it could not be done") {
			t.Errorf("exit %d: %s", code, p.said())
		}
	})
	t.Run("it comes", func(t *testing.T) {
		lab := startLaboratory(t, 86)
		p, _ := typedReplay(t, db, lab, "--stimulus", "prompt", "--name", "placed", "--timeout", "10m")
		asked := regexp.MustCompile(`place a call from (\S+) to agent (\d+)`).FindStringSubmatch(p.until("^please place a call from .*; Enter"))
		st, _ := simStimulus(&replay.Stimulus{Stimulus: flow.Stimulus{Kind: flow.CallComes, Agent: asked[2], Number: asked[1]}})
		if err := lab.gc.Stimulate(st); err != nil {
			t.Fatal(err)
		}
		p.until("^no longer needed: " + asked[0])
		p.until("^please ")
		if code := p.end(os.Interrupt); code != exitInterrupted { // while it asks
			t.Errorf("exit %d: %s", code, p.said())
		}
		if s, _ := records(t, db, "placed"); s.EndReason != "interrupted" {
			t.Errorf("session %+v", s)
		}
	})
	t.Run("nobody is there", func(t *testing.T) {
		credentials, _ := credentialsFile(t, t.TempDir())
		p := gctap(t, db, "replay", "incident", "--to", startLaboratory(t, 87).URL(), "--look", "50ms", "--allow-source", "--sync", "cause",
			"--credentials", credentials, "--stimulus", "prompt", "--timeout", "300ms", "--name", "alone")
		if code := p.end(nil); code != exitIncomplete || !strings.Contains(p.said(), "please place a call from 5552001 to agent 1001\n") {
			t.Errorf("exit %d: %s", code, p.said())
		}
	})
}
