package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// A snapshot of a partition is a copy (copy.go) of all that its group has: state,
// change records, rows. What a replica keeps for itself alone is left out:
//
//	restored: | format 1B | index 8B | term 8B |  integers are big-endian
//
// format is 1. It says of which entry of the log the snapshot was that was installed
// last. A snapshot takes the place of everything there was, in one step: also of rows
// that the partition had, and the snapshot says it has not any more.
const (
	restoredFormat byte = 1
	restoredBytes       = 1 + 8 + 8
)

// Snapshot implements replication.StateMachine.
func (p *Partition) Snapshot() (replication.SnapshotReader, error) {
	if p.broken != nil {
		return nil, p.broken
	}
	children, ok := p.carries()
	if !ok {
		return nil, errHeld
	}
	return NewCopyReader(p.db, p.group, p.applied, copySpans(p.group, p.Config(), p.txns.exists, children)), nil
}

var errHeld = errors.New("partition: a snapshot would leave out the first state of a group that was split off")

// Restored implements replication.StateMachine.
func (p *Partition) Restored() (index, term uint64) { return p.restored.index, p.restored.term }

type restored struct{ index, term uint64 }

func (r restored) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, restoredFormat), r.index)
	return binary.BigEndian.AppendUint64(dst, r.term)
}

func (p *Partition) loadRestored() error {
	b, err := p.db.Get(appendGroupKey(nil, p.group, partRestored), nil)
	switch {
	case errors.Is(err, lsm.ErrNotFound):
		p.restored = restored{}
		return nil
	case err != nil:
		return fmt.Errorf("partition %d: read restored: %w", p.group, err)
	case len(b) != restoredBytes || b[0] != restoredFormat:
		return fmt.Errorf("partition %d: %w: restored of %d bytes", p.group, ErrFormat, len(b))
	}
	p.restored = restored{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}
	return nil
}

// A restoring is a snapshot that is being staged.
type restoring struct {
	p      *Partition
	meta   replication.SnapshotMeta
	copy   *CopyWriter
	before *Config       // that the partition had when the spans were chosen
	copied []lsm.KeySpan // spans of the snapshot
	over   []lsm.KeySpan // that it replaces
	config *Config       // in the snapshot
	at     uint64        // applied, in the snapshot
	// children come along, by group (carry.go).
	children []carried
}

// Restore implements replication.StateMachine.
func (p *Partition) Restore(meta replication.SnapshotMeta) (replication.SnapshotWriter, error) {
	r := &restoring{p: p, meta: meta}
	var members []byte
	if len(meta.Members) > 0 {
		members = meta.Members
	}
	r.copy = NewCopyWriter(p.db, CopyOptions{
		Group: p.group, Index: meta.Index, Spans: r.spans, See: r.see,
		Own: []Pair{
			{appendGroupKey(nil, p.group, partMembers), members},
			{appendGroupKey(nil, p.group, partRestored), restored{meta.Index, meta.Term}.append(nil)},
		},
	})
	return r, nil
}

// spans decides what is replaced: what the snapshot has, and what the partition has
// now.
func (r *restoring) spans(copied []lsm.KeySpan) ([]lsm.KeySpan, error) {
	var state []lsm.KeySpan
	for i, s := range copied {
		isRow := len(s.Lower) >= rowPrefix && s.Lower[0] == spaceRow
		if !isRow {
			state = append(state, s)
		}
		if i > 0 && string(copied[i-1].Upper) > string(s.Lower) {
			return nil, badCopy("spans out of order")
		}
		if group, is := groupOfSpan(s); is && group != r.p.group {
			r.children = append(r.children, carried{group: group})
		}
	}
	want := groupSpans(r.p.group, nil)
	for _, c := range r.children {
		want = append(want, groupSpans(c.group, nil)...)
	}
	if !equalSpans(state, unite(want, nil)) {
		return nil, badCopy("spans of the group's state")
	}
	if err := r.checkNew(); err != nil {
		return nil, err
	}
	r.before = r.p.Config()
	r.copied = copied
	r.over = unite(copied, groupSpans(r.p.group, r.before))
	return r.over, nil
}

// see notes what the snapshot says of itself, which comes before its rows.
func (r *restoring) see(key, value []byte) (err error) {
	if len(key) != 1+8+1 || key[0] != spaceGroup {
		return nil
	}
	if group := binary.BigEndian.Uint64(key[1:]); group != r.p.group {
		return r.seeChild(group, key[1+8], value)
	}
	switch key[1+8] {
	case partConfig:
		r.config, err = decodeConfig(value)
	case partProgress:
		var ok bool
		if r.at, _, ok = decodeProgress(value); !ok {
			err = badCopy("progress of %d bytes", len(value))
		}
	}
	return err
}

func (r *restoring) Write(chunk []byte) error { return r.copy.Write(chunk) }

func (r *restoring) Abort() { r.copy.Abort() }

// Commit implements replication.SnapshotWriter.
//
// Readers that have begun see the old state to its end, others the new one. If the
// partition gets other hashes, it says in between that it has none: a reader that still
// knows the old hashes would not find what has gone.
func (r *restoring) Commit() error {
	p := r.p
	if r.at != r.meta.Index {
		r.copy.Abort()
		return badCopy("it says that it is as of entry %d, not %d", r.at, r.meta.Index)
	}
	if !equalSpans(r.copied, copySpans(p.group, r.config, false, r.children)) && !equalSpans(r.copied, copySpans(p.group, r.config, true, r.children)) {
		r.copy.Abort()
		return badCopy("spans are not those of the configuration")
	}
	if slices.ContainsFunc(r.children, func(c carried) bool { return c.config == nil }) {
		r.copy.Abort()
		return badCopy("a first state without a configuration")
	}
	now := p.Config()
	moves := now != nil && !equalSpans(groupSpans(p.group, now), groupSpans(p.group, r.config))
	if moves {
		p.config.Store(nil)
	}
	err := r.copy.Commit(func() error {
		// Had the partition split since the spans were chosen, the rows of its child would
		// be replaced.
		if now != r.before && !equalSpans(groupSpans(p.group, now), groupSpans(p.group, r.before)) {
			return fmt.Errorf("%w: the partition has got other hashes meanwhile", ErrOverlap)
		}
		if err := r.checkNew(); err != nil {
			return err
		}
		return checkOverlap(p.db, p.group, r.over)
	})
	if err != nil {
		p.config.Store(now)
		return fmt.Errorf("partition %d: %w", p.group, err)
	}
	p.reload(r.meta)
	if f := p.splitter.Load(); f != nil {
		for _, c := range r.children {
			(*f)(&Split{Child: c.group, At: c.config.First})
		}
	}
	return nil
}

// groupOfSpan returns the group whose state a span is, false if it is another one.
func groupOfSpan(s lsm.KeySpan) (group uint64, is bool) {
	if len(s.Lower) != 1+8+1 || s.Lower[0] != spaceGroup {
		return 0, false
	}
	return binary.BigEndian.Uint64(s.Lower[1:]), true
}

// checkNew makes sure that there is nothing here of the children that come along.
func (r *restoring) checkNew() error {
	for _, c := range r.children {
		_, err := r.p.db.Get(appendGroupKey(nil, c.group, partProgress), nil)
		if err == nil {
			err = fmt.Errorf("%w: group %d has begun", ErrOverlap, c.group)
		}
		if !errors.Is(err, lsm.ErrNotFound) {
			return err
		}
	}
	return nil
}

// seeChild notes what the snapshot says of a child.
func (r *restoring) seeChild(group uint64, part byte, value []byte) (err error) {
	i := slices.IndexFunc(r.children, func(c carried) bool { return c.group == group })
	switch {
	case i < 0:
		return badCopy("state of group %d", group)
	case part == partConfig:
		r.children[i].config, err = decodeConfig(value)
	case part == partProgress:
		if at, _, ok := decodeProgress(value); !ok || at != replication.SeedIndex {
			return badCopy("the first state of group %d is as of entry %d", group, at)
		}
	}
	return err
}

// reload brings the partition's memory to what a snapshot has made of the store. What
// cannot be read breaks it until the next start.
func (p *Partition) reload(meta replication.SnapshotMeta) {
	sequence := p.sequence.Load()
	p.broken, p.replicated = nil, true
	defer p.tell()
	if !plant.On(plant.WindowNotReloaded) {
		p.window = window{}
	}
	p.local.Store(nil)
	written := p.changeBytes.Load()
	if err := p.load(); err != nil {
		p.broken = err
	}
	p.changeBytes.Store(written)
	p.heat.Store(nil)
	if f := p.splitter.Load(); f != nil {
		(*f)(nil)
	}
	p.applied, p.restored = meta.Index, restored{meta.Index, meta.Term}
	if p.members = meta.Members; len(p.members) == 0 {
		p.members = nil
	}
	if f := p.watcher.Load(); f != nil && p.sequence.Load() > sequence {
		(*f)()
	}
	if f := p.txns.wake.Load(); f != nil && p.txns.busy.Load() { // as after an entry
		(*f)()
	}
}
