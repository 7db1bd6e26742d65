package table

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/statordb/stator/internal/plant"
)

// Which nodes shall have the replicas, and lead, is decided by functions of what the
// catalog holds. They move one thing at a time; driver.go carries it out and asks
// again.

const (
	// replicasPerGroup is how many replicas a group has if there are so many zones.
	replicasPerGroup = 3
	// Voters of the catalog: three, or five if there are so many zones.
	fewVoters, manyVoters = 3, 5
)

// catalogVoters returns the nodes that shall vote in the group of the catalog: one in
// each of the first three, or five, zones; the others learn. Zones and nodes count in
// the order of the nodes' ids, so the choice changes only with the nodes.
func catalogVoters(nodes []*node) []uint64 {
	var zones []string
	first := make(map[string]uint64)
	for _, n := range nodes {
		if n.state != nodeActive {
			continue
		}
		if _, ok := first[n.zone]; !ok {
			first[n.zone] = n.id
			zones = append(zones, n.zone)
		}
	}
	count := fewVoters
	if len(zones) >= manyVoters {
		count = manyVoters
	}
	var voters []uint64
	for _, zone := range zones[:min(count, len(zones))] {
		voters = append(voters, first[zone])
	}
	slices.Sort(voters)
	return voters
}

// A load counts what nodes have.
type load struct {
	replicas map[uint64]int // by node
	leads    map[uint64]int // groups that the node shall lead, by node
}

// loadOf counts the replicas of all tables.
func loadOf(view *catalogView) load {
	l := load{replicas: make(map[uint64]int), leads: make(map[uint64]int)}
	for _, r := range view.byKey { //sim:ok sums
		for s := range r.liveSlots() {
			l.add(s.replicas.members())
		}
	}
	return l
}

func (l load) add(nodes []uint64) {
	for i, id := range nodes {
		l.replicas[id]++
		if i == 0 {
			l.leads[id]++
		}
	}
}

// choose returns the nodes for the replicas of a new group: one per zone, in the
// zones and on the nodes that have the least; the one that leads the fewest groups
// comes first, which makes it the leader.
func (l load) choose(nodes []*node) []uint64 {
	best := make(map[string]*node) // by zone
	for _, n := range nodes {
		if n.state != nodeActive {
			continue
		}
		if b := best[n.zone]; b == nil || l.replicas[n.id] < l.replicas[b.id] {
			best[n.zone] = n
		}
	}
	candidates := slices.Collect(maps.Values(best)) //sim:ok sorted below
	slices.SortFunc(candidates, func(a, b *node) int {
		return cmp.Or(cmp.Compare(l.replicas[a.id], l.replicas[b.id]), cmp.Compare(a.id, b.id))
	})
	candidates = candidates[:min(replicasPerGroup, len(candidates))]
	slices.SortFunc(candidates, func(a, b *node) int {
		return cmp.Or(cmp.Compare(l.leads[a.id], l.leads[b.id]), cmp.Compare(a.id, b.id))
	})
	var chosen []uint64
	for _, n := range candidates {
		chosen = append(chosen, n.id)
	}
	return chosen
}

// place chooses the replicas of the slots of a record that have none. The record is
// not in the catalog yet.
func (c *core) place(r *record) {
	view := c.catalog.snapshot()
	if len(view.nodes) == 0 {
		return
	}
	l := loadOf(view)
	for s := range r.allSlots() {
		if s.group == 0 && len(s.replicas.nodes) == 0 {
			s.replicas.nodes = l.choose(view.nodes)
			l.add(s.replicas.nodes)
		}
	}
}

// A move is a change of the replicas of one group.
type move struct {
	table *record
	group uint64
	nodes []uint64 // the new ones
	why   string
}

// nextMove returns the most urgent change of replicas, nil if all is well. busy says
// that the members of a group are not yet what the catalog wants, so that the group is
// to be left alone, unless that waits for a node that will not come back. broken are the groups whose replica is broken, by node;
// steady says which replicas of a group can be relied on.
func nextMove(view *catalogView, broken map[uint64][]uint64, busy func(group uint64) bool, steady func(group uint64) []uint64) *move {
	l := loadOf(view)
	dropBroken := func(_ *catalogView, _ load, s *slot) ([]uint64, string) { return s.without(broken, steady) }
	for _, step := range []func(*catalogView, load, *slot) ([]uint64, string){replaceLost, dropBroken, addZone} {
		for _, r := range view.records() {
			if !r.status.hasGroups() {
				continue
			}
			for s := range r.liveSlots() {
				if nodes, why := step(view, l, s); nodes != nil && s.split == nil && !s.lingers(broken) && (view.waitsInVain(s) || !busy(s.group)) {
					return &move{r, s.group, nodes, why}
				}
			}
		}
	}
	return balance(view, l, busy)
}

// waitsInVain reports whether a replica shall be on a node that is lost or gone.
func (v *catalogView) waitsInVain(s *slot) bool {
	return slices.ContainsFunc(s.replicas.members(), func(id uint64) bool {
		n := v.node(id)
		return n == nil || n.state == nodeLost || n.state == nodeGone
	})
}

// usable returns the nodes that may be given replicas.
func (v *catalogView) usable() (nodes []*node) {
	for _, n := range v.nodes {
		if n.state == nodeActive {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// replaceLost moves a replica away from a node that is lost, draining or gone: to
// another node of its zone, or, if there is none, of a zone without a replica. One
// that is gone goes without a substitute, too, if others remain.
func replaceLost(view *catalogView, l load, s *slot) ([]uint64, string) {
	for i, id := range s.replicas.members() {
		old := view.node(id)
		if old != nil && (old.state == nodeActive || old.state == nodeJoining) {
			continue
		}
		zone := ""
		if old != nil {
			zone = old.zone
		}
		to := l.substitute(view, s, zone)
		nodes := slices.Clone(s.replicas.members())
		switch {
		case to != 0:
			nodes[i] = to
			return nodes, moved(id, to)
		case len(nodes) > 1 && (old == nil || old.state == nodeGone || old.state == nodeDraining && len(nodes) > len(zonesOf(view.usable()))):
			return slices.Delete(nodes, i, i+1), moved(id, 0)
		}
	}
	return nil, ""
}

// without drops a replica that is broken. Then one is made anew, perhaps on the same node.
//
// Until that is there, the group lives on the others alone. A broken replica applies nothing, but
// it may well vote and have the log; so without it the group must not need one that is away. All
// others must be steady, and one of them whole: it is where the new replica comes from.
func (s *slot) without(broken map[uint64][]uint64, steady func(group uint64) []uint64) ([]uint64, string) {
	members := s.replicas.members()
	isWhole := func(id uint64) bool { return !slices.Contains(broken[id], s.group) }
	if len(members) < 2 || !slices.ContainsFunc(members, isWhole) {
		return nil, ""
	}
	var reliable []uint64
	for i, id := range members {
		if isWhole(id) {
			continue
		}
		if reliable == nil {
			if reliable = steady(s.group); reliable == nil {
				return nil, ""
			}
		}
		rest := slices.Delete(slices.Clone(members), i, i+1)
		if !slices.ContainsFunc(rest, func(id uint64) bool { return !slices.Contains(reliable, id) }) {
			return rest, "broken: " + moved(id, 0)
		}
	}
	return nil, ""
}

// lingers reports whether a node still has a broken replica that it shall not have.
func (s *slot) lingers(broken map[uint64][]uint64) bool {
	for id, groups := range broken { //sim:ok any one
		if slices.Contains(groups, s.group) && !s.replicas.has(id) {
			return true
		}
	}
	return false
}

// addZone adds a replica to a group that has fewer than there could be.
func addZone(view *catalogView, l load, s *slot) ([]uint64, string) {
	members := s.replicas.members()
	if len(members) >= min(replicasPerGroup, len(zonesOf(view.usable()))) || plant.On(plant.ZoneLeftOut) {
		return nil, ""
	}
	to := l.substitute(view, s, "")
	if to == 0 {
		return nil, ""
	}
	return append(slices.Clone(members), to), moved(0, to)
}

// substitute returns the node with the fewest replicas among those that may take one
// of a group: in the given zone, if that has any, else in a zone without a replica.
func (l load) substitute(view *catalogView, s *slot, zone string) uint64 {
	taken := make(map[string]bool)
	for _, id := range s.replicas.members() {
		if n := view.node(id); n != nil && n.state == nodeActive {
			taken[n.zone] = true
		}
	}
	var best *node
	better := func(n *node) bool {
		if best == nil {
			return true
		}
		if (n.zone == zone) != (best.zone == zone) {
			return n.zone == zone
		}
		return l.replicas[n.id] < l.replicas[best.id]
	}
	for _, n := range view.usable() {
		if (!taken[n.zone] || plant.On(plant.ZoneTakenTwice)) && !s.replicas.has(n.id) && better(n) {
			best = n
		}
	}
	if best == nil {
		return 0
	}
	return best.id
}

func zonesOf(nodes []*node) (zones []string) {
	for _, n := range nodes {
		if !slices.Contains(zones, n.zone) {
			zones = append(zones, n.zone)
		}
	}
	return zones
}

// imbalance is how many more replicas, or groups to lead, a node may have than
// another one that could take one over. Less is not worth a copy.
const imbalance = 2

// balance evens out what nodes of one zone have, and who leads, a little.
func balance(view *catalogView, l load, busy func(group uint64) bool) *move {
	nodes := view.usable()
	for _, r := range view.records() {
		if !r.status.hasGroups() {
			continue
		}
		for s := range r.liveSlots() {
			if next, why := l.even(view, nodes, s.replicas.members()); next != nil && s.split == nil && !busy(s.group) {
				return &move{r, s.group, next, why}
			}
		}
	}
	return nil
}

// even returns what members become if that evens something out, else nil.
func (l load) even(view *catalogView, nodes []*node, members []uint64) (next []uint64, why string) {
	for i, id := range members {
		from := view.node(id)
		if from == nil {
			continue
		}
		for _, to := range nodes {
			if to.zone == from.zone && !slices.Contains(members, to.id) && l.replicas[from.id]-l.replicas[to.id] > imbalance {
				next = slices.Clone(members)
				next[i] = to.id
				return next, "balance: " + moved(from.id, to.id)
			}
		}
	}
	for i, id := range members[1:] {
		if l.leads[members[0]]-l.leads[id] > imbalance && view.isActive(id) {
			next = slices.Clone(members)
			next[0], next[i+1] = next[i+1], next[0]
			return next, "balance leaders: " + moved(members[0], id)
		}
	}
	return nil, ""
}

func (v *catalogView) isActive(id uint64) bool {
	n := v.node(id)
	return n != nil && n.state == nodeActive
}

func moved(from, to uint64) string {
	switch {
	case from == 0:
		return fmt.Sprintf("add %d", to)
	case to == 0:
		return fmt.Sprintf("drop %d", from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}
