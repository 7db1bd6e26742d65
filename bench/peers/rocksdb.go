//go:build rocksdb

package main

/*
#cgo LDFLAGS: -lrocksdb
#include <rocksdb/c.h>
#include "clib.h"

// get copies the value of a key into dst and returns its size, -1 for an absent
// key, or -2 with an error. A value that is larger than cap is not copied.
static int64_t rocks_get(rocksdb_t *db, rocksdb_readoptions_t *ro, const char *k, size_t klen, char *dst, size_t cap, char **err) {
	rocksdb_pinnableslice_t *s = rocksdb_get_pinned(db, ro, k, klen, err);
	if (*err) return -2;
	if (!s) return -1;
	size_t n;
	const char *v = rocksdb_pinnableslice_value(s, &n);
	if (v == NULL) {
		rocksdb_pinnableslice_destroy(s);
		return -1;
	}
	if (n <= cap) memcpy(dst, v, n);
	rocksdb_pinnableslice_destroy(s);
	return n;
}

// write commits packed entries.
static void rocks_write(rocksdb_t *db, rocksdb_writeoptions_t *wo, rocksdb_writebatch_t *b, const char *p, size_t size, char **err) {
	for (const char *end = p + size; p < end;) {
		const char *k, *v;
		uint32_t klen, vlen;
		p = unpack(p, &k, &klen, &v, &vlen);
		rocksdb_writebatch_put(b, k, klen, v, vlen);
	}
	rocksdb_write(db, wo, b, err);
	rocksdb_writebatch_clear(b);
}

// place puts a new iterator where a scan begins.
static rocksdb_iterator_t *rocks_place(rocksdb_t *db, rocksdb_readoptions_t *ro, const char *from, size_t len, int reverse, int ends) {
	rocksdb_iterator_t *it = rocksdb_create_iterator(db, ro);
	if (ends && reverse) rocksdb_iter_seek_to_last(it);
	else if (ends) rocksdb_iter_seek_to_first(it);
	else if (reverse) {
		rocksdb_iter_seek_for_prev(it, from, len);
		size_t n;
		const char *k = rocksdb_iter_valid(it) ? rocksdb_iter_key(it, &n) : NULL;
		if (k && n == len && memcmp(k, from, len) == 0) rocksdb_iter_prev(it);
	} else rocksdb_iter_seek(it, from, len);
	return it;
}

// fetch packs up to n entries and returns how many bytes they have: 0 at the end.
static size_t rocks_fetch(rocksdb_iterator_t *it, int reverse, size_t n, char *buf, size_t cap) {
	size_t used = 0;
	for (size_t i = 0; i < n && rocksdb_iter_valid(it); i++) {
		size_t klen, vlen;
		const char *k = rocksdb_iter_key(it, &klen), *v = rocksdb_iter_value(it, &vlen);
		if (!pack(buf, cap, &used, k, klen, v, vlen)) break;
		if (reverse) rocksdb_iter_prev(it);
		else rocksdb_iter_next(it);
	}
	return used;
}
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/statordb/stator/bench"
)

func init() { openers = append(openers, rocksdbOpener()) }

// rocksdbOpener configures RocksDB as its tuning guide advises for a start: level
// sizes that follow the last level, full filters of 10 bits per key, two background
// jobs, table format 5, an LRU cache. Its default codec is Snappy.
func rocksdbOpener() bench.Opener {
	return bench.Opener{
		Name:     "rocksdb",
		Survives: "yes",
		Open: func(dir string, s bench.Settings) (bench.Engine, error) {
			return openRocksDB(dir, s)
		},
	}
}

type rocksdbEngine struct {
	db    *C.rocksdb_t
	o     *C.rocksdb_options_t
	read  *C.rocksdb_readoptions_t
	write *C.rocksdb_writeoptions_t
}

func openRocksDB(dir string, s bench.Settings) (*rocksdbEngine, error) {
	e := &rocksdbEngine{
		o: C.rocksdb_options_create(), read: C.rocksdb_readoptions_create(), write: C.rocksdb_writeoptions_create(),
	}
	table := C.rocksdb_block_based_options_create()
	cache := C.rocksdb_cache_create_lru(C.size_t(s.MemoryBytes))
	C.rocksdb_block_based_options_set_block_cache(table, cache)
	C.rocksdb_block_based_options_set_filter_policy(table, C.rocksdb_filterpolicy_create_bloom_full(10))
	C.rocksdb_block_based_options_set_format_version(table, 5)
	C.rocksdb_options_set_block_based_table_factory(e.o, table)
	C.rocksdb_cache_destroy(cache) // the options hold it

	C.rocksdb_options_set_create_if_missing(e.o, 1)
	C.rocksdb_options_set_write_buffer_size(e.o, bench.WriteBufferBytes)
	C.rocksdb_options_set_max_write_buffer_number(e.o, bench.WriteBuffers)
	C.rocksdb_options_set_max_background_jobs(e.o, 2)
	C.rocksdb_options_set_level_compaction_dynamic_level_bytes(e.o, 1)
	C.rocksdb_options_set_max_open_files(e.o, -1)
	C.rocksdb_options_set_bytes_per_sync(e.o, 1<<20)
	compression := C.int(C.rocksdb_no_compression)
	if s.Compression == bench.Fast {
		compression = C.rocksdb_snappy_compression
	}
	C.rocksdb_options_set_compression(e.o, compression)
	if s.Durable {
		C.rocksdb_writeoptions_set_sync(e.write, 1)
	}
	name := C.CString(dir)
	defer C.free(unsafe.Pointer(name))
	var failed *C.char
	e.db = C.rocksdb_open(e.o, name, &failed)
	C.rocksdb_block_based_options_destroy(table)
	if err := rocksdbError(failed); err != nil {
		e.destroyOptions()
		return nil, err
	}
	return e, nil
}

func rocksdbError(text *C.char) error {
	if text == nil {
		return nil
	}
	defer C.rocksdb_free(unsafe.Pointer(text))
	return errors.New("rocksdb: " + C.GoString(text))
}

func (e *rocksdbEngine) destroyOptions() {
	C.rocksdb_writeoptions_destroy(e.write)
	C.rocksdb_readoptions_destroy(e.read)
	C.rocksdb_options_destroy(e.o)
}

func (e *rocksdbEngine) NewSession() (bench.Session, error) {
	return &rocksdbSession{rocksdbEngine: e, c: C.rocksdb_writebatch_create(), buf: make([]byte, scanBytes)}, nil
}

func (e *rocksdbEngine) Settle() error {
	flush := C.rocksdb_flushoptions_create()
	defer C.rocksdb_flushoptions_destroy(flush)
	C.rocksdb_flushoptions_set_wait(flush, 1)
	var failed *C.char
	C.rocksdb_flush(e.db, flush, &failed)
	if err := rocksdbError(failed); err != nil {
		return err
	}
	C.rocksdb_compact_range(e.db, nil, 0, nil, 0)
	return nil
}

func (e *rocksdbEngine) Close() error {
	C.rocksdb_close(e.db)
	e.destroyOptions()
	return nil
}

type rocksdbSession struct {
	*rocksdbEngine
	batch packed
	c     *C.rocksdb_writebatch_t
	buf   []byte
}

func (s *rocksdbSession) Get(k, dst []byte) ([]byte, bool, error) {
	var failed *C.char
	at := len(dst)
	if cap(dst) == at {
		dst = append(dst, 0)[:at]
	}
	for {
		room := dst[at:cap(dst)]
		n := int(C.rocks_get(s.db, s.read, rocksdbChars(k), C.size_t(len(k)), rocksdbChars(room), C.size_t(len(room)), &failed))
		switch {
		case n < 0:
			return dst, false, rocksdbError(failed)
		case n <= len(room):
			return dst[:at+n], true, nil
		}
		dst = append(dst, make([]byte, n)...)[:at] // did not fit
	}
}

func (s *rocksdbSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (int, error) {
	it := C.rocks_place(s.db, s.read, rocksdbChars(from), C.size_t(len(from)), rocksdbInt(reverse), rocksdbInt(from == nil))
	defer C.rocksdb_iter_destroy(it)
	seen := 0
	for seen < n {
		size := C.rocks_fetch(it, rocksdbInt(reverse), C.size_t(min(n-seen, scanEntries)), rocksdbChars(s.buf), C.size_t(len(s.buf)))
		if size == 0 {
			break
		}
		seen += packed(s.buf[:size]).visit(visit)
	}
	var failed *C.char
	C.rocksdb_iter_get_error(it, &failed)
	return seen, rocksdbError(failed)
}

func (s *rocksdbSession) Set(k, v []byte) { s.batch.add(k, v) }

func (s *rocksdbSession) Commit() error {
	var failed *C.char
	C.rocks_write(s.db, s.write, s.c, rocksdbChars(s.batch), C.size_t(len(s.batch)), &failed)
	s.batch = s.batch[:0]
	return rocksdbError(failed)
}

func (s *rocksdbSession) Close() error {
	C.rocksdb_writebatch_destroy(s.c)
	return nil
}

func rocksdbChars(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

func rocksdbInt(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
