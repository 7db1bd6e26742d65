package sstable

import (
	"bytes"
	"fmt"

	"github.com/statordb/stator/lsm/key"
)

// The index leads from a key to the data block that may hold it. Between two
// neighbouring blocks stands a separator: an internal key greater than
// everything in the left block and not greater than anything in the right one.
// Separator 0 is the first user key with the greatest trailer; a last one, the
// last user key with trailer 0, stands behind the last block.
//
//	sep 0 [block 0] sep 1 [block 1] ... sep n-1 [block n-1] sep n
//
// Usually a separator is the shortest prefix of the right block's first user key
// that does the job, with the greatest trailer. Only where the versions of one
// user key cross the border it carries a real trailer: that of the right block's
// first entry.
//
// Blocks are gathered into nodes of nodeBlocks each; all separators from the
// first of one node to the first of the next share a prefix, and so does every
// user key that belongs between. Within a node, heads behind that prefix find
// the block (slots.go). The root has one window for each node, behind what all
// separators share.
//
//	 0 blocks               4B  n
//	 4 blocks per node      4B
//	 8 nodes                4B  m, n / blocks per node rounded up
//	12 common prefix        4B  length of what separators 0 and n share
//	16 separator bytes      4B
//	20 zero                 4B
//	24 roots            8B × m  window of a node's first separator
//	   nodes           24B × m  base 8B, scale 8B, prefix length 4B, zero 4B
//	   slots        8B × (n+1)  head << 40 | offset of the block in the file
//	   rows         4B × (n+1)  entries before the block
//	   starts       4B × (n+2)  where each separator starts
//	   separators               trailer 8B, user key
//
// The last slot has no head; its offset is the end of the data. The last row is
// the number of entries in the table. The last start is the end of the
// separators. Without blocks the payload is the first 24 bytes, all zero but the
// second field.
//
// Rows are numbered so that a set of them (a bitmap over the table) can be
// turned into blocks and entries.
const (
	indexHeaderBytes = 24
	indexNodeBytes   = 24
	nodeBlocks       = 128
	offsetMask       = 1<<offsetBits - 1
)

// An index is a decoded index block. What every lookup walks lies in Go memory;
// the separators, wanted only to break a tie, stay in the file's mapping.
type index struct {
	blocks     int
	perNode    int
	prefix     []byte // shared by all separators
	roots      []uint64
	nodes      []indexNode
	slots      []uint64
	rows       []byte // 4B each
	starts     []byte // 4B each
	separators []byte
}

type indexNode struct {
	spread spread
	prefix int
}

// parseIndex decodes payload; reason says why it cannot. It checks all that find
// and extent rely on, and that offsets fill exactly the dataBytes of the data
// section.
func parseIndex(payload []byte, dataBytes uint64) (x *index, reason string) {
	if len(payload) < indexHeaderBytes {
		return nil, "index is too short"
	}
	n, m := uint64(little.Uint32(payload)), uint64(little.Uint32(payload[8:]))
	perNode := uint64(little.Uint32(payload[4:]))
	if perNode == 0 || m != (n+perNode-1)/perNode || little.Uint32(payload[20:]) != 0 {
		return nil, fmt.Sprintf("index has %d nodes of %d for %d blocks", m, perNode, n)
	}
	if n == 0 {
		return emptyIndex(payload, dataBytes)
	}
	separatorBytes := uint64(little.Uint32(payload[16:]))
	want := indexHeaderBytes + m*(8+indexNodeBytes) + (n+1)*(8+4) + (n+2)*4 + separatorBytes
	if want != uint64(len(payload)) {
		return nil, fmt.Sprintf("index of %d blocks has %d bytes, want %d", n, len(payload), want)
	}
	x = &index{blocks: int(n), perNode: int(perNode)}
	rest := x.decodeArrays(payload[indexHeaderBytes:], int(m))
	x.rows, rest = rest[:4*(n+1)], rest[4*(n+1):]
	x.starts, x.separators = rest[:4*(n+2)], rest[4*(n+2):]
	if reason := x.checkSeparators(); reason != "" {
		return nil, reason
	}
	if reason := x.checkOffsets(dataBytes); reason != "" {
		return nil, reason
	}
	return x, x.takePrefix(int(little.Uint32(payload[12:])))
}

func emptyIndex(payload []byte, dataBytes uint64) (*index, string) {
	if len(payload) != indexHeaderBytes || dataBytes != 0 {
		return nil, "index of an empty table is not empty"
	}
	return &index{perNode: nodeBlocks, slots: []uint64{0}}, ""
}

// decodeArrays copies roots, nodes and slots out of b and returns what follows.
func (x *index) decodeArrays(b []byte, nodes int) (rest []byte) {
	x.roots = make([]uint64, nodes)
	for i := range x.roots {
		x.roots[i], b = little.Uint64(b), b[8:]
	}
	x.nodes = make([]indexNode, nodes)
	for i := range x.nodes {
		x.nodes[i].spread = spread{base: little.Uint64(b), scale: little.Uint64(b[8:])}
		x.nodes[i].prefix = int(little.Uint32(b[16:]))
		b = b[indexNodeBytes:]
	}
	x.slots = make([]uint64, x.blocks+1)
	for i := range x.slots {
		x.slots[i], b = little.Uint64(b), b[8:]
	}
	return b
}

func (x *index) checkSeparators() (reason string) {
	last := uint32(0)
	for i := range x.blocks + 2 {
		start := little.Uint32(x.starts[4*i:])
		if i == 0 && start != 0 || i > 0 && (start < last || start-last < 8) {
			return fmt.Sprintf("separator %d of the index starts at %d, the one before at %d", i, start, last)
		}
		last = start
	}
	if int(last) != len(x.separators) {
		return fmt.Sprintf("separators end at %d, not at %d", last, len(x.separators))
	}
	return ""
}

func (x *index) checkOffsets(dataBytes uint64) (reason string) {
	end := uint64(0)
	for i, slot := range x.slots {
		offset := slot & offsetMask
		if i == 0 && offset != 0 || i > 0 && offset < end+envelopeBytes {
			return fmt.Sprintf("block %d starts at %d, the one before at %d", i, offset, end)
		}
		if offset-end > maxBlockBytes {
			return fmt.Sprintf("block %d has %d bytes", i-1, offset-end)
		}
		end = offset
	}
	if end != dataBytes {
		return fmt.Sprintf("index ends at %d, data at %d", end, dataBytes)
	}
	return ""
}

func (x *index) takePrefix(n int) (reason string) {
	first := x.separator(0).User
	if n > len(first) || !bytes.HasPrefix(x.separator(x.blocks).User, first[:n]) {
		return fmt.Sprintf("common prefix of %d bytes is not common", n)
	}
	x.prefix = bytes.Clone(first[:n])
	return ""
}

// extent is where block j lies in the file.
func (x *index) extent(j int) (offset int64, size int) {
	start, end := x.slots[j]&offsetMask, x.slots[j+1]&offsetMask
	return int64(start), int(end - start)
}

// separator j, 0 <= j <= blocks; it aliases the mapping.
func (x *index) separator(j int) key.Internal {
	s := x.separators[little.Uint32(x.starts[4*j:]):little.Uint32(x.starts[4*j+4:])]
	return key.Internal{Trailer: key.Trailer(little.Uint64(s)), User: s[8:]}
}

// row is the number of entries in the blocks before j, 0 <= j <= blocks.
func (x *index) row(j int) uint32 { return little.Uint32(x.rows[4*j:]) }

// find returns the block in which the first entry not less than (user, t) lies,
// or the first entry of the block behind is it: the last block whose separator
// is not greater. It is 0 if all are greater, and blocks if user is greater than
// every user key.
func (x *index) find(user []byte, t key.Trailer) int {
	if !bytes.HasPrefix(user, x.prefix) {
		if bytes.Compare(user, x.prefix) < 0 {
			return 0
		}
		return x.blocks
	}
	k := x.findNode(user, t)
	if k < 0 || x.blocks == 0 {
		return 0
	}
	if k == len(x.nodes)-1 && bytes.Compare(user, x.separator(x.blocks).User) > 0 {
		return x.blocks
	}
	return x.findInNode(k, user, t)
}

// findNode finds the last node whose first separator is not greater than
// (user, t), -1 if there is none.
func (x *index) findNode(user []byte, t key.Trailer) int {
	w := window(user, len(x.prefix))
	upper := upperBound(x.roots, w)
	if upper == 0 || x.roots[upper-1] != w {
		return upper - 1
	}
	lower := upper - 1
	for lower > 0 && x.roots[lower-1] == w {
		lower--
	}
	return x.bisect(lower, upper, x.perNode, user, t) - 1
}

// findInNode finds the last block of node k whose separator is not greater than
// (user, t), knowing that the first one's is not.
func (x *index) findInNode(k int, user []byte, t key.Trailer) int {
	node := &x.nodes[k]
	first := k * x.perNode
	slots := x.slots[first:min(first+x.perNode, x.blocks)]
	head, ok := node.spread.head(window(user, node.prefix), blockHeadBits)
	if !ok {
		if head == 0 {
			return first
		}
		return first + len(slots) - 1
	}
	lower, upper := searchSlots64(slots, head)
	if lower < upper {
		lower = x.bisect(first+lower, first+upper, 1, user, t) - first
	}
	return first + max(lower-1, 0)
}

// bisect finds the first of the places [lower, upper), counted in steps of
// stride separators, whose separator is greater than (user, t).
func (x *index) bisect(lower, upper, stride int, user []byte, t key.Trailer) int {
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		sep := x.separator(mid * stride)
		if key.Compare(sep.User, sep.Trailer, user, t) > 0 {
			upper = mid
		} else {
			lower = mid + 1
		}
	}
	return lower
}

// upperBound is the number of leading elements of a, which is sorted, that are
// not greater than w. It has no branch that depends on the data.
func upperBound(a []uint64, w uint64) int {
	lower, n := 0, len(a)
	for n > 1 {
		half := n / 2
		if a[lower+half-1] <= w {
			lower += half
		}
		n -= half
	}
	if n == 1 && a[lower] <= w {
		lower++
	}
	return lower
}
