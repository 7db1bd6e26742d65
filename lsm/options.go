package lsm

import (
	"cmp"
	"fmt"
	"path"
	"time"

	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
	"github.com/statordb/stator/lsm/vlog"
	"github.com/statordb/stator/lsm/wal"
)

// Options adjust a database. The zero value is a good default.
type Options struct {
	// Dir is the directory of the database within the file system it is
	// opened on. Default: the root.
	Dir string

	// MemoryBytes is how much memory memtables, indexes, filters and the cache of
	// decoded blocks may take in all (memory.go). Default 256 MiB.
	MemoryBytes int64

	// NoMmap reads files instead of mapping them. All blocks then go through the
	// cache, which is slower, but needs no address space, and a failing disk
	// cannot raise a signal. Systems without mmap always do so.
	NoMmap bool

	// MemtableBytes is the size at which a memtable is sealed. Default 64 MiB,
	// or a quarter of MemoryBytes if that is less.
	// Up to four times as much is used while flushing is behind.
	MemtableBytes int

	// Sync says when a write is durable. Default SyncAlways.
	Sync SyncMode

	// SyncEvery is how often SyncInterval syncs. Default 100 ms.
	SyncEvery time.Duration

	// DisableWAL leaves out the write-ahead log, for a caller that keeps one of
	// its own. After a crash the database holds exactly the operations up to
	// FlushedSeq. Apply does not block, but for the last phase of Ingest; the caller
	// asks Admit before it logs.
	DisableWAL bool

	// NoPreallocate leaves out reserving disk space for logs, which costs time
	// and memory where there is no disk.
	NoPreallocate bool

	// TrackPins remembers for each open iterator and snapshot who made it, for
	// DB.Pins and Listener.Pinned. It costs about a microsecond for each, and is
	// for finding those that are never closed. Default false.
	TrackPins bool

	// LogSegmentBytes is the size of a file of the write-ahead log. Default
	// 16 MiB. A new file has 1 MiB at first and grows as it is filled; those that are
	// used again have all of it, until writes pause for some seconds.
	LogSegmentBytes int64

	// BlockBytes is the size of a block of a table before compression. Default
	// 4 KiB, with Zstd and ZstdDict 8 KiB.
	BlockBytes int

	// TableBytes is the size of a table below level 0. Default 32 MiB.
	TableBytes int

	// Compression of tables. Default none: tables are read in place. With Zstd and
	// ZstdDict, level 0 has S2, as flushes must be quick. It may be changed
	// between one Open and the next; tables are then written anew as compaction
	// comes to them.
	Compression Compression

	// CompressionPerLevel is the compression of each level, from level 0 on; the
	// last one holds for all levels below as well. For example {NoCompression,
	// NoCompression, S2, ZstdDict}. Default: as Compression says. A table is not
	// moved between levels with different compression, but written anew.
	CompressionPerLevel []Compression

	// ValueThreshold is the size from which values are kept apart, in value files,
	// where compaction need not copy them. Default 1 KiB; negative: never. It may be
	// changed between one Open and the next; compaction then moves what it comes to.
	ValueThreshold int

	// ValueCompression is that of values in value files: ValuesAsTables (the default),
	// ValuesAsTheyAre, ValuesS2 or ValuesZstd. A value of 4 KiB takes zstd about 3.5 times as
	// long to decode as S2. It may be changed between one Open and the next.
	ValueCompression ValueCompression

	// ValueFileBytes is about the size at which a value file is ended. Default
	// 64 MiB.
	ValueFileBytes int

	// SpaceAmplification is how many bytes value files may have for each byte of them
	// that tables point to. Default 1.5: a third may be garbage. Less costs writing: when
	// values are overwritten at random, 0.3 bytes are moved for each one that is
	// written, with 1.1 it is 1.2. Below 1: a file goes only when all of it is garbage.
	SpaceAmplification float64

	// Compaction decides what is merged, and when: Leveled, Tiered, LazyLeveled or FIFO.
	// It may be another one each time the database is opened. Default Leveled.
	Compaction Compaction

	// ManifestBytes is how many bytes of edits, beyond twice the size of what they add
	// up to, are written before the manifest is begun anew. Default 64 KiB.
	ManifestBytes int

	// CompactionConcurrency is how many compactions, or parts of a large one, run at the
	// same time. Default 2.
	CompactionConcurrency int

	// BackgroundBytesPerSec is how much compactions, those that move values out of value files
	// included, may write to files per second, all together. If that is too little for
	// what is written to the database, writers are slowed down in the end. It may be changed
	// while the database is open: SetBackgroundBytesPerSec. Default 0: no limit.
	BackgroundBytesPerSec int64

	// PaceFlushes has BackgroundBytesPerSec count flushes, too. They do not wait for
	// compactions, which get what flushes leave. Default false: flushes are not held up.
	PaceFlushes bool

	// L0Tables is how many tables of level 0, or with other policies runs of one size,
	// start a compaction. Default 4.
	L0Tables int

	// BaseBytes is about how large the last level must be, divided by LevelRatio, to
	// have another one above it, other than level 0. Default four memtables.
	BaseBytes int

	// LevelRatio is the size of each further level to the one above. Default 10.
	LevelRatio int

	// TombstoneAge is how long after its flush a tombstone may stay before it is merged
	// down, so that what was deleted leaves the disk. Default 0: until there is
	// reason to merge it.
	TombstoneAge time.Duration

	// Expiry says when entries expire: merges then drop them, and tables of which half has
	// expired are merged for that alone (not with FIFO, which has a TTL of its own). Until
	// then they may be seen; once one is gone, no older value of its key comes
	// back. Snapshots and iterators see what they saw. It must be deterministic, quick and
	// safe for concurrent use, and is asked about each value that a flush or a merge writes;
	// those in value files are read for it. Default: nothing expires.
	Expiry ExpiryFunc

	// Facets derives tags from each key and value, for NewFilteredIter: tables and
	// memtables keep a bitmap for each tag. It must be deterministic, quick and safe
	// for concurrent use; it is called under locks, and must not call the database.
	// Each tag costs about 75 ns whenever its value is written, by a flush or a
	// compaction, too, and one or two bytes in the table. Default none.
	Facets FacetFunc

	// FacetKeys reports whether a key may have tags at all; to the others the facet
	// function gives none. Their values are not looked at, which matters where they are
	// in value files: a compaction moves the pointer to such a value, but must read the
	// value to ask the facet function. It must be as quick, safe and deterministic as that,
	// and a part of what FacetsName names. Default: every key.
	FacetKeys func(user []byte) bool

	// FacetsName names the function and its version, in at most 255 bytes. A table
	// that was written under another name, or without facets, keeps working: filtered
	// iterators ask the function about each of its values until compaction writes
	// it anew. So a function that gives other tags than before must get a new name.
	// Default "facets".
	FacetsName string

	// PrefixLen makes tables filter the first PrefixLen bytes of their keys, for
	// iterators with IterOptions.Prefix: they leave out tables in which no key begins with
	// the prefix. It costs 10 bits for each distinct prefix. Shorter keys have
	// no prefix. Default 0: no such filter. It may be changed between one Open and
	// the next; tables written under another length are just not left out.
	PrefixLen int

	// Split is for prefixes that have no fixed length, such as all up to a separator; then
	// PrefixLen does not count. It must be safe for concurrent use.
	Split SplitFunc

	// SplitName names the function and its version, in at most 255 bytes: a function
	// that splits otherwise than before must get a new name. Default "split".
	SplitName string

	// Events is told what happens in the background. Default: nobody.
	Events *Listener
}

// A SplitFunc returns how many bytes from the start of a key are its prefix, 0 if it has none.
//
// It must look at nothing but these bytes: if it says n > 0 of a key, it says n of every key
// that begins with the same n bytes. A table whose keys show that it does not has no filter of
// prefixes.
type SplitFunc = sstable.SplitFunc

// fixedSplit is the SplitFunc of Options.PrefixLen.
func fixedSplit(n int) SplitFunc {
	return func(user []byte) int {
		if len(user) < n {
			return 0
		}
		return n
	}
}

// Compaction is a policy of compaction; see package compaction for how they compare.
type Compaction = compaction.Policy

// The policies.
type (
	Leveled     = compaction.Leveled
	Tiered      = compaction.Tiered
	LazyLeveled = compaction.LazyLeveled
	FIFO        = compaction.FIFO
)

// Compression is how the blocks of a table are stored.
type Compression = sstable.Compression

// The choices. Of an entry of 116 bytes, of which 50 compress, S2 makes 69, Zstd 63 and
// ZstdDict 62, filter and index included. A block takes S2 about 1.5 µs to decode
// and zstd 4.
const (
	NoCompression = sstable.None
	S2            = sstable.S2
	Zstd          = sstable.Zstd
	ZstdDict      = sstable.ZstdDict // with a dictionary for each table
)

// A ValueCompression is how values in value files are stored. One that does not shrink by an
// eighth is stored as it is.
type ValueCompression uint8

// The choices.
const (
	ValuesAsTables  ValueCompression = iota // S2 if Options.Compression is any, else as they are
	ValuesAsTheyAre                         // read in place
	ValuesS2
	ValuesZstd
)

// A SyncMode says when writes become durable. In every mode a crash of the
// process alone loses nothing that was acknowledged.
type SyncMode int

// The modes.
const (
	SyncAlways   SyncMode = iota // before Apply returns; writers at the same time share one sync
	SyncInterval                 // within Options.SyncEvery
	SyncNever                    // whenever the operating system likes
)

func (m SyncMode) String() string {
	return [...]string{"always", "interval", "never"}[m]
}

const (
	defaultMemoryBytes   = 256 << 20
	defaultMemtableBytes = 64 << 20
	defaultTableBytes    = 32 << 20
	defaultThreshold     = 1 << 10
	defaultFileBytes     = 64 << 20
	defaultAmplification = 1.5
	defaultL0Tables      = 4
	defaultLevelRatio    = 10
	defaultCompactions   = 2
	defaultSyncEvery     = 100 * time.Millisecond
)

func (o Options) withDefaults() Options {
	o.MemoryBytes = cmp.Or(o.MemoryBytes, defaultMemoryBytes)
	o.MemtableBytes = cmp.Or(o.MemtableBytes, int(min(defaultMemtableBytes, o.MemoryBytes/4)))
	o.SyncEvery = cmp.Or(o.SyncEvery, defaultSyncEvery)
	o.TableBytes = cmp.Or(o.TableBytes, defaultTableBytes)
	o.ValueThreshold = cmp.Or(o.ValueThreshold, defaultThreshold)
	o.SpaceAmplification = cmp.Or(o.SpaceAmplification, defaultAmplification)
	o.ValueFileBytes = cmp.Or(o.ValueFileBytes, defaultFileBytes)
	o.L0Tables = cmp.Or(o.L0Tables, defaultL0Tables)
	o.BaseBytes = cmp.Or(o.BaseBytes, 4*o.MemtableBytes)
	o.LevelRatio = max(2, cmp.Or(o.LevelRatio, defaultLevelRatio))
	if o.Facets != nil {
		o.FacetsName = cmp.Or(o.FacetsName, "facets")
	}
	if o.Split != nil {
		o.SplitName = cmp.Or(o.SplitName, "split")
	} else if o.PrefixLen > 0 {
		o.Split, o.SplitName = fixedSplit(o.PrefixLen), fmt.Sprintf("first %d", o.PrefixLen)
	}
	o.CompactionConcurrency = max(1, cmp.Or(o.CompactionConcurrency, defaultCompactions))
	if o.Compaction == nil {
		o.Compaction = Leveled{}
	}
	if o.Events == nil {
		o.Events = &Listener{}
	}
	return o
}

const (
	logPrefix = "wal-"

	// recycledSegments is about as many as one memtable fills: to write to a file again
	// costs a third of writing to a new one.
	recycledSegments = 6
)

func (o Options) log() wal.Options {
	return wal.Options{
		Dir: o.Dir, Prefix: logPrefix, SegmentBytes: o.LogSegmentBytes, Recycle: recycledSegments,
		Preallocate: !o.NoPreallocate, Lazy: o.Sync != SyncAlways,
	}
}

func (o Options) manifest() manifest.Options {
	return manifest.Options{Dir: o.Dir, RotateBytes: o.ManifestBytes, Preallocate: !o.NoPreallocate}
}

func (o Options) compaction() compaction.Options {
	return compaction.Options{
		L0Tables: o.L0Tables, BaseBytes: uint64(o.BaseBytes),
		Ratio: uint64(o.LevelRatio), TableBytes: uint64(o.TableBytes),
		TombstoneAge: o.TombstoneAge,
	}
}

// table returns the writer's options for table num in a level.
func (o Options) table(num manifest.FileNum, level int) sstable.Options {
	t := sstable.Options{Number: uint64(num), BlockBytes: o.BlockBytes, Compression: o.compression(level)}
	if o.Facets != nil {
		t.Facets = o.FacetsName
	}
	t.Split, t.SplitName = o.Split, o.SplitName
	return t
}

func (o Options) compression(level int) Compression {
	switch n := len(o.CompressionPerLevel); {
	case n > 0:
		return o.CompressionPerLevel[min(level, n-1)]
	case level == 0:
		return min(o.Compression, S2)
	}
	return o.Compression
}

func (o Options) valuePolicy() compaction.ValuePolicy {
	return compaction.ValuePolicy{Amplification: o.SpaceAmplification}
}

// valueFile returns the writer's options for a value file.
func (o Options) valueFile(num manifest.FileNum) vlog.Options {
	return vlog.Options{Number: uint64(num), Codec: o.valueCodec()}
}

func (o Options) valueCodec() vlog.Codec {
	switch {
	case o.ValueCompression == ValuesZstd:
		return vlog.Zstd
	case o.ValueCompression == ValuesS2, o.ValueCompression == ValuesAsTables && o.Compression != NoCompression:
		return vlog.S2
	}
	return vlog.None
}

const (
	tableSuffix = ".sst"
	valueSuffix = ".vlog"
)

func (o Options) valueName(num manifest.FileNum) string {
	return path.Join(o.Dir, num.String()+valueSuffix)
}

func (o Options) tableName(num manifest.FileNum) string {
	return path.Join(o.Dir, num.String()+tableSuffix)
}
