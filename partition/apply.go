package partition

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/txn"
)

// maxScratch is the largest buffer that is kept from entry to entry.
const maxScratch = 4 << 20

// scratch is the memory of Apply that outlives an entry only to be reused.
type scratch struct {
	batch    *lsm.Batch
	key      []byte // row key of the current command
	stored   []byte // row read from the store by the current command
	progress []byte

	// rows holds the encoded rows written by the entry, one after the other.
	// They stay where they are until the entry ends: when rows grows, what was
	// written before remains in the old array.
	rows []byte

	// staged holds the rows written by earlier commands of the same entry,
	// which the store does not show yet. It is used when an entry carries
	// several commands.
	staged map[string]stagedRow
	shared bool // the entry carries several commands

	// For the indexes of the current command.
	builder    item.Builder
	entries    []byte // entries with a projection, one after the other
	changes    []entryChange
	entryKey   []byte
	row        []byte
	collection []byte // key of the size of an item collection
	value      []byte

	// collections holds the sizes of item collections changed by earlier
	// commands of the same entry, by key; used like staged.
	collections map[string]int64
	// What earlier commands of the same entry made of sources and backfills.
	sources   map[uint64]uint64
	backfills map[uint32][]byte
	tokens    map[string][]byte // token records of the current entry; used like staged
	change    Change
	index     uint64 // of the current entry
	child     *child // split off by it
}

// A stagedRow is the state of a key after a command of the current entry.
type stagedRow struct {
	item item.Item // nil = deleted
	ts   txn.Timestamp
}

// Apply executes the commands of one committed log entry, in order, and returns
// one *Result for each. Rows, counters and the applied index reach the store in
// one atomic batch: after a crash either all of the entry is there or none, and
// the log replays it.
//
// The outcome depends on the commands and the applied state alone.
//
// A row that is damaged fails its own command only: so will every reader of it, for
// good, also when the log is replayed. Any other failure to read may have passed by
// then, or may pass in a replay that has not met it before; then the command would come
// to something else, and with it the numbers of all later changes. So it breaks the
// partition, until the next start. So does a batch that the store refuses: going on
// would leave a hole in the log. Where there are other replicas, which can read the
// row, not being able to breaks this one in any case.
// Entries at or below Applied are ignored.
func (p *Partition) Apply(index uint64, commands [][]byte) []any {
	results := make([]Result, len(commands))
	answers := make([]any, len(commands))
	for i := range results {
		answers[i] = &results[i]
	}
	if p.broken == nil && index > p.applied {
		p.applyEntry(index, commands, results)
	}
	if p.broken != nil {
		p.tell()
		for i := range results {
			results[i] = Result{Err: p.broken}
		}
	}
	return answers
}

func (p *Partition) applyEntry(index uint64, commands [][]byte, results []Result) {
	s := &p.scratch
	s.batch.Reset()
	if s.rows = s.rows[:0]; cap(s.rows) > maxScratch {
		s.rows = nil
	}
	s.shared = len(commands) > 1 || len(commands) == 1 && ofTransaction(commands[0])
	if s.shared && s.staged == nil {
		s.staged = make(map[string]stagedRow)
		s.collections = make(map[string]int64)
		s.tokens = make(map[string][]byte)
	}
	clear(s.staged)
	clear(s.tokens)
	clear(s.collections)
	clear(s.sources)
	clear(s.backfills)
	if cap(s.entries) > maxScratch {
		s.entries = nil
	}

	p.window.begin()
	s.child, s.index = nil, index
	config := p.config.Load()
	c := p.counters()
	for i, b := range commands {
		cmd, err := DecodeCommand(b)
		switch {
		case err != nil:
			results[i].Err = err
		case cmd.Kind == Configure:
			config = p.configure(config, cmd.Config)
		case cmd.Kind == SplitOff:
			config, results[i] = p.split(config, cmd.Split, &c)
		case cmd.Request != RequestID{}:
			results[i] = p.executeOnce(config, &cmd, &c)
		default:
			results[i] = p.execute(config, &cmd, &c)
		}
	}
	if p.broken != nil {
		return
	}
	p.commit(index, config, c)
}

// ofTransaction reports whether an encoded command may write several rows.
func ofTransaction(command []byte) bool {
	return len(command) >= 2 && (Kind(command[1]) == Transact || Kind(command[1]) == Resolve || Kind(command[1]) == Decide)
}

// executeOnce answers a command that it has carried out before as it did then.
func (p *Partition) executeOnce(config *Config, cmd *Command, c *counters) Result {
	p.replicated = true
	if err := p.loadWindow(); err != nil {
		return Result{Err: p.unreadable(err)}
	}
	if r, ok := p.window.seen(cmd.Request, cmd.Timestamp); ok && !plant.On(plant.RequestCarriedOutAgain) {
		if plant.On(plant.RepeatedAnswerLost) && r.Err == nil {
			return Result{}
		}
		return r
	}
	r := p.execute(config, cmd, c)
	if errors.Is(r.Err, ErrWrongPartition) {
		return r // the partition that has the key carries it out
	}
	p.window.note(cmd.Request, cmd.Timestamp, &r)
	return r
}

func (p *Partition) execute(config *Config, cmd *Command, c *counters) Result {
	if config == nil {
		return Result{Err: ErrNotConfigured}
	}
	switch cmd.Kind {
	case Transact, Prepare, Resolve, Settle, Decide, Forget:
		return p.transaction(config, cmd, c)
	case Check:
		return Result{Err: ErrCommand}
	case Entries:
		return p.applyEntries(config, cmd, c)
	case Trim:
		return p.trim(cmd.Through, c)
	case Mark:
		p.mark(config, cmd.Mark)
		return Result{}
	case Close:
		return p.close(config, cmd.Hash)
	case Backfill:
		return p.backfill(config, cmd, c)
	}
	return p.write(config, cmd, c)
}

// configure stages a newer configuration and returns the one in force. What
// there was of backfills of indexes that are gone goes, too.
//
// Only a split changes the hashes of a partition: whoever proposes a configuration may
// not know of it yet.
func (p *Partition) configure(current, proposed *Config) *Config {
	if current != nil && current.Version >= proposed.Version {
		return current
	}
	if current != nil {
		proposed.First, proposed.Last = current.First, current.Last
	}
	p.scratch.batch.Set(appendGroupKey(nil, p.group, partConfig), proposed.append(nil))
	if current != nil {
		for i := range current.Schema.Indexes {
			if id := current.Schema.Indexes[i].ID; !current.Schema.Indexes[i].Local && id != 0 && !proposed.Schema.hasGlobal(id) {
				p.scratch.batch.Delete(appendBackfillKey(nil, p.group, id))
			}
		}
	}
	return proposed
}

// commit writes the staged batch with the progress record; only then does the
// partition's memory follow.
func (p *Partition) commit(index uint64, config *Config, c counters) {
	s := &p.scratch
	s.key = appendGroupKey(s.key[:0], p.group, partProgress)
	s.progress = p.appendProgress(s.progress[:0], index, c)
	s.batch.Set(s.key, s.progress)
	p.stageWindow()
	p.stageTransactions()
	if s.child != nil {
		p.stageChild(c)
	}
	p.absent.Store(uint64(c.maxDelete)) // see Absent
	if err := p.db.Apply(s.batch); err != nil {
		p.broken = fmt.Errorf("partition %d: apply entry %d: %w", p.group, index, err)
		return
	}
	p.applied = index
	if s.child != nil {
		p.hold(s.child.split.Child, index)
	}
	for source, through := range s.sources { //sim:ok only copies into another map
		p.sources[source] = through
	}
	noted := c.sequence > p.sequence.Load()
	p.setCounters(c)
	p.config.Store(config)
	before := p.txns.busy.Load()
	p.txns.show()
	if p.txns.isClosed() {
		p.txns.closed.Store(true)
	}
	if f := p.txns.wake.Load(); f != nil && !before && p.txns.busy.Load() {
		(*f)()
	}
	if s.child != nil {
		p.txns.part(s.child.split.At)
		p.heat.Store(nil)
		if f := p.splitter.Load(); f != nil {
			(*f)(s.child.split)
		}
	}
	if f := p.watcher.Load(); noted && f != nil {
		(*f)()
	}
}

// current returns the row of the key in scratch.key as the commands before this
// one left it. The item is nil when there is none; it is valid until the next
// command.
func (p *Partition) current() (item.Item, txn.Timestamp, error) {
	s := &p.scratch
	if s.shared && !plant.On(plant.ConditionOnStaleRow) {
		if row, ok := s.staged[string(s.key)]; ok {
			return row.item, row.ts, nil
		}
	}
	b, err := p.db.Get(s.key, s.stored[:0])
	if errors.Is(err, lsm.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, p.unreadable(fmt.Errorf("partition %d: read row: %w", p.group, err))
	}
	s.stored = b
	ts, it, err := decodeRow(b)
	if err != nil {
		return nil, 0, p.unreadable(fmt.Errorf("partition %d: %w", p.group, err))
	}
	return it, ts, nil
}

// unreadable judges an error of the store while a command reads; see Apply.
func (p *Partition) unreadable(err error) error {
	var damage *corrupt.Error
	switch isDamaged := errors.As(err, &damage) || errors.Is(err, ErrFormat); {
	case !p.serving.Load() && !isDamaged:
		p.broken = fmt.Errorf("%w: %w", ErrReplay, err)
	case p.replicated || !isDamaged:
		p.broken = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// stage records the new state of the key in scratch.key; a nil item deletes it.
func (p *Partition) stage(schema *Schema, it item.Item, ts txn.Timestamp) {
	s := &p.scratch
	staged := stagedRow{ts: ts}
	if it == nil {
		s.batch.Delete(s.key)
	} else {
		at := len(s.rows)
		s.rows = schema.appendRow(s.rows, ts, it)
		s.batch.Set(s.key, s.rows[at:])
		staged.item = item.Item(s.rows[len(s.rows)-len(it):])
	}
	if s.shared {
		s.staged[string(s.key)] = staged
	}
}
