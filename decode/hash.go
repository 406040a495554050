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

// inside reports whether a text holds anything to look at.
func (h hashing) inside(text string) bool {
	if h.restore == "" {
		return false
	}
	if h.possible {
		return strings.Contains(text, hash6) // hash8 holds it
	}
	return strings.Contains(text, h.restore)
}

// unhash restores '#' in a value, or notes what may be one (names.md 1.8).
func (d *decoder) unhash(kind Hash, v *Value, p *path, at int32) {
	h := d.hash
	if kind == HashNumber {
		if h.possible && strings.Contains(v.Text, hash8) {
			d.add(PossibleEscape, p, "may be an escaped #, left alone in a number or id", at)
		}
		return
	}
	if strings.Contains(v.Text, h.restore) {
		v.Text = strings.ReplaceAll(v.Text, h.restore, "#")
		d.add(EscapedHash, p, "an escaped # was restored", at)
	}
	if h.possible && strings.Contains(v.Text, hash6) {
		d.add(PossibleEscape, p, "may be an escaped #, left alone", at)
	}
}
