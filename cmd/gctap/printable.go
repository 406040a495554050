package main

import "gctap/viewer/model"

// printable makes the control characters of captured text visible, so that no
// message can act on a terminal.
func printable(s string) string { return model.Printable(s) }
