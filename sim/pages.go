package sim

import "slices"

// Queries and scans are read as SDKs read them: each page is a request of its own, with what
// may happen between two of them, and a client that roams may ask another node for the next one.
//
// Each row counts as read while its page was asked for, and not during the whole of the
// query: so a page that shows what was replaced before it was asked for is noticed. Of a query it is
// known which keys a page is about, those up to LastEvaluatedKey; what it does not show of these was
// not there. What no page of a scan shows was not there at some time during the scan.

// pages reads all pages. The keys are all that a query is about, or some of what a scan is.
func (c *client) pages(name string, q *reading, keys []string) {
	p := paging{c: c, q: q, rows: map[string]bool{}, left: keys}
	for q.segment = range max(1, q.of) {
		for p.start = nil; p.next(name) && p.start != nil; {
			if c.plan.Roams && c.rng.IntN(2) == 0 {
				c.node = c.run.nodes[int(c.node.id)%len(c.run.nodes)]
			}
		}
		if !p.done {
			break
		}
	}
	for _, o := range p.missing {
		if p.done {
			notShown := p.notShown()
			c.run.history.End(o, notShown.outcome, notShown.saw)
		} else {
			c.run.history.drop(o)
		}
	}
}

// A paging is a query or scan on its way from page to page.
type paging struct {
	c       *client
	q       *reading
	begun   bool            // a page was asked for
	start   any             // where the next page begins; nil: nothing was read of the segment, or everything
	left    []string        // keys that no page has told of
	rows    map[string]bool // that were shown
	missing []*Operation    // of a scan, as of its first page: of keys that are left
	done    bool            // the segment was read to its end
}

// next reads a page and reports whether it was answered.
func (p *paging) next(name string) bool {
	var page *seenPage
	h, first := &p.c.run.history, !p.begun
	p.begun, p.done = true, false
	operations := p.c.gets(p.left, p.q.stale)
	for _, o := range operations {
		if o.Least, o.Expected = p.q.least, p.q.only; o.Expected != "" {
			o.If = IfValue
		}
	}
	answered := p.c.send(name, operations, func(e entrance) ([]answer, error) {
		got, outcome, err := e.page(p.q, p.start)
		if err != nil || outcome != Done {
			return slices.Repeat([]answer{{outcome: outcome}}, len(operations)), err
		}
		page = got
		return p.answers(page, operations)
	})
	if !answered || page == nil {
		return false
	}
	for _, row := range page.rows {
		p.rows[row.key] = true
	}
	p.left = nil
	for _, o := range operations {
		at := slices.IndexFunc(p.missing, func(m *Operation) bool { return m.Key == o.Key })
		switch {
		case o.Outcome != Done && o.Outcome != Refused:
			if p.left = append(p.left, o.Key); first && p.q.isScan() {
				p.missing = append(p.missing, o)
			} else {
				h.drop(o)
			}
		case at >= 0:
			h.drop(p.missing[at])
			p.missing = slices.Delete(p.missing, at, at+1)
		}
	}
	p.start = page.next
	p.done = p.start == nil
	return true
}

// notShown is what a page tells of a key that it is about and does not show.
func (p *paging) notShown() answer {
	if p.q.least > 0 || p.q.only != "" {
		return answer{outcome: Refused}
	}
	return answer{Done, &State{}}
}

func (q *reading) isScan() bool { return q.hash == "" }

// answers says what a page tells of the keys that are left; Unknown: nothing.
func (p *paging) answers(page *seenPage, operations []*Operation) ([]answer, error) {
	answers := make([]answer, len(operations))
	for i, o := range operations {
		if !p.q.isScan() && p.q.covers(page, o.Key) || p.q.isScan() && p.q.of <= 1 && p.start == nil && page.next == nil {
			answers[i] = p.notShown()
		}
	}
	seen := map[string]bool{}
	for _, row := range page.rows {
		i := slices.IndexFunc(operations, func(o *Operation) bool { return o.Key == row.key })
		switch {
		case seen[row.key] || p.rows[row.key]:
			return nil, damaged("%s twice in one read", row.key)
		case i < 0 && !p.q.isScan():
			return nil, damaged("%s was not asked for", row.key)
		case i >= 0:
			answers[i] = answer{Done, row.state}
		}
		seen[row.key] = true
	}
	return answers, nil
}

// covers reports whether a page of a query is about a key: it comes not behind where the page ends.
func (q *reading) covers(page *seenPage, key string) bool {
	return page.next == nil || key == page.last || (key < page.last) != q.reverse
}
