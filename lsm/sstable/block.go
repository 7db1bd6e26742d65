package sstable

import (
	"bytes"

	"github.com/statordb/stator/lsm/key"
)

// The payload of a data block:
//
//	 0 base            8B  window of the first user key (slots.go)
//	 8 scale           8B
//	16 least trailer   8B  of the block's entries
//	24 count           2B  entries, at least 1
//	26 prefix length   2B
//	28 suffix width    1B  1 or 2
//	29 trailer width   1B  0 to 8
//	30 zero            2B
//	32 prefix              the bytes that all user keys begin with
//	   slots     4B×count  head << 16 | place of the entry
//	   entries             places count from here
//
// and of one entry:
//
//	+---------------+----------------+-----------------+-------+
//	| suffix length | trailer -      | suffix: user    | value |
//	| 1 or 2 B      | least, 0 - 8 B | key less prefix |       |
//	+---------------+----------------+-----------------+-------+
//
// An entry ends where the next begins, the last one at the end of the payload.
// So only the last may be longer than a place can say, and a value of any size
// fits into a block of its own.
//
// All widths are fixed per block: an entry is decoded with two loads, and a block
// whose sequence numbers are all alike spends nothing on them.
const blockHeaderBytes = 32

// A block is the decoded head of a data block's payload.
//
// A block is a view; it owns nothing. Its methods check what they decode: after
// parse they may meet any bytes and will not panic, and report false for an
// entry that does not fit.
type block struct {
	data         []byte // the payload
	spread       spread
	least        uint64 // trailer
	count        int
	prefix       int // length
	slots        int // position in data
	entries      int // position in data
	suffixWidth  int
	trailerWidth int
	trailerMask  uint64

	// found is the entry at which the last seek ended, if it had the user key
	// sought.
	found struct {
		trailer key.Trailer
		value   []byte
	}
	keyOnly bool // nobody wants found.value, which then may not be valid
	warmed  byte
}

// parse decodes the head of payload and reports whether it makes sense. lift is added to
// all trailers (lift.go).
func (b *block) parse(payload []byte, lift uint64) bool {
	if len(payload) < blockHeaderBytes {
		return false
	}
	b.data = payload
	b.spread.base = little.Uint64(payload)
	b.spread.scale = little.Uint64(payload[8:])
	b.least = little.Uint64(payload[16:]) + lift
	b.count = int(little.Uint16(payload[24:]))
	b.prefix = int(little.Uint16(payload[26:]))
	b.suffixWidth = int(payload[28])
	b.trailerWidth = int(payload[29])
	b.trailerMask = 1<<(8*b.trailerWidth) - 1
	b.slots = blockHeaderBytes + b.prefix
	b.entries = b.slots + 4*b.count
	return b.count > 0 && b.entries <= len(payload) && b.trailerWidth <= 8 &&
		(b.suffixWidth == 1 || b.suffixWidth == 2) && payload[30]|payload[31] == 0
}

// warm reads from the two cache lines in which most slots lie. Nobody wants the
// byte: the load lets the lines arrive together with the header, where a search
// would ask for them only once it has the header. It saves a random Get from a
// large table about 80 ns of 550. Who knows the entry without a search does without.
func (b *block) warm(payload []byte) {
	if len(payload) >= warmBytes {
		b.warmed = payload[warmBytes/2-1] ^ payload[warmBytes-1]
	}
}

// warmBytes reaches to the end of the block's third line.
const warmBytes = 3*lineBytes - envelopeBytes

// commonPrefix is the bytes that all user keys of the block begin with.
func (b *block) commonPrefix() []byte { return b.data[blockHeaderBytes:b.slots] }

// entry decodes entry i, 0 <= i < count. suffix is the user key without the
// block's prefix.
func (b *block) entry(i int) (suffix []byte, t key.Trailer, value []byte, ok bool) {
	start, end := b.entries+b.place(i), len(b.data)
	if i+1 < b.count {
		end = b.entries + b.place(i+1)
	}
	key0, key1 := b.suffixAt(start, end)
	if key1 > end {
		return nil, 0, nil, false
	}
	return b.data[key0:key1:key1], b.trailerAt(start), b.data[key1:end:end], true
}

// suffixAt finds the suffix of the entry in data[start:end], [key0, key1); what is behind it
// is the value. If key1 > end, the entry does not fit.
//
// It is all that is known of how an entry is laid out, and small enough to be inlined
// where many are decoded.
func (b *block) suffixAt(start, end int) (key0, key1 int) {
	key0 = start + b.suffixWidth + b.trailerWidth
	if key0 > end || end > len(b.data) {
		return 0, end + 1
	}
	key1 = key0 + int(b.data[start])
	if b.suffixWidth == 2 {
		key1 += int(b.data[start+1]) << 8
	}
	return key0, key1
}

// trailerAt decodes the trailer of the entry that starts there.
func (b *block) trailerAt(start int) key.Trailer {
	return key.Trailer(b.least + b.loadTrailer(start+b.suffixWidth))
}

// place is the low half of slot i.
func (b *block) place(i int) int {
	return int(little.Uint16(b.data[b.slots+4*i:]))
}

// loadTrailer reads the trailer field at position at: as eight bytes where the
// block has them, as the field is followed by other things to mask out.
func (b *block) loadTrailer(at int) uint64 {
	if at+8 <= len(b.data) {
		return little.Uint64(b.data[at:]) & b.trailerMask
	}
	delta := uint64(0)
	for i := b.trailerWidth - 1; i >= 0; i-- {
		delta = delta<<8 | uint64(b.data[at+i])
	}
	return delta
}

// candidates finds the entries [lower, upper) whose head equals that of user;
// those before are less than user, those behind are greater.
func (b *block) candidates(user []byte) (lower, upper int) {
	prefix := b.commonPrefix()
	if len(user) < len(prefix) || string(user[:len(prefix)]) != string(prefix) {
		if bytes.Compare(user, prefix) < 0 {
			return 0, 0
		}
		return b.count, b.count
	}
	head, ok := b.spread.head(window(user, len(prefix)), entryHeadBits)
	if !ok {
		if head == 0 {
			return 0, 0
		}
		return b.count, b.count
	}
	return searchSlots32(b.data[b.slots:b.entries], b.count, head)
}

// seek finds the first entry i not less than the internal key (user, t), count
// if there is none. same reports that it has the user key sought, and then it is
// decoded in b.found; ok is false if an entry on the way does not fit.
func (b *block) seek(user []byte, t key.Trailer) (i int, same, ok bool) {
	lower, upper := b.candidates(user)
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		suffix, trailer, value, fits := b.entry(mid)
		if !fits {
			return 0, false, false
		}
		c := bytes.Compare(suffix, user[b.prefix:])
		if c < 0 || c == 0 && trailer > t {
			lower = mid + 1
			continue
		}
		upper = mid
		if same = c == 0; same {
			b.found.trailer, b.found.value = trailer, value
		}
	}
	return lower, same, true
}

// An answer is what a block knows of a key.
type answer uint8

const (
	isThere  answer = iota // in found
	notThere               // nor in any other block
	allLess                // the next block may have it
	garbled                // the block makes no sense
)

// lookUp decodes payload and looks for the newest version of user not before target.
func (b *block) lookUp(payload []byte, lift uint64, user []byte, target key.Trailer) answer {
	if b.warm(payload); !b.parse(payload, lift) {
		return garbled
	}
	i, same, ok := b.seek(user, target)
	switch {
	case !ok:
		return garbled
	case same:
		return isThere
	case i < b.count:
		return notThere
	}
	return allLess
}
