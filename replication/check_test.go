package replication

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// After each change all places say the same of the members, and one that says something else is found.
func TestCheckMembers(t *testing.T) {
	b := newLab(t, 4, Options{})
	leader, fresh := b.leader(t), b.nodes[3]
	b.write(t, 5)
	agree := func(when string) {
		t.Helper()
		for _, n := range b.nodes {
			if g := n.groups[1]; g != nil {
				if err := g.CheckMembers(); err != nil {
					t.Errorf("%s: node %d: %v", when, n.id, err)
				}
			}
		}
	}
	agree("at first")
	for _, c := range []Change{{AddLearner, fresh.id}, {Promote, fresh.id}, {Remove, b.follower(t).id}} {
		if err := b.do(t, leader, func() error { return leader.groups[1].ChangeMembers(c) }); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		b.write(t, 5)
		b.wantEqual(t, fresh)
		agree(c.String())
	}
	g := leader.groups[1]
	for what, change := range map[string]func() (undo func()){
		"watched": func() func() { old := g.peers; g.peers = old[1:]; return func() { g.peers = old } },
		"sole":    func() func() { g.sole.Store(true); return func() { g.sole.Store(false) } },
		"in the log": func() func() {
			old := g.log.Members()
			g.log.SetMembers(&raftpb.ConfState{Voters: old.GetVoters()[1:]})
			return func() { g.log.SetMembers(old) }
		},
	} { //sim:ok each is undone
		undo := change()
		if g.CheckMembers() == nil {
			t.Errorf("other members are %s, and nobody notices", what)
		}
		undo()
	}
	agree("in the end")
}
