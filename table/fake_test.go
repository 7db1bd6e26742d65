package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A fakeHost applies every proposal at once, as an entry of its own.
type fakeHost struct {
	env *env.Env

	mu       sync.Mutex
	groups   map[uint64]*fakeGroup
	removed  []uint64
	failFrom int // the proposal from which on all fail; 0 = never
	failTo   int // the last one that fails; 0 = there is none
	failWith error
	proposed int
	barriers int
}

var errFake = errors.New("fake: stopped")

type fakeGroup struct {
	host  *fakeHost
	sm    replication.StateMachine
	index uint64
}

func (h *fakeHost) Start(id uint64, sm replication.StateMachine, voters []uint64) (group, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.groups[id] != nil {
		return nil, replication.ErrGroupRunning
	}
	g := &fakeGroup{host: h, sm: sm, index: sm.Applied()}
	h.groups[id] = g
	return g, nil
}

func (h *fakeHost) Remove(id uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.groups, id)
	h.removed = append(h.removed, id)
	return nil
}

func (h *fakeHost) Retired(uint64) bool { return false } // no group has other members

func (h *fakeHost) Err() error { return nil }

func (h *fakeHost) Groups() []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.groups))
}

// die makes all further proposals fail, as those of a process that was killed:
// its tasks may still run.
func (h *fakeHost) die() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failFrom = 1
}

// fails reports whether proposals have begun to fail.
func (h *fakeHost) fails() bool {
	return h.failFrom > 0 && h.proposed >= h.failFrom && (h.failTo == 0 || h.proposed <= h.failTo)
}

func (g *fakeGroup) Propose(command []byte) *env.Future[any] {
	g.host.mu.Lock()
	defer g.host.mu.Unlock()
	g.host.proposed++
	f := env.NewFuture[any](g.host.env)
	if g.host.fails() {
		f.Set(nil, g.host.failWith)
		return f
	}
	g.index++
	command = slices.Clone(command)
	answers := g.sm.Apply(g.index, [][]byte{command})
	clear(command) // only valid until Apply returns
	f.Set(answers[0], nil)
	return f
}

func (g *fakeGroup) Leading() bool  { return true }
func (g *fakeGroup) Leader() uint64 { return firstNode }

func (g *fakeGroup) Applied() uint64 {
	g.host.mu.Lock()
	defer g.host.mu.Unlock()
	return g.index
}

func (g *fakeGroup) ChangeMembers(...replication.Change) error { return replication.ErrBusy }
func (g *fakeGroup) Transfer(uint64) error                     { return replication.ErrBusy }

func (g *fakeGroup) Status() (replication.Status, error) {
	return replication.Status{Leading: true, Leader: firstNode, Members: replication.Members{Voters: firstNodes}, Known: true}, nil
}

func (g *fakeGroup) ReadBarrier() error {
	g.host.mu.Lock()
	defer g.host.mu.Unlock()
	g.host.barriers++
	return nil
}

// A world is a service over a fake host and a store in memory.
type world struct {
	*Service
	t    testing.TB
	env  *env.Env
	fs   vfs.FS
	db   *lsm.DB
	host *fakeHost
	// prepare, if set, changes the host of the next start.
	prepare func(*fakeHost)
	options Options // of the next start
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t}
	w.begin()
	t.Cleanup(func() { w.Close(); w.db.Close() })
	return w
}

// begin starts a new world.
func (w *world) begin() {
	w.env, w.fs = env.New(), vfs.NewMem()
	w.start()
}

func (w *world) start() {
	w.t.Helper()
	db, err := lsm.Open(w.env, w.fs, partition.StoreOptions(lsm.Options{DisableWAL: true}))
	if err != nil {
		w.t.Fatalf("lsm.Open: %v", err)
	}
	w.db = db
	w.open()
}

// open starts a new service on the store as it is, as after a crash of
// everything above it.
func (w *world) open() {
	w.t.Helper()
	if w.host != nil {
		w.host.die()
	}
	w.host = &fakeHost{env: w.env, groups: map[uint64]*fakeGroup{}, failWith: errFake}
	if w.prepare != nil {
		w.prepare(w.host)
	}
	s, err := open(w.env, w.db, w.host, w.options)
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	w.Service = s
}

// restart closes everything and opens it again.
func (w *world) restart() {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Fatalf("Close: %v", err)
	}
	if err := w.db.Close(); err != nil {
		w.t.Fatalf("lsm Close: %v", err)
	}
	w.start()
}

func (w *world) create(d Definition) {
	w.t.Helper()
	if d.BillingMode == "" && d.Throughput == nil {
		d.BillingMode = BillingOnDemand
	}
	if _, err := w.Create(d); err != nil {
		w.t.Fatalf("Create(%s): %v", d.Name, err)
	}
}

func (w *world) put(table, text string) {
	w.t.Helper()
	if _, err := w.Put(&PutRequest{Table: table, Item: js(text)}); err != nil {
		w.t.Fatalf("Put %s: %v", text, err)
	}
}

// get returns an item as JSON, "none" if it is missing.
func (w *world) get(table, key string) string {
	w.t.Helper()
	r, err := w.Get(&GetRequest{Table: table, Key: js(key), Consistent: true})
	if err != nil {
		w.t.Fatalf("Get %s: %v", key, err)
	}
	return show(r.Item)
}

func show(it item.Item) string {
	if it == nil {
		return "none"
	}
	return string(it.AppendJSON(nil))
}

// js parses an item from DynamoDB JSON.
func js(text string) item.Item {
	s := jsonscan.New([]byte(text))
	it, err := item.ParseItem(&s, nil)
	if err != nil {
		panic(fmt.Sprintf("item %s: %v", text, err))
	}
	return it
}

func params(values string) *expr.Params {
	if values == "" {
		return expr.NewParams(nil, nil)
	}
	return expr.NewParams(nil, js(values))
}

func condition(text, values string) *expr.Condition {
	return must(expr.ParseCondition(expr.ConditionExpression, text, params(values)))
}

func filter(text, values string) *expr.Condition {
	return must(expr.ParseCondition(expr.FilterExpression, text, params(values)))
}

func keyed(text, values string) *expr.KeyCondition {
	return must(expr.ParseKeyCondition(text, params(values)))
}

func projection(text string) *expr.Projection {
	return must(expr.ParseProjection(text, params("")))
}

func update(text, values string) *expr.Update {
	return must(expr.ParseUpdate(text, params(values)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keys makes a key schema from names: hash, then range.
func keys(names ...string) []KeyElement {
	list := []KeyElement{{Name: names[0], Role: Hash}}
	for _, name := range names[1:] {
		list = append(list, KeyElement{Name: name, Role: Range})
	}
	return list
}

// attributes makes definitions from pairs of name and type.
func attributes(pairs ...string) []AttributeDefinition {
	var list []AttributeDefinition
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, AttributeDefinition{Name: pairs[i], Type: item.TypeOf(pairs[i+1])})
	}
	return list
}

func all() *Projection { return &Projection{Type: "ALL"} }

// checkError compares an error with its text; "" = none.
func checkError(t testing.TB, what string, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s: error\n\t%q, want\n\t%q", what, got, want)
	}
}
