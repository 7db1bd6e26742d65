package txn

// An Outcome is what became of a transaction, or, as Prepared, what a participant has to say to
// that.
type Outcome byte

const (
	Undecided Outcome = iota
	Committed
	Cancelled
	// Repeated: an earlier transaction with the same token has been committed, and this
	// one was cancelled for it.
	Repeated
	// Prepared: who says so has accepted. If all participants have, the transaction is
	// committed, whether that is recorded or not.
	Prepared
)

func (o Outcome) String() string {
	switch o {
	case Committed:
		return "committed"
	case Cancelled:
		return "cancelled"
	case Repeated:
		return "repeated"
	case Prepared:
		return "prepared"
	}
	return "undecided"
}

// A Ledger is the rule by which a transaction is decided once. A transaction is committed when the last of
// its participants accepts, and cancelled when one of them has made sure that it never will. So each
// partition has a ledger, in its log, of what it has said:
//
//   - of the items that it has (Item.Ongoing), it has accepted. That stays so until the transaction is
//     known to be committed or cancelled;
//   - with a record of Cancelled, it has not, and never will: the fence against a coordinator that is
//     only slow, and against messages that come late;
//   - else it may still accept.
//
// The ledger at the anchor knows more: with its acceptance, it has a record Prepared, which names all
// other participants, and turns into Committed or Cancelled before any of these is told so. Whoever
// asks participants one after the other asks here last, and knows then that nothing has become of the
// transaction in between.
//
// Records are forgotten: of a committed transaction when all participants have taken note,
// so that nobody will ask; of a cancelled one after a while. Then Floor rises to its birth, and
// a transaction as old as that is not accepted any more.
type Ledger struct {
	Floor Timestamp
}

// Admits reports whether a transaction may still be accepted. recorded is what the ledger has;
// Undecided = nothing.
func (l *Ledger) Admits(t ID, recorded Outcome) bool {
	return recorded == Undecided && t.Born > l.Floor
}

// Settle returns what the ledger has to say to who wants to know for good, and whether
// that is to be recorded: Prepared, if it has accepted, what is recorded, or Cancelled, from now on. has says that
// the transaction has items here.
func (l *Ledger) Settle(t ID, recorded Outcome, has bool) (outcome Outcome, record bool) {
	switch {
	case recorded != Undecided:
		return recorded, false
	case has:
		return Prepared, false
	}
	return Cancelled, t.Born > l.Floor
}

// Decide records at the anchor what has become of a transaction, for one who knows: Committed, as all have
// accepted, or Cancelled, as somebody never will. It returns what was decided; Undecided if nothing can be:
// there is no record, or that of somebody who came too late, for a transaction that was committed and forgotten.
func (l *Ledger) Decide(recorded, wanted Outcome) (outcome Outcome, record bool) {
	switch recorded {
	case Prepared:
		return wanted, true
	case Committed:
		return Committed, false
	}
	return Undecided, false
}

// Forget takes note that the record of a transaction goes.
func (l *Ledger) Forget(t ID, recorded Outcome) {
	if recorded == Cancelled {
		l.Floor = max(l.Floor, t.Born)
	}
}
