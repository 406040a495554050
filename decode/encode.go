package decode

// Encode returns the bytes of a message that Decode made, whatever they were.
func Encode(m *Message) (Input, error) {
	return m.wire(), nil
}

// wire returns the bytes that Decode read.
func (m *Message) wire() Input {
	in := Input{Direction: m.dir}
	if m.input&hasType != 0 {
		t := m.jmsType
		in.Type = &t
	}
	if m.input&hasBody != 0 {
		in.Body = []byte(m.raw)
	}
	return in
}
