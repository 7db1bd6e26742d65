package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A LoadInfo tells of a load: something that a world is asked for while faults happen.
type LoadInfo struct{ Name, What string }

// The loads. Those of clients are single requests (ClientPlan), those of transactors are
// requests of the ledger (TransactorPlan); each of the others is a task with a table of its own, or a store.
var loads = []LoadInfo{
	{"items", "gets, puts and deletes of single items, many on conditions"},
	{"counters", "adds to a number of an item"},
	{"queries", "queries of item collections and scans, consistent or not, a few rows a page"},
	{"batches", "two writes in one request"},
	{"indexes", "queries of local and global indexes, while clients write"},
	{transactionsLoad, "all of accounts, pairs, lists, registers and once"},
	{"accounts", "transfers between accounts, and audits: their sum stays"},
	{"pairs", "of two, one is always on duty (write skew)"},
	{"lists", "appends to lists, several at a time (list-append)"},
	{"registers", "conditional writes and reads of several items at one moment"},
	{"once", "transactions whose items nobody else writes: at any moment, and in the end, all of them are there, or none"},
	{"tables", "tables and an index are created, filled, read and dropped"},
	{"expiry", "items with a time to live, some of which are prolonged"},
	{"grammar", "expressions made from the grammar, against a second opinion"},
	{engineLoad, "the engine alone, with its own log, on a machine of its own that often loses power"},
}

const (
	transactionsLoad = "transactions"
	engineLoad       = "engine"
)

// Loads lists the loads.
func Loads() []LoadInfo { return slices.Clone(loads) }

// CheckLoads says which of the names is none of a load.
func CheckLoads(names []string) error {
	var valid []string
	for _, l := range loads {
		valid = append(valid, l.Name)
	}
	for _, name := range names {
		if !slices.Contains(valid, name) {
			return fmt.Errorf("sim: there is no load %q; there are %s", name, strings.Join(valid, ", "))
		}
	}
	return nil
}

// wants reports whether a load was asked for by name; all are if none is named.
func (o *Options) wants(name string) bool {
	return len(o.Workload) == 0 || slices.Contains(o.Workload, name)
}

// wantsByName reports whether a load was asked for by its name.
func (o *Options) wantsByName(name string) bool { return slices.Contains(o.Workload, name) }

// clientLoads are the loads of clients.
var clientLoads = []string{"items", "counters", "queries", "batches", "indexes"}

// transactorLoads are those of transactors, in the order of transactLoads.
var transactorLoads = []string{"accounts", "pairs", "lists", "registers", "once"}

// drawOf draws a request of one of the loads that were asked for.
func (d *drawer) drawOf(wanted []string, m moment, value string) Op {
	o := Op{At: m.at, Value: value}
	hot := d.hot(m)
	switch wanted[d.IntN(len(wanted))] {
	case "items":
		if d.IntN(8) == 0 {
			o.Do, o.Key = "put", fmt.Sprintf("cold%d/%s", d.IntN(coldHashes), value)
			break
		}
		for o.Do == "" || o.Do == "add" {
			o = Op{At: m.at, Value: value}
			d.drawSingle(&o, hot)
		}
	case "counters":
		o.Do, o.Key, o.Count = "add", hot, 1
	case "queries":
		if d.IntN(3) == 0 {
			o.Do, o.Value, o.Limit = "scan", "", d.IntN(2)*10
		} else {
			d.drawQuery(&o, d.hash(m))
		}
		o.Stale = d.IntN(2) == 0
	case "batches":
		d.drawBatch(&o, m)
	case "indexes":
		d.drawIndexRead(&o)
	}
	return o
}

// drawIndexRead draws a query of one of the table's indexes.
func (d *drawer) drawIndexRead(o *Op) {
	list := d.plan.Knobs.indexes()
	*o = Op{At: o.At, Do: "index", Index: list[d.IntN(len(list))].name, Limit: d.IntN(4), Reverse: d.IntN(2) == 0}
	switch o.Index {
	case "local":
		o.Key, o.Stale = fmt.Sprint("p", d.IntN(hotHashes)), d.IntN(2) == 0
	case "byValue":
		o.Key = hotKey(d.IntN(hotHashes * hotRanges)) // with the value that the client has seen there
	case "byCount":
		o.Count = int64(d.IntN(6))
	}
}

// The mean pauses between the steps of tasks that have tables of their own, in a cluster.
const clusterStepPause = 600 * time.Millisecond

// drawLoads makes some of the queries and scans weak or queries of indexes, and, in a
// cluster, has tasks with tables of their own. It has dice of its own, so that the rest of a plan
// does not depend on it.
func (d *drawer) drawLoads() {
	p := d.plan
	l := &drawer{Rand: rand.New(rand.NewPCG(p.Seed, 0x10ad5)), o: d.o, plan: p}
	weak, indexed := l.IntN(2) == 0, l.IntN(2) == 0
	for i := range p.Clients {
		for k := range p.Clients[i].Ops {
			o := &p.Clients[i].Ops[k]
			switch {
			case len(d.o.Workload) > 0 || o.Do != "query" && o.Do != "scan":
			case indexed && l.IntN(2) == 0:
				l.drawIndexRead(o)
			case weak:
				o.Stale = l.IntN(2) == 0
			}
			if o.Do == "query" || o.Do == "scan" {
				l.drawFilter(o)
			}
			if o.Do == "scan" && l.IntN(3) == 0 {
				o.Segments = 2 + l.IntN(3)
			}
		}
	}
	if !d.cluster() {
		return
	}
	for _, x := range []struct {
		load  string
		steps *[]Step
	}{{"tables", &p.Churn}, {"expiry", &p.Expiry}, {"grammar", &p.Grammar}} {
		if on := l.IntN(5) == 0; on && len(d.o.Workload) == 0 || len(d.o.Workload) > 0 && d.o.wants(x.load) {
			*x.steps = l.steps(clusterStepPause)
		}
	}
}

// drawEngine has the engine tried alone in some worlds. It has dice of its own.
func (d *drawer) drawEngine() {
	l := &drawer{Rand: rand.New(rand.NewPCG(d.plan.Seed, 0xe4914e)), o: d.o, plan: d.plan}
	byName := d.o.wantsByName(engineLoad)
	if byName || l.IntN(6) == 0 && len(d.o.Workload)+len(d.o.Faults) == 0 && !d.o.Calm && d.o.Attempts == 0 {
		d.plan.Engine = l.steps(d.plan.For.Std() / lonerBursts)
	}
}

// lonerBursts is how many bursts of the engine a run has, about.
const lonerBursts = 20
