package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// stdio is where a command reads and writes.
type stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// app is what all commands share: the standard streams and the global flags.
type app struct {
	stdio
	db    string // --db
	color string // --color
}

// commands are the program; help sorts them. A function, because demo runs
// commands of this program itself.
func commands() []func(*app) *cobra.Command {
	return []func(*app) *cobra.Command{
		auditCommand,
		checkCommand,
		decodeCommand,
		diffCommand,
		demoCommand,
		doctorCommand,
		encodeCommand,
		explainCommand,
		exportCommand,
		gcsimCommand,
		importCommand,
		manCommand,
		mockCommand,
		proxyCommand,
		pruneCommand,
		recordCommand,
		releaseCommand,
		replayCommand,
		reportCommand,
		sessionsCommand,
		showCommand,
		shrinkCommand,
		statsCommand,
		verifyCommand,
		viewCommand,
		versionCommand,
	}
}

func newRoot(io stdio) *cobra.Command {
	a := &app{stdio: io}
	root := &cobra.Command{
		Use:           "gctap",
		Short:         "Record, inspect, replay and compare Generic Connector traffic",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	root.PersistentFlags().StringVar(&a.db, "db", defaultDB(), "the store (default $GCTAP_DB)")
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "auto, always or never; NO_COLOR is honoured")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; `%s --help` lists the flags", err, cmd.CommandPath())
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains([]string{"auto", "always", "never"}, a.color) {
			return usagef("--color %s: it is auto, always or never", a.color)
		}
		return nil
	}
	root.SetHelpCommand(helpCommand(root))
	for _, command := range commands() {
		root.AddCommand(command(a))
	}
	return root
}

// helpCommand is cobra's, but an unknown topic is a mistake.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("help %s: no such command; `gctap help` lists them", strings.Join(args, " "))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// defaultDB is $GCTAP_DB, else gctap.db in the user's data folder.
func defaultDB() string {
	if file := os.Getenv("GCTAP_DB"); file != "" {
		return file
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "gctap.db"
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "gctap", "gctap.db")
}

// counted is a check of the number of arguments that says how the command is
// called.
func counted(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		return usagef("%s was given %d arguments; it is called as: %s", cmd.Name(), len(args), cmd.UseLine())
	}
}
