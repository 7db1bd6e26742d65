package bench

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// KeySize is the length of every key in bytes.
const KeySize = 16

// A Shape is how the number of a key becomes its bytes. A data set has the even
// numbers; the odd ones between them are absent.
type Shape string

// The shapes.
const (
	// Counter is an 8-byte prefix that all keys share and a big-endian number, as
	// in ids under one table.
	Counter Shape = "counter"
	// Hashed is the same with a hash of the number.
	Hashed Shape = "hashed"
	// Decimal is the number in 16 digits.
	Decimal Shape = "decimal"
	// Random is 16 bytes without any order in them.
	Random Shape = "random"
)

// Shapes are all shapes.
var Shapes = []Shape{Counter, Hashed, Decimal, Random}

// inOrder reports whether keys are ordered as their numbers.
func (s Shape) inOrder() bool { return s == Counter || s == Decimal }

func (s Shape) check() error {
	if !slices.Contains(Shapes, s) {
		return fmt.Errorf("unknown shape of keys %q; there are %v", s, Shapes)
	}
	return nil
}

const keyPrefix = "bench/k:"

// AppendKey writes key number n, below 10^16.
func (s Shape) AppendKey(dst []byte, n uint64) []byte {
	switch s {
	case Hashed:
		dst = append(dst, keyPrefix...)
		return binary.BigEndian.AppendUint64(dst, spread(n))
	case Decimal:
		at := len(dst)
		dst = append(dst, "0000000000000000"...)
		for i := len(dst) - 1; i >= at && n > 0; i-- {
			dst[i] = byte('0' + n%10)
			n /= 10
		}
		return dst
	case Random:
		h := spread(n)
		dst = binary.BigEndian.AppendUint64(dst, h)
		return binary.BigEndian.AppendUint64(dst, spread(^h))
	default:
		dst = append(dst, keyPrefix...)
		return binary.BigEndian.AppendUint64(dst, n)
	}
}

// Number is the inverse of AppendKey. For bytes that are not a key it returns
// some number, whose key they are not.
func (s Shape) Number(key []byte) uint64 {
	if len(key) != KeySize {
		return 0
	}
	switch s {
	case Hashed:
		return unspread(binary.BigEndian.Uint64(key[8:]))
	case Decimal:
		n := uint64(0)
		for _, c := range key {
			n = 10*n + uint64(c-'0')
		}
		return n
	case Random:
		return unspread(binary.BigEndian.Uint64(key))
	default:
		return binary.BigEndian.Uint64(key[8:])
	}
}

// spread is a fixed permutation of [0, 2^64) that looks random: the finaliser of
// MurmurHash3.
func spread(i uint64) uint64 {
	i ^= i >> 33
	i *= 0xff51afd7ed558ccd
	i ^= i >> 33
	i *= 0xc4ceb9fe1a85ec53
	return i ^ i>>33
}

// unspread is its inverse.
func unspread(i uint64) uint64 {
	i ^= i >> 33
	i *= 0x9cb4b2f8129337db
	i ^= i >> 33
	i *= 0x4f74430c22a54005
	return i ^ i>>33
}
