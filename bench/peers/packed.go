//go:build rocksdb || lmdb

package main

import "encoding/binary"

// packed is a slice of entries as clib.h draws it.
type packed []byte

func (p *packed) add(k, v []byte) {
	*p = binary.NativeEndian.AppendUint32(*p, uint32(len(k)))
	*p = binary.NativeEndian.AppendUint32(*p, uint32(len(v)))
	*p = append(append(*p, k...), v...)
}

// visit calls f for each entry and returns how many there were.
func (p packed) visit(f func(k, v []byte)) int {
	n := 0
	for ; len(p) > 0; n++ {
		k := 8 + binary.NativeEndian.Uint32(p)
		v := k + binary.NativeEndian.Uint32(p[4:])
		f(p[8:k:k], p[k:v:v])
		p = p[v:]
	}
	return n
}

// Scans fetch entries into a buffer of scanBytes, at most scanEntries at a time, so
// that it stays in the L2 cache.
const (
	scanBytes   = 64 << 10
	scanEntries = 1000
)
