package table

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// TestMoveAndTransfer: an operator moves a replica to another node of its zone and gives
// the leadership away, while what is stored stays readable; what makes no sense is refused.
func TestMoveAndTransfer(t *testing.T) {
	b := newBed(t, 21, "a", "b", "c")
	b.create(simple("tab", 1))
	b.join("a")
	b.quiet()
	for i := range 5 {
		b.nodes[i%4].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
	}
	group := b.leader().catalog.snapshot().records()[0].slots[0].group
	replicas := func() []uint64 {
		_, s := b.ready().catalog.snapshot().slotOf(group)
		return s.replicas.members()
	}
	from, to := uint64(1), uint64(4)
	if replicas := replicas(); replicas[0] == 4 || replicas[1] == 4 || replicas[2] == 4 {
		from, to = 4, 1
	}
	refused := func(what string, want error, f func(s *Service) error) {
		t.Helper()
		b.leader().do(what, func() error {
			if err := f(b.leader().Service); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			return nil
		})
	}
	refused("a group that is not there", ErrNoGroup, func(s *Service) error { return s.TransferGroup(99, 1) })
	refused("a leader without a replica", ErrNoNode, func(s *Service) error { return s.TransferGroup(group, to) })
	refused("a move from nowhere", ErrNoNode, func(s *Service) error { return s.MoveReplica(group, to, from) })
	b.leader().do("a zone that has a replica", func() error {
		if err := b.leader().MoveReplica(group, 2, to); err == nil {
			t.Error("two replicas in one zone")
		}
		return nil
	})
	b.inCharge("move", func(s *Service) error { return s.MoveReplica(group, from, to) })
	b.quiet()
	b.inCharge("transfer", func(s *Service) error { return s.TransferGroup(group, to) })
	b.quiet()
	if replicas := replicas(); replicas[0] != to {
		t.Errorf("the group is on %v, want node %d to lead", replicas, to)
	}
	if n := len(b.nodes[int(from)-1].scanAll("tab", "")); n != 5 {
		t.Errorf("the table has %d items, want 5", n)
	}
	b.inCharge("transfer the catalog", func(s *Service) error {
		if s.self == 2 {
			return nil
		}
		return s.TransferGroup(catalogGroup, 2)
	})
	b.until("node 2 is in charge", func() bool { return b.leader() != nil && b.leader().id == 2 })
}

// TestMoveBackAfterCrash: a replica has moved away, and its node has dropped the log for good,
// the data not yet durably, when it loses power. Meanwhile the group is to come back. The node
// finds data of a group that it has no log of, which must not be the end of the replica.
func TestMoveBackAfterCrash(t *testing.T) {
	b := newBed(t, 22, "a", "b", "c")
	b.create(simple("tab", 1))
	b.join("a")
	b.quiet()
	for i := range 5 {
		b.nodes[i%4].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
	}
	group := b.leader().catalog.snapshot().records()[0].slots[0].group
	has := func(n *bedNode) bool { return slices.Contains(n.node.Groups(), replication.GroupID(group)) }
	old, other := b.nodes[0], b.nodes[3]
	if has(other) {
		old, other = other, old
	}
	old.do("flush", old.db.Flush)
	b.inCharge("move", func(s *Service) error { return s.MoveReplica(group, old.id, other.id) })
	b.quiet()
	b.until("the old replica is gone", func() bool { return !has(old) })
	old.crash()
	b.inCharge("move back", func(s *Service) error { return s.MoveReplica(group, other.id, old.id) })
	old.restart()
	b.until("the old node has a replica again", func() bool { return old.Service != nil && has(old) && !has(other) })
	b.quiet()
	if b.w.Marks()["table: replica comes back to what was left of it"] == 0 {
		t.Error("the data was gone before the replica was to come back")
	}
	if n := len(old.scanAll("tab", "")); n != 5 {
		t.Errorf("the table has %d items, want 5", n)
	}
}

// TestMoveBackInterrupted: a replica has moved away and comes back. As soon as its new log is there,
// which is durable, its node loses power. Whatever that leaves of the store must have nothing of the old replica:
// it would be taken for the data of the new one, which has acknowledged less than the old one had.
func TestMoveBackInterrupted(t *testing.T) {
	for _, twice := range []bool{false, true} {
		t.Run(fmt.Sprintf("twice=%v", twice), func(t *testing.T) {
			b := newBed(t, 23, "a", "b", "c")
			b.create(simple("tab", 1))
			b.join("a")
			b.quiet()
			for i := range 5 {
				b.nodes[i%4].put("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, i))
			}
			group := b.leader().catalog.snapshot().records()[0].slots[0].group
			has := func(n *bedNode) bool { return slices.Contains(n.node.Groups(), replication.GroupID(group)) }
			old, other := b.nodes[0], b.nodes[3]
			if has(other) {
				old, other = other, old
			}
			old.do("flush", old.db.Flush)
			b.inCharge("move", func(s *Service) error { return s.MoveReplica(group, old.id, other.id) })
			b.quiet()
			b.until("the old replica is gone", func() bool { return !has(old) })
			if twice { // the first time before it comes back
				old.crash()
				old.restart()
				b.until("the node is back", func() bool { return old.Service != nil && old.Ready() })
			}
			b.inCharge("move back", func(s *Service) error { return s.MoveReplica(group, other.id, old.id) })
			for i := 0; !has(old); i++ {
				if i > 20_000 {
					t.Fatal("the replica does not come back")
				}
				b.run(time.Millisecond)
			}
			old.crash()
			old.e = b.w.Restart(old.name())
			old.do("look", func() error {
				db, err := lsm.Open(old.e, old.disk.Mount(), partition.StoreOptions(lsm.Options{DisableWAL: true}))
				if err != nil {
					return err
				}
				groups, err := partition.Groups(db)
				if slices.Contains(groups, group) {
					t.Error("the new log has come to the data of the old one")
				}
				return errors.Join(err, db.Close())
			})
			old.boot()
			b.until("the old node has a replica again", func() bool { return old.Service != nil && has(old) && !has(other) })
			b.quiet()
			if n := len(old.scanAll("tab", "")); n != 5 {
				t.Errorf("the table has %d items, want 5", n)
			}
		})
	}
}

// TestOldWish: a node that leads a group does not change its members for what it knows of the catalog from before: who was added
// since would be taken out again.
func TestOldWish(t *testing.T) {
	b := newBed(t, 24, "a", "b", "c")
	b.create(simple("tab", 1))
	b.quiet()
	group := b.leader().catalog.snapshot().records()[0].slots[0].group
	members := b.leader().directory.partition(group).slot.replicas.members()
	leader := b.nodes[members[0]-1]
	leader.do("watch", func() error {
		p := leader.directory.partition(group)
		leader.watchGroup(group, p.group, wish{voters: members[:2]}, map[uint64]wish{}, map[uint64]env.Mono{})
		s, err := p.group.Status()
		if err == nil && !sameNodes(s.Members.Voters, members) {
			t.Errorf("the voters are %v, want %v", s.Members.Voters, members)
		}
		return err
	})
}
