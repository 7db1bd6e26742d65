package sim

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/statordb/stator/lsm"
)

// doLongRead reads the whole store as of one moment again and again: with an iterator that is
// still open when the engine flushes and merges, with another one afterwards, backward, and key by
// key. All ways must show the same, whatever was written meanwhile.
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

// A pair is what a store has at a key.
type pair struct {
	key []byte
	crc uint32 // of the value
}

func isPair(a, b pair) bool { return a.crc == b.crc && bytes.Equal(a.key, b.key) }

func (s *server) longRead(pause time.Duration, compact bool) error {
	view := s.store.NewSnapshot()
	defer view.Close()
	before, err := pairsOf(view, -1, nil)
	if err != nil {
		return err
	}
	during, err := pairsOf(view, len(before)/2, func() error {
		s.e.Sleep(pause)
		if err := s.store.Flush(); err != nil || !compact {
			return err
		}
		return s.store.Compact(nil, nil)
	})
	if err != nil {
		return err
	}
	if err := s.differ("an iterator that was open while the store was flushed and merged shows", before, during); err != nil {
		return err
	}
	if err := s.readAgain(view, before); err != nil {
		return err
	}
	return s.readStore(before)
}

// readStore reads the store as it is now in all ways. What is not there any more of what was there
// before is not there by any of them.
func (s *server) readStore(before []pair) error {
	now := s.store.NewSnapshot()
	defer now.Close()
	there, err := pairsOf(now, -1, nil)
	if err != nil {
		return err
	}
	for _, p := range before {
		if _, found := slices.BinarySearchFunc(there, p, func(a, b pair) int { return bytes.Compare(a.key, b.key) }); found {
			continue
		}
		switch _, err := now.Get(p.key, nil); {
		case err == nil:
			return fmt.Errorf("sim: a get from the store on %s shows key %x, which an iterator does not show", s.n.name, p.key)
		case !errors.Is(err, lsm.ErrNotFound):
			return err
		}
	}
	return s.readAgain(now, there)
}

// readAgain compares what a snapshot shows with what it has shown: forward, backward, and key by key.
func (s *server) readAgain(view *lsm.Snapshot, before []pair) error {
	after, err := pairsOf(view, -1, nil)
	if err == nil {
		err = s.differ("a later iterator of the snapshot shows", before, after)
	}
	if err != nil {
		return err
	}
	back, err := pairsBackward(view)
	if err == nil {
		err = s.differ("an iterator that goes backward shows", before, back)
	}
	if err != nil {
		return err
	}
	var value []byte
	for _, p := range before {
		value, err = view.Get(p.key, value[:0])
		switch {
		case errors.Is(err, lsm.ErrNotFound):
			return fmt.Errorf("sim: a get from the store on %s shows nothing at key %x, where an iterator shows a value", s.n.name, p.key)
		case err != nil:
			return err
		case crc32.ChecksumIEEE(value) != p.crc:
			return fmt.Errorf("sim: a get from the store on %s shows another value at key %x than an iterator", s.n.name, p.key)
		}
	}
	return nil
}

// differ tells of the first difference.
func (s *server) differ(what string, before, after []pair) error {
	if slices.EqualFunc(before, after, isPair) {
		return nil
	}
	at := 0
	for at < min(len(before), len(after)) && isPair(before[at], after[at]) {
		at++
	}
	return fmt.Errorf("sim: a snapshot of the store on %s has shown %d pairs; %s %d, and another one at place %d", s.n.name, len(before), what, len(after), at)
}

// pairsOf reads all pairs of a snapshot. At the pair of that number, if there is one, it stops to
// do something else.
func pairsOf(view *lsm.Snapshot, at int, interlude func() error) (pairs []pair, err error) {
	it, err := view.NewIter(lsm.IterOptions{})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && it.Err() == nil; ok = it.Next() {
		pairs = append(pairs, pair{bytes.Clone(it.Key()), crc32.ChecksumIEEE(it.Value())})
		if len(pairs) == at {
			if err = interlude(); err != nil {
				break
			}
		}
	}
	return pairs, errors.Join(err, it.Err(), it.Close())
}

func pairsBackward(view *lsm.Snapshot) (pairs []pair, err error) {
	it, err := view.NewIter(lsm.IterOptions{})
	if err != nil {
		return nil, err
	}
	for ok := it.Last(); ok && it.Err() == nil; ok = it.Prev() {
		pairs = append(pairs, pair{bytes.Clone(it.Key()), crc32.ChecksumIEEE(it.Value())})
	}
	slices.Reverse(pairs)
	return pairs, errors.Join(it.Err(), it.Close())
}
