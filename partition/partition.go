package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// Errors of commands that had no effect.
var (
	// ErrConditionFailed means that the condition of a write was false.
	ErrConditionFailed = errors.New("partition: condition failed")
	// ErrNotConfigured means that no Configure command was applied yet.
	ErrNotConfigured = errors.New("partition: not configured")
	// ErrReplay means that an entry of the log could not be applied once more
	// after a restart. Its writes were answered; they are still in the log.
	ErrReplay = errors.New("partition: replay failed")
	// ErrDamaged means that this replica could not carry out what others can, or what
	// it can itself at another time, and applies nothing any more. What became of the
	// command, they know, or the next start will tell.
	ErrDamaged = errors.New("partition: replica is damaged")
	// ErrWrongPartition means that the key's hash belongs to another partition.
	ErrWrongPartition = errors.New("partition: key belongs to another partition")
)

// A Partition is the state machine of one replication group: the rows of one
// hash range of one table, with their counters.
//
// Apply is called by one task at a time; everything else may be called from any
// task at any time.
type Partition struct {
	db    *lsm.DB
	group uint64

	config atomic.Pointer[Config]  // immutable; nil until configured
	items  atomic.Int64            // as of applied
	bytes  atomic.Int64            // sum of item sizes, as of applied
	latest atomic.Uint64           // greatest timestamp of any write, as of applied
	local  atomic.Pointer[[]Stats] // of the local indexes, by their number - 1, as of applied; immutable

	sequence    atomic.Uint64 // of the latest change record, as of applied
	trimmed     atomic.Uint64 // change records up to this one are gone
	changeBytes atomic.Int64  // of all change records written since Open
	watcher     atomic.Pointer[func()]
	splitter    atomic.Pointer[func(*Split)]
	birth       atomic.Pointer[Birth]  // nil unless the partition was split off another one; immutable
	holds       atomic.Pointer[[]hold] // immutable; never nil
	lastSplit   atomic.Uint64          // see LastSplit
	heat        atomic.Pointer[heat]   // nil until the first request

	// sources says for each partition of the base table up to which of its
	// changes this partition of a global index has them. Owned by Apply.
	sources map[uint64]uint64

	window window // of the latest requests. Owned by Apply.
	txns   transactions
	absent atomic.Uint64 // see Absent

	applied   uint64                // index of the last applied log entry
	members   []byte                // of the group; nil if they never changed
	maxDelete txn.Timestamp         // greatest timestamp at which a row was deleted
	restored  restored              // the snapshot that was installed last
	broken    error                 // why nothing more is applied
	failure   atomic.Pointer[error] // broken, for other tasks
	// replicated says that other replicas apply the same entries, so that this one
	// must not go on if it cannot read what they can. Owned by Apply.
	replicated bool
	serving    atomic.Bool // somebody waits for what Apply returns; see Serve

	maxCollection int64 // MaxCollectionBytes, less in tests

	scratch scratch // memory of Apply, reused from entry to entry
}

// Stats counts what a partition holds.
type Stats struct {
	Items int64
	Bytes int64 // by DynamoDB's rules for item sizes, without overhead
}

// Open loads the state that the store has of a group; a new group has none.
func Open(db *lsm.DB, group uint64) (*Partition, error) {
	p := &Partition{db: db, group: group, maxCollection: MaxCollectionBytes}
	p.scratch.batch = db.NewBatch()
	p.scratch.sources = make(map[uint64]uint64)
	p.scratch.backfills = make(map[uint32][]byte)
	if err := p.load(); err != nil {
		return nil, err
	}
	return p, nil
}

// load reads the state that the store has of the group.
func (p *Partition) load() error {
	for _, part := range []func() error{p.loadProgress, p.loadMembers, p.loadRestored, p.loadBirth, p.loadHolds, p.loadSources, p.loadConfig, p.loadTransactions} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// Applied returns the index of the last log entry whose effects are in the
// store; 0 = none.
func (p *Partition) Applied() uint64 { return p.applied }

// Serve ends the replay of the log that follows Open. The error matches ErrReplay
// if entries are missing; then the partition must not be used.
//
// While a log is replayed nobody learns the result of a command, which may have
// succeeded and been answered before. So an error of the disk must not make it
// fail this time.
func (p *Partition) Serve() error {
	p.serving.Store(true)
	return p.broken
}

// Err returns why nothing more is applied, so that what is read here grows old; nil if
// all is well.
func (p *Partition) Err() error {
	if f := p.failure.Load(); f != nil {
		return *f
	}
	return nil
}

// tell shows other tasks whether the partition is broken.
func (p *Partition) tell() {
	if p.broken == nil {
		p.failure.Store(nil)
		return
	}
	broken := p.broken
	p.failure.Store(&broken)
}

// Config returns the current configuration, nil if there is none yet. The
// caller must not change it.
func (p *Partition) Config() *Config { return p.config.Load() }

// Latest returns the greatest timestamp of any write. After a restart the
// proposers' clock must be past it.
func (p *Partition) Latest() txn.Timestamp { return txn.Timestamp(p.latest.Load()) }

// Stats returns the partition's counters.
func (p *Partition) Stats() Stats {
	return Stats{Items: p.items.Load(), Bytes: p.bytes.Load()}
}

// IndexStats returns the counters of a local index by its number.
func (p *Partition) IndexStats(number uint32) Stats {
	local := p.local.Load()
	if local == nil || number == 0 || int(number) > len(*local) {
		return Stats{}
	}
	return (*local)[number-1]
}

func (p *Partition) loadConfig() error {
	b, err := p.db.Get(appendGroupKey(nil, p.group, partConfig), nil)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("partition %d: read configuration: %w", p.group, err)
	}
	c, err := decodeConfig(b)
	if err != nil {
		return fmt.Errorf("partition %d: %w", p.group, err)
	}
	p.config.Store(c)
	return nil
}

// A progress record is rewritten with every applied log entry. Integers are
// big-endian.
//
//	+-----------+------------+----------+----------+-----------+---------------+
//	| format 1B | applied 8B | items 8B | bytes 8B | latest 8B | max delete 8B |
//	+-----------+------------+----------+----------+-----------+---------------+
//	| sequence 8B | trimmed 8B | local indexes 1B | items 8B, bytes 8B for each | in format 2
//	+-------------+------------+------------------+-----------------------------+
//
// format is 1, or 2 once there are changes or local indexes. sequence is that of
// the latest change record; those up to trimmed are gone. applied is the index of the
// last log entry in the store; items and bytes count the rows; latest is the
// greatest timestamp of any write, and max delete the greatest one at which a row
// was deleted: a key that comes back gets a later timestamp than any version it
// ever had.
const (
	progressFormat        byte = 1
	progressFormatIndexes byte = 2
	progressBytes              = 1 + 5*8
)

func (p *Partition) appendProgress(dst []byte, applied uint64, c counters) []byte {
	format := progressFormat
	if c.sequence > 0 || len(c.local) > 0 {
		format = progressFormatIndexes
	}
	dst = append(dst, format)
	dst = binary.BigEndian.AppendUint64(dst, applied)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.items))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.bytes))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.latest))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.maxDelete))
	if format == progressFormat {
		return dst
	}
	dst = binary.BigEndian.AppendUint64(dst, c.sequence)
	dst = binary.BigEndian.AppendUint64(dst, c.trimmed)
	dst = append(dst, byte(len(c.local)))
	for _, s := range c.local {
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.Items))
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.Bytes))
	}
	return dst
}

func (p *Partition) loadProgress() error {
	b, err := p.db.Get(appendGroupKey(nil, p.group, partProgress), nil)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("partition %d: read progress: %w", p.group, err)
	}
	applied, c, ok := decodeProgress(b)
	if !ok {
		return fmt.Errorf("partition %d: %w: progress of %d bytes", p.group, ErrFormat, len(b))
	}
	if plant.On(plant.DoubleApplyAfterRestart) {
		applied--
	}
	p.applied = applied
	p.setCounters(c)
	return nil
}

func decodeProgress(b []byte) (applied uint64, c counters, ok bool) {
	if len(b) < progressBytes || b[0] != progressFormat && b[0] != progressFormatIndexes {
		return 0, c, false
	}
	applied = binary.BigEndian.Uint64(b[1:])
	c.items = int64(binary.BigEndian.Uint64(b[9:]))
	c.bytes = int64(binary.BigEndian.Uint64(b[17:]))
	c.latest = txn.Timestamp(binary.BigEndian.Uint64(b[25:]))
	c.maxDelete = txn.Timestamp(binary.BigEndian.Uint64(b[33:]))
	if plant.On(plant.DeletesForgotten) {
		c.maxDelete = 0
	}
	rest := b[progressBytes:]
	if b[0] == progressFormat {
		return applied, c, len(rest) == 0
	}
	if len(rest) < 17 || len(rest) != 17+16*int(rest[16]) {
		return 0, c, false
	}
	c.sequence, c.trimmed = binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])
	if c.trimmed > c.sequence || c.sequence == 0 && rest[16] == 0 {
		return 0, c, false
	}
	for rest = rest[17:]; len(rest) > 0; rest = rest[16:] {
		c.local = append(c.local, Stats{
			Items: int64(binary.BigEndian.Uint64(rest)), Bytes: int64(binary.BigEndian.Uint64(rest[8:])),
		})
	}
	return applied, c, true
}

// counters are the numbers that change with the rows of one log entry.
type counters struct {
	items, bytes      int64
	latest, maxDelete txn.Timestamp
	maxCheck          txn.Timestamp // txn.Bounds.Checked; not in the progress record
	sequence, trimmed uint64        // of change records
	local             []Stats       // of the local indexes, by their number - 1
	changeBytes       int64         // of all change records written since Open
}

// counters returns the counters as of applied, to be changed.
func (p *Partition) counters() counters {
	c := counters{items: p.items.Load(), bytes: p.bytes.Load(), latest: p.Latest(), maxDelete: p.maxDelete, maxCheck: p.txns.checked,
		sequence: p.sequence.Load(), trimmed: p.trimmed.Load(), changeBytes: p.changeBytes.Load()}
	if local := p.local.Load(); local != nil {
		c.local = slices.Clone(*local)
	}
	return c
}

func (p *Partition) setCounters(c counters) {
	p.maxDelete = c.maxDelete
	p.absent.Store(uint64(c.maxDelete))
	p.latest.Store(uint64(c.latest))
	p.items.Store(c.items)
	p.bytes.Store(c.bytes)
	p.trimmed.Store(c.trimmed)
	p.sequence.Store(c.sequence)
	p.changeBytes.Store(c.changeBytes)
	if len(c.local) > 0 {
		p.local.Store(&c.local)
	}
}

// index returns the counters of a local index.
func (c *counters) index(number int) *Stats {
	for len(c.local) < number {
		c.local = append(c.local, Stats{})
	}
	return &c.local[number-1]
}
