package sstable

import "bytes"

// Split returns user keys that cut the table into n pieces of about as many blocks: where
// each piece begins, the first left out. They are fewer where there are not enough blocks
// or distinct keys.
func (r *Reader) Split(n int) (starts [][]byte) {
	n = min(n, r.index.blocks)
	for i := 1; i < n; i++ {
		user := bytes.Clone(r.index.separator(r.index.blocks * i / n).User)
		if len(starts) == 0 || bytes.Compare(starts[len(starts)-1], user) < 0 {
			starts = append(starts, user)
		}
	}
	return starts
}
