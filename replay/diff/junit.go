package diff

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitOutcome `xml:"failure"`
	Error   *junitOutcome `xml:"error"`
	Skipped *junitOutcome `xml:"skipped"`
}

type junitOutcome struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report for build servers: one test suite with a case
// for each conversation, which fails on a difference and is skipped when a
// replay did not play it to its end; one for the evidence, which is an error
// where a session has gaps; and one for each command's latency.
func (r *Report) WriteJUnit(w io.Writer) error {
	s := junitSuite{Name: fmt.Sprintf("gctap diff %s %s", r.Left.Name.Name, r.Right.Name.Name)}
	if r.Left.Filter != "" {
		s.Name += " of " + r.Left.Filter
	}
	s.add(r.evidenceCase())
	byConversation := map[string][]*Difference{}
	for i := range r.Differences {
		d := &r.Differences[i]
		byConversation[d.Conversation] = append(byConversation[d.Conversation], d)
	}
	for _, name := range r.conversations {
		s.add(r.conversationCase(name, byConversation[name]))
		delete(byConversation, name) // two topics of one name are one case
	}
	for _, l := range r.Latency {
		c := junitCase{Class: "gctap.diff.latency", Name: l.Name}
		if l.Regressed {
			c.Failure = &junitOutcome{Message: fmt.Sprintf("p95 %s, was %s", round(l.Right.P95), round(l.Left.P95)), Type: "latency"}
			if !r.failLatency {
				c.Failure, c.Skipped = nil, c.Failure
			}
		}
		s.add(c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", " ")
	if err := out.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// evidenceCase says whether the sessions are whole.
func (r *Report) evidenceCase() junitCase {
	c := junitCase{Class: "gctap.diff", Name: "evidence"}
	if n := r.Left.Gaps + r.Right.Gaps; n > 0 {
		c.Error = &junitOutcome{Message: fmt.Sprintf("%d gaps in the left session, %d in the right", r.Left.Gaps, r.Right.Gaps), Type: "gaps"}
	}
	return c
}

func (r *Report) conversationCase(name string, differences []*Difference) junitCase {
	c := junitCase{Class: "gctap.diff.conversation", Name: name}
	for _, stop := range append(r.Left.Stopped, r.Right.Stopped...) {
		if strings.TrimPrefix(stop.Conversation, "dest:") == name {
			c.Skipped = &junitOutcome{Message: "not played to its end: " + stop.Reason}
		}
	}
	if len(differences) == 0 {
		return c
	}
	var b strings.Builder
	for _, d := range differences {
		fmt.Fprintf(&b, "%s %s %s (%s): %s\n", d.Class, d.Name, d.State, seqs(d), d.Why)
		for _, f := range d.Fields {
			fmt.Fprintf(&b, "  %s: %s, was %s\n", f.Field, quoted(f.Right), quoted(f.Left))
		}
	}
	c.Skipped = nil
	c.Failure = &junitOutcome{Message: fmt.Sprintf("%d differences", len(differences)), Type: differences[0].Class, Text: b.String()}
	return c
}
