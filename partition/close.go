package partition

import "github.com/statordb/stator/txn"

// A partition of a table that is to be deleted is closed: it accepts no transaction with other participants any more. What it has
// accepted comes to its end as ever, because others may have a part in that: a record that says Committed is what they hear of it.
// Closed is who has this floor, above the birth of whatever may come.
const closedFloor = ^txn.Timestamp(0)

// close has the partition accept no transactions from now on. The result says Prepared while there are some that it has accepted
// and that are not over, or records of commits that somebody may still ask for; else Cancelled.
func (p *Partition) close(config *Config, hash uint64) Result {
	if err := config.owns([]uint64{hash}); err != nil {
		return Result{Err: err}
	}
	t := &p.txns
	if t.ledger.Floor != closedFloor {
		t.ledger.Floor, t.changed = closedFloor, true
		p.noteTransactions()
	}
	r := &TransactionResult{Outcome: txn.Cancelled}
	if len(t.items) > 0 {
		r.Outcome = txn.Prepared
	}
	for _, d := range t.decisions { //sim:ok any of them
		if d.outcome != txn.Cancelled {
			r.Outcome = txn.Prepared
		}
	}
	return Result{Transaction: r}
}

// refuse answers a transaction that is not admitted.
func (p *Partition) refuse(config *Config) Result {
	if p.txns.ledger.Floor == closedFloor {
		return Result{Err: config.wrong()} // its table is gone, as whoever looks will find
	}
	return cancelled()
}
