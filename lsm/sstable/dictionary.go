package sstable

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/statordb/stator/lsm/key"
)

// With ZstdDict a writer holds a table's first blocks back until they are enough to
// train a dictionary from, and only then encodes them. A table that ends before has
// no dictionary: it would not earn its keep.
const (
	trainBytes      = 256 << 10 // of payloads
	dictionaryBytes = 16 << 10  // of the content that blocks refer to
)

// A heldBlock waits for the dictionary.
type heldBlock struct {
	first   key.Internal
	left    []byte // last user key before
	row     uint32
	payload []byte
}

// train builds a dictionary with this id from blocks. It returns nil if they do not
// yield one, for example because there is nothing in common in them.
func train(id uint32, blocks []heldBlock) []byte {
	samples := make([][]byte, len(blocks))
	var history []byte
	for i, b := range blocks {
		samples[i] = appendStripped(nil, b.payload)
		// A share of each block: neighbours are alike. Not all of it, or nothing
		// would be left to learn how the rest is made.
		n := min(len(samples[i])/2, dictionaryBytes/len(blocks))
		history = append(history, samples[i][len(samples[i])-n:]...)
	}
	d, err := buildDict(zstd.BuildDictOptions{
		ID: id, Contents: samples, History: history, Offsets: [3]int{1, 4, 8}, Level: zstd.SpeedDefault,
	})
	if err != nil {
		return nil
	}
	return d
}

// buildDict is zstd.BuildDict, which is made for a tool: a panic on samples that it
// did not expect must not end the process, when all that is lost is a dictionary.
func buildDict(o zstd.BuildDictOptions) (d []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sstable: building a dictionary: %v", p)
		}
	}()
	return zstd.BuildDict(o)
}
