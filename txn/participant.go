package txn

// The rule by which a partition takes part in transactions. It follows listing 1 of Idziorek et
// al., "Distributed Transactions at Scale in Amazon DynamoDB", USENIX ATC 2023:
//
//	processPrepare(item, transaction):
//		if   no other transaction is prepared on the item
//		and  the conditions hold, and what would be written keeps the limits
//		and  transaction.timestamp > item.timestamp, or partition.maxDeleteTimestamp if there is no item
//		then item.ongoing = transaction; accept
//		else refuse
//
//	processCommit(item, transaction):
//		if item.ongoing = transaction
//		then write; item.timestamp = transaction.timestamp; item.ongoing = none
//
//	processCancel(item, transaction):
//		if item.ongoing = transaction then item.ongoing = none
//
// In one point it goes beyond. There, a transaction with an old timestamp is refused. Here
// it is accepted, and told the earliest timestamp that the item allows; the transaction
// commits at the greatest that any of its items has named. Nothing can come between:
// the item is the transaction's until the decision. So no clock, however wrong, has a
// transaction refused, and timestamps still rise in the order of commits.
//
// There is no waiting, and so no deadlock: who comes second is refused.

// An Item is what the rule knows of an item.
type Item struct {
	Exists  bool
	Written Timestamp // of the last write; of no meaning if there is no item
	Ongoing ID        // the transaction that is prepared on it; zero = none
}

// Bounds are a partition's. They stand in for items that it does not keep timestamps of.
type Bounds struct {
	Deleted Timestamp // greatest timestamp at which an item was deleted
	// Checked is the greatest timestamp at which a transaction has checked an item without
	// writing it. Whatever is written later is written after it, so that the check
	// holds at the timestamp of its transaction, too.
	Checked Timestamp
}

// Earliest returns the least timestamp at which an item may be written.
func (b *Bounds) Earliest(it Item) Timestamp {
	last := b.Deleted
	if it.Exists {
		last = it.Written
	}
	return max(last, b.Checked) + 1
}

// A Verdict is what the rule says to an action.
type Verdict byte

const (
	Accepted Verdict = iota + 1
	Conflict         // another transaction is prepared on the item
	Refused          // by a condition or a limit
)

// Prepare has a transaction take an item, if holds says that conditions and limits allow
// what it wants. It returns the earliest timestamp at which it may commit.
//
// A transaction that has the item already is accepted again.
func (b *Bounds) Prepare(t ID, it *Item, holds func() bool) (Verdict, Timestamp) {
	if it.Ongoing != (ID{}) && it.Ongoing != t {
		return Conflict, 0
	}
	if !holds() {
		return Refused, 0
	}
	it.Ongoing = t
	return Accepted, b.Earliest(*it)
}

// An Effect is what a transaction does to one of its items.
type Effect byte

const (
	Write  Effect = 1
	Delete Effect = 2
	Check  Effect = 3 // nothing; but it has seen the item
)

// Commit has the item be as its transaction wants it, from ts on. It reports false, and
// does nothing, if the transaction does not have the item: it was committed before.
func (b *Bounds) Commit(t ID, ts Timestamp, it *Item, e Effect) bool {
	if it.Ongoing != t {
		return false
	}
	it.Ongoing = ID{}
	b.Take(ts, it, e)
	return true
}

// Take does Commit's work for a transaction that is decided in the moment in which it is
// judged, and for a single write.
func (b *Bounds) Take(ts Timestamp, it *Item, e Effect) {
	switch e {
	case Write:
		it.Exists, it.Written = true, ts
	case Delete:
		if it.Exists {
			b.Deleted = max(b.Deleted, ts)
		}
		it.Exists = false
	case Check:
		b.Checked = max(b.Checked, ts)
	}
}

// Cancel has the transaction let go of the item, if it has it.
func (b *Bounds) Cancel(t ID, it *Item) bool {
	if it.Ongoing != t {
		return false
	}
	it.Ongoing = ID{}
	return true
}
