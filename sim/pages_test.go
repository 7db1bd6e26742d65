package sim

import (
	"slices"
	"testing"

	"github.com/statordb/stator/partition"
)

// What a page tells of, and of what it tells nothing.
func TestPagesTell(t *testing.T) {
	c := &client{}
	page := func(next any, keys ...string) *seenPage {
		p := &seenPage{next: next}
		for _, key := range keys {
			p.rows, p.last = append(p.rows, seenRow{key, &State{Exists: true}}), key
		}
		return p
	}
	query, back, scan := &reading{hash: "p0"}, &reading{hash: "p0", reverse: true}, &reading{}
	segment := &reading{of: 2}
	many, valued := &reading{hash: "p0", least: 3}, &reading{only: "c1.1"}
	for name, tt := range map[string]struct {
		p    paging
		page *seenPage
		want []string // of p0/s0, s1 and s2: shown, absent, or nothing
	}{
		"the first rows":                {paging{q: query}, page("more", "p0/s1"), []string{"absent", "shown", ""}},
		"the first rows from the end":   {paging{q: back}, page("more", "p0/s1"), []string{"", "shown", "absent"}},
		"all rows":                      {paging{q: query}, page(nil, "p0/s1"), []string{"absent", "shown", "absent"}},
		"some rows of a scan":           {paging{q: scan}, page("more", "p0/s1", "cold/x"), []string{"", "shown", ""}},
		"all rows of a scan":            {paging{q: scan}, page(nil, "p0/s1"), []string{"absent", "shown", "absent"}},
		"the last rows of a long scan":  {paging{q: scan, start: "more"}, page(nil, "p0/s1"), []string{"", "shown", ""}},
		"a row twice":                   {paging{q: query, rows: map[string]bool{"p0/s1": true}}, page(nil, "p0/s1"), nil},
		"a row that was not asked for":  {paging{q: query}, page(nil, "p0/s7"), nil},
		"a row twice in one page":       {paging{q: scan}, page(nil, "cold/x", "cold/x"), nil},
		"what a scan shows of others":   {paging{q: scan}, page("more", "cold/x"), []string{"", "", ""}},
		"nothing, and the end of a set": {paging{q: query}, page(nil), []string{"absent", "absent", "absent"}},
		"all rows of a segment":         {paging{q: segment}, page(nil, "p0/s1"), []string{"", "shown", ""}},
		"some of a filtered query":      {paging{q: many}, page("more", "p0/s1"), []string{"left out", "shown", ""}},
		"some of a filtered scan":       {paging{q: valued}, page(nil, "p0/s1"), []string{"left out", "shown", "left out"}},
	} {
		answers, err := tt.p.answers(tt.page, c.gets([]string{"p0/s0", "p0/s1", "p0/s2"}, false))
		var got []string
		for _, a := range answers {
			text := ""
			switch {
			case a.outcome == Refused:
				text = "left out"
			case a.outcome == Done:
				text = map[bool]string{true: "shown", false: "absent"}[a.saw.Exists]
			}
			got = append(got, text)
		}
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
	}
}

// An operation that is taken back is not open, and not in the history.
func TestHistoryDrops(t *testing.T) {
	h := &History{}
	a, b := &Operation{Key: "p0/s0"}, &Operation{Key: "p0/s0"}
	h.Begin(a)
	h.Begin(b)
	h.drop(a)
	if h.Open("p0/s0") != 1 || len(h.Operations) != 1 || h.Operations[0] != b {
		t.Errorf("%d are open, %d there", h.Open("p0/s0"), len(h.Operations))
	}
}

// A filter may leave out what it says, at some moment of the read, and nothing else; whoever
// proves that, the witness or the search.
func TestFilteredReads(t *testing.T) {
	for name, tt := range map[string]struct {
		least  int64
		only   string
		shown  *State // nil: left out
		during bool   // the count goes from 2 to 3 while the page is read; else before it
		holds  bool
	}{
		"too few":                        {least: 4, holds: true},
		"enough, and left out":           {least: 3},
		"too few at first":               {least: 3, during: true, holds: true},
		"enough all the time":            {least: 2, during: true},
		"another value":                  {only: "c9.9", holds: true},
		"the value, and left out":        {only: "c1.1"},
		"shown":                          {least: 3, shown: &State{true, "c1.1", 3}, holds: true},
		"shown as it was before":         {least: 2, shown: &State{true, "c1.1", 2}},
		"shown although it has too few":  {least: 4, shown: &State{true, "c1.1", 3}},
		"shown as it was while it began": {least: 2, shown: &State{true, "c1.1", 2}, during: true, holds: true},
	} {
		for _, witnessed := range []bool{true, false} {
			h := &History{}
			read := &Operation{Client: 2, Key: "p0/s0", Kind: Get, Least: tt.least, Expected: tt.only}
			if tt.only != "" {
				read.If = IfValue
			}
			command := func(o *Operation) {
				if c := (&partition.Command{Kind: partition.Put, Item: row(o.Key, o)}); witnessed {
					h.Applied(2, c.Encode(), &partition.Result{})
				}
				h.End(o, Done, nil)
			}
			put := &Operation{Client: 1, Key: "p0/s0", Kind: Put, Value: "c1.1", Count: 2}
			h.Begin(put)
			command(put)
			again := &Operation{Client: 1, Key: "p0/s0", Kind: Put, Value: "c1.1", Count: 3}
			if tt.during {
				h.Begin(read)
			}
			h.Begin(again)
			command(again)
			if !tt.during {
				h.Begin(read)
			}
			if outcome := Refused; tt.shown != nil {
				h.End(read, Done, tt.shown)
			} else {
				h.End(read, outcome, nil)
			}
			if err := h.Check(); (err == nil) != tt.holds {
				t.Errorf("%s (witnessed %t): %v", name, witnessed, err)
			}
			if witnessed && tt.holds && h.proved != 1 {
				t.Errorf("%s: the witness did not suffice", name)
			}
		}
	}
}
