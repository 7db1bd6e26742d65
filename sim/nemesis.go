package sim

import (
	"fmt"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A kind is a kind of fault.
type kind struct {
	name string
	what string // for people; what n and by mean
	// nodes is the least number of nodes of a world that it is drawn for; most is
	// the greatest, if it is not 0.
	nodes, most int
	// regions is the least number of regions.
	regions int
	// rare: of so many worlds that it fits, it is drawn for one; 0: as any other.
	rare int
	// ofGroup: its target is a group; else it is nodes.
	ofGroup bool
	// needs says what else a plan must have; nil: nothing.
	needs func(p *Plan) bool
	// leads: another fault may follow (Fault.Then).
	leads bool
	// draw gives a fault its target, length and magnitudes; nil: it is not drawn.
	draw func(d *drawer, f *Fault)
	// do does it, and undoes what it has done, in a task of its own.
	do func(r *run, f *Fault)
}

// kinds are all of them. Some draw others, so that this cannot be an initializer.
var kinds []*kind

func init() { kinds = allKinds() }

func allKinds() []*kind {
	var list []*kind
	for _, group := range [][]*kind{crashKinds, diskKinds, clockKinds, networkKinds, regionKinds, memberKinds, splitKinds, transactionKinds} {
		list = append(list, group...)
	}
	return append(list, &kind{name: calmKind, what: "no fault begins before every group takes writes again"})
}

// calmKind is no fault.
const calmKind = "calm"

func kindOf(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}

// fits reports whether the kind may be drawn for the world of a plan.
func (k *kind) fits(p *Plan) bool {
	return len(p.Nodes) >= k.nodes && len(p.regions()) >= k.regions && (k.most == 0 || len(p.Nodes) <= k.most) && (k.needs == nil || k.needs(p))
}

// A KindInfo tells of a kind of fault.
type KindInfo struct{ Name, What string }

// Kinds lists the kinds of faults.
func Kinds() (list []KindInfo) {
	for _, k := range kinds {
		list = append(list, KindInfo{k.name, k.what})
	}
	return list
}

// startNemesis lets the faults happen, each in a task of its own.
func (r *run) startNemesis() {
	for i := range r.plan.Nemesis {
		f := &r.plan.Nemesis[i]
		r.tasks.Go(fmt.Sprint("fault ", i), func() error {
			r.sleepUntil(f.At)
			if f.Kind == calmKind {
				r.calm()
				return nil
			}
			for r.calming > 0 {
				r.clients.Sleep(calmPause) // hundreds may wait
			}
			if r.ending {
				r.excuse(f, "its time came when the clients' work was over")
				return nil
			}
			r.world.Note("fault: %s %s for %s", f.Kind, f.Target, f.For)
			r.moment("fault", f.Target, f.Kind)
			r.active++
			kindOf(f.Kind).do(r, f)
			r.active--
			r.healed = r.world.Now()
			r.moment("over", f.Target, f.Kind)
			return nil
		})
	}
}

// calmPause is between two looks of a fault at whether it may begin.
const calmPause = 20 * time.Millisecond

// hold parks a fault while it is in force.
func (r *run) hold(f *Fault) { r.clients.Sleep(f.For.Std()) }

// calm waits until no fault is in force and then demands that everything works
// again, by itself.
func (r *run) calm() {
	r.calming++
	defer func() { r.calming-- }()
	for r.active > 0 {
		r.clients.Sleep(5 * time.Millisecond)
	}
	r.probes++
	value := fmt.Sprint("probe.", r.probes)
	err := fmt.Errorf("no node is up")
	limit := r.limit()
	for start := r.clients.Now(); r.clients.Now().Sub(start) < limit; r.clients.Sleep(10 * time.Millisecond) {
		for _, n := range r.nodes {
			answered := env.NewFuture[error](r.clients)
			if s := n.server; s != nil && n.up() {
				s.e.Go("probe", func() { answered.Set(r.stack.probe(s, value), nil) })
				if e, _, ok := answered.AwaitFor(limit / 10); !ok {
					err = fmt.Errorf("node %s does not answer", n.name)
				} else if err = e; err == nil {
					return
				}
			}
		}
	}
	r.fail(found(Progress, fmt.Errorf("sim: no write succeeded for %s after all faults were over: %w", limit, err)))
}

// probeLimit is above the engine's longest pause between attempts to flush.
const probeLimit = 5 * time.Second

// limit is how long it may take until everything works again: some elections more.
func (r *run) limit() time.Duration {
	if len(r.nodes) == 1 {
		return probeLimit
	}
	limit := probeLimit + 60*max(r.plan.Knobs.Tick.Std(), time.Millisecond)*5
	if len(r.plan.regions()) > 1 { // a probe asks all groups, one after the other
		limit += 200 * r.plan.Links.World.Base.Std()
	}
	return limit
}

// Fits says why a kind of fault is never drawn for worlds of so many nodes, if so.
func Fits(name string, o Options) error {
	k := kindOf(name)
	switch {
	case k != nil && k.draw == nil:
		return fmt.Errorf("sim: %s is not drawn by name: only a plan can ask for it", name)
	case k == nil || o.Nodes == 0:
	case k.regions > 1 && (o.Nodes < k.regions || o.Zones == 1 || o.Regions == 1):
		return fmt.Errorf("sim: %s takes worlds of %d regions or more", name, k.regions)
	case o.Nodes < k.nodes:
		return fmt.Errorf("sim: %s takes worlds of %d nodes or more", name, k.nodes)
	case k.most > 0 && o.Nodes > k.most:
		return fmt.Errorf("sim: %s takes worlds of %d nodes or less", name, k.most)
	}
	return nil
}
