package bench

import (
	"bytes"
	"encoding/binary"
)

// A value says whose it is, so that every one that is read can be checked without
// keeping a copy:
//
//	+---------------+-----------------+------------------------+
//	| generation 4B |     words ...   |  the same once more    |
//	+---------------+-----------------+------------------------+
//	|<------------- half ------------>|<-------- half -------->|
//
// The words are h, h+c, h+2c, … with h mixed from the key's number and the
// generation, which counts the writes of the key. No compressor finds anything in
// them, and each costs one addition: the check must not be what is measured. The
// copy is what compresses, as in RocksDB's db_bench.
const (
	generationBytes = 4
	wordStep        = 0x9e3779b97f4a7c15
	minValueBytes   = 2 * generationBytes
)

// MinValueBytes is the least size of a value that can be checked.
const MinValueBytes = minValueBytes

func firstWord(number uint64, generation uint32) uint64 {
	return spread(number*0x2545f4914f6cdd1d + uint64(generation) + 1)
}

// AppendValue writes the value of a key in one generation.
func AppendValue(dst []byte, size int, number uint64, generation uint32) []byte {
	at := len(dst)
	half := (size + 1) / 2
	dst = binary.LittleEndian.AppendUint32(dst, generation)
	word := firstWord(number, generation)
	for len(dst)-at+8 <= half {
		dst = binary.LittleEndian.AppendUint64(dst, word)
		word += wordStep
	}
	for len(dst)-at < half {
		dst = append(dst, byte(word))
		word >>= 8
	}
	return append(dst, dst[at:at+size-half]...)
}

// generation returns the generation that a value claims to be of.
func generation(value []byte) uint32 {
	if len(value) < generationBytes {
		return ^uint32(0)
	}
	return binary.LittleEndian.Uint32(value)
}

// IsValue reports whether value is, to the byte, that of the key in the generation
// that it claims.
func IsValue(value []byte, size int, number uint64) bool {
	if len(value) != size {
		return false
	}
	half := (size + 1) / 2
	word := firstWord(number, generation(value))
	rest := value[generationBytes:half]
	for len(rest) >= 8 {
		if binary.LittleEndian.Uint64(rest) != word {
			return false
		}
		word += wordStep
		rest = rest[8:]
	}
	for _, b := range rest {
		if b != byte(word) {
			return false
		}
		word >>= 8
	}
	return bytes.Equal(value[half:], value[:size-half])
}
