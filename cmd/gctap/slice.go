package main

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"gctap/store"
)

// sliceHelp is what every command that reads whole sessions says of --filter.
const sliceHelp = `With --filter the whole session is still read, because what a message means shows only
among all of them; what is said is about the messages that the expression accepts. Gaps
are never filtered away.`

// filterFlag adds --filter to a command.
func filterFlag(flags *pflag.FlagSet, text *string, what string) {
	flags.StringVar(text, "filter", "", what)
}

// tellSlice says that not all of a session was spoken of, and for how many
// messages the filter could not be worked out.
func tellSlice(w io.Writer, part *store.Selection) {
	if slice := part.Slice(); slice != nil {
		fmt.Fprintf(w, "a slice: %d of %d messages, those that the filter %s accepts\n", slice.Messages, slice.Of, printable(slice.Filter))
	}
	tellFailures(w, part.Filter())
}
