package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func groupOp(call, ret int64, outcome Outcome, parts ...GroupPart) *GroupOp {
	return &GroupOp{Client: int(call), Call: call, Return: ret, Outcome: outcome, Parts: parts}
}

func sawIn(register int, value string) GroupPart {
	return GroupPart{Register: register, Kind: Get, Saw: &value}
}

func putIn(register int, value string) GroupPart {
	return GroupPart{Register: register, Kind: Put, Value: value}
}

func falsePart(p GroupPart, saw string) GroupPart {
	p.Refused, p.Saw = true, &saw
	return p
}

func TestCheckGroup(t *testing.T) {
	absent := func(p GroupPart) GroupPart { p.If = IfAbsent; return p }
	for name, tt := range map[string]struct {
		operations []*GroupOp
		fails      bool
	}{
		"both or none": {[]*GroupOp{
			groupOp(1, 2, Done, putIn(0, "a"), putIn(1, "b")), groupOp(3, 4, Done, sawIn(0, "a"), sawIn(1, "b"))}, false},
		"torn read": {[]*GroupOp{
			groupOp(1, 9, Done, putIn(0, "a"), putIn(1, "b")), groupOp(3, 4, Done, sawIn(0, "a"), sawIn(1, ""))}, true},
		"single reads, in the order of a transaction": {[]*GroupOp{
			groupOp(1, 9, Done, putIn(0, "a"), putIn(1, "b")), groupOp(2, 3, Done, sawIn(0, "")), groupOp(4, 5, Done, sawIn(1, "b"))}, false},
		"single reads, against it": {[]*GroupOp{
			groupOp(1, 9, Done, putIn(0, "a"), putIn(1, "b")), groupOp(2, 3, Done, sawIn(1, "b")), groupOp(4, 5, Done, sawIn(0, ""))}, true},
		"no answer, happened": {[]*GroupOp{
			groupOp(1, 0, Unknown, putIn(0, "a"), putIn(1, "b")), groupOp(3, 4, Done, sawIn(0, "")), groupOp(5, 6, Done, sawIn(1, "b"))}, false},
		"no answer, happened by half": {[]*GroupOp{
			groupOp(1, 0, Unknown, putIn(0, "a"), putIn(1, "b")), groupOp(3, 4, Done, sawIn(1, "b")), groupOp(5, 6, Done, sawIn(0, ""))}, true},
		"failed, and happened": {[]*GroupOp{
			groupOp(1, 2, Failed, putIn(0, "a")), groupOp(3, 4, Done, sawIn(0, "a"))}, true},
		"write skew": {[]*GroupOp{
			groupOp(1, 9, Done, putIn(0, "a"), absent(GroupPart{Register: 1, Kind: Get})),
			groupOp(2, 8, Done, putIn(1, "b"), absent(GroupPart{Register: 0, Kind: Get}))}, true},
		"refused with reason": {[]*GroupOp{
			groupOp(1, 2, Done, putIn(0, "a")),
			groupOp(3, 4, Refused, falsePart(absent(GroupPart{Register: 0, Kind: Get}), "a"), putIn(1, "b")), groupOp(5, 6, Done, sawIn(1, ""))}, false},
		"refused without reason": {[]*GroupOp{
			groupOp(3, 4, Refused, falsePart(absent(GroupPart{Register: 0, Kind: Get}), "a"), putIn(1, "b"))}, true},
		"refused, and happened": {[]*GroupOp{
			groupOp(1, 2, Done, putIn(0, "a")),
			groupOp(3, 4, Refused, falsePart(absent(GroupPart{Register: 0, Kind: Get}), "a"), putIn(1, "b")), groupOp(5, 6, Done, sawIn(1, "b"))}, true},
		"refused, sent again, and no answer": {[]*GroupOp{
			groupOp(1, 0, Unknown, falsePart(GroupPart{Register: 0, Kind: Delete, If: IfValue, Expected: "a"}, "b")),
			groupOp(2, 3, Done, putIn(0, "a")), groupOp(4, 5, Done, sawIn(0, ""))}, false},
		"lost update": {[]*GroupOp{
			groupOp(1, 2, Done, putIn(0, "a")),
			groupOp(3, 9, Done, GroupPart{Register: 0, Kind: Put, Value: "b", If: IfValue, Expected: "a"}),
			groupOp(4, 8, Done, GroupPart{Register: 0, Kind: Put, Value: "c", If: IfValue, Expected: "a"})}, true},
		"a delete in a transaction": {[]*GroupOp{
			groupOp(1, 2, Done, putIn(0, "a")), groupOp(3, 4, Done, GroupPart{Register: 0, Kind: Delete, If: IfPresent}, putIn(1, "b")),
			groupOp(5, 6, Done, sawIn(0, ""), sawIn(1, "b"))}, false},
	} {
		if err := CheckGroup("g", tt.operations); (err != nil) != tt.fails || err != nil && CheckerOf(err) != Linearizability {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Reads that take long and tell the same as others are not what a search gets lost in.
func TestEchoes(t *testing.T) {
	var operations []*GroupOp
	for i := range int64(40) {
		operations = append(operations, groupOp(1+i, 1000+i, Done, sawIn(int(i%groupSize), "")), groupOp(2000+10*i, 2001+10*i, Done, putIn(0, fmt.Sprint(i))))
	}
	operations = append(operations, groupOp(500, 501, Done, sawIn(0, ""), sawIn(1, ""), sawIn(2, "")))
	if err := checkGroup("g", operations, 1000); err != nil {
		t.Error(err)
	}
	operations = append(operations, groupOp(2005, 2006, Done, sawIn(0, "")))
	if err := checkGroup("g", operations, 100_000); CheckerOf(err) != Linearizability {
		t.Errorf("an old answer: %v", err)
	}
}

// Histories of real registers pass; with one answer changed, most do not, and with
// too few steps there is no verdict.
func TestCheckGroupAtRandom(t *testing.T) {
	noticed, echoes := 0, 0
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var s groupState
		var operations, open []*GroupOp
		now := int64(0)
		for i := range 120 {
			now++
			if len(open) == 5 || len(open) > 0 && rng.IntN(2) == 0 {
				k := rng.IntN(len(open))
				o := open[k]
				open = slices.Delete(open, k, k+1)
				before := s
				o.Outcome = Done
				if ok, after := o.step(s); ok {
					s = after
				} else {
					o.Outcome = Refused
				}
				for j := range o.Parts {
					p := &o.Parts[j]
					p.Refused = o.Outcome == Refused && !p.holds(&before)
					if p.Kind == Get && o.Outcome == Done || p.Refused {
						held := before[p.Register]
						p.Saw = &held
					}
				}
				if o.Return = now; rng.IntN(25) == 0 {
					o.Return, o.Outcome = 0, Unknown
				}
				continue
			}
			o := &GroupOp{Client: i, Call: now}
			for register := range groupSize {
				if rng.IntN(2) == 0 {
					o.Parts = append(o.Parts, GroupPart{Register: register, Kind: []Kind{Get, Put, Delete}[rng.IntN(3)], If: Condition(rng.IntN(3)), Value: fmt.Sprint("v", i, register)})
				}
			}
			if len(o.Parts) > 0 {
				operations, open = append(operations, o), append(open, o)
			}
		}
		if err := CheckGroup("g", operations); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := checkGroup("g", operations, 10); err != nil && !errors.As(err, new(*UndecidedError)) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, o := range operations[len(operations)/2:] {
			if o.Outcome == Done && o.Parts[0].Kind == Get {
				other := "of nobody"
				o.Parts[0].Saw = &other
				if err := CheckGroup("g", operations); err != nil && strings.Contains(err.Error(), other) {
					noticed++
				}
				break
			}
		}
		// An answer of another time: wrong in some places, right in others, and the same with all reads placed.
		for _, o := range operations {
			if i := rng.IntN(len(o.Parts)); o.Outcome == Done && o.Parts[i].Kind == Get && rng.IntN(8) == 0 {
				earlier := operations[rng.IntN(len(operations))].leaves()[o.Parts[i].Register]
				if earlier != nil {
					o.Parts[i].Saw = earlier
				}
			}
		}
		all := slices.DeleteFunc(slices.Clone(operations), func(o *GroupOp) bool { return o.reads() && o.Outcome == Unknown })
		kept := withoutEchoes(all)
		echoes += len(all) - len(kept)
		if whole, short := searchGroup("g", all, stepBudget), searchGroup("g", kept, stepBudget); (whole == nil) != (short == nil) {
			t.Fatalf("seed %d: with echoes: %v, without: %v", seed, whole, short)
		}
	}
	if echoes < 40 {
		t.Errorf("%d echoes", echoes)
	}
	if noticed < 12 {
		t.Errorf("%d of 20 wrong answers were noticed", noticed)
	}
}
