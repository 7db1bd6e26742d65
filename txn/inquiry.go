package txn

// An Inquiry finds out what has become of a transaction that somebody has met at an item, and changes
// nothing. It is a state machine like Coordinator.
//
//  1. It looks at number 0. What is decided there is decided.
//  2. If 0 is prepared, its record names the others, and the Inquiry looks at these.
//     If all are prepared, the transaction is committed.
//  3. If one is not, it looks at 0 again. A record that is still there says that nobody was told of a
//     commit yet: so who is not prepared has not been, and when it was looked at, the
//     transaction was not committed.
//
// If 0 knows nothing, the transaction may be undecided, or finished and forgotten; so it may be, if 0 says
// that it is cancelled: who settles a transaction that is forgotten is told so. Nothing is forgotten before
// all items are free: so who finds it at the item once more knows that it was not.
type Inquiry struct {
	at       Timestamp
	waiting  int
	missing  bool // one of the others is not prepared
	again    bool // 0 is looked at for the second time
	finished bool
	outcome  Outcome
	explicit bool
	sure     bool
}

// NewInquiry returns an inquiry about a transaction.
func NewInquiry(id ID) *Inquiry { return &Inquiry{at: id.Born} }

// Start returns the first message.
func (q *Inquiry) Start() []Message {
	q.waiting = 1
	return []Message{{To: 0, Op: OpLook}}
}

// Step takes a reply and returns what is to be sent for it.
func (q *Inquiry) Step(r Reply) []Message {
	switch {
	case q.finished:
		return nil
	case r.From == 0:
		return q.stepAnchor(r)
	case r.Outcome == Prepared:
		q.at = max(q.at, r.At)
	default:
		q.missing = true
	}
	if q.waiting--; q.waiting > 0 {
		return nil
	}
	if q.missing {
		q.again = true
		return q.Start()
	}
	q.finished, q.outcome, q.sure = true, Committed, true
	return nil
}

func (q *Inquiry) stepAnchor(r Reply) (messages []Message) {
	switch {
	case r.Outcome == Prepared && !q.again && r.Others > 0:
		q.at, q.waiting = max(q.at, r.At), r.Others
		for i := range r.Others {
			messages = append(messages, Message{To: 1 + i, Op: OpLook})
		}
		return messages
	case r.Outcome == Committed:
		q.outcome, q.at, q.explicit, q.sure = Committed, r.At, true, true
	case r.Outcome == Cancelled || r.Gone:
		q.outcome, q.explicit = Cancelled, true
	default:
		q.sure = r.Outcome == Prepared
	}
	q.finished = true
	return nil
}

// Finished reports whether the inquiry has come to its end.
func (q *Inquiry) Finished() bool { return q.finished }

// Outcome returns what was found: Committed, with the timestamp, Cancelled or Undecided.
func (q *Inquiry) Outcome() (Outcome, Timestamp) { return q.outcome, q.at }

// Explicit reports whether the outcome is recorded by 0. One that is not must be, before participants
// are told of it.
func (q *Inquiry) Explicit() bool { return q.explicit }

// Sure reports whether the outcome holds for the moment of the inquiry. Else the transaction may
// also be committed and forgotten.
func (q *Inquiry) Sure() bool { return q.sure }
