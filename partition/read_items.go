package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// An ItemRead is an item as a consistent read, or a transaction of reads, finds it.
type ItemRead struct {
	Item item.Item // nil = there is none, or only versions were asked for
	// Version grows whenever the item is written, also from none to none by way of some: two reads that
	// find the same one have found the same item, and there was no other in between.
	Version txn.Timestamp
	// Ongoing is who had taken the item before it was read; nil = nobody.
	Ongoing *ConflictError
	// Changes says that Ongoing will make Pending of the item, nil = none, if it is committed. It is not set if
	// only versions were asked for.
	Changes bool
	Pending item.Item
}

// ReadItems reads the items of row keys, one after the other. Each is the caller's.
//
// Errors: like Get.
func (p *Partition) ReadItems(keys [][]byte, versionsOnly bool) ([]ItemRead, error) {
	reads := make([]ItemRead, len(keys))
	for i, key := range keys {
		r := &reads[i]
		// Before the row; see transactions.
		if o := p.preparedAt(key); o != nil {
			r.Ongoing = o.conflict()
			if r.Changes = o.effect != txn.Check && !versionsOnly; r.Changes {
				r.Pending = bytes.Clone(o.item)
			}
		}
		b, err := p.db.Get(key, nil)
		found := !errors.Is(err, lsm.ErrNotFound)
		// After the row: Apply raises it before a row goes.
		r.Version = txn.Timestamp(p.absent.Load())
		config := p.Config()
		if err := p.serves(config); err != nil {
			return nil, err
		}
		if !config.has(key) {
			return nil, config.wrong()
		}
		p.warm(config, RowHash(key), 1)
		if !found {
			continue
		}
		if err != nil {
			return nil, asDamage(fmt.Errorf("partition %d: read row: %w", p.group, err))
		}
		version, it, err := decodeRow(b)
		if err != nil {
			return nil, asDamage(fmt.Errorf("partition %d: %w", p.group, err))
		}
		if r.Version = version; !versionsOnly {
			r.Item = it
		}
	}
	return reads, nil
}

// An OngoingError refuses a consistent page because transactions have taken some of its items: if
// they are committed, the page would be too old. PageRequest.AsIs reads it all the same.
type OngoingError struct{ Transactions []OngoingTransaction }

func (e *OngoingError) Error() string {
	return fmt.Sprintf("partition: %d transactions are at the items of the page", len(e.Transactions))
}

func (e *OngoingError) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.Transactions)))
	for i := range e.Transactions {
		t := &e.Transactions[i]
		dst = appendHashes(t.ConflictError.append(dst), t.Hashes)
	}
	return dst
}

func (d *reader) ongoing() *OngoingError {
	e := &OngoingError{}
	for range d.count() {
		e.Transactions = append(e.Transactions, OngoingTransaction{d.conflict(), d.hashes()})
	}
	return e
}

// undisturbed refuses a consistent page of items that transactions have taken.
func (p *Partition) undisturbed(r *PageRequest) error {
	if !r.Consistent || r.AsIs || !p.txns.any.Load() || len(r.Lower) < rowPrefix {
		return nil
	}
	last := ^uint64(0)
	if len(r.Upper) >= rowPrefix && string(r.Upper[:hashOffset]) == string(r.Lower[:hashOffset]) {
		last = RowHash(r.Upper)
	}
	if list := p.OngoingIn(RowHash(r.Lower), last); len(list) > 0 {
		return &OngoingError{list}
	}
	return nil
}

// AppendItemsRequest appends the request for ReadItems.
func AppendItemsRequest(dst []byte, keys [][]byte, versionsOnly bool) []byte {
	dst = append(dst, requestVersion, requestItems, bit(versionsOnly))
	dst = binary.AppendUvarint(dst, uint64(len(keys)))
	for _, key := range keys {
		dst = appendSized(dst, key)
	}
	return dst
}

func (p *Partition) answerItems(dst []byte, d *reader) ([]byte, error) {
	versionsOnly := d.flag()
	var keys [][]byte
	for range d.count() {
		keys = append(keys, d.sized())
	}
	if !d.done() {
		return dst, fmt.Errorf("%w: request for items", ErrAnswer)
	}
	reads, err := p.ReadItems(keys, versionsOnly)
	if err != nil {
		return dst, err
	}
	return appendItems(dst, reads), nil
}

func appendItems(dst []byte, reads []ItemRead) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(reads)))
	for _, r := range reads {
		dst = append(dst, bit(r.Item != nil)*itemFound|bit(r.Ongoing != nil)*itemOngoing|bit(r.Changes)*itemChanges|bit(r.Pending != nil)*itemPending)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Version))
		if r.Ongoing != nil {
			dst = r.Ongoing.append(dst)
		}
		dst = appendSized(dst, r.Item)
		if r.Pending != nil {
			dst = appendSized(dst, r.Pending)
		}
	}
	return dst
}

// DecodeItemsAnswer reads the answer to a request for items: what ReadItems returned, or
// ErrAnswer. The items alias b.
func DecodeItemsAnswer(b []byte) ([]ItemRead, error) {
	d, err := beginAnswer(b)
	if err != nil {
		return nil, err
	}
	var reads []ItemRead
	for range d.count() {
		flags := d.byte()
		r := ItemRead{Version: txn.Timestamp(d.fixed())}
		if flags&itemOngoing != 0 {
			taken := d.conflict()
			r.Ongoing = &taken
		}
		it := d.sized()
		if flags&itemFound != 0 {
			r.Item = d.item(it)
		} else if len(it) > 0 {
			d.fail()
		}
		if flags&itemPending != 0 {
			r.Pending = d.item(d.sized())
		}
		r.Changes = flags&itemChanges != 0
		if flags > itemFlags || r.Changes && r.Ongoing == nil || r.Pending != nil && !r.Changes {
			d.fail()
		}
		reads = append(reads, r)
	}
	if !d.done() {
		return nil, fmt.Errorf("%w: items in %d bytes", ErrAnswer, len(b))
	}
	return reads, nil
}

// AppendVoteRequest appends the request for VoteAt.
func AppendVoteRequest(dst []byte, id txn.ID, hashes []uint64) []byte {
	return appendHashes(id.Append(append(dst, requestVersion, requestVote)), hashes)
}

func (p *Partition) answerVote(dst []byte, d *reader) ([]byte, error) {
	id, hashes := d.id(), d.hashes()
	if !d.done() {
		return dst, fmt.Errorf("%w: request for a vote", ErrAnswer)
	}
	v, err := p.VoteAt(id, hashes)
	if err != nil {
		return dst, err
	}
	return v.append(dst), nil
}

func (v *Vote) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, byte(v.Outcome)), uint64(v.At))
	return appendPlaces(appendSizes(dst, v.Sizes), v.Others)
}

// DecodeVoteAnswer reads the answer to a request for a vote.
func DecodeVoteAnswer(b []byte) (v Vote, err error) {
	d, err := beginAnswer(b)
	if err != nil {
		return v, err
	}
	v = Vote{Outcome: d.outcome(), At: txn.Timestamp(d.fixed()), Sizes: d.sizes(), Others: d.places()}
	if !d.done() {
		return Vote{}, fmt.Errorf("%w: vote of %d bytes", ErrAnswer, len(b))
	}
	return v, nil
}
