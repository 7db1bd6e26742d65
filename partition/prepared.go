package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// A prepared record says that a transaction has taken an item, and what the item will be if
// the transaction is committed. Its key is the row key of the item, with another place
// (keys.go): so it lies in the partition's range of hashes, and goes where that goes. Integers
// are little-endian.
//
//	+-----------+--------+-----------+------------+-----------+---------------+-------+----------+
//	| format 1B | id 16B | token 16B | anchor 12B | effect 1B | earliest 8B   | place | size     |
//	+-----------+--------+-----------+------------+-----------+---------------+-------+----------+
//	| key size, key | item ... |
//	+---------------+----------+
//
// format is 2; effect is a txn.Effect; anchor is a place. earliest is the least timestamp at which the
// transaction may commit, for all that it has taken in this entry. place is that of the action in the client's request, and size that of
// the item, before or after, whichever is greater; both are uvarints. key has the key attributes of the item; item is empty
// unless it is written.
//
// Format 1 lacks earliest, place and size.
const (
	preparedFormat    byte = 2
	preparedFormatOld byte = 1
)

// A prepared is an item that a transaction has taken. It is immutable.
type prepared struct {
	id     txn.ID
	hash   uint64 // of the item; it follows from the key
	token  Token
	anchor Place
	effect txn.Effect
	at     txn.Timestamp // the earliest of the commit
	action int           // position in the client's request
	size   int           // of the item
	key    item.Item     // key attributes
	item   item.Item     // with txn.Write
}

func (o *prepared) append(dst []byte) []byte {
	dst = o.id.Append(append(dst, preparedFormat))
	dst = append(o.anchor.append(append(dst, o.token[:]...)), byte(o.effect))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(o.at))
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(o.action)), uint64(o.size))
	return append(appendSized(dst, o.key), o.item...)
}

func decodePrepared(b []byte) (*prepared, error) {
	d := reader{b: b}
	format := d.byte()
	o := &prepared{id: d.id(), token: d.token(), anchor: d.place(), effect: txn.Effect(d.byte())}
	if format != preparedFormatOld {
		o.at, o.action, o.size = txn.Timestamp(d.fixed()), d.size(), d.size()
		d.bad = d.bad || o.action >= maxPosition
	}
	o.key = d.item(d.sized())
	rest := d.rest()
	switch o.effect {
	case txn.Write:
		o.item = d.item(rest)
	case txn.Delete, txn.Check:
		d.bad = d.bad || len(rest) > 0
	default:
		d.bad = true
	}
	if format != preparedFormat && format != preparedFormatOld || !d.done() {
		return nil, fmt.Errorf("%w: prepared item of %d bytes", ErrFormat, len(b))
	}
	return o, nil
}

func (o *prepared) conflict() *ConflictError {
	return &ConflictError{ID: o.id, Anchor: o.anchor, Token: o.token}
}

// transactions is what a partition has of transactions. What it is made of was read from the
// store when it was loaded, and follows the log.
//
// Apply changes the first part at once, while an entry is carried out: if its batch fails,
// the partition is broken. Readers see the second part, which follows when the batch is
// in the store. So who does not see that an item is taken reads its row as the
// transaction has left it, if it reads the row afterwards.
type transactions struct {
	// Owned by Apply.
	items     map[string]*prepared // by row key
	keys      map[txn.ID][]string  // row keys, sorted
	decisions map[txn.ID]decision
	ledger    txn.Ledger
	checked   txn.Timestamp // txn.Bounds
	marks     tokenMarks
	exists    bool // the group has a record
	changed   bool // it is to be written

	// For readers.
	any    atomic.Bool // some item is taken
	busy   atomic.Bool // some item is taken, or the ledger has a record
	closed atomic.Bool // isClosed
	wake   atomic.Pointer[func()]
	mu     env.Leaf // guards what follows
	shown  map[string]*prepared
	told   map[txn.ID]decision
	count  tokenMarks
	news   []news // of the current entry
}

// news is what readers are to learn after an entry.
type news struct {
	row      string    // "" = about a decision
	prepared *prepared // nil = it has gone
	id       txn.ID
	decision decision // zero = it has gone
}

// ongoing returns who has taken the item of the key in scratch.key, nil if nobody has.
func (p *Partition) ongoing() *prepared {
	if len(p.txns.items) == 0 {
		return nil
	}
	return p.txns.items[string(p.scratch.key)]
}

// take stages that a transaction has taken the item of a row key.
func (p *Partition) take(row []byte, o *prepared) {
	t := &p.txns
	t.add(string(row), o)
	t.news = append(t.news, news{row: string(row), prepared: o})
	p.scratch.batch.Set(preparedKey(row), o.append(nil))
	p.noteTransactions()
}

// release stages that the item of a row key is free again.
func (p *Partition) release(row string) {
	t := &p.txns
	o := t.items[row]
	delete(t.items, row)
	keys := t.keys[o.id]
	if at, found := slices.BinarySearch(keys, row); found {
		keys = slices.Delete(keys, at, at+1)
	}
	if t.keys[o.id] = keys; len(keys) == 0 {
		delete(t.keys, o.id)
	}
	t.news = append(t.news, news{row: row})
	if !plant.On(plant.ResolvedAgain) {
		p.scratch.batch.Delete(preparedKey([]byte(row)))
	}
}

func (t *transactions) add(row string, o *prepared) {
	t.items[row] = o
	keys := t.keys[o.id]
	at, _ := slices.BinarySearch(keys, row)
	t.keys[o.id] = slices.Insert(keys, at, row)
}

// preparedKey returns the key of the prepared record of a row.
func preparedKey(row []byte) []byte {
	key := slices.Clone(row)
	key[indexOffset] = preparedIndex
	return key
}

// rowOf is the inverse of preparedKey.
func (s *Schema) rowOf(key []byte) []byte {
	row := slices.Clone(key)
	row[indexOffset] = s.facetsFlag() | baseIndex
	return row
}

// show lets readers know what has become of transactions by an entry that is in the store.
func (t *transactions) show() {
	if len(t.news) == 0 && (t.count == t.marks || plant.On(plant.MarksUntold)) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count = t.marks
	for _, n := range t.news {
		switch {
		case n.row != "" && n.prepared != nil:
			t.shown[n.row] = n.prepared
		case n.row != "":
			delete(t.shown, n.row)
		case n.decision.outcome != txn.Undecided:
			t.told[n.id] = n.decision
		default:
			delete(t.told, n.id)
		}
	}
	t.news = t.news[:0]
	t.any.Store(len(t.shown) > 0)
	t.busy.Store(len(t.shown) > 0 || len(t.told) > 0 && !plant.On(plant.IdleWithDecisions))
}

// part forgets what has gone to a child that begins with a hash.
func (t *transactions) part(at uint64) {
	for row, o := range t.items { //sim:ok each is independent of the others
		if RowHash([]byte(row)) >= at {
			delete(t.items, row)
			t.news = append(t.news, news{row: row})
			if keys := slices.DeleteFunc(t.keys[o.id], func(key string) bool { return key == row }); len(keys) > 0 {
				t.keys[o.id] = keys
			} else {
				delete(t.keys, o.id)
			}
		}
	}
	for id, d := range t.decisions { //sim:ok each is independent of the others
		if d.hash >= at && !plant.On(plant.ParentKeepsDecisions) {
			delete(t.decisions, id)
			t.news = append(t.news, news{id: id})
		}
	}
	t.show()
}

// A record of the group says that there are, or were, transactions. Without it, nothing is
// looked for. Integers are big-endian.
//
//	+-----------+------------+----------+---------------+----------+-----------+
//	| format 1B | checked 8B | floor 8B | generation 4B | marks 8B | newest 8B |
//	+-----------+------------+----------+---------------+----------+-----------+
//
// format is 2; checked is of txn.Bounds, floor of txn.Ledger, the rest of the tokens (token.go). While no marks are counted
// the format is 1, which lacks the last two.
const (
	transactFormat    byte = 2
	transactFormatOld byte = 1
	transactBytesOld       = 1 + 8 + 8 + 4
	transactBytes          = transactBytesOld + 8 + 8
)

func (t *transactions) append(dst []byte) []byte {
	format := transactFormat
	if t.marks.count == 0 {
		format = transactFormatOld
	}
	dst = binary.BigEndian.AppendUint64(append(dst, format), uint64(t.checked))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.ledger.Floor))
	dst = binary.BigEndian.AppendUint32(dst, t.marks.generation)
	if format == transactFormatOld {
		return dst
	}
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, t.marks.count), t.marks.newest)
}

// decode reads what append has written.
func (t *transactions) decode(b []byte) error {
	isOld := len(b) == transactBytesOld && b[0] == transactFormatOld
	if !isOld && (len(b) != transactBytes || b[0] != transactFormat) {
		return fmt.Errorf("%w: transactions of %d bytes", ErrFormat, len(b))
	}
	t.checked, t.ledger.Floor = txn.Timestamp(binary.BigEndian.Uint64(b[1:])), txn.Timestamp(binary.BigEndian.Uint64(b[9:]))
	t.marks = tokenMarks{generation: binary.BigEndian.Uint32(b[17:])}
	if isOld {
		return nil
	}
	t.marks.count, t.marks.newest = binary.BigEndian.Uint64(b[21:]), binary.BigEndian.Uint64(b[29:])
	if t.marks.count == 0 || t.marks.newest > t.marks.count || uint64(t.marks.generation) != t.marks.count/TokenMarks {
		return fmt.Errorf("%w: %d marks, the newest token at %d, generation %d", ErrFormat, t.marks.count, t.marks.newest, t.marks.generation)
	}
	return nil
}

// noteTransactions has the record written with the current entry, if it says something new.
func (p *Partition) noteTransactions() {
	if t := &p.txns; !t.exists {
		t.exists, t.changed = true, true
	}
}

// stageTransactions puts the record into the batch, if it has changed.
func (p *Partition) stageTransactions() {
	if t := &p.txns; t.changed {
		p.scratch.batch.Set(appendGroupKey(nil, p.group, partTransact), t.append(nil))
		t.changed = false
	}
}

// loadTransactions reads what there is of transactions, after the configuration.
func (p *Partition) loadTransactions() error {
	t := &p.txns
	t.items, t.keys, t.decisions = make(map[string]*prepared), make(map[txn.ID][]string), make(map[txn.ID]decision)
	t.ledger, t.checked, t.marks, t.changed, t.exists, t.news = txn.Ledger{}, 0, tokenMarks{}, false, false, nil
	b, err := p.db.Get(appendGroupKey(nil, p.group, partTransact), nil)
	config := p.Config()
	switch {
	case errors.Is(err, lsm.ErrNotFound) || err == nil && (config == nil || config.Entries):
	case err != nil:
		return fmt.Errorf("partition %d: read transactions: %w", p.group, err)
	default:
		t.exists = true
		if err := t.decode(b); err != nil {
			return fmt.Errorf("partition %d: %w", p.group, err)
		}
		if plant.On(plant.PreparedLostAtStart) {
			break
		}
		if err := p.loadPrepared(config); err != nil {
			return err
		}
		if err := p.loadDecisions(config); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count = t.marks
	t.shown, t.told = make(map[string]*prepared, len(t.items)), make(map[txn.ID]decision, len(t.decisions))
	for row, o := range t.items { //sim:ok only copies into another map
		t.shown[row] = o
	}
	for id, d := range t.decisions { //sim:ok only copies into another map
		t.told[id] = d
	}
	t.any.Store(len(t.shown) > 0)
	t.busy.Store(len(t.shown) > 0 || len(t.told) > 0)
	t.closed.Store(t.isClosed())
	return nil
}

func (p *Partition) loadPrepared(config *Config) error {
	return p.eachOf(config, preparedIndex, func(key, value []byte) error {
		if len(key) <= rowPrefix {
			return fmt.Errorf("%w: key of a prepared item of %d bytes", ErrFormat, len(key))
		}
		o, err := decodePrepared(slices.Clone(value))
		if err == nil {
			o.hash = RowHash(key)
			p.txns.add(string(config.Schema.rowOf(key)), o)
		}
		return err
	})
}

// eachOf calls f with the pairs of one place in the partition's range of hashes.
func (p *Partition) eachOf(config *Config, place byte, f func(key, value []byte) error) error {
	lower, upper := hashSpan(appendPlace(nil, config.Schema.Table, place), config.First, config.Last)
	if err := eachPair(p.db, lower, upper, f); err != nil {
		return fmt.Errorf("partition %d: read what transactions have left: %w", p.group, err)
	}
	return nil
}

// Unfinished reports whether a transaction has taken an item, or the ledger has a record of
// one, so that something is left to be done.
func (p *Partition) Unfinished() bool { return p.txns.busy.Load() }

// OnUnfinished has f called after log entries, and snapshots, from which on Unfinished reports true. It must be quick and
// must not wait.
func (p *Partition) OnUnfinished(f func()) { p.txns.wake.Store(&f) }

// Ongoing returns who has taken the item of a row key, nil if nobody has. It costs next to
// nothing while there are no transactions.
//
// A consistent read asks before it reads the row.
func (p *Partition) Ongoing(row []byte) *ConflictError {
	if o := p.preparedAt(row); o != nil {
		return o.conflict()
	}
	return nil
}

func (p *Partition) preparedAt(row []byte) *prepared {
	if !p.txns.any.Load() {
		return nil
	}
	p.txns.mu.Lock()
	defer p.txns.mu.Unlock()
	return p.txns.shown[string(row)]
}

// OngoingIn returns the transactions that have taken items with hashes in [first, last], by id,
// with the hashes of these items.
func (p *Partition) OngoingIn(first, last uint64) []OngoingTransaction {
	if !p.txns.any.Load() {
		return nil
	}
	found := make(map[txn.ID]*OngoingTransaction)
	p.txns.mu.Lock()
	for row, o := range p.txns.shown { //sim:ok sorted below
		hash := RowHash([]byte(row))
		if hash < first || hash > last {
			continue
		}
		if found[o.id] == nil {
			found[o.id] = &OngoingTransaction{ConflictError: *o.conflict()}
		}
		found[o.id].Hashes = append(found[o.id].Hashes, hash)
	}
	p.txns.mu.Unlock()
	list := make([]OngoingTransaction, 0, len(found))
	for _, o := range found { //sim:ok sorted below
		slices.Sort(o.Hashes)
		o.Hashes = slices.Compact(o.Hashes)
		list = append(list, *o)
	}
	slices.SortFunc(list, func(a, b OngoingTransaction) int { return compareIDs(a.ID, b.ID) })
	return list
}

// An OngoingTransaction has taken items of a partition.
type OngoingTransaction struct {
	ConflictError
	Hashes []uint64 // of the items
}
