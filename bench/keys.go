package bench

import (
	"encoding/binary"
	"math/rand/v2"
)

// KeySize is the length of every key: an 8-byte prefix that all keys share and
// a big-endian number, as in ids under one table.
const KeySize = 16

// appendKey writes key number i.
func appendKey(dst []byte, i uint64) []byte {
	dst = append(dst, "bench/k:"...)
	return binary.BigEndian.AppendUint64(dst, i)
}

// spread is a fixed permutation of [0, 2^64): random-looking but repeatable
// keys without keeping a list (the finaliser of MurmurHash3).
func spread(i uint64) uint64 {
	i ^= i >> 33
	i *= 0xff51afd7ed558ccd
	i ^= i >> 33
	i *= 0xc4ceb9fe1a85ec53
	return i ^ i>>33
}

// A valuer makes values of which half the bytes compress away.
type valuer struct {
	pool []byte
	size int
}

func newValuer(size int) *valuer {
	r := rand.New(rand.NewPCG(1, 2))
	pool := make([]byte, 1<<20)
	for i := 0; i < len(pool); i += 2 * 16 {
		for j := range 16 {
			pool[i+j] = byte(r.Uint32())
		}
		copy(pool[i+16:i+32], pool[i:i+16])
	}
	return &valuer{pool, size}
}

// value returns the value of key number i; it is valid until the next call.
func (v *valuer) value(i uint64) []byte {
	at := int(spread(i+1) % uint64(len(v.pool)-v.size))
	return v.pool[at : at+v.size]
}
