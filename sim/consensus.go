package sim

import (
	"errors"
	"fmt"
	"hash/fnv"

	"go.etcd.io/raft/v3"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A consensus compares what the nodes of a run do with their groups, as it happens.
// What it checks is what Raft promises (Ongaro, "Consensus: Bridging Theory and
// Practice", figure 3.2), and that replicas are deterministic:
//
//	election safety       a term has at most one leader
//	log matching          entries of one index and term are the same everywhere
//	leader completeness   a leader has every entry that anybody has applied
//	state machine safety  all replicas apply the same entry at an index, and come
//	                      to the same results; so does a replica that applies an
//	                      entry again after a crash
//	durability            what a voter has said it remembers after a crash
//	leases                there is one leader at a time that answers on its own
//
// It knows of each entry only a digest. It is used by one task at a time, as all of
// a simulated world is.
type consensus struct {
	report func(error) // of what was found
	// commit is given each command that is applied for the first time, and what it came to; or nil.
	commit func(group uint64, command []byte, result any)
	groups map[replication.GroupID]*groupHistory

	forgives func(node string) bool  // whether its disk may forget; nil: none may
	broken   func(id uint64) bool    // whether a write or sync of its log has failed in this life; nil: of none
	now      func() env.Mono         // the true time
	wanted   func(group uint64) bool // whether a table has the group, and keeps it
	noLeases bool                    // clocks are worse than promised, so that leases prove nothing
	reuses   bool                    // an id may name another group later
}

func newConsensus(report func(error)) *consensus {
	return &consensus{report: report, groups: map[replication.GroupID]*groupHistory{}, now: func() env.Mono { return 0 }}
}

// A groupHistory is what is known of one group.
type groupHistory struct {
	leaders map[uint64]string // by term
	logged  map[entryID]noted
	applied map[uint64]outcomeOf  // by index
	last    uint64                // greatest applied index
	nodes   map[string]bool       // those that have had it
	vows    map[string]vow        // by node
	bonds   map[uint64]bond       // by node
	acked   map[uint64]uint64     // by node: entries that are committed and that it said it has, before its replica was removed
	doomed  map[uint64]uint64     // by node: the first entry that it wrote after its log had failed
	tenants []tenant              // sorted by node
	leases  map[string]leased     // by node
	at      map[string]uint64     // by node: the entry that it applied last
	counts  map[uint64]electorate // by node
	voters  map[uint64]electorate // by index
	parent  replication.GroupID   // that it was split off; 0: none
	birth   uint64                // the parent's entry that did that
	parts   []replication.GroupID // that were split off it

	requests []carriedOut // in the order in which they were, those of the parent first
}

type entryID struct{ index, term uint64 }

// noted is what a node wrote at a place of the log.
type noted struct {
	node   string
	digest uint64
}

// outcomeOf is what a node applied at an index, and what it came to.
type outcomeOf struct {
	node     string
	term     uint64
	entry    uint64
	commands []uint64 // digests of the results
}

func (c *consensus) group(id replication.GroupID) *groupHistory {
	g := c.groups[id]
	if g == nil {
		g = &groupHistory{
			leaders: map[uint64]string{}, logged: map[entryID]noted{}, applied: map[uint64]outcomeOf{}, nodes: map[string]bool{},
			vows: map[string]vow{}, bonds: map[uint64]bond{}, acked: map[uint64]uint64{}, doomed: map[uint64]uint64{},
			at: map[string]uint64{}, leases: map[string]leased{}, counts: map[uint64]electorate{}, voters: map[uint64]electorate{},
		}
		c.groups[id] = g
	}
	return g
}

// observer returns the Observer of a life of a node. alive says whether this life goes on;
// clock when the node's clock will show a time, if it goes on as it goes now.
func (c *consensus) observer(id uint64, alive func() bool, clock func(env.Mono) env.Mono) replication.Observer {
	return &nodeObserver{c, id, nodeName(int(id)), alive, clock}
}

type nodeObserver struct {
	*consensus
	id    uint64
	node  string
	alive func() bool
	clock func(env.Mono) env.Mono
}

// Created begins anew with a group that the node has had before, if its id may have been
// used again, for another group. Else it has got an empty replica again.
func (o *nodeObserver) Created(id replication.GroupID) {
	g := o.group(id)
	if g.nodes[o.node] && o.reuses {
		delete(o.groups, id)
		g = o.group(id)
	}
	v := g.vows[o.node]
	g.acked[o.id] = max(g.acked[o.id], min(v.index, g.last))
	delete(g.doomed, o.id)
	g.vows[o.node] = vow{v.term, v.vote, 0}
	g.nodes[o.node] = true
}

// Appended checks log matching.
func (o *nodeObserver) Appended(id replication.GroupID, index, term uint64, data []byte) {
	g, at, digest := o.group(id), entryID{index, term}, digestOf(data)
	g.unvow(o.node, index)
	if _, known := g.doomed[o.id]; !known && o.broken != nil && o.broken(o.id) {
		g.doomed[o.id] = index
	}
	have, known := g.logged[at]
	if !known {
		g.logged[at] = noted{o.node, digest}
		return
	}
	if have.digest != digest {
		o.report(found(LogMatching, fmt.Errorf("sim: group %d: entry %d of term %d is one thing at %s and another at %s",
			id, index, term, have.node, o.node)))
	}
}

// Led checks election safety and leader completeness.
func (o *nodeObserver) Led(id replication.GroupID, term uint64, termAt func(uint64) (uint64, error)) {
	g := o.group(id)
	if other, known := g.leaders[term]; known && other != o.node {
		o.report(found(Election, fmt.Errorf("sim: group %d has two leaders in term %d: %s and %s", id, term, other, o.node)))
	}
	g.leaders[term] = o.node
	last, known := g.applied[g.last]
	if !known || last.term >= term { // a leader of an earlier term, which learns late that it was elected
		return
	}
	if have, err := termAt(g.last); err == nil && have != last.term {
		o.report(found(Completeness, fmt.Errorf("sim: group %d: %s leads term %d and has an entry %d of term %d, but %s has applied that of term %d",
			id, o.node, term, g.last, have, last.node, last.term)))
	} else if err != nil && isBehind(err) {
		o.report(found(Completeness, fmt.Errorf("sim: group %d: %s leads term %d without entry %d of term %d, which %s has applied",
			id, o.node, term, g.last, last.term, last.node)))
	}
}

// Applied checks state machine safety.
func (o *nodeObserver) Applied(id replication.GroupID, index, term uint64, data []byte, commands [][]byte, results []any) {
	g := o.group(id)
	now := outcomeOf{node: o.node, term: term, entry: digestOf(data)}
	for _, r := range results {
		now.commands = append(now.commands, digestOfResult(r))
	}
	g.at[o.node] = index
	before, known := g.applied[index]
	if !known {
		for i := range commands {
			o.noteDone(id, index, commands[i], results[i])
		}
		g.applied[index] = now
		g.last = max(g.last, index)
		for i := 0; i < len(commands) && o.commit != nil; i++ {
			o.commit(uint64(id), commands[i], results[i])
		}
		return
	}
	if before.term != term || before.entry != now.entry {
		o.report(found(Replicas, fmt.Errorf("sim: group %d: %s applies at index %d an entry of term %d, but %s has applied another, of term %d",
			id, o.node, index, term, before.node, before.term)))
		return
	}
	for i := range now.commands {
		if a, b := before.commands[i], now.commands[i]; a != b && a != 0 && b != 0 {
			o.report(found(Replicas, fmt.Errorf("sim: group %d: command %d of entry %d, %s, comes to %s at %s, and to something else before, at %s",
				id, i, index, commandText(commands[i]), resultText(results[i]), o.node, before.node)))
			return
		} else if a == 0 && b != 0 { // whoever was first could not read its own disk
			before.commands[i] = b
			o.noteDone(id, index, commands[i], results[i])
			if o.commit != nil {
				o.commit(uint64(id), commands[i], results[i])
			}
		}
	}
}

// isBehind reports whether a log ends before an entry, rather than that the entry
// is in a snapshot.
func isBehind(err error) bool { return errors.Is(err, raft.ErrUnavailable) }

// digestOf is not 0.
func digestOf(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64() | 1
}

// digestOfResult digests what a command came to. It is 0 if that need not be the
// same everywhere: after an error of the node's own disk, and for results of which
// this package knows no bytes (those of the catalog).
func digestOfResult(r any) uint64 {
	result, ok := r.(*partition.Result)
	if !ok || isLocal(result.Err) {
		return 0
	}
	return digestOf(result.Append(nil))
}

// isLocal reports whether an error is the node's own.
func isLocal(err error) bool {
	var damage *corrupt.Error
	return err != nil && (mayBeLocal(err) || errors.As(err, &damage) || errors.Is(err, partition.ErrReplay) || errors.Is(err, lsm.ErrClosed) || errors.Is(err, lsm.ErrFailed))
}

// commandText tells what a command is, for a report.
func commandText(b []byte) string {
	c, err := partition.DecodeCommand(b)
	if err != nil {
		return fmt.Sprintf("of %d bytes", len(b))
	}
	if c.Item == nil {
		return c.Kind.String()
	}
	return fmt.Sprintf("%s %.200s", c.Kind, c.Item.AppendJSON(nil))
}

func resultText(r any) string {
	result, ok := r.(*partition.Result)
	switch {
	case !ok:
		return fmt.Sprintf("%.200v", r)
	case result.Err != nil:
		return fmt.Sprintf("%.200q", result.Err.Error())
	}
	return fmt.Sprintf("done (%d to %d bytes)", result.OldBytes, result.NewBytes)
}
