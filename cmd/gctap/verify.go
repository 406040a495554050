package main

import (
	"crypto/ed25519"
	"fmt"

	"github.com/spf13/cobra"

	"gctap/store"
)

func verifyCommand(a *app) *cobra.Command {
	var keyFile, head string
	var printHead, asJSON bool
	cmd := &cobra.Command{
		Use:   "verify SESSION",
		Short: "Check that nothing in a session was changed since it was recorded",
		Long: `Check a session against its hash chain and its signed checkpoints. Public keys are
enough: those of --key, else this user's own.

Exit 0: everything was signed by known keys and is as it was signed. 1: something was
changed, removed, added or cut; the first place is named. 3: nothing is wrong in what
was signed, but records at the end are not sealed yet, or a key is not known.

Whoever holds the signing key can write a session anew from the start. To rule that
out, lodge the head that --print-head prints with somebody else while the session is
recorded, and give it with --head later.`,
		Args: counted(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var keys []ed25519.PublicKey
			if keyFile != "" {
				var err error
				if keys, err = store.ReadPublicKeys(keyFile); err != nil {
					return err
				}
			}
			s, session, err := store.OpenSession(cmd.Context(), a.db, args[0])
			if err != nil {
				return err
			}
			defer s.Close()
			verdict, err := s.Verify(cmd.Context(), session.ID, keys)
			if err != nil {
				return err
			}
			if head != "" {
				if err := s.VerifyHead(cmd.Context(), session.ID, head, &verdict); err != nil {
					return err
				}
			}
			if err := a.printVerdict(session, &verdict, printHead, asJSON); err != nil {
				return err
			}
			return verdictStatus(&verdict)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&keyFile, "key", "", "file with the public keys to trust: the signing.key.pub of who recorded")
	flags.BoolVar(&printHead, "print-head", false, "print the head of the last checkpoint and nothing else")
	flags.StringVar(&head, "head", "", "a head that was lodged elsewhere: the chain must go through it")
	flags.BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func verdictStatus(v *store.Verdict) error {
	switch {
	case v.Broken != nil:
		return negative
	case !v.OK():
		return incomplete
	}
	return nil
}

// verdictJSON are the keys of verify --json.
type verdictJSON struct {
	Session     int64          `json:"session"`
	Verdict     string         `json:"verdict"` // sealed, unsealed, broken, unchained
	Records     int64          `json:"records"`
	Unsealed    int64          `json:"unsealed"`
	Pruned      int64          `json:"pruned"`
	Checkpoints int64          `json:"checkpoints"`
	Annotations int64          `json:"annotations"`
	Head        string         `json:"head"`
	HeadAt      *string        `json:"headAt"`
	Keys        []keyJSON      `json:"keys"`
	Broken      *breakJSON     `json:"broken"`
	Derived     *store.Derived `json:"derived"`
	Proven      int64          `json:"proven"`
}

type keyJSON struct {
	Fingerprint string `json:"fingerprint"`
	Known       bool   `json:"known"`
}

type breakJSON struct {
	Seq     *int64 `json:"seq"`
	Problem string `json:"problem"`
}

func (a *app) printVerdict(session store.Session, v *store.Verdict, head, asJSON bool) error {
	switch {
	case head:
		if v.Head != "" {
			fmt.Fprintln(a.Out, v.Head)
		}
		if v.Broken != nil {
			fmt.Fprintf(a.Err, "gctap: broken: %s\n", printable(v.Broken.Error()))
		}
		return nil
	case asJSON:
		return a.verdictJSON(session, v)
	}
	fmt.Fprintf(a.Out, "session %d, %s\n", session.ID, printable(session.Name))
	for _, line := range v.Describe() {
		fmt.Fprintln(a.Out, printable(line))
	}
	return nil
}

func (a *app) verdictJSON(session store.Session, v *store.Verdict) error {
	out := verdictJSON{Session: session.ID, Verdict: "unsealed", Records: v.Records, Unsealed: v.Unsealed, Pruned: v.Pruned, Checkpoints: v.Checkpoints,
		Annotations: v.Annotations, Head: v.Head, Keys: []keyJSON{}, Derived: v.Derived, Proven: v.Proven}
	switch {
	case v.Broken != nil:
		out.Verdict = "broken"
		out.Broken = &breakJSON{Problem: v.Broken.Problem}
		if v.Broken.Seq > 0 {
			out.Broken.Seq = &v.Broken.Seq
		}
	case !v.Chained:
		out.Verdict = "unchained"
	case v.Sealed:
		out.Verdict = "sealed"
	}
	if v.Head != "" {
		at := jsonTime(v.HeadAt)
		out.HeadAt = &at
	}
	for _, k := range v.Keys {
		out.Keys = append(out.Keys, keyJSON{store.Fingerprint(k.Public), k.Known})
	}
	return jsonLines(a.Out).Encode(out)
}
