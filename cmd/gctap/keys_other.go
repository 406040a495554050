//go:build !linux

package main

import "errors"

// singleKeys leaves the terminal as it is: keys need Enter.
func singleKeys(int) (undo func(), err error) { return nil, errors.ErrUnsupported }
