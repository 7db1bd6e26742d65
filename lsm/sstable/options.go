package sstable

import "fmt"

// Options are the choices of a table's writer; Open looks only at Number. The
// zero value is good.
type Options struct {
	// Number names the table. It is mixed into every checksum, so that a block
	// of another table is not taken for one of this table's. To Open it is the
	// number that the table must have; 0 accepts any.
	Number uint64

	// BlockBytes is the size at which a data block is closed, before
	// compression. Default 4096: a page, so that a lookup touches one. At most
	// MaxBlockBytes. A larger value gets a block of its own.
	BlockBytes int

	// Compression of data blocks. A block that does not shrink by an eighth is
	// stored as it is. Default None: read in place, without a copy.
	Compression Compression

	// FilterBitsPerKey sizes the filter. Default 10: about 1 % of absent keys
	// pass. Negative: no filter.
	FilterBitsPerKey int
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
	defaultFilterBits = 10
)

func (o Options) withDefaults() Options {
	if o.BlockBytes <= 0 {
		o.BlockBytes = defaultBlockBytes
	}
	o.BlockBytes = min(o.BlockBytes, MaxBlockBytes)
	if o.FilterBitsPerKey == 0 {
		o.FilterBitsPerKey = defaultFilterBits
	}
	return o
}

// Compression is the codec of a block. The numbers are part of the format.
type Compression uint8

// The codecs. Numbers from 2 on are left free, for zstd with and without a
// dictionary.
const (
	None Compression = 0
	S2   Compression = 1 // github.com/klauspost/compress/s2, block format
)

func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case S2:
		return "s2"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}
