package main

import (
	"syscall"
	"unsafe"
)

// singleKeys has a terminal hand over each key at once and without showing it;
// signals and line ends stay as they are. It does nothing to the terminal of
// another: in the background, reading from it would stop the process.
func singleKeys(fd int) (undo func(), err error) {
	var group int32
	if err := ioctl(fd, syscall.TIOCGPGRP, unsafe.Pointer(&group)); err != nil {
		return nil, err
	}
	if int(group) != syscall.Getpgrp() {
		return nil, errBackground
	}
	var before syscall.Termios
	if err := ioctl(fd, syscall.TCGETS, unsafe.Pointer(&before)); err != nil {
		return nil, err
	}
	now := before
	now.Lflag &^= syscall.ICANON | syscall.ECHO
	now.Cc[syscall.VMIN], now.Cc[syscall.VTIME] = 1, 0
	if err := ioctl(fd, syscall.TCSETS, unsafe.Pointer(&now)); err != nil {
		return nil, err
	}
	return func() { _ = ioctl(fd, syscall.TCSETS, unsafe.Pointer(&before)) }, nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
