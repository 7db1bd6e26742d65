package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

const (
	ledgerName = "ledger"
	// otherBook is the second table of worlds whose ledger has two: it has every other key, so that
	// transactions have items of both.
	otherBook = "otherbook"
	// heldIndex is that of the ledger's global index, by what registers hold.
	heldIndex = "byHeld"
)

// ledgerDefinition is that of the ledger, or of its other book.
func ledgerDefinition(name string, partitions int, indexed bool) table.Definition {
	d := table.Definition{
		Name:        name,
		Attributes:  []table.AttributeDefinition{{Name: "k", Type: item.S}},
		Keys:        []table.KeyElement{{Name: "k", Role: table.Hash}},
		BillingMode: "PAY_PER_REQUEST",
		Partitions:  partitions,
	}
	if indexed {
		d.Attributes = append(d.Attributes, table.AttributeDefinition{Name: "v", Type: item.S})
		d.GlobalIndexes = []table.IndexDefinition{{Name: heldIndex, Keys: []table.KeyElement{{Name: "v", Role: table.Hash}}, Projection: &table.Projection{Type: "ALL"}}}
	}
	return d
}

// book returns the table that has a key of the ledger.
func (r *run) book(key string) string {
	if r.plan.Knobs.Books > 1 && key[len(key)-1]%2 == 1 {
		return otherBook
	}
	return ledgerName
}

// books counts the tables that a request is about.
func (x *tx) books() int {
	seen := map[string]bool{}
	for _, key := range x.op.Keys {
		seen[x.run.book(key)] = true
	}
	return len(seen)
}

// A ledger is what is known of the table of the transactors: what each of them asked
// for, and was told.
type ledger struct {
	requests []*tx
	lists    ListHistory
	groups   map[string][]*GroupOp
	parts    []uint64 // raft groups of the table, in the order in which they were seen
}

func (l *ledger) noteGroup(group uint64) {
	if !slices.Contains(l.parts, group) {
		l.parts = append(l.parts, group)
	}
}

// partition returns the raft group that a plan means by the number of a partition; 0 if
// there is none.
func (l *ledger) partition(number int) uint64 {
	if len(l.parts) == 0 {
		return 0
	}
	return l.parts[(number-1)%len(l.parts)]
}

// A tx is one request of a transactor, with all its attempts.
type tx struct {
	run     *run
	op      *Transaction
	token   string // "": it is a single request, or a read
	client  int
	open    int  // attempts under way
	doubt   bool // an attempt has ended, and nobody knows how
	failed  bool // one has ended without effect
	closed  bool // there are no more attempts
	outcome Outcome
	call    int64
	ret     int64
	weak    bool // a read while leases do not hold: it may show what is old

	list  *ListOp
	there map[string]bool // lists that were seen to have elements
	group *GroupOp
	saw   []item.Item // of an audit or a watch
}

func (x *tx) String() string {
	switch x.op.Do {
	case "append", "lists":
		return x.list.String()
	case "set", "see":
		return x.group.String()
	}
	return fmt.Sprintf("client %d: %s %s", x.client, x.op.Do, strings.Join(x.op.Keys, " "))
}

// begin makes a request of what the plan says and the client knows.
func (t *transactor) begin(op *Transaction) *tx {
	x := &tx{run: t.run, op: op, client: t.id, list: &ListOp{Client: t.id}, group: &GroupOp{Client: t.id}}
	if x.isWrite() && !x.single() {
		x.token = fmt.Sprintf("%s-%d", t.name, t.run.newID())
	}
	switch op.Do {
	case "append":
		keys := op.Keys
		if len(op.How) > 0 {
			last := len(keys) - 1
			x.list.Found = map[string]int{keys[last]: t.length[keys[last]]}
			keys = keys[:last]
		}
		x.there = map[string]bool{}
		for _, key := range keys {
			x.there[key] = op.Via == "partiql" && t.length[key] > 0
		}
		x.list.Key, x.list.Element = keys[0], op.Value+"."+keys[0]
		for _, key := range keys[1:] {
			x.list.Also = append(x.list.Also, ListAppend{key, op.Value + "." + key})
		}
	case "lists":
		x.list.Reads = op.Keys
	case "set", "see":
		for i, key := range op.Keys {
			p := GroupPart{Register: int(key[len(key)-1] - '0'), Kind: Get}
			if op.Do == "set" {
				p.Kind, p.If, _ = parseHow(op.How[i])
				if p.If == IfValue {
					if p.Expected = t.held[key]; p.Expected == "" {
						p.If = IfAbsent
					}
				}
				if p.Kind == Put {
					p.Value = op.Value + "." + key
				}
			}
			x.group.Parts = append(x.group.Parts, p)
		}
	}
	return x
}

func (x *tx) isWrite() bool {
	return slices.Contains([]string{"transfer", "touch", "leave", "join", "append", "set", "once"}, x.op.Do)
}

// single reports whether it is a request for one item that is no transaction.
func (x *tx) single() bool {
	return x.op.Do == "touch" || x.op.Do == "join" || len(x.op.Keys) == 1
}

// repeatable reports whether sending it again does not do it again.
func (x *tx) repeatable() bool { return x.token != "" || !x.isWrite() }

func (x *tx) settled() bool { return x.outcome == Done || x.outcome == Refused }

// end takes note of how an attempt has ended. Success is that of the request. Any
// other answer is, if there is no attempt of which it is not known what it came to; that
// nothing has happened, if there will be no other one.
func (x *tx) end(outcome Outcome) {
	switch {
	case x.settled():
		return
	case outcome == Unknown:
		x.doubt = true
	case outcome == Failed:
		x.failed = true
	case outcome == Done || !x.doubt && x.open == 0:
		x.publish(outcome)
		return
	}
	x.giveUp(x.closed)
}

// giveUp says whether there are no more attempts.
func (x *tx) giveUp(closed bool) {
	x.closed = closed
	if x.closed && x.failed && !x.doubt && x.open == 0 && x.outcome == Unknown {
		x.publish(Failed)
	}
}

func (x *tx) publish(outcome Outcome) {
	x.outcome = outcome
	x.run.history.now++
	x.ret = x.run.history.now
	x.list.Outcome, x.list.Return, x.list.Ended = outcome, x.ret, x.run.world.Now()
	x.group.Outcome, x.group.Return = outcome, x.ret
	for i := range x.group.Parts {
		if p := &x.group.Parts[i]; p.Refused && outcome != Refused { // by an earlier attempt
			p.Refused, p.Saw = false, nil
		}
	}
	x.run.world.Note("ledger: %s", x)
	if outcome == Done && !x.weak {
		if err := x.look(); err != nil {
			x.run.fail(found(Serializability, err))
		}
	}
}

// call takes note of a request before its first attempt.
func (l *ledger) call(x *tx) {
	x.run.history.now++
	x.call = x.run.history.now
	x.list.Call, x.group.Call, x.list.Began = x.call, x.call, x.run.world.Now()
	l.requests = append(l.requests, x)
	if x.weak {
		return
	}
	switch x.op.Do {
	case "append", "lists":
		l.lists = append(l.lists, x.list)
	case "set", "see":
		if l.groups == nil {
			l.groups = map[string][]*GroupOp{}
		}
		name := x.op.Keys[0][:2]
		l.groups[name] = append(l.groups[name], x.group)
	}
}

// crowded reports whether there are too many requests about a group without an answer.
func (l *ledger) crowded(x *tx) bool {
	n := 0
	if x.op.Do == "set" {
		for _, o := range l.groups[x.op.Keys[0][:2]] {
			if o.Return == 0 && !o.reads() {
				n++
			}
		}
	}
	return n >= maxOpenTransactions
}

// settle notes that what has no answer does not happen any more, unless it has.
func (l *ledger) settle(now int64) {
	for _, x := range l.requests {
		if x.ret == 0 {
			x.ret = now
			x.list.Return, x.group.Return = now, now
		}
	}
}

// check looks at all that needs more than one answer.
func (l *ledger) check(budget int) error {
	if err := CheckLists(l.lists); err != nil {
		return err
	}
	for _, name := range sortedKeys(l.groups) {
		if err := checkGroup(name, l.groups[name], budget); err != nil {
			return err
		}
	}
	return nil
}

// look judges what one answer shows by itself.
func (x *tx) look() error {
	switch x.op.Do {
	case glimpse:
		return x.glimpsed()
	case "audit":
		sum := int64(0)
		for _, it := range x.saw {
			sum += numberIn(it, "n")
		}
		if want := int64(accounts * opening); sum != want {
			return fmt.Errorf("sim: the accounts hold %d together, not %d: %s", sum, want, jsonOf(x.saw))
		}
	case "watch":
		if numberIn(x.saw[0], "duty")+numberIn(x.saw[1], "duty") == 0 {
			return fmt.Errorf("sim: both of a pair are off, although each went off only while the other was on (G2): %s", jsonOf(x.saw))
		}
	}
	return nil
}

func numberIn(it item.Item, name string) int64 {
	v, ok := it.Get(name)
	if !ok || v.Type() != item.N {
		return 0
	}
	n, err := strconv.ParseInt(v.Number().String(), 10, 64)
	if err != nil {
		return -1 << 40
	}
	return n
}

func jsonOf(items []item.Item) string {
	var b []byte
	for _, it := range items {
		b = append(it.AppendJSON(b), ' ')
	}
	return string(b)
}

func ledgerKey(key string) item.Item {
	return item.NewItem(map[string]item.Value{"k": item.String(key)})
}

// carryOut is one attempt. The error is one that no fault excuses.
func (x *tx) carryOut(s *server) (Outcome, error) {
	way := x.way(s)
	var err error
	switch {
	case x.single() && x.isWrite():
		err = x.singleWrite(way)
	case x.isWrite():
		_, err = way.write(x, "")
	default:
		var items []item.Item
		if items, err = way.read(x); err == nil {
			err = x.show(items)
		}
	}
	return x.judge(err)
}

// judge says what became of an attempt.
func (x *tx) judge(err error) (Outcome, error) {
	var cancelled *table.CancelledError
	var conflict *table.ConflictError
	var running *table.InProgressError
	switch {
	case errors.As(err, &cancelled):
		return x.cancelled(cancelled.Reasons)
	case errors.As(err, &conflict), errors.As(err, &running): // this attempt does nothing
		x.run.fire("transaction met another")
		return Failed, nil
	}
	var fault *edgeFault
	if errors.As(err, &fault) {
		return fault.outcome()
	}
	var refused *table.ConditionFailedError
	if errors.As(err, &refused) && x.op.Do == "set" {
		x.refuse(0, refused.Item)
		return Refused, nil
	}
	o, _, err := x.run.outcome(nil, err)
	return o, err
}

func (x *tx) cancelled(reasons []table.Reason) (Outcome, error) {
	o := Failed
	for i, reason := range reasons {
		switch reason.Code {
		case table.ReasonNone:
		case table.ReasonConflict:
			x.run.fire("transaction met another")
		case table.ReasonConditionFailed, table.ReasonDuplicateItem:
			switch o = Refused; x.op.Do {
			case "set":
				x.refuse(i, reason.Item)
			case "once": // the token must have told that it is the same request
				if x.isForgotten() {
					return Unknown, nil
				}
				return Unknown, found(Serializability, fmt.Errorf("sim: %s is refused for what it has done itself under its token: %s", x, reason.Item.AppendJSON(nil)))
			}
		default:
			return Unknown, found(Unexpected, fmt.Errorf("sim: %s: cancelled for %v: %s", x, reason.Code, reason.Message))
		}
	}
	if len(reasons) != len(x.op.Keys) {
		return Unknown, found(Unexpected, fmt.Errorf("sim: %s: cancelled with %d reasons", x, len(reasons)))
	}
	return o, nil
}

// refuse notes that a condition was false. An earlier attempt may have said so of
// others, but what counts is the last one.
func (x *tx) refuse(i int, saw item.Item) {
	if x.settled() {
		return
	}
	p := &x.group.Parts[i]
	held := textIn(saw, "v")
	p.Refused, p.Saw = true, &held
}

func textIn(it item.Item, name string) string {
	v, ok := it.Get(name)
	if !ok || v.Type() != item.S {
		return ""
	}
	return string(v.Bytes())
}

// show takes note of what a read shows.
func (x *tx) show(items []item.Item) error {
	if len(items) != len(x.op.Keys) {
		return damaged("%d items of %d", len(items), len(x.op.Keys))
	}
	if x.settled() {
		return nil
	}
	x.saw = items
	for i, key := range x.op.Keys {
		if it := items[i]; it != nil && textIn(it, "k") != key {
			return damaged("%s is shown as %s", key, it.AppendJSON(nil))
		}
		switch x.op.Do {
		case "lists":
			if x.list.Saw == nil {
				x.list.Saw = map[string][]string{}
			}
			x.list.Saw[key] = listIn(items[i])
		case "see":
			held := textIn(items[i], "v")
			x.group.Parts[i].Saw = &held
		}
	}
	return nil
}

func listIn(it item.Item) (list []string) {
	v, ok := it.Get("l")
	if !ok || v.Type() != item.L {
		return nil
	}
	for e := range v.Elements() {
		list = append(list, string(e.Bytes()))
	}
	return list
}

// singleWrite carries out a write of one item that is no transaction, and takes note of what it
// shows.
func (x *tx) singleWrite(way ledgerWay) error {
	if x.op.Do == "set" && x.group.Parts[0].Kind == Get { // a check of one register
		items, err := way.read(x)
		if err != nil {
			return err
		}
		var s groupState
		p := &x.group.Parts[0]
		if s[p.Register] = textIn(items[0], "v"); !p.holds(&s) {
			err = &table.ConditionFailedError{Item: items[0]}
		}
		return err
	}
	shown, err := way.single(x)
	if err != nil || x.settled() {
		return err
	}
	switch x.op.Do {
	case "append":
		x.list.Saw, x.list.After = map[string][]string{x.op.Keys[0]: listIn(shown)}, true
	case "set":
		held := textIn(shown, "v")
		x.group.Parts[0].Saw = &held
	}
	return nil
}

// createLedger makes the table, and opens accounts and pairs.
func (r *run) createLedger() {
	if len(r.plan.Transactors) == 0 || r.err != nil {
		return
	}
	k := &r.plan.Knobs
	r.createTable(ledgerDefinition(ledgerName, k.Partitions, k.HeldIndex))
	if k.Books > 1 {
		r.createTable(ledgerDefinition(otherBook, 1, false))
	}
	var rows []item.Item
	for i := range accounts {
		rows = append(rows, item.NewItem(map[string]item.Value{"k": item.String(accountKey(i)), "n": number(opening), "t": number(0)}))
	}
	for i := range 2 * pairs {
		rows = append(rows, item.NewItem(map[string]item.Value{"k": item.String(pairKey(i/2, i%2)), "duty": number(1)}))
	}
	for _, it := range rows {
		r.must("open the ledger", func(s *server) error {
			_, err := s.tables.Put(&table.PutRequest{Table: r.book(textIn(it, "k")), Item: it})
			return err
		})
	}
}

// must has any of the nodes do something that works when there are no faults.
func (r *run) must(name string, f func(s *server) error) {
	err := errors.New("no node is up")
	for start := r.clients.Now(); r.clients.Now().Sub(start) < 2*r.limit(); r.clients.Sleep(20 * time.Millisecond) {
		for _, n := range r.nodes {
			answered, e := r.inTask(n, name, f)
			if answered && e == nil || r.err != nil {
				return
			}
			if e != nil {
				err = e
			}
		}
	}
	r.fail(found(Progress, fmt.Errorf("sim: %s, without faults: %w", name, err)))
}
