package partition

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// A decision record is a ledger's record of a transaction with several participants. It lies
// at the anchor's hash (keys.go), so it goes where the anchor goes. Integers are
// little-endian.
//
//	+-----------+------------+-------+-------+-----------+
//	| format 1B | outcome 1B | at 8B | count | place ... |
//	+-----------+------------+-------+-------+-----------+
//
// format is 1; outcome is Committed or Cancelled; at is the timestamp of the commit. The places are
// those of the other participants' items, which may still have to be told.
const decisionFormat byte = 1

// A decision is what became of a transaction. The zero decision is none.
type decision struct {
	outcome txn.Outcome
	at      txn.Timestamp
	hash    uint64 // of the anchor
}

func appendDecisionKey(dst []byte, table uint32, hash uint64, id txn.ID) []byte {
	dst = binary.BigEndian.AppendUint64(appendPlace(dst, table, decisionsIndex), hash)
	return id.Append(dst)
}

// decide stages the record of a decision.
func (p *Partition) decide(schema *Schema, id txn.ID, d decision, others []Place) {
	b := []byte{decisionFormat, byte(d.outcome)}
	b = appendPlaces(binary.LittleEndian.AppendUint64(b, uint64(d.at)), others)
	p.scratch.batch.Set(appendDecisionKey(nil, schema.Table, d.hash, id), b)
	p.txns.decisions[id] = d
	p.txns.news = append(p.txns.news, news{id: id, decision: d})
	p.noteTransactions()
}

func decodeDecision(b []byte) (d decision, others []Place, err error) {
	r := reader{b: b}
	format := r.byte()
	d = decision{outcome: r.outcome(), at: txn.Timestamp(r.fixed())}
	others = r.places()
	if format != decisionFormat || !r.done() || d.outcome != txn.Committed && d.outcome != txn.Cancelled {
		return decision{}, nil, fmt.Errorf("%w: decision of %d bytes", ErrFormat, len(b))
	}
	return d, others, nil
}

func (p *Partition) loadDecisions(config *Config) error {
	return p.eachOf(config, decisionsIndex, func(key, value []byte) error {
		if len(key) != rowPrefix+txn.IDBytes {
			return fmt.Errorf("%w: key of a decision of %d bytes", ErrFormat, len(key))
		}
		d, _, err := decodeDecision(value)
		d.hash = RowHash(key)
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

// settleTransaction decides that a transaction is cancelled, unless something else is decided.
func (p *Partition) settleTransaction(config *Config, t *Transaction) Result {
	if err := config.owns(t.Hashes); err != nil {
		return Result{Err: err}
	}
	d := p.txns.decisions[t.ID]
	outcome, record := p.txns.ledger.Decide(t.ID, d.outcome, txn.Cancelled)
	if record {
		p.decide(&config.Schema, t.ID, decision{outcome: outcome, hash: t.Hashes[0]}, nil)
	}
	return Result{Transaction: &TransactionResult{Outcome: outcome, At: d.at}}
}

// forget takes a decision away.
func (p *Partition) forget(config *Config, t *Transaction) Result {
	if err := config.owns(t.Hashes); err != nil {
		return Result{Err: err}
	}
	if d, ok := p.txns.decisions[t.ID]; ok {
		p.scratch.batch.Delete(appendDecisionKey(nil, config.Schema.Table, d.hash, t.ID))
		delete(p.txns.decisions, t.ID)
		p.txns.news = append(p.txns.news, news{id: t.ID})
		before := p.txns.ledger
		p.txns.ledger.Forget(t.ID, d.outcome)
		p.txns.changed = p.txns.changed || p.txns.ledger != before
	}
	return Result{}
}

// Decision returns what is recorded of a transaction, Undecided if nothing is.
func (p *Partition) Decision(id txn.ID) (txn.Outcome, txn.Timestamp) {
	p.txns.mu.Lock()
	defer p.txns.mu.Unlock()
	d := p.txns.told[id]
	return d.outcome, d.at
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
