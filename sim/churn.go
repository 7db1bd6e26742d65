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
type churner struct {
	run    *run
	rng    *rand.Rand
	n      int
	tables map[string]*churned
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
	c := &churner{run: r, tables: map[string]*churned{}}
	r.eachStep("churn", r.plan.Churn, func(rng *rand.Rand) { c.rng = rng; c.step() })
	x := &expirer{run: r, keep: map[string]bool{}, doubt: map[string]*life{}}
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

// ask runs f as a request on a node that is up, and waits until it has answered or
// the node has crashed.
func (r *run) ask(name string, f func(s *server) error) (answered bool, err error) {
	return r.inTask(r.nodes[0], name, f)
}

// step does one thing to one table.
func (c *churner) step() {
	name := fmt.Sprint("churn", c.rng.IntN(churnTables))
	t := c.tables[name]
	if t == nil {
		t = &churned{}
		c.tables[name] = t
	}
	if !c.settle(name, t) {
		return
	}
	c.run.world.Note("churn %s: exists %v, %d rows", name, t.exists, len(t.rows))
	switch k := c.rng.IntN(10); {
	case !t.exists:
		c.create(name, t)
	case k < 5:
		c.put(name, t)
	case k < 6:
		c.reindex(name)
	case k < 8:
		c.read(name, t)
		c.checkIndex(name)
	default:
		c.drop(name, t)
	}
}

// settle finds out whether a table exists. It reports false if it could not.
func (c *churner) settle(name string, t *churned) bool {
	active := false
	answered, err := c.run.ask("describe", func(s *server) error {
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

// change carries out a change of the table itself.
func (c *churner) change(name string, t *churned, exists bool, f func(s *server) error) {
	before := t.doubt
	t.doubt = c.run.nodes[0].server
	answered, err := c.run.ask(name, f)
	var busy *table.InUseError // an index is being created or deleted
	switch {
	case !answered:
	case errors.As(err, &busy) && t.exists:
		t.doubt = before
	case err == nil:
		t.set(exists, nil)
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
	key, value := fmt.Sprintf("p%d/s%d", c.rng.IntN(5), c.rng.IntN(5)), fmt.Sprint("churn.", c.n)
	it := row(key, &Operation{Value: value})
	answered, err := c.run.ask(name, func(s *server) error {
		_, err := s.tables.Put(&table.PutRequest{Table: name, Item: it})
		return err
	})
	if answered && err == nil {
		t.rows[key] = value
		delete(t.maybe, key)
		return
	}
	t.maybe[key] = append(t.maybe[key], value)
	c.run.judge(err)
}

// read compares the whole table with what is known of it.
func (c *churner) read(name string, t *churned) {
	rows := map[string]string{}
	answered, err := c.run.ask(name, func(s *server) error {
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
			key := fmt.Sprintf("p%d/s%d", p, s)
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
