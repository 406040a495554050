package decode

import "strings"

// hashing is the setting for an escaped '#' of one message.
type hashing struct {
	restore  string // restored in text; "" restores nothing
	possible bool   // digits that may be another form are noted
}

func hashSetting(token string) hashing {
	switch token {
	case "":
		return hashing{restore: hash8, possible: true}
	case "none":
		return hashing{}
	}
	return hashing{restore: token}
}

// mayHold reports whether a value may hold an escaped '#'. It is asked for most
// values of an event, so it looks at the last of 6 bytes first: what cannot end
// there is skipped (Horspool).
func (h hashing) mayHold(text string) bool {
	if !h.possible {
		return strings.Contains(text, h.restore)
	}
	for i := len(hash6) - 1; i < len(text); { // hash8 holds hash6
		switch text[i] {
		case '1':
			if text[i-5:i+1] == hash6 {
				return true
			}
			i++
		case '0':
			i += 2
		default:
			i += len(hash6)
		}
	}
	return false
}

// unhash restores '#' in a value, or notes what may be one (names.md 1.8).
func (d *decoder) unhash(kind Hash, v *Value, at int32) {
	h := d.hash
	if h.restore == "" || !h.mayHold(v.Text) {
		return
	}
	if kind == HashNumber {
		if h.possible && strings.Contains(v.Text, hash8) {
			d.add(PossibleEscape, "may be an escaped #, left alone in a number or id", at)
		}
		return
	}
	if strings.Contains(v.Text, h.restore) {
		v.Text = strings.ReplaceAll(v.Text, h.restore, "#")
		d.add(EscapedHash, "an escaped # was restored", at)
	}
	if h.possible && strings.Contains(v.Text, hash6) {
		d.add(PossibleEscape, "may be an escaped #, left alone", at)
	}
}
