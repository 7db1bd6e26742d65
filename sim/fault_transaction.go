package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// The faults that strike in the middle of a transaction. Each waits for the n-th entry that any log has
// of one transaction with several partitions: its prepares, its decision, what follows. By later
// somebody loses power who has to do with it. Where nobody has heard of the decision yet,
// prepared items stay behind, for as long as it takes others to find out; another fault
// may follow in that time.
var transactionKinds = []*kind{
	{name: "coordinator crash", what: "who coordinates a transaction loses power by after its n-th log entry; then another fault may follow, while its items are taken",
		nodes: 2, needs: hasTransactors, leads: true, draw: drawTransactionCrash,
		do: func(r *run, f *Fault) { r.crashInTransaction(f, (*run).coordinatorOf) }},
	{name: coordinatorPause, what: "who coordinates a transaction stands still, as by SIGSTOP, by after its n-th log entry, mostly for longer than others wait for it; then another fault may follow",
		nodes: 2, needs: hasTransactors, leads: true, draw: drawTransactionCrash,
		do: func(r *run, f *Fault) { r.crashInTransaction(f, (*run).coordinatorOf) }},
	{name: "participant crash", what: "the leader whose log has the n-th entry of a transaction loses power by after that; then another fault may follow, while its items are taken",
		nodes: 2, needs: hasTransactors, leads: true, draw: drawTransactionCrash,
		do: func(r *run, f *Fault) {
			r.crashInTransaction(f, func(r *run, w *transactionWatch) *node { return r.leaderOf(w.group) })
		}},
}

const coordinatorPause = "coordinator pause"

func hasTransactors(p *Plan) bool { return len(p.Transactors) > 0 }

// maxEntries is how many entries the logs have of a transaction of a few partitions, and one more.
const maxEntries = 8

func drawTransactionCrash(d *drawer, f *Fault) {
	drawCrash(d, f)
	f.Target, f.N, f.By = "", 1+d.IntN(maxEntries), 0
	if d.IntN(2) == 0 { // else before anybody has heard of the entry
		f.By = d.exp(300 * time.Microsecond)
	}
	switch stale := d.plan.Knobs.Stale; {
	case stale > 0 && d.IntN(2) == 0: // a little longer than others wait for a coordinator
		f.For = stale + d.exp(100*time.Millisecond)
	case stale > 0:
	case d.IntN(4) == 0:
		f.For = d.exp(6 * time.Second)
	case d.IntN(3) == 0:
		f.For = Duration(5*time.Second) + d.exp(time.Second)
	}
	switch d.IntN(7) {
	case 0, 1, 2:
		return
	case 3:
		if d.wanted(splitKind) {
			f.Then = &Fault{Kind: splitKind, Target: fmt.Sprint("ledger ", 1+d.IntN(2*d.plan.Knobs.Partitions)), For: Duration(splitPatience), N: d.IntN(splitSteps)}
			return
		}
	case 4: // its own items fall apart
		if d.wanted(splitKind) {
			f.Then = &Fault{Kind: splitKind, Target: struckGroup, For: Duration(splitPatience)}
			return
		}
	}
	var followers []*kind
	for _, k := range kinds {
		if k.draw != nil && !k.leads && k.rare == 0 && k.fits(d.plan) && d.wanted(k.name) {
			followers = append(followers, k)
		}
	}
	if len(followers) == 0 {
		return
	}
	k := followers[d.IntN(len(followers))]
	f.Then = &Fault{Kind: k.name}
	k.draw(d, f.Then)
	f.Then.For = min(f.Then.For, Duration(4*time.Second))
	if t, err := parseTarget(f.Then.Target, d.plan); err == nil && t.kind == "node" { // one that has to do with it, rather
		f.Then.Target = fmt.Sprint("leader of ledger ", 1+d.IntN(d.plan.Knobs.Partitions))
	}
}

// maxTransactionFaults is how many drawTransactionFaults draws.
const maxTransactionFaults = 10

// drawTransactionFaults draws, for half of the plans that have transactors, faults that are about
// transactions: those above, and times in which some of the requests of a coordinator, or of the answers of a
// participant, are lost and sent again a second later, when others have made up their minds. It has
// dice of its own, so that the rest of a plan does not depend on it.
func (d *drawer) drawTransactionFaults() {
	p := d.plan
	t := &drawer{Rand: rand.New(rand.NewPCG(p.Seed, 0x7a5fa)), o: d.o, plan: p}
	if t.IntN(2) == 0 || !d.cluster() || !hasTransactors(p) || d.o.Attempts > 0 {
		return
	}
	list := append([]*kind{kindOf(callsLost), kindOf(answersLost)}, transactionKinds...)
	pause := time.Duration(t.one(500, 1500, 4000)) * time.Millisecond
	for at, n := t.exp(pause), 0; at < p.For && n < maxTransactionFaults; at, n = at+t.exp(pause), n+1 {
		k := list[t.IntN(len(list))]
		if !d.wanted(k.name) {
			continue
		}
		f := Fault{At: at, Kind: k.name}
		if k.draw(t, &f); k.name == callsLost || k.name == answersLost {
			f.Target, f.N = "coordinator", t.one(100_000, 300_000)
			if k.name == answersLost && t.IntN(2) == 0 { // for so long that it gives up
				f.N, f.For = 1_000_000, Duration(2*p.Knobs.patience())+t.exp(500*time.Millisecond)
			}
			if t.IntN(2) == 0 {
				f.Target = fmt.Sprint("leader of ledger ", 1+t.IntN(p.Knobs.Partitions))
			}
		}
		f.For = min(f.For, p.For-at)
		p.Nemesis = append(p.Nemesis, f)
	}
}

// A transactionWatch waits for an entry of a transaction.
type transactionWatch struct {
	n       int
	entries map[txn.ID]int // so far, of those that are followed from their first one on
	at      func()         // is called, once, in its own time

	id    txn.ID // of the one whose entry it was
	group uint64 // that has the entry
}

// A struck is where the last transaction was that a fault was waiting for.
type struck struct {
	group  uint64
	hashes []uint64 // of its items there, sorted
}

// between returns a hash between those of the items, so that a split there has some on both sides; of the only one
// itself; 0: of none.
func (s *struck) between() uint64 {
	if len(s.hashes) == 0 {
		return 0
	}
	return s.hashes[len(s.hashes)/2]
}

// onTransaction is told of each command that is applied for the first time anywhere.
func (r *run) onTransaction(group uint64, command []byte) {
	if len(r.caught) == 0 {
		return
	}
	c, err := partition.DecodeCommand(command)
	if err != nil || c.Transaction == nil {
		return
	}
	t := c.Transaction
	first := c.Kind == partition.Prepare || c.Kind == partition.Transact && len(t.Others) > 0
	for _, w := range slices.Clone(r.caught) {
		if _, followed := w.entries[t.ID]; !followed && !first {
			continue
		}
		if w.entries[t.ID]++; w.entries[t.ID] < w.n {
			continue
		}
		w.id, w.group = t.ID, group
		r.struck = struck{group: group, hashes: itemHashes(t)}
		r.caught = slices.DeleteFunc(r.caught, func(x *transactionWatch) bool { return x == w })
		w.at()
	}
}

// ledgerSchema is that of the tables of the ledger, as far as hashes depend on it.
var ledgerSchema = partition.Schema{Hash: partition.Key{Name: "k", Type: item.S}}

// itemHashes returns the hashes of the items that a command of a transaction is about.
func itemHashes(t *partition.Transaction) []uint64 {
	hashes := slices.Clone(t.Hashes)
	for i := range t.Actions {
		if it := t.Actions[i].Item; ledgerSchema.CheckKeyOf(it) == nil { // else it is of another table
			hashes = append(hashes, ledgerSchema.HashOf(it))
		}
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// coordinatorOf returns who began a transaction; nil if that life of a node is over.
func (r *run) coordinatorOf(w *transactionWatch) *node {
	for _, n := range r.nodes {
		if n.server != nil && n.server.tables.Life() == w.id.Node {
			return n
		}
	}
	return nil
}

// transactionPatience is how long a fault waits for a transaction that gets so far.
const transactionPatience = 2 * time.Second

func (r *run) crashInTransaction(f *Fault, victimOf func(r *run, w *transactionWatch) *node) {
	var victim *node
	struck := env.NewFuture[struct{}](r.clients)
	w := &transactionWatch{n: max(1, f.N), entries: map[txn.ID]int{}}
	w.at = func() {
		r.world.After(f.By.Std(), func() {
			if n := victimOf(r, w); n != nil && n.up() && !n.gone {
				victim = n
				r.strike(f, n)
			}
			struck.Set(struct{}{}, nil)
		})
	}
	r.caught = append(r.caught, w)
	if _, _, ok := struck.AwaitFor(transactionPatience); !ok {
		if r.caught = slices.DeleteFunc(r.caught, func(x *transactionWatch) bool { return x == w }); w.group != 0 {
			_, _ = struck.Await() // it is about to strike
		}
	}
	if victim == nil {
		r.excuse(f, "no transaction had %d entries in %s, or whoever was to die was down", f.N, transactionPatience)
		return
	}
	r.came(f)
	r.world.Note("fault: %s: %s, entry %d of %v", f.Kind, victim.name, f.N, w.id)
	group := env.NewGroup(r.clients)
	if f.Then != nil {
		group.Go("then "+f.Then.Kind, func() error {
			r.world.Note("fault: then %s %s for %s", f.Then.Kind, f.Then.Target, f.Then.For)
			kindOf(f.Then.Kind).do(r, f.Then)
			return nil
		})
	}
	r.hold(f)
	if f.Kind == coordinatorPause {
		r.world.Resume(victim.name)
	} else {
		victim.holds--
		victim.restart()
	}
	_ = group.Wait()
}

// strike stops a node in the middle of a transaction.
func (r *run) strike(f *Fault, n *node) {
	if f.Kind == coordinatorPause {
		r.world.Pause(n.name)
		return
	}
	n.holds++
	n.crash(r.mode(f))
}
