package simtest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/server"
	"github.com/statordb/stator/sim"
	"github.com/statordb/stator/table"
)

// A hotspot is a service of a few items, and clients who ask it for one thing each at a time. Of some answers
// nobody hears.
type hotspot struct {
	*history
	t       *testing.T
	rng     *rand.Rand
	items   []item.Item
	clients []*asking
	lost    float64
	numbers uint64
	told    bool // the history is told what is applied
}

// An asking is a request on its way.
type asking struct {
	*request
	*noted
	key  int
	done bool
}

var hotKinds = []struct{ operation, body string }{
	{"GetItem", `{"TableName":"t","ConsistentRead":true,"Key":{"p":{"S":"x%d"}}}`},
	{"PutItem", `{"TableName":"t","Item":{"p":{"S":"x%d"},"v":{"N":"%d"}},"ReturnValues":"ALL_OLD"}`},
	{"UpdateItem", `{"TableName":"t","Key":{"p":{"S":"x%d"}},"UpdateExpression":"ADD v :n","ExpressionAttributeValues":{":n":{"N":"1"}}}`},
	{"DeleteItem", `{"TableName":"t","Key":{"p":{"S":"x%d"}}}`},
}

func newHotspot(t *testing.T, seed uint64, items, clients int, lost float64, told bool) *hotspot {
	h := &hotspot{
		history: newHistory(), t: t, rng: rand.New(rand.NewPCG(seed, 4)), items: make([]item.Item, items),
		clients: make([]*asking, clients), lost: lost, told: told,
	}
	create := &request{operation: "CreateTable", status: http.StatusOK, body: []byte(`{"TableName":"t","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}`)}
	h.end(h.begin(create), create)
	return h
}

// calls has clients make calls, by weights of the kinds.
func (h *hotspot) calls(n int, weights []int) {
	for n > 0 {
		c := h.rng.IntN(len(h.clients))
		switch a := h.clients[c]; {
		case a == nil:
			h.clients[c] = h.ask(weights)
		case !a.done:
			h.carryOut(a)
		default:
			if h.rng.Float64() < h.lost {
				a.err, a.answer = sim.ErrReset, nil
			}
			h.end(a.noted, a.request)
			h.clients[c] = nil
			n--
		}
	}
}

func (h *hotspot) ask(weights []int) *asking {
	var bag []int
	for kind, weight := range weights {
		for range weight {
			bag = append(bag, kind)
		}
	}
	k := hotKinds[bag[h.rng.IntN(len(bag))]]
	a := &asking{key: h.rng.IntN(len(h.items)), request: &request{who: server.Caller{}, operation: k.operation}}
	a.body = fmt.Appendf(nil, k.body, a.key)
	if k.operation == "PutItem" {
		a.body = fmt.Appendf(nil, k.body, a.key, h.rng.IntN(3)) // others may put the same
	}
	a.noted = h.begin(a.request)
	return a
}

// carryOut does what a request asks for.
func (h *hotspot) carryOut(a *asking) {
	before := h.items[a.key]
	c := partition.Command{Request: partition.RequestID{Node: 1, Number: h.numbers}, Timestamp: 1}
	h.numbers++
	a.done, a.status = true, http.StatusOK
	switch p := a.parsed.(type) {
	case *table.GetRequest:
		if before != nil {
			a.answer = fmt.Appendf(nil, `{"Item":%s}`, before.AppendJSON(nil))
		}
		return
	case *table.PutRequest:
		c.Kind, c.Item, c.Condition = partition.Put, p.Item, p.Condition
		if before != nil {
			a.answer = fmt.Appendf(nil, `{"Attributes":%s}`, before.AppendJSON(nil))
		}
	case *table.UpdateRequest:
		c.Kind, c.Item, c.Condition, c.Update = partition.Update, p.Key, p.Condition, p.Update
	case *table.DeleteRequest:
		c.Kind, c.Item, c.Condition = partition.Delete, p.Key, p.Condition
	}
	h.items[a.key] = h.change(before, &c, a.operations[0])
	if h.told {
		h.applied(2, c.Encode(), &partition.Result{})
		h.applied(2, c.Encode(), &partition.Result{}) // repeated under its id
	}
}

func (h *hotspot) change(before item.Item, c *partition.Command, o *operation) item.Item {
	after, ok := o.apply(before)
	if !ok {
		h.t.Fatalf("%s cannot be applied to %s", c.Kind, before)
	}
	return after
}

// Many calls at few items are explained without a search, whatever number of answers was lost.
func TestLongHistoriesAreProved(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []int
		lost    float64
	}{
		{"all kinds", []int{1, 1, 1, 1}, 0},
		{"all kinds, lost answers", []int{1, 1, 1, 1}, 0.05},
		{"few reads, lost answers", []int{1, 0, 20, 0}, 0.2},
		{"deletes, lost answers", []int{1, 10, 0, 10}, 0.2},
	} {
		h := newHotspot(t, 1, 5, 8, c.lost, true)
		h.calls(20_000, c.weights)
		if err := h.check(); err != nil || h.proved != 5 {
			t.Errorf("%s: %d of 5 items proved, %v", c.name, h.proved, err)
		}
	}
}

// What is proved can be found by a search, too, also where answers are wrong.
func TestProofsHold(t *testing.T) {
	proved, wrong := 0, 0
	for seed := range uint64(300) {
		lost := float64(seed%3) / 20
		told, untold := newHotspot(t, seed, 1, 4, lost, true), newHotspot(t, seed, 1, 4, lost, false)
		for _, h := range []*hotspot{told, untold} {
			h.calls(60, []int{2, 1, 1, 1})
			for range seed % 2 {
				h.falsify(seed)
			}
		}
		a, b := told.check(), untold.check()
		if (a == nil) != (b == nil) || untold.proved > 0 {
			t.Fatalf("seed %d: with an order of writes %v, without %v", seed, a, b)
		}
		proved += told.proved
		if b != nil {
			wrong++
		}
	}
	if proved < 150 || wrong < 50 {
		t.Errorf("%d histories proved, %d wrong: too few to say anything", proved, wrong)
	}
}

// falsify has a read see what another one saw.
func (h *hotspot) falsify(seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	var reads []*operation
	for _, name := range h.order {
		for _, o := range h.history.items[name].operations {
			if o.kind == get && o.outcome == done {
				reads = append(reads, o)
			}
		}
	}
	if len(reads) > 0 {
		reads[rng.IntN(len(reads))].saw = reads[rng.IntN(len(reads))].saw
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, told := range []bool{true, false} {
		b.Run(fmt.Sprint("told=", told), func(b *testing.B) {
			h := newHotspot(nil, 1, 5, 8, 0.01, told)
			h.calls(20_000, []int{1, 1, 1, 1})
			for b.Loop() {
				if err := h.check(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
