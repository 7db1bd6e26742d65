package sim

import (
	"slices"
	"testing"
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
	} {
		answers, err := tt.p.answers(tt.page, c.gets([]string{"p0/s0", "p0/s1", "p0/s2"}, false))
		var got []string
		for _, a := range answers {
			text := ""
			if a.outcome == Done {
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
