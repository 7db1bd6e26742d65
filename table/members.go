package table

import (
	"errors"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/replication"
)

// The leader of each group brings its members to what the catalog wants: it adds a
// node as a learner, which gets a snapshot and follows, and makes it a voter once it
// has caught up, in one step with the removal of the voter that it replaces. Then it
// gives the leadership to the node that shall have it. Whatever fails is tried again.

const (
	membersPause = 500 * time.Millisecond
	// membersAtOnce is how many groups are looked at then, beside those with something to do: a node with
	// 10,000 that rest would be busy with looking.
	membersAtOnce = 2000
	// transferPause is how long a leader waits before it tries again to give a group
	// away.
	transferPause = 5 * time.Second
	// caughtUp is how many entries a member may lack that is to become a voter, or
	// the leader.
	caughtUp = 64
)

// A wish is which members a group shall have.
type wish struct {
	voters   []uint64 // in the order in which they shall lead
	learners []uint64
	anybody  bool // it does not matter which voter leads
}

func (w *wish) equal(v *wish) bool {
	return slices.Equal(w.voters, v.voters) && slices.Equal(w.learners, v.learners)
}

// watchMembers runs until the service closes.
func (c *core) watchMembers() {
	settled := make(map[uint64]wish)         // groups led here that are as they should be
	transferred := make(map[uint64]env.Mono) // when leadership was last to be given away
	restless := make(map[uint64]bool)        // groups that are looked at each time
	for from := uint64(0); ; {
		if _, _, closing := c.closing.AwaitFor(membersPause); closing {
			return
		}
		var list []*livePartition
		list, from = c.directory.round(from, membersAtOnce, (*livePartition).hosted, restless)
		for _, p := range list {
			c.watchGroup(p.id, p.group, wish{voters: p.slot.replicas.members()}, settled, transferred)
			held := p.Held()
			for _, child := range held {
				c.releaseChild(p, child)
			}
			if _, is := settled[p.id]; len(held) > 0 || !is && p.group.Leading() {
				restless[p.id] = true
			} else {
				delete(restless, p.id)
			}
		}
		if view := c.catalog.snapshot(); len(view.nodes) > 0 {
			c.watchGroup(catalogGroup, c.catalogGroup, catalogWish(view), settled, transferred)
		}
	}
}

// catalogWish returns which nodes shall vote in the group of the catalog; all others
// learn.
func catalogWish(view *catalogView) wish {
	w := wish{voters: catalogVoters(view.nodes), anybody: true}
	for _, n := range view.nodes {
		if n.state != nodeGone && !slices.Contains(w.voters, n.id) {
			w.learners = append(w.learners, n.id)
		}
	}
	return w
}

// watchGroup makes the next step for one group, if it is led here.
func (c *core) watchGroup(id uint64, g group, w wish, settled map[uint64]wish, transferred map[uint64]env.Mono) {
	if !g.Leading() {
		delete(settled, id)
		return
	}
	p := c.directory.partition(id)
	isBroken := p != nil && p.group != nil && p.Err() != nil || id == catalogGroup && c.catalog.Err() != nil
	if done, ok := settled[id]; ok && done.equal(&w) && !isBroken {
		return
	}
	delete(settled, id)
	status, err := g.Status()
	if err != nil || !status.Leading {
		return
	}
	changes, to := nextStep(&status, w, c.self)
	if isBroken {
		c.env.Sometimes("table: broken replica gives leadership away")
		changes, to = nil, successor(&status, others(status.Members.Voters, c.self))
		delete(transferred, id)
	}
	if to != 0 && (id != catalogGroup || isBroken) && !c.isFit(to, id) {
		to = 0
	}
	switch {
	case len(changes) > 0 && !c.isCurrent(id, w):
		c.env.Sometimes("table: members stay, since nobody knows what is wanted now")
	case len(changes) > 0:
		c.env.Sometimes("table: members change")
		err = g.ChangeMembers(changes...)
	case to != 0 && (transferred[id] == 0 || c.env.Now().Sub(transferred[id]) > transferPause):
		c.env.Sometimes("table: leadership is given away")
		transferred[id] = c.env.Now()
		err = g.Transfer(to)
	case to == 0 && isAsWanted(&status, w, c.self):
		settled[id] = w
	}
	if err != nil && !errors.Is(err, replication.ErrBusy) && !errors.Is(err, replication.ErrNotLeader) {
		c.env.Sometimes("table: members could not be changed")
	}
}

// isCurrent reports whether a wish is what the catalog wants now, not just what this node knows of it: one that has
// been started again, or is cut off, may lead a group to which another leader has added members since, and would take
// them out again. While it leads nobody else changes the members; so what it learns now is not older than
// what they were changed for.
func (c *core) isCurrent(group uint64, w wish) bool {
	if group == catalogGroup {
		return true // its leader has it
	}
	if c.refresh() != nil {
		return false
	}
	p := c.directory.partition(group)
	return p != nil && w.equal(&wish{voters: p.slot.replicas.members()})
}

// isFit asks a node whether its replica of a group could lead: it is not broken, and the
// node is not about to stop.
func (c *core) isFit(to, group uint64) bool {
	a, err := c.ask(to, callFit, group, 0, nil, callPatience)
	return err == nil && a.verdict == verdictDone
}

// serveFit answers isFit.
func (c *core) serveFit(r callRequest) answer {
	if c.resigned.Load() {
		return answer{verdict: verdictNotHere}
	}
	if r.group == catalogGroup {
		return verdictOf(c.catalog.Err())
	}
	p := c.directory.partition(r.group)
	if p == nil || p.group == nil || p.Err() != nil {
		return answer{verdict: verdictNotHere}
	}
	return answer{}
}

func others(ids []uint64, self uint64) (rest []uint64) {
	for _, id := range ids {
		if id != self {
			rest = append(rest, id)
		}
	}
	return rest
}

// isAsWanted reports whether a group needs no more steps.
func isAsWanted(s *replication.Status, w wish, self uint64) bool {
	return !s.Members.Joint() && sameNodes(s.Members.Voters, w.voters) && sameNodes(s.Members.Learners, w.learners) &&
		(w.anybody || w.voters[0] == self)
}

// nextStep returns how to change the members, or to whom to give the leadership, so
// that a group comes nearer to a wish. Neither means that there is nothing to do, or
// to wait.
func nextStep(s *replication.Status, w wish, self uint64) (changes []replication.Change, to uint64) {
	m := s.Members
	if m.Joint() || len(w.voters) == 0 {
		return nil, 0
	}
	one := func(kind replication.ChangeKind, id uint64) []replication.Change {
		return []replication.Change{{Kind: kind, Node: id}}
	}
	for _, id := range slices.Concat(w.voters, w.learners) {
		if !slices.Contains(m.Voters, id) && !slices.Contains(m.Learners, id) {
			return one(replication.AddLearner, id), 0
		}
	}
	var leaving []uint64 // voters that shall vote no more
	for _, id := range m.Voters {
		if !slices.Contains(w.voters, id) {
			leaving = append(leaving, id)
		}
	}
	leave := func(id uint64) replication.Change {
		if slices.Contains(w.learners, id) {
			return replication.Change{Kind: replication.Demote, Node: id}
		}
		return replication.Change{Kind: replication.Remove, Node: id}
	}
	missing := false
	for _, id := range w.voters {
		if slices.Contains(m.Voters, id) {
			continue
		}
		missing = true
		if !isCaughtUp(s, id) {
			continue
		}
		changes = one(replication.Promote, id)
		if i := slices.IndexFunc(leaving, func(id uint64) bool { return id != self }); i >= 0 {
			changes = append(changes, leave(leaving[i]))
		}
		return changes, 0
	}
	if missing {
		return nil, 0 // a voter goes only when its successor is there
	}
	for _, id := range leaving {
		if id != self {
			return []replication.Change{leave(id)}, 0
		}
	}
	for _, id := range m.Learners {
		if !slices.Contains(w.learners, id) {
			return one(replication.Remove, id), 0
		}
	}
	if len(leaving) > 0 { // this node
		return nil, successor(s, w.voters)
	}
	if !w.anybody && w.voters[0] != self {
		return nil, successor(s, w.voters[:1])
	}
	return nil, 0
}

// successor returns the first of some nodes that could lead now, 0 if none could.
func successor(s *replication.Status, nodes []uint64) uint64 {
	for _, id := range nodes {
		if slices.Contains(s.Members.Voters, id) && isCaughtUp(s, id) {
			return id
		}
	}
	return 0
}

// isCaughtUp reports whether the leader can bring a member what it lacks, which is not much, from its
// log alone: one that takes a snapshot has nothing as long as a split forbids to send one.
func isCaughtUp(s *replication.Status, id uint64) bool {
	for _, p := range s.Progress {
		if p.Node == id {
			return p.Active && !p.Snapshot && p.Match+1 >= s.First && p.Match+caughtUp >= s.Last
		}
	}
	return false
}
