package table

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// A Write is a *PutRequest, a *DeleteRequest or an *UpdateRequest.
type Write interface {
	// begin checks the request and proposes its command.
	begin(s *Service) (pendingWrite, error)
}

// A WriteOutcome is the result or the error of one of several writes.
type WriteOutcome struct {
	Result *WriteResult
	Err    error
}

// WriteAll carries out writes that do not depend on each other, each with an
// outcome of its own. Writes of one item happen in the order of the list. All
// are on their way before the first one is waited for, so that they share
// syncs of the log.
func (s *Service) WriteAll(list []Write) []WriteOutcome {
	outcomes := make([]WriteOutcome, len(list))
	pending := make([]pendingWrite, len(list))
	done := make([]bool, len(list))
	finish := func(i int) {
		if outcomes[i].Err == nil && !done[i] {
			outcomes[i].Result, outcomes[i].Err = pending[i].await()
			outcomes[i].Err = gone(outcomes[i].Err, pending[i].table)
		}
		done[i] = true
	}
	var latest map[string]int // write of each item; only where proposals may overtake each other
	if s.calls != nil {
		latest = make(map[string]int, len(list))
	}
	for i, w := range list {
		if latest != nil {
			if row := s.rowOf(w); row != "" {
				if before, ok := latest[row]; ok {
					finish(before)
				}
				latest[row] = i
			}
		}
		pending[i], outcomes[i].Err = w.begin(s)
	}
	for i := range pending {
		finish(i)
	}
	return outcomes
}

// rowOf names the row that a write is about, "" if that cannot be said.
func (s *Service) rowOf(w Write) string {
	var table string
	var key item.Item
	switch w := w.(type) {
	case *PutRequest:
		table, key = w.Table, w.Item
	case *DeleteRequest:
		table, key = w.Table, w.Key
	case *UpdateRequest:
		table, key = w.Table, w.Key
	}
	t, err := s.lookup(table)
	if err != nil || t.schema.CheckKeyOf(key) != nil {
		return ""
	}
	return string(t.schema.AppendRowKey(nil, key))
}

func (s *Service) write(w Write) (*WriteResult, error) {
	pending, err := w.begin(s)
	if err != nil {
		return nil, err
	}
	r, err := pending.await()
	if err != nil && errors.Is(err, errGone) {
		// The table is gone; another one may have its name.
		if pending, err = w.begin(s); err == nil {
			r, err = pending.await()
		}
		return r, gone(err, pending.table)
	}
	return r, err
}

// A pendingWrite is a proposed command whose outcome is not known yet.
type pendingWrite struct {
	table *liveTable
	key   item.Item // the item or key of the command
	proposal
}

// proposeWrite sends a command, whose item or key fits the schema, to its
// partition. It does not wait, but for the global indexes of a table that are too
// far behind.
func (s *Service) proposeWrite(t *liveTable, c *partition.Command) pendingWrite {
	var buf [128]byte
	row := t.schema.AppendRowKey(buf[:0], c.Item)
	p := t.partitions.of(partition.RowHash(row))
	if len(t.globals) > 0 {
		p.admit()
	}
	c.Timestamp = s.clock.Now()
	c.Request = s.requestID()
	return pendingWrite{table: t, key: c.Item, proposal: p.propose(c.Encode())}
}

// await waits for the outcome.
func (w *pendingWrite) await() (*WriteResult, error) {
	r, err := w.outcome()
	if err == nil {
		r, err = w.follow(r)
	}
	if err == nil && r.Err != nil {
		r, err = w.contend(r)
	}
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", w.table.def.Name, err)
	}
	if r.Err != nil {
		return nil, clientError(r)
	}
	return &WriteResult{
		Attributes:      r.Attributes,
		Capacity:        Capacity{Write: capacity.WriteUnits(r.OldBytes, r.NewBytes)},
		Indexes:         indexWrites(r.Indexes),
		CollectionKey:   w.table.collectionKey(w.key),
		CollectionBytes: r.CollectionBytes,
	}, nil
}

// follow goes after a partition that no longer has the key.
func (w *pendingWrite) follow(r *partition.Result) (_ *partition.Result, err error) {
	if r.Err == nil {
		return r, nil
	}
	for d := w.to.core.newDetour(); err == nil && errors.Is(r.Err, partition.ErrWrongPartition); {
		if !d.wait() {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, r.Err)
		}
		r, err = w.reroute()
	}
	return r, err
}

// reroute sends the command to the partition that has its key now. It is the same
// request, so it is carried out once.
func (w *pendingWrite) reroute() (*partition.Result, error) {
	c := w.to.core
	c.env.Sometimes("table: write is sent to another partition")
	live := c.enter(w.table.space).live.Load()
	if live == nil {
		return nil, ErrClosed
	}
	t := (*live)[w.table.def.Name]
	if t == nil || t.id != w.table.id {
		return nil, errGone
	}
	next := t.partitions.of(partition.RowHash(t.schema.AppendRowKey(nil, w.key)))
	w.proposal = next.propose(w.command)
	return w.outcome()
}

// again carries out a read, and repeats it if the tables that it saw are out of date.
func again[T any](s *Service, table string, read func() (T, error)) (T, error) {
	v, err := read()
	if err == nil || !isOutdated(err) {
		return v, err
	}
	d := s.newDetour()
	for isOutdated(err) && d.wait() {
		s.env.Sometimes("table: read is repeated with a newer catalog")
		v, err = read()
	}
	if err != nil && errors.Is(err, errGone) {
		return v, d.gone(table)
	}
	return v, d.late(err)
}

// isOutdated reports whether an error says that the partition is not where the request
// was sent.
func isOutdated(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, partition.ErrWrongPartition)
}

// gone says that a table does not exist if that is why a request failed.
func gone(err error, t *liveTable) error {
	if err != nil && errors.Is(err, errGone) {
		return &NotFoundError{Table: t.def.Name}
	}
	return err
}

// indexWrites returns what the changes of index entries cost.
func indexWrites(uses []partition.IndexUse) []IndexCapacity {
	if len(uses) == 0 {
		return nil
	}
	units := make([]IndexCapacity, len(uses))
	for i, u := range uses {
		units[i] = IndexCapacity{Name: u.Name, Local: u.Local, Units: u.Change.Units(u.OldBytes, u.NewBytes)}
	}
	return units
}

// clientError turns a partition's refusal into this package's errors.
func clientError(r *partition.Result) error {
	switch {
	case errors.Is(r.Err, partition.ErrConditionFailed):
		return &ConditionFailedError{Item: r.Attributes}
	case errors.Is(r.Err, partition.ErrCollectionFull):
		return &CollectionFullError{}
	}
	var taken *partition.ConflictError
	if errors.As(r.Err, &taken) {
		return &ConflictError{}
	}
	return refusal(r.Err)
}

// refusal turns a misfit found by package partition into a *ValidationError and
// leaves all other errors as they are.
func refusal(err error) error {
	var invalid *partition.InvalidError
	if errors.As(err, &invalid) {
		return &ValidationError{Message: invalid.Message}
	}
	return err
}

// collectionKey returns the hash key attribute of an item for
// ItemCollectionMetrics, nil if the table has no local index.
func (t *liveTable) collectionKey(it item.Item) item.Item {
	if len(t.def.LocalIndexes) == 0 {
		return nil
	}
	v, _ := it.Get(t.schema.Hash.Name)
	var b item.Builder
	b.Set(t.schema.Hash.Name, v)
	return b.Item()
}
