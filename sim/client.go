package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// Hot keys are few, so that operations meet; cold ones are written once each
// and give the engine something to flush and merge.
const (
	hotHashes, hotRanges = 3, 3
	coldHashes           = 5
)

func hotKey(i int) string { return fmt.Sprintf("p%d/s%d", i/hotRanges, i%hotRanges) }

// A client is one task outside of the node. It sends one request at a time and
// gives up after its patience, as an SDK would.
type client struct {
	run   *run
	id    int // a new one after every unknown outcome
	rng   *rand.Rand
	n     int               // requests sent
	knows map[string]string // last value seen of a key, for conditions
}

func (r *run) startClients() {
	for i := range r.config.clients {
		c := &client{run: r, id: r.newClient(), rng: r.world.Stream(fmt.Sprint("client/", i)), knows: map[string]string{}}
		r.tasks.Go(fmt.Sprint("client", i), func() error {
			for !r.ending {
				r.clients.Sleep(c.pause())
				c.request()
			}
			return nil
		})
	}
}

func (c *client) pause() time.Duration {
	return time.Duration(c.rng.ExpFloat64() * float64(c.run.config.think))
}

// request sends one random request.
func (c *client) request() {
	c.n++
	switch k := c.rng.IntN(20); {
	case k < 14:
		c.single(c.operation(hotKey(c.rng.IntN(hotHashes * hotRanges))))
	case k < 16:
		c.single(c.coldPut())
	case k < 17:
		c.query()
	case k < 18:
		c.scan()
	default:
		c.batch()
	}
}

func (c *client) value() string { return fmt.Sprintf("c%d.%d", c.id, c.n) }

// operation draws what to do with a key.
func (c *client) operation(key string) *Operation {
	o := &Operation{Client: c.id, Key: key, Value: c.value(), Count: int64(c.rng.IntN(5))}
	switch k := c.rng.IntN(10); {
	case k < 3:
		o.Kind = Get
		return o
	case k < 6:
		o.Kind = Put
	case k < 8:
		o.Kind, o.Count = Add, 1
	default:
		o.Kind = Delete
	}
	if c.rng.IntN(2) == 0 {
		o.If = Condition(c.rng.IntN(4))
		o.Expected = c.knows[key]
	}
	return o
}

func (c *client) coldPut() *Operation {
	value := c.value()
	key := fmt.Sprintf("cold%d/%s", c.rng.IntN(coldHashes), value)
	c.run.cold = append(c.run.cold, key)
	return &Operation{Client: c.id, Key: key, Kind: Put, Value: value}
}

// An answer is the outcome of one operation of a request.
type answer struct {
	outcome Outcome
	saw     *State
}

// send runs f, which answers all operations, as a request on the server, and
// waits for the answer as long as its patience lasts. An answer that comes
// later still counts: only a crash leaves an outcome unknown for good.
func (c *client) send(name string, operations []*Operation, f func(s *server) ([]answer, error)) {
	r := c.run
	s := r.server
	if s == nil || !r.world.Up(serverName) || r.crowded(operations) {
		return
	}
	for _, o := range operations {
		r.history.Begin(o)
	}
	answered := env.NewFuture[bool](r.clients)
	s.e.Go(name, func() {
		answers, err := f(s)
		if err != nil {
			r.fail(err)
			answers = make([]answer, len(operations))
		}
		for i, o := range operations {
			if answers[i].outcome != Unknown {
				r.history.End(o, answers[i].outcome, answers[i].saw)
			}
			r.world.Note("%s", o)
		}
		answered.Set(true, nil)
	})
	if _, _, ok := answered.AwaitFor(r.config.patience); !ok {
		c.id = r.newClient() // the old one may be answered yet
		return
	}
	for _, o := range operations {
		if o.Saw != nil {
			c.knows[o.Key] = o.Saw.Value
		}
	}
}

// maxOpen is how many operations on one key may be under way: clients that have
// given up leave theirs behind.
const maxOpen = 8

func (r *run) crowded(operations []*Operation) bool {
	return slices.ContainsFunc(operations, func(o *Operation) bool { return r.history.Open(o.Key) >= maxOpen })
}

func (c *client) single(o *Operation) {
	c.send("request", []*Operation{o}, func(s *server) ([]answer, error) {
		outcome, saw, err := s.execute(o)
		return []answer{{outcome, saw}}, err
	})
}

// gets are the reads that a request for many keys amounts to.
func (c *client) gets(keys []string) []*Operation {
	operations := make([]*Operation, len(keys))
	for i, key := range keys {
		operations[i] = &Operation{Client: c.id, Key: key, Kind: Get}
	}
	return operations
}

// query reads one item collection, a few rows a page, in either direction.
func (c *client) query() {
	p, bound := c.rng.IntN(hotHashes), sortBounds[c.rng.IntN(len(sortBounds))]
	lower := c.rng.IntN(hotRanges)
	upper := lower + c.rng.IntN(hotRanges-lower)
	var keys []string
	for s := range hotRanges {
		if bound.holds(s, lower, upper) {
			keys = append(keys, hotKey(p*hotRanges+s))
		}
	}
	if len(keys) == 0 {
		return
	}
	limit, reverse := c.rng.IntN(4), c.rng.IntN(2) == 0
	c.send("query", c.gets(keys), func(s *server) ([]answer, error) {
		values := map[string]item.Value{":p": item.String(fmt.Sprint("p", p))}
		for i, name := range []string{":l", ":u"} {
			if strings.Contains(bound.text, name) {
				values[name] = item.String(fmt.Sprint("s", []int{lower, upper}[i]))
			}
		}
		condition, err := expr.ParseKeyCondition("p = :p"+bound.text, expr.NewParams(nil, item.NewItem(values)))
		if err != nil {
			return nil, err
		}
		filter, err := c.filter(writtenFilter)
		if err != nil {
			return nil, err
		}
		return collect(keys, true, func(start item.Item) (*table.Page, error) {
			return s.tables.Query(&table.QueryRequest{
				Table: tableName, Keys: condition, Filter: filter, Consistent: true, Reverse: reverse, Limit: limit, StartKey: start,
			})
		})
	})
}

// scan reads the hot keys out of the whole table.
func (c *client) scan() {
	var keys []string
	for i := range hotHashes * hotRanges {
		keys = append(keys, hotKey(i))
	}
	limit := c.rng.IntN(2) * 10
	c.send("scan", c.gets(keys), func(s *server) ([]answer, error) {
		filter, err := c.filter(hotFilter)
		if err != nil {
			return nil, err
		}
		return collect(keys, false, func(start item.Item) (*table.Page, error) {
			return s.tables.Scan(&table.ScanRequest{Table: tableName, Filter: filter, Consistent: true, Limit: limit, StartKey: start})
		})
	})
}

// filter parses a filter if the table has facets to answer it.
func (c *client) filter(parse func() (*expr.Condition, error)) (*expr.Condition, error) {
	if c.run.config.facets == nil {
		return nil, nil
	}
	return parse()
}

// sortBounds are the conditions on the sort key of a query.
var sortBounds = []struct {
	text  string
	holds func(s, lower, upper int) bool
}{
	{"", func(s, lower, upper int) bool { return true }},
	{" AND s < :u", func(s, lower, upper int) bool { return s < upper }},
	{" AND s <= :u", func(s, lower, upper int) bool { return s <= upper }},
	{" AND s > :l", func(s, lower, upper int) bool { return s > lower }},
	{" AND s >= :l", func(s, lower, upper int) bool { return s >= lower }},
	{" AND s = :l", func(s, lower, upper int) bool { return s == lower }},
	{" AND s BETWEEN :l AND :u", func(s, lower, upper int) bool { return lower <= s && s <= upper }},
}

// collect reads all pages and answers for each key. If only is set, no other keys
// were asked for.
func collect(keys []string, only bool, read func(start item.Item) (*table.Page, error)) ([]answer, error) {
	states := map[string]*State{}
	for start := item.Item(nil); ; {
		page, err := read(start)
		if err != nil {
			return same(len(keys), nil, err)
		}
		for _, it := range page.Items {
			key := keyOf(it)
			if only && !slices.Contains(keys, key) {
				return nil, damaged("%s was not asked for", key)
			}
			if states[key] != nil {
				return nil, damaged("%s twice in one read", key)
			}
			if states[key], err = stateOf(it); err != nil {
				return nil, err
			}
		}
		if start = page.LastKey; start == nil {
			break
		}
	}
	answers := make([]answer, len(keys))
	for i, key := range keys {
		saw := states[key]
		if saw == nil {
			saw = &State{}
		}
		answers[i] = answer{Done, saw}
	}
	return answers, nil
}

// same answers all operations of a request alike.
func same(n int, it item.Item, err error) ([]answer, error) {
	o, saw, err := outcome(it, err)
	answers := make([]answer, n)
	for i := range answers {
		answers[i] = answer{o, saw}
	}
	return answers, err
}

// batch writes two hot keys in one request, each on its own.
func (c *client) batch() {
	first := c.rng.IntN(hotHashes * hotRanges)
	second := (first + 1 + c.rng.IntN(hotHashes*hotRanges-1)) % (hotHashes * hotRanges)
	operations := []*Operation{
		{Client: c.id, Key: hotKey(first), Kind: Put, Value: c.value() + "a"},
		{Client: c.id, Key: hotKey(second), Kind: Put, Value: c.value() + "b"},
	}
	if c.rng.IntN(2) == 0 {
		operations[1].Kind = Delete
	}
	c.send("batch", operations, func(s *server) ([]answer, error) {
		t := table.BatchWriteTable{Table: tableName}
		for _, o := range operations {
			if o.Kind == Put {
				t.Writes = append(t.Writes, table.BatchWriteOp{Put: row(o.Key, o)})
			} else {
				t.Writes = append(t.Writes, table.BatchWriteOp{Delete: item.NewItem(keyItem(o.Key))})
			}
		}
		result, err := s.tables.BatchWrite(&table.BatchWriteRequest{Tables: []table.BatchWriteTable{t}})
		if err != nil {
			answers, excused := same(len(operations), nil, err)
			if !errors.Is(err, vfs.ErrNoSpace) { // some of the writes may have happened
				clear(answers)
			}
			return answers, excused
		}
		answers := []answer{{Done, nil}, {Done, nil}}
		for _, u := range result.Tables[0].Unprocessed {
			target := u.Put
			if target == nil {
				target = u.Delete
			}
			for i, o := range operations {
				if o.Key == keyOf(target) {
					answers[i].outcome = Failed
				}
			}
		}
		return answers, nil
	})
}
