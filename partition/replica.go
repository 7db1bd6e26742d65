package partition

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm"
)

// ApplyMembers executes a committed log entry that changed the group's members:
// they reach the store in the batch that moves the applied index.
func (p *Partition) ApplyMembers(index uint64, members []byte) {
	if p.broken != nil || index <= p.applied {
		return
	}
	p.scratch.batch.Reset()
	if !plant.On(plant.MembersForgotten) {
		p.scratch.batch.Set(appendGroupKey(nil, p.group, partMembers), members)
	}
	clear(p.scratch.sources)
	p.scratch.child = nil
	p.commit(index, p.config.Load(), p.counters())
	if p.broken == nil {
		p.members, p.replicated = members, true
	}
}

// Replicate says, before the first Apply, that others have replicas of the partition, also if its members have never changed: this one
// stops at an entry for which it cannot read something that they can. It would go on as something else than they are.
func (p *Partition) Replicate() { p.replicated = true }

// Members returns what ApplyMembers was last given, nil if it was never called.
func (p *Partition) Members() []byte { return p.members }

func (p *Partition) loadMembers() error {
	b, err := p.db.Get(appendGroupKey(nil, p.group, partMembers), nil)
	if err != nil && !errors.Is(err, lsm.ErrNotFound) {
		return fmt.Errorf("partition %d: read members: %w", p.group, err)
	}
	p.members, p.replicated = b, p.replicated || b != nil
	return nil
}
