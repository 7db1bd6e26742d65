package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/replication"
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

func (r *run) startChurn() {
	c := &churner{run: r, rng: r.world.Stream("churn"), tables: map[string]*churned{}}
	r.tasks.Go("churn", func() error {
		for !r.ending {
			r.clients.Sleep(time.Duration(c.rng.ExpFloat64() * float64(r.config.churn)))
			c.step()
		}
		return nil
	})
}

// ask runs f as a request on the server and waits until it has answered or the
// server has crashed.
func (r *run) ask(name string, f func(s *server) error) (answered bool, err error) {
	s := r.server
	if s == nil || !r.world.Up(serverName) {
		return false, nil
	}
	reply := env.NewFuture[struct{}](r.clients)
	s.e.Go(name, func() { reply.Set(struct{}{}, f(s)) })
	for r.server == s {
		if _, err, ok := reply.AwaitFor(10 * time.Millisecond); ok {
			return true, err
		}
	}
	return false, nil
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
		t.doubt, t.exists = c.run.server, false
		return true
	}
	if !answered || !exists && !errors.As(err, &missing) {
		c.judge(err)
		return false
	}
	if exists != t.exists {
		if t.doubt == nil {
			c.run.fail(found(Tables, fmt.Errorf("sim: table %s: exists is %v, want %v", name, exists, t.exists)))
		}
		t.set(exists, t.doubt)
	}
	if t.doubt != c.run.server { // recovery has decided; until then it may yet happen
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
	t.doubt = c.run.server
	answered, err := c.run.ask(name, f)
	var busy *table.InUseError // an index is being created or deleted
	switch {
	case !answered:
	case errors.As(err, &busy) && t.exists:
		t.doubt = before
	case err == nil:
		t.set(exists, nil)
	default:
		c.judge(err)
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
	c.judge(err)
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
		c.judge(err)
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

// judge reports errors that the faults do not excuse.
func (c *churner) judge(err error) {
	if err != nil && !excused(err) {
		c.run.fail(found(Unexpected, fmt.Errorf("sim: unexpected error: %w", err)))
	}
}

// excused reports whether faults explain the error.
func excused(err error) bool {
	for _, fault := range []error{
		replication.ErrUnknownOutcome, replication.ErrStopped, replication.ErrFailed, table.ErrClosed,
		vfs.ErrNoSpace, vfs.ErrIO, vfs.ErrDead,
	} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}
