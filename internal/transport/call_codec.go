package transport

import "encoding/binary"

// A message on the lane Call is a request or the answer to one. Integers are
// little-endian.
//
//	request  | 1 | number 8B | method 1B | request bytes ... |
//	answer   | 2 | number 8B | answer bytes ...              |
//	fault    | 3 | number 8B | code 1B   | text ...          |
//
// The number is the caller's, and the pair of caller and number names a
// request. A fault of code 0 is an error that the method returned; with any
// other code nothing has been carried out.

type callKind byte

const (
	requestKind callKind = 1 + iota
	answerKind
	faultKind
)

// A faultCode says why there is no answer.
type faultCode byte

const (
	faultMethod   faultCode = iota // the method failed
	faultUnknown                   // there is no such method
	faultBusy                      // too many requests at once
	faultStopping                  // the node is closing
	faultCodes
)

// A callFrame is a decoded message. Its bytes are a part of the message.
type callFrame struct {
	kind   callKind
	number uint64
	method Method    // of a request
	code   faultCode // of a fault
	bytes  []byte
}

func (f callFrame) encode() []byte {
	b := make([]byte, 0, 10+len(f.bytes))
	b = append(b, byte(f.kind))
	b = binary.LittleEndian.AppendUint64(b, f.number)
	switch f.kind {
	case requestKind:
		b = append(b, byte(f.method))
	case faultKind:
		b = append(b, byte(f.code))
	}
	return append(b, f.bytes...)
}

// decodeCall reports whether the message is one.
func decodeCall(b []byte) (f callFrame, ok bool) {
	if len(b) < 9 {
		return f, false
	}
	f.kind, f.number, f.bytes = callKind(b[0]), binary.LittleEndian.Uint64(b[1:]), b[9:]
	if f.kind == answerKind {
		return f, true
	}
	if len(f.bytes) == 0 {
		return f, false
	}
	first := f.bytes[0]
	f.bytes = f.bytes[1:]
	switch f.kind {
	case requestKind:
		f.method = Method(first)
		return f, true
	case faultKind:
		f.code = faultCode(first)
		return f, f.code < faultCodes
	}
	return f, false
}
