package bench

import (
	"errors"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// Stator is this project's engine with its own write-ahead log. Tables are mapped
// and read in place, so that the page cache stands for a block cache.
func Stator() Opener {
	return Opener{Name: "stator", Survives: "yes", Open: func(dir string, s Settings) (Engine, error) {
		fs, err := vfs.NewOS(dir)
		if err != nil {
			return nil, err
		}
		o := lsm.Options{Sync: lsm.SyncNever, MemtableBytes: WriteBufferBytes, MemoryBytes: s.MemoryBytes + WriteBufferBytes}
		if s.Durable {
			o.Sync = lsm.SyncAlways
		}
		if s.Compression == Fast {
			o.Compression = lsm.S2
		}
		if s.Faceted {
			o.Facets, o.FacetsName = shareFacets, "shares"
		}
		db, err := lsm.Open(env.New(), fs, o)
		if err != nil {
			return nil, err
		}
		return statorEngine{db}, nil
	}}
}

type statorEngine struct{ db *lsm.DB }

func (e statorEngine) NewSession() (Session, error) {
	return &statorSession{e.db, e.db.NewBatch()}, nil
}

func (e statorEngine) Settle() error {
	if err := e.db.Flush(); err != nil {
		return err
	}
	return e.db.Compact(nil, nil)
}

func (e statorEngine) Close() error { return e.db.Close() }

type statorSession struct {
	db    *lsm.DB
	batch *lsm.Batch
}

func (s *statorSession) Get(k, dst []byte) ([]byte, bool, error) {
	v, err := s.db.Get(k, dst)
	if errors.Is(err, lsm.ErrNotFound) {
		return dst, false, nil
	}
	return v, err == nil, err
}

func (s *statorSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (int, error) {
	it, err := s.db.NewIter(lsm.IterOptions{})
	if err != nil {
		return 0, err
	}
	ok := false
	switch {
	case reverse && from == nil:
		ok = it.Last()
	case reverse:
		ok = it.SeekLT(from)
	case from == nil:
		ok = it.First()
	default:
		ok = it.SeekGE(from)
	}
	i := 0
	for ; ok && i < n; i++ {
		visit(it.Key(), it.Value())
		switch { // a method value would be an allocation for each scan
		case i+1 == n:
		case reverse:
			ok = it.Prev()
		default:
			ok = it.Next()
		}
	}
	return i, errors.Join(it.Err(), it.Close())
}

// shareFacets has a tag for each share that Find is asked for.
func shareFacets(_, value []byte, tags *lsm.Tags) {
	for _, percent := range []byte{1, 10} {
		if InShare(value, int(percent)) {
			tags.Add([]byte{percent})
		}
	}
}

func (s *statorSession) Find(percent int, visit func(k, v []byte)) (int, error) {
	it, err := s.db.NewFilteredIter(lsm.IterOptions{}, lsm.HasTag([]byte{byte(percent)}))
	if err != nil {
		return 0, err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		visit(it.Key(), it.Value())
		n++
	}
	return n, errors.Join(it.Err(), it.Close())
}

func (s *statorSession) Delete(k []byte) { s.batch.Delete(k) }

// Stalls implements Staller.
func (e statorEngine) Stalls() (count uint64, waited time.Duration) {
	m := e.db.Metrics()
	for _, s := range m.Stalls {
		count, waited = count+s.Delays+s.Stops, waited+s.Time
	}
	return count, waited
}

func (s *statorSession) Set(k, v []byte) { s.batch.Set(k, v) }

func (s *statorSession) Commit() error {
	err := s.db.Apply(s.batch)
	s.batch.Reset()
	return err
}

func (s *statorSession) Close() error { return nil }
