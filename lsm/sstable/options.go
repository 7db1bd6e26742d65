package sstable

import "github.com/statordb/stator/lsm/key"

// Options are the choices of a table's writer; Open looks only at Number, Pool and Seq.
// The zero value is good.
type Options struct {
	// Number names the table. It is mixed into every checksum, so that a block
	// of another table is not taken for one of this table's. To Open it is the
	// number that the table must have; 0 accepts any.
	Number uint64

	// BlockBytes is the size at which a data block is closed, before
	// compression. Default 4096: a page, so that a lookup touches one; with Zstd
	// and ZstdDict 8192, which saves 5 % of space and doubles what a lookup has
	// to decode. At most MaxBlockBytes. A larger value gets a block of its own.
	BlockBytes int

	// Compression of data blocks. A block that does not shrink by an eighth is
	// stored as it is. Default None: read in place, without a copy.
	Compression Compression

	// Pool is what the readers of a database share. To Open only; nil stands for
	// a pool of its own.
	Pool *Pool

	// Seq, to Open only, is the sequence number that everything in the table has, instead
	// of the 0 with which it was written; see lift.go. Default 0: what the file says.
	Seq key.SeqNum

	// Facets, if not empty, is the name of the function that gives values their
	// tags; whoever adds entries then calls Tag. Default empty: no bitmaps.
	Facets string

	// Split, if not nil, gives the prefixes of which the table has a filter, and SplitName
	// names it, in at most 255 bytes. Default: no such filter.
	Split     SplitFunc
	SplitName string

	// FilterBitsPerKey sizes the filter. Default 10: about 1 % of absent keys
	// pass. Negative: no filter.
	FilterBitsPerKey int

	trainBytes int // of payloads from which a dictionary is trained; default trainBytes
}

// Limits of what a table can hold.
const (
	MaxKeyBytes   = 1<<16 - 1 // of a user key
	MaxValueBytes = 1 << 30
	MaxBlockBytes = 1 << 16 // of Options.BlockBytes
	maxEntries    = 1<<32 - 1
)

const (
	defaultBlockBytes = 4096
	zstdBlockBytes    = 8192
	defaultFilterBits = 10
)

func (o Options) withDefaults() Options {
	if o.BlockBytes <= 0 {
		o.BlockBytes = defaultBlockBytes
		if o.Compression >= Zstd {
			o.BlockBytes = zstdBlockBytes
		}
	}
	o.BlockBytes = min(o.BlockBytes, MaxBlockBytes)
	if o.trainBytes == 0 {
		o.trainBytes = trainBytes
	}
	if o.FilterBitsPerKey == 0 {
		o.FilterBitsPerKey = defaultFilterBits
	}
	return o
}
