package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
}

// A life is one life of the node.
type life = server

const (
	expiringTable = "expiring"
	expiringKeys  = 6
	ttlInterval   = 20 * time.Millisecond // pause between sweeps of the node
	ttlPause      = 10 * time.Millisecond // mean pause between operations
)

// step does one thing to one item.
func (x *expirer) step() {
	if !x.ready && !x.create() {
		return
	}
	key := strconv.Itoa(x.rng.IntN(expiringKeys))
	switch x.rng.IntN(4) {
	case 0:
		x.put(key)
	case 1, 2:
		x.prolong(key)
	default:
		x.look(key)
	}
}

// create makes the table, or finds that it is there.
func (x *expirer) create() bool {
	answered, err := x.run.ask("create expiring", func(s *server) error {
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

// put puts an item whose time passed a minute ago, or one that may stay.
func (x *expirer) put(key string) {
	stays := x.rng.IntN(3) == 0
	x.change(key, stays, func(s *server) error {
		t := s.at(-time.Minute)
		if stays {
			t = s.at(24 * time.Hour)
		}
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
	now := x.run.nodes[0].server
	answered, err := x.run.ask("expiry", f)
	var refused *table.ConditionFailedError
	switch {
	case errors.As(err, &refused):
		if x.keep[key] && x.doubt[key] == nil {
			x.gone(key)
		}
	case answered && err == nil:
		x.keep[key] = stays
		if x.doubt[key] != now && len(x.run.nodes) == 1 { // what had no answer in this life may yet happen
			delete(x.doubt, key)
		}
	default:
		x.run.judge(err)
		x.doubt[key], x.keep[key] = now, false
	}
}

// look reads an item that must be there.
func (x *expirer) look(key string) {
	if !x.keep[key] || x.doubt[key] != nil {
		return
	}
	var it item.Item
	answered, err := x.run.ask("expiry", func(s *server) error {
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

func (x *expirer) gone(key string) {
	x.run.fail(found(Expiry, fmt.Errorf("sim: item %s of table %s was prolonged by a day, and that was acknowledged, but it is gone", key, expiringTable)))
}
