package main

import (
	"regexp"
	"runtime"
	"strings"
	"unsafe"
)

// passwordInURL finds what stands between user and host of a broker URL. The
// last @ before a space, comma or bracket ends it, as capture/link reads it.
var passwordInURL = regexp.MustCompile(`://[^:/@\s]*:([^\s,()]*)@`)

// takeArgs returns a copy of the program's arguments and then blots out the
// passwords of URLs among them in the memory that the system shows as the
// process's title, so that `ps` on a shared machine does not.
func takeArgs(args []string) []string {
	taken := make([]string, len(args))
	for i, arg := range args {
		taken[i] = strings.Clone(arg)
		for _, span := range passwordInURL.FindAllStringSubmatchIndex(taken[i], -1) {
			blot(arg, span[2], span[3])
		}
	}
	return taken
}

// blot overwrites arg[start:end] where it lies. On Unix the strings of os.Args
// are the very bytes that the kernel placed on the stack; elsewhere they are
// copies, and there is nothing to gain.
func blot(arg string, start, end int) {
	if runtime.GOOS == "windows" || start == end {
		return
	}
	bytes := unsafe.Slice(unsafe.StringData(arg), len(arg))
	for i := start; i < end; i++ {
		bytes[i] = '*'
	}
}
