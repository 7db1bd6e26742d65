package txn

import (
	"fmt"
	"slices"
)

// A Coordinator carries a transaction through its participants. It is a state machine without
// clock, memory of messages, or knowledge of what is written: replies go in, messages
// come out, and whoever drives it sends these and brings what is answered, in any order. A
// message that is sent twice has no further effect, so the driver may repeat it.
//
// Participants are numbered. Number 0 has the anchor, and with it the record that names the
// others.
//
//	        prepare                     decide                commit
//	0 ─┐  ┌─────────▶ accepted ─┐      ┌──────▶ committed ─┐
//	1 ─┼──┼─────────▶ accepted ─┼──┬───┤ 0                 ├┬──────▶ done ─┐
//	2 ─┘  └─────────▶ accepted ─┘  │   └───────────────────┘└──────▶ done ─┴──▶ forget 0
//	                               └▶ answer to the client
//
// When all have accepted, the transaction is committed, and the client is told so. The rest has everybody
// else know it, too.
//
// With one participant there is one message, which does everything. If somebody refuses, the others are
// told to cancel. If a reply stays out, the one whose it is settles: it answers that it has accepted, or that it
// never will. In the latter case nobody is told to cancel before the ledger of 0 has said so: others may
// have finished the transaction meanwhile, and whoever answers has forgotten it. When the ledger, too,
// knows nothing of it, the client is told nothing.
type Coordinator struct {
	id      ID
	ts      Timestamp // of the commit, as far as it is known
	phase   phase
	outcome Outcome
	votes   []vote // by participant
	waiting int    // for so many replies of this phase
	wanted  Outcome
	partial bool // there may be participants that it does not know
	lost    bool // of a reply to a commit
}

type phase byte

const (
	preparing  phase = iota + 1
	doing            // the only participant was asked to do it
	asking           // a recovery has asked 0 what it has to say
	settling         // others were asked the same
	deciding         // 0 was asked to record what is wanted
	completing       // decided; participants are told
	finished
)

// A vote is what a participant has said.
type vote byte

const (
	voteNone     vote = iota
	voteAccepted      // it is prepared
	voteRefused       // it is not, and will not be
	voteRepeated      // the same, because of a token
	voteLost          // it may be, or become, prepared
	voteFenced        // it is not, and will not be; but it may have been
)

// An Op is what a Message asks a participant for.
type Op byte

const (
	OpPrepare Op = iota + 1 // all of its items, or none; 0 makes a record that names the others
	OpDo                    // the only one: do all, or nothing
	OpSettle                // is it prepared? else it must never be
	OpLook                  // is it prepared? what is known of the transaction?
	OpDecide                // 0: record Message.Outcome, and act on it
	OpCommit
	OpCancel
	OpForget // 0: nobody will ask any more
)

func (o Op) String() string {
	names := [...]string{OpPrepare: "prepare", OpDo: "do", OpSettle: "settle", OpLook: "look", OpDecide: "decide", OpCommit: "commit", OpCancel: "cancel", OpForget: "forget"}
	if o == 0 || int(o) >= len(names) {
		return fmt.Sprintf("op(%d)", byte(o))
	}
	return names[o]
}

// A Message goes to a participant.
type Message struct {
	To      int
	Op      Op
	At      Timestamp // OpDo: the least of the commit; OpDecide, OpCommit: of the commit
	Outcome Outcome   // OpDecide: Committed or Cancelled
}

// A Reply comes from a participant.
type Reply struct {
	From int
	Op   Op
	// Lost means that none will come: the message may or may not
	// have had its effect, or may have it later.
	Lost bool
	// Gone means that there is no such participant any more, and no item of its.
	Gone bool

	Accepted bool // OpPrepare
	// Outcome is what is known: OpPrepare and OpDo: Repeated; OpSettle: Prepared, Committed or Cancelled;
	// OpLook: also Undecided; OpDecide: Committed, Cancelled, or Undecided if there is no record.
	Outcome Outcome
	At      Timestamp // of the commit, if Outcome is Committed; else the earliest of the items
	Others  int       // of 0, Prepared: how many other participants the record names
}

// NewCoordinator returns the coordinator of a new transaction that wants to commit at ts, or
// later.
func NewCoordinator(id ID, ts Timestamp, participants int) *Coordinator {
	return &Coordinator{id: id, ts: ts, votes: make([]vote, participants)}
}

// NewRecovery returns a coordinator that finishes a transaction of which another one may have
// died. If it does not know all participants (partial), it learns them from 0, or that one keeps its
// record.
func NewRecovery(id ID, participants int, partial bool) *Coordinator {
	c := NewCoordinator(id, id.Born, participants)
	c.phase, c.partial = asking, partial
	for i := range c.votes {
		c.votes[i] = voteLost
	}
	return c
}

// Copy returns a coordinator that is where this one is, and goes on by itself.
func (c *Coordinator) Copy() *Coordinator {
	other := *c
	other.votes = slices.Clone(c.votes)
	return &other
}

// Start returns the first messages.
func (c *Coordinator) Start() []Message {
	switch {
	case c.phase == asking:
		c.waiting = 1
		return []Message{{To: 0, Op: OpSettle}}
	case len(c.votes) == 1:
		c.phase, c.waiting = doing, 1
		return []Message{{To: 0, Op: OpDo, At: c.ts}}
	}
	c.phase = preparing
	return c.tell(OpPrepare, 0, func(vote) bool { return true })
}

// tell addresses the participants from first on that have voted so, and waits for them.
func (c *Coordinator) tell(op Op, first int, wanted func(vote) bool) (messages []Message) {
	for i := first; i < len(c.votes); i++ {
		if wanted(c.votes[i]) {
			messages = append(messages, Message{To: i, Op: op, At: c.ts})
		}
	}
	c.waiting = len(messages)
	return messages
}

// Step takes a reply and returns what is to be sent for it.
func (c *Coordinator) Step(r Reply) []Message {
	switch {
	case c.phase == preparing && r.Op == OpPrepare:
		return c.stepPrepare(r)
	case c.phase == doing && r.Op == OpDo:
		c.phase = finished
		if !r.Lost {
			c.outcome, c.ts = r.Outcome, max(c.ts, r.At)
		}
	case c.phase == asking && r.Op == OpSettle:
		return c.stepAsk(r)
	case c.phase == settling && r.Op == OpSettle:
		return c.stepSettle(r)
	case c.phase == deciding && r.Op == OpDecide:
		return c.stepDecide(r)
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
	case r.Gone:
		c.votes[r.From] = voteFenced
	case r.Outcome == Repeated:
		c.votes[r.From] = voteRepeated
	default:
		c.votes[r.From] = voteRefused
	}
	if c.waiting--; c.waiting > 0 {
		return nil
	}
	// Who has refused has not accepted before: nobody has ever found the transaction committed.
	switch {
	case c.any(voteRepeated):
		return c.cancel(Repeated, 0)
	case c.any(voteRefused):
		return c.cancel(Cancelled, 0)
	case c.any(voteLost):
		c.phase = settling
		return c.tell(OpSettle, 0, func(v vote) bool { return v == voteLost })
	}
	return c.decide()
}

func (c *Coordinator) any(v vote) bool {
	for _, has := range c.votes {
		if has == v {
			return true
		}
	}
	return false
}

// cancel has participants let go of their items. Nobody has to answer.
func (c *Coordinator) cancel(outcome Outcome, first int) []Message {
	c.outcome, c.phase = outcome, finished
	return c.tell(OpCancel, first, func(v vote) bool { return v == voteAccepted || v == voteLost || v == voteFenced })
}

// decide has it recorded what follows from the votes, all of which are final.
func (c *Coordinator) decide() []Message {
	c.wanted = Committed
	switch {
	case c.votes[0] == voteFenced: // there will be no record
		return c.cancel(Undecided, 1)
	case c.any(voteFenced):
		c.wanted = Cancelled
	default:
		c.outcome = Committed
	}
	c.phase, c.waiting = deciding, 1
	return []Message{{To: 0, Op: OpDecide, At: c.ts, Outcome: c.wanted}}
}

// stepAsk takes what 0 says to a recovery, which may learn of the other participants by that.
func (c *Coordinator) stepAsk(r Reply) []Message {
	switch {
	case r.Lost:
		c.phase = finished // without an outcome: others will finish it
		return nil
	case r.Gone || r.Outcome == Cancelled:
		return c.cancel(Cancelled, 1)
	case r.Outcome == Committed:
		return c.complete(r.At)
	}
	if r.Others > 0 {
		c.votes, c.partial = make([]vote, 1+r.Others), false
	}
	for i := range c.votes {
		c.votes[i] = voteLost
	}
	c.votes[0], c.ts = voteAccepted, max(c.ts, r.At)
	c.phase = settling
	return c.tell(OpSettle, 1, func(vote) bool { return true })
}

func (c *Coordinator) stepSettle(r Reply) []Message {
	switch {
	case r.Lost:
	case r.Outcome == Committed:
		return c.complete(r.At)
	case r.Gone || r.Outcome == Cancelled:
		c.votes[r.From] = voteFenced
	default:
		c.votes[r.From] = voteAccepted
		c.ts = max(c.ts, r.At)
	}
	if c.waiting--; c.waiting > 0 {
		return nil
	}
	if c.any(voteLost) && !c.any(voteFenced) {
		c.phase = finished // without an outcome: others will finish it
		return nil
	}
	return c.decide()
}

func (c *Coordinator) stepDecide(r Reply) []Message {
	switch {
	case r.Lost:
	case r.Outcome == Committed:
		return c.complete(r.At)
	case c.wanted == Cancelled && r.Outcome == Cancelled:
		return c.cancel(Cancelled, 1)
	case c.wanted == Cancelled:
		return c.cancel(Undecided, 1) // it was never prepared at 0, or it is committed and forgotten
	}
	c.phase = finished // somebody else has done all this, or will
	return nil
}

// complete tells the participants that the transaction is committed, as 0 has recorded.
func (c *Coordinator) complete(at Timestamp) []Message {
	c.outcome, c.ts, c.phase = Committed, at, completing
	messages := c.tell(OpCommit, 1, func(vote) bool { return true })
	if len(messages) == 0 {
		c.phase = finished
	}
	return messages
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
