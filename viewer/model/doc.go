// Package model is the viewer without a terminal: what is shown, what is
// selected, and what a named action does to it. The package viewer draws it and
// feeds it keys; tests drive it directly.
//
// It never holds a session: a list is a window over the store's pages, and a
// selection is a seq, not a row number.
package model
