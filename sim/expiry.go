package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// An expirer works on a table with a time to live: it puts items whose time has
// passed, prolongs some of them before they are deleted, and looks whether those
// are there. One operation follows the other, so it knows what must be.
type expirer struct {
	run   *run
	rng   *rand.Rand
	ready bool             // the table is there and has its time to live
	keep  map[string]bool  // these were prolonged: they must stay
	doubt map[string]*life // these have had a change without an answer
	dies  map[string]bool  // the time of these has passed, for sure: they must go
	spent [expiringKeys]int
}

// A life is one life of the node.
type life = server

const (
	expiringTable = "expiring"
	expiringKeys  = 6
	ttlInterval   = 20 * time.Millisecond // pause between sweeps of a node that is alone
	// clusterTTLInterval is that of clusters that have such items.
	clusterTTLInterval = 100 * time.Millisecond
	ttlPause           = 10 * time.Millisecond // mean pause between operations
)

// step does one thing to one item, or has several be prolonged when a sweep may be at them.
func (x *expirer) step() {
	if !x.ready && !x.create() {
		return
	}
	i := x.rng.IntN(expiringKeys)
	switch x.rng.IntN(6) {
	case 0:
		x.put(x.name(i), x.rng.IntN(3) == 0)
	case 1, 2:
		x.prolong(x.name(i))
	case 3:
		x.look(x.name(i))
	default:
		x.race(i)
	}
	x.leave(i)
}

// name is what the item of a number is called now.
func (x *expirer) name(i int) string {
	if x.spent[i] == 0 {
		return strconv.Itoa(i)
	}
	return fmt.Sprintf("%d.%d", i, x.spent[i])
}

// leave takes another name for an item in a cluster if a change of it had no answer: that may yet happen, at
// any time.
func (x *expirer) leave(i int) {
	if x.doubt[x.name(i)] != nil && len(x.run.nodes) > 1 {
		x.spent[i]++
	}
}

// race puts items whose time has passed and prolongs them one after the other, about when the next sweep
// finds them: what a sweep has seen need not be so any more when it deletes it.
func (x *expirer) race(first int) {
	some := 1 + x.rng.IntN(expiringKeys)
	for i := range some {
		x.put(x.name((first+i)%expiringKeys), false)
	}
	x.run.clients.Sleep(time.Duration(x.rng.Int64N(int64(2 * x.run.plan.ttlInterval()))))
	for i := range some {
		key := (first + i) % expiringKeys
		if x.prolong(x.name(key)); x.rng.IntN(2) == 0 {
			x.look(x.name(key))
		}
		x.leave(key)
	}
}

// ttlInterval is the pause between sweeps of the nodes.
func (p *Plan) ttlInterval() time.Duration {
	switch {
	case len(p.Nodes) == 1:
		return ttlInterval
	case len(p.Expiry) == 0:
		return time.Second
	}
	return clusterTTLInterval
}

// create makes the table, or finds that it is there.
func (x *expirer) create() bool {
	answered, err := x.run.ask("create expiring", x.rng, func(s *server) error {
		_, err := s.tables.Create(table.Definition{
			Name: expiringTable, BillingMode: "PAY_PER_REQUEST",
			Attributes: []table.AttributeDefinition{{Name: "p", Type: item.S}},
			Keys:       []table.KeyElement{{Name: "p", Role: table.Hash}},
		})
		var exists *table.InUseError
		if err != nil && !errors.As(err, &exists) {
			return err
		}
		if status, _, err := s.tables.TimeToLive(expiringTable); err != nil || status == table.StatusEnabled {
			return err
		}
		return s.tables.SetTimeToLive(expiringTable, true, "t")
	})
	x.run.judge(err)
	x.ready = answered && err == nil
	return x.ready
}

func expiringKey(key string) item.Item {
	return item.NewItem(map[string]item.Value{"p": item.String(key)})
}

// at is a time in the node's own seconds.
func (s *server) at(d time.Duration) item.Value {
	now, _ := s.e.Wall()
	return item.Int((now + env.Time(d)).UnixMilli() / 1000)
}

// lasting are times of items that stay: in a day, soon, and so long ago that they do not count. The clock by
// which they are chosen may be behind by a lag, and is set right later; where none is, soon means sooner, but not
// before the run is over.
func (p *Plan) lasting() []time.Duration {
	soon := 20 * time.Minute
	if slices.ContainsFunc(p.Nemesis, func(f Fault) bool { return f.Kind == clockJump || f.Then != nil && f.Then.Kind == clockJump }) {
		soon = maxLag + 10*time.Minute
	}
	return []time.Duration{24 * time.Hour, soon, -6 * 365 * 24 * time.Hour}
}

// put puts an item whose time passed a minute ago, or one that may stay.
func (x *expirer) put(key string, stays bool) {
	from := -time.Minute
	if stays {
		lasting := x.run.plan.lasting()
		from = lasting[x.rng.IntN(len(lasting))]
	}
	x.change(key, stays, func(s *server) error {
		t := s.at(from)
		_, err := s.tables.Put(&table.PutRequest{
			Table: expiringTable, Item: item.NewItem(map[string]item.Value{"p": item.String(key), "t": t}),
		})
		return err
	})
}

// prolong gives an item that is still there a time a day ahead.
func (x *expirer) prolong(key string) {
	x.change(key, true, func(s *server) error {
		params := expr.NewParams(map[string]string{"#t": "t"}, item.NewItem(map[string]item.Value{":t": s.at(24 * time.Hour)}))
		update, err := expr.ParseUpdate("SET #t = :t", params)
		if err != nil {
			return err
		}
		exists, err := expr.ParseCondition(expr.ConditionExpression, "attribute_exists(p)", expr.NewParams(nil, nil))
		if err != nil {
			return err
		}
		_, err = s.tables.UpdateItem(&table.UpdateRequest{Table: expiringTable, Key: expiringKey(key), Update: update, Condition: exists})
		return err
	})
}

// change carries out a change after which an item stays, or does not.
func (x *expirer) change(key string, stays bool, f func(s *server) error) {
	now := x.run.churner.now()
	answered, err := x.run.ask("expiry", x.rng, f)
	var refused *table.ConditionFailedError
	switch {
	case errors.Is(err, errNobody):
	case errors.As(err, &refused):
		if x.keep[key] && x.doubt[key] == nil {
			x.gone(key)
		}
	case answered && err == nil:
		x.keep[key], x.dies[key] = stays, !stays
		if x.doubt[key] != now && len(x.run.nodes) == 1 { // what had no answer in this life may yet happen
			delete(x.doubt, key)
		}
	default:
		x.run.judge(err)
		x.doubt[key], x.keep[key], x.dies[key] = now, false, false
	}
}

// look reads an item that must be there.
func (x *expirer) look(key string) {
	if !x.keep[key] || x.doubt[key] != nil {
		return
	}
	var it item.Item
	answered, err := x.run.ask("expiry", x.rng, func(s *server) error {
		r, err := s.tables.Get(&table.GetRequest{Table: expiringTable, Key: expiringKey(key), Consistent: true})
		if err == nil {
			it = r.Item
		}
		return err
	})
	if x.run.judge(err); answered && err == nil && it == nil {
		x.gone(key)
	}
}

// expiryPatience is how long an item may stay whose time has passed, when all is well. In a
// cluster the last sweep may have waited for a leader, and the pause after it is twenty times as long as
// it took.
func (r *run) expiryPatience() time.Duration {
	if len(r.nodes) == 1 {
		return 20 * time.Second
	}
	return 20*time.Second + 20*tablePatience
}

// verify looks, while nothing else happens, whether those that must stay are there, and
// those go that must.
func (x *expirer) verify() {
	x.rng = rand.New(rand.NewPCG(x.run.plan.Seed, 0xe4e)) // whom to ask
	for _, key := range sortedKeys(x.keep) {
		x.look(key)
	}
	for _, key := range sortedKeys(x.dies) {
		if !x.dies[key] || x.doubt[key] != nil || x.run.rotten() {
			continue
		}
		there := true
		for start := x.run.clients.Now(); there && x.run.clients.Now().Sub(start) < x.run.expiryPatience(); x.run.clients.Sleep(100 * time.Millisecond) {
			answered, err := x.run.ask("expiry", x.rng, func(s *server) error {
				r, err := s.tables.Get(&table.GetRequest{Table: expiringTable, Key: expiringKey(key), Consistent: true})
				there = err != nil || r.Item != nil
				return err
			})
			if answered {
				x.run.judge(err)
			}
		}
		if there {
			x.run.fail(found(Expiry, fmt.Errorf("sim: the time of item %s of table %s has passed, and it is still there %s after all faults were over", key, expiringTable, x.run.expiryPatience())))
			return
		}
	}
}

func (x *expirer) gone(key string) {
	x.run.fail(found(Expiry, fmt.Errorf("sim: item %s of table %s was to stay, and that was acknowledged, but it is gone", key, expiringTable)))
}
