package partition

import "github.com/statordb/stator/txn"

// A partition of a table that is to be deleted is closed: nobody can read or write it any more. A node that has not heard of the deletion,
// and leads the partition, would go on with it otherwise, while others see the next table of that name.
// Transactions that it has accepted come to their end as ever, because others may have a part in that: a record that says Committed is what
// they hear of it. Closed is who has this floor, above the birth of whatever may come.
const closedFloor = ^txn.Timestamp(0)

// close has the partition accept nothing from now on. The result says Prepared while there are some that it has accepted
// and that are not over, or records of commits that somebody may still ask for; else Cancelled.
func (p *Partition) close(config *Config, hash uint64) Result {
	if err := config.owns([]uint64{hash}); err != nil {
		return Result{Err: err}
	}
	t := &p.txns
	if !t.isClosed() {
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

// isClosed reports whether the partition was closed. It is for Apply.
func (t *transactions) isClosed() bool { return t.ledger.Floor == closedFloor }

// refuse answers a transaction that is not admitted.
func (p *Partition) refuse(config *Config) Result {
	if p.txns.isClosed() {
		return Result{Err: config.wrong()} // its table is gone, as whoever looks will find
	}
	return cancelled()
}

// serves returns an error if what was just read of rows does not count: the partition is closed, or has not had a configuration. Whoever
// reads asks afterwards, so that a read that ends after the partition was closed has no answer.
func (p *Partition) serves(config *Config) error {
	switch {
	case config == nil:
		return ErrNotConfigured
	case p.txns.closed.Load():
		return config.wrong()
	}
	return nil
}
