//go:build lmdb

package main

/*
#cgo LDFLAGS: -llmdb
#include <lmdb.h>
#include "clib.h"

// get copies the value of a key into dst and sets its size. It renews the reader's
// transaction and resets it again: each read sees the newest commit.
static int lmdb_get(MDB_txn *txn, MDB_dbi dbi, char *k, size_t klen, char *dst, size_t cap, size_t *size) {
	int rc = mdb_txn_renew(txn);
	if (rc) return rc;
	MDB_val key = {klen, k}, val;
	rc = mdb_get(txn, dbi, &key, &val);
	if (!rc) {
		*size = val.mv_size;
		if (val.mv_size <= cap) memcpy(dst, val.mv_data, val.mv_size);
	}
	mdb_txn_reset(txn);
	return rc;
}

// write commits packed entries in one transaction, which must begin and end on one
// thread.
static int lmdb_write(MDB_env *env, MDB_dbi dbi, char *p, size_t size) {
	MDB_txn *txn;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc) return rc;
	for (const char *at = p, *end = p + size; at < end;) {
		const char *k, *v;
		uint32_t klen, vlen;
		at = unpack(at, &k, &klen, &v, &vlen);
		MDB_val key = {klen, (void *)k}, val = {vlen, (void *)v};
		if ((rc = mdb_put(txn, dbi, &key, &val, 0))) {
			mdb_txn_abort(txn);
			return rc;
		}
	}
	return mdb_txn_commit(txn);
}

// fetch packs up to n entries from where the cursor stands with op, or from the key
// on, into buf. op becomes what the next call needs. It sets *used to 0 at the end.
static int lmdb_fetch(MDB_cursor *c, int *op, char *from, size_t len, int reverse, size_t n, char *buf, size_t cap, size_t *used) {
	MDB_val key = {len, from}, val;
	*used = 0;
	for (size_t i = 0; i < n; i++) {
		int rc;
		if (*op == MDB_SET_RANGE && reverse) {
			rc = mdb_cursor_get(c, &key, &val, MDB_SET_RANGE);
			rc = mdb_cursor_get(c, &key, &val, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
		} else rc = mdb_cursor_get(c, &key, &val, *op);
		if (rc == MDB_NOTFOUND) return 0;
		if (rc) return rc;
		if (!pack(buf, cap, used, key.mv_data, key.mv_size, val.mv_data, val.mv_size)) {
			*op = MDB_GET_CURRENT; // again in the next call
			return 0;
		}
		*op = reverse ? MDB_PREV : MDB_NEXT;
	}
	return 0;
}
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/statordb/stator/bench"
)

func init() { openers = append(openers, lmdbOpener()) }

// lmdbMapBytes is the size of the mapping and so the most that fits.
const lmdbMapBytes = 256 << 30

// lmdbOpener configures LMDB without a writable mapping, which a stray pointer could
// destroy, and without read-ahead. Readers keep their transaction and renew it for
// each read. LMDB has no filter, no compression and no cache but the page cache.
func lmdbOpener() bench.Opener {
	return bench.Opener{
		Name:     "lmdb",
		Survives: "yes",
		Open: func(dir string, s bench.Settings) (bench.Engine, error) {
			return openLMDB(dir, s)
		},
	}
}

type lmdbEngine struct {
	env *C.MDB_env
	dbi C.MDB_dbi
}

func openLMDB(dir string, s bench.Settings) (*lmdbEngine, error) {
	e := &lmdbEngine{}
	if err := lmdbError(C.mdb_env_create(&e.env)); err != nil {
		return nil, err
	}
	name := C.CString(dir)
	defer C.free(unsafe.Pointer(name))
	flags := C.uint(C.MDB_NOTLS | C.MDB_NORDAHEAD)
	if !s.Durable {
		flags |= C.MDB_NOSYNC
	}
	C.mdb_env_set_mapsize(e.env, lmdbMapBytes)
	C.mdb_env_set_maxreaders(e.env, 256)
	err := lmdbError(C.mdb_env_open(e.env, name, flags, 0o600))
	if err == nil {
		err = e.openTable()
	}
	if err != nil {
		C.mdb_env_close(e.env)
		return nil, err
	}
	return e, nil
}

func (e *lmdbEngine) openTable() error {
	var txn *C.MDB_txn
	if err := lmdbError(C.mdb_txn_begin(e.env, nil, C.MDB_RDONLY, &txn)); err != nil {
		return err
	}
	err := lmdbError(C.mdb_dbi_open(txn, nil, 0, &e.dbi))
	C.mdb_txn_abort(txn)
	return err
}

func lmdbError(rc C.int) error {
	if rc == 0 {
		return nil
	}
	return fmt.Errorf("lmdb: %s", C.GoString(C.mdb_strerror(rc)))
}

func (e *lmdbEngine) NewSession() (bench.Session, error) {
	s := &lmdbSession{lmdbEngine: e, buf: make([]byte, scanBytes)}
	if err := lmdbError(C.mdb_txn_begin(e.env, nil, C.MDB_RDONLY, &s.read)); err != nil {
		return nil, err
	}
	C.mdb_txn_reset(s.read)
	return s, nil
}

func (e *lmdbEngine) Settle() error { return nil }

func (e *lmdbEngine) Close() error {
	C.mdb_env_close(e.env)
	return nil
}

type lmdbSession struct {
	*lmdbEngine
	read  *C.MDB_txn
	batch packed
	buf   []byte
}

func (s *lmdbSession) Get(k, dst []byte) ([]byte, bool, error) {
	at := len(dst)
	if cap(dst) == at {
		dst = append(dst, 0)[:at]
	}
	for {
		room := dst[at:cap(dst)]
		var n C.size_t
		rc := C.lmdb_get(s.read, s.dbi, lmdbChars(k), C.size_t(len(k)), lmdbChars(room), C.size_t(len(room)), &n)
		switch {
		case rc == C.MDB_NOTFOUND:
			return dst, false, nil
		case rc != 0:
			return dst, false, lmdbError(rc)
		case int(n) <= len(room):
			return dst[:at+int(n)], true, nil
		}
		dst = append(dst, make([]byte, n)...)[:at] // did not fit
	}
}

func (s *lmdbSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (int, error) {
	if err := lmdbError(C.mdb_txn_renew(s.read)); err != nil {
		return 0, err
	}
	defer C.mdb_txn_reset(s.read)
	var c *C.MDB_cursor
	if err := lmdbError(C.mdb_cursor_open(s.read, s.dbi, &c)); err != nil {
		return 0, err
	}
	defer C.mdb_cursor_close(c)
	op := C.int(C.MDB_SET_RANGE)
	switch {
	case from == nil && reverse:
		op = C.MDB_LAST
	case from == nil:
		op = C.MDB_FIRST
	}
	seen := 0
	for seen < n {
		var size C.size_t
		rc := C.lmdb_fetch(c, &op, lmdbChars(from), C.size_t(len(from)), lmdbInt(reverse),
			C.size_t(min(n-seen, scanEntries)), lmdbChars(s.buf), C.size_t(len(s.buf)), &size)
		if rc != 0 || size == 0 {
			return seen, lmdbError(rc)
		}
		seen += packed(s.buf[:size]).visit(visit)
	}
	return seen, nil
}

func (s *lmdbSession) Set(k, v []byte) { s.batch.add(k, v) }

func (s *lmdbSession) Commit() error {
	rc := C.lmdb_write(s.env, s.dbi, lmdbChars(s.batch), C.size_t(len(s.batch)))
	s.batch = s.batch[:0]
	return lmdbError(rc)
}

func (s *lmdbSession) Close() error {
	C.mdb_txn_abort(s.read)
	return nil
}

func lmdbChars(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

func lmdbInt(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
