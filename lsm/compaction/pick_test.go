package compaction

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
)

var small = Options{L0Tables: 2, BaseBytes: 100, Ratio: 2, TableBytes: 50}

// TestScripts runs testdata. "version" takes one level per line, tables as
// num:start-end:bytes, with ! behind one that cannot be read; "pick" and "within"
// print what would be merged.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		v := &manifest.Version{}
		bad := map[manifest.FileNum]bool{}
		usable := func(t *manifest.Table) bool { return !bad[t.Num] }
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var level int
			span := manifest.Span{End: []byte("\xff")}
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "level":
					fmt.Sscan(arg.Vals[0], &level)
				case "span":
					start, end, _ := strings.Cut(arg.Vals[0], "-")
					span.Start, span.End = []byte(start), []byte(end)
				}
			}
			var p *Pick
			switch d.Cmd {
			case "version":
				clear(bad)
				v = parseVersion(t, d, bad)
				return fmt.Sprintf("debt %d\n", small.DebtBytes(v))
			case "pick":
				p = small.Next(v, usable)
			case "within":
				p = small.Within(v, level, span, usable)
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

func parseVersion(t *testing.T, d *datadriven.TestData, bad map[manifest.FileNum]bool) *manifest.Version {
	v := &manifest.Version{}
	for line := range strings.Lines(d.Input) {
		words := strings.Fields(line)
		var level int
		if _, err := fmt.Sscanf(words[0], "L%d:", &level); err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
		for _, w := range words[1:] {
			w, isBad := strings.CutSuffix(w, "!")
			parts := strings.Split(w, ":")
			tab := &manifest.Table{}
			fmt.Sscan(parts[0], &tab.Num)
			start, end, _ := strings.Cut(parts[1], "-")
			tab.Smallest = key.Internal{User: []byte(start), Trailer: key.MakeTrailer(1, key.Set)}
			tab.Largest = key.Internal{User: []byte(end), Trailer: key.MakeTrailer(1, key.Set)}
			fmt.Sscan(parts[2], &tab.Size)
			bad[tab.Num] = isBad
			v.Levels[level] = append(v.Levels[level], tab)
		}
	}
	return v
}

// Whatever the version, a pick keeps its invariant.
func TestPickInvariant(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	picked := 0
	for range 3000 {
		v := randomVersion(rng)
		bad := map[manifest.FileNum]bool{}
		for _, tab := range v.All() {
			bad[tab.Num] = rng.IntN(10) == 0
		}
		usable := func(t *manifest.Table) bool { return !bad[t.Num] }
		p := small.Next(v, usable)
		if rng.IntN(3) == 0 {
			p = small.Within(v, rng.IntN(manifest.Levels-1), randomSpan(rng), usable)
		}
		if p == nil {
			continue
		}
		picked++
		taken := map[*manifest.Table]bool{}
		for _, tab := range p.Tables() {
			taken[tab] = true
			if bad[tab.Num] {
				t.Fatalf("seed %d: %s takes %s, which cannot be read", seed, p, tab)
			}
		}
		for i, in := range p.Inputs {
			for _, older := range olderThan(v, p, in) {
				if older.Span().Overlaps(in.Span()) && !taken[older] {
					t.Fatalf("seed %d: %s leaves %s above %s\n%s", seed, p, older, in, v)
				}
			}
			if p.Move && i > 0 && in.Span().Overlaps(p.Inputs[i-1].Span()) {
				t.Fatalf("seed %d: %s moves tables that overlap", seed, p)
			}
		}
	}
	if picked < 500 {
		t.Errorf("seed %d: only %d picks", seed, picked)
	}
}

// olderThan returns the tables between an input and the output level, both included,
// that may hold older versions than the input.
func olderThan(v *manifest.Version, p *Pick, in *manifest.Table) (older []*manifest.Table) {
	if p.Level == 0 {
		for i, t := range v.Levels[0] {
			if t == in {
				older = append(older, v.Levels[0][i+1:]...)
			}
		}
	}
	return append(older, v.Levels[p.Output]...)
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
			Num: num, Size: 10 + uint64(rng.IntN(90)),
			Smallest: key.Internal{User: s.Start, Trailer: key.MakeTrailer(9, key.Set)},
			Largest:  key.Internal{User: s.End, Trailer: key.MakeTrailer(1, key.Set)},
		})
		num++
	}
	for range rng.IntN(4) {
		add(0, randomSpan(rng))
	}
	for level := 1; level < manifest.Levels; level++ {
		for c := 'a' + rng.IntN(20); c < 'z' && rng.IntN(4) > 0; c += 2 + rng.IntN(4) {
			add(level, manifest.Span{Start: []byte{byte(c)}, End: []byte{byte(c + rng.IntN(2))}})
		}
	}
	return v
}
