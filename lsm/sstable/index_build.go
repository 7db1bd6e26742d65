package sstable

import (
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/key"
)

// An indexBuilder collects what the index says about each block: about 30 bytes.
type indexBuilder struct {
	offsets    []uint64
	rows       []uint32
	starts     []uint32
	separators []byte
}

// emptied is an indexBuilder with nothing in it, in the same memory.
func (x *indexBuilder) emptied() indexBuilder {
	return indexBuilder{x.offsets[:0], x.rows[:0], x.starts[:0], x.separators[:0]}
}

// add takes up the next block: left is the last user key before it (nil for the
// first block), first its first internal key, offset where it starts and row
// the number of entries before it.
func (x *indexBuilder) add(left []byte, first key.Internal, offset uint64, row uint32) {
	sep := key.Internal{User: first.User, Trailer: key.MaxTrailer}
	if len(x.offsets) > 0 {
		sep = separate(left, first)
	}
	x.offsets = append(x.offsets, offset)
	x.rows = append(x.rows, row)
	x.addSeparator(sep)
}

// finish closes the list of blocks with the last user key, the end of the data
// and the number of entries.
func (x *indexBuilder) finish(last []byte, end uint64, rows uint32) {
	if len(x.offsets) == 0 {
		return
	}
	x.addSeparator(key.Internal{User: last})
	x.offsets = append(x.offsets, end)
	x.rows = append(x.rows, rows)
	x.starts = append(x.starts, uint32(len(x.separators)))
}

// separate returns an internal key greater than every version of left up to the
// one before first, and not greater than first.
func separate(left []byte, first key.Internal) key.Internal {
	n := commonPrefix(left, first.User)
	if n == len(first.User) { // versions of one user key on both sides
		return first
	}
	if plant.On(plant.SeparatorTooShort) {
		n--
	}
	return key.Internal{User: first.User[:n+1], Trailer: key.MaxTrailer}
}

func (x *indexBuilder) addSeparator(sep key.Internal) {
	x.starts = append(x.starts, uint32(len(x.separators)))
	x.separators = little.AppendUint64(x.separators, uint64(sep.Trailer))
	x.separators = append(x.separators, sep.User...)
}

func (x *indexBuilder) user(j int) []byte {
	return x.separators[x.starts[j]+8 : x.starts[j+1]]
}

// bytes is about how large the index will be.
func (x *indexBuilder) bytes() int {
	return indexHeaderBytes + len(x.offsets)*(8+4+4+1) + len(x.separators)
}

// appendTo appends the payload to dst. finish must have been called.
func (x *indexBuilder) appendTo(dst []byte) []byte {
	n := max(len(x.offsets)-1, 0)
	m := (n + nodeBlocks - 1) / nodeBlocks
	prefix := 0
	if n > 0 {
		prefix = commonPrefix(x.user(0), x.user(n))
	}
	for _, field := range []int{n, nodeBlocks, m, prefix, len(x.separators), 0} {
		dst = little.AppendUint32(dst, uint32(field))
	}
	for k := range m {
		dst = little.AppendUint64(dst, window(x.user(k*nodeBlocks), prefix))
	}
	nodes := x.nodes(m)
	for _, node := range nodes {
		dst = node.append(dst)
	}
	for j, offset := range x.offsets {
		dst = little.AppendUint64(dst, x.head(nodes, j)<<offsetBits|offset)
	}
	for _, row := range x.rows {
		dst = little.AppendUint32(dst, row)
	}
	for _, start := range x.starts {
		dst = little.AppendUint32(dst, start)
	}
	return append(dst, x.separators...)
}

// nodes returns how each of the m nodes turns separators into heads.
func (x *indexBuilder) nodes(m int) []indexNode {
	nodes := make([]indexNode, m)
	n := len(x.offsets) - 1
	for k := range nodes {
		first, next := k*nodeBlocks, min((k+1)*nodeBlocks, n)
		prefix := commonPrefix(x.user(first), x.user(next))
		base, last := window(x.user(first), prefix), window(x.user(next-1), prefix)
		nodes[k] = indexNode{prefix: prefix, spread: spreadOver(base, last, blockHeadBits)}
	}
	return nodes
}

func (n indexNode) append(dst []byte) []byte {
	dst = little.AppendUint64(dst, n.spread.base)
	dst = little.AppendUint64(dst, n.spread.scale)
	dst = little.AppendUint32(dst, uint32(n.prefix))
	return little.AppendUint32(dst, 0)
}

// head is the head of separator j; the one behind the last block has none.
func (x *indexBuilder) head(nodes []indexNode, j int) uint64 {
	if j == len(x.offsets)-1 {
		return 0
	}
	node := nodes[j/nodeBlocks]
	head, _ := node.spread.head(window(x.user(j), node.prefix), blockHeadBits)
	return head
}
