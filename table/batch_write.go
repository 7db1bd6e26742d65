package table

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// BatchWrite puts and deletes items of several tables. Each write is atomic, the
// batch is not. Nothing is written unless everything is valid.
//
// Writes of items that transactions are at come back as unprocessed. So do writes that the disk
// had no room for, or, if that is all of them, as the error. After any other error some writes may have
// happened.
//
// Errors: *NotFoundError, *ValidationError.
func (s *Service) BatchWrite(r *BatchWriteRequest) (*BatchWriteResult, error) {
	tables := make([]*liveTable, len(r.Tables))
	for i := range r.Tables {
		t, err := s.lookup(r.Tables[i].Table)
		if err != nil {
			return nil, err
		}
		tables[i] = t
	}
	seen := make(map[string]bool) // rows, whose keys begin with the table's id
	for i, t := range tables {
		if err := t.checkBatch(r.Tables[i].Writes, seen); err != nil {
			return nil, err
		}
	}
	return s.batchWrite(tables, r)
}

// checkBatch checks keys, then duplicates, then index keys, over all writes of
// a table. A batch may name one table twice, by name and by ARN; so the rows
// seen are those of all tables.
func (t *liveTable) checkBatch(writes []BatchWriteOp, seen map[string]bool) error {
	for _, w := range writes {
		check := t.schema.CheckKey
		if w.Put != nil {
			check = t.schema.CheckKeyOf
		}
		if err := check(w.target()); err != nil {
			return refusal(err)
		}
	}
	for _, w := range writes {
		row := string(t.schema.AppendRowKey(nil, w.target()))
		if seen[row] {
			return refuse("Provided list of item keys contains duplicates")
		}
		seen[row] = true
	}
	for _, w := range writes {
		if w.Put == nil {
			continue
		}
		if err := t.schema.CheckIndexKeys(w.Put); err != nil {
			return refusal(err)
		}
	}
	return nil
}

// target returns the item or key of the write.
func (w BatchWriteOp) target() item.Item {
	if w.Put != nil {
		return w.Put
	}
	return w.Delete
}

// batchWrite proposes all writes, so that they share log entries and syncs, and
// then waits for them.
func (s *Service) batchWrite(tables []*liveTable, r *BatchWriteRequest) (*BatchWriteResult, error) {
	pending := make([][]pendingWrite, len(tables))
	for i, t := range tables {
		for k, w := range r.Tables[i].Writes {
			c := partition.Command{Kind: partition.Put, Item: w.target()}
			if w.Put == nil {
				c.Kind = partition.Delete
			}
			if k > 0 && s.env.Buggify("table: no room for a write of a batch") {
				pending[i] = append(pending[i], s.withoutRoom(t))
				continue
			}
			pending[i] = append(pending[i], s.proposeWrite(t, &c))
		}
	}
	result := &BatchWriteResult{Tables: make([]BatchWriteTableResult, len(tables))}
	var outcome batchOutcome
	for i := range pending {
		for k, w := range pending[i] {
			answer, err := w.await()
			err = gone(err, w.table)
			var taken *ConflictError
			if err != nil && errors.As(err, &taken) {
				result.Tables[i].Unprocessed = append(result.Tables[i].Unprocessed, r.Tables[i].Writes[k])
				if plant.On(plant.UnprocessedMixedUp) {
					result.Tables[i].Unprocessed[len(result.Tables[i].Unprocessed)-1] = r.Tables[i].Writes[len(pending[i])-1-k]
				}
				continue
			}
			outcome.count(err)
			switch {
			case err == nil:
				result.Tables[i].add(answer)
			case errors.Is(err, vfs.ErrNoSpace) && !plant.On(plant.UnprocessedForgotten):
				result.Tables[i].Unprocessed = append(result.Tables[i].Unprocessed, r.Tables[i].Writes[k])
			}
		}
	}
	if err := outcome.err(); err != nil {
		return nil, err
	}
	return result, nil
}

// errFullForAMoment refuses single writes of batches in the simulator. A batch does not fail for it, but gives them back.
var errFullForAMoment = fmt.Errorf("%w for a moment", vfs.ErrNoSpace)

// withoutRoom is a write for which the disk of its leader was full for a moment.
func (s *Service) withoutRoom(t *liveTable) pendingWrite {
	refused := env.NewFuture[any](s.env)
	refused.Set(nil, errFullForAMoment)
	return pendingWrite{table: t, proposal: proposal{future: refused, sent: true}}
}

// A batchOutcome sums up the outcomes of single writes.
type batchOutcome struct {
	done        bool  // at least one write
	full, fatal error // the last of its kind
}

func (o *batchOutcome) count(err error) {
	switch {
	case err == nil:
		o.done = true
	case errors.Is(err, errFullForAMoment):
	case errors.Is(err, vfs.ErrNoSpace):
		o.full = err
	default:
		o.fatal = err
	}
}

// err returns why the batch as a whole fails, if it does.
func (o *batchOutcome) err() error {
	if o.fatal == nil && !o.done {
		return o.full
	}
	return o.fatal
}

// add counts a write that is done.
func (b *BatchWriteTableResult) add(w *WriteResult) {
	b.Capacity.Write += w.Capacity.Write
	for _, x := range w.Indexes {
		b.addIndex(x)
	}
	if w.CollectionKey == nil {
		return
	}
	for i, k := range b.CollectionKeys {
		if k.Equal(w.CollectionKey) {
			b.CollectionBytes[i] = w.CollectionBytes // writes of one collection are answered in order
			return
		}
	}
	b.CollectionKeys = append(b.CollectionKeys, w.CollectionKey)
	b.CollectionBytes = append(b.CollectionBytes, w.CollectionBytes)
}

func (b *BatchWriteTableResult) addIndex(x IndexCapacity) {
	for i := range b.Indexes {
		if b.Indexes[i].Name == x.Name {
			b.Indexes[i].Units += x.Units
			return
		}
	}
	b.Indexes = append(b.Indexes, x)
}
