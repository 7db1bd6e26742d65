package memtable

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/statordb/stator/lsm/key"
)

// A skiplist keeps versions in internal key order.
//
// A node is a span of words in the arena. The first eight bytes of the user
// key are in the node, so most comparisons need no further cache line:
//
//	+------------+-------------+--------------+-----------+------------+---------+
//	| prefix 2w  | trailer 2w  | key place 2w | key bytes | value bytes| prev    |
//	+------------+-------------+--------------+-----------+------------+---------+
//	| next[0] | next[1] | ... as many as the node is high
//	+---------+---------+
//
// All words but prev and next are written once, before the node is linked.
// Node 0 is the head: it stands for "none" in links and has no entry.
//
// Searches begin at the top level; links there are 0 until a node is so high.
//
// Sharing: one writer. It links a new node from level 0 upward, each link with one
// atomic store; a reader finds the node or not, but never a part of it. prev of
// the successor is set last, so that a reader moving backward may step over a
// node that is being inserted; it is too new for that reader.
type skiplist struct {
	arena  arena
	random uint64 // state of a xorshift generator
}

const (
	maxHeight = 14 // 4^14 nodes

	wordPrefix  = 0
	wordTrailer = 2
	wordSlab    = 4
	wordOff     = 5
	wordKeyLen  = 6
	wordValLen  = 7
	wordPrev    = 8
	wordNext    = 9
)

func (l *skiplist) init() {
	l.arena.newSpan(wordNext + maxHeight) // the head is at 0
	l.random = 0x9e3779b97f4a7c15
}

// An entry is a node's content.
type entry struct {
	user    []byte
	trailer key.Trailer
	value   []byte
}

func (l *skiplist) entry(node uint32) entry {
	w := l.arena.span(node, wordNext)
	b := l.arena.bytes[w[wordSlab].Load()][w[wordOff].Load():]
	keyLen, valLen := w[wordKeyLen].Load(), w[wordValLen].Load()
	return entry{
		user:    b[:keyLen:keyLen],
		trailer: key.Trailer(uint64(w[wordTrailer].Load()) | uint64(w[wordTrailer+1].Load())<<32),
		value:   b[keyLen : keyLen+valLen : keyLen+valLen],
	}
}

func (l *skiplist) next(node uint32, level int) uint32 {
	return l.arena.word(node + wordNext + uint32(level)).Load()
}

func (l *skiplist) prev(node uint32) uint32 { return l.arena.word(node + wordPrev).Load() }

// prefix is the first eight bytes of a user key as a number that orders alike;
// shorter keys are padded with zeros.
func prefix(user []byte) uint64 {
	if len(user) >= 8 {
		return binary.BigEndian.Uint64(user)
	}
	var b [8]byte
	copy(b[:], user)
	return binary.BigEndian.Uint64(b[:])
}

// A target is an internal key to search for.
type target struct {
	prefix  uint64
	user    []byte
	trailer key.Trailer
}

func newTarget(user []byte, trailer key.Trailer) target { return target{prefix(user), user, trailer} }

// before reports whether the node's internal key is less than the target.
func (l *skiplist) before(node uint32, t *target) bool {
	w := l.arena.span(node, wordNext)
	p := uint64(w[wordPrefix].Load()) | uint64(w[wordPrefix+1].Load())<<32
	if p != t.prefix {
		return p < t.prefix
	}
	e := l.entry(node)
	if c := bytes.Compare(e.user, t.user); c != 0 {
		return c < 0
	}
	return key.CompareTrailer(e.trailer, t.trailer) < 0
}

// seek returns the last node before the target on level 0, the head if there is none,
// and the first one that is not, 0 if there is none. If path is not nil, it gets the
// last node before the target on each level.
//
// Both come from one look at the link between them: were it read again, a node that
// was inserted meanwhile could lie before the target.
func (l *skiplist) seek(t *target, path *[maxHeight]uint32) (before, atOrAfter uint32) {
	var node, behind uint32
	for level := maxHeight - 1; level >= 0; level-- {
		for {
			next := l.next(node, level)
			// A node known to lie behind need not be compared again.
			if next == 0 || next == behind || !l.before(next, t) {
				behind = next
				break
			}
			node = next
		}
		if path != nil {
			path[level] = node
		}
	}
	return node, behind
}

// seekGE returns the first node not before (user, trailer), or 0.
func (l *skiplist) seekGE(user []byte, trailer key.Trailer) uint32 {
	t := newTarget(user, trailer)
	_, node := l.seek(&t, nil)
	return node
}

// seekLT returns the last node before (user, trailer), or 0.
func (l *skiplist) seekLT(user []byte, trailer key.Trailer) uint32 {
	t := newTarget(user, trailer)
	node, _ := l.seek(&t, nil)
	return node
}

func (l *skiplist) insert(user []byte, trailer key.Trailer, value []byte) {
	t := newTarget(user, trailer)
	var path [maxHeight]uint32
	_, successor := l.seek(&t, &path)
	height := l.randomHeight()
	node := l.newNode(&t, value, height)
	l.arena.word(node + wordPrev).Store(path[0])
	for level := range height {
		l.arena.word(node + wordNext + uint32(level)).Store(l.next(path[level], level))
	}
	for level := range height {
		l.arena.word(path[level] + wordNext + uint32(level)).Store(node)
	}
	// The successor of the last node is the head, whose prev is thus the last.
	l.arena.word(successor + wordPrev).Store(node)
}

func (l *skiplist) newNode(t *target, value []byte, height int) uint32 {
	node, w := l.arena.newSpan(wordNext + height)
	slab, off := l.arena.store(t.user, value)
	w[wordPrefix].Store(uint32(t.prefix))
	w[wordPrefix+1].Store(uint32(t.prefix >> 32))
	w[wordTrailer].Store(uint32(t.trailer))
	w[wordTrailer+1].Store(uint32(t.trailer >> 32))
	w[wordSlab].Store(uint32(slab))
	w[wordOff].Store(uint32(off))
	w[wordKeyLen].Store(uint32(len(t.user)))
	w[wordValLen].Store(uint32(len(value)))
	return node
}

// randomHeight draws a height of which each is four times as rare as the one
// below. The sequence is the same for every list: only the shape depends on it.
func (l *skiplist) randomHeight() int {
	l.random ^= l.random << 13
	l.random ^= l.random >> 7
	l.random ^= l.random << 17
	return min(1+bits.TrailingZeros64(l.random|1<<62)/2, maxHeight)
}
