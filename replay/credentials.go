package replay

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// A Credential is what an agent logs in with.
type Credential struct {
	Password  string
	Extension string // "": that of the recording
}

// Credentials are those of a file, by the replay's login ids.
type Credentials map[string]Credential

// ReadCredentials reads lines "agent,password[,extension]". A password that
// holds a comma or a quote is written in quotes, as in CSV. Blank lines and
// lines that begin with # are skipped. An error names the line, never what
// stands in it.
func ReadCredentials(r io.Reader) (Credentials, error) {
	lines := csv.NewReader(r)
	lines.FieldsPerRecord = -1
	lines.Comment = '#'
	found := Credentials{}
	for {
		fields, err := lines.Read()
		if err == io.EOF {
			return found, nil
		}
		line, _ := lines.FieldPos(0)
		if err != nil {
			return nil, fmt.Errorf("credentials, line %d: not agent,password[,extension]; a password with a comma or a quote is written in quotes", errorLine(err, line))
		}
		agent := strings.TrimSpace(fields[0])
		if agent == "" || len(fields) < 2 || len(fields) > 3 {
			return nil, fmt.Errorf("credentials, line %d: not agent,password[,extension]", line)
		}
		c := Credential{Password: fields[1]}
		if len(fields) == 3 {
			c.Extension = strings.TrimSpace(fields[2])
		}
		found[agent] = c
	}
}

func errorLine(err error, line int) int {
	if parse, ok := err.(*csv.ParseError); ok {
		return parse.Line
	}
	return line
}
