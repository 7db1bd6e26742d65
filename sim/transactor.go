package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/table"
)

// A TransactorPlan is what one client asks for of the ledger, a table of its own on
// which transactions and single requests meet. It is one request after the other, as
// in a ClientPlan. A request that has no answer, or was refused because another one
// was at its items, is sent again under the same token.
type TransactorPlan struct {
	Node     int           `json:"node"`
	Roams    bool          `json:"roams,omitempty"`
	Patience Duration      `json:"patience"`
	Retries  int           `json:"retries,omitempty"`
	Ops      []Transaction `json:"ops"`
}

// A Transaction is one request of a transactor. What it does:
//
//	transfer  moves count from the first account to the second, if it is there
//	audit     reads all accounts at one moment: they always hold the same together
//	touch     a single write that counts the touches of an account
//	leave     the first of a pair goes off, if the other one is on: never are both off
//	join      a single write: the first goes on
//	watch     reads both of a pair at one moment
//	append    appends an element each to the lists; with if, if the last of these has the
//	          length that the client knows. One list: a single write
//	lists     reads lists at one moment. One list: a single read
//	set       writes registers of one group, each as its part says. One part: a single write
//	see       reads the registers of a group at one moment. One: a single read
//	once      puts items that nobody else writes, and that are not there before. Their
//	          keys are "o", the value, a dot and a letter. In the end all are there, or none
//	glimpse   reads items of a once at one moment, which has the same value: all are there, or none
//	scatter, gather, sweep, seek: of many items, each on its own; see scatter
type Transaction struct {
	At    Duration `json:"at"`
	Do    string   `json:"do"`
	Keys  []string `json:"keys"`
	Value string   `json:"value,omitempty"` // of append and set; unique in the plan
	Count int64    `json:"count,omitempty"`
	// How says of each key what is done with it: put, delete or check and, behind a
	// space, if absent, present or known (set); the last one's "known" (append).
	How []string `json:"how,omitempty"`
	// Again sends the request once more when it has succeeded, with the same token:
	// "same", or "other" with other parameters.
	Again string `json:"again,omitempty"`
	// Via is the way into the node: "" the table's operations, "json" the JSON edge, "partiql" the
	// JSON edge with statements, as far as these can say it.
	Via string `json:"via,omitempty"`
}

// The ledger's keys: accounts, pairs, lists, and registers by group.
const (
	accounts = 4
	pairs    = 2
	lists    = 4
	groups   = 2
	// opening is what an account begins with.
	opening = 100
)

func accountKey(i int) string { return fmt.Sprint("a", i) }
func pairKey(i, side int) string {
	return fmt.Sprintf("d%d%c", i, 'x'+rune(side))
}
func listKey(i int) string { return fmt.Sprint("l", i) }

// registerKey names a register; its group is what stands before the dot.
func registerKey(group, i int) string { return fmt.Sprintf("g%d.%d", group, i) }

// ledgerKeys returns all keys that have the prefix.
func ledgerKeys(prefix string) (keys []string) {
	for i := range accounts {
		keys = append(keys, accountKey(i))
	}
	for i := range 2 * pairs {
		keys = append(keys, pairKey(i/2, i%2))
	}
	for i := range lists {
		keys = append(keys, listKey(i))
	}
	for i := range groups * groupSize {
		keys = append(keys, registerKey(i/groupSize, i%groupSize))
	}
	return slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, prefix) })
}

// onceKeys returns the keys of items that are put once.
func onceKeys(value string, n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("o%s.%c", value, 'a'+rune(i)))
	}
	return keys
}

// transactKinds gives for each kind of request the prefix of its keys and how many it has.
var transactKinds = map[string]struct {
	prefix    string
	least, at int // most
}{
	"transfer": {"a", 2, 2}, "audit": {"a", accounts, accounts}, "touch": {"a", 1, 1},
	"leave": {"d", 2, 2}, "join": {"d", 1, 1}, "watch": {"d", 2, 2},
	"append": {"l", 1, lists}, "lists": {"l", 1, lists},
	"set": {"g", 1, groupSize}, "see": {"g", 1, groupSize},
	"once": {"o", 2, 4}, glimpse: {"o", 2, 4},
	scatter: {"g", 1, groups * groupSize}, gather: {"", 1, groups*groupSize + lists}, sweep: {"", 0, 0}, seek: {"", 1, groups*groupSize + lists},
}

func (t *TransactorPlan) check(p *Plan) error {
	switch {
	case t.Node < 1 || t.Node > len(p.Nodes):
		return fmt.Errorf("it talks to node %d of %d", t.Node, len(p.Nodes))
	case t.Patience <= 0 || t.Patience > maxPlanTime:
		return fmt.Errorf("its patience is %s", t.Patience)
	case t.Retries < 0 || t.Retries > 100:
		return fmt.Errorf("it asks again %d times", t.Retries)
	}
	for i := range t.Ops {
		if err := t.Ops[i].check(); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
	}
	return nil
}

func (x *Transaction) check() error {
	kind, known := transactKinds[x.Do]
	valid := ledgerKeys(kind.prefix)
	seen := map[string]bool{}
	switch {
	case !known:
		return fmt.Errorf("there is no request %q", x.Do)
	case x.At < 0:
		return fmt.Errorf("%s at %s", x.Do, x.At)
	case len(x.Keys) < kind.least || len(x.Keys) > kind.at:
		return fmt.Errorf("%s of %d keys", x.Do, len(x.Keys))
	case (x.Do == "transfer" || x.Do == sweep) && x.Count < 0:
		return fmt.Errorf("%s of %d", x.Do, x.Count)
	case (x.Do == "append" || x.Do == "set" || x.Do == "once" || x.Do == glimpse || x.Do == scatter) && x.Value == "":
		return fmt.Errorf("%s without a value", x.Do)
	case (x.Do == "set" || x.Do == scatter) && len(x.How) != len(x.Keys):
		return fmt.Errorf("%s of %d keys says how for %d", x.Do, len(x.Keys), len(x.How))
	case x.Do == "append" && len(x.How) > 0 && (len(x.Keys) < 2 || !slices.Equal(x.How, []string{"known"})):
		return fmt.Errorf("append if %q", x.How)
	case x.Via != "" && x.Via != "json" && x.Via != "partiql":
		return fmt.Errorf("there is no way %q", x.Via)
	case x.Again != "" && x.Again != "same" && x.Again != "other":
		return fmt.Errorf("again %q", x.Again)
	}
	if x.Do == "once" || x.Do == glimpse {
		valid = onceKeys(x.Value, kind.at)
	}
	for i, key := range x.Keys {
		if seen[key] || !slices.Contains(valid, key) {
			return fmt.Errorf("%s of key %q", x.Do, key)
		}
		seen[key] = true
		if x.Do == "set" || x.Do == "see" {
			if key[:2] != x.Keys[0][:2] {
				return fmt.Errorf("%s of two groups", x.Do)
			}
		}
		if (x.Do == gather || x.Do == seek) && key[0] != 'g' && key[0] != 'l' {
			return fmt.Errorf("%s of key %q", x.Do, key)
		}
		if x.Do == "set" || x.Do == scatter {
			kind, condition, err := parseHow(x.How[i])
			if err == nil && x.Do == scatter && (kind == Get || condition != Always) {
				err = fmt.Errorf("%s how %q", x.Do, x.How[i])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// parseHow reads what a set does with a register; a check is a Get.
func parseHow(how string) (Kind, Condition, error) {
	verb, condition, _ := strings.Cut(how, " ")
	kind, known := map[string]Kind{"put": Put, "delete": Delete, "check": Get}[verb]
	at := slices.Index(conditions, condition)
	if !known || at < 0 || kind == Get && at == 0 {
		return 0, 0, fmt.Errorf("set how %q", how)
	}
	return kind, Condition(at), nil
}

// A transactor is a client of the ledger.
type transactor struct {
	*client
	plan   *TransactorPlan
	length map[string]int    // of lists, as last seen
	held   map[string]string // by registers, as last seen
}

func (r *run) startTransactors() {
	for i := range r.plan.Transactors {
		p := &r.plan.Transactors[i]
		t := &transactor{
			client: r.newClient(&ClientPlan{Node: p.Node, Roams: p.Roams, Patience: p.Patience}, fmt.Sprint("t", i+1)),
			plan:   p, length: map[string]int{}, held: map[string]string{},
		}
		r.tasks.Go(t.name, func() error {
			for k := range p.Ops {
				r.sleepUntil(p.Ops[k].At)
				if r.ending {
					break
				}
				t.request(&p.Ops[k])
			}
			return nil
		})
	}
}

// maxOpenTransactions is how many requests about the same keys may be without an answer:
// the cost of a verdict grows with it.
const maxOpenTransactions = 6

func (t *transactor) request(op *Transaction) {
	if op.isOfMany() {
		t.many(op)
		return
	}
	x := t.begin(op)
	x.weak = !x.isWrite() && t.run.plan.breaksLeases()
	if t.run.ledger.crowded(x) {
		return
	}
	t.run.ledger.call(x)
	for attempt := 0; ; attempt++ {
		answered := t.attempt(x)
		if x.settled() || attempt >= t.plan.Retries || !x.repeatable() || x.isLate() {
			break
		}
		if !answered && t.plan.Roams {
			t.node = t.run.nodes[int(t.node.id)%len(t.run.nodes)]
		}
		t.run.clients.Sleep(t.delay() << min(attempt, 6))
	}
	x.giveUp(true)
	t.learn(x)
	if x.outcome == Unknown {
		t.id = t.run.newID() // the old one may be answered yet
	}
	if x.outcome != Done || op.Again == "" || x.token == "" {
		return
	}
	if t.rng.IntN(2) == 0 || t.run.plan.breaksLeases() { // marks are counted by clocks, too
		t.repeat(x)
		return
	}
	late := *t // the transactor goes on meanwhile
	pause := time.Duration(t.rng.Int64N(int64(maxRepeatPause)))
	t.run.tasks.Go(t.name+" repeats", func() error {
		if t.run.clients.Sleep(pause); !t.run.ending && t.run.clients.Now().Sub(x.list.Began) < maxRepeatPause {
			late.repeat(x)
		}
		return nil
	})
}

// maxRepeatPause is how long after it has begun a request is sent again: a token counts for longer.
const maxRepeatPause = 4 * time.Second

// isLate reports whether a request is not to be sent again, in a world where tokens do not count for long.
func (x *tx) isLate() bool {
	return x.run.plan.Knobs.Mark > 0 && x.age() > maxRepeatPause
}

// isForgotten reports whether the token of a request may count no more.
func (x *tx) isForgotten() bool {
	mark := x.run.plan.Knobs.Mark.Std()
	return mark > 0 && x.age() > partition.TokenMarks*mark
}

// age is how long ago the first attempt was.
func (x *tx) age() time.Duration { return x.run.world.Now().Sub(x.list.Began) }

// learn keeps what was seen, for conditions.
func (t *transactor) learn(x *tx) {
	for _, key := range sortedKeys(x.list.Saw) {
		t.length[key] = len(x.list.Saw[key])
	}
	for i := range x.group.Parts {
		switch p := &x.group.Parts[i]; {
		case p.Kind == Put:
			t.held[x.op.Keys[i]] = p.Value
		case p.Saw != nil:
			t.held[x.op.Keys[i]] = *p.Saw
		}
	}
}

// attempt sends the request once, and reports whether it was answered in time. What it
// comes to later counts, too.
func (t *transactor) attempt(x *tx) bool {
	return t.ask("transaction", []*tx{x}, func(s *server) ([]Outcome, error) {
		t.run.coordinator = s.n
		outcome, err := x.carryOut(s)
		return []Outcome{outcome}, err
	})
}

// ask has f carry out requests on the node, together.
func (t *transactor) ask(name string, list []*tx, f func(s *server) ([]Outcome, error)) bool {
	r := t.run
	n := t.target()
	if n == nil {
		return false
	}
	r.clients.Sleep(t.delay())
	if !slices.ContainsFunc(list, func(x *tx) bool { return !x.settled() }) {
		return true // by the answer to an earlier attempt: this one would come after it
	}
	if len(n.deaf) > 0 {
		r.came(n.deaf[0])
		r.clients.Sleep(t.plan.Patience.Std())
		return false
	}
	s := n.server
	if s == nil || !n.up() { // the connection is refused
		for _, x := range list {
			x.end(Failed)
		}
		return true
	}
	for _, x := range list {
		x.open++
	}
	answered, back := env.NewFuture[bool](r.clients), t.delay()
	s.serve(name, func() {
		outcomes := slices.Repeat([]Outcome{Failed}, len(list))
		if s.ready() {
			got, err := f(s)
			if err != nil {
				r.fail(err)
				got = make([]Outcome, len(list))
			}
			outcomes = got
		}
		lost := len(n.mute) > 0
		for i, x := range list {
			if x.open--; lost {
				outcomes[i] = Unknown
			}
			x.end(outcomes[i])
		}
		if lost { // the answer is
			r.came(n.mute[0])
			return
		}
		r.world.After(back, func() { answered.Set(true, nil) })
	})
	_, _, ok := answered.AwaitFor(t.plan.Patience.Std())
	return ok
}

// repeat sends a request that has succeeded once more. It must not be done again, and
// with other parameters the token must not be taken for its own.
func (t *transactor) repeat(x *tx) {
	n := t.target()
	if n == nil {
		return
	}
	_, err := t.run.inTask(n, "repeat", func(s *server) error {
		if !s.ready() {
			return nil
		}
		repeated, err := x.way(s).write(x, x.op.Again)
		if x.isForgotten() { // the node was paused
			return nil
		}
		var mismatch *table.ParameterMismatchError
		var cancelled *table.CancelledError
		told := errors.As(err, &mismatch)
		switch {
		case err == nil && (x.op.Again == "other" || !repeated), told && x.op.Again == "same", errors.As(err, &cancelled):
			return found(Serializability, fmt.Errorf("sim: %s has succeeded; sent again with the same token and %s parameters, it was answered as repeated (%t), %v", x, x.op.Again, repeated, err))
		case err == nil || told:
			x.run.fire("transaction sent again")
			return nil
		}
		_, err = x.judge(err)
		return err
	})
	if err != nil {
		t.run.fail(err)
	}
}
