package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

const ledgerName = "ledger"

func ledgerDefinition(partitions int) table.Definition {
	return table.Definition{
		Name:        ledgerName,
		Attributes:  []table.AttributeDefinition{{Name: "k", Type: item.S}},
		Keys:        []table.KeyElement{{Name: "k", Role: table.Hash}},
		BillingMode: "PAY_PER_REQUEST",
		Partitions:  partitions,
	}
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
	return slices.Contains([]string{"transfer", "touch", "leave", "join", "append", "set"}, x.op.Do)
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
	var err error
	switch {
	case x.single() && x.isWrite():
		err = x.singleWrite(s)
	case x.single():
		var r *table.GetResult
		if r, err = s.tables.Get(&table.GetRequest{Table: ledgerName, Key: ledgerKey(x.op.Keys[0]), Consistent: true}); err == nil {
			err = x.show([]item.Item{r.Item})
		}
	case x.isWrite():
		var request *table.TransactWriteRequest
		if request, err = x.write(); err != nil {
			return Unknown, err
		}
		_, err = s.tables.TransactWrite(request)
	default:
		request := &table.TransactGetRequest{}
		for _, key := range x.op.Keys {
			request.Items = append(request.Items, table.TransactGetItem{Table: ledgerName, Key: ledgerKey(key)})
		}
		var r *table.TransactGetResult
		if r, err = s.tables.TransactGet(request); err == nil {
			err = x.show(r.Items)
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
	var refused *table.ConditionFailedError
	if errors.As(err, &refused) && x.op.Do == "set" {
		x.refuse(0, refused.Item)
		return Refused, nil
	}
	o, _, err := outcome(nil, err)
	return o, err
}

func (x *tx) cancelled(reasons []table.Reason) (Outcome, error) {
	o := Failed
	for i, reason := range reasons {
		switch reason.Code {
		case table.ReasonNone:
		case table.ReasonConflict:
			x.run.fire("transaction met another")
		case table.ReasonConditionFailed:
			if o = Refused; x.op.Do == "set" {
				x.refuse(i, reason.Item)
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

// ledgerParams are the values of an action's expressions.
type ledgerParams map[string]item.Value

func (p ledgerParams) update(text string) (*expr.Update, error) {
	return expr.ParseUpdate(text, expr.NewParams(nil, item.NewItem(p)))
}

func (p ledgerParams) condition(text string) (*expr.Condition, error) {
	return expr.ParseCondition(expr.ConditionExpression, text, expr.NewParams(nil, item.NewItem(p)))
}

// write makes the request of a transaction that writes.
func (x *tx) write() (*table.TransactWriteRequest, error) {
	r := &table.TransactWriteRequest{Token: x.token}
	var errs []error
	for i, key := range x.op.Keys {
		a, err := x.action(i, key)
		a.Table, a.ReturnOnFailure = ledgerName, true
		if a.Item == nil {
			a.Item = ledgerKey(key)
		}
		r.Actions = append(r.Actions, a)
		errs = append(errs, err)
	}
	for i := range r.Parameters {
		r.Parameters[i] = x.token[i%len(x.token)]
	}
	return r, errors.Join(errs...)
}

func (x *tx) action(i int, key string) (a table.TransactAction, err error) {
	switch x.op.Do {
	case "transfer":
		values, sign := ledgerParams{":n": number(x.op.Count)}, "+"
		a.Kind = table.TransactUpdate
		if i == 0 {
			sign = "-"
			if a.Condition, err = values.condition("n >= :n"); err != nil {
				return a, err
			}
		}
		a.Update, err = values.update("SET n = n " + sign + " :n")
	case "leave":
		if i == 0 {
			a.Kind = table.TransactUpdate
			a.Update, err = ledgerParams{":off": number(0)}.update("SET duty = :off")
			return a, err
		}
		a.Kind = table.TransactCheck
		a.Condition, err = ledgerParams{":on": number(1)}.condition("duty = :on")
	case "append":
		if n, conditional := x.list.Found[key]; conditional && i > 0 {
			a.Kind = table.TransactCheck
			a.Condition, err = lengthIs(n)
			return a, err
		}
		a.Kind = table.TransactUpdate
		a.Update, err = appending(x.list.elementOf(key))
	case "set":
		p := &x.group.Parts[i]
		a.Kind = [...]table.ActionKind{Get: table.TransactCheck, Put: table.TransactPut, Delete: table.TransactDelete}[p.Kind]
		if p.Kind == Put {
			a.Item = registerItem(key, p.Value)
		}
		a.Condition, err = p.condition()
	}
	return a, err
}

func registerItem(key, value string) item.Item {
	return item.NewItem(map[string]item.Value{"k": item.String(key), "v": item.String(value), "filler": item.Bytes(filler(value))})
}

func (p *GroupPart) condition() (*expr.Condition, error) {
	switch p.If {
	case IfAbsent:
		return ledgerParams{}.condition("attribute_not_exists(k)")
	case IfPresent:
		return ledgerParams{}.condition("attribute_exists(k)")
	case IfValue:
		return ledgerParams{":v": item.String(p.Expected)}.condition("v = :v")
	}
	return nil, nil
}

func lengthIs(n int) (*expr.Condition, error) {
	if n == 0 {
		return ledgerParams{}.condition("attribute_not_exists(k)")
	}
	return ledgerParams{":n": number(int64(n))}.condition("size(l) = :n")
}

func appending(element string) (*expr.Update, error) {
	values := ledgerParams{":e": item.List(), ":x": item.List(item.String(element))}
	return values.update("SET l = list_append(if_not_exists(l, :e), :x)")
}

func (x *tx) singleWrite(s *server) (err error) {
	key := ledgerKey(x.op.Keys[0])
	r := &table.UpdateRequest{Table: ledgerName, Key: key, ReturnOnFailure: true}
	switch x.op.Do {
	case "touch":
		r.Update, err = ledgerParams{":1": number(1)}.update("ADD t :1")
	case "join":
		r.Update, err = ledgerParams{":on": number(1)}.update("SET duty = :on")
	case "append":
		r.Return = table.AllNew
		r.Update, err = appending(x.list.Element)
	case "set":
		return x.singleSet(s, key)
	}
	if err != nil {
		return err
	}
	result, err := s.tables.UpdateItem(r)
	if err == nil && x.op.Do == "append" && !x.settled() {
		x.list.Saw, x.list.After = map[string][]string{x.op.Keys[0]: listIn(result.Attributes)}, true
	}
	return err
}

// singleSet writes one register, and shows what it held.
func (x *tx) singleSet(s *server, key item.Item) error {
	p := &x.group.Parts[0]
	condition, err := p.condition()
	if err != nil {
		return err
	}
	var result *table.WriteResult
	switch p.Kind {
	case Put:
		result, err = s.tables.Put(&table.PutRequest{
			Table: ledgerName, Item: registerItem(x.op.Keys[0], p.Value), Condition: condition, Return: table.AllOld, ReturnOnFailure: true,
		})
	case Delete:
		result, err = s.tables.DeleteItem(&table.DeleteRequest{
			Table: ledgerName, Key: key, Condition: condition, Return: table.AllOld, ReturnOnFailure: true,
		})
	default: // a check of one register
		var got *table.GetResult
		if got, err = s.tables.Get(&table.GetRequest{Table: ledgerName, Key: key, Consistent: true}); err == nil && !condition.Eval(got.Item) {
			err = &table.ConditionFailedError{Item: got.Item}
		}
		return err
	}
	if err == nil && !x.settled() {
		held := textIn(result.Attributes, "v")
		p.Saw = &held
	}
	return err
}

// createLedger makes the table, and opens accounts and pairs.
func (r *run) createLedger() {
	if len(r.plan.Transactors) == 0 || r.err != nil {
		return
	}
	r.createTable(ledgerDefinition(r.plan.Knobs.Partitions))
	var rows []item.Item
	for i := range accounts {
		rows = append(rows, item.NewItem(map[string]item.Value{"k": item.String(accountKey(i)), "n": number(opening), "t": number(0)}))
	}
	for i := range 2 * pairs {
		rows = append(rows, item.NewItem(map[string]item.Value{"k": item.String(pairKey(i/2, i%2)), "duty": number(1)}))
	}
	for _, it := range rows {
		r.must("open the ledger", func(s *server) error {
			_, err := s.tables.Put(&table.PutRequest{Table: ledgerName, Item: it})
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

// verifyLedger reads everything at rest, and writes to every item once more: no
// transaction may stand in the way for good.
func (r *run) verifyLedger() {
	if len(r.plan.Transactors) == 0 || r.err != nil {
		return
	}
	r.history.now++
	r.ledger.settle(r.history.now)
	t := &transactor{
		client: r.newClient(&ClientPlan{Node: 1, Roams: true, Patience: Duration(probeLimit)}, "auditor"),
		plan:   &TransactorPlan{Patience: Duration(probeLimit), Roams: true}, length: map[string]int{}, held: map[string]string{},
	}
	var last []Transaction
	last = append(last, Transaction{Do: "audit", Keys: ledgerKeys("a")}, Transaction{Do: "lists", Keys: ledgerKeys("l")})
	for i := range pairs {
		last = append(last, Transaction{Do: "watch", Keys: ledgerKeys(fmt.Sprint("d", i))})
	}
	for i := range groups {
		keys := ledgerKeys(fmt.Sprint("g", i))
		how := make([]string, len(keys))
		for k := range how {
			how[k] = "put"
		}
		value := fmt.Sprint("last", r.newID())
		last = append(last, Transaction{Do: "see", Keys: keys}, Transaction{Do: "set", Keys: keys, Value: value, How: how}, Transaction{Do: "see", Keys: keys})
	}
	last = append(last, Transaction{Do: "transfer", Keys: []string{accountKey(0), accountKey(1)}}, Transaction{Do: "transfer", Keys: []string{accountKey(2), accountKey(3)}})
	for i := range last {
		start, done := r.clients.Now(), false
		for !done && r.err == nil && r.clients.Now().Sub(start) < 2*r.limit() {
			t.node = r.nodes[int(t.node.id)%len(r.nodes)]
			x := t.begin(&last[i])
			r.ledger.call(x)
			t.attempt(x)
			x.giveUp(true)
			if done = x.outcome == Done; !done {
				r.clients.Sleep(20 * time.Millisecond)
			}
		}
		if !done && r.err == nil {
			r.fail(found(Progress, fmt.Errorf("sim: after all faults were over: %s does not succeed", last[i].Do)))
		}
	}
	r.checkTouches()
}

// checkTouches compares the touches of accounts with those that were acknowledged: a
// transaction must not write over what came between.
func (r *run) checkTouches() {
	for i := range accounts {
		done, most := int64(0), int64(0)
		for _, x := range r.ledger.requests {
			if x.op.Do != "touch" || x.op.Keys[0] != accountKey(i) || x.outcome == Failed {
				continue
			}
			most++
			if x.outcome == Done {
				done++
			}
		}
		var got int64
		r.must("read touches", func(s *server) error {
			g, err := s.tables.Get(&table.GetRequest{Table: ledgerName, Key: ledgerKey(accountKey(i)), Consistent: true})
			if err == nil {
				got = numberIn(g.Item, "t")
			}
			return err
		})
		if r.err == nil && (got < done || got > most) {
			r.fail(found(Loss, fmt.Errorf("sim: account %d was touched %d times, %d to %d were asked for", i, got, done, most)))
		}
	}
}
