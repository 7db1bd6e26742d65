package main

import (
	"errors"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/statordb/stator/bench"
)

// goleveldbOpener gives goleveldb a filter, the same write buffer as the others and
// enough open files; compactions by seeks are off, as users with filters do.
func goleveldbOpener() bench.Opener {
	return bench.Opener{
		Name:     "goleveldb",
		Survives: "yes",
		Open: func(dir string, s bench.Settings) (bench.Engine, error) {
			o := &opt.Options{
				Filter:                 filter.NewBloomFilter(10),
				BlockCacheCapacity:     int(s.MemoryBytes),
				OpenFilesCacheCapacity: 4096,
				WriteBuffer:            bench.WriteBufferBytes,
				CompactionTableSize:    8 << 20,
				CompactionTotalSize:    64 << 20,
				DisableSeeksCompaction: true,
				Compression:            opt.NoCompression,
			}
			if s.Compression == bench.Fast {
				o.Compression = opt.SnappyCompression
			}
			db, err := leveldb.OpenFile(dir, o)
			if err != nil {
				return nil, err
			}
			return &goleveldbEngine{db, opt.WriteOptions{Sync: s.Durable}}, nil
		},
	}
}

type goleveldbEngine struct {
	db    *leveldb.DB
	write opt.WriteOptions
}

func (e *goleveldbEngine) NewSession() (bench.Session, error) {
	return &goleveldbSession{e, new(leveldb.Batch)}, nil
}

func (e *goleveldbEngine) Settle() error { return e.db.CompactRange(util.Range{}) }
func (e *goleveldbEngine) Close() error  { return e.db.Close() }

type goleveldbSession struct {
	*goleveldbEngine
	batch *leveldb.Batch
}

// Get copies into a new slice: goleveldb has no way to read into the caller's.
func (s *goleveldbSession) Get(k, dst []byte) ([]byte, bool, error) {
	v, err := s.db.Get(k, nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		return dst, false, nil
	}
	return v, err == nil, err
}

func (s *goleveldbSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (int, error) {
	it := s.db.NewIterator(nil, nil)
	defer it.Release()
	ok, step := false, it.Next
	switch {
	case reverse && from == nil:
		ok, step = it.Last(), it.Prev
	case reverse:
		if step = it.Prev; it.Seek(from) {
			ok = it.Prev()
		} else {
			ok = it.Last()
		}
	case from == nil:
		ok = it.First()
	default:
		ok = it.Seek(from)
	}
	i := 0
	for ; ok && i < n; i++ {
		visit(it.Key(), it.Value())
		if i+1 < n {
			ok = step()
		}
	}
	return i, it.Error()
}

func (s *goleveldbSession) Set(k, v []byte) { s.batch.Put(k, v) }

func (s *goleveldbSession) Delete(k []byte) { s.batch.Delete(k) }

func (s *goleveldbSession) Commit() error {
	err := s.db.Write(s.batch, &s.write)
	s.batch.Reset()
	return err
}

func (s *goleveldbSession) Close() error { return nil }
