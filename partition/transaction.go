package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// A Transaction is what a command wants of a partition in a transaction of package txn.
// What it wants of items lies in the partition's range of hashes, or the whole command is
// refused with ErrWrongPartition.
//
//   - Transact judges all Actions and, if all can be done, does them at once. With Stage, which is for the anchor of a transaction
//     with Others, it has the transaction take the items, and records that.
//   - Prepare judges all Actions and, if all can be done, has the transaction take the items.
//   - Settle has the partition say for good whether it has accepted the transaction.
//   - Decide, at the anchor, records the Outcome of a transaction that all have accepted, or somebody never will, and
//     acts on it.
//   - Resolve ends that a transaction has items with these Hashes, as Outcome says.
//   - Forget takes away what is recorded.
type Transaction struct {
	ID txn.ID
	// At is the timestamp of the commit: the least that it may have (Transact), the one
	// that it has (Resolve).
	At      txn.Timestamp
	Actions []TransactAction // Transact, Prepare

	Judge  bool    // Transact, in older logs: only judge
	Stage  bool    // Transact
	Others []Place // Transact: of all items, but the anchor
	// Token, if not zero, has the partition remember the transaction, and the answer to a
	// repetition, for TokenMarks. Parameters tells repetitions from other requests.
	// Marks has the partition count marks from now on; all but older logs say so (token.go).
	// Sizes are what the actions of other participants have said of their items, by Position.
	Token      Token // Transact, Prepare
	Parameters Token // Transact
	Marks      bool  // Transact
	Sizes      []int // Transact, Decide

	Anchor Place // Prepare: where to ask what became of the transaction

	Outcome txn.Outcome // Resolve, Decide: Committed or Cancelled
	Hashes  []uint64    // Resolve, Settle, Decide, Forget: that the partition must have
}

// A TransactAction is one action: a Put, Delete, Update or Check, without a timestamp or an id of
// its own.
type TransactAction struct {
	Position int // in the request of the client; below maxPosition
	Command
}

// maxPosition bounds what is allocated for sizes by position. Package table allows fewer actions.
const maxPosition = 1 << 10

// A Place is where an item is, or the anchor of a transaction: a partition is found by it
// also after it was split.
type Place struct {
	Table uint32
	Hash  uint64
}

// A Token names a request of a client, or its parameters. It is a hash.
type Token [16]byte

// The bodies of the commands of transactions. Integers are little-endian, counts, positions and
// sizes are uvarints. An id is 16 bytes (package txn).
//
//	Transact: | id | at 8B | flags 1B | token 16B | parameters 16B | sizes count | size ... |
//	          | others count | place ... | actions |
//	Prepare:  | id | token 16B | place | actions |
//	Resolve:  | id | at 8B | outcome 1B | hashes count | hash 8B ... |
//	Decide:   | id | at 8B | outcome 1B | hashes count | hash 8B ... | sizes count | size ... |
//	Settle, Forget: | id | hashes count | hash 8B ... |
//
//	place:    | table 4B | hash 8B |
//	actions:  | count | position | kind 1B | wish 1B | condition size+bytes | update size+bytes | item size+bytes | ...
//
// flags: 1 judge, 2 stage, 4 marks. kind is that of the command, or 14, Check. wish is that of a command.
const (
	transactJudge byte = 1
	transactStage byte = 2
	transactMarks byte = 4
)

func (t *Transaction) append(dst []byte, k Kind) []byte {
	dst = t.ID.Append(dst)
	switch k {
	case Transact:
		dst = binary.LittleEndian.AppendUint64(dst, uint64(t.At))
		dst = append(dst, bit(t.Judge)*transactJudge|bit(t.Stage)*transactStage|bit(t.Marks)*transactMarks)
		dst = append(append(dst, t.Token[:]...), t.Parameters[:]...)
		dst = appendSizes(dst, t.Sizes)
		dst = appendPlaces(dst, t.Others)
	case Prepare:
		dst = t.Anchor.append(append(dst, t.Token[:]...))
	case Resolve, Decide:
		dst = binary.LittleEndian.AppendUint64(dst, uint64(t.At))
		dst = appendHashes(append(dst, byte(t.Outcome)), t.Hashes)
		if k == Decide {
			dst = appendSizes(dst, t.Sizes)
		}
		return dst
	default:
		return appendHashes(dst, t.Hashes)
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.Actions)))
	for i := range t.Actions {
		dst = t.Actions[i].append(dst)
	}
	return dst
}

func (a *TransactAction) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(a.Position))
	dst = append(dst, byte(a.Kind), a.wish())
	var condition, update []byte
	if a.Condition != nil {
		condition = a.Condition.AppendBinary(nil)
	}
	if a.Update != nil {
		update = a.Update.AppendBinary(nil)
	}
	return appendSized(appendSized(appendSized(dst, condition), update), a.Item)
}

func (l Place) append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(dst, l.Table), l.Hash)
}

func appendPlaces(dst []byte, places []Place) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(places)))
	for _, l := range places {
		dst = l.append(dst)
	}
	return dst
}

func appendHashes(dst []byte, hashes []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(hashes)))
	for _, h := range hashes {
		dst = binary.LittleEndian.AppendUint64(dst, h)
	}
	return dst
}

func appendSizes(dst []byte, sizes []int) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(sizes)))
	for _, n := range sizes {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

func (d *reader) id() txn.ID {
	if len(d.b) < txn.IDBytes {
		d.fail()
		return txn.ID{}
	}
	t := txn.ReadID(d.b)
	d.b = d.b[txn.IDBytes:]
	return t
}

func (d *reader) token() (t Token) {
	if len(d.b) < len(t) {
		d.fail()
		return t
	}
	t = Token(d.b)
	d.b = d.b[len(t):]
	return t
}

func (d *reader) place() (l Place) {
	if len(d.b) < 4 {
		d.fail()
		return l
	}
	l.Table = binary.LittleEndian.Uint32(d.b)
	d.b = d.b[4:]
	l.Hash = d.fixed()
	return l
}

func (d *reader) places() (places []Place) {
	for range d.count() {
		places = append(places, d.place())
	}
	return places
}

func (d *reader) hashes() (hashes []uint64) {
	for range d.count() {
		hashes = append(hashes, d.fixed())
	}
	return hashes
}

func (d *reader) sizes() (sizes []int) {
	for range d.count() {
		sizes = append(sizes, d.size())
	}
	return sizes
}

func (d *reader) outcome() txn.Outcome {
	o := txn.Outcome(d.byte())
	if o > txn.Prepared {
		d.fail()
	}
	return o
}

// decodeTransaction reads the body of a command; its actions alias b.
func (c *Command) decodeTransaction(b []byte) error {
	d := reader{b: b}
	t := &Transaction{ID: d.id()}
	c.Transaction = t
	switch c.Kind {
	case Transact:
		t.At = txn.Timestamp(d.fixed())
		flags := d.byte()
		t.Judge, t.Stage, t.Marks = flags&transactJudge != 0, flags&transactStage != 0, flags&transactMarks != 0
		t.Token, t.Parameters, t.Sizes = d.token(), d.token(), d.sizes()
		t.Others = d.places()
		if flags > transactJudge|transactStage|transactMarks || t.Stage && (t.Judge || len(t.Others) == 0) {
			d.fail()
		}
	case Prepare:
		t.Token, t.Anchor = d.token(), d.place()
	case Resolve, Decide:
		t.At, t.Outcome = txn.Timestamp(d.fixed()), d.outcome()
		if t.Outcome != txn.Committed && t.Outcome != txn.Cancelled {
			d.fail()
		}
		if t.Hashes = d.hashes(); c.Kind == Decide {
			t.Sizes = d.sizes()
		}
	default:
		t.Hashes = d.hashes()
	}
	if c.Kind == Transact || c.Kind == Prepare {
		if err := t.decodeActions(&d); err != nil {
			return err
		}
		if t.Stage && len(t.Actions) == 0 {
			d.fail()
		}
		c.Timestamp = t.ID.Born // of the request, for the window
	}
	if !d.done() || t.ID == (txn.ID{}) {
		return fmt.Errorf("%w: %v of %d bytes", ErrCommand, c.Kind, len(b))
	}
	return nil
}

func (t *Transaction) decodeActions(d *reader) error {
	for range d.count() {
		a := TransactAction{Position: d.size()}
		a.Kind = Kind(d.byte())
		wish := d.byte()
		condition, update, it := d.sized(), d.sized(), d.sized()
		known := a.Kind == Put || a.Kind == Delete || a.Kind == Update || a.Kind == Check
		if d.bad || a.Position >= maxPosition || !known || wish&^wishOnFailure != 0 || len(update) > 0 && a.Kind != Update {
			return fmt.Errorf("%w: action of a transaction", ErrCommand)
		}
		a.ReturnOnFailure = wish != 0
		if err := a.decodeParts(condition, update, it); err != nil {
			return err
		}
		t.Actions = append(t.Actions, a)
	}
	return nil
}

// A ConflictError refuses a command because a transaction has taken the item.
type ConflictError struct {
	ID     txn.ID
	Anchor Place // where to ask what became of it
	Token  Token // of the client's request; zero = none
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("partition: transaction %v is at the item", e.ID)
}

func (e *ConflictError) append(dst []byte) []byte {
	return append(e.Anchor.append(e.ID.Append(dst)), e.Token[:]...)
}

func (d *reader) conflict() ConflictError {
	return ConflictError{ID: d.id(), Anchor: d.place(), Token: d.token()}
}

var (
	// ErrRefused means that a transaction had no effect; the results of its actions
	// say why.
	ErrRefused = errors.New("partition: transaction is refused")
	// ErrOtherParameters means that the token of a transaction was used by a
	// request with other parameters.
	ErrOtherParameters = errors.New("partition: token was used with other parameters")
)

// A TransactionResult is the answer to a Transact, Prepare, Settle or Decide. That to a Settle is a Vote.
type TransactionResult struct {
	Outcome txn.Outcome
	At      txn.Timestamp // of the commit; of who has accepted, the earliest that it may have
	Actions []Result      // by action
	Sizes   []int         // Repeated, Prepared: of the items, in the order of the request
	Others  []Place       // Prepared: see Vote
}

// | outcome 1B | at 8B | sizes count | size ... | action count | size | result | ... |
//
// With Prepared there follows: | others count | place ... |
func (t *TransactionResult) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, byte(t.Outcome)), uint64(t.At))
	dst = appendSizes(dst, t.Sizes)
	dst = binary.AppendUvarint(dst, uint64(len(t.Actions)))
	for i := range t.Actions {
		dst = appendSized(dst, t.Actions[i].Append(nil))
	}
	if t.Outcome == txn.Prepared {
		dst = appendPlaces(dst, t.Others)
	}
	return dst
}

func (d *reader) transactionResult() *TransactionResult {
	t := &TransactionResult{Outcome: d.outcome(), At: txn.Timestamp(d.fixed()), Sizes: d.sizes()}
	for range d.count() {
		b := d.sized()
		if len(b) == 0 || b[0] != resultVersion { // no results in results
			d.fail()
			return nil
		}
		r, err := DecodeResult(b)
		if err != nil {
			d.fail()
			return nil
		}
		t.Actions = append(t.Actions, *r)
	}
	if t.Outcome == txn.Prepared {
		t.Others = d.places()
	}
	return t
}

// attributeBytes returns how much of a result is items.
func (r *Result) attributeBytes() int {
	n := len(r.Attributes)
	if r.Transaction != nil {
		for i := range r.Transaction.Actions {
			n += len(r.Transaction.Actions[i].Attributes)
		}
	}
	return n
}

// HashOf returns the hash of the item, or key, of an action.
func (s *Schema) HashOf(it item.Item) uint64 {
	hash, _ := it.Get(s.Hash.Name)
	return RowHash(s.AppendCollectionKey(nil, hash))
}
