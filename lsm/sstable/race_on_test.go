//go:build race

package sstable

// raceEnabled: the race detector makes sync.Pool, which the zstd decoder uses, drop what
// it is given now and then, so that it allocates; and everything is ten times as slow.
const raceEnabled = true
