package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gctap/replay"
	"gctap/replay/diff"
	"gctap/store"
)

// receiptJSON is what a replay proved, for whoever reads a build job later.
type receiptJSON struct {
	Program   string      `json:"program"`
	Recording proofJSON   `json:"recording"`
	Replay    proofJSON   `json:"replay"`
	Plan      string      `json:"plan"` // SHA-256 of what --dry-run --json prints
	Sync      replay.Sync `json:"sync"`
	Speed     string      `json:"speed"`
	Stimulus  string      `json:"stimulus"`
	Filter    string      `json:"filter,omitempty"` // the slice that was played
	Commands  int         `json:"commands"`
	Sent      int         `json:"sent"`
	Received  int         `json:"received"`
	Skipped   int         `json:"skipped"`
	Stopped   int         `json:"stopped"` // conversations
	Missed    int         `json:"missed"`  // events awaited in vain
	Complete  bool        `json:"complete"`
	Seconds   float64     `json:"seconds"`

	Verdict string       `json:"verdict"` // of --diff; "" where nothing was compared
	Counts  *diff.Counts `json:"counts"`
}

// proofJSON is a session and the head of its hash chain, which verify prints
// too; empty where the session has none.
type proofJSON struct {
	Session  int64  `json:"session"`
	Name     string `json:"name"`
	Head     string `json:"head"`
	Records  int64  `json:"records"`
	Unsealed int64  `json:"unsealed"`
	Broken   bool   `json:"broken"`
	Build    string `json:"build"` // program that recorded it
}

// noReceipt removes the receipt of an earlier replay: where this one comes to
// nothing, a build job must not read that.
func (r *replaying) noReceipt() error {
	if r.flags.receipt == "" {
		return nil
	}
	if err := os.Remove(r.flags.receipt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usagef("--receipt: %w", err)
	}
	return nil
}

// receipt writes the file of --receipt, if one is asked for.
func (r *replaying) receipt(ctx context.Context, result *replay.Result, db *store.Store, s store.Session, found *diff.Report) error {
	if r.flags.receipt == "" {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	recording, err := proofOf(ctx, r.from, r.source)
	if err != nil {
		return fmt.Errorf("--receipt: %w", err)
	}
	played, err := proofOf(ctx, db, s)
	if err != nil {
		return fmt.Errorf("--receipt: %w", err)
	}
	plan := sha256.New()
	if err := r.plan.WriteJSON(plan); err != nil {
		return fmt.Errorf("--receipt: %w", err)
	}
	out := receiptJSON{
		Program: "gctap " + version, Recording: recording, Replay: played, Plan: hex.EncodeToString(plan.Sum(nil)),
		Sync: r.opts.Sync, Speed: r.flags.speed, Stimulus: r.flags.stimulus, Filter: r.flags.filter, Commands: len(r.plan.Steps), Sent: result.Sent,
		Received: result.Received, Skipped: result.Skipped, Stopped: len(result.Stopped), Missed: len(result.Missed),
		Complete: result.Complete() && r.plan.Gaps == 0, Seconds: result.Took.Seconds(),
	}
	if found != nil {
		out.Verdict, out.Counts = found.Verdict, &found.Counts
	}
	err = output(r.app, r.flags.receipt, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(out)
	})
	if err != nil {
		return fmt.Errorf("--receipt: %w", err)
	}
	return nil
}

func proofOf(ctx context.Context, db *store.Store, s store.Session) (proofJSON, error) {
	v, err := db.Verify(ctx, s.ID, nil)
	if err != nil {
		return proofJSON{}, err
	}
	return proofJSON{Session: s.ID, Name: s.Name, Head: v.Head, Records: v.Records, Unsealed: v.Unsealed, Broken: v.Broken != nil, Build: s.Program}, nil
}
