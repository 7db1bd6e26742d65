package lsm

import (
	"fmt"

	"github.com/statordb/stator/lsm/cache"
)

// One budget, Options.MemoryBytes, covers what the database keeps in memory:
//
//	memtables           the active one at its full size, and those that are sealed;
//	                    the memory of one that was flushed, until writes pause
//	indexes, filters    of all tables; with mmap they are pages of the files
//	decoded blocks      what is left, but no less than an eighth
//
// Blocks that are read in place are not in it: they are the page cache's, as they
// would be for any program that reads files.
//
// The budget bounds the cache, nothing else. When memtables pile up behind a slow flush,
// the cache shrinks, and it grows again when they are gone.

// leastCacheShare is the part of the budget that decoded blocks always have, as 1/n.
const leastCacheShare = 8

// divideMemory gives the cache what the rest leaves over. It is called when the state has
// changed.
func (db *DB) divideMemory() {
	s, err := db.acquireState()
	if err != nil {
		return
	}
	memtables := int64(len(s.sealed)+1) * int64(db.o.MemtableBytes)
	left := db.o.MemoryBytes - memtables - int64(db.slabs.Bytes()) - s.version.residentBytes()
	db.releaseState(s)
	db.cache.SetLimit(max(left, db.o.MemoryBytes/leastCacheShare))
}

// residentBytes is the size of the indexes and filters of all tables.
func (v *version) residentBytes() int64 {
	n := int64(0)
	for _, tables := range v.levels {
		for _, t := range tables {
			if t.reader != nil {
				n += int64(t.reader.ResidentBytes())
			}
		}
	}
	return n
}

// CacheMetrics describe the cache of decoded blocks.
type CacheMetrics cache.Stats

// HitRate is the share of the reads of decoded blocks that found them; 0 without any.
func (m CacheMetrics) HitRate() float64 { return ratio(m.Hits, m.Hits+m.Misses) }

// String prints the metrics in one line.
func (m CacheMetrics) String() string {
	return fmt.Sprintf("%d of %d bytes, hit rate %.3f, %d added, %d kept, %d evicted",
		m.Bytes, m.LimitBytes, m.HitRate(), m.Added, m.Moved, m.Evicted)
}
