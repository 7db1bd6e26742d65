package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	whole "github.com/statordb/stator/server"
	"github.com/statordb/stator/table"
)

// A tableStack runs the whole server on all nodes. Clients enter it at the edge or at
// the table operation.
type tableStack struct{}

func (tableStack) options(n *node, o *whole.Options) {
	o.TTLInterval = n.run.plan.ttlInterval()
	if c := o.Cluster; c != nil {
		if n.id <= uint64(len(n.run.plan.Nodes)) { // others join
			for i, p := range n.run.plan.Nodes {
				c.Founders = append(c.Founders, table.Member{ID: uint64(i + 1), Zone: p.Zone})
			}
		}
		c.LostAfter = time.Hour // nobody is given up
	}
	o.Tuning.Tables = func(o *table.Options) {
		if len(n.run.nodes) > 1 {
			o.Patience = n.run.plan.Knobs.patience()
		}
		o.TransactionPatience, o.TokenMark = n.run.plan.Knobs.Stale.Std(), n.run.plan.Knobs.Mark.Std()
		o.CancelledFor, o.PageBytes = n.run.plan.Knobs.Cancelled.Std(), n.run.plan.Knobs.Page
		n.run.plan.Knobs.tuneSplits(o)
	}
}

// tablePatience is how long a node looks for whoever can answer.
const tablePatience = 5 * time.Second

// create makes the table, at the node that is in charge of that, once there is one.
func (tableStack) create(r *run) {
	k := &r.plan.Knobs
	r.createTable(withoutIndexes(definition(k.Partitions, k.facets()), k.Lacks))
	r.knowGroups()
	r.createLedger()
}

func (r *run) createTable(d table.Definition) {
	err := errors.New("no node is up")
	for start := r.clients.Now(); r.clients.Now().Sub(start) < 10*r.limit(); r.clients.Sleep(20 * time.Millisecond) {
		for _, n := range r.nodes {
			answered, e := r.inTask(n, "create table", func(s *server) error {
				if len(r.nodes) > 1 && len(s.tables.Members()) < len(r.nodes) {
					return &table.ElsewhereError{}
				}
				_, err := s.tables.Create(d)
				var exists *table.InUseError // by an attempt that had no answer
				if errors.As(err, &exists) {
					return nil
				}
				return err
			})
			if answered && e == nil {
				r.awaitTable(d.Name)
				return
			}
			if e != nil {
				err = e
			}
		}
	}
	r.fail(found(Progress, fmt.Errorf("sim: create table: %w", err)))
}

// knowGroups notes which groups the table has, so that faults find them before anybody has
// written something.
func (r *run) knowGroups() {
	if len(r.nodes) == 1 || r.err != nil {
		return
	}
	r.must("groups", func(s *server) error {
		for _, g := range s.tables.Layout() {
			if g.Table == tableName && g.Index == "" && !slices.Contains(r.history.groups, g.ID) {
				r.history.groups = append(r.history.groups, g.ID)
			}
		}
		return nil
	})
}

// awaitTable waits until every node that is up knows the table.
func (r *run) awaitTable(name string) {
	for start := r.clients.Now(); r.clients.Now().Sub(start) < r.limit(); r.clients.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(r.nodes, func(n *node) bool { return !n.knowsTable(name) }) {
			return
		}
	}
	r.fail(found(Progress, fmt.Errorf("sim: not every node knows table %s %s after it was created", name, r.limit())))
}

func (n *node) knowsTable(name string) bool {
	answered, err := n.run.inTask(n, "describe", func(s *server) error {
		_, err := s.tables.Describe(name)
		return err
	})
	return answered && err == nil
}

// started settles the history of a node that is alone: what has no answer it has
// lost.
func (tableStack) started(r *run, n *node) {
	if len(r.nodes) == 1 {
		r.history.Settle()
	}
}

// awake waits until all nodes know what there is.
func (tableStack) awake(r *run) {
	start := r.clients.Now()
	for _, n := range r.nodes {
		for n.server != nil && !n.server.ready() {
			if r.clients.Now().Sub(start) > r.limit() {
				r.fail(found(Progress, fmt.Errorf("sim: node %s has not heard from the leader of the catalog for %s although all faults are over", n.name, r.limit())))
				return
			}
			r.clients.Sleep(10 * time.Millisecond)
		}
	}
}

// settle waits until no request is under way, also of those that clients have given up: transactions that meet each
// other on a slow disk may have work for many seconds. Some have to come to their end within each limit.
func (tableStack) settle(r *run) {
	if len(r.nodes) > 1 {
		r.clients.Sleep(tablePatience + maxLate)
	}
	open, since := r.open(), r.clients.Now()
	for open > 0 {
		r.clients.Sleep(10 * time.Millisecond)
		switch now := r.open(); {
		case now < open:
			open, since = now, r.clients.Now()
		case r.clients.Now().Sub(since) > r.limit():
			r.fail(found(Progress, fmt.Errorf("sim: of the %d requests under way none has come to its end for %s although all faults are over", now, r.limit())))
			return
		}
	}
	if len(r.nodes) > 1 {
		r.history.Settle()
	}
}

// open returns how many requests nodes carry out.
func (r *run) open() (open int) {
	for _, n := range r.nodes {
		if n.server != nil && n.up() {
			open += n.server.open
		}
	}
	return open
}

func (tableStack) verify(r *run) {
	r.readAll()
	r.verifyLedger()
	r.checkIndexes()
	r.checkCounters()
	r.verifySteps()
	r.converge()
	r.compareReplicas()
	r.readStores()
	r.checkStrays()
}

// verifySteps looks at the tables of the tasks that have some.
func (r *run) verifySteps() {
	if r.churner == nil || r.rotten() || r.err != nil {
		return
	}
	if len(r.nodes) > 1 { // alone, a change without an answer is decided by the restart that comes
		r.churner.verify()
	}
	if len(r.plan.Expiry) > 0 && r.expirer.ready {
		r.expirer.verify()
	}
}

func (tableStack) probe(s *server, value string) error {
	for i := range 1 + 2*s.n.run.plan.Knobs.Partitions {
		if _, err := s.put(&Operation{Kind: Put, Key: fmt.Sprintf("probe%d/0", i), Value: value}); err != nil {
			return err
		}
		if len(s.n.run.nodes) == 1 {
			break
		}
	}
	return nil
}

// catalogGroup is the group of the catalog.
const catalogGroup = 1

// onRole hears of a replica that begins or ceases to lead its group.
func (r *run) onRole(n *node, group uint64, leading bool) {
	kind := "yields"
	delete(n.leads, group)
	if leading {
		kind = "leads"
		r.reigns++
		n.leads[group] = r.reigns
		r.history.reign(group)
	}
	if len(r.nodes) > 1 {
		r.moment(kind, n.name, fmt.Sprint(group))
	}
	r.world.Note("%s %s group %d", n.name, kind, group)
}

// groupOf returns the raft group that a plan means by a number: 1 is the catalog's,
// the others are those of the table, first those that it began with, then others in the order
// in which something was written to them; 0 if there is none.
func (r *run) groupOf(number int) uint64 {
	switch {
	case number == catalogGroup:
		return catalogGroup
	case len(r.history.groups) == 0:
		return 0
	}
	return r.history.groups[(number-2)%len(r.history.groups)]
}

// leader returns the node whose reign over a group began last, nil if there is none.
func (r *run) leader(number int) (leader *node) { return r.leaderOf(r.groupOf(number)) }

func (r *run) leaderOf(group uint64) (leader *node) {
	latest := 0
	for _, n := range r.nodes {
		if n.up() && n.leads[group] > latest {
			leader, latest = n, n.leads[group]
		}
	}
	return leader
}
