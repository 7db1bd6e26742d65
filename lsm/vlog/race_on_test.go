//go:build race

package vlog

// raceEnabled: the race detector makes sync.Pool, which the zstd decoder uses, drop what
// it is given now and then. So under it reads may allocate.
const raceEnabled = true
