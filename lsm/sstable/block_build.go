package sstable

import (
	"bytes"
	"math/bits"

	"github.com/statordb/stator/lsm/key"
)

// A blockBuilder collects the entries of one data block. It knows at any time
// how large the block would become with one entry more, so that a block can be
// made to fill its page to the brim.
type blockBuilder struct {
	staged []stagedEntry
	bytes  []byte // user key and value of each entry, one after the other

	prefix             int // length of the common prefix of first and last key
	longest            int // user key
	least, most        key.Trailer
	keyBytes, valBytes int
}

type stagedEntry struct {
	start, value, end int // of key, of value and behind it, in bytes
	trailer           key.Trailer
}

func (b *blockBuilder) empty() bool { return len(b.staged) == 0 }

func (b *blockBuilder) reset() {
	*b = blockBuilder{staged: b.staged[:0], bytes: b.bytes[:0]}
}

func (b *blockBuilder) user(i int) []byte { return b.bytes[b.staged[i].start:b.staged[i].value] }
func (b *blockBuilder) first() []byte     { return b.user(0) }
func (b *blockBuilder) last() []byte      { return b.user(len(b.staged) - 1) }

// grown is b with one entry more, as far as its size depends on it.
func (b *blockBuilder) grown(user []byte, t key.Trailer, valueBytes int) blockBuilder {
	g := *b
	if b.empty() {
		g.prefix, g.least, g.most = len(user), t, t
	} else if first := b.first(); !bytes.HasPrefix(user, first[:b.prefix]) {
		g.prefix = commonPrefix(first, user)
	}
	g.longest = max(g.longest, len(user))
	g.least, g.most = min(g.least, t), max(g.most, t)
	g.keyBytes += len(user)
	g.valBytes += valueBytes
	return g
}

// payloadBytes is the size of the payload with count entries.
func (b *blockBuilder) payloadBytes(count int) int {
	perEntry := 4 + b.suffixWidth() + b.trailerWidth() - b.prefix
	return blockHeaderBytes + b.prefix + count*perEntry + b.keyBytes + b.valBytes
}

// payloadBytesWith is the size of the payload if the entry were added.
func (b *blockBuilder) payloadBytesWith(user []byte, t key.Trailer, valueBytes int) int {
	g := b.grown(user, t, valueBytes)
	return g.payloadBytes(len(b.staged) + 1)
}

func (b *blockBuilder) suffixWidth() int {
	if b.longest-b.prefix > 0xff {
		return 2
	}
	return 1
}

func (b *blockBuilder) trailerWidth() int {
	return (bits.Len64(uint64(b.most-b.least)) + 7) / 8
}

// add stages an entry, which must follow those added before.
func (b *blockBuilder) add(user []byte, t key.Trailer, value []byte) {
	*b = b.grown(user, t, len(value))
	e := stagedEntry{start: len(b.bytes), trailer: t}
	b.bytes = append(b.bytes, user...)
	e.value = len(b.bytes)
	b.bytes = append(b.bytes, value...)
	e.end = len(b.bytes)
	b.staged = append(b.staged, e)
}

// appendTo appends the payload to dst.
//
// Invariant: every entry but the last starts less than 64 KiB behind the slots,
// because the writer closes a block at MaxBlockBytes.
func (b *blockBuilder) appendTo(dst []byte) []byte {
	base, last := window(b.first(), b.prefix), window(b.last(), b.prefix)
	s := spreadOver(base, last, entryHeadBits)
	dst = little.AppendUint64(dst, s.base)
	dst = little.AppendUint64(dst, s.scale)
	dst = little.AppendUint64(dst, uint64(b.least))
	dst = little.AppendUint16(dst, uint16(len(b.staged)))
	dst = little.AppendUint16(dst, uint16(b.prefix))
	dst = append(dst, byte(b.suffixWidth()), byte(b.trailerWidth()), 0, 0)
	dst = append(dst, b.first()[:b.prefix]...)
	dst = b.appendSlots(dst, s)
	for i := range b.staged {
		dst = b.appendEntry(dst, i)
	}
	return dst
}

func (b *blockBuilder) appendSlots(dst []byte, s spread) []byte {
	fixed := b.suffixWidth() + b.trailerWidth() - b.prefix
	place := 0
	for i, e := range b.staged {
		head, _ := s.head(window(b.user(i), b.prefix), entryHeadBits)
		dst = little.AppendUint32(dst, uint32(head)<<16|uint32(place))
		place += fixed + e.end - e.start
	}
	return dst
}

func (b *blockBuilder) appendEntry(dst []byte, i int) []byte {
	e := b.staged[i]
	suffix := e.value - e.start - b.prefix
	dst = append(dst, byte(suffix))
	if b.suffixWidth() == 2 {
		dst = append(dst, byte(suffix>>8))
	}
	delta := uint64(e.trailer - b.least)
	for range b.trailerWidth() {
		dst = append(dst, byte(delta))
		delta >>= 8
	}
	return append(dst, b.bytes[e.start+b.prefix:e.end]...)
}
