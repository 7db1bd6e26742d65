package table

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/replication"
)

// zoned makes active nodes from their zones: "a b c a" are nodes 1 to 4. A zone may be
// followed by the first letter of another state: j, d, l or g.
func zoned(text string) (nodes []*node) {
	for i, zone := range strings.Fields(text) {
		n := &node{id: uint64(i + 1), version: 1, zone: zone[:1], state: nodeActive}
		if len(zone) > 1 {
			n.state = map[byte]nodeState{'j': nodeJoining, 'd': nodeDraining, 'l': nodeLost, 'g': nodeGone}[zone[1]]
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func TestCatalogVoters(t *testing.T) {
	for zones, want := range map[string][]uint64{
		"a":           {1},
		"a a a":       {1},
		"a b":         {1, 2},
		"a b c":       {1, 2, 3},
		"a a b b c c": {1, 3, 5},
		"a b c d":     {1, 2, 3},
		"a b c d e":   {1, 2, 3, 4, 5},
		"a b c d e f": {1, 2, 3, 4, 5},
		"al a b c":    {2, 3, 4},
		"ad b c a":    {2, 3, 4},
		"a bj c":      {1, 3},
		"ag bg c a b": {3, 4, 5},
		"b a a c":     {1, 2, 4},
	} {
		if got := catalogVoters(zoned(zones)); !slices.Equal(got, want) {
			t.Errorf("voters of %s are %v, want %v", zones, got, want)
		}
	}
}

// placed makes a view of nodes and one table, whose groups are on these nodes.
func placed(zones string, groups ...[]uint64) *catalogView {
	r := &record{id: 1, version: 1, status: recordActive, def: Definition{Name: "t"}}
	for i, nodes := range groups {
		r.slots = append(r.slots, slot{first: uint64(i) << 32, group: uint64(i + 2), replicas: replicaSet{nodes: nodes}})
	}
	return &catalogView{keys: []string{r.key()}, byKey: map[string]*record{r.key(): r}, nodes: zoned(zones)}
}

func never(uint64) bool { return false }

func none(uint64) []uint64 { return nil }

func TestNextMove(t *testing.T) {
	type ids = []uint64
	for _, c := range []struct {
		what, zones string
		groups      []ids
		want        string // group: nodes; "" = none
	}{
		{"all is well", "a b c", []ids{{1, 2, 3}, {2, 3, 1}}, ""},
		{"one node", "a", []ids{nil}, ""},
		{"a second zone", "a b", []ids{nil}, "2: [1 2]"},
		{"a third zone", "a b c", []ids{{1, 2}}, "2: [1 2 3]"},
		{"a zone counts once", "a a b", []ids{{1, 3}}, ""},
		{"no fourth replica", "a b c d", []ids{{1, 2, 3}}, ""},
		{"joining nodes get nothing", "a bj cj", []ids{{1}}, ""},
		{"a lost node has a substitute in its zone", "a bl c a b", []ids{{1, 2, 3}}, "2: [1 5 3]"},
		{"... or in another one", "a bl c d", []ids{{1, 2, 3}}, "2: [1 4 3]"},
		{"... but not in a zone that has a replica", "a bl c a", []ids{{1, 2, 3}}, ""},
		{"a lost node is as before all else", "a bl c b", []ids{{1, 3}, {1, 2, 3}}, "3: [1 4 3]"},
		{"draining", "ad b c a", []ids{{1, 2, 3}}, "2: [4 2 3]"},
		{"draining, and nobody else", "ad b c", []ids{{1, 2, 3}}, "2: [2 3]"},
		{"draining the only one", "ad", []ids{{1}}, ""},
		{"gone, and nobody else", "a bg c", []ids{{1, 2, 3}}, "2: [1 3]"},
		{"uneven in a zone", "a b c a", []ids{{1, 2, 3}, {2, 1, 3}, {3, 1, 2}}, "2: [4 2 3]"},
		{"uneven by too little", "a b c a", []ids{{1, 2, 3}, {2, 1, 3}, {3, 4, 2}}, ""},
		{"one leads all", "a b c", []ids{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}}, "2: [2 1 3]"},
	} {
		got := ""
		if m := nextMove(placed(c.zones, c.groups...), nil, never, none); m != nil {
			got = fmt.Sprintf("%d: %v", m.group, m.nodes)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	for _, c := range []struct {
		what           string
		broken, steady []uint64
		want           []uint64
	}{
		{"one is broken", ids{2}, ids{1, 2, 3}, ids{1, 3}},
		{"... and does not even vote", ids{2}, ids{1, 3}, ids{1, 3}},
		{"... and another one is away", ids{2}, ids{1, 2}, nil},
		{"... and nobody knows of the others", ids{2}, nil, nil},
		{"two are broken", ids{1, 2}, ids{1, 2, 3}, ids{2, 3}},
		{"... and one of them does not vote", ids{1, 2}, ids{1, 3}, ids{1, 3}},
		{"all are broken", ids{1, 2, 3}, ids{1, 2, 3}, nil},
	} {
		broken := map[uint64][]uint64{1: {9}}
		for _, id := range c.broken {
			broken[id] = append(broken[id], 2)
		}
		m := nextMove(placed("a b c", ids{1, 2, 3}), broken, never, func(uint64) []uint64 { return c.steady })
		if (m != nil) != (c.want != nil) || m != nil && !slices.Equal(m.nodes, c.want) {
			t.Errorf("%s: the move is %+v, want to %v", c.what, m, c.want)
		}
	}
	if m := nextMove(placed("a b c", []uint64{1}, []uint64{2}), nil, func(group uint64) bool { return group == 2 }, none); m == nil || m.group != 3 {
		t.Errorf("with group 2 busy the move is %+v, want one of group 3", m)
	}
	always := func(uint64) bool { return true }
	for zones, want := range map[string][]uint64{"al b c a": {4, 2, 3}, "ag b c a": {4, 2, 3}, "ad b c a": nil} {
		m := nextMove(placed(zones, []uint64{1, 2, 3}), nil, always, none)
		if (m != nil) != (want != nil) || m != nil && !slices.Equal(m.nodes, want) {
			t.Errorf("%s, with the group busy: the move is %+v, want to %v", zones, m, want)
		}
	}
}

// TestMovesEnd: whatever nodes there are, moves come to an end, at which no group has
// two replicas in one zone or one on a node that is leaving, if that can be.
func TestMovesEnd(t *testing.T) {
	for _, zones := range []string{"a b c", "a b c a b c", "a ad b c d", "a a a b", "al b c a b c a b c", "a bg cd d e f", "a b"} {
		for groups := 1; groups < 40; groups += 19 {
			v := placed(zones, make([][]uint64, groups)...)
			moves := 0
			for m := nextMove(v, nil, never, none); m != nil; m = nextMove(v, nil, never, none) {
				if moves++; moves > 20*groups {
					t.Fatalf("%s, %d groups: no end", zones, groups)
				}
				r := m.table.withReplicas(func(r *record) {
					for s := range r.allSlots() {
						if s.group == m.group {
							s.replicas.nodes = m.nodes
						}
					}
				})
				v = v.with(r)
			}
			for s := range v.records()[0].allSlots() {
				var seen []string
				for _, id := range s.replicas.members() {
					n := v.node(id)
					if n.state != nodeActive || slices.Contains(seen, n.zone) {
						t.Errorf("%s: group %d is on %v", zones, s.group, s.replicas.members())
					}
					seen = append(seen, n.zone)
				}
				if want := min(replicasPerGroup, len(zonesOf(v.usable()))); len(seen) != want {
					t.Errorf("%s: group %d has %d replicas, want %d", zones, s.group, len(seen), want)
				}
			}
		}
	}
}

// TestChoose: new tables are spread over nodes, and so are their leaders.
func TestChoose(t *testing.T) {
	l := loadOf(&catalogView{})
	nodes := zoned("a b c a b c")
	for range 12 {
		l.add(l.choose(nodes))
	}
	for _, n := range nodes {
		if l.replicas[n.id] != 6 || l.leads[n.id] != 2 {
			t.Errorf("node %d has %d replicas and leads %d, want 6 and 2", n.id, l.replicas[n.id], l.leads[n.id])
		}
	}
	if got := l.choose(zoned("a al")); !slices.Equal(got, []uint64{1}) {
		t.Errorf("choose among one node = %v", got)
	}
}

func TestNextStep(t *testing.T) {
	type change = replication.Change
	all := func(match uint64, ids ...uint64) (list []replication.Progress) {
		for _, id := range ids {
			list = append(list, replication.Progress{Node: id, Match: match, Active: true})
		}
		return list
	}
	const last = 1000
	for _, c := range []struct {
		what             string
		voters, learners []uint64
		progress         []replication.Progress
		wish             wish
		changes          []change
		to               uint64
	}{
		{"nothing to do", []uint64{1, 2, 3}, nil, all(last, 1, 2, 3), wish{voters: []uint64{1, 2, 3}}, nil, 0},
		{"a new node learns first", []uint64{1}, nil, all(last, 1), wish{voters: []uint64{1, 2}}, []change{{Kind: replication.AddLearner, Node: 2}}, 0},
		{"it is far behind", []uint64{1}, []uint64{2}, append(all(last, 1), all(5, 2)...), wish{voters: []uint64{1, 2}}, nil, 0},
		{"it has caught up", []uint64{1}, []uint64{2}, all(last, 1, 2), wish{voters: []uint64{1, 2}}, []change{{Kind: replication.Promote, Node: 2}}, 0},
		{"a replacement is one step", []uint64{1, 2, 3}, []uint64{4}, all(last, 1, 3, 4), wish{voters: []uint64{1, 4, 3}},
			[]change{{Kind: replication.Promote, Node: 4}, {Kind: replication.Remove, Node: 2}}, 0},
		{"a voter stays until its successor is there", []uint64{1, 2, 3}, []uint64{4}, append(all(last, 1, 3), all(5, 4)...), wish{voters: []uint64{1, 4, 3}}, nil, 0},
		{"the leader is replaced: first the other one", []uint64{1, 2, 3}, []uint64{4}, all(last, 1, 2, 3, 4), wish{voters: []uint64{4, 2, 3}},
			[]change{{Kind: replication.Promote, Node: 4}}, 0},
		{"the leader is replaced: then it hands over", []uint64{1, 2, 3, 4}, nil, all(last, 1, 2, 3, 4), wish{voters: []uint64{4, 2, 3}}, nil, 4},
		{"... to who can take it", []uint64{1, 2, 3, 4}, nil, append(all(last, 1, 2, 3), all(5, 4)...), wish{voters: []uint64{4, 2, 3}}, nil, 2},
		{"a voter too many", []uint64{1, 2, 3, 4}, nil, all(last, 1, 2, 3, 4), wish{voters: []uint64{1, 2, 3}}, []change{{Kind: replication.Remove, Node: 4}}, 0},
		{"a learner too many", []uint64{1, 2}, []uint64{4}, all(last, 1, 2, 4), wish{voters: []uint64{1, 2}}, []change{{Kind: replication.Remove, Node: 4}}, 0},
		{"another one is to lead", []uint64{1, 2, 3}, nil, all(last, 1, 2, 3), wish{voters: []uint64{2, 1, 3}}, nil, 2},
		{"... but is down", []uint64{1, 2, 3}, nil, all(last, 1, 3), wish{voters: []uint64{2, 1, 3}}, nil, 0},
		{"anybody may lead", []uint64{1, 2, 3}, nil, all(last, 1, 2, 3), wish{voters: []uint64{2, 1, 3}, anybody: true}, nil, 0},
		{"a voter is to learn", []uint64{1, 2, 3}, nil, all(last, 1, 2, 3), wish{voters: []uint64{1, 2}, learners: []uint64{3}}, []change{{Kind: replication.Demote, Node: 3}}, 0},
	} {
		s := &replication.Status{Leading: true, Last: last, Progress: c.progress, Members: replication.Members{Voters: c.voters, Learners: c.learners}}
		changes, to := nextStep(s, c.wish, 1)
		if !reflect.DeepEqual(changes, c.changes) || to != c.to {
			t.Errorf("%s: %v and to %d, want %v and %d", c.what, changes, to, c.changes, c.to)
		}
	}
	joint := &replication.Status{Members: replication.Members{Voters: []uint64{1, 2}, Outgoing: []uint64{1}}}
	if changes, to := nextStep(joint, wish{voters: []uint64{1}}, 1); changes != nil || to != 0 {
		t.Errorf("while a change is half done: %v, %d", changes, to)
	}
}
