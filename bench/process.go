package bench

import "time"

// A ProcessUsage is what a process has used since it began.
type ProcessUsage struct {
	CPU           time.Duration // user and system, in steps of 10 ms
	ResidentBytes float64       // now
	WrittenBytes  float64       // pages that it dirtied of files, which go to a disk; 0: not known
	ReadBytes     float64       // from a disk
}

// Add adds what another process has used.
func (u *ProcessUsage) Add(other ProcessUsage) {
	u.CPU += other.CPU
	u.ResidentBytes += other.ResidentBytes
	u.WrittenBytes += other.WrittenBytes
	u.ReadBytes += other.ReadBytes
}
