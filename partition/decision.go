package partition

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// A decision record is a ledger's record of a transaction with several participants. It lies
// at the anchor's hash (keys.go), so it goes where the anchor goes; the record of another participant, which says that
// it will never accept, at the hash of one of its items. Integers are little-endian.
//
//	+-----------+------------+-------+-------+-----------+
//	| format 1B | outcome 1B | at 8B | count | place ... |
//	+-----------+------------+-------+-------+-----------+
//
// format is 1; outcome is Committed or Cancelled; at is the timestamp of the commit. The places are
// those of the items of all participants, but for the anchor; they may still have to be told.
//
//	+-----------+-----------+-----------+----------------+-------------+----------+-------+-----------+
//	| format 1B | at 8B     | token 16B | parameters 16B | sizes count | size ... | count | place ... |
//	+-----------+-----------+-----------+----------------+-------------+----------+-------+-----------+
//
// format 2 is a record Prepared: the anchor's partition has accepted, and no decision is recorded. at is the
// earliest timestamp of the commit. The rest is what a token record will be made of
// (token.go).
const (
	decisionFormat       byte = 1
	decisionFormatStaged byte = 2
)

// A decision is what became of a transaction. The zero decision is none.
type decision struct {
	outcome txn.Outcome
	at      txn.Timestamp
	hash    uint64  // of the anchor
	staged  *staged // Prepared
}

// A staged is what the anchor's partition keeps of a transaction from its acceptance until the decision is
// recorded. It is immutable.
type staged struct {
	token      Token // zero = none
	parameters Token
	sizes      []int // of the items that are known
	others     []Place
}

func (s *staged) append(dst []byte, at txn.Timestamp) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, decisionFormatStaged), uint64(at))
	dst = append(append(dst, s.token[:]...), s.parameters[:]...)
	return appendPlaces(appendSizes(dst, s.sizes), s.others)
}

func appendDecisionKey(dst []byte, table uint32, hash uint64, id txn.ID) []byte {
	dst = binary.BigEndian.AppendUint64(appendPlace(dst, table, decisionsIndex), hash)
	return id.Append(dst)
}

// decide stages the record of a decision.
func (p *Partition) decide(schema *Schema, id txn.ID, d decision, others []Place) {
	b := []byte{decisionFormat, byte(d.outcome)}
	b = appendPlaces(binary.LittleEndian.AppendUint64(b, uint64(d.at)), others)
	if d.staged != nil {
		b = d.staged.append(nil, d.at)
	}
	p.scratch.batch.Set(appendDecisionKey(nil, schema.Table, d.hash, id), b)
	p.txns.decisions[id] = d
	p.txns.news = append(p.txns.news, news{id: id, decision: d})
	p.noteTransactions()
}

func decodeDecision(b []byte) (d decision, others []Place, err error) {
	r := reader{b: b}
	format := r.byte()
	if format == decisionFormatStaged {
		d = decision{outcome: txn.Prepared, at: txn.Timestamp(r.fixed()), staged: &staged{token: r.token(), parameters: r.token(), sizes: r.sizes()}}
		if d.staged.others = r.places(); !r.done() {
			return decision{}, nil, fmt.Errorf("%w: decision of %d bytes", ErrFormat, len(b))
		}
		return d, d.staged.others, nil
	}
	d = decision{outcome: r.outcome(), at: txn.Timestamp(r.fixed())}
	others = r.places()
	if format != decisionFormat || !r.done() || d.outcome != txn.Committed && d.outcome != txn.Cancelled {
		return decision{}, nil, fmt.Errorf("%w: decision of %d bytes", ErrFormat, len(b))
	}
	return d, others, nil
}

func (p *Partition) loadDecisions(config *Config) error {
	forgets := plant.On(plant.StagedForgotten) // in the function below it would not be inlined
	return p.eachOf(config, decisionsIndex, func(key, value []byte) error {
		if len(key) != rowPrefix+txn.IDBytes {
			return fmt.Errorf("%w: key of a decision of %d bytes", ErrFormat, len(key))
		}
		d, _, err := decodeDecision(value)
		d.hash = RowHash(key)
		if forgets && d.outcome == txn.Prepared {
			return err
		}
		p.txns.decisions[txn.ReadID(key[rowPrefix:])] = d
		return err
	})
}

// owns refuses hashes that the partition does not have.
func (c *Config) owns(hashes []uint64) error {
	for _, h := range hashes {
		if !c.Owns(h) || c.Entries {
			return c.wrong()
		}
	}
	if len(hashes) == 0 {
		return fmt.Errorf("%w: no hash", ErrCommand)
	}
	return nil
}

// settleTransaction answers, for good, whether the partition has accepted a transaction: from now on
// it does not any more.
func (p *Partition) settleTransaction(config *Config, t *Transaction) Result {
	if err := config.owns(t.Hashes); err != nil {
		return Result{Err: err}
	}
	d := p.txns.decisions[t.ID]
	var items []*prepared
	for _, row := range p.txns.keys[t.ID] {
		items = append(items, p.txns.items[row])
	}
	v := voteOf(d, items, t.Hashes)
	outcome, record := p.txns.ledger.Settle(t.ID, d.outcome, v.Outcome == txn.Prepared)
	if v.Outcome = outcome; record && !plant.On(plant.FenceForgotten) {
		p.decide(&config.Schema, t.ID, decision{outcome: outcome, hash: t.Hashes[0]}, nil)
	}
	return Result{Transaction: &TransactionResult{Outcome: v.Outcome, At: v.At, Sizes: v.Sizes, Others: v.Others}}
}

// A Vote is what a partition has to say of a transaction: Committed or Cancelled, as it is recorded; Prepared, if it
// has accepted; else Undecided.
type Vote struct {
	Outcome txn.Outcome
	At      txn.Timestamp // of the commit; Prepared: the earliest
	Sizes   []int         // Prepared: of its items, by position in the client's request, as far as they are known
	Others  []Place       // Prepared, of the anchor's partition: of the items of all, but the anchor
}

// voteOf makes the vote of what a partition has of a transaction, whose items have these hashes.
func voteOf(d decision, items []*prepared, hashes []uint64) (v Vote) {
	v.Outcome, v.At = d.outcome, d.at
	if d.staged != nil {
		v.Sizes, v.Others = d.staged.sizes, d.staged.others
	}
	if d.outcome != txn.Undecided {
		return v
	}
	has := make(map[uint64]bool)
	for _, o := range items {
		has[o.hash] = true
		v.At = max(v.At, o.at)
		v.Sizes = withSize(v.Sizes, o.action, o.size)
	}
	for _, h := range hashes {
		if !has[h] {
			return Vote{}
		}
	}
	v.Outcome = txn.Prepared
	return v
}

// withSize sets one of the sizes, if it is greater.
func withSize(sizes []int, at, size int) []int {
	for len(sizes) <= at {
		sizes = append(sizes, 0)
	}
	sizes[at] = max(sizes[at], size)
	return sizes
}

// MergeSizes returns the greater ones of two lists of sizes.
func MergeSizes(a, b []int) []int {
	merged := slices.Clone(a)
	for i, n := range b {
		merged = withSize(merged, i, n)
	}
	return merged
}

// decideTransaction records what became of a transaction that the anchor's partition has accepted, and does its part
// of it: its own items, and the token.
func (p *Partition) decideTransaction(config *Config, t *Transaction, c *counters) Result {
	if err := config.owns(t.Hashes); err != nil {
		return Result{Err: err}
	}
	d := p.txns.decisions[t.ID]
	outcome, record := p.txns.ledger.Decide(d.outcome, t.Outcome)
	if !record {
		return Result{Transaction: &TransactionResult{Outcome: outcome, At: d.at}}
	}
	next := decision{outcome: outcome, hash: d.hash}
	var others []Place
	if outcome == txn.Committed {
		next.at, others = t.At, d.staged.others
		if d.staged.token != (Token{}) {
			p.remember(config, d.hash, d.staged.token, &tokenRecord{at: t.At, parameters: d.staged.parameters, sizes: MergeSizes(d.staged.sizes, t.Sizes)})
		}
	}
	p.decide(&config.Schema, t.ID, next, others)
	// What cannot be done now, because a row cannot be read, is done by who finds its item taken.
	_ = p.resolveItems(config, t.ID, outcome, t.At, c)
	return Result{Transaction: &TransactionResult{Outcome: outcome, At: t.At}}
}

// forget takes a decision away.
func (p *Partition) forget(config *Config, t *Transaction) Result {
	if err := config.owns(t.Hashes); err != nil {
		return Result{Err: err}
	}
	p.drop(&config.Schema, t.ID)
	return Result{}
}

// drop stages that there is no record of a transaction any more.
func (p *Partition) drop(schema *Schema, id txn.ID) {
	d, ok := p.txns.decisions[id]
	if !ok {
		return
	}
	p.scratch.batch.Delete(appendDecisionKey(nil, schema.Table, d.hash, id))
	delete(p.txns.decisions, id)
	p.txns.news = append(p.txns.news, news{id: id})
	before := p.txns.ledger
	p.txns.ledger.Forget(id, d.outcome)
	p.txns.changed = p.txns.changed || p.txns.ledger != before
}

// VoteAt returns the vote of the partition on a transaction, whose items there have these hashes. It
// returns ErrWrongPartition if it does not have all of these.
func (p *Partition) VoteAt(id txn.ID, hashes []uint64) (Vote, error) {
	var items []*prepared
	t := &p.txns
	t.mu.Lock()
	d := t.told[id]
	for _, o := range t.shown { //sim:ok voteOf takes them in any order
		if o.id == id {
			items = append(items, o)
		}
	}
	t.mu.Unlock()
	v := voteOf(d, items, hashes)
	// Judged after the look: a split moves all this away.
	config := p.Config()
	if config == nil {
		return Vote{}, ErrNotConfigured
	}
	return v, config.owns(hashes)
}

// A DecidedTransaction is one of which the ledger has a record.
type DecidedTransaction struct {
	ID      txn.ID
	Outcome txn.Outcome
	At      txn.Timestamp
	Hash    uint64 // of the anchor
}

// Decided returns the transactions of which the partition has a record, by id.
func (p *Partition) Decided() []DecidedTransaction {
	var list []DecidedTransaction
	p.txns.mu.Lock()
	for id, d := range p.txns.told { //sim:ok sorted below
		list = append(list, DecidedTransaction{id, d.outcome, d.at, d.hash})
	}
	p.txns.mu.Unlock()
	slices.SortFunc(list, func(a, b DecidedTransaction) int { return compareIDs(a.ID, b.ID) })
	return list
}

// Others returns the places of the other participants of a transaction in the ledger.
func (p *Partition) Others(d DecidedTransaction) ([]Place, error) {
	config := p.Config()
	if config == nil {
		return nil, ErrNotConfigured
	}
	b, err := p.db.Get(appendDecisionKey(nil, config.Schema.Table, d.Hash, d.ID), nil)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil, nil // forgotten meanwhile
	}
	var others []Place
	if err == nil {
		_, others, err = decodeDecision(b)
	}
	if err != nil {
		return nil, fmt.Errorf("partition %d: read decision of %v: %w", p.group, d.ID, err)
	}
	return others, nil
}

func compareIDs(a, b txn.ID) int {
	return cmp.Or(cmp.Compare(a.Born, b.Born), cmp.Compare(a.Node, b.Node))
}
