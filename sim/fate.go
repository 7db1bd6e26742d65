package sim

import (
	"fmt"
	"strings"
)

// A Fate is what a fault of a plan came to. A fault that does nothing tests nothing, and
// nobody would notice, so each is accounted for: it fired, or there is a reason why it could not
// (its node was down already, nobody led the group, what it waited for did not happen). A
// fault with neither is a mistake of the simulator, and fails the run.
//
// What firing means, each kind decides: a node that was up went down, an operation of a disk has
// failed, a message met the trouble on its link, a partition has a child.
type Fate struct {
	Fault int    // place in the plan's nemesis, from 0
	Fired bool   //
	Why   string // if it did not: the reason
}

func (r *run) fate(f *Fault) *Fate {
	x := r.fates[f]
	if x == nil {
		x = &Fate{}
		r.fates[f] = x
	}
	return x
}

// came notes that a fault came to something.
func (r *run) came(f *Fault) {
	r.fate(f).Fired = true
	r.fire(f.Kind)
}

// excuse notes why a fault comes to nothing.
func (r *run) excuse(f *Fault, format string, args ...any) {
	if x := r.fate(f); x.Why == "" {
		x.Why = fmt.Sprintf(format, args...)
	}
}

// targets returns the nodes that a fault is for now. If there are none, that is its excuse.
func (r *run) targets(f *Fault) []*node {
	nodes := r.resolve(f.Target)
	if len(nodes) == 0 {
		r.excuse(f, "nobody was %s", f.Target)
	}
	return nodes
}

// settleFates returns what all faults of the plan came to.
func (r *run) settleFates() (list []Fate) {
	for i := range r.plan.Nemesis {
		f := &r.plan.Nemesis[i]
		if f.Kind == calmKind {
			continue
		}
		x := *r.fate(f)
		if x.Fault = i; x.Fired {
			x.Why = ""
		}
		list = append(list, x)
	}
	return list
}

// demandFates fails a run in which a fault came to nothing, and nothing explains that.
func (r *run) demandFates() {
	for _, x := range r.settleFates() {
		if f := &r.plan.Nemesis[x.Fault]; !x.Fired && x.Why == "" {
			r.fail(found(Unfired, fmt.Errorf("sim: fault %d, %s %s at %s, came to nothing, and nothing explains that", x.Fault, f.Kind, f.Target, f.At)))
		}
	}
}

// Idle tells of the faults of a run that came to nothing, a line each; "" if all have fired.
func (r *Result) Idle() string {
	var b strings.Builder
	for _, x := range r.Fates {
		if f := &r.Plan.Nemesis[x.Fault]; !x.Fired {
			fmt.Fprintf(&b, "  fault %d, %s %s at %s: %s\n", x.Fault, f.Kind, f.Target, f.At, x.Why)
		}
	}
	return b.String()
}
