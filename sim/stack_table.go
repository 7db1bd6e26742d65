package sim

import (
	"fmt"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/table"
)

// A tableStack runs the service of package table on a node.
type tableStack struct{}

func (tableStack) open(s *server) (err error) {
	if s.tables, err = table.Open(s.e, s.store, s.node, table.Options{TTLInterval: ttlInterval}); err != nil {
		return fmt.Errorf("open tables: %w", err)
	}
	return nil
}

func (tableStack) create(r *run) {
	done := env.NewFuture[error](r.clients)
	s := r.nodes[0].server
	s.e.Go("create table", func() {
		_, err := s.tables.Create(definition(r.plan.Knobs.Partitions, r.plan.Knobs.facets()))
		done.Set(err, nil)
	})
	if err, _ := done.Await(); err != nil {
		r.fail(found(Unexpected, fmt.Errorf("sim: create table: %w", err)))
	}
}

// started settles the history: the node that was to carry out what has no answer
// has lost it.
func (tableStack) started(r *run, n *node) {
	if len(r.nodes) == 1 {
		r.history.Settle()
	}
}

func (tableStack) settle(*run) {}

func (tableStack) verify(r *run) {
	r.readAll()
	r.checkIndexes()
	r.checkCounters()
}

func (tableStack) probe(s *server, value string) error {
	_, err := s.put(&Operation{Kind: Put, Key: "probe/0", Value: value})
	return err
}

// leads knows one node, which leads everything.
func (tableStack) leads(s *server, group int) (bool, uint64) {
	return len(s.n.run.nodes) == 1, 1
}

// onRole hears of a replica that begins or ceases to lead its group.
func (r *run) onRole(n *node, group uint64, leading bool) {
	kind := "yields"
	if leading {
		kind = "leads"
		r.history.reign(group)
	}
	if len(r.nodes) > 1 {
		r.moment(kind, n.name, fmt.Sprint(group))
	}
	r.world.Note("%s %s group %d", n.name, kind, group)
}
