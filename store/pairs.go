package store

import (
	"fmt"
	"strconv"
	"strings"

	"gctap/capture"
)

// Headers and masks are kept as lines "name:value", readable in any SQLite
// shell. The four bytes that would break a line are written as STOMP writes
// them; every other byte stands as it came.
var (
	escapePair   = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, ":", `\c`)
	unescapePair = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\c`, ":")
)

// headerLines returns nil for no headers.
func headerLines(headers []capture.Header) any {
	if len(headers) == 0 {
		return nil
	}
	var b strings.Builder
	for i, h := range headers {
		writePair(&b, i, h.Name, h.Value)
	}
	return b.String()
}

func maskLines(masks []capture.Mask) any {
	if len(masks) == 0 {
		return nil
	}
	var b strings.Builder
	for i, m := range masks {
		writePair(&b, i, m.Field, strconv.Itoa(m.Start)+"-"+strconv.Itoa(m.End))
	}
	return b.String()
}

func writePair(b *strings.Builder, i int, name, value string) {
	if i > 0 {
		b.WriteByte('\n')
	}
	escapePair.WriteString(b, name)
	b.WriteByte(':')
	escapePair.WriteString(b, value)
}

func readHeaders(lines *string) ([]capture.Header, error) {
	if lines == nil {
		return nil, nil
	}
	var headers []capture.Header
	err := readPairs(*lines, func(name, value string) error {
		headers = append(headers, capture.Header{Name: name, Value: value})
		return nil
	})
	return headers, err
}

func readMasks(lines *string) ([]capture.Mask, error) {
	if lines == nil {
		return nil, nil
	}
	var masks []capture.Mask
	err := readPairs(*lines, func(field, span string) error {
		start, end, _ := strings.Cut(span, "-")
		from, err1 := strconv.Atoi(start)
		to, err2 := strconv.Atoi(end)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("a mask reads %q", span)
		}
		masks = append(masks, capture.Mask{Field: field, Start: from, End: to})
		return nil
	})
	return masks, err
}

func readPairs(lines string, pair func(name, value string) error) error {
	for line := range strings.SplitSeq(lines, "\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("a header reads %q", line)
		}
		if err := pair(unescapePair.Replace(name), unescapePair.Replace(value)); err != nil {
			return err
		}
	}
	return nil
}
