package partition

import (
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
}

// ReadItems reads the items of row keys, one after the other. Each is the caller's.
//
// Errors: like Get.
func (p *Partition) ReadItems(keys [][]byte, versionsOnly bool) ([]ItemRead, error) {
	reads := make([]ItemRead, len(keys))
	for i, key := range keys {
		r := &reads[i]
		r.Ongoing = p.Ongoing(key) // before the row; see transactions
		b, err := p.db.Get(key, nil)
		found := !errors.Is(err, lsm.ErrNotFound)
		// After the row: Apply raises it before a row goes.
		r.Version = txn.Timestamp(p.absent.Load())
		config := p.Config()
		switch {
		case config == nil:
			return nil, ErrNotConfigured
		case !config.has(key):
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
	dst = binary.AppendUvarint(dst, uint64(len(reads)))
	for _, r := range reads {
		dst = append(dst, bit(r.Item != nil)*itemFound|bit(r.Ongoing != nil)*itemOngoing)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Version))
		if r.Ongoing != nil {
			dst = r.Ongoing.append(dst)
		}
		dst = appendSized(dst, r.Item)
	}
	return dst, nil
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
		if flags > itemFound|itemOngoing {
			d.fail()
		}
		reads = append(reads, r)
	}
	if !d.done() {
		return nil, fmt.Errorf("%w: items in %d bytes", ErrAnswer, len(b))
	}
	return reads, nil
}

// AppendDecisionRequest appends the request for the Decision about a transaction, whose anchor
// has this hash.
func AppendDecisionRequest(dst []byte, id txn.ID, hash uint64) []byte {
	return binary.LittleEndian.AppendUint64(id.Append(append(dst, requestVersion, requestDecision)), hash)
}

func (p *Partition) answerDecision(dst []byte, d *reader) ([]byte, error) {
	id, hash := d.id(), d.fixed()
	if !d.done() {
		return dst, fmt.Errorf("%w: request for a decision", ErrAnswer)
	}
	outcome, at, err := p.DecisionAt(id, hash)
	if err != nil {
		return dst, err
	}
	return binary.LittleEndian.AppendUint64(append(dst, byte(outcome)), uint64(at)), nil
}

// DecisionAt is Decision for one who does not know whether the partition has the anchor. It
// returns ErrWrongPartition if it does not have the hash.
func (p *Partition) DecisionAt(id txn.ID, hash uint64) (txn.Outcome, txn.Timestamp, error) {
	outcome, at := p.Decision(id)
	// Judged after the look: a split moves decisions away.
	config := p.Config()
	switch {
	case config == nil:
		return txn.Undecided, 0, ErrNotConfigured
	case config.Entries || !config.Owns(hash):
		return txn.Undecided, 0, config.wrong()
	}
	return outcome, at, nil
}

// DecodeDecisionAnswer reads the answer to a request for a decision.
func DecodeDecisionAnswer(b []byte) (txn.Outcome, txn.Timestamp, error) {
	d, err := beginAnswer(b)
	if err != nil {
		return txn.Undecided, 0, err
	}
	outcome, at := d.outcome(), txn.Timestamp(d.fixed())
	if !d.done() {
		return txn.Undecided, 0, fmt.Errorf("%w: decision of %d bytes", ErrAnswer, len(b))
	}
	return outcome, at, nil
}
