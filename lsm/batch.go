package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/sstable"
)

// A Batch collects operations that take effect together or not at all, in their
// order. It copies what it is given. A Batch is not safe for concurrent use; after
// Apply it may be Reset and used again.
//
// Keys have at most sstable.MaxKeyBytes bytes, values sstable.MaxValueBytes; Apply
// refuses a batch with a larger one.
type Batch struct {
	data  []byte // as drawn below; the header is filled in by Apply
	count uint32
	err   error // the first operation that cannot be done

	request commitRequest // of the Apply under way
}

// A batch is also the payload of one record of the write-ahead log. Integers are
// little-endian, lengths uvarints:
//
//	+------------+--------+----------+------------+-----+
//	| version 1B | seq 8B | count 4B | operation  | ... |
//	+------------+--------+----------+------------+-----+
//
//	set:          | 1 | length | key   | length | value |
//	delete:       | 0 | length | key   |
//	range delete: | 2 | length | start | length | end   |
//
// seq is the sequence number of the first operation; the others follow it. The
// numbers of the operations are those of key.Kind.
const (
	batchVersion     = 1
	batchHeaderBytes = 13
)

// ErrTooLarge means that a key, a value or a batch exceeds what can be stored.
var ErrTooLarge = errors.New("lsm: too large")

// NewBatch returns an empty batch.
func (db *DB) NewBatch() *Batch { return &Batch{} }

// Set gives key a value.
func (b *Batch) Set(user, value []byte) {
	b.append(key.Set, user, value)
}

// Delete makes key absent, whether or not it is there.
func (b *Batch) Delete(user []byte) {
	b.append(key.Delete, user, nil)
}

// DeleteRange makes all keys in [start, end) absent. Without a key between them it
// does nothing.
func (b *Batch) DeleteRange(start, end []byte) {
	if bytes.Compare(start, end) < 0 {
		b.append(key.RangeDelete, start, end)
	}
}

func (b *Batch) append(kind key.Kind, user, value []byte) {
	if err := checkSizes(kind, user, value); err != nil && b.err == nil {
		b.err = err
	}
	if len(b.data) == 0 {
		b.data = append(b.data, make([]byte, batchHeaderBytes)...)
	}
	b.data = append(b.data, byte(kind))
	b.data = appendBytes(b.data, user)
	if kind != key.Delete {
		b.data = appendBytes(b.data, value)
	}
	b.count++
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func checkSizes(kind key.Kind, user, value []byte) error {
	limit := sstable.MaxValueBytes
	if kind == key.RangeDelete {
		limit = sstable.MaxKeyBytes
	}
	if len(user) > sstable.MaxKeyBytes || len(value) > limit {
		return fmt.Errorf("%w: key of %d and value of %d bytes", ErrTooLarge, len(user), len(value))
	}
	return nil
}

// Len returns the number of operations.
func (b *Batch) Len() int { return int(b.count) }

// Bytes returns the size of the batch in the log.
func (b *Batch) Bytes() int { return len(b.data) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.data, b.count, b.err = b.data[:0], 0, nil }

// seal fills in the header. The batch has at least one operation.
func (b *Batch) seal(first key.SeqNum) {
	b.data[0] = batchVersion
	binary.LittleEndian.PutUint64(b.data[1:], uint64(first))
	binary.LittleEndian.PutUint32(b.data[9:], b.count)
}

// firstSeq returns the sequence number of the first operation, once the batch was applied.
func (b *Batch) firstSeq() key.SeqNum { return key.SeqNum(binary.LittleEndian.Uint64(b.data[1:])) }

// An operation is one part of a batch.
type operation struct {
	kind  key.Kind
	user  []byte
	value []byte // end of a range delete
}

// A batchReader takes the operations off an encoded batch.
type batchReader struct {
	rest []byte
	bad  bool
}

// next returns the next operation. ok is false at the end, or where the batch is
// malformed; bad tells which.
func (r *batchReader) next() (op operation, ok bool) {
	if len(r.rest) == 0 || r.bad {
		return op, false
	}
	op.kind = key.Kind(r.rest[0])
	r.rest = r.rest[1:]
	op.user = r.bytes()
	if op.kind != key.Delete {
		op.value = r.bytes()
	}
	return op, !r.bad
}

func (r *batchReader) bytes() []byte {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(len(r.rest)-size) {
		r.bad = true
		return nil
	}
	b := r.rest[size:][:n:n]
	r.rest = r.rest[size:][n:]
	return b
}

var errMalformedBatch = errors.New("malformed batch")

// decodeBatch checks all of an encoded batch and returns the sequence numbers of
// its first and last operation.
func decodeBatch(data []byte) (r batchReader, first, last key.SeqNum, err error) {
	if len(data) < batchHeaderBytes || data[0] != batchVersion {
		return r, 0, 0, fmt.Errorf("%w: no header of version %d", errMalformedBatch, batchVersion)
	}
	seq := binary.LittleEndian.Uint64(data[1:])
	count := binary.LittleEndian.Uint32(data[9:])
	r = batchReader{rest: data[batchHeaderBytes:]}
	check, n := r, uint32(0)
	for op, ok := check.next(); ok; op, ok = check.next() {
		if !op.valid() {
			return r, 0, 0, fmt.Errorf("%w: operation %d makes no sense", errMalformedBatch, n)
		}
		n++
	}
	if check.bad || n != count || n == 0 {
		return r, 0, 0, fmt.Errorf("%w: %d operations, want %d", errMalformedBatch, n, count)
	}
	if seq == 0 || seq > uint64(key.MaxSeqNum)-uint64(n-1) {
		return r, 0, 0, fmt.Errorf("%w: sequence number %d", errMalformedBatch, seq)
	}
	return r, key.SeqNum(seq), key.SeqNum(seq) + key.SeqNum(n-1), nil
}

func (op operation) valid() bool {
	return op.kind <= key.RangeDelete && checkSizes(op.kind, op.user, op.value) == nil &&
		(op.kind != key.RangeDelete || bytes.Compare(op.user, op.value) < 0)
}
