package table

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// Splitting a partition. The node in charge decides (splitter.go, or an operator), and
// does it in steps that whoever is in charge after it goes on with:
//
//	1. plan     the leader of the group says where its data is best divided, or why not,
//	            and that all its replicas are there
//	2. begin    the catalog gives the child a number; replicas stay where they are from now on
//	3. split    the group carries out SplitOff. Each replica that has done so starts one of
//	            the child (birth.go). Requests for the child's hashes wait (detour.go)
//	4. end      the child gets a slot in the catalog
//
// After 2 the split is carried to its end.

// ErrNoSplit refuses a split that would gain nothing, or a hash that is not inside of the
// partition's.
var ErrNoSplit = partition.ErrNoSplit

// errIncomplete refuses to plan a split while a replica is missing or behind.
var errIncomplete = errors.New("table: a replica of the partition is missing or behind")

// SplitGroup splits a partition of a table or global index in two, at a hash, or, with 0, so
// that both parts have about the same amount of data. It returns the group of the new one, which has
// the hashes from there on, once the catalog has it.
//
// An error after the split has begun says that it is not known to be at its end; it will be
// brought there.
//
// Errors: ErrNoGroup, ErrNoSplit, ErrGroupBusy, *ElsewhereError.
func (c *core) SplitGroup(group, at uint64) (child uint64, err error) {
	reign := c.reigning()
	c.control.Lock()
	err = c.inCharge()
	r, s := c.catalog.snapshot().slotOf(group)
	c.control.Unlock()
	switch {
	case err != nil:
		return 0, err
	case s == nil:
		return 0, fmt.Errorf("%w: %d", ErrNoGroup, group)
	case s.split != nil:
		return 0, fmt.Errorf("%w: %d", ErrGroupBusy, group)
	}
	plan, err := c.planSplit(group, at, true)
	if err != nil {
		return 0, fmt.Errorf("table %s: %w", r.def.Name, err)
	}
	if child, err = c.beginSplit(group, plan.At); err != nil {
		return 0, err
	}
	until := c.env.Now().Add(c.patience)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err = c.carrySplit(reign, group, plan)
		if err == nil || c.env.Now() >= until || reign.rest(pause) {
			return child, err
		}
	}
}

// beginSplit has the catalog give the child a number.
func (c *core) beginSplit(group, at uint64) (child uint64, err error) {
	c.control.Lock()
	defer c.control.Unlock()
	if err := c.inCharge(); err != nil {
		return 0, err
	}
	r, s := c.catalog.snapshot().slotOf(group)
	switch {
	case s == nil:
		return 0, fmt.Errorf("%w: %d", ErrNoGroup, group)
	case s.split != nil, !r.maySplit(group), c.isBusy(group):
		return 0, fmt.Errorf("%w: %d", ErrGroupBusy, group)
	case at <= s.first || at > r.lastHash(group):
		return 0, fmt.Errorf("%w: hash %#x", ErrNoSplit, at)
	}
	next, err := c.enter(r.space).replace(r.beginSplit(group, at))
	if err != nil {
		return 0, c.elsewhere(err)
	}
	c.env.Sometimes("table: split begins")
	slots, i := next.slotsOf(group)
	return (*slots)[i].split.child, nil
}

// maySplit reports whether a group is of the table itself, or of an index that is active.
func (r *record) maySplit(group uint64) bool {
	if r.status != recordActive {
		return false
	}
	for i := range r.places {
		if r.places[i].status != indexActive && slices.ContainsFunc(r.places[i].slots, func(s slot) bool { return s.group == group }) {
			return false
		}
	}
	return true
}

// lastHash returns the last hash of the slot of a group.
func (r *record) lastHash(group uint64) uint64 {
	slots, i := r.slotsOf(group)
	return lastOf(*slots, i)
}

// carrySplit brings a split that has begun to its end. plan is that of step 1 if this node has
// made it, else nil.
func (c *core) carrySplit(reign *reign, group uint64, plan *partition.Split) error {
	r, s := c.catalog.snapshot().slotOf(group)
	if s == nil || s.split == nil {
		return nil
	}
	p := c.directory.partition(group)
	if p == nil {
		return errNotHere
	}
	if plan == nil || plan.At != s.split.at {
		var err error
		if plan, err = c.planSplit(group, s.split.at, false); errors.Is(err, ErrNoSplit) {
			plan = &partition.Split{At: s.split.at} // it has been done, and so all else does not matter
		} else if err != nil {
			return err
		}
	}
	split := *plan
	split.Child, split.Voters = s.split.child, slices.Sorted(slices.Values(s.replicas.members()))
	if err := c.awaitMembers(group, split.Voters); err != nil {
		return err
	}
	_, err := p.run(&partition.Command{Kind: partition.SplitOff, Split: &split})
	switch {
	case errors.Is(err, partition.ErrNoSplit):
		c.env.Sometimes("table: split is cancelled")
		return errors.Join(err, c.endSplit(reign, group, split.Child, (*record).cancelSplit))
	case err != nil:
		return err
	}
	if c.calls == nil {
		if err := c.startChild(r, split.Child); err != nil {
			return err
		}
	}
	return c.endSplit(reign, group, split.Child, func(r *record, group uint64) *record { return r.endSplit(group, c.leaderFor) })
}

// awaitMembers returns an error if the members of a group are not those that the catalog
// wants it to have.
func (c *core) awaitMembers(group uint64, want []uint64) error {
	s, err := c.statusSoon(group)
	if err == nil && !sameNodes(s.members, want) {
		err = fmt.Errorf("%w: %d", ErrGroupBusy, group)
	}
	return err
}

// startChild starts the replica of a child on a node that is alone, where nobody follows the
// catalog.
func (c *core) startChild(r *record, child uint64) error {
	if err := c.startGroups(r); err != nil {
		return err
	}
	if p := c.directory.partition(child); p == nil || !p.exists() {
		return errUnborn
	}
	return nil
}

// endSplit replaces the record of a table of which a group is still being split.
func (c *core) endSplit(reign *reign, group, child uint64, change func(r *record, group uint64) *record) error {
	c.control.Lock()
	defer c.control.Unlock()
	if reign.over.Ready() {
		return errReignOver
	}
	r, s := c.catalog.snapshot().slotOf(group)
	if s == nil || s.split == nil || s.split.child != child {
		return nil
	}
	c.env.Sometimes("table: split ends")
	_, err := c.enter(r.space).replace(change(r, group))
	return err
}

// errReignOver says that another node is in charge, and goes on.
var errReignOver = errors.New("table: another node is in charge")

// leaderFor orders the nodes of a new group so that the one is to lead that leads the
// fewest.
func (c *core) leaderFor(nodes []uint64) []uint64 {
	l := loadOf(c.catalog.snapshot())
	best := 0
	for i, id := range nodes {
		if l.leads[id] < l.leads[nodes[best]] {
			best = i
		}
	}
	if best > 0 {
		nodes[0], nodes[best] = nodes[best], nodes[0]
	}
	return nodes
}

// A plan is asked for by a hash and whether all replicas have to be there, and answered by
// what the child would have, or by why not. Integers are uvarints.
//
//	question: | at 8B | strict 1B |
//	answer:   | 0 | at 8B | items | bytes | local count | items, bytes for each |
//	          | 1 or 2 | text |   there is nothing to gain; a replica is missing
const (
	planned        byte = 0
	planGainless   byte = 1
	planIncomplete byte = 2
)

// How long a plan may take: all the data is read.
const (
	planPatience  = 5 * time.Second
	planReadSpeed = 16 << 20 // bytes per second, at least
)

// planSplit asks the leader of a group where it would be divided best, or what a child
// that begins with a hash would have.
func (c *core) planSplit(group, at uint64, strict bool) (plan *partition.Split, err error) {
	var w writer
	w.hash(at)
	w.bool(strict)
	t := c.newTrip(group, true)
	err = t.atLeader(func(p *livePartition) (err error) {
		if !p.leads() {
			return replication.ErrNotLeader
		}
		plan, err = p.planSplit(at, strict)
		return err
	}, func(p *livePartition, to uint64) (err error) {
		plan, err = t.plan(p, to, w.b)
		return err
	})
	return plan, err
}

// isRefusal reports whether a leader has said that its group is not to be split so, or not now: it is no use to ask again.
func isRefusal(err error) bool { return errors.Is(err, ErrNoSplit) || errors.Is(err, errIncomplete) }

func (t *trip) plan(p *livePartition, to uint64, question []byte) (*partition.Split, error) {
	patience := planPatience
	if state, err := t.core.stateOf(t.group); err == nil {
		patience += time.Duration(state.Size()/planReadSpeed) * time.Second
	}
	a, err := t.core.ask(to, callPlan, t.group, 0, question, patience)
	if err != nil {
		return nil, err
	}
	t.learn(p, &a)
	if err := a.err(); err != nil {
		return nil, err
	}
	return decodePlan(a.body)
}

// planSplit is for a partition that is led here.
func (p *livePartition) planSplit(at uint64, strict bool) (*partition.Split, error) {
	if strict && p.core.calls != nil {
		status, err := p.group.Status()
		if err != nil {
			return nil, err
		}
		// One that does not vote yet would have the split refused as long as that is so; if it is lost, for ever. One
		// that has not answered yet may not have begun: it would come to the split so late that it needs a snapshot first,
		// and that is not sent before the child is on a majority, of which it may be needed itself.
		m := status.Members
		for _, id := range slices.Concat(m.Voters, m.Learners, m.Outgoing, m.Demoted) {
			if !isCaughtUp(&status, id) || !hasAnswered(&status, id) || !slices.Contains(m.Voters, id) || m.Joint() {
				return nil, fmt.Errorf("%w: node %d", errIncomplete, id)
			}
		}
	}
	return p.PlanSplit(at)
}

// hasAnswered reports whether a member has said that it has entries of the log. A node may have been heard of lately
// without having a replica of the group yet.
func hasAnswered(s *replication.Status, id uint64) bool {
	return slices.ContainsFunc(s.Progress, func(p replication.Progress) bool { return p.Node == id && p.Match > 0 })
}

func (c *core) servePlan(r callRequest) answer {
	d := reader{b: r.body}
	at, strict := d.fixed(), d.bool()
	p := c.directory.partition(r.group)
	switch {
	case d.bad || len(d.b) > 0:
		return answer{verdict: verdictFailed, body: []byte(errCall.Error())}
	case p == nil || p.group == nil:
		return answer{verdict: verdictNotHere}
	case !p.leads():
		return answer{verdict: verdictNotLeader}
	}
	plan, err := p.planSplit(at, strict)
	var w writer
	switch {
	case errors.Is(err, ErrNoSplit):
		w.byte(planGainless)
		w.text(err.Error())
	case errors.Is(err, errIncomplete):
		w.byte(planIncomplete)
		w.text(err.Error())
	case err != nil:
		return verdictOf(err)
	default:
		w.plan(plan)
	}
	return answer{body: w.b}
}

func (w *writer) plan(s *partition.Split) {
	w.byte(planned)
	w.hash(s.At)
	w.uint(uint64(s.Stats.Items))
	w.uint(uint64(s.Stats.Bytes))
	w.uint(uint64(len(s.Local)))
	for _, l := range s.Local {
		w.uint(uint64(l.Items))
		w.uint(uint64(l.Bytes))
	}
}

// A refusedPlan is why another node would not split.
type refusedPlan struct {
	text string
	kind error
}

func (e *refusedPlan) Error() string { return e.text }
func (e *refusedPlan) Unwrap() error { return e.kind }

func decodePlan(b []byte) (*partition.Split, error) {
	d := reader{b: b}
	kind := d.byte()
	bad := fmt.Errorf("%w: plan of %d bytes", errCall, len(b))
	switch kind {
	case planned:
		s := &partition.Split{At: d.fixed(), Stats: d.stats()}
		for range d.count() {
			s.Local = append(s.Local, d.stats())
		}
		if d.bad || len(d.b) > 0 {
			return nil, bad
		}
		return s, nil
	case planGainless, planIncomplete:
		text := d.text()
		if d.bad || len(d.b) > 0 {
			return nil, bad
		}
		return nil, &refusedPlan{text, map[byte]error{planGainless: ErrNoSplit, planIncomplete: errIncomplete}[kind]}
	}
	return nil, bad
}

func (d *reader) stats() partition.Stats {
	return partition.Stats{Items: int64(d.uint()), Bytes: int64(d.uint())}
}
