package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/item"
)

// A Result answers one command.
type Result struct {
	// Err says why the command had no effect: ErrConditionFailed, an
	// *InvalidError, ErrWrongPartition, an error of the store. Nil = done.
	Err error
	// Attributes are what the command asked to see; nil = nothing to show.
	Attributes item.Item
	// Sizes of the item before and after the command; 0 = there was none. They
	// are also set, both to the item met, when the condition failed.
	OldBytes, NewBytes int
	// Indexes says which entries of secondary indexes the command changed.
	Indexes []IndexUse
	// Sequence is that of the latest change after a Backfill, and Done says that
	// it has come to the end.
	Sequence uint64
	Done     bool
	// CollectionBytes is the size of the item collection after the command, with
	// its local entries; 0 on tables without local indexes.
	CollectionBytes int64
	// Transaction answers a Transact, Prepare or Settle.
	Transaction *TransactionResult
}

// A result as bytes travels to the node that proposed the command. Integers are
// uvarints, a size is one; text is a size and that many bytes.
//
//	+------------+----------+-------+-----------+-----------+----------+------------------+
//	| version 1B | flags 1B | fault | old bytes | new bytes | sequence | collection bytes |
//	+------------+----------+-------+-----------+-----------+----------+------------------+
//	| index count | index ... | attributes ... |
//	+-------------+-----------+----------------+
//
//	index: | name text | local 1B | change 1B | old bytes | new bytes |
//
// version is 1, or 2 with what is drawn in transaction.go before the attributes. flags: 1 there are attributes, 2 done. A fault is drawn in fault.go.
const (
	resultVersion            byte = 1
	resultVersionTransaction byte = 2
)

const (
	resultAttributes byte = 1
	resultDone       byte = 2
	resultFlags           = resultAttributes | resultDone
)

// ErrAnswer reports bytes that are not an answer, or a request, of a known version.
var ErrAnswer = errors.New("partition: unreadable answer")

// Append appends the result as bytes.
func (r *Result) Append(dst []byte) []byte {
	flags := byte(0)
	if r.Attributes != nil {
		flags |= resultAttributes
	}
	if r.Done {
		flags |= resultDone
	}
	version := resultVersion
	if r.Transaction != nil {
		version = resultVersionTransaction
	}
	dst = appendFault(append(dst, version, flags), r.Err)
	dst = binary.AppendUvarint(dst, uint64(r.OldBytes))
	dst = binary.AppendUvarint(dst, uint64(r.NewBytes))
	dst = binary.AppendUvarint(dst, r.Sequence)
	dst = binary.AppendUvarint(dst, uint64(r.CollectionBytes))
	dst = binary.AppendUvarint(dst, uint64(len(r.Indexes)))
	for i := range r.Indexes {
		dst = r.Indexes[i].append(dst)
	}
	if r.Transaction != nil {
		dst = r.Transaction.append(dst)
	}
	return append(dst, r.Attributes...)
}

func (u *IndexUse) append(dst []byte) []byte {
	dst = appendSized(dst, []byte(u.Name))
	dst = append(dst, bit(u.Local), byte(u.Change))
	dst = binary.AppendUvarint(dst, uint64(u.OldBytes))
	return binary.AppendUvarint(dst, uint64(u.NewBytes))
}

func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}

// DecodeResult reads the bytes of a result. Its attributes alias b. The error
// matches ErrAnswer; the result's own is in Err.
func DecodeResult(b []byte) (*Result, error) {
	d := reader{b: b}
	version := d.byte()
	if version != resultVersion && version != resultVersionTransaction {
		return nil, fmt.Errorf("%w: version of a result of %d bytes", ErrAnswer, len(b))
	}
	flags := d.byte()
	r := &Result{Done: flags&resultDone != 0, Err: d.fault()}
	r.OldBytes, r.NewBytes = d.size(), d.size()
	r.Sequence, r.CollectionBytes = d.uint(), int64(d.uint())
	for range d.count() {
		r.Indexes = append(r.Indexes, d.indexUse())
	}
	if version == resultVersionTransaction {
		r.Transaction = d.transactionResult()
	}
	if flags&resultAttributes != 0 {
		r.Attributes = d.item(d.rest())
	}
	if flags&^resultFlags != 0 || !d.done() {
		return nil, fmt.Errorf("%w: result of %d bytes", ErrAnswer, len(b))
	}
	return r, nil
}

func (d *reader) indexUse() IndexUse {
	u := IndexUse{Name: string(d.sized()), Local: d.flag(), Change: capacity.IndexChange(d.byte())}
	if u.Change > capacity.IndexMoved {
		d.bad = true
	}
	u.OldBytes, u.NewBytes = d.size(), d.size()
	return u
}
