package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A target says which nodes a fault is for. In a plan it is one of
//
//	n2                          the node of that number
//	zone b                      the nodes of a zone
//	leader of group 1           whoever leads it at the time of the fault
//	follower of group 1         one that does not
//	region r2                   the nodes of a region
//	zone of the leader of group 1
//	region of the leader of group 1
//	coordinator                 whoever began a transaction last
//	leader of ledger 1          of a partition of the ledger
//	all                         every node; so is nothing
//
// or, of a kind that is about a group:
//
//	group 2                     of the table, as above
//	index 1                     of one of the table's global indexes
//	ledger 1                    of the ledger
//	group of the transaction    that has the entry that a fault about a transaction was waiting for last
type target struct {
	kind  string // node, zone, region, leader, follower, zone of leader, region of leader, ledger, coordinator, all; group, index group, ledger group, struck group
	node  int
	name  string // of the zone or region
	group int
}

func parseTarget(text string, p *Plan) (target, error) {
	switch number, isNode := strings.CutPrefix(text, "n"); {
	case text == "" || text == "all":
		return target{kind: "all"}, nil
	case text == "coordinator":
		return target{kind: text}, nil
	case text == struckGroup:
		return target{kind: "struck group"}, nil
	case isNode:
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > len(p.Nodes) {
			return target{}, fmt.Errorf("there is no node %q", text)
		}
		return target{kind: "node", node: n}, nil
	}
	for _, place := range []string{"zone", "region"} {
		if leader, ok := strings.CutPrefix(text, place+" of the "); ok {
			t, err := parseTarget(leader, p)
			if t.kind != "leader" {
				return target{}, fmt.Errorf("target %q is not understood", text)
			}
			t.kind = place + " of leader"
			return t, err
		}
		if name, ok := strings.CutPrefix(text, place+" "); ok {
			if !slices.ContainsFunc(p.Nodes, func(n NodePlan) bool { return n.named(place) == name }) {
				return target{}, fmt.Errorf("there is no %s %q", place, name)
			}
			return target{kind: place, name: name}, nil
		}
	}
	if number, ok := strings.CutPrefix(text, "leader of ledger "); ok {
		part, err := strconv.Atoi(number)
		if err != nil || part < 1 {
			return target{}, fmt.Errorf("target %q has no partition", text)
		}
		return target{kind: "ledger", group: part}, nil
	}
	for prefix, kind := range groupTargets {
		if number, ok := strings.CutPrefix(text, prefix+" "); ok {
			group, err := strconv.Atoi(number)
			if err != nil || group < 1 {
				return target{}, fmt.Errorf("target %q has no number", text)
			}
			return target{kind: kind, group: group}, nil
		}
	} //sim:ok no two fit
	for _, kind := range []string{"leader", "follower"} {
		if number, ok := strings.CutPrefix(text, kind+" of group "); ok {
			group, err := strconv.Atoi(number)
			if err != nil || group < 1 {
				return target{}, fmt.Errorf("target %q has no group", text)
			}
			return target{kind: kind, group: group}, nil
		}
	}
	return target{}, fmt.Errorf("target %q is not understood", text)
}

// struckGroup is a target that a split has which follows a fault about a transaction.
const struckGroup = "group of the transaction"

// groupTargets are the targets that are groups, by number.
var groupTargets = map[string]string{"group": "group", "index": "index group", "ledger": "ledger group"}

func (t target) isGroup() bool { return t.kind == "group" || strings.HasSuffix(t.kind, " group") }

// resolve returns the nodes that a target means now; none if nobody leads the group.
func (r *run) resolve(text string) (nodes []*node) {
	t, err := parseTarget(text, r.plan)
	if err != nil {
		panic(err) // check has seen to it
	}
	var leader *node
	switch {
	case t.kind == "ledger":
		leader = r.leaderOf(r.ledger.partition(t.group))
	case t.group > 0:
		leader = r.leader(t.group)
	}
	for _, n := range r.nodes {
		if n.gone {
			continue
		}
		switch t.kind {
		case "all":
		case "node":
			if int(n.id) != t.node {
				continue
			}
		case "zone", "region":
			if n.place.named(t.kind) != t.name {
				continue
			}
		case "coordinator":
			if n != r.coordinator {
				continue
			}
		case "leader", "ledger":
			if n != leader {
				continue
			}
		case "zone of leader", "region of leader":
			place, _, _ := strings.Cut(t.kind, " ")
			if leader == nil || n.place.named(place) != leader.place.named(place) {
				continue
			}
		case "follower":
			if leader == nil || n == leader || len(nodes) > 0 || n.server == nil {
				continue
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// drawTarget draws one node, more often by role than by name.
func (d *drawer) drawTarget() string {
	p := d.plan
	if len(p.Nodes) == 1 {
		return nodeName(1)
	}
	if len(p.Transactors) > 0 && d.IntN(3) == 0 {
		if d.IntN(2) == 0 {
			return "coordinator"
		}
		return fmt.Sprint("leader of ledger ", 1+d.IntN(p.Knobs.Partitions))
	}
	switch d.IntN(4) {
	case 0:
		return nodeName(1 + d.IntN(len(p.Nodes)))
	case 1:
		return "follower of " + d.drawGroup()
	}
	return "leader of " + d.drawGroup()
}

func (d *drawer) drawGroup() string { return fmt.Sprint("group ", 1+d.IntN(1+d.plan.Knobs.Partitions)) }

// drawZone draws a whole zone.
func (d *drawer) drawZone() string {
	p := d.plan
	if d.IntN(2) == 0 {
		return "zone of the leader of " + d.drawGroup()
	}
	return "zone " + p.Nodes[d.IntN(len(p.Nodes))].Zone
}
