package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/statordb/stator/table"
)

// Splits of partitions: by hand, at moments that no operator would choose, and, in worlds
// whose knobs say so, by themselves, at sizes and rates that are reached at once. A split
// touches everything that a partition promises (order, repeats, indexes, transactions), and
// nothing that checkers ask for may depend on it.
var splitKinds = []*kind{
	{name: splitKind, what: "a partition is split (index N: one of a global index); n 0: in the middle of its data, else n of 65,536 of its hashes up. Some worlds also split by themselves, by size and by heat",
		ofGroup: true, do: doSplit},
}

const (
	splitKind = "split"
	// ownSplits counts splits that nobody asked for.
	ownSplits = "split by size or heat"
	ownMark   = "table: partition is split by itself"

	// splitPatience is how long an operator tries.
	splitPatience = 5 * time.Second
	splitPause    = 250 * time.Millisecond // between attempts, at most
	// maxPartitions bounds those of a table and its indexes that are split by hand: what a
	// world costs grows with its groups.
	maxPartitions = 16
	maxSplits     = 10 // of a plan
	splitSteps    = 1 << 16
)

// drawSplits draws splits for half of the plans. It has dice of its own, so that the rest of
// a plan does not depend on it.
func (d *drawer) drawSplits() {
	p := d.plan
	s := &drawer{Rand: rand.New(rand.NewPCG(p.Seed, 0x59117)), o: d.o, plan: p}
	if !d.wanted(splitKind) || d.o.Faults == nil && s.IntN(2) == 0 {
		return
	}
	if s.IntN(3) == 0 {
		s.drawOwnSplits()
	}
	pause := time.Duration(s.one(100, 300, 1000)) * time.Millisecond
	if d.cluster() {
		pause = time.Duration(s.one(1000, 3000, 8000)) * time.Millisecond
	}
	others := slices.Clone(p.Nemesis)
	for at, n := s.exp(pause), 0; at < p.For && n < maxSplits; at, n = at+s.exp(pause), n+1 {
		f := Fault{At: at, Kind: splitKind, Target: s.drawSplitTarget(), For: Duration(splitPatience)}
		if s.IntN(3) > 0 {
			f.N = 1 + s.IntN(splitSteps-1)
		}
		if len(others) > 0 && s.IntN(2) == 0 { // just before another fault, or in it
			other := others[s.IntN(len(others))]
			f.At = max(0, other.At-Duration(s.IntN(60))*Duration(time.Millisecond))
			if s.IntN(2) == 0 {
				f.At = other.At + Duration(s.Float64()*float64(other.For))
			}
		}
		if f.At >= p.For {
			continue
		}
		p.Nemesis = append(p.Nemesis, f)
		if d.cluster() && s.IntN(2) == 0 {
			s.drawBesideSplit(&f)
		}
	}
}

// drawBesideSplit draws a fault of those who have to do with a split, while it is under way: requests and
// leases go over from one group to another meanwhile, and some hear of it late.
func (d *drawer) drawBesideSplit(split *Fault) {
	p := d.plan
	parent := "leader of " + split.Target
	if t, _ := parseTarget(split.Target, p); t.kind == "index group" {
		parent = "leader of " + d.drawGroup()
	}
	f := Fault{At: split.At + d.exp(100*time.Millisecond), Kind: "crash", Target: fmt.Sprint("leader of group ", 2+p.Knobs.Partitions+d.IntN(4))}
	choice := d.IntN(8)
	switch choice {
	case 0, 1: // of whoever is about to lead the child
	case 2: // the leader of the parent hears nothing, and has its lease
		f.Kind, f.Target = []string{"disk stall", "pause", "isolate", "deaf", "mute"}[d.IntN(5)], parent
	case 3, 4: // requests are sent again when it is over
		if f.Kind, f.Target = callsLost, parent; choice == 4 { // or of somebody who asks the parent meanwhile
			f.Kind, f.Target = answersLost, d.drawTarget()
		}
		f.At = max(0, split.At-d.exp(200*time.Millisecond))
	case 5: // a client's request is
		f.Kind, f.Target = clientLink, d.drawTarget()
		f.At = max(0, split.At-d.exp(200*time.Millisecond))
	default: // a node does not hear of it
		f.Kind, f.Target = groupDeaf, nodeName(1+d.IntN(len(p.Nodes)))
		f.At = max(0, split.At-d.exp(20*time.Millisecond))
	}
	k := kindOf(f.Kind)
	if f.At >= p.For || !k.fits(p) || !d.wanted(k.name) {
		return
	}
	drawn := f
	k.draw(d, &drawn)
	f.For, f.Mode, f.N, f.By = drawn.For, drawn.Mode, drawn.N, drawn.By
	switch choice {
	case 3, 4:
		f.For, f.N = Duration(d.Int64N(int64(600*time.Millisecond))), d.one(300_000, 1_000_000)
	case 5:
		f.For, f.N = Duration(d.Int64N(int64(600*time.Millisecond))), 1
	case 6, 7:
		f.For, f.N = Duration(500*time.Millisecond)+d.exp(2*time.Second), 1
	}
	f.For = min(f.For, p.For-f.At)
	p.Nemesis = append(p.Nemesis, f)
}

func (d *drawer) drawSplitTarget() string {
	switch p := d.plan; {
	case d.IntN(4) == 0 && p.Knobs.hasGlobalIndex():
		return fmt.Sprint("index ", 1+d.IntN(4))
	case len(p.Transactors) > 0 && d.IntN(3) == 0:
		return fmt.Sprint("ledger ", 1+d.IntN(2*p.Knobs.Partitions))
	default:
		return fmt.Sprint("group ", 2+d.IntN(2*p.Knobs.Partitions))
	}
}

// drawOwnSplits has partitions split by themselves.
func (d *drawer) drawOwnSplits() {
	k := &d.plan.Knobs
	k.SplitBytes = int64(d.one(4<<10, 16<<10, 64<<10))
	if d.cluster() && d.IntN(2) == 0 {
		k.SplitRate, k.SplitAfter = d.one(2, 5, 10), Duration(time.Duration(d.one(1, 3))*time.Second)
	}
}

// tuneSplits sets when a node's partitions split by themselves.
func (k *Knobs) tuneSplits(o *table.Options) {
	if k.SplitBytes > 0 {
		o.SplitBytes = k.SplitBytes
	}
	if k.SplitRate > 0 {
		o.SplitRate, o.SplitAfter = k.SplitRate, k.SplitAfter.Std()
	}
}

// doSplit asks whoever is in charge, again and again while replicas are missing or another
// split is under way.
func doSplit(r *run, f *Fault) {
	t, _ := parseTarget(f.Target, r.plan)
	reason := errors.New("no node was up")
	pause := 20 * time.Millisecond
	for start := r.clients.Now(); r.clients.Now().Sub(start) < f.For.Std(); r.clients.Sleep(pause) {
		pause = min(2*pause, splitPause)
		for _, n := range r.nodes {
			var child uint64
			answered, err := r.inTask(n, "split", func(s *server) (err error) {
				group, at := r.splitPlace(s, t, f.N)
				if group == 0 {
					return table.ErrNoGroup
				}
				child, err = s.tables.SplitGroup(group, at)
				return err
			})
			switch {
			case answered && child != 0: // what has begun is brought to its end by whoever is in charge
				r.came(f)
				return
			case answered && errors.Is(err, table.ErrNoSplit):
				r.excuse(f, "%v", err)
				return
			case answered && !errors.As(err, new(*table.ElsewhereError)):
				reason = err
			}
		}
	}
	r.excuse(f, "after %s: %v", f.For, reason)
}

// splitPlace returns the group that a split is of, and the hash where it is to be divided;
// 0, if there is none, or it has been split often enough.
func (r *run) splitPlace(s *server, t target, n int) (group, at uint64) {
	all := s.tables.Layout()
	var indexed []uint64
	for _, g := range all {
		if g.Table == tableName && g.Index != "" {
			indexed = append(indexed, g.ID)
		}
	}
	switch {
	case t.kind == "struck group":
		group, at = r.struck.group, r.struck.between()
	case t.kind == "ledger group":
		group = r.ledger.partition(t.group)
	case t.kind == "index group" && len(indexed) > 0:
		group = indexed[(t.group-1)%len(indexed)]
	case t.kind == "group":
		group = r.groupOf(t.group)
	}
	i := slices.IndexFunc(all, func(g table.GroupState) bool { return g.ID == group })
	if group <= catalogGroup || i < 0 {
		return 0, 0
	}
	siblings := 0
	for _, g := range all {
		if g.Table == all[i].Table {
			siblings++
		}
	}
	if siblings >= maxPartitions {
		return 0, 0
	}
	if n > 0 {
		at = all[i].First + (all[i].Last-all[i].First)/splitSteps*uint64(min(n, splitSteps-1))
	}
	return group, at
}

// noteOwnSplits counts the splits of a run that nobody asked for.
func (r *run) noteOwnSplits() {
	if n := r.world.Marks()[ownMark]; n > 0 {
		r.fired[ownSplits] += int(n)
	}
}
