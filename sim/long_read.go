package sim

import (
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/statordb/stator/lsm"
)

// doLongRead reads the whole store as of one moment twice: once with an iterator that is
// still open when the engine flushes and merges, and once with another one afterwards.
func doLongRead(r *run, f *Fault) {
	for _, n := range r.targets(f) {
		answered, err := r.inTask(n, "long read", func(s *server) error { return s.longRead(f.For.Std(), f.N != 0) })
		switch {
		case !answered:
			r.excuse(f, "%s was down, or went down", n.name)
		case err == nil:
			r.came(f)
		case isLocal(err):
			r.excuse(f, "%s could not go on: %v", n.name, err)
		default:
			r.fail(found(Engine, err))
		}
	}
}

// A sum is of pairs, in their order.
type sum struct {
	pairs int
	crc   uint32
}

func (s *sum) add(key, value []byte) {
	s.pairs++
	for _, b := range [][]byte{key, value} {
		s.crc = crc32.Update(s.crc, crc32.IEEETable, []byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16)})
		s.crc = crc32.Update(s.crc, crc32.IEEETable, b)
	}
}

func (s *server) longRead(pause time.Duration, compact bool) error {
	view := s.store.NewSnapshot()
	defer view.Close()
	before, err := sumOf(view, -1, nil)
	if err != nil {
		return err
	}
	during, err := sumOf(view, before.pairs/2, func() error {
		s.e.Sleep(pause)
		if err := s.store.Flush(); err != nil || !compact {
			return err
		}
		return s.store.Compact(nil, nil)
	})
	if err != nil {
		return err
	}
	after, err := sumOf(view, -1, nil)
	if err == nil && (during != before || after != before) {
		err = fmt.Errorf("sim: a snapshot of the store on %s shows %d pairs with sum %08x; an iterator that was open while the store was flushed and merged %d with %08x; and one after that %d with %08x",
			s.n.name, before.pairs, before.crc, during.pairs, during.crc, after.pairs, after.crc)
	}
	return err
}

// sumOf reads all pairs of a snapshot. At the pair of that number, if there is one, it stops to
// do something else.
func sumOf(view *lsm.Snapshot, at int, interlude func() error) (total sum, err error) {
	it, err := view.NewIter(lsm.IterOptions{})
	if err != nil {
		return total, err
	}
	for ok := it.First(); ok && it.Err() == nil; ok = it.Next() {
		total.add(it.Key(), it.Value())
		if total.pairs == at {
			if err = interlude(); err != nil {
				break
			}
		}
	}
	return total, errors.Join(err, it.Err(), it.Close())
}
