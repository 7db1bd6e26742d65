package txn

// An Outcome is what became of a transaction.
type Outcome byte

const (
	Undecided Outcome = iota
	Committed
	Cancelled
	// Repeated: an earlier transaction with the same token has been committed, and this
	// one was cancelled for it.
	Repeated
)

func (o Outcome) String() string {
	switch o {
	case Committed:
		return "committed"
	case Cancelled:
		return "cancelled"
	case Repeated:
		return "repeated"
	}
	return "undecided"
}

// A Ledger is the rule by which a transaction is decided once: by the partition that has
// its anchor, in the log of that partition.
//
// Whoever wants a decision asks for it: the coordinator for Committed, once all participants
// have accepted; whoever believes that the coordinator is dead for Cancelled. The first
// one gets what it wants, and all others get the same answer. That a transaction was
// cancelled need not be recorded by its coordinator, which will not ask for the
// contrary; a record of others keeps off a coordinator that is only slow.
//
// Records are forgotten: of a committed transaction when all participants have taken note,
// so that nobody will ask; of a cancelled one after a while. Then Floor rises to its birth, and
// who asks for a transaction as old as that gets Cancelled.
type Ledger struct {
	Floor Timestamp
}

// Decide returns the outcome of a transaction for one who wants Committed or Cancelled, and
// whether it is to be recorded. recorded is what the ledger has; Undecided = nothing.
func (l *Ledger) Decide(t ID, recorded, wanted Outcome) (outcome Outcome, record bool) {
	switch {
	case recorded != Undecided:
		return recorded, false
	case t.Born <= l.Floor:
		return Cancelled, false
	}
	return wanted, true
}

// Forget takes note that the record of a transaction goes.
func (l *Ledger) Forget(t ID, recorded Outcome) {
	if recorded == Cancelled {
		l.Floor = max(l.Floor, t.Born)
	}
}
