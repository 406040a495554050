//go:build !linux

package brokertest

import "os/exec"

// dieWithParent cannot be had here; Close ends the command.
func dieWithParent(*exec.Cmd) {}
