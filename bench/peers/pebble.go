package main

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/statordb/stator/bench"
)

// pebbleOpener configures Pebble as its authors do for CockroachDB where it
// matters here: bloom filters on every level, L0 thresholds that favour writes, up
// to two compactions at once. Snappy is its
// default.
func pebbleOpener() bench.Opener {
	return bench.Opener{
		Name:     "pebble",
		Survives: "all but the last: up to 32 KiB of the log are in process memory",
		Open: func(dir string, s bench.Settings) (bench.Engine, error) {
			cache := pebble.NewCache(s.MemoryBytes)
			defer cache.Unref()
			o := &pebble.Options{
				Cache:                       cache,
				FormatMajorVersion:          pebble.FormatNewest,
				MemTableSize:                bench.WriteBufferBytes,
				MemTableStopWritesThreshold: bench.WriteBuffers,
				L0CompactionThreshold:       2,
				L0StopWritesThreshold:       1000,
				LBaseMaxBytes:               64 << 20,
				CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
				Logger:                      silent{},
			}
			codec := sstable.NoCompression
			if s.Compression == bench.Fast {
				codec = sstable.SnappyCompression
			}
			for i := range o.Levels {
				o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
				o.Levels[i].Compression = func() *sstable.CompressionProfile { return codec }
			}
			db, err := pebble.Open(dir, o)
			if err != nil {
				return nil, err
			}
			return &pebbleEngine{db, pebble.WriteOptions{Sync: s.Durable}}, nil
		},
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

type pebbleEngine struct {
	db    *pebble.DB
	write pebble.WriteOptions
}

func (e *pebbleEngine) NewSession() (bench.Session, error) {
	return &pebbleSession{e, e.db.NewBatch()}, nil
}

func (e *pebbleEngine) Settle() error {
	if err := e.db.Flush(); err != nil {
		return err
	}
	return e.db.Compact(context.Background(), []byte{0}, []byte{0xff, 0xff}, true)
}

func (e *pebbleEngine) Close() error { return e.db.Close() }

type pebbleSession struct {
	*pebbleEngine
	batch *pebble.Batch
}

func (s *pebbleSession) Get(k, dst []byte) ([]byte, bool, error) {
	v, closer, err := s.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, v...)
	return dst, true, closer.Close()
}

func (s *pebbleSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (int, error) {
	it, err := s.db.NewIter(nil)
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
	return i, errors.Join(it.Error(), it.Close())
}

// Set never fails: the batch is not indexed and has no limit of its own.
func (s *pebbleSession) Set(k, v []byte) { s.batch.Set(k, v, nil) }

// Delete never fails either.
func (s *pebbleSession) Delete(k []byte) { s.batch.Delete(k, nil) }

func (s *pebbleSession) Commit() error {
	err := s.batch.Commit(&s.write)
	s.batch.Reset()
	return err
}

func (s *pebbleSession) Close() error { return s.batch.Close() }
