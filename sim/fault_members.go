package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// What operators do to a cluster, at moments that they would not choose, and what they
// do about nodes that have lost what they had promised to keep.
//
// Raft survives any number of crashes, but not a voter that forgets, so these faults have
// a budget: at most one node at a time is without what it has promised. It never comes
// back under its number. Another one joins in its place, and the budget is free again
// when every group has all its voters, and these have everything. With three replicas
// one is the most that any system survives. So none is lost either while the disk of
// another may have cost replicas; see strain.
var memberKinds = []*kind{
	{name: "transfer", what: "a group is given another leader", nodes: 2,
		draw: func(d *drawer, f *Fault) { f.Target = "follower of " + d.drawGroup() }, do: doTransfer},
	{name: "move", what: "the replica of a group is moved to another node of its zone", nodes: 4,
		draw: func(d *drawer, f *Fault) {
			f.Target = []string{"leader of ", "follower of "}[d.IntN(2)] + fmt.Sprint("group ", 2+d.IntN(d.plan.Knobs.Partitions))
		}, do: doMove},
	{name: "drain", what: "a node gives its replicas away, and may have some again when the fault is over", nodes: 3,
		draw: func(d *drawer, f *Fault) { f.Target, f.For = d.drawTarget(), d.drawLength(2*time.Second) }, do: doDrain},
	{name: "join", what: "a new node joins in a zone, and is given the zone's replicas of n of the table's groups", nodes: 3,
		draw: func(d *drawer, f *Fault) {
			f.Target, f.N = "zone "+d.plan.Nodes[d.IntN(len(d.plan.Nodes))].Zone, 1+d.IntN(3)
		}, do: doJoin},
	{name: "replace", what: "the disk of a node is gone; a new node joins in its place", nodes: 3,
		draw: func(d *drawer, f *Fault) { f.Target = d.drawTarget() }, do: doReplace},
	{name: "lost syncs", what: "syncs of a node say that they have done what they have not, and then it loses power; a new node joins in its place", nodes: 3,
		draw: func(d *drawer, f *Fault) { f.Target, f.For = d.drawTarget(), d.drawLength(time.Second) }, do: doLostSyncs},
	{name: "rot", what: "bits of a file of a node are damaged while it is down (n: dice); after a while a new node joins in its place", nodes: 3,
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawTarget(), d.drawLength(2*time.Second), 1+d.IntN(1<<30)
		}, do: doRotAndReplace},
}

// maxJoined bounds how many nodes there are, with those that are gone.
const maxJoined = 9

// operatorPatience is how long an operator tries.
const operatorPatience = time.Minute

// inCharge runs an operation at whoever is in charge, again and again until it succeeds
// or is refused for good. It reports whether it succeeded.
func (r *run) inCharge(name string, f func(s *server) error) bool {
	for start := r.clients.Now(); r.clients.Now().Sub(start) < operatorPatience; r.clients.Sleep(50 * time.Millisecond) {
		for _, n := range r.nodes {
			answered, err := r.inTask(n, name, f)
			var elsewhere *table.ElsewhereError
			switch {
			case !answered || errors.As(err, &elsewhere):
				continue
			case err == nil:
				return true
			case errors.Is(err, table.ErrNoNode), errors.Is(err, table.ErrNoGroup), errors.Is(err, replication.ErrMembers):
				return false
			}
		}
	}
	return false
}

func doTransfer(r *run, f *Fault) {
	t, _ := parseTarget(f.Target, r.plan)
	group := r.groupOf(t.group)
	for _, n := range r.targets(f) {
		if r.inCharge("transfer", func(s *server) error { return s.tables.TransferGroup(group, n.id) }) {
			r.came(f)
		} else {
			r.excuse(f, "nobody could transfer group %d", group)
		}
	}
}

func doMove(r *run, f *Fault) {
	t, _ := parseTarget(f.Target, r.plan)
	group := r.groupOf(t.group)
	for _, from := range r.targets(f) {
		for _, to := range r.nodes {
			if to == from || to.gone || to.place.Zone != from.place.Zone {
				continue
			}
			if r.inCharge("move", func(s *server) error { return s.tables.MoveReplica(group, from.id, to.id) }) {
				r.came(f)
				break
			}
		}
		r.excuse(f, "group %d could be moved to no other node in the zone of %s", group, from.name)
	}
}

// noBudget excuses a fault that does not get it.
const noBudget = "another node lacks something, or enough have joined"

// claim takes the budget. A fault that does not get it does nothing.
func (r *run) claim() bool {
	if r.lacking {
		return false
	}
	r.lacking = true
	return true
}

// release gives the budget back when every group is whole.
func (r *run) release() {
	if r.awaitWhole(func() bool { return false }) {
		r.lacking, r.losing = false, false
	}
}

// awaitWhole waits until every group is whole, and reports whether that came.
func (r *run) awaitWhole(enough func() bool) bool {
	for start := r.clients.Now(); r.clients.Now().Sub(start) < operatorPatience && !enough(); r.clients.Sleep(200 * time.Millisecond) {
		if r.isWhole() {
			return true
		}
	}
	return false
}

// strain says that the disks of some nodes are about to fail for a while, in a fault that
// calls relieve when they work again. Such a disk keeps what it has, but the cluster does
// not wait for it: it gives up a replica that broke of an error, and its group has two
// voters until one is made anew. If another node is lost for good meanwhile, one of the
// two may go with it, and no system survives that. So either nodes are lost or disks
// fail. Any number of disks may fail at a time.
func (r *run) strain(f *Fault) bool {
	if r.losing {
		r.excuse(f, "another node is lost and not replaced yet")
		return false
	}
	r.strained++
	return true
}

// relieve waits, beside the faults, until replicas that were given up are made anew.
func (r *run) relieve() {
	if len(r.plan.Nodes) == 1 {
		r.strained--
		return
	}
	r.tasks.Go("relieve", func() error {
		if r.awaitWhole(func() bool { return r.ending }) {
			r.strained--
		}
		return nil
	})
}

func doDrain(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		if n.gone || !r.claim() {
			r.excuse(f, noBudget)
			continue
		}
		r.excuse(f, "nobody could drain %s", n.name)
		if r.inCharge("drain", func(s *server) error { return s.tables.DrainNode(n.id) }) {
			r.came(f)
			r.hold(f)
			r.inCharge("activate", func(s *server) error { return s.tables.ActivateNode(n.id) })
		}
		r.release()
	}
}

func doJoin(r *run, f *Fault) {
	t, _ := parseTarget(f.Target, r.plan)
	if len(r.nodes) >= maxJoined || !r.claim() {
		r.excuse(f, noBudget)
		return
	}
	r.excuse(f, "nobody could take a node in")
	if n := r.join(NodePlan{Zone: t.name, Region: r.plan.regionOf(t.name)}); n != nil {
		r.came(f)
		for i := range min(f.N, len(r.history.groups)) {
			r.give(r.history.groups[i], n)
		}
	}
	r.release()
}

// give moves a replica of a group to a node, from whoever has it in the same zone. Nothing
// else would, as long as each zone has a node with a replica.
func (r *run) give(group uint64, to *node) {
	for _, from := range r.nodes {
		if from == to || from.gone || from.place.Zone != to.place.Zone {
			continue
		}
		if r.inCharge("give", func(s *server) error {
			if slices.ContainsFunc(s.tables.Layout(), func(g table.GroupState) bool { return g.ID == group && slices.Contains(g.Replicas, to.id) }) {
				return nil // by an attempt that had no answer
			}
			return s.tables.MoveReplica(group, from.id, to.id)
		}) {
			return
		}
	}
}

// join adds a node to the world and to the cluster; nil if nobody could be asked.
func (r *run) join(place NodePlan) *node {
	var m table.Member
	r.joins++
	incarnation := r.joins
	ok := r.inCharge("join", func(s *server) (err error) {
		m, err = s.tables.JoinNode(place.Zone, "", incarnation)
		return err
	})
	if !ok {
		return nil
	}
	for uint64(len(r.nodes)) < m.ID { // an earlier one may have got a number and not heard of it
		n := r.newNode(len(r.nodes)+1, place)
		n.gone = n.id != m.ID
		if r.nodes = append(r.nodes, n); n.gone {
			n.retire()
		}
	}
	n := r.nodes[m.ID-1]
	n.start(n.env)
	n.await()
	return n
}

// retire switches a node off for good.
func (n *node) retire() {
	n.gone = true
	n.holds++
	n.crash(vfs.LoseAll)
}

// replace has a new node join in the place of one that is off for good. The budget has
// been claimed.
func (r *run) replace(old *node) {
	old.retire()
	if old.heir = r.join(old.place); old.heir == nil {
		return
	}
	if r.inCharge("remove", func(s *server) error { return s.tables.ForgetNode(old.id) }) {
		r.release()
	}
}

// mayLose returns the one node of a target that may lose what it has, having claimed
// the budget; nil if none may.
func (r *run) mayLose(f *Fault) *node {
	nodes := r.targets(f)
	if len(nodes) != 1 || nodes[0].gone || len(r.nodes) >= maxJoined || r.strained > 0 || !r.claim() {
		r.excuse(f, noBudget)
		return nil
	}
	r.losing = true
	return nodes[0]
}

func doReplace(r *run, f *Fault) {
	if n := r.mayLose(f); n != nil {
		r.came(f)
		r.replace(n)
	}
}

func doLostSyncs(r *run, f *Fault) {
	n := r.mayLose(f)
	if n == nil {
		return
	}
	r.came(f)
	n.lied, n.forgets = true, true
	n.disk.SetLying(true)
	r.hold(f)
	r.replace(n)
}

func doRotAndReplace(r *run, f *Fault) {
	n := r.mayLose(f)
	if n == nil {
		return
	}
	r.came(f)
	n.holds++
	n.crash(vfs.KeepAll)
	n.damage(rand.New(rand.NewPCG(uint64(f.N), 0xb17)))
	n.holds--
	n.restart()
	r.hold(f)
	r.replace(n)
}

// isWhole reports whether every group has a leader that counts on nodes that are there,
// and these have all that is committed.
func (r *run) isWhole() bool {
	return r.unwhole(func(n *node, _ []table.Member) bool { return !n.gone }) == nil
}

// isCounted reports whether the catalog counts on a node: not on one that is draining, as one may be in the end to which
// a drain has come late that had no answer.
func isCounted(n *node, members []table.Member) bool {
	return !n.gone && slices.ContainsFunc(members, func(m table.Member) bool { return m.ID == n.id && m.State == "active" })
}

// unwhole says what keeps the cluster from being whole, nil if it is. counts says which nodes could have replicas.
func (r *run) unwhole(counts func(n *node, members []table.Member) bool) error {
	n := r.leaderOf(catalogGroup)
	if n == nil || n.server == nil {
		return errors.New("nobody leads the catalog")
	}
	all, members, zones := n.server.tables.Layout(), n.server.tables.Members(), map[string]bool{}
	for _, n := range r.nodes {
		if counts(n, members) {
			zones[n.place.Zone] = true
		}
	}
	for i := range all {
		g := &all[i]
		answered, err := false, error(nil)
		if n := r.leaderOf(g.ID); n != nil {
			answered, err = r.inTask(n, "status", func(s *server) (err error) {
				if here := s.log.Group(replication.GroupID(g.ID)); here != nil {
					g.Status, err = here.Status()
				}
				return err
			})
		}
		switch {
		case err != nil:
			return fmt.Errorf("group %d: %w", g.ID, err)
		case !answered || !g.Status.Leading:
			return fmt.Errorf("nobody leads group %d", g.ID)
		}
		if err := r.lacks(g, len(zones)); err != nil {
			return fmt.Errorf("group %d: %w", g.ID, err)
		}
	}
	return nil
}

// lacks says what a group lacks that is led here: all its voters have its entries; they are as
// many as there can be, each in a zone of its own, and those that the catalog wants.
func (r *run) lacks(g *table.GroupState, zones int) error {
	s := &g.Status
	if len(s.Members.Voters) < min(3, zones) {
		return fmt.Errorf("voters %v, and there are %d zones", s.Members.Voters, zones)
	}
	if s.Members.Joint() || g.ID != catalogGroup && !sameSet(s.Members.Voters, g.Replicas) {
		return fmt.Errorf("members %+v, and the catalog wants %v", s.Members, g.Replicas)
	}
	if !s.Known {
		return errors.New("its voters do not know yet that they are")
	}
	taken := map[string]bool{}
	for _, id := range s.Members.Voters {
		at := slices.IndexFunc(s.Progress, func(p replication.Progress) bool { return p.Node == id })
		switch {
		case id > uint64(len(r.nodes)) || r.nodes[id-1].gone:
			return fmt.Errorf("node %d votes, and is gone", id)
		case taken[r.nodes[id-1].place.Zone]:
			return fmt.Errorf("voters %v, two of them in zone %s", s.Members.Voters, r.nodes[id-1].place.Zone)
		case at < 0 || s.Progress[at].Snapshot || s.Progress[at].Match < s.Committed:
			return fmt.Errorf("node %d lacks entries", id)
		}
		taken[r.nodes[id-1].place.Zone] = true
	}
	return nil
}

func sameSet(a, b []uint64) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// someNode returns a node that is there to stay.
func (r *run) someNode() *node {
	for _, n := range r.nodes {
		if !n.gone {
			return n
		}
	}
	return r.nodes[0]
}
