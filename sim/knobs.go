package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// Knobs are sizes and modes that production would never choose, so that rare paths
// are common. Sizes are in bytes.
type Knobs struct {
	Partitions int      `json:"partitions"`
	Lacks      []string `json:"lacks,omitempty"`      // global indexes that the table does not have
	Books      int      `json:"books,omitempty"`      // tables of the ledger, 1 or 2; 0: 1
	HeldIndex  bool     `json:"held_index,omitempty"` // the ledger has a global index
	SyncTime   Duration `json:"sync_time"`            // mean latency of a sync
	Facets     bool     `json:"facets,omitempty"`
	Verify     bool     `json:"verify,omitempty"` // the engine's files, after each flush and compaction
	Calm       bool     `json:"calm,omitempty"`   // the program takes none of its rare paths by chance

	Memory    int64  `json:"memory,omitempty"` // the engine's; 0: its default
	Memtable  int    `json:"memtable"`
	Table     int    `json:"table"`
	Block     int    `json:"block"`
	Base      int    `json:"base"`
	L0        int    `json:"l0"` // tables
	Ratio     int    `json:"ratio"`
	Compress  bool   `json:"compress,omitempty"`
	Threshold int    `json:"threshold,omitempty"` // from which values are separated
	Manifest  int    `json:"manifest,omitempty"`
	Sync      string `json:"sync"` // always, interval, never

	Workers    int      `json:"workers"`
	Segment    int64    `json:"segment"`
	Segments   int      `json:"segments"`
	Round      int      `json:"round"`
	Keep       int      `json:"keep,omitempty"`        // entries kept for members that lag
	Window     int      `json:"window,omitempty"`      // entries whose requests are remembered
	Shown      int      `json:"shown,omitempty"`       // bytes of the attributes that it is remembered of a request that it answered with
	Page       int      `json:"page,omitempty"`        // bytes that a page of a query or scan reads
	Chunk      int      `json:"chunk,omitempty"`       // bytes of the state of a group that are sent at a time
	Tick       Duration `json:"tick,omitempty"`        // of raft's clock
	Patience   Duration `json:"patience,omitempty"`    // how long a node looks for whoever can answer; 0: tablePatience
	Stale      Duration `json:"stale,omitempty"`       // how old a transaction is when others take its coordinator for dead; 0: as in production
	Mark       Duration `json:"mark,omitempty"`        // a tenth of how long a transaction's token counts; 0: as in production
	Cancelled  Duration `json:"cancelled,omitempty"`   // how long a transaction that was cancelled is remembered; 0: as in production
	SplitBytes int64    `json:"split_bytes,omitempty"` // from which size on a partition splits by itself; 0: as in production
	SplitRate  int      `json:"split_rate,omitempty"`  // requests a second from which on it does, in a cluster
	SplitAfter Duration `json:"split_after,omitempty"` // that it must have had for so long

	Leaves int `json:"leaves"` // of 256 times another task runs before a leaf is taken
}

var syncModes = []string{replication.SyncAlways: "always", replication.SyncInterval: "interval", replication.SyncNever: "never"}

func (k *Knobs) check() error {
	for name, n := range map[string]int64{
		"partitions": int64(k.Partitions), "memtable": int64(k.Memtable), "table": int64(k.Table), "base": int64(k.Base),
		"l0": int64(k.L0), "ratio": int64(k.Ratio), "segment": k.Segment, "segments": int64(k.Segments), "round": int64(k.Round), "workers": int64(k.Workers),
	} { //sim:ok any of the mistakes is reported
		if n <= 0 || n > 1<<30 {
			return fmt.Errorf("knob %s is %d", name, n)
		}
	}
	for _, name := range k.Lacks {
		if i := slices.IndexFunc(allIndexes, func(x indexInfo) bool { return x.name == name }); i < 0 || !allIndexes[i].global {
			return fmt.Errorf("there is no global index %q to be lacked", name)
		}
	}
	switch {
	case !slices.Contains(syncModes, k.Sync):
		return fmt.Errorf("there is no sync mode %q; there are %s", k.Sync, strings.Join(syncModes, ", "))
	case k.SyncTime < 0 || k.Tick < 0 || k.Block < 0 || k.Keep < 0 || k.Window < 0 || k.Shown < 0 || k.Page < 0 || k.Cancelled < 0 || k.Chunk < 0 || k.Window > 0 && k.Window < 4 || k.Threshold < 0 || k.Manifest < 0 || k.Memory < 0 || k.SplitBytes < 0 || k.SplitRate < 0 || k.SplitAfter < 0 || k.Patience < 0 || k.Stale < 0 || k.Mark < 0 || k.Books < 0 || k.Books > 2 || k.Partitions > 1000:
		return fmt.Errorf("a knob is out of range: %+v", *k)
	}
	return nil
}

func (k *Knobs) syncMode() replication.SyncMode {
	return replication.SyncMode(slices.Index(syncModes, k.Sync))
}

// facets are those of the table.
func (k *Knobs) facets() []string {
	if k.Facets {
		return []string{"v", "p"}
	}
	return nil
}

func (k *Knobs) lsm(events *lsm.Listener) lsm.Options {
	o := lsm.Options{
		Dir: storeName, DisableWAL: true, MemoryBytes: k.Memory,
		MemtableBytes: k.Memtable, TableBytes: k.Table, BlockBytes: k.Block,
		BaseBytes: k.Base, L0Tables: k.L0, LevelRatio: k.Ratio, Compression: lsm.NoCompression,
		ValueThreshold: k.Threshold, ManifestBytes: k.Manifest, Events: events,
	}
	if k.Compress {
		o.Compression = lsm.S2
	}
	return partition.StoreOptions(o)
}

func (k *Knobs) replication(node uint64) replication.Options {
	return replication.Options{
		NodeID: node, Dir: logName, Sync: k.syncMode(), Workers: k.Workers, SegmentBytes: k.Segment, MaxSegments: k.Segments,
		RoundBytes: k.Round, KeepEntries: k.Keep, Tick: time.Duration(k.Tick),
	}
}

// tick is that of raft's clock.
func (k *Knobs) tick() time.Duration {
	if k.Tick == 0 {
		return defaultTick
	}
	return k.Tick.Std()
}

// patience is how long a node looks for whoever can answer.
func (k *Knobs) patience() time.Duration {
	if k.Patience == 0 {
		return tablePatience
	}
	return k.Patience.Std()
}

// defaultTick is replication's.
const defaultTick = 100 * time.Millisecond

// drawKnobs draws what a node is made of.
func (d *drawer) drawKnobs() Knobs {
	k := Knobs{
		Calm:       d.o.Calm,
		Partitions: 1 + d.IntN(4),
		SyncTime:   Duration(time.Duration(d.one(0, 100, 1000)) * time.Microsecond),
		Memtable:   d.one(4<<10, 16<<10, 64<<10, 1<<20),
		Table:      d.one(2<<10, 16<<10, 256<<10),
		Block:      d.one(0, 128, 512),
		Base:       d.one(8<<10, 64<<10),
		L0:         d.one(1, 2, 4),
		Ratio:      d.one(2, 4, 10),
		Sync:       syncModes[d.one(0, 0, 0, 1, 2)],
		Segment:    int64(d.one(16<<10, 64<<10, 256<<10)),
		Segments:   d.one(2, 4, 8),
		Round:      d.one(1, 4<<10, 4<<20),
		Compress:   d.IntN(2) == 0,
		Facets:     d.IntN(2) == 0,
		Threshold:  d.one(0, 64, 512),
		Manifest:   d.one(0, 256, 256, 4096),
		Verify:     d.IntN(4) == 0,
		Workers:    d.one(1, 1, 1, 2),
		Leaves:     d.one(-1, 4, 4, 16),
	}
	// Of a stream of its own, so that what is drawn next stays as it was.
	memory := &drawer{Rand: rand.New(rand.NewPCG(d.plan.Seed, 0x3e30))}
	k.Memory = int64(memory.one(64<<10, 512<<10, 1<<20))
	if d.cluster() {
		// The promise of a replicated write is that a majority has it on disk.
		k.Sync = "always"
		k.Tick = Duration(time.Duration(d.one(10, 20, 50, 100)) * time.Millisecond)
		k.Leaves = d.one(-1, -1, 4)
		k.Window = d.one(0, 8, 64)
		k.Chunk = d.one(0, 200, 200, 2000)
		k.Keep = d.one(0, 0, 1, 2, 5, 20)
	}
	return k
}

func (p *Plan) worldOptions() env.Options {
	policy, err := policyOf(p.Policy)
	if err != nil {
		panic(err) // check has seen to it
	}
	return env.Options{Policy: policy, LeafYields: p.Knobs.Leaves, NoBuggify: p.Knobs.Calm, Limit: 10*time.Minute + 10*p.For.Std()}
}
