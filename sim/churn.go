package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// A churner creates, fills, reads and deletes tables of its own, one operation
// after the other, and knows what must be there.
//
// Where a change of a table has no answer, a node that is alone has carried it out or lost it
// once it has been restarted. In a cluster it may still be under way for as long as
// anybody likes, so the churner leaves that table alone from then on (but for dropping it
// some time) and takes another name. A put without an answer may be there at any time
// after it, also in the next table of that name.
type churner struct {
	run    *run
	rng    *rand.Rand
	n      int
	tables map[string]*churned
	spent  [churnTables]int // names that were left alone
	left   []string         // these
}

// A churned is what the churner knows of one table.
type churned struct {
	exists bool
	doubt  *server             // the life in which a change had no answer; nil: exists is certain
	rows   map[string]string   // acknowledged: key to value
	maybe  map[string][]string // put without an answer since
}

const churnTables = 3

// startSteps starts the tasks that have tables of their own.
func (r *run) startSteps() {
	r.startLoner()
	if r.plan.breaksLeases() {
		return // what consistent reads show is not certain
	}
	c := &churner{run: r, tables: map[string]*churned{}}
	r.churner = c
	r.eachStep("churn", r.plan.Churn, func(rng *rand.Rand) { c.rng = rng; c.step() })
	x := &expirer{run: r, keep: map[string]bool{}, doubt: map[string]*life{}, dies: map[string]bool{}}
	r.expirer = x
	r.eachStep("expiry", r.plan.Expiry, func(rng *rand.Rand) { x.rng = rng; x.step() })
	g := &grammarian{run: r, items: map[string]refItem{}}
	r.eachStep("grammar", r.plan.Grammar, func(rng *rand.Rand) { g.gen = refGenerator{rng}; g.step() })
}

func (r *run) eachStep(name string, steps []Step, do func(rng *rand.Rand)) {
	r.tasks.Go(name, func() error {
		for _, s := range steps {
			r.sleepUntil(s.At)
			if r.ending {
				break
			}
			do(s.rng())
		}
		return nil
	})
}

// errNobody says that nobody could be asked, or whoever was has nothing to do with it.
var errNobody = errors.New("sim: nobody could be asked")

// ask runs f as a request on a node that is up, and waits until it has answered or the node has
// crashed. In a cluster it begins with any node, and goes on as long as one says that another
// is in charge.
func (r *run) ask(name string, rng *rand.Rand, f func(s *server) error) (answered bool, err error) {
	if len(r.nodes) == 1 {
		return r.inTask(r.nodes[0], name, f)
	}
	first := rng.IntN(len(r.nodes))
	for i := range r.nodes {
		n := r.nodes[(first+i)%len(r.nodes)]
		if n.gone || !n.up() || n.server == nil || !n.server.ready() {
			continue
		}
		var elsewhere *table.ElsewhereError
		if answered, err = r.inTask(n, name, f); !answered || !errors.As(err, &elsewhere) {
			return answered, err
		}
	}
	return false, errNobody
}

func (c *churner) ask(name string, f func(s *server) error) (answered bool, err error) {
	return c.run.ask(name, c.rng, f)
}

// name returns what the table of a number is called now.
func (c *churner) name(i int) string {
	if c.spent[i] == 0 {
		return fmt.Sprint(churnPrefix, i)
	}
	return fmt.Sprintf("%s%d.%d", churnPrefix, i, c.spent[i])
}

// churnPrefix begins the names of the tables, and the hash keys of their items in a cluster,
// so that nobody takes them for the clients'.
const churnPrefix = "churn"

func (c *churner) key(rng *rand.Rand) string {
	return c.keyOf(rng.IntN(5), rng.IntN(5))
}

func (c *churner) keyOf(p, s int) string {
	if len(c.run.nodes) > 1 {
		return fmt.Sprintf("%s%d/s%d", churnPrefix, p, s)
	}
	return fmt.Sprintf("p%d/s%d", p, s)
}

// step does one thing to one table.
func (c *churner) step() {
	i := c.rng.IntN(churnTables)
	name := c.name(i)
	t := c.tables[name]
	if t == nil {
		t = &churned{rows: map[string]string{}, maybe: map[string][]string{}}
		c.tables[name] = t
	}
	alone := len(c.run.nodes) == 1
	if alone && !c.settle(name, t) {
		return
	}
	c.run.world.Note("churn %s: exists %v, %d rows", name, t.exists, len(t.rows))
	switch k := c.rng.IntN(10); {
	case len(c.left) > 0 && k == 9:
		c.tidy()
	case !t.exists:
		c.create(name, t)
	case k < 4:
		c.put(name, t)
	case k < 5:
		c.bind(name, t)
	case k < 6:
		c.reindex(name)
	case k < 8:
		c.read(name, t)
		if alone {
			c.checkIndex(name)
		}
	default:
		c.drop(name, t)
	}
	for i := range churnTables {
		if name := c.name(i); !alone && c.tables[name] != nil && c.tables[name].doubt != nil {
			c.spent[i]++
			c.left = append(c.left, name)
			delete(c.tables, name)
		}
	}
}

// tidy drops a table that was left alone, if it is there.
func (c *churner) tidy() {
	name := c.left[0]
	answered, err := c.ask("tidy", func(s *server) error { _, err := s.tables.Delete(name); return err })
	var missing *table.NotFoundError
	if answered && (err == nil || errors.As(err, &missing)) {
		c.left = c.left[1:]
	}
}

// verify compares all tables with what is known of them, while nothing else happens.
func (c *churner) verify() {
	c.rng = rand.New(rand.NewPCG(c.run.plan.Seed, 0xe4d)) // whom to ask
	for _, name := range sortedKeys(c.tables) {
		if t := c.tables[name]; t.exists {
			c.read(name, t)
			c.checkIndex(name)
		}
	}
}

// settle finds out whether a table exists. It reports false if it could not.
func (c *churner) settle(name string, t *churned) bool {
	active := false
	answered, err := c.ask("describe", func(s *server) error {
		d, err := s.tables.Describe(name)
		active = err == nil && (d.Status == table.StatusActive || d.Status == table.StatusUpdating)
		return err
	})
	var missing *table.NotFoundError
	exists := err == nil
	if answered && exists && !active { // half created or half dropped
		t.doubt, t.exists = c.run.nodes[0].server, false
		return true
	}
	if !answered || !exists && !errors.As(err, &missing) {
		c.run.judge(err)
		return false
	}
	if exists != t.exists {
		if t.doubt == nil {
			c.run.fail(found(Tables, fmt.Errorf("sim: table %s: exists is %v, want %v", name, exists, t.exists)))
		}
		t.set(exists, t.doubt)
	}
	if t.doubt != c.run.nodes[0].server { // recovery has decided; until then it may yet happen
		t.doubt = nil
	}
	return true
}

func (t *churned) set(exists bool, doubt *server) {
	*t = churned{exists: exists, doubt: doubt, rows: map[string]string{}, maybe: map[string][]string{}}
}

// now is what stands for the present life of the node that is asked.
func (c *churner) now() *server {
	if s := c.run.nodes[0].server; s != nil || len(c.run.nodes) == 1 {
		return s
	}
	return &server{} // some other one
}

// change carries out a change of the table itself.
func (c *churner) change(name string, t *churned, exists bool, f func(s *server) error) {
	before := t.doubt
	t.doubt = c.now()
	answered, err := c.ask(name, f)
	var busy *table.InUseError // an index is being created or deleted, or groups of the table before cannot be reached
	switch {
	case errors.Is(err, errNobody):
		t.doubt = before
	case !answered:
	case errors.As(err, &busy) && (t.exists || busy.Status == table.StatusDeleting):
		t.doubt = before
	case err == nil:
		maybe := t.maybe
		if t.set(exists, nil); len(c.run.nodes) > 1 {
			t.maybe = maybe // it may come yet
		}
	default:
		c.run.judge(err)
	}
}

func (c *churner) create(name string, t *churned) {
	d := definition(1+c.rng.IntN(3), nil)
	d.Name = name
	c.change(name, t, true, func(s *server) error { _, err := s.tables.Create(d); return err })
}

func (c *churner) drop(name string, t *churned) {
	c.change(name, t, false, func(s *server) error { _, err := s.tables.Delete(name); return err })
}

func (c *churner) put(name string, t *churned) {
	c.n++
	key, value := c.key(c.rng), fmt.Sprint("churn.", c.n)
	it := row(key, &Operation{Value: value})
	answered, err := c.ask(name, func(s *server) error {
		_, err := s.tables.Put(&table.PutRequest{Table: name, Item: it})
		return err
	})
	if answered && err == nil {
		if t.rows[key] = value; len(c.run.nodes) == 1 {
			delete(t.maybe, key)
		}
		return
	}
	var conflict *table.ConflictError // with a transaction that had no answer
	if errors.Is(err, errNobody) || errors.As(err, &conflict) {
		return
	}
	t.maybe[key] = append(t.maybe[key], value)
	c.run.judge(err)
}

// bind puts an item into each of two tables in one transaction, and mostly drops one of them at once: what the other
// table has of the transaction, it must be able to find out without it.
func (c *churner) bind(name string, t *churned) {
	var other string
	for i := range churnTables {
		if u := c.tables[c.name(i)]; c.name(i) != name && u != nil && u.exists && u.doubt == nil {
			other = c.name(i)
		}
	}
	if other == "" {
		c.put(name, t)
		return
	}
	c.n++
	key, value := c.key(c.rng), fmt.Sprint("churn.", c.n)
	it := row(key, &Operation{Value: value})
	answered, err := c.ask(name, func(s *server) error {
		_, err := s.tables.TransactWrite(&table.TransactWriteRequest{Actions: []table.TransactAction{
			{Kind: table.TransactPut, Table: name, Item: it}, {Kind: table.TransactPut, Table: other, Item: it},
		}})
		return err
	})
	both := []*churned{t, c.tables[other]}
	var cancelled *table.CancelledError // by one that had no answer
	switch {
	case errors.Is(err, errNobody), errors.As(err, &cancelled):
		return
	case !answered || err != nil:
		for _, u := range both {
			u.maybe[key] = append(u.maybe[key], value)
		}
		c.run.judge(err)
		return
	}
	for _, u := range both {
		if u.rows[key] = value; len(c.run.nodes) == 1 {
			delete(u.maybe, key)
		}
	}
	c.run.fire("transaction of two tables")
	if c.rng.IntN(3) > 0 {
		gone := c.rng.IntN(2)
		c.drop([]string{name, other}[gone], both[gone])
	}
}

// read compares the whole table with what is known of it.
func (c *churner) read(name string, t *churned) {
	rows := map[string]string{}
	answered, err := c.ask(name, func(s *server) error {
		clear(rows)
		for start := item.Item(nil); ; {
			page, err := s.tables.Scan(&table.ScanRequest{Table: name, Consistent: true, StartKey: start})
			if err != nil {
				return err
			}
			for _, it := range page.Items {
				state, err := stateOf(it)
				if err != nil {
					return err
				}
				rows[keyOf(it)] = state.Value
			}
			if start = page.LastKey; start == nil {
				return nil
			}
		}
	})
	if !answered || err != nil {
		c.run.judge(err)
		return
	}
	for p := range 5 {
		for s := range 5 {
			key := c.keyOf(p, s)
			got, maybe := rows[key], t.maybe[key]
			if got != t.rows[key] && !slices.Contains(maybe, got) {
				c.run.fail(found(Tables, fmt.Errorf("sim: table %s: %s holds %q, want %q (or one of %q)", name, key, got, t.rows[key], maybe)))
			}
			delete(rows, key)
		}
	}
	if len(rows) > 0 {
		c.run.fail(found(Tables, fmt.Errorf("sim: table %s holds rows that nobody put: %v", name, rows)))
	}
}
