package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"gctap/replay"
)

// stimulusHelp is what --stimulus takes.
const stimulusHelp = "none, sim, prompt, or exec:COMMAND"

// checkStimulus refuses what --stimulus does not take.
func checkStimulus(how string) error {
	if command, ok := strings.CutPrefix(how, "exec:"); ok {
		words := strings.Fields(command)
		if len(words) == 0 {
			return usagef("--stimulus exec: names no command: write exec:./place-call --trunk 1")
		}
		if _, err := exec.LookPath(words[0]); err != nil {
			return usagef("--stimulus exec: %w", err)
		}
		return nil
	}
	if how != "none" && how != "sim" && how != "prompt" {
		return usagef("--stimulus %s: it is %s", how, stimulusHelp)
	}
	return nil
}

// A prompt asks a person to bring a stimulus about, one at a time.
type prompt struct {
	turn chan struct{} // holds one token
	say  *talker

	mu      sync.Mutex
	answers chan byte // of the question that is open; nil: none
	deaf    bool      // no key can come
}

func newPrompt(say *talker) *prompt {
	p := &prompt{turn: make(chan struct{}, 1), say: say}
	p.turn <- struct{}{}
	return p
}

// errCannot is the answer of a person who cannot do what is asked for.
var errCannot = errors.New("it could not be done")

// arrange is replay.PlayOptions.Arrange.
func (p *prompt) arrange(ctx context.Context, s replay.Stimulus) error {
	select {
	case <-p.turn:
		defer func() { p.turn <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	answers := p.open()
	defer p.close()
	if answers == nil {
		p.say.line("please %s", s.Wanted())
		return nil // --timeout counts from here
	}
	p.say.line("please %s; Enter: done, x: cannot be done", s.Wanted())
	for {
		select {
		case key := <-answers:
			switch key {
			case '\n', '\r':
				return nil
			case 'x':
				return errCannot
			}
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, errInterrupted) {
				p.say.line("no longer needed: %s", s.Wanted())
			}
			return context.Cause(ctx)
		}
	}
}

func (p *prompt) open() <-chan byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deaf {
		return nil
	}
	p.answers = make(chan byte, 1)
	return p.answers
}

func (p *prompt) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = nil
}

// key takes a key if it answers an open question.
func (p *prompt) key(key byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers == nil || key != '\n' && key != '\r' && key != 'x' {
		return false
	}
	select {
	case p.answers <- key:
	default: // it is answered already
	}
	return true
}

// end is told that no more keys will come: who is asked has done what he can.
func (p *prompt) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
	if p.answers != nil {
		select {
		case p.answers <- '\n':
		default:
		}
	}
}

// execGrace is how long a command's output is waited for after it was killed.
const execGrace = 500 * time.Millisecond

// execStimulus brings a stimulus about by a command, which is run without a
// shell, reads the stimulus as JSON and is killed with the replay, with all it
// has started. What it prints is said.
func execStimulus(command string, say *talker) func(context.Context, replay.Stimulus) error {
	words := strings.Fields(command)
	return func(ctx context.Context, s replay.Stimulus) error {
		in, err := json.Marshal(s)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, words[0], words[1:]...)
		cmd.Stdin = bytes.NewReader(append(in, '\n'))
		out := &saidLines{say: say, prefix: words[0]}
		cmd.Stdout, cmd.Stderr = out, out
		cmd.WaitDelay = execGrace
		ownGroup(cmd)
		err = cmd.Run()
		out.end()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", words[0], err)
			say.line("%s: %v", s.Wanted(), err)
		}
		return err
	}
}

// saidLines says what is written to it, line by line.
type saidLines struct {
	say    *talker
	prefix string
	rest   []byte
}

func (w *saidLines) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok && len(w.rest) < 4096 {
			return len(b), nil
		}
		if !ok {
			line, rest = w.rest, nil
		}
		w.say.line("%s: %s", w.prefix, line)
		w.rest = rest
	}
}

func (w *saidLines) end() {
	if len(w.rest) > 0 {
		w.say.line("%s: %s", w.prefix, w.rest)
	}
}
