package table

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A partitionStatus is what the leader of a partition tells of it. Integers are
// uvarints, a list is a count and its elements.
//
//	+---------+-----------------+--------+--------------------------+--------+-------+
//	| members | configuration's | cursor | numbers of local indexes | steady | known |
//	|         | version         |        | with all entries         |        | 0, 1  |
//	+---------+-----------------+--------+--------------------------+--------+-------+
//
// Earlier builds do not tell the last ones; then steady is none, and known is 1.
type partitionStatus struct {
	members []uint64 // nodes of all kinds
	version uint64   // of the configuration; 0 = there is none
	cursor  uint64   // change up to which all global indexes are; 0 also while nobody brings them
	kept    []uint64 // numbers of the local indexes that have had all entries from the first row on
	steady  []uint64 // voters that have been heard of lately and have the log, or nearly
	known   bool     // nobody who is not a member is needed; see replication.Status
}

func (s *partitionStatus) append(dst []byte) []byte {
	w := writer{dst}
	w.uints(s.members)
	w.uint(s.version)
	w.uint(s.cursor)
	w.uints(s.kept)
	w.uints(s.steady)
	w.bool(s.known)
	return w.b
}

func decodeStatus(b []byte) (*partitionStatus, error) {
	d := reader{b: b}
	s := &partitionStatus{members: d.uints(), version: d.uint(), cursor: d.uint(), kept: d.uints()}
	s.known = true
	if len(d.b) > 0 {
		s.steady = d.uints()
	}
	if len(d.b) > 0 {
		s.known = d.bool()
	}
	if d.bad || len(d.b) > 0 {
		return nil, fmt.Errorf("%w: status of %d bytes", errCall, len(b))
	}
	return s, nil
}

func (w *writer) uints(list []uint64) {
	w.uint(uint64(len(list)))
	for _, n := range list {
		w.uint(n)
	}
}

func (d *reader) uints() (list []uint64) {
	for range d.count() {
		list = append(list, d.uint())
	}
	return list
}

// status returns the status of a partition that this node leads.
func (p *livePartition) status() (*partitionStatus, error) {
	if !p.group.Leading() {
		return nil, replication.ErrNotLeader
	}
	group, err := p.group.Status()
	if err != nil {
		return nil, err
	}
	m := group.Members
	s := &partitionStatus{members: slices.Concat(m.Voters, m.Learners, m.Outgoing, m.Demoted), known: group.Known}
	for _, id := range m.Voters {
		if isCaughtUp(&group, id) {
			s.steady = append(s.steady, id)
		}
	}
	if config := p.Config(); config != nil {
		s.version, s.kept = config.Version, keptBy(config)
	}
	if p.upkeep != nil {
		s.cursor = p.upkeep.progress()
	}
	return s, nil
}

// keptBy returns the numbers of the local indexes that a partition has kept from its
// first row on.
func keptBy(config *partition.Config) (kept []uint64) {
	for i := range config.Schema.Indexes {
		if x := &config.Schema.Indexes[i]; x.Local && x.ID != 0 {
			kept = append(kept, uint64(x.ID))
		}
	}
	return kept
}

// statusOf asks the leader of a group for its status.
func (c *core) statusOf(group uint64) (s *partitionStatus, err error) {
	return c.newTrip(group, true).status()
}

// statusSoon is statusOf for those who do not depend on it: it does not wait for an
// election.
func (c *core) statusSoon(group uint64) (s *partitionStatus, err error) {
	t := c.newTrip(group, true)
	t.deadline = c.env.Now().Add(callPatience)
	return t.status()
}

func (t *trip) status() (s *partitionStatus, err error) {
	err = t.atLeader(func(p *livePartition) (err error) {
		s, err = p.status()
		return err
	}, func(p *livePartition, to uint64) (err error) {
		s, err = t.statusAt(p, to)
		return err
	})
	return s, err
}

func (t *trip) statusAt(p *livePartition, to uint64) (*partitionStatus, error) {
	a, err := t.ask(to, callStatus, 0, nil)
	if err != nil {
		return nil, err
	}
	t.learn(p, &a)
	if err := a.err(); err != nil {
		return nil, err
	}
	return decodeStatus(a.body)
}

// serveStatus tells another node the status of a group that this one leads. The
// barrier makes sure that it still does: who is told that it is a member no more
// drops its data.
func (c *core) serveStatus(r callRequest) answer {
	p := c.directory.partition(r.group)
	if p == nil || p.group == nil {
		return answer{verdict: verdictNotHere}
	}
	if err := p.settle(true); err != nil {
		return verdictOf(err)
	}
	s, err := p.status()
	if err != nil {
		return verdictOf(err)
	}
	return answer{body: s.append(nil)}
}
