package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// The exit statuses that scripts and CI jobs depend on. When several apply:
// 130, then 2, 1, 3, 0.
const (
	exitOK          = 0
	exitNegative    = 1   // done, and the verdict is negative
	exitFailed      = 2   // could not run: usage, connection, file
	exitIncomplete  = 3   // ran, but the evidence has gaps
	exitInterrupted = 130 // interrupted; everything received was saved
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// An exitError ends the program with a status other than exitFailed. Its text,
// if any, is printed like every error's.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// negative and incomplete end a command that has already said why.
var (
	negative   = &exitError{code: exitNegative}
	incomplete = &exitError{code: exitIncomplete}
)

// usagef is a mistake in how the program was called: what is wrong; what to do.
func usagef(format string, args ...any) error {
	return fmt.Errorf(format, args...)
}

// status prints err as one line and returns the exit status it stands for.
func status(err error, w io.Writer) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	} else if errors.Is(err, errInterrupted) {
		code = exitInterrupted
	}
	if text := oneLine(err.Error()); text != "" {
		fmt.Fprintf(w, "gctap: %s\n", text)
	}
	return code
}

// oneLine folds line breaks, which cobra and drivers put into their errors.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
