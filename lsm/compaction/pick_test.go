package compaction

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
)

var small = Options{L0Tables: 2, BaseBytes: 100, Ratio: 2, TableBytes: 50}

var policies = map[string]Policy{
	"leveled": Leveled{}, "tiered": Tiered{}, "lazy-leveled": LazyLeveled{},
	"fifo": FIFO{MaxBytes: 250, TTL: 100},
}

// TestScripts runs testdata, a file for each policy. "version" takes one level per line, tables
// as num:start-end:bytes[:deletes[:time]], with ! behind one that cannot be read, and * behind one
// that is being merged by itself; it prints the shape.
//
//	pick [snapshot=n] [now=n] [age=n]
//	within level=n to=n span=a-b
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		policy := policies[filepath.Base(path)]
		v := &View{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var level, to, snapshot int
			v.Now, v.Snapshot, v.Options = 0, key.MaxSeqNum, small
			span := manifest.Span{End: []byte("\xff")}
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "level":
					fmt.Sscan(arg.Vals[0], &level)
				case "to":
					fmt.Sscan(arg.Vals[0], &to)
				case "now":
					fmt.Sscan(arg.Vals[0], &v.Now)
				case "age":
					fmt.Sscan(arg.Vals[0], (*int64)(&v.TombstoneAge))
				case "snapshot":
					fmt.Sscan(arg.Vals[0], &snapshot)
					v.Snapshot = key.SeqNum(snapshot)
				case "span":
					start, end, _ := strings.Cut(arg.Vals[0], "-")
					span.Start, span.End = []byte(start), []byte(end)
				}
			}
			var p *Pick
			switch d.Cmd {
			case "version":
				v = parseVersion(t, d)
				s := policy.Shape(v)
				return fmt.Sprintf("base L%d, debt %d, targets %v\n", s.Base, s.Debt, s.Targets[1:])
			case "pick":
				p = policy.Next(v)
			case "within":
				p = v.Within(level, to, span)
			default:
				d.Fatalf(t, "unknown command")
			}
			if p == nil {
				return "nothing\n"
			}
			return p.String() + "\n"
		})
	})
}

func parseVersion(t *testing.T, d *datadriven.TestData) *View {
	bad := map[manifest.FileNum]bool{}
	v := &View{Version: &manifest.Version{}, Options: small, Usable: func(t *manifest.Table) bool { return !bad[t.Num] }}
	for line := range strings.Lines(d.Input) {
		words := strings.Fields(line)
		var level int
		if _, err := fmt.Sscanf(words[0], "L%d:", &level); err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
		for _, w := range words[1:] {
			w, isBad := strings.CutSuffix(w, "!")
			w, isBusy := strings.CutSuffix(w, "*")
			parts := append(strings.Split(w, ":"), "0", "0")
			tab := &manifest.Table{Entries: 10, LargestSeq: 5}
			fmt.Sscan(parts[0], &tab.Num)
			start, end, _ := strings.Cut(parts[1], "-")
			tab.Smallest = key.Internal{User: []byte(start), Trailer: key.MakeTrailer(1, key.Set)}
			tab.Largest = key.Internal{User: []byte(end), Trailer: key.MakeTrailer(1, key.Set)}
			fmt.Sscan(parts[2], &tab.Size)
			fmt.Sscan(parts[3], &tab.Deletes)
			fmt.Sscan(parts[4], &tab.OldestTime)
			tab.NewestTime = tab.OldestTime
			bad[tab.Num] = isBad
			v.Levels[level] = append(v.Levels[level], tab)
			if isBusy {
				v.Running = append(v.Running, Rewrite(level, tab))
			}
		}
	}
	return v
}

// Whatever the version, the policy, and what is going on, a pick keeps its invariant.
func TestPickInvariant(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	picked, together := map[string]int{}, 0
	for range 2000 {
		for _, name := range slices.Sorted(maps.Keys(policies)) {
			bad := map[manifest.FileNum]bool{}
			v := &View{
				Version: randomVersion(rng), Options: small, Snapshot: key.SeqNum(rng.IntN(20)), Now: 1 << 20,
				Usable: func(t *manifest.Table) bool { return !bad[t.Num] },
			}
			for _, tab := range v.All() {
				bad[tab.Num] = rng.IntN(10) == 0
			}
			// One after the other, as long as there is something that goes together.
			for range 4 {
				p := policies[name].Next(v)
				if rng.IntN(4) == 0 {
					level := rng.IntN(manifest.Levels - 1)
					p = v.Within(level, level+1+rng.IntN(manifest.Levels-1-level), randomSpan(rng))
				}
				if p == nil {
					break
				}
				picked[name]++
				together += min(1, len(v.Running))
				if err := checkPick(v, p); err != nil {
					t.Fatalf("seed %d: %s: %s, running %v: %v\n%s", seed, name, p, v.Running, err, v.Version)
				}
				v.Running = append(v.Running, p)
			}
		}
	}
	for name, n := range picked {
		if n < 500 {
			t.Errorf("seed %d: %s: only %d picks", seed, name, n)
		}
	}
	if together < 500 {
		t.Errorf("seed %d: only %d picks beside others", seed, together)
	}
}

// checkPick checks the invariant of Pick, table by table.
func checkPick(v *View, p *Pick) error {
	taken, others := map[*manifest.Table]bool{}, map[*manifest.Table]bool{}
	for _, q := range v.Running {
		for _, tab := range q.Tables() {
			others[tab] = true
		}
	}
	for i, in := range p.Inputs {
		if i > 0 && in.Level <= p.Inputs[i-1].Level || in.Level > p.Output {
			return fmt.Errorf("levels are not in order")
		}
		for _, tab := range in.Tables {
			taken[tab] = true
			switch {
			case others[tab]:
				return fmt.Errorf("table %s is busy", tab)
			case p.Way != Drop && !v.Usable(tab):
				return fmt.Errorf("table %s cannot be read", tab)
			}
		}
	}
	for _, in := range p.Inputs {
		for _, tab := range in.Tables {
			for _, older := range olderThan(v.Version, p, in.Level, tab) {
				if older.Span().Overlaps(tab.Span()) && !taken[older] {
					return fmt.Errorf("leaves %s above %s", older, tab)
				}
			}
		}
	}
	if p.Output == 0 && p.Way == Merge && !areNeighbours(v.Levels[0], taken) {
		return fmt.Errorf("tables of level 0 are not neighbours")
	}
	if p.Way == Move && !disjoint(p.Tables()) {
		return fmt.Errorf("moves tables that overlap")
	}
	// What comes of p may not meet what comes of another in its level.
	for _, q := range v.Running {
		if p.Output > 0 && p.Output == q.Output && p.Span().Overlaps(q.Span()) {
			return fmt.Errorf("may overlap with %s", q)
		}
	}
	return nil
}

// olderThan returns the tables from a level to the output, both included, that may hold older
// versions than a table. What level 0 keeps when it is merged in itself is older, and stays so.
func olderThan(v *manifest.Version, p *Pick, level int, in *manifest.Table) (older []*manifest.Table) {
	if p.Way == Drop {
		p = &Pick{Output: lastLevel} // nothing older may be left anywhere
	}
	if level == 0 && p.Output > 0 {
		older = append(older, v.Levels[0][slices.Index(v.Levels[0], in)+1:]...)
	}
	for l := max(1, level); l <= p.Output; l++ {
		if l > level || l == p.Output {
			older = append(older, v.Levels[l]...)
		}
	}
	return slices.DeleteFunc(older, func(t *manifest.Table) bool { return t == in })
}

func areNeighbours(tables []*manifest.Table, taken map[*manifest.Table]bool) bool {
	changes := 0
	for i, t := range tables {
		if taken[t] != (i > 0 && taken[tables[i-1]]) {
			changes++
		}
	}
	return changes <= 2
}

func randomSpan(rng *rand.Rand) manifest.Span {
	a, b := []byte{byte('a' + rng.IntN(26))}, []byte{byte('a' + rng.IntN(26))}
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	return manifest.Span{Start: a, End: b}
}

func randomVersion(rng *rand.Rand) *manifest.Version {
	v := &manifest.Version{}
	num := manifest.FileNum(1)
	add := func(level int, s manifest.Span) {
		v.Levels[level] = append(v.Levels[level], &manifest.Table{
			Num: num, Size: 10 + uint64(rng.IntN(90)), Entries: 10, Deletes: uint64(rng.IntN(8)), LargestSeq: key.SeqNum(rng.IntN(20)),
			OldestTime: 1<<20 - 110 + env.Time(level*3), NewestTime: 1<<20 - 110 + env.Time(rng.IntN(20)),
			Smallest: key.Internal{User: s.Start, Trailer: key.MakeTrailer(9, key.Set)},
			Largest:  key.Internal{User: s.End, Trailer: key.MakeTrailer(1, key.Set)},
		})
		num++
	}
	for range rng.IntN(8) {
		add(0, randomSpan(rng))
	}
	for level := 1; level < manifest.Levels; level++ {
		for c := 'a' + rng.IntN(20); c < 'z' && rng.IntN(4) > 0; c += 2 + rng.IntN(4) {
			add(level, manifest.Span{Start: []byte{byte(c)}, End: []byte{byte(c + rng.IntN(2))}})
		}
	}
	return v
}
