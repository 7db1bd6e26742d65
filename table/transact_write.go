package table

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// TransactWrite carries out all actions, or none of them.
//
// Actions that all belong to one partition are one entry of its log. Else a txn.Coordinator
// goes through the partitions, and the answer comes as soon as all have accepted;
// what is left to be done is done by a task, or whoever comes across it.
//
// Errors: *NotFoundError, *ValidationError for the request as a whole, *CancelledError,
// *InProgressError, *ParameterMismatchError.
func (s *Service) TransactWrite(r *TransactWriteRequest) (*TransactWriteResult, error) {
	detour := s.newDetour()
	for attempt := 0; ; attempt++ {
		bound, err := s.bindActions(r.Actions)
		if err != nil {
			return nil, err
		}
		t := s.newTransaction(r, bound)
		if err := t.guard(); err != nil {
			return nil, err
		}
		t.isLast = attempt >= maxContends
		result, err := t.run()
		again, failed := t.tryAgain(attempt, detour, err)
		if t.moved {
			attempt-- // the detour bounds how often
		}
		if failed != nil {
			return nil, failed
		}
		if !again {
			if err == nil {
				t.guarded()
			}
			return result, err
		}
	}
}

// guard refuses a token that was used for another request, guarded takes note of the use
// of one; see tokenGuard.
func (t *transaction) guard() error {
	if t.token == (partition.Token{}) {
		return nil
	}
	return t.tokens.check(t.token, t.parameters(), t.env.Now())
}

func (t *transaction) guarded() {
	if t.token != (partition.Token{}) {
		t.tokens.used(t.token, t.parameters(), t.env.Now())
	}
}

func (t *transaction) parameters() (p partition.Token) {
	copy(p[:], t.request.Parameters[:])
	return p
}

// How often a transaction is tried again that met another one, and how long it waits in between:
// contendPause, twice as long each time, and up to as much again by chance.
const (
	maxContends  = 5
	contendPause = time.Millisecond
)

// A transaction is one attempt at a TransactWriteRequest.
type transaction struct {
	*Service
	request *TransactWriteRequest
	bound   []boundAction
	id      txn.ID
	token   partition.Token // zero = none

	parts   []part             // 0 has the anchor
	results []partition.Result // of actions, as far as they are known; by position
	judged  []bool             // there is a result
	machine *txn.Coordinator

	isLast  bool   // attempt
	cleared []bool // what was in the way of an action has gone; nil = nothing was, or nobody has looked

	sizes    []int // of a repeated request
	moved    bool  // a partition did not have an item
	declined bool  // a participant has not accepted
	failed   error // why a partition could not be asked, or what it said of the whole
}

// A part is a participant.
type part struct {
	to      *livePartition
	table   *liveTable
	actions []int    // positions
	hashes  []uint64 // of their items, sorted; but that of the anchor is the first
}

func (s *Service) newTransaction(r *TransactWriteRequest, bound []boundAction) *transaction {
	t := &transaction{Service: s, request: r, bound: bound, id: txn.ID{Node: s.life, Born: s.clock.Now()},
		results: make([]partition.Result, len(bound)), judged: make([]bool, len(bound))}
	if r.Token != "" {
		t.token = partition.Token(hashToken(s.id.key(r.Token)))
	}
	// The anchor follows from the request alone: the action whose row key is the least. So
	// a repetition finds its token, and transactions about the same items meet at one ledger.
	anchor := 0
	for i := range bound {
		if string(bound[i].row) < string(bound[anchor].row) {
			anchor = i
		}
	}
	t.add(anchor)
	for i := range bound {
		if i != anchor {
			t.add(i)
		}
	}
	for i := range t.parts {
		t.parts[i].hashes = slices.Compact(slices.Sorted(slices.Values(t.parts[i].hashes)))
	}
	// The hash of the anchor is the first one.
	first := t.parts[0].hashes
	at := slices.Index(first, t.anchor().Hash)
	first[0], first[at] = first[at], first[0]
	t.machine = txn.NewCoordinator(t.id, t.id.Born, len(t.parts))
	return t
}

func hashToken(text string) (t partition.Token) {
	sum := sha256.Sum256([]byte(text))
	copy(t[:], sum[:])
	return t
}

// add gives an action to the participant that has its item.
func (t *transaction) add(position int) {
	b := &t.bound[position]
	hash := partition.RowHash(b.row)
	to := b.table.partitions.of(hash)
	at := slices.IndexFunc(t.parts, func(p part) bool { return p.to.id == to.id })
	if at < 0 {
		at = len(t.parts)
		t.parts = append(t.parts, part{to: to, table: b.table})
	}
	p := &t.parts[at]
	p.actions, p.hashes = append(p.actions, position), append(p.hashes, hash)
}

// anchor returns where the ledger is.
func (t *transaction) anchor() partition.Place {
	p := &t.parts[0]
	return partition.Place{Table: p.table.id, Hash: partition.RowHash(t.bound[p.actions[0]].row)}
}

// run takes the transaction to where the client can be answered.
func (t *transaction) run() (*TransactWriteResult, error) {
	for i := range t.parts {
		if p := &t.parts[i]; len(p.table.globals) > 0 {
			p.to.admit()
		}
	}
	messages := t.machine.Start()
	if len(t.parts) > 1 && plant.On(plant.AnsweredBeforeDecision) {
		if messages = append(t.exchange(messages[1:]), messages[0]); !t.declined {
			t.inBackground(messages)
			return &TransactWriteResult{Actions: make([]TransactActionResult, len(t.results))}, nil
		}
	}
	for len(messages) > 0 && t.machine.Outcome() == txn.Undecided {
		messages = t.exchange(messages)
	}
	// After a cancellation, the client may try again at once, and is not to meet this attempt; so
	// it waits, unless somebody cannot be reached. Of one that is committed the participants tell.
	cleared := t.clearWay()
	for len(messages) > 0 && t.machine.Outcome() != txn.Committed && t.failed == nil {
		messages = t.exchange(messages)
	}
	if cleared != nil {
		_ = cleared.Wait()
	}
	t.inBackground(messages)
	switch t.machine.Outcome() {
	case txn.Committed:
		return &TransactWriteResult{Actions: t.actionResults()}, nil
	case txn.Repeated:
		return t.repeated(), nil
	case txn.Cancelled:
		return nil, t.cancelled()
	}
	if t.failed == nil {
		t.failed = replication.ErrUnknownOutcome
	}
	return nil, t.failed
}

// clearWay begins to find out what became of the transactions that were in the way of this one, and to have that done, while this one
// lets go of what it has. It returns nil if there were none, or this is the last attempt.
func (t *transaction) clearWay() *env.Group {
	if t.machine.Outcome() != txn.Cancelled || t.failed != nil || t.isLast {
		return nil
	}
	var group *env.Group
	for i := range t.results {
		var conflict *partition.ConflictError
		if r := &t.results[i]; r.Err == nil || !errors.As(r.Err, &conflict) {
			continue
		}
		if group == nil {
			group, t.cleared = env.NewGroup(t.env), make([]bool, len(t.results))
		}
		group.Go("clear the way", func() error {
			gone, err := t.unblock(conflict, t.bound[i].table.id, []uint64{partition.RowHash(t.bound[i].row)})
			t.cleared[i] = gone && err == nil
			return nil
		})
	}
	return group
}

// inBackground exchanges what is still to be sent. What is learned by that is not for the
// client, who is answered meanwhile.
func (t *transaction) inBackground(messages []txn.Message) {
	if len(messages) == 0 {
		return
	}
	rest := *t
	rest.machine, rest.results, rest.judged = t.machine.Copy(), slices.Clone(t.results), slices.Clone(t.judged)
	t.tasks.Go("finish transaction", func() error {
		for len(messages) > 0 {
			messages = rest.exchange(messages)
		}
		return nil
	})
}

// exchange sends messages, all before it waits for the first answer, and returns what the
// machine says to the replies.
func (t *transaction) exchange(messages []txn.Message) (next []txn.Message) {
	replies := make([]txn.Reply, len(messages))
	if op := messages[0].Op; op == txn.OpPrepare || op == txn.OpDo {
		sent := make([]proposal, len(messages))
		for i, m := range messages {
			t.dawdle()
			sent[i] = t.parts[m.To].to.propose(t.command(m).Encode())
		}
		for i, m := range messages {
			replies[i] = t.reply(m, &sent[i])
		}
	} else {
		t.core.each(len(messages), func(i int) { replies[i] = t.ask(messages[i]) })
	}
	for i, m := range messages {
		r := &replies[i]
		r.From, r.Op = m.To, m.Op
		next = append(next, t.machine.Step(*r)...)
	}
	return next
}

// ask carries out a message about a transaction that was begun.
func (t *transaction) ask(m txn.Message) (r txn.Reply) {
	p := &t.parts[m.To]
	var err error
	t.dawdle()
	switch m.Op {
	case txn.OpSettle:
		var v partition.Vote
		v, err = t.core.settleAt(t.id, p.table.id, p.hashes)
		r.Outcome, r.At = v.Outcome, v.At
		for _, i := range p.actions {
			if v.Outcome == txn.Prepared && i < len(v.Sizes) && !t.judged[i] {
				t.results[i].OldBytes = v.Sizes[i]
			}
		}
	case txn.OpDecide:
		r.Outcome, r.At, err = t.core.decide(t.id, m.Outcome, m.At, p.table.id, p.hashes, t.allSizes())
	case txn.OpForget:
		t.core.forgetLater(t.id, t.anchor())
	case txn.OpCommit:
		err = t.core.inform(func() error { return t.core.resolve(t.id, txn.Committed, m.At, p.table.id, p.hashes) })
		if plant.On(plant.ForgottenEarly) {
			err = nil
		}
	default:
		err = t.core.resolve(t.id, txn.Cancelled, 0, p.table.id, p.hashes)
	}
	r.Gone = errors.Is(err, errGone)
	r.Lost = err != nil && !r.Gone
	return r
}

// allSizes returns the sizes of the items as they are known, for a repetition.
func (t *transaction) allSizes() []int {
	if t.token == (partition.Token{}) {
		return nil
	}
	sizes := make([]int, len(t.results))
	for i := range t.results {
		sizes[i] = max(t.results[i].OldBytes, t.results[i].NewBytes)
	}
	return sizes
}

// command returns the command that a message is.
func (t *transaction) command(m txn.Message) *partition.Command {
	p := &t.parts[m.To]
	x := &partition.Transaction{ID: t.id, At: m.At, Token: t.token}
	for _, i := range p.actions {
		x.Actions = append(x.Actions, partition.TransactAction{Position: i, Command: t.request.Actions[i].command()})
	}
	c := &partition.Command{Kind: partition.Transact, Request: t.requestID(), Transaction: x}
	if m.To > 0 {
		c.Kind, x.Anchor = partition.Prepare, t.anchor()
		return c
	}
	x.Parameters, x.Stage, x.Marks = t.parameters(), len(t.parts) > 1, t.token != partition.Token{}
	if x.Stage {
		for i := range t.parts {
			part := &t.parts[i]
			for k, h := range part.hashes {
				if i > 0 || k > 0 { // but for the anchor
					x.Others = append(x.Others, partition.Place{Table: part.table.id, Hash: h})
				}
			}
		}
	}
	return c
}

func (a *TransactAction) command() partition.Command {
	kinds := [...]partition.Kind{TransactPut: partition.Put, TransactDelete: partition.Delete, TransactUpdate: partition.Update, TransactCheck: partition.Check}
	return partition.Command{Kind: kinds[a.Kind], Item: a.Item, Condition: a.Condition, Update: a.Update, ReturnOnFailure: a.ReturnOnFailure}
}

// reply waits for the answer to a message and turns it into what the machine understands.
func (t *transaction) reply(m txn.Message, sent *proposal) (reply txn.Reply) {
	defer func() { t.declined = t.declined || !reply.Accepted }()
	reply.Outcome = txn.Cancelled
	r, err := sent.outcome()
	if err != nil && errors.Is(err, errGone) {
		t.moved, reply.Gone = true, true // or its table is gone
		return reply
	}
	if err != nil {
		t.failed = err
		reply.Lost = true
		return reply
	}
	if x := r.Transaction; x != nil {
		reply.At = x.At
		if x.Outcome != txn.Undecided {
			reply.Outcome = x.Outcome
		}
		if x.Outcome == txn.Repeated {
			t.sizes = x.Sizes
		}
		for k, i := range t.parts[m.To].actions {
			if k < len(x.Actions) {
				t.results[i], t.judged[i] = x.Actions[k], true
			}
		}
	}
	switch {
	case r.Err == nil:
		reply.Accepted = m.Op == txn.OpPrepare && reply.Outcome != txn.Repeated
	case errors.Is(r.Err, partition.ErrRefused):
		reply.Accepted = m.Op == txn.OpPrepare && plant.On(plant.RefusalTakenForYes)
	case errors.Is(r.Err, partition.ErrWrongPartition):
		t.moved = true
	case errors.Is(r.Err, partition.ErrOtherParameters):
		t.failed = &ParameterMismatchError{}
	default: // of the replica, or ErrFateUnknown
		t.failed = r.Err
		reply.Lost = true
	}
	return reply
}

// tryAgain decides what becomes of an attempt that had no effect: a partition may have moved,
// or another transaction may have been in the way, of which the ledger knows more.
func (t *transaction) tryAgain(attempt int, d *detour, err error) (again bool, failed error) {
	switch {
	case err == nil || t.machine.Outcome() != txn.Cancelled:
		return false, nil
	case t.moved || errors.Is(err, errGone):
		t.env.Sometimes("table: transaction is repeated with a newer catalog")
		t.moved = true
		if !d.wait() {
			return false, ErrUnavailable
		}
		return true, nil
	case attempt >= maxContends || t.failed != nil:
		if t.meetsItself() {
			return false, &InProgressError{}
		}
		return false, nil
	}
	free, taken, refused, mine := false, false, false, false
	for i := range t.results {
		r := &t.results[i]
		var conflict *partition.ConflictError
		switch {
		case r.Err == nil:
			continue
		case !errors.As(r.Err, &conflict):
			refused = true
			continue
		}
		gone := t.cleared != nil && t.cleared[i]
		mine = mine || t.isMine(conflict)
		if !gone && t.isMine(conflict) {
			return false, &InProgressError{}
		}
		free, taken = free || gone, taken || !gone
	}
	if free && !taken {
		return true, nil // what was in the way is done
	}
	// What was refused may have been so because of what another attempt at the same request has done.
	if !taken || refused && !mine {
		return false, nil
	}
	t.env.Sometimes("table: transaction is tried again")
	pause := contendPause << attempt
	t.env.Sleep(pause + time.Duration(t.env.Rand()%uint64(pause)))
	return true, nil
}

// isMine reports whether a transaction that is in the way is another attempt at the same request.
func (t *transaction) isMine(conflict *partition.ConflictError) bool {
	return t.token != (partition.Token{}) && conflict.Token == t.token
}

// meetsItself reports whether another attempt at the same request is in the way.
func (t *transaction) meetsItself() bool {
	return slices.ContainsFunc(t.results, func(r partition.Result) bool {
		var conflict *partition.ConflictError
		return errors.As(r.Err, &conflict) && t.isMine(conflict)
	})
}

// cancelled says why the transaction had no effect.
func (t *transaction) cancelled() error {
	var mismatch *ParameterMismatchError
	if errors.As(t.failed, &mismatch) {
		return mismatch
	}
	e := &CancelledError{Reasons: make([]Reason, len(t.results))}
	refused := false
	for i := range t.results {
		reason, err := reasonOf(&t.results[i])
		if err != nil {
			return err
		}
		refused = refused || reason.Code != ReasonNone
		e.Reasons[i] = reason
	}
	if refused && t.token != (partition.Token{}) && !t.judged[t.parts[0].actions[0]] {
		// Only the partition with the anchor knows whether the request was carried out before; then what
		// the others say may be due to that.
		return fmt.Errorf("%w: the partition that knows of the token did not answer", ErrUnavailable)
	}
	// What does not fit is found first, and alone.
	if at := slices.IndexFunc(e.Reasons, func(r Reason) bool { return r.Code == ReasonValidation }); at >= 0 {
		only := e.Reasons[at]
		clear(e.Reasons)
		e.Reasons[at] = only
		return e
	}
	switch {
	case refused:
		return e
	case t.failed != nil && errors.Is(t.failed, replication.ErrUnknownOutcome):
		return fmt.Errorf("%w: a participant did not answer", ErrUnavailable) // and it is known what became of it
	case t.failed != nil:
		return t.failed
	}
	// The ledger had cancelled it, for somebody who took this node for dead, or an item has moved.
	for i := range e.Reasons {
		e.Reasons[i] = Reason{Code: ReasonConflict, Message: conflictMessage}
	}
	return e
}

// reasonOf turns what a partition said of an action into a reason.
func reasonOf(r *partition.Result) (Reason, error) {
	var invalid *partition.InvalidError
	var taken *partition.ConflictError
	switch {
	case r.Err == nil:
		return Reason{}, nil
	case errors.Is(r.Err, partition.ErrConditionFailed):
		return Reason{Code: ReasonConditionFailed, Message: (&ConditionFailedError{}).Error(), Item: r.Attributes}, nil
	case errors.As(r.Err, &taken):
		return Reason{Code: ReasonConflict, Message: conflictMessage}, nil
	case errors.As(r.Err, &invalid):
		return Reason{Code: ReasonValidation, Message: invalid.Message}, nil
	case errors.Is(r.Err, partition.ErrCollectionFull):
		return Reason{Code: ReasonCollectionFull, Message: (&CollectionFullError{}).Error()}, nil
	}
	return Reason{}, r.Err
}

func (t *transaction) actionResults() []TransactActionResult {
	list := make([]TransactActionResult, len(t.results))
	for i := range t.results {
		r := &t.results[i]
		list[i] = TransactActionResult{
			Capacity:        Capacity{Write: capacity.TransactWriteUnits(r.OldBytes, r.NewBytes)},
			Indexes:         indexWrites(r.Indexes),
			CollectionBytes: r.CollectionBytes,
		}
		for k := range list[i].Indexes {
			list[i].Indexes[k].Units *= 2
		}
		if t.request.Actions[i].Kind != TransactCheck {
			list[i].CollectionKey = t.bound[i].table.collectionKey(t.request.Actions[i].Item)
		}
	}
	return list
}

// repeated is the answer to a request that was carried out before.
func (t *transaction) repeated() *TransactWriteResult {
	r := &TransactWriteResult{Repeated: true, Actions: make([]TransactActionResult, len(t.results))}
	for i := range r.Actions {
		size := 0
		if i < len(t.sizes) {
			size = t.sizes[i]
		}
		r.Actions[i].Capacity.Read = capacity.TransactReadUnits(size)
	}
	return r
}
