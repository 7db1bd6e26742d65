package main

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/statordb/stator/bench"
)

// pebbleOpener configures Pebble as its authors do for CockroachDB where it
// matters here: 64 MiB memtables, bloom filters on every level, two
// compactions at once. Values are Snappy-compressed by default.
//
// Without Sync Pebble keeps the last unfilled 32 KiB block of its log in
// process memory, so its unsynced writes may not survive a killed process.
func pebbleOpener() bench.Opener {
	return bench.Opener{Name: "pebble", Open: func(dir string, cacheBytes int64) (bench.Engine, error) {
		cache := pebble.NewCache(cacheBytes)
		defer cache.Unref()
		o := &pebble.Options{
			Cache:                       cache,
			MemTableSize:                64 << 20,
			MemTableStopWritesThreshold: 4,
			L0CompactionThreshold:       2,
			L0StopWritesThreshold:       1000,
			LBaseMaxBytes:               64 << 20,
			CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
			Logger:                      silent{},
		}
		for i := range o.Levels {
			o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		}
		db, err := pebble.Open(dir, o)
		if err != nil {
			return nil, err
		}
		return &pebbleEngine{db}, nil
	}}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

type pebbleEngine struct{ db *pebble.DB }

func (e *pebbleEngine) Set(k, v []byte) error { return e.db.Set(k, v, pebble.NoSync) }

func (e *pebbleEngine) Get(k, dst []byte) ([]byte, bool, error) {
	v, closer, err := e.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, v...)
	return dst, true, closer.Close()
}

func (e *pebbleEngine) Scan(key []byte, n int, visit func(k, v []byte)) (int, error) {
	it, err := e.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	i := 0
	for ok := it.SeekGE(key); ok && i < n; ok = it.Next() {
		visit(it.Key(), it.Value())
		i++
	}
	return i, errors.Join(it.Error(), it.Close())
}

func (e *pebbleEngine) Settle() error {
	if err := e.db.Flush(); err != nil {
		return err
	}
	return e.db.Compact(context.Background(), []byte{0}, []byte{0xff}, true)
}

func (e *pebbleEngine) Close() error { return e.db.Close() }
