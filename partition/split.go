package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// A split gives the upper hashes of a partition to a child, a group of its own. From its
// entry of the log on the parent serves the hashes below At and refuses the others; the
// same batch writes the child's first state. Rows stay where they are: the keys of
// both partitions lie side by side in the store. So a split costs the same for any size.
//
// The child inherits
//
//   - the configuration, with its hashes;
//   - the counters that the Split says, while the parent keeps the rest: so sums over the
//     table stay exact, and each part is as good as the count of whoever proposed it
//     (PlanSplit), which may have missed some writes;
//   - the greatest timestamps, so that those of a key go on rising;
//   - the window of requests, since a command that the parent has carried out may be
//     repeated at the child;
//   - how far backfills have come, each for its hashes;
//   - what transactions have taken, decided and remembered at its hashes, with the bounds of
//     their timestamps;
//   - in a partition of a global index, the sources: a change of the base table that the
//     parent has taken, the child has, too. A batch that was made before the split is
//     refused by the parent as a whole, and made anew for both: each takes what is above
//     its source, once and in order.
//
// It does not inherit change records. Changes from before the split stay with
// the parent, whose upkeep brings them to the indexes; those after it are in the records
// of both, each numbered from 1 in the child. They must not overtake each other: the old
// change of an item that is brought to an index after a later one would bring back what
// was. So the upkeep of a child begins when the parent has trimmed its records up to
// Birth.Through: then all indexes have them, and a batch that is still on its way has
// nothing that its target does not have. A child that splits before it has any records
// hands on whom it waits for itself (Birth.After); if it has some, it waits no more once
// they are trimmed.
//
// The child begins with an empty log, with Voters as its members: those of the parent, or
// the split is refused. Until the first state is on a majority of them the parent holds
// its log (Holds), so that nobody else skips the entry by a snapshot, and Release ends that.
type Split struct {
	At     uint64 // first hash of the child
	Child  uint64 // group
	Voters []uint64
	// Stats and Local are the counters of the child, as far as they are known.
	Stats Stats
	Local []Stats // of the local indexes, by their number - 1
}

// ErrNoSplit refuses a split: At is not inside of the partition's hashes, or nothing
// would be gained by it.
var ErrNoSplit = errors.New("partition: cannot be split there")

// ErrMembers refuses a split because the group has other members than its Voters, or they
// are being changed.
var ErrMembers = errors.New("partition: members of the group are not those of the split")

// The body of a SplitOff command. Integers are little-endian, counts and numbers are
// uvarints.
//
//	+-------+----------+-------------+--------------+-------+-------+
//	| at 8B | child 8B | voter count | node id ...  | items | bytes |
//	+-------+----------+-------------+--------------+-------+-------+
//	| local count | items, bytes for each |
//	+-------------+-----------------------+
func (s *Split) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s.At)
	dst = binary.LittleEndian.AppendUint64(dst, s.Child)
	dst = appendVoters(dst, s.Voters)
	dst = s.Stats.append(dst)
	dst = binary.AppendUvarint(dst, uint64(len(s.Local)))
	for _, l := range s.Local {
		dst = l.append(dst)
	}
	return dst
}

func appendVoters(dst []byte, voters []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(voters)))
	for _, v := range voters {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

func (d *reader) voters() (voters []uint64) {
	for range d.count() {
		voters = append(voters, d.uint())
	}
	return voters
}

func decodeSplit(b []byte) (*Split, error) {
	d := reader{b: b}
	s := &Split{At: d.fixed(), Child: d.fixed(), Voters: d.voters(), Stats: d.stats()}
	for range d.count() {
		s.Local = append(s.Local, d.stats())
	}
	if !d.done() || s.Child == 0 || len(s.Voters) == 0 || len(s.Local) >= int(collectionsIndex) {
		return nil, fmt.Errorf("%w: split of %d bytes", ErrCommand, len(b))
	}
	return s, nil
}

// A child is what a log entry splits off. What commands behind the split in the same entry do concerns
// the parent alone.
type child struct {
	split     *Split
	config    *Config
	c         counters
	through   uint64            // sequence of the parent's last change
	index     uint64            // of the entry
	sources   map[uint64]uint64 // of a partition of a global index
	backfills map[uint32][]byte // by index: the record of how far it has come
}

// split stages the end of the parent's upper hashes and returns the configuration in force.
// The child is written with the rest of the entry, by stageChild. A split that is
// repeated has been done.
func (p *Partition) split(config *Config, split *Split, c *counters) (*Config, Result) {
	if config == nil {
		return nil, Result{Err: ErrNotConfigured}
	}
	s := &p.scratch
	done, err := p.wasSplit(split)
	switch {
	case err != nil:
		return config, Result{Err: err}
	case done || s.child != nil && s.child.split.Child == split.Child:
		return config, Result{}
	case s.child != nil:
		return config, Result{Err: fmt.Errorf("%w: it is being split", ErrNoSplit)}
	case split.At <= config.First || split.At > config.Last:
		return config, Result{Err: fmt.Errorf("%w: hash %#x is not inside of [%#x, %#x]", ErrNoSplit, split.At, config.First, config.Last)}
	}
	if err := p.checkVoters(split.Voters); err != nil {
		return config, Result{Err: err}
	}
	if err := p.loadWindow(); err != nil {
		return config, Result{Err: p.unreadable(err)}
	}
	backfills, err := p.backfillsFrom(config, split.At)
	if err != nil {
		return config, Result{Err: err}
	}
	sources := maps.Clone(p.sources)
	maps.Copy(sources, s.sources)
	parent, upper := *config, *config
	if parent.Last, upper.First = split.At-1, split.At; plant.On(plant.SplitKeepsHashes) {
		parent.Last = config.Last
	}
	s.child = &child{split: split, config: &upper, through: c.sequence, index: s.index, sources: sources, backfills: backfills}
	s.child.c = c.give(split)
	s.batch.Set(appendGroupKey(nil, p.group, partConfig), parent.append(nil))
	s.batch.Set(appendSplitKey(nil, p.group, split.Child), appendSplitRecord(nil, split.At, config.Last, s.index))
	return &parent, Result{}
}

// checkVoters makes sure that the group's members are the voters of a split, and no others.
// Members that have never changed are not known here; whoever proposes the split is told
// them by the leader, and a change in between is seen.
func (p *Partition) checkVoters(voters []uint64) error {
	if p.members == nil {
		return nil
	}
	m, err := replication.DecodeMembers(p.members)
	switch {
	case err != nil:
		return p.unreadable(fmt.Errorf("%w: %w", ErrFormat, err))
	case len(m.Learners)+len(m.Outgoing)+len(m.Demoted) > 0 || !slices.Equal(m.Voters, slices.Sorted(slices.Values(voters))): //sim:ok sorted
		return fmt.Errorf("%w: %v, not %v", ErrMembers, m.Voters, voters)
	}
	return nil
}

// give takes the child's counters out of the parent's.
func (c *counters) give(split *Split) (given counters) {
	part := func(total *Stats, wanted Stats) Stats {
		wanted.Items = max(min(wanted.Items, total.Items), 0)
		wanted.Bytes = max(min(wanted.Bytes, total.Bytes), 0)
		if plant.On(plant.SplitCountsTwice) {
			return wanted
		}
		total.Items -= wanted.Items
		total.Bytes -= wanted.Bytes
		return wanted
	}
	total := Stats{c.items, c.bytes}
	mine := part(&total, split.Stats)
	c.items, c.bytes = total.Items, total.Bytes
	given = counters{items: mine.Items, bytes: mine.Bytes}
	for i := range c.local {
		var wanted Stats
		if i < len(split.Local) {
			wanted = split.Local[i]
		}
		given.local = append(given.local, part(&c.local[i], wanted))
	}
	return given
}

// backfillsFrom returns how far the backfills of the rows from a hash on have come. The rows below it come first.
func (p *Partition) backfillsFrom(config *Config, at uint64) (map[uint32][]byte, error) {
	progress := make(map[uint32][]byte)
	for i := range config.Schema.Indexes {
		x := &config.Schema.Indexes[i]
		if x.Local || x.ID == 0 || config.Entries {
			continue
		}
		last, done, err := p.backfillProgress(x.ID)
		if err != nil {
			return nil, err
		}
		if done || len(last) >= rowPrefix && RowHash(last) >= at {
			progress[x.ID] = append([]byte{backfillFormat, bit(done)}, last...)
		}
	}
	return progress, nil
}

// stageChild puts the first state of a child into the batch, after all commands of the
// entry.
func (p *Partition) stageChild(c counters) {
	s := &p.scratch
	ch := s.child
	group := ch.split.Child
	ch.c.latest, ch.c.maxDelete = c.latest, c.maxDelete
	s.batch.Set(appendGroupKey(nil, group, partProgress), p.appendProgress(nil, replication.SeedIndex, ch.c))
	s.batch.Set(appendGroupKey(nil, group, partRestored), restored{replication.SeedIndex, replication.SeedTerm}.append(nil))
	s.batch.Set(appendGroupKey(nil, group, partConfig), ch.config.append(nil))
	if p.txns.exists && !plant.On(plant.SplitForgetsPrepared) {
		s.batch.Set(appendGroupKey(nil, group, partTransact), p.txns.append(nil))
	}
	for _, source := range slices.Sorted(maps.Keys(ch.sources)) { //sim:ok sorted
		s.batch.Set(appendSourceKey(nil, group, source), appendSource(nil, ch.sources[source]))
	}
	for _, index := range slices.Sorted(maps.Keys(ch.backfills)) { //sim:ok sorted
		s.batch.Set(appendBackfillKey(nil, group, index), ch.backfills[index])
	}
	w := &p.window
	for sequence := w.first; sequence < w.next && !plant.On(plant.SplitForgetsRequests); sequence++ {
		s.batch.Set(appendWindowKey(nil, group, sequence), *w.at(sequence))
	}
	for _, node := range slices.Sorted(maps.Keys(w.floors)) { //sim:ok sorted
		s.batch.Set(appendFloorKey(nil, group, node), w.floors[node].append(nil))
	}
	birth := Birth{Parent: p.group, Index: ch.index, After: p.group, Through: ch.through, Voters: ch.split.Voters}
	if mine := p.Birth(); ch.through == 0 && mine != nil {
		birth.After, birth.Through = mine.After, mine.Through
	}
	s.batch.Set(appendGroupKey(nil, group, partBirth), birth.append(nil))
}

// OnSplit has f called after each log entry that split a child off. The child's first state
// is in the store, but not durable: whoever starts the child first has the store flush.
// Else a crash could leave a log of the child without the state that it begins with.
// After a snapshot was installed f is called with nil: the partition may have other hashes.
// f is called by the task of Apply; it must be quick and must not wait.
func (p *Partition) OnSplit(f func(*Split)) {
	if f == nil {
		p.splitter.Store(nil)
		return
	}
	p.splitter.Store(&f)
}

// A split record of the parent says which hashes it has given to a child, so that
// a repeated command is known. Integers are big-endian.
//
//	+-----------+-------+---------+----------+
//	| format 1B | at 8B | last 8B | index 8B |  format is 1
//	+-----------+-------+---------+----------+
//
// index is that of the entry of the log.
const (
	splitFormat byte = 1
	splitBytes       = 1 + 3*8
)

func appendSplitKey(dst []byte, group, child uint64) []byte {
	return binary.BigEndian.AppendUint64(appendGroupKey(dst, group, partSplit), child)
}

func appendSplitRecord(dst []byte, at, last, index uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, splitFormat), at)
	dst = binary.BigEndian.AppendUint64(dst, last)
	return binary.BigEndian.AppendUint64(dst, index)
}

func (p *Partition) wasSplit(split *Split) (bool, error) {
	_, err := p.db.Get(appendSplitKey(nil, p.group, split.Child), nil)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, lsm.ErrNotFound):
		return false, nil
	}
	return false, p.unreadable(fmt.Errorf("partition %d: read split: %w", p.group, err))
}

// Children returns the groups that were split off the partition, with their first hashes,
// by group.
func (p *Partition) Children() (children []Split, err error) {
	err = p.eachSplit(func(child, at, _ uint64) { children = append(children, Split{Child: child, At: at}) })
	return children, err
}

// eachSplit calls f with what was split off, and the entry that did it.
func (p *Partition) eachSplit(f func(child, at, index uint64)) error {
	return p.eachGroupKey(partSplit, func(key, value []byte) error {
		if len(key) != 8 || len(value) != splitBytes || value[0] != splitFormat {
			return fmt.Errorf("%w: split of %d bytes", ErrFormat, len(value))
		}
		f(binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(value[1:]), binary.BigEndian.Uint64(value[17:]))
		return nil
	})
}

// A hold keeps the parent's log from the entry on that split off a child.
type hold struct{ child, index uint64 }

// loadHolds assumes that no first state is known to be on a majority, as a life begins.
func (p *Partition) loadHolds() error {
	var holds []hold
	if err := p.eachSplit(func(child, _, index uint64) { holds = append(holds, hold{child, index}) }); err != nil {
		return err
	}
	p.holds.Store(&holds)
	return nil
}

// Holds implements replication.Splitting.
func (p *Partition) Holds() (index uint64) {
	for _, h := range *p.holds.Load() {
		if index == 0 || h.index < index {
			index = h.index
		}
	}
	return index
}

// Held returns the children whose first state is not known to be on a majority.
func (p *Partition) Held() (children []uint64) {
	for _, h := range *p.holds.Load() {
		children = append(children, h.child)
	}
	return children
}

// Release is told that the first state of a child is on a majority of its voters: that an
// entry of the child is committed; or that this replica need not care.
func (p *Partition) Release(child uint64) {
	for {
		old := p.holds.Load()
		next := slices.DeleteFunc(slices.Clone(*old), func(h hold) bool { return h.child == child })
		if len(next) == len(*old) || p.holds.CompareAndSwap(old, &next) {
			return
		}
	}
}

// hold begins to hold the log for a child.
func (p *Partition) hold(child, index uint64) {
	for {
		old := p.holds.Load()
		next := append(slices.Clone(*old), hold{child, index})
		if p.holds.CompareAndSwap(old, &next) {
			p.lastSplit.Store(index)
			return
		}
	}
}

// LastSplit implements replication.Splitting.
func (p *Partition) LastSplit() uint64 { return p.lastSplit.Load() }

// Replication asks a state machine whether it is one of these; one that is not quite would
// go without all that protects a split.
var _ replication.Splitting = (*Partition)(nil)

// Seed implements replication.Splitting.
func (p *Partition) Seed() (parent replication.GroupID, index uint64) {
	b := p.Birth()
	if b == nil {
		return 0, 0
	}
	return replication.GroupID(b.Parent), b.Index
}

// A Birth says where a partition comes from that was split off another one. It is written
// once, with its first state. Integers are big-endian, count and node ids uvarints.
//
//	+-----------+-----------+----------+----------+------------+-------------+-------------+
//	| format 1B | parent 8B | index 8B | after 8B | through 8B | voter count | node id ... |
//	+-----------+-----------+----------+----------+------------+-------------+-------------+
//
// format is 1.
type Birth struct {
	Parent uint64 // group
	Index  uint64 // of the entry of its log
	// Changes of the child reach the global indexes after those of the group After, the
	// parent mostly, up to Through: the sequence number of its last change before the
	// split. They have come there when After has trimmed them.
	After, Through uint64
	Voters         []uint64 // the first members
}

const (
	birthFormat byte = 1
	birthFixed       = 1 + 4*8
)

func (b *Birth) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, birthFormat), b.Parent)
	dst = binary.BigEndian.AppendUint64(dst, b.Index)
	dst = binary.BigEndian.AppendUint64(dst, b.After)
	dst = binary.BigEndian.AppendUint64(dst, b.Through)
	return appendVoters(dst, b.Voters)
}

// Birth returns where the partition comes from; nil if it was made with its table or index.
// If IsNewborn and the group has no log on this node, it is to be started with the birth's voters.
func (p *Partition) Birth() *Birth { return p.birth.Load() }

// SeedVoters implements replication.Splitting.
func (p *Partition) SeedVoters() []uint64 {
	if b := p.Birth(); b != nil {
		return b.Voters
	}
	return nil
}

// IsNewborn reports whether the partition was split off, and has nothing but its first state.
func (p *Partition) IsNewborn() bool { return p.Birth() != nil && p.Applied() <= replication.SeedIndex }

func (p *Partition) loadBirth() error {
	b, err := p.db.Get(appendGroupKey(nil, p.group, partBirth), nil)
	if errors.Is(err, lsm.ErrNotFound) {
		p.birth.Store(nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("partition %d: read birth: %w", p.group, err)
	}
	if len(b) < birthFixed || b[0] != birthFormat {
		return fmt.Errorf("partition %d: %w: birth of %d bytes", p.group, ErrFormat, len(b))
	}
	d := reader{b: b[birthFixed:]}
	birth := &Birth{
		Parent: binary.BigEndian.Uint64(b[1:]), Index: binary.BigEndian.Uint64(b[9:]),
		After: binary.BigEndian.Uint64(b[17:]), Through: binary.BigEndian.Uint64(b[25:]),
		Voters: d.voters(),
	}
	if !d.done() {
		return fmt.Errorf("partition %d: %w: birth of %d bytes", p.group, ErrFormat, len(b))
	}
	p.birth.Store(birth)
	p.replicated = p.replicated || len(birth.Voters) > 1
	return nil
}
