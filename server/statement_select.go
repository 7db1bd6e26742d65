package server

import (
	"slices"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/expr/partiql"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// maxHashValues is how many partition keys one SELECT may name ("PartiQL
// operators", IN).
const maxHashValues = 50

// statementPageBytes is how much item data one page of a selection reads.
const statementPageBytes = 1 << 20

// A selection is a SELECT as it is carried out: one query per partition key
// that the WHERE clause admits, one after the other, or a scan if it admits
// all.
type selection struct {
	statement *partiql.Select
	queries   []table.QueryRequest
	scan      *table.ScanRequest // if not nil, there are no queries
	single    bool               // each query is for one item: the table has no sort key
}

// A position is where a selection goes on.
type position struct {
	query int       // by its place; 0 for a scan
	start item.Item // nil: at the beginning of the query
}

// A selected is one page of a selection.
type selected struct {
	items []item.Item // never nil
	last  item.Item   // key of the last item read, if it is known and there is more
	next  *position   // nil if there is no more
	used  usage
}

// compileSelect returns the selection that a SELECT stands for.
func (f *frontend) compileSelect(s *partiql.Select, consistent bool) (*selection, error) {
	keys, err := f.tables.KeyNames(s.Table, s.Index)
	if err != nil {
		return nil, err
	}
	hashes, bound := hashValues(s.Where, keys)
	order, err := checkOrder(s, keys, bound, len(hashes))
	if err != nil {
		return nil, err
	}
	if !bound {
		return &selection{statement: s, scan: &table.ScanRequest{
			Table: s.Table, Index: s.Index, Filter: s.Where, Projection: s.Attributes(), Consistent: consistent,
		}}, nil
	}
	if len(hashes) > maxHashValues {
		return nil, validationFault("The IN operator is provided with too many operands for a partition key; the most is 50")
	}
	order.sort(hashes, keys)
	sel := &selection{statement: s, single: s.Index == "" && len(keys.Range) == 0}
	for _, values := range hashes {
		if q, possible := queryFor(s, keys, values); possible {
			q.Consistent, q.Reverse = consistent, order.reverse
			sel.queries = append(sel.queries, q)
		}
	}
	return sel, nil
}

// hashValues returns the partition keys that a WHERE clause admits, each as
// one value per hash attribute. It reports false if it does not limit them.
func hashValues(where *expr.Condition, keys *table.KeyNames) (all [][]item.Value, bound bool) {
	all = [][]item.Value{nil}
	for _, name := range keys.Hash {
		values, limited := where.Values(name)
		if !limited {
			return nil, false
		}
		var longer [][]item.Value
		for _, head := range all {
			for _, v := range values {
				longer = append(longer, append(slices.Clip(head), v))
			}
			if len(longer) > maxHashValues {
				break // too many already
			}
		}
		all = longer
	}
	return all, true
}

// queryFor returns the query of one partition key: what the WHERE clause says
// of the sort key, as far as a key condition can say it, and the rest as
// filter. It reports false if no item of this key can meet the clause.
func queryFor(s *partiql.Select, keys *table.KeyNames, hashes []item.Value) (q table.QueryRequest, possible bool) {
	condition := &expr.KeyCondition{}
	rest := s.Where
	for i, name := range keys.Hash {
		if rest, possible = rest.Given(name, hashes[i]); !possible {
			return q, false
		}
		condition.Terms = append(condition.Terms, expr.KeyTerm{Attr: name, Op: expr.EQ, Values: hashes[i : i+1]})
	}
	for _, name := range keys.Range {
		term, left, ok := rest.TakeRange(name)
		if !ok {
			break
		}
		rest = left
		condition.Terms = append(condition.Terms, term)
		if term.Op != expr.EQ {
			break
		}
	}
	return table.QueryRequest{
		Table: s.Table, Index: s.Index, Keys: condition, Filter: rest, FilterKeys: true, Projection: s.Attributes(),
	}, true
}

// page reads up to limit items (0 = no limit), and about a megabyte, from at on.
func (sel *selection) page(tables collections, at position, limit int) (*selected, error) {
	if sel.scan != nil {
		return sel.pageOfScan(tables, at, limit)
	}
	got := &selected{items: []item.Item{}}
	for i := at.query; i < len(sel.queries); i++ {
		r := sel.queries[i]
		r.StartKey, r.Limit = at.start, limit
		at.start = nil
		page, err := tables.Query(&r)
		if err != nil {
			return nil, err
		}
		got.add(sel.statement, page)
		if page.LastKey != nil {
			got.last, got.next = page.LastKey, &position{i, page.LastKey}
			return got, nil
		}
		limited := limit > 0 && page.ScannedCount == limit
		if i+1 < len(sel.queries) && (limited || got.full(r.Consistent)) {
			got.next = &position{query: i + 1}
			if page.ScannedCount > 0 {
				got.last = sel.keyOf(&r)
			}
			return got, nil
		}
		if limit > 0 {
			limit -= page.ScannedCount
		}
	}
	return got, nil
}

// keyOf returns the primary key that a query asks for; nil if the table has a
// sort key, so that there may be several. Queries for one key never say where
// they ended.
func (sel *selection) keyOf(r *table.QueryRequest) item.Item {
	if !sel.single {
		return nil
	}
	return item.NewItem(map[string]item.Value{r.Keys.Terms[0].Attr: r.Keys.Terms[0].Values[0]})
}

func (sel *selection) pageOfScan(tables collections, at position, limit int) (*selected, error) {
	r := *sel.scan
	r.StartKey, r.Limit = at.start, limit
	page, err := tables.Scan(&r)
	if err != nil {
		return nil, err
	}
	got := &selected{items: []item.Item{}}
	got.add(sel.statement, page)
	if page.LastKey != nil {
		got.last, got.next = page.LastKey, &position{0, page.LastKey}
	}
	return got, nil
}

// add adds the items of a page, which has the attributes that the statement
// shows or shows parts of.
func (got *selected) add(s *partiql.Select, page *table.Page) {
	got.used.add(page.Capacity.Read, page.Indexes)
	if s.Flat() {
		got.items = append(got.items, page.Items...)
		return
	}
	for _, it := range page.Items {
		got.items = append(got.items, s.Show(it))
	}
}

// full reports whether several queries together have read enough for a page,
// as far as their capacity tells.
func (got *selected) full(consistent bool) bool {
	units := got.used.total()
	if !consistent {
		units *= 2
	}
	return units*4096 >= statementPageBytes
}
