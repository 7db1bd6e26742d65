package lsm

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
)

// Metrics describe a database at one moment. Counts are since Open.
type Metrics struct {
	LastSeq, FlushedSeq uint64

	Memtables     int // the active one included
	MemtableBytes int
	TableMemory   int64 // indexes and filters of all tables
	Cache         CacheMetrics
	Filters       sstable.FilterStats // of tables, in reads by Get
	LogBytes      uint64              // written to the write-ahead log

	UserBytes uint64 // keys and values of all operations applied

	Levels [manifest.Levels]LevelMetrics
	Values ValueMetrics

	Flushes     uint64
	Compactions uint64 // moves not included
	Moves       uint64
	Drops       uint64 // of tables that FIFO gave up, or Excise
	Ingested    uint64 // tables
	Expired     uint64 // versions that merges dropped, or made tombstones, because of Options.Expiry

	Running   int    // compactions under way
	DebtBytes uint64 // about how much they will have to rewrite until all levels are in shape

	Paused time.Duration // how long compactions made way for writers, in all

	Limited time.Duration // how long background work waited for BackgroundBytesPerSec, in all

	Stalls [stallReasons]StallMetrics // by StallReason

	PrefixSkipped uint64 // tables that iterators left out by the filters of prefixes

	Filtered FilterMetrics // by filtered iterators that are closed

	Snapshots, Iterators int // open
	DamagedTables        int // found since Open
}

// LevelMetrics describe a level.
type LevelMetrics struct {
	Tables      int
	Bytes       uint64 // of its files
	RawBytes    uint64 // of keys and values before compression
	BitmapBytes uint64 // of the bitmaps in its files
	FillPermil  uint64 // of what it may hold; 0 for the last level
	Read        uint64 // by compactions, of the level's tables
	Written     uint64 // by flushes or compactions into the level
}

// FilterMetrics count versions that filtered iterators have dealt with.
type FilterMetrics struct {
	Considered uint64 // visible, and not ruled out by a bitmap
	Shadowed   uint64 // of them, hidden by a newer version or a range delete
	Emitted    uint64
}

// ValueMetrics describe the value files.
type ValueMetrics struct {
	Files     int
	Bytes     uint64 // of the files
	LiveBytes uint64 // of records to which tables point
	Deepest   uint64 // of those to which the deepest level that is not empty points
	Written   uint64 // to value files
	Moved     uint64 // out of files with much garbage; part of Written
}

// StallMetrics describe how writers waited for one reason.
type StallMetrics struct {
	Delays uint64 // short ones, in proportion to the load
	Stops  uint64 // until background work had caught up
	Time   time.Duration
}

// WriteAmplification is how many bytes were written to files, the log included, for
// each byte that came in; 0 before anything came in.
func (m *Metrics) WriteAmplification() float64 {
	written := m.LogBytes + m.Values.Written
	for _, l := range m.Levels {
		written += l.Written
	}
	return ratio(written, m.UserBytes)
}

// ReadAmplification is how many places a read may have to look at: memtables, tables
// of level 0, and levels below that are not empty.
func (m *Metrics) ReadAmplification() int {
	n := m.Memtables + m.Levels[0].Tables
	for _, l := range m.Levels[1:] {
		n += min(1, l.Tables)
	}
	return n
}

// SpaceAmplification is how many bytes all tables and value files have for each byte of
// the deepest level that is not empty and the values it points to: what a full compaction
// would leave, roughly.
func (m *Metrics) SpaceAmplification() float64 {
	all, deepest := m.Values.Bytes, uint64(0)
	for _, l := range m.Levels {
		all += l.Bytes
		if l.Bytes > 0 {
			deepest = l.Bytes
		}
	}
	return ratio(all, deepest+m.Values.Deepest)
}

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// String prints a table with one line per level.
func (m *Metrics) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seq %d, flushed %d; %d memtables, %d bytes; %d flushes, %d compactions, %d moves\n",
		m.LastSeq, m.FlushedSeq, m.Memtables, m.MemtableBytes, m.Flushes, m.Compactions, m.Moves)
	for i, l := range m.Levels {
		if l.Tables > 0 || l.Written > 0 {
			fmt.Fprintf(&b, "L%d: %d tables %d bytes, read %d, written %d\n", i, l.Tables, l.Bytes, l.Read, l.Written)
		}
	}
	if v := m.Values; v.Files > 0 || v.Written > 0 {
		fmt.Fprintf(&b, "values: %d files %d bytes, live %d, written %d, moved %d\n", v.Files, v.Bytes, v.LiveBytes, v.Written, v.Moved)
	}
	fmt.Fprintf(&b, "indexes and filters: %d bytes; cache: %v\n", m.TableMemory, m.Cache)
	fmt.Fprintf(&b, "filters: asked %d times, ended %d lookups, let %.4f of absent keys pass\n",
		m.Filters.Asked, m.Filters.RuledOut, m.Filters.FalsePositives())
	fmt.Fprintf(&b, "amplification: write %.2f, read %d, space %.2f\n",
		m.WriteAmplification(), m.ReadAmplification(), m.SpaceAmplification())
	return b.String()
}

// Metrics describes the database as it is now, or was when it was closed.
func (db *DB) Metrics() Metrics {
	s := db.current.Load() // of which nothing mapped is read
	c := &db.metrics
	m := Metrics{
		LastSeq: db.LastSeq(), FlushedSeq: uint64(s.version.flushedSeq),
		Memtables: 1 + len(s.sealed), MemtableBytes: s.active.Bytes(),
		LogBytes: c.logBytes.Load(), UserBytes: c.userBytes.Load(),
		Flushes: c.flushes.Load(), Compactions: c.compactions.Load(), Moves: c.moves.Load(), Drops: c.drops.Load(), Ingested: c.ingested.Load(),
		DebtBytes: s.version.shape.Debt, Paused: time.Duration(c.pauseNanos.Load()),
		Iterators: int(c.iterators.Load()), DamagedTables: int(c.damaged.Load()),
	}
	m.Limited = time.Duration(db.limiter.waited.Load())
	m.TableMemory, m.Cache = s.version.residentBytes(), CacheMetrics(db.cache.Stats())
	m.Filters = db.pool.FilterStats()
	for _, sealed := range s.sealed {
		m.MemtableBytes += sealed.Bytes()
	}
	m.PrefixSkipped, m.Expired = c.prefixSkipped.Load(), c.expired.Load()
	m.Filtered = FilterMetrics{c.considered.Load(), c.shadowed.Load(), c.emitted.Load()}
	for i := range m.Stalls {
		m.Stalls[i] = StallMetrics{c.delays[i].Load(), c.stalls[i].Load(), time.Duration(c.stallNanos[i].Load())}
	}
	for i := range m.Levels {
		m.Levels[i] = db.levelMetrics(s.version, i)
	}
	m.Values = db.valueMetrics(s.version.meta)
	db.mu.Lock()
	m.Snapshots, m.Running = len(db.snapshots), len(db.running)
	db.mu.Unlock()
	return m
}

func (db *DB) levelMetrics(v *version, level int) LevelMetrics {
	l := LevelMetrics{
		Tables: len(v.levels[level]), Bytes: v.meta.Bytes(level),
		FillPermil: v.shape.FillPermil(v.meta, level),
		Read:       db.metrics.read[level].Load(), Written: db.metrics.written[level].Load(),
	}
	for _, t := range v.levels[level] {
		l.RawBytes += t.meta.RawBytes
		if t.reader != nil {
			l.BitmapBytes += t.reader.BitmapBytes()
		}
	}
	return l
}

func (db *DB) valueMetrics(v *manifest.Version) ValueMetrics {
	m := ValueMetrics{
		Files:   len(v.Values),
		Written: db.metrics.valuesWritten.Load(), Moved: db.metrics.valuesMoved.Load(),
	}
	m.Bytes, m.LiveBytes = v.ValueBytes()
	for _, tables := range v.Levels {
		if len(tables) > 0 {
			m.Deepest = 0
		}
		for _, t := range tables {
			for _, r := range t.Values {
				m.Deepest += r.Bytes
			}
		}
	}
	return m
}

// Levels prints the tables of each level, one line per level, and the value files, for
// tests and debugging.
func (db *DB) Levels() string { return db.current.Load().version.meta.String() }

// counters are what Metrics counts. Reads count nothing: that would cost them.
type counters struct {
	logBytes, userBytes        atomic.Uint64
	flushes, compactions       atomic.Uint64
	moves, drops, ingested     atomic.Uint64
	read, written              [manifest.Levels]atomic.Uint64
	delays, stalls, stallNanos [stallReasons]atomic.Uint64
	pauseNanos                 atomic.Uint64
	prefixSkipped, expired     atomic.Uint64
	iterators                  atomic.Int64
	damaged                    atomic.Uint64
	valuesWritten, valuesMoved atomic.Uint64

	considered, shadowed, emitted atomic.Uint64 // FilterMetrics
}

// filtered counts what a filtered iterator has done.
func (c *counters) filtered(m *FilterMetrics) {
	c.considered.Add(m.Considered)
	c.shadowed.Add(m.Shadowed)
	c.emitted.Add(m.Emitted)
}

func (c *counters) flushed(bytes, valueBytes uint64) {
	c.flushes.Add(1)
	c.written[0].Add(bytes)
	c.valuesWritten.Add(valueBytes)
}

func (c *counters) compacted(e *CompactionEvent) {
	switch e.Pick.Way {
	case compaction.Move:
		c.moves.Add(1)
		return
	case compaction.Drop:
		c.drops.Add(1)
		return
	}
	c.compactions.Add(1)
	for _, in := range e.Pick.Inputs {
		for _, t := range in.Tables {
			c.read[in.Level].Add(t.Size)
		}
	}
	c.written[e.Pick.Output].Add(e.BytesWritten)
	c.valuesWritten.Add(e.ValueBytes)
}
