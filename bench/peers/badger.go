package main

import (
	"errors"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/statordb/stator/bench"
)

// badgerOpener leaves Badger's defaults but for what all have alike. Without
// conflicts to detect, that is off, as its authors advise. Values below 1 MiB stay
// in its tables. Of the memory a quarter is for indexes and filters. Its filters
// are sized by their error rate: 1 % is 10 bits per key.
func badgerOpener() bench.Opener {
	return bench.Opener{
		Name:     "badger",
		Survives: "yes: its log is mapped",
		Open: func(dir string, s bench.Settings) (bench.Engine, error) {
			o := badger.DefaultOptions(dir).
				WithLogger(nil).
				WithMetricsEnabled(false).
				WithDetectConflicts(false).
				WithSyncWrites(s.Durable).
				WithMemTableSize(bench.WriteBufferBytes).
				WithNumMemtables(bench.WriteBuffers).
				WithNumCompactors(2).
				WithBloomFalsePositive(0.01).
				WithIndexCacheSize(s.MemoryBytes / 4).
				WithBlockCacheSize(s.MemoryBytes - s.MemoryBytes/4).
				WithCompression(options.None)
			if s.Compression == bench.Fast {
				o = o.WithCompression(options.Snappy)
			}
			db, err := badger.Open(o)
			if err != nil {
				return nil, err
			}
			return &badgerEngine{db, o}, nil
		},
	}
}

type badgerEngine struct {
	db *badger.DB
	o  badger.Options
}

func (e *badgerEngine) NewSession() (bench.Session, error) {
	return &badgerSession{badgerEngine: e}, nil
}

// Settle opens the database again: only Close flushes the memtable.
func (e *badgerEngine) Settle() error {
	if err := e.db.Close(); err != nil {
		return err
	}
	var err error
	if e.db, err = badger.Open(e.o); err != nil {
		return err
	}
	return e.db.Flatten(2)
}

func (e *badgerEngine) Close() error { return e.db.Close() }

type badgerSession struct {
	*badgerEngine
	batch pairs
}

func (s *badgerSession) Get(k, dst []byte) (value []byte, found bool, err error) {
	value = dst
	err = s.db.View(func(tx *badger.Txn) error {
		item, err := tx.Get(k)
		if err != nil {
			return err
		}
		found = true
		return item.Value(func(v []byte) error {
			value = append(dst, v...)
			return nil
		})
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, false, nil
	}
	return value, found, err
}

func (s *badgerSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (i int, err error) {
	err = s.db.View(func(tx *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Reverse, o.PrefetchSize = reverse, min(n, o.PrefetchSize)
		it := tx.NewIterator(o)
		defer it.Close()
		if it.Rewind(); from != nil {
			it.Seek(from)
		}
		if reverse && from != nil && it.Valid() && string(it.Item().Key()) == string(from) {
			it.Next()
		}
		for ; it.Valid() && i < n; i++ {
			item := it.Item()
			err := item.Value(func(v []byte) error {
				visit(item.Key(), v)
				return nil
			})
			if err != nil {
				return err
			}
			if i+1 < n {
				it.Next()
			}
		}
		return nil
	})
	return i, err
}

func (s *badgerSession) Set(k, v []byte) { s.batch.add(k, v) }

// Commit hands slices to the transaction that stay as they are until it is done.
func (s *badgerSession) Commit() error {
	tx := s.db.NewTransaction(true)
	defer tx.Discard()
	err := s.batch.each(tx.Set)
	if err == nil {
		err = tx.Commit()
	}
	s.batch.reset()
	return err
}

func (s *badgerSession) Close() error { return nil }
