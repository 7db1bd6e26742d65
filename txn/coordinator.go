package txn

import "fmt"

// A Coordinator carries a transaction through its participants. It is a state machine without
// clock, memory of messages, or knowledge of what is written: replies go in, messages
// come out, and whoever drives it sends these and brings what is answered, in any order. A
// message that is sent twice has no further effect, so the driver may repeat it.
//
// Participants are numbered. Number 0 has the ledger: it is asked last, and what it says
// decides, in the log entry in which it writes its own part.
//
//	        prepare                decide              commit
//	1 ─┐  ┌─────────▶ accepted ─┐            ┌──────▶ done ─┐
//	2 ─┼──┤                     ├──▶ 0 ──────┤              ├──▶ forget 0
//	3 ─┘  └─────────▶ accepted ─┘  committed └──────▶ done ─┘
//	                                   └▶ answer to the client
//
// With one participant that is one message. If somebody refuses, 0 is asked to judge, too, so
// that the client learns all that was wrong, and the others are told to cancel. If the
// decision of 0 stays out, settling it comes first: that makes one if there is none. When that
// says cancelled, the client is not told so: the transaction may have been committed,
// finished by somebody else, and forgotten.
type Coordinator struct {
	id      ID
	ts      Timestamp // of the commit, as far as it is known
	phase   phase
	outcome Outcome
	votes   []vote // by participant
	waiting int    // for so many replies of this phase
	partial bool   // there may be participants that it does not know
	lost    bool   // of a reply to a commit
	unsure  bool   // a decision to commit may have been lost
}

type phase byte

const (
	preparing  phase = iota + 1
	deciding         // 0 was asked to decide
	judging          // 0 was asked to judge a transaction that is cancelled
	settling         // 0 was asked what became of it
	completing       // decided; participants are told
	finished
)

// A vote is what a participant has said.
type vote byte

const (
	voteNone     vote = iota
	voteAccepted      // it is prepared
	voteRefused       // it is not, and will not be
	voteLost          // it may be, or become, prepared
)

// An Op is what a Message asks a participant for.
type Op byte

const (
	OpPrepare Op = iota + 1 // all of its items, or none
	OpDecide                // 0: judge its own items and, if they can be had, commit
	OpJudge                 // 0: judge its own items; the transaction is cancelled
	OpSettle                // 0: what became of it? cancelled, if nothing else yet
	OpCommit
	OpCancel
	OpForget // 0: nobody will ask any more
)

func (o Op) String() string {
	names := [...]string{OpPrepare: "prepare", OpDecide: "decide", OpJudge: "judge", OpSettle: "settle", OpCommit: "commit", OpCancel: "cancel", OpForget: "forget"}
	if o == 0 || int(o) >= len(names) {
		return fmt.Sprintf("op(%d)", byte(o))
	}
	return names[o]
}

// A Message goes to a participant.
type Message struct {
	To int
	Op Op
	// At is the timestamp of the commit: the least that it may have in OpDecide, the one
	// that it has in OpCommit.
	At Timestamp
}

// A Reply comes from a participant. Lost means that none will come: the message may or may not
// have had its effect, or may have it later.
type Reply struct {
	From int
	Op   Op
	Lost bool

	Accepted bool      // OpPrepare
	Outcome  Outcome   // OpDecide, OpJudge, OpSettle
	At       Timestamp // OpPrepare: the earliest of its items; OpDecide, OpSettle: of the commit
}

// NewCoordinator returns the coordinator of a new transaction that wants to commit at ts, or
// later.
func NewCoordinator(id ID, ts Timestamp, participants int) *Coordinator {
	return &Coordinator{id: id, ts: ts, votes: make([]vote, participants)}
}

// NewRecovery returns a coordinator that finishes a transaction of which another one may have
// died. If it does not know all participants (partial), the ledger keeps its record.
func NewRecovery(id ID, participants int, partial bool) *Coordinator {
	c := NewCoordinator(id, 0, participants)
	c.phase, c.partial = settling, partial
	for i := range c.votes {
		c.votes[i] = voteLost
	}
	return c
}

// Start returns the first messages.
func (c *Coordinator) Start() []Message {
	switch {
	case c.phase == settling:
		return c.ask(settling, OpSettle)
	case len(c.votes) == 1:
		return c.ask(deciding, OpDecide)
	}
	c.phase, c.waiting = preparing, len(c.votes)-1
	return c.tell(OpPrepare, func(vote) bool { return true })
}

// ask has the next phase wait for an answer of 0.
func (c *Coordinator) ask(next phase, op Op) []Message {
	c.phase, c.waiting = next, 1
	return []Message{{To: 0, Op: op, At: c.ts}}
}

// tell addresses the participants, but 0, that have voted so.
func (c *Coordinator) tell(op Op, wanted func(vote) bool) (messages []Message) {
	for i := 1; i < len(c.votes); i++ {
		if wanted(c.votes[i]) {
			messages = append(messages, Message{To: i, Op: op, At: c.ts})
		}
	}
	return messages
}

// Step takes a reply and returns what is to be sent for it.
func (c *Coordinator) Step(r Reply) []Message {
	switch {
	case c.phase == preparing && r.Op == OpPrepare:
		return c.stepPrepare(r)
	case c.phase == deciding && r.Op == OpDecide:
		switch {
		case r.Lost && len(c.votes) == 1:
			c.phase = finished // there is no ledger
			return nil
		case r.Lost:
			c.unsure = true
			return c.ask(settling, OpSettle)
		}
		return c.decided(r.Outcome, r.At)
	case c.phase == judging && r.Op == OpJudge:
		outcome := Cancelled
		if !r.Lost && r.Outcome == Repeated {
			outcome = Repeated
		}
		return c.decided(outcome, 0)
	case c.phase == settling && r.Op == OpSettle:
		if r.Lost {
			c.phase = finished // without an outcome: others will finish it
			return nil
		}
		return c.decided(r.Outcome, r.At)
	case c.phase == completing && r.Op == OpCommit:
		return c.stepCommit(r)
	}
	return nil
}

func (c *Coordinator) stepPrepare(r Reply) []Message {
	switch {
	case c.votes[r.From] != voteNone:
		return nil // it said so before
	case r.Lost:
		c.votes[r.From] = voteLost
	case r.Accepted:
		c.votes[r.From] = voteAccepted
		c.ts = max(c.ts, r.At)
	default:
		c.votes[r.From] = voteRefused
	}
	if c.waiting--; c.waiting > 0 {
		return nil
	}
	for _, v := range c.votes[1:] {
		if v != voteAccepted {
			return c.ask(judging, OpJudge)
		}
	}
	return c.ask(deciding, OpDecide)
}

// decided tells the participants what became of the transaction.
func (c *Coordinator) decided(outcome Outcome, at Timestamp) []Message {
	c.outcome = outcome
	if outcome != Committed {
		if c.unsure {
			c.outcome = Undecided
		}
		c.phase = finished
		return c.tell(OpCancel, func(v vote) bool { return v == voteAccepted || v == voteLost })
	}
	c.ts = at
	c.phase, c.waiting = completing, len(c.votes)-1
	if c.waiting == 0 {
		c.phase = finished
		return nil
	}
	return c.tell(OpCommit, func(vote) bool { return true })
}

func (c *Coordinator) stepCommit(r Reply) []Message {
	c.lost = c.lost || r.Lost
	if c.waiting--; c.waiting > 0 {
		return nil
	}
	c.phase = finished
	if c.lost || c.partial {
		return nil // the ledger's record is still needed
	}
	return []Message{{To: 0, Op: OpForget}}
}

// Outcome returns what became of the transaction; Undecided while that is not known. From
// then on the client may be told, although participants may still have to be.
func (c *Coordinator) Outcome() Outcome { return c.outcome }

// Finished reports whether no reply is waited for any more. Without an outcome, nobody knows
// what became, or will become, of the transaction.
func (c *Coordinator) Finished() bool { return c.phase == finished }

// At returns the timestamp of the commit.
func (c *Coordinator) At() Timestamp { return c.ts }
