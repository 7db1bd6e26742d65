package sstable

import (
	"math/bits"

	"github.com/statordb/stator/lsm/key"
)

// A blockBuilder collects the entries of one data block. It knows at any time
// how large the block would become with one entry more, so that a block can be
// made to fill its page to the brim.
type blockBuilder struct {
	staged []stagedEntry
	bytes  []byte // user key and value of each entry, one after the other
	widths
}

// widths are what the size of a block depends on, besides its entries' number and
// bytes.
type widths struct {
	prefix      int // length of the common prefix of first and last key
	longest     int // user key
	least, most key.Trailer
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

// with is b's widths with one entry more. shared is how many bytes its key has in
// common with the last one: what that one shares with the first, and no more of it,
// the new key shares with the first.
func (b *blockBuilder) with(user []byte, t key.Trailer, shared int) widths {
	if b.empty() {
		return widths{prefix: len(user), longest: len(user), least: t, most: t}
	}
	w := b.widths
	return widths{min(w.prefix, shared), max(w.longest, len(user)), min(w.least, t), max(w.most, t)}
}

// payloadBytes is the size of the payload of count entries with so many bytes of keys
// and values.
func (w widths) payloadBytes(count, bytes int) int {
	return blockHeaderBytes + w.prefix + count*(4+w.suffixWidth()+w.trailerWidth()-w.prefix) + bytes
}

// payloadBytes is the size of the payload as it is.
func (b *blockBuilder) payloadBytes() int { return b.widths.payloadBytes(len(b.staged), len(b.bytes)) }

func (w widths) suffixWidth() int {
	if w.longest-w.prefix > 0xff {
		return 2
	}
	return 1
}

func (w widths) trailerWidth() int {
	return (bits.Len64(uint64(w.most-w.least)) + 7) / 8
}

// add stages an entry, which must follow those added before, and leads to widths.
func (b *blockBuilder) add(user []byte, t key.Trailer, value []byte, w widths) {
	b.widths = w
	start := len(b.bytes)
	b.bytes = append(append(b.bytes, user...), value...)
	b.staged = append(b.staged, stagedEntry{start, start + len(user), len(b.bytes), t})
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
	return b.appendEntries(dst)
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

func (b *blockBuilder) appendEntries(dst []byte) []byte {
	suffixWidth, trailerWidth := b.suffixWidth(), b.trailerWidth()
	for _, e := range b.staged {
		suffix := e.value - e.start - b.prefix
		dst = append(dst, byte(suffix))
		if suffixWidth == 2 {
			dst = append(dst, byte(suffix>>8))
		}
		delta := uint64(e.trailer - b.least)
		for range trailerWidth {
			dst = append(dst, byte(delta))
			delta >>= 8
		}
		dst = append(dst, b.bytes[e.start+b.prefix:e.end]...)
	}
	return dst
}
