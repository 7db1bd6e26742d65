package table

import (
	"errors"
	"slices"
	"time"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// TransactGet reads items as they are at one moment, without writing anything: it reads all of
// them, and then whether any has changed meanwhile. If none has, they were all as they were read
// at the moment between the two. One item needs no second look.
//
// Errors: *NotFoundError, *ValidationError for the request as a whole, *CancelledError.
func (s *Service) TransactGet(r *TransactGetRequest) (*TransactGetResult, error) {
	detour := s.newDetour()
	for attempt := 0; ; attempt++ {
		bound, err := s.bindGets(r.Items)
		if err != nil {
			return nil, err
		}
		g := transactGet{Service: s, request: r, bound: bound, reasons: make([]Reason, len(bound))}
		again, err := g.run()
		switch {
		case err == nil && !again:
			return g.result()
		case err != nil && isOutdated(err) && detour.wait():
			attempt-- // the detour bounds how often
			continue
		case err != nil && errors.Is(err, errGone):
			return nil, detour.gone(r.Items[0].Table)
		case err != nil:
			return nil, detour.late(err)
		case attempt >= maxContends:
			return nil, &CancelledError{Reasons: g.reasons}
		}
		s.env.Sometimes("table: transaction of reads is tried again")
		pause := contendPause << attempt
		s.env.Sleep(pause + time.Duration(s.env.Rand()%uint64(pause)))
	}
}

// A transactGet is one attempt at a TransactGetRequest.
type transactGet struct {
	*Service
	request *TransactGetRequest
	bound   []boundAction
	reads   []partition.ItemRead
	reasons []Reason // items that were in the way
}

// run reads twice; again if somebody was in between.
func (g *transactGet) run() (again bool, err error) {
	if g.reads, err = g.read(false); err != nil {
		return false, err
	}
	if again, err := g.disturbed(g.reads); again || err != nil {
		return again, err
	}
	if len(g.bound) == 1 || plant.On(plant.ReadsOnce) {
		return false, nil
	}
	second, err := g.read(true)
	if err != nil {
		return false, err
	}
	for i := range second {
		if second[i].Version != g.reads[i].Version {
			again = true
			g.inTheWay(i)
		}
	}
	if again {
		return true, nil
	}
	return g.disturbed(second)
}

func (g *transactGet) inTheWay(i int) {
	g.reasons[i] = Reason{Code: ReasonConflict, Message: conflictMessage}
}

// disturbed reports whether transactions have taken items that were read. Those that
// are decided are gone afterwards.
func (g *transactGet) disturbed(reads []partition.ItemRead) (yes bool, err error) {
	for i := range reads {
		taken := reads[i].Ongoing
		if taken == nil {
			continue
		}
		yes = true
		g.inTheWay(i)
		if _, err := g.unblock(taken, g.bound[i].table.id, []uint64{partition.RowHash(g.bound[i].row)}); err != nil {
			return true, err
		}
	}
	return yes, nil
}

// read reads all items, those of different partitions at the same time.
func (g *transactGet) read(versionsOnly bool) ([]partition.ItemRead, error) {
	var parts []part
	for i := range g.bound {
		b := &g.bound[i]
		to := b.table.partitions.of(partition.RowHash(b.row))
		at := slices.IndexFunc(parts, func(p part) bool { return p.to.id == to.id })
		if at < 0 {
			at = len(parts)
			parts = append(parts, part{to: to})
		}
		parts[at].actions = append(parts[at].actions, i)
	}
	reads := make([]partition.ItemRead, len(g.bound))
	readPart := func(p *part) error {
		keys := make([][]byte, len(p.actions))
		for k, i := range p.actions {
			keys[k] = g.bound[i].row
		}
		g.dawdle()
		some, err := p.to.readItems(keys, versionsOnly)
		for k := range some {
			reads[p.actions[k]] = some[k]
		}
		return err
	}
	if len(parts) == 1 {
		return reads, readPart(&parts[0])
	}
	group := env.NewGroup(g.env)
	for i := range parts {
		group.Go("transact get", func() error { return readPart(&parts[i]) })
	}
	return reads, group.Wait()
}

// MaxTransactBytes is how much data of items a transaction carries at most: what a request brings
// to write, what an answer shows.
const MaxTransactBytes = 4 << 20

// errShowsTooMuch refuses a transaction of reads whose items, as they are in the table, are too
// large together.
var errShowsTooMuch = refuse("Transaction response size cannot exceed 4 MB")

func (g *transactGet) result() (*TransactGetResult, error) {
	total := 0
	r := &TransactGetResult{Items: make([]item.Item, len(g.reads)), Capacity: make([]Capacity, len(g.reads))}
	for i := range g.reads {
		it, size := g.reads[i].Item, 0
		if it != nil {
			size = it.Size()
			total += size
			if projection := g.request.Items[i].Projection; projection != nil {
				it = projection.Apply(it)
			}
		}
		r.Items[i] = it
		r.Capacity[i].Read = capacity.TransactReadUnits(size)
	}
	if total > MaxTransactBytes {
		return nil, errShowsTooMuch
	}
	return r, nil
}
