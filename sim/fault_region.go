package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// The faults of whole regions, for worlds that have several. What a region has among its own
// nodes goes on.
var regionKinds = []*kind{
	{name: "region isolated", what: "a region and the rest do not reach each other; n 1: nothing gets in, 2: nothing gets out, 3: by turns of by", nodes: 2, regions: 2,
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawRegion(), d.drawLength(2*time.Second), d.one(0, 0, 1, 2, 3)
			if f.N == 3 {
				f.By = d.exp(500 * time.Millisecond)
			}
		}, do: doRegion},
	{name: "region power", what: "all nodes of a region lose power", nodes: 2, regions: 2,
		draw: func(d *drawer, f *Fault) { drawCrash(d, f); f.Target = d.drawRegion() }, do: doCrash},
	{name: "region lag", what: "messages between a region and the rest take by longer (replication lag)", nodes: 2, regions: 2,
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For = d.drawRegion(), d.drawLength(3*time.Second)
			f.By = d.exp(time.Duration(d.one(50, 200, 1000)) * time.Millisecond)
		}, do: func(r *run, f *Fault) {
			r.trouble(f, r.border(f), transport.Trouble{Lag: f.By.Std()})
		}},
}

// drawRegion draws a whole region.
func (d *drawer) drawRegion() string {
	if d.IntN(2) == 0 {
		return "region of the leader of " + d.drawGroup()
	}
	list := d.plan.regions()
	return "region " + list[d.IntN(len(list))]
}

// border returns the ways between the nodes that a fault is for and all others.
func (r *run) border(f *Fault) []transport.Way {
	inside := r.inside(f)
	return transport.Between(inside, r.net.Except(inside))
}

// inside returns the nodes that a fault is for.
func (r *run) inside(f *Fault) (ids []transport.NodeID) {
	for _, n := range r.targets(f) {
		ids = append(ids, transport.NodeID(n.id))
	}
	return ids
}

func doRegion(r *run, f *Fault) {
	if f.N != 3 {
		doZone(r, f)
		return
	}
	r.flap(f, r.border(f))
}

// regions returns the regions of the plan's nodes, sorted.
func (p *Plan) regions() (list []string) {
	for _, n := range p.Nodes {
		list = append(list, n.Region)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// regionOf returns the region that a zone is in.
func (p *Plan) regionOf(zone string) string {
	for _, n := range p.Nodes {
		if n.Zone == zone {
			return n.Region
		}
	}
	return ""
}

// drawRegions places the zones of some clusters in two or three regions, far from each
// other. Elections and patience are as long as their distance asks for. It has dice of its own,
// so that the rest of a plan does not depend on it.
func (d *drawer) drawRegions() {
	p := d.plan
	s := &drawer{Rand: rand.New(rand.NewPCG(p.Seed, 0x4e61)), o: d.o, plan: p}
	zones := 0
	for _, n := range p.Nodes {
		zones = max(zones, int(n.Zone[0]-'a')+1)
	}
	regions := d.o.Regions
	switch {
	case regions > 0:
	case d.asksForRegions():
		regions = 2
	case len(p.Nodes) < 3 || d.o.Stack == GuestStack || d.o.Attempts > 0 || s.IntN(8) > 0:
		regions = 1
	default:
		regions = s.one(2, 2, 3)
	}
	if regions = min(regions, zones); regions < 2 {
		return
	}
	for i := range p.Nodes {
		at := int(p.Nodes[i].Zone[0]-'a') * regions / zones
		p.Nodes[i].Region = fmt.Sprint("r", at+1)
	}
	// A link takes its base to twice that, so a round trip is four times as long at most; an
	// election takes two, and its timeout is ten ticks at least.
	p.Links.World.Base = Duration(time.Duration(s.one(10, 20, 40)) * time.Millisecond)
	p.Knobs.Tick = max(p.Knobs.Tick, 5*p.Links.World.Base/2)
}

// asksForRegions reports whether a kind of fault was asked for by name that takes several
// regions.
func (d *drawer) asksForRegions() bool {
	return slices.ContainsFunc(d.o.Faults, func(name string) bool { k := kindOf(name); return k != nil && k.regions > 1 })
}
