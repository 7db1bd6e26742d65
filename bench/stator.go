package bench

import (
	"errors"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// Stator is this project's engine with its own write-ahead log. Each write is
// in the page cache when Set returns, so it survives a killed process.
func Stator() Opener {
	return Opener{Name: "stator", Open: func(dir string, cacheBytes int64) (Engine, error) {
		fs, err := vfs.NewOS(dir)
		if err != nil {
			return nil, err
		}
		db, err := lsm.Open(env.New(), fs, lsm.Options{Sync: lsm.SyncNever, MemtableBytes: 64 << 20})
		if err != nil {
			return nil, err
		}
		return &statorEngine{db: db, batch: db.NewBatch()}, nil
	}}
}

type statorEngine struct {
	db    *lsm.DB
	batch *lsm.Batch
}

func (e *statorEngine) Set(k, v []byte) error {
	e.batch.Reset()
	e.batch.Set(k, v)
	return e.db.Apply(e.batch)
}

func (e *statorEngine) Get(k, dst []byte) ([]byte, bool, error) {
	v, err := e.db.Get(k, dst)
	if errors.Is(err, lsm.ErrNotFound) {
		return dst, false, nil
	}
	return v, err == nil, err
}

func (e *statorEngine) Scan(key []byte, n int, visit func(k, v []byte)) (int, error) {
	it, err := e.db.NewIter(lsm.IterOptions{})
	if err != nil {
		return 0, err
	}
	i := 0
	for ok := it.SeekGE(key); ok && i < n; ok = it.Next() {
		visit(it.Key(), it.Value())
		i++
	}
	return i, errors.Join(it.Err(), it.Close())
}

func (e *statorEngine) Settle() error {
	if err := e.db.Flush(); err != nil {
		return err
	}
	return e.db.Compact(nil, nil)
}

func (e *statorEngine) Close() error { return e.db.Close() }
