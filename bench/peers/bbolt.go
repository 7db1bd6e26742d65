package main

import (
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/statordb/stator/bench"
)

// bboltOpener configures bbolt as etcd does: a map of free pages that is not synced.
// Writers at the same time go through Batch, which shares transactions. bbolt has no
// filter, no compression and no cache but the page cache.
func bboltOpener() bench.Opener {
	return bench.Opener{
		Name:     "bbolt",
		Survives: "yes",
		Open: func(dir string, s bench.Settings) (bench.Engine, error) {
			db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{
				NoFreelistSync: true,
				FreelistType:   bbolt.FreelistMapType,
				NoSync:         !s.Durable,
				NoGrowSync:     !s.Durable,
			})
			if err != nil {
				return nil, err
			}
			e := &bboltEngine{db: db, update: db.Update}
			if s.Durable && s.Writers > 1 {
				db.MaxBatchSize = s.Writers // do not wait for more than can come
				e.update = db.Batch
			}
			return e, db.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucketIfNotExists(bucket)
				return err
			})
		},
	}
}

var bucket = []byte("b")

type bboltEngine struct {
	db     *bbolt.DB
	update func(func(*bbolt.Tx) error) error
}

func (e *bboltEngine) NewSession() (bench.Session, error) { return &bboltSession{bboltEngine: e}, nil }
func (e *bboltEngine) Settle() error                      { return nil }
func (e *bboltEngine) Close() error                       { return e.db.Close() }

type bboltSession struct {
	*bboltEngine
	batch pairs
}

func (s *bboltSession) Get(k, dst []byte) (value []byte, found bool, err error) {
	value = dst
	err = s.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucket).Get(k)
		value, found = append(dst, v...), v != nil
		return nil
	})
	return value, found, err
}

func (s *bboltSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (i int, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		step := c.Next
		var k, v []byte
		switch {
		case reverse && from == nil:
			k, v = c.Last()
			step = c.Prev
		case reverse:
			step = c.Prev
			if k, v = c.Seek(from); k == nil {
				k, v = c.Last()
			} else {
				k, v = c.Prev()
			}
		case from == nil:
			k, v = c.First()
		default:
			k, v = c.Seek(from)
		}
		for ; k != nil && i < n; i++ {
			visit(k, v)
			if i+1 < n {
				k, v = step()
			}
		}
		return nil
	})
	return i, err
}

func (s *bboltSession) Set(k, v []byte) { s.batch.add(k, v) }

func (s *bboltSession) Commit() error {
	err := s.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		return s.batch.each(b.Put)
	})
	s.batch.reset()
	return err
}

func (s *bboltSession) Close() error { return nil }

// pairs are keys and values that follow each other in one slice.
type pairs struct {
	data  []byte
	sizes []uint32 // of a key, of its value, ...
}

func (p *pairs) add(k, v []byte) {
	p.data = append(append(p.data, k...), v...)
	p.sizes = append(p.sizes, uint32(len(k)), uint32(len(v)))
}

func (p *pairs) each(f func(k, v []byte) error) error {
	at := 0
	for i := 0; i < len(p.sizes); i += 2 {
		key := at + int(p.sizes[i])
		end := key + int(p.sizes[i+1])
		if err := f(p.data[at:key:key], p.data[key:end:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func (p *pairs) reset() { p.data, p.sizes = p.data[:0], p.sizes[:0] }
