package main

import (
	"os"

	"github.com/spf13/cobra"

	"gctap/store"
	"gctap/viewer"
)

func viewCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "view [SESSION]",
		Short: "Look at sessions in the terminal, those being recorded too",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !isTerminal(a.Out) {
				return usagef("view needs a terminal: use `gctap show` for a file or a pipe")
			}
			options := viewer.Options{Plain: a.color == "never" || a.color != "always" && os.Getenv("NO_COLOR") != ""}
			if len(args) == 0 {
				s, err := store.Open(cmd.Context(), a.db, store.Read)
				if err != nil {
					return err
				}
				defer s.Close()
				return viewer.Run(cmd.Context(), s, options)
			}
			s, session, err := store.OpenSession(cmd.Context(), a.db, args[0])
			if err != nil {
				return err
			}
			defer s.Close()
			options.Session = &session
			return viewer.Run(cmd.Context(), s, options)
		},
	}
}
