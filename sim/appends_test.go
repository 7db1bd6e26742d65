package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func appends(client int, call, ret int64, key, element string) *ListOp {
	o := &ListOp{Client: client, Call: call, Return: ret, Outcome: Done, Key: key, Element: element}
	if ret == 0 {
		o.Outcome = Unknown
	}
	return o
}

func reads(client int, call, ret int64, lists ...string) *ListOp {
	o := &ListOp{Client: client, Call: call, Return: ret, Outcome: Done, Saw: map[string][]string{}}
	for _, l := range lists {
		key, list, _ := strings.Cut(l, "=")
		o.Saw[key] = strings.Fields(list)
	}
	return o
}

// both is a transaction of two appends.
func both(client int, call, ret int64, key, element, key2, element2 string) *ListOp {
	o := appends(client, call, ret, key, element)
	o.Also = []ListAppend{{key2, element2}}
	return o
}

// finding makes an append conditional on the length of a list.
func finding(o *ListOp, key string, n int) *ListOp {
	o.Found = map[string]int{key: n}
	return o
}

func TestCheckLists(t *testing.T) {
	for name, tt := range map[string]struct {
		operations []*ListOp
		want       string // part of the error
	}{
		"one after the other": {[]*ListOp{
			appends(1, 1, 2, "x", "a"), reads(2, 3, 4, "x=a"), appends(1, 5, 6, "x", "b"), reads(2, 7, 8, "x=a b")}, ""},
		"at the same time, in either order": {[]*ListOp{
			appends(1, 1, 9, "x", "a"), appends(2, 2, 8, "x", "b"), reads(3, 3, 4, "x=b"), reads(3, 10, 11, "x=b a")}, ""},
		"an append without an answer happened late": {[]*ListOp{
			appends(1, 1, 0, "x", "a"), reads(2, 3, 4, "x="), reads(2, 5, 6, "x=a")}, ""},
		"an append without an answer never happened": {[]*ListOp{
			appends(1, 1, 0, "x", "a"), reads(2, 3, 4, "x=")}, ""},
		"stale read": {[]*ListOp{
			appends(1, 1, 2, "x", "a"), reads(2, 3, 4, "x=")}, "it did not see a in x"},
		"lost append": {[]*ListOp{
			appends(1, 1, 2, "x", "a"), appends(1, 3, 4, "x", "b"), reads(2, 5, 6, "x=a")}, "it did not see b in x"},
		"lost between others": {[]*ListOp{
			appends(1, 1, 2, "x", "a"), appends(1, 3, 4, "x", "b"), appends(1, 5, 6, "x", "c"), reads(2, 7, 8, "x=a c")}, "b"},
		"two orders": {[]*ListOp{
			appends(1, 1, 9, "x", "a"), appends(2, 2, 8, "x", "b"), reads(3, 3, 4, "x=b"), reads(3, 5, 6, "x=a b")}, "two orders"},
		"twice": {[]*ListOp{
			appends(1, 1, 2, "x", "a"), reads(3, 3, 4, "x=a a")}, "twice"},
		"out of nowhere": {[]*ListOp{reads(3, 3, 4, "x=a")}, "nobody has appended"},
		"back in time": {[]*ListOp{
			appends(1, 1, 9, "x", "a"), reads(2, 2, 3, "x=a"), reads(3, 4, 5, "x=")}, "it was called later"},
		"of a transaction, a part": {[]*ListOp{
			both(1, 1, 9, "x", "a", "y", "b"), reads(2, 2, 8, "x=a", "y="), reads(2, 10, 11, "x=a", "y=b")}, "G-single"},
		"of a transaction, a part that nobody ever sees": {[]*ListOp{
			both(1, 1, 9, "x", "a", "y", "b"), reads(2, 10, 11, "x=a"), reads(2, 12, 13, "y=")}, "G-single"},
		"two transactions, in two orders": {[]*ListOp{
			both(1, 1, 9, "x", "a", "y", "b"), both(2, 1, 9, "y", "c", "x", "d"), reads(3, 10, 11, "x=a d"), reads(3, 12, 13, "y=c b")}, "G0"},
		"each sees the other": {[]*ListOp{
			finding(appends(1, 1, 9, "x", "a"), "y", 1), finding(appends(2, 1, 9, "y", "b"), "x", 1), reads(3, 10, 11, "x=a", "y=b")}, "G1c"},
		"neither sees the other": {[]*ListOp{
			finding(appends(1, 1, 9, "x", "a"), "y", 0), finding(appends(2, 1, 9, "y", "b"), "x", 0), reads(3, 10, 11, "x=a", "y=b")}, "G2"},
		"neither sees the other, nor does anybody": {[]*ListOp{
			finding(appends(1, 1, 9, "x", "a"), "y", 0), finding(appends(2, 1, 9, "y", "b"), "x", 0)}, "G2"},
		"one sees the other": {[]*ListOp{
			finding(appends(1, 1, 9, "x", "a"), "y", 0), finding(appends(2, 1, 9, "y", "b"), "x", 1), reads(3, 10, 11, "x=a", "y=b")}, ""},
		"finds its own list, to which it appends": {[]*ListOp{
			finding(appends(1, 1, 2, "x", "a"), "x", 0), finding(appends(1, 3, 4, "x", "b"), "x", 1), reads(3, 10, 11, "x=a b")}, ""},
		"lost update": {[]*ListOp{
			finding(appends(1, 1, 9, "x", "a"), "x", 0), finding(appends(2, 1, 9, "x", "b"), "x", 0), reads(3, 10, 11, "x=a b")}, "G-single"},
		"half of what one transaction appends to a list": {[]*ListOp{
			both(1, 1, 9, "x", "a", "x", "b"), reads(2, 2, 8, "x=a"), reads(2, 10, 11, "x=a b")}, "G1b"},
		"of a cancelled transaction": {[]*ListOp{
			{Client: 1, Call: 1, Return: 2, Outcome: Failed, Key: "x", Element: "a"}, reads(2, 3, 4, "x=a")}, "G1a"},
		"stale, by its name": {[]*ListOp{
			appends(1, 1, 2, "x", "a"), reads(2, 3, 4, "x=")}, "G-single-realtime"},
		"later writes stand first": {[]*ListOp{
			appends(1, 1, 2, "x", "a"), appends(1, 3, 4, "x", "b"), reads(2, 5, 6, "x=b a")}, "G0-realtime"},
		// Each list by itself is fine; together the two readers disagree about which
		// append came first.
		"two lists in two orders": {[]*ListOp{
			appends(1, 1, 9, "x", "a"), appends(2, 1, 9, "y", "b"), reads(3, 2, 8, "x=a", "y="), reads(4, 2, 8, "x=", "y=b")}, "it did not see"},
		"shown another list": {[]*ListOp{
			{Client: 1, Call: 1, Return: 2, Outcome: Done, Key: "x", Element: "a", Saw: map[string][]string{"x": {"b"}}, After: true},
			appends(2, 1, 3, "x", "b")}, "is shown [b]"},
	} {
		err := CheckLists(tt.operations)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		var told, again *ListAnomaly
		errors.As(err, &told)
		for _, edn := range []bool{false, true} {
			h := writtenAndRead(t, tt.operations, edn)
			if err := h.Check(); errors.As(err, &again) != (told != nil) || told != nil && told.Anomaly != again.Anomaly && told.Anomaly != Broken {
				t.Errorf("%s: written and read (EDN: %t): %v, want %v", name, edn, err, told)
			}
		}
	}
}

func writtenAndRead(t *testing.T, h ListHistory, edn bool) ListHistory {
	t.Helper()
	var b bytes.Buffer
	write := h.WriteJSON
	if edn {
		write = h.WriteEDN
	}
	err := write(&b)
	text := b.String()
	again, err2 := ReadLists(&b)
	if err := errors.Join(err, err2); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return again
}

// Histories of real lists pass; if one read misses the last element of a list that
// had been acknowledged, they do not.
func TestCheckListsAtRandom(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 5))
		lists := map[string][]string{}
		var operations, open []*ListOp
		now := int64(0)
		finish := func(o *ListOp) {
			if o.isAppend() {
				lists[o.Key] = append(slices.Clone(lists[o.Key]), o.Element)
			} else {
				for key := range o.Saw {
					o.Saw[key] = lists[key]
				}
			}
			if now++; !o.isAppend() || rng.IntN(20) > 0 {
				o.Return, o.Outcome = now, Done
			}
		}
		for i := range 300 {
			if len(open) == 6 || len(open) > 0 && rng.IntN(2) == 0 {
				k := rng.IntN(len(open))
				finish(open[k])
				open = slices.Delete(open, k, k+1)
				continue
			}
			now++
			o := &ListOp{Client: i, Call: now}
			if rng.IntN(2) == 0 {
				o.Key, o.Element = fmt.Sprint("k", rng.IntN(3)), fmt.Sprint("e", i)
			} else {
				o.Saw = map[string][]string{"k0": nil, "k1": nil}
			}
			operations, open = append(operations, o), append(open, o)
		}
		for _, o := range open {
			finish(o)
		}
		if err := CheckLists(operations); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := writtenAndRead(t, operations, seed%2 == 0).Check(); err != nil {
			t.Fatalf("seed %d: written and read: %v", seed, err)
		}
		now++
		stale := reads(99, now, now+1)
		stale.Saw["k2"] = lists["k2"][:len(lists["k2"])-1]
		last := operations[slices.IndexFunc(operations, func(o *ListOp) bool { return o.Element == lists["k2"][len(lists["k2"])-1] })]
		if last.Outcome != Done {
			continue // nobody was told
		}
		if err := CheckLists(append(operations, stale)); err == nil {
			t.Fatalf("seed %d: a stale read was not noticed", seed)
		}
	}
}

// Ten thousand operations on lists of a hundred elements.
func BenchmarkCheckLists(b *testing.B) {
	var operations []*ListOp
	var list []string
	for i := range int64(10_000) {
		key := fmt.Sprint("x", i/200)
		if i%200 == 0 {
			list = nil
		}
		if i%2 == 0 {
			list = append(list, fmt.Sprint("e", i))
			operations = append(operations, appends(1, 2*i, 2*i+1, key, list[len(list)-1]))
			continue
		}
		read := reads(2, 2*i, 2*i+1)
		read.Saw[key] = slices.Clone(list)
		operations = append(operations, read)
	}
	for b.Loop() {
		if err := CheckLists(operations); err != nil {
			b.Fatal(err)
		}
	}
}
