package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Shrinker makes a plan that fails smaller while it still fails in the same way:
// while the same checker finds something.
//
//  1. what comes after the moment of the finding goes; if it was found while clients
//     were at work, so does all that follows their work in a run
//  2. the requests on other keys than the one that cannot be explained
//  3. less time: the first half goes, and the rest begins earlier
//  4. the tasks beside the clients, bit rot, other regions, and unusual knobs; smaller tables and
//     segments, so that fewer requests fill them
//  5. faults, by ever smaller parts (Zeller, "Simplifying and Isolating Failure-Inducing Input")
//  6. whole clients, then requests, also by parts; those that stay keep their time
//  7. simpler faults and requests: no conditions, plain crashes, shorter
//  8. fewer nodes; faults that take more go with them
//
// and again, until nothing gets smaller or a limit is reached.
type Shrinker struct {
	// Runs limits how many plans are tried; default 400.
	Runs int
	// Deadline is asked before each try whether to stop; nil: never.
	Deadline func() bool
	// Report is told of each plan that still fails; nil: nobody.
	Report func(p *Plan, runs int)

	best  *Plan
	found Result
	brief bool // what it found was there before the clients had ended
	class Checker
	runs  int
}

// Shrink returns the smallest plan that it finds, what running it comes to, and how many
// plans it tried. If the plan does not fail, it is returned with its result.
func (s *Shrinker) Shrink(p *Plan) (*Plan, Result, int) {
	if s.Runs == 0 {
		s.Runs = 400
	}
	s.best, s.found = p, RunPlan(p, Options{})
	if s.class = CheckerOf(s.found.Err); s.found.Err == nil {
		return p, s.found, 1
	}
	s.brief = !s.found.AtRest
	s.until()
	s.onlyKey()
	for range 3 {
		before := s.size()
		s.shorten()
		s.strip()
		s.fewer(func(p *Plan) int { return len(p.Nemesis) }, func(p *Plan, keep func(int) bool) { p.Nemesis = kept(p.Nemesis, keep) })
		s.fewer(func(p *Plan) int { return len(p.Clients) }, dropClients)
		s.fewer((*Plan).Requests, dropRequests)
		s.fewer((*Plan).followers, (*Plan).dropFollowers)
		s.fewer(func(p *Plan) int { return len(p.Transactors) }, func(p *Plan, keep func(int) bool) { p.Transactors = kept(p.Transactors, keep) })
		s.fewer((*Plan).transactions, dropTransactions)
		s.fewer(func(p *Plan) int { return len(p.Churn) }, func(p *Plan, keep func(int) bool) { p.Churn = kept(p.Churn, keep) })
		s.fewer(func(p *Plan) int { return len(p.Expiry) }, func(p *Plan, keep func(int) bool) { p.Expiry = kept(p.Expiry, keep) })
		s.fewer(func(p *Plan) int { return len(p.Grammar) }, func(p *Plan, keep func(int) bool) { p.Grammar = kept(p.Grammar, keep) })
		s.fewer(func(p *Plan) int { return len(p.Engine) }, func(p *Plan, keep func(int) bool) { p.Engine = kept(p.Engine, keep) })
		s.simplify()
		s.until()
		s.sooner()
		s.fewerNodes()
		if s.size() == before || s.over() {
			break
		}
	}
	if s.brief { // it has been run up to the finding only
		s.found = RunPlan(s.best, Options{})
	}
	return s.best, s.found, s.runs
}

// size is what a round tries to make less.
func (s *Shrinker) size() int { return len(s.best.Encode()) }

func (s *Shrinker) over() bool { return s.runs >= s.Runs || s.Deadline != nil && s.Deadline() }

// try changes a copy of the best plan, and keeps it if it still fails.
func (s *Shrinker) try(change func(p *Plan)) bool {
	if s.over() {
		return false
	}
	p := s.best.clone()
	change(p)
	if p.check() != nil || slices.Equal(p.Encode(), s.best.Encode()) {
		return false
	}
	s.runs++
	r := RunPlan(p, Options{Brief: s.brief})
	if r.Err == nil || CheckerOf(r.Err) != s.class {
		return false
	}
	s.best, s.found = p, r
	if s.Report != nil {
		s.Report(p, s.runs)
	}
	return true
}

func (p *Plan) clone() *Plan {
	b, err := json.Marshal(p)
	c := &Plan{}
	if err == nil {
		err = json.Unmarshal(b, c)
	}
	if err != nil {
		panic(fmt.Sprintf("sim: clone plan: %v", err)) // it has no values that JSON lacks
	}
	return c
}

// until is step 1.
func (s *Shrinker) until() {
	if s.brief && s.found.Until > 0 {
		s.try(func(p *Plan) { p.cut(min(p.For, s.found.Until+Duration(time.Millisecond))) })
	}
}

// onlyKey is step 2.
func (s *Shrinker) onlyKey() {
	var v *Violation
	if !errors.As(s.found.Err, &v) {
		return
	}
	hash, _, _ := strings.Cut(v.Key, "/")
	for _, alike := range []func(o *Op) bool{
		func(o *Op) bool { return o.Key == v.Key || o.Second == v.Key },
		func(o *Op) bool { return strings.HasPrefix(o.Key, hash) || o.Second == v.Key },
	} {
		if s.try(func(p *Plan) {
			for i := range p.Clients {
				c := &p.Clients[i]
				c.Ops = kept(c.Ops, func(k int) bool { return alike(&c.Ops[k]) })
			}
		}) {
			return
		}
	}
}

// shorten is step 3.
func (s *Shrinker) shorten() {
	for _, part := range []Duration{2, 4} {
		for s.try(func(p *Plan) { p.cut(p.For - p.For/part) }) {
		}
	}
	for _, part := range []Duration{2, 4} {
		for s.best.For > Duration(10*time.Millisecond) && s.try(func(p *Plan) { p.skip(p.For / part) }) {
		}
	}
}

// sooner lets everything begin as early as the first request or fault can.
func (s *Shrinker) sooner() {
	first := s.best.For
	for _, f := range s.best.Nemesis {
		first = min(first, f.At)
	}
	for i := range s.best.Transactors {
		for _, x := range s.best.Transactors[i].Ops {
			first = min(first, x.At)
		}
	}
	for i := range s.best.Clients {
		for _, o := range s.best.Clients[i].Ops {
			first = min(first, o.At)
		}
	}
	s.try(func(p *Plan) { p.skip(first) })
}

// skip lets a plan begin later: what was to come before is gone, the rest comes so much
// earlier.
func (p *Plan) skip(by Duration) {
	p.For = max(p.For-by, Duration(time.Millisecond))
	p.Nemesis = slices.DeleteFunc(p.Nemesis, func(f Fault) bool { return f.At < by })
	for i := range p.Nemesis {
		p.Nemesis[i].At -= by
	}
	for i := range p.Clients {
		c := &p.Clients[i]
		c.Ops = slices.DeleteFunc(c.Ops, func(o Op) bool { return o.At < by })
		for k := range c.Ops {
			c.Ops[k].At -= by
		}
	}
	for i := range p.Transactors {
		t := &p.Transactors[i]
		t.Ops = slices.DeleteFunc(t.Ops, func(x Transaction) bool { return x.At < by })
		for k := range t.Ops {
			t.Ops[k].At -= by
		}
	}
	for _, steps := range []*[]Step{&p.Churn, &p.Expiry, &p.Grammar, &p.Engine} {
		var rest []Step
		for _, t := range *steps {
			if t.At >= by {
				rest = append(rest, Step{t.At - by, t.Dice})
			}
		}
		*steps = rest
	}
}

// fewerNodes is step 8.
func (s *Shrinker) fewerNodes() {
	for _, n := range []int{3, 1} {
		if len(s.best.Nodes) <= n {
			continue
		}
		s.try(func(p *Plan) { p.keepNodes(n) })
	}
}

// keepNodes leaves the first nodes, and the faults that can happen with them.
func (p *Plan) keepNodes(n int) {
	p.Nodes = p.Nodes[:n]
	p.Nemesis = slices.DeleteFunc(p.Nemesis, func(f Fault) bool { return f.check(p) != nil || !kindOf(f.Kind).fits(p) })
	for i := range p.Clients {
		p.Clients[i].Node = 1 + (p.Clients[i].Node-1)%n
	}
	for i := range p.Transactors {
		p.Transactors[i].Node = 1 + (p.Transactors[i].Node-1)%n
	}
}

// followers counts the faults that follow others.
func (p *Plan) followers() (n int) {
	for i := range p.Nemesis {
		if p.Nemesis[i].Then != nil {
			n++
		}
	}
	return n
}

func (p *Plan) dropFollowers(keep func(int) bool) {
	n := 0
	for i := range p.Nemesis {
		if f := &p.Nemesis[i]; f.Then != nil {
			if !keep(n) {
				f.Then = nil
			}
			n++
		}
	}
}

// cut ends a plan early.
func (p *Plan) cut(at Duration) {
	p.For = max(at, Duration(time.Millisecond))
	late := func(t Duration) bool { return t >= p.For }
	p.Nemesis = slices.DeleteFunc(p.Nemesis, func(f Fault) bool { return late(f.At) })
	for i := range p.Nemesis {
		f := &p.Nemesis[i]
		f.For = min(f.For, p.For-f.At)
	}
	for i := range p.Clients {
		p.Clients[i].Ops = slices.DeleteFunc(p.Clients[i].Ops, func(o Op) bool { return late(o.At) })
	}
	for i := range p.Transactors {
		p.Transactors[i].Ops = slices.DeleteFunc(p.Transactors[i].Ops, func(x Transaction) bool { return late(x.At) })
	}
	p.Churn = slices.DeleteFunc(p.Churn, func(t Step) bool { return late(t.At) })
	p.Expiry = slices.DeleteFunc(p.Expiry, func(t Step) bool { return late(t.At) })
	p.Grammar = slices.DeleteFunc(p.Grammar, func(t Step) bool { return late(t.At) })
	p.Engine = slices.DeleteFunc(p.Engine, func(t Step) bool { return late(t.At) })
}

// strip is step 4.
func (s *Shrinker) strip() {
	for _, change := range []func(p *Plan){
		func(p *Plan) { p.Churn = nil },
		func(p *Plan) { p.Expiry = nil },
		func(p *Plan) { p.Grammar = nil },
		func(p *Plan) { p.Engine = nil },
		func(p *Plan) { p.Rot = 0 },
		func(p *Plan) { p.Transactors = nil },
		func(p *Plan) { p.Clients = nil },
		func(p *Plan) { p.Knobs.Verify = false },
		func(p *Plan) { p.Knobs.Facets, p.Knobs.Compress = false, false },
		func(p *Plan) { p.Knobs.SyncTime = 0 },
		func(p *Plan) { p.Knobs.Leaves = -1 },
		(*Plan).joinRegions,
		func(p *Plan) { p.Knobs.Partitions = 1 },
		func(p *Plan) { p.Knobs.Lacks = []string{"byValue", "byCount"} },
		func(p *Plan) { p.Knobs.Memtable, p.Knobs.L0 = 4<<10, 1 },
		func(p *Plan) { p.Knobs.Segment, p.Knobs.Segments = 16<<10, 2 },
		func(p *Plan) { p.Knobs.Keep, p.Knobs.Threshold, p.Knobs.Manifest = 0, 0, 0 },
		func(p *Plan) {
			for i := range p.Clients {
				p.Clients[i].Retries = 0
			}
		},
	} {
		s.try(change)
	}
}

// joinRegions puts all zones in one region. What targets a region other than that makes the
// plan one that is refused.
func (p *Plan) joinRegions() {
	for i := range p.Nodes {
		p.Nodes[i].Region = p.Nodes[0].Region
	}
}

// fewer is ddmin on one of a plan's lists: what drops the elements for which keep is
// false.
func (s *Shrinker) fewer(count func(p *Plan) int, drop func(p *Plan, keep func(int) bool)) {
	if n := count(s.best); n == 0 || s.try(func(p *Plan) { drop(p, func(int) bool { return false }) }) {
		return
	}
	for parts := 2; ; {
		n := count(s.best)
		size := (n + parts - 1) / parts
		dropped := false
		for from := 0; from < count(s.best) && !s.over(); {
			if !s.try(func(p *Plan) { drop(p, func(i int) bool { return i < from || i >= from+size }) }) {
				from += size
				continue
			}
			dropped = true
		}
		switch {
		case s.over() || size <= 1 && !dropped:
			return
		case size > 1 && !dropped || size > 1:
			parts = min(2*parts, max(1, count(s.best)))
		}
	}
}

func kept[T any](list []T, keep func(int) bool) (rest []T) {
	for i, e := range list {
		if keep(i) {
			rest = append(rest, e)
		}
	}
	return rest
}

// dropClients leaves clients in their place, so that the others keep their names.
func dropClients(p *Plan, keep func(int) bool) {
	for i := range p.Clients {
		if !keep(i) {
			p.Clients[i].Ops = nil
		}
	}
	for len(p.Clients) > 0 && len(p.Clients[len(p.Clients)-1].Ops) == 0 {
		p.Clients = p.Clients[:len(p.Clients)-1]
	}
}

func dropRequests(p *Plan, keep func(int) bool) {
	at := 0
	for i := range p.Clients {
		c := &p.Clients[i]
		first := at
		at += len(c.Ops)
		c.Ops = kept(c.Ops, func(k int) bool { return keep(first + k) })
	}
}

// transactions counts the requests of transactors.
func (p *Plan) transactions() (n int) {
	for i := range p.Transactors {
		n += len(p.Transactors[i].Ops)
	}
	return n
}

func dropTransactions(p *Plan, keep func(int) bool) {
	at := 0
	for i := range p.Transactors {
		t := &p.Transactors[i]
		first := at
		at += len(t.Ops)
		t.Ops = kept(t.Ops, func(k int) bool { return keep(first + k) })
	}
}

// simplify is step 7.
func (s *Shrinker) simplify() {
	for i := range s.best.Nemesis {
		for _, change := range []func(f *Fault){
			func(f *Fault) { f.Mode = "" },
			func(f *Fault) { f.For /= 2 },
			func(f *Fault) { f.By = 0 },
		} {
			s.try(func(p *Plan) { change(&p.Nemesis[i]) })
		}
	}
	if s.best.Requests() > 40 {
		return
	}
	for i := range s.best.Clients {
		for k := range s.best.Clients[i].Ops {
			s.try(func(p *Plan) { p.Clients[i].Ops[k].If = "" })
		}
	}
}
