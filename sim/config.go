package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// Options adjust a run. The zero value is a good default.
type Options struct {
	// Trace receives every step, operation and fault, if not nil.
	Trace io.Writer
	// Duration is the virtual time in which clients and faults are at work;
	// default 3 s.
	Duration time.Duration
	// Calm runs without faults.
	Calm bool
	// LyingDisk makes syncs do nothing, which no single node survives: a run
	// must notice.
	LyingDisk bool
}

// A config is what the seed chose for a run: shapes that production would
// never use, so that rare paths are common.
type config struct {
	policy     env.Policy
	clients    int
	partitions int
	think      time.Duration // mean pause between a client's operations
	patience   time.Duration // after which a client gives up
	syncTime   time.Duration // mean latency of a sync
	churn      time.Duration // mean pause between the churner's operations
	fault      time.Duration // mean pause between faults; 0: none

	memtableBytes, tableBytes, blockBytes, baseBytes, l0Tables, ratio int
	sync                                                              replication.SyncMode
	segmentBytes                                                      int64
	maxSegments, roundBytes                                           int
	rot                                                               bool
	compression                                                       lsm.Compression

	facets []string // of the table; queries and scans then have filters about them

	valueThreshold, manifestBytes int
	expiry, verify                bool
}

func drawConfig(rng *rand.Rand, o Options) config {
	one := func(choices ...int) int { return choices[rng.IntN(len(choices))] }
	c := config{
		policy:     env.Policy(one(int(env.Random), int(env.Random), int(env.Random), int(env.FIFO), int(env.PCT))),
		clients:    2 + rng.IntN(6),
		partitions: 1 + rng.IntN(4),
		think:      time.Duration(one(5, 20, 60)) * time.Millisecond,
		patience:   time.Duration(one(20, 200, 2000)) * time.Millisecond,
		syncTime:   time.Duration(one(0, 100, 1000)) * time.Microsecond,
		churn:      time.Duration(one(5, 20, 100)) * time.Millisecond,
		fault:      time.Duration(one(50, 200, 600)) * time.Millisecond,

		memtableBytes: one(4<<10, 16<<10, 64<<10, 1<<20),
		tableBytes:    one(2<<10, 16<<10, 256<<10),
		blockBytes:    one(0, 128, 512),
		baseBytes:     one(8<<10, 64<<10),
		l0Tables:      one(1, 2, 4),
		ratio:         one(2, 4, 10),
		sync:          replication.SyncMode(one(int(replication.SyncAlways), int(replication.SyncAlways), int(replication.SyncAlways), int(replication.SyncInterval), int(replication.SyncNever))),
		segmentBytes:  int64(one(16<<10, 64<<10, 1<<20)),
		maxSegments:   one(2, 4, 8),
		rot:           rng.IntN(2) == 0,
		roundBytes:    one(1, 4<<10, 4<<20),
		compression:   lsm.Compression(one(int(lsm.NoCompression), int(lsm.S2))),
	}
	if rng.IntN(2) == 0 {
		c.facets = []string{"v", "p"}
	}
	c.valueThreshold = one(0, 64, 512)
	c.manifestBytes = one(0, 256, 4096)
	c.expiry, c.verify = rng.IntN(2) == 0, rng.IntN(4) == 0
	if o.Calm {
		c.fault, c.rot = 0, false
	}
	return c
}

func (c config) String() string {
	return fmt.Sprintf("policy=%d clients=%d partitions=%d think=%s patience=%s sync=%s fault=%s memtable=%d table=%d block=%d segment=%d x%d round=%d mode=%d facets=%d",
		c.policy, c.clients, c.partitions, c.think, c.patience, c.syncTime, c.fault,
		c.memtableBytes, c.tableBytes, c.blockBytes, c.segmentBytes, c.maxSegments, c.roundBytes, c.sync, len(c.facets))
}

func (c config) lsm(events *lsm.Listener) lsm.Options {
	return partition.StoreOptions(lsm.Options{
		Dir: "store", DisableWAL: true,
		MemtableBytes: c.memtableBytes, TableBytes: c.tableBytes, BlockBytes: c.blockBytes,
		BaseBytes: c.baseBytes, L0Tables: c.l0Tables, LevelRatio: c.ratio, Compression: c.compression,
		ValueThreshold: c.valueThreshold, ManifestBytes: c.manifestBytes, Events: events,
	})
}

func (c config) replication() replication.Options {
	return replication.Options{
		NodeID: 1, Dir: "raft", Sync: c.sync, SegmentBytes: c.segmentBytes, MaxSegments: c.maxSegments, RoundBytes: c.roundBytes,
	}
}
