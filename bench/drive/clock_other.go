//go:build !linux || !amd64

package drive

func ordered() uint64      { return 0 }
func unordered() uint64    { return 0 }
func counterIsClock() bool { return false }
