package server

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
)

// requestIDs spell 256 random bits in 52 characters, 0-9 and A-V, as the
// service does.
var requestIDs = base32.HexEncoding.WithPadding(base32.NoPadding)

// newRequestID returns an id for one answer. The runtime's generator keeps its
// state per thread, so concurrent requests do not meet at a lock.
func newRequestID() string {
	var raw [32]byte
	for i := 0; i < len(raw); i += 8 {
		binary.LittleEndian.PutUint64(raw[i:], rand.Uint64())
	}
	var text [52]byte
	requestIDs.Encode(text[:], raw[:])
	return string(text[:])
}
