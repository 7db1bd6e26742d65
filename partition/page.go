package partition

import (
	"bytes"
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
)

// PageBytes is how much item data one page of a query or scan reads, before
// filter and projection. The item that reaches it is the last one.
const PageBytes = 1 << 20

// A PageRequest asks for the rows of a span, as far as one page goes. It is read,
// filtered and reduced where the data is.
//
// The order of things is DynamoDB's: an item that was read counts against the
// limit and the page size; then the filter may drop it; then the projection
// reduces it. Where facets say that an item does not meet the filter, it is not
// read, and does not count.
type PageRequest struct {
	// Index is the number of the local index whose entries are read; 0 = the rows
	// of the partition itself, which are items, or entries of a global index.
	Index uint32
	// Lower and Upper bound the row keys to read: [Lower, Upper).
	Lower, Upper []byte
	Reverse      bool // against key order
	Filter       *expr.Condition
	Projection   *expr.Projection
	Counting     bool // the items are not wanted, only how many there are
	// Fetch reads the items of the entries of a local index, too: filter and
	// projection are about these.
	Fetch bool
	// Consistent says what reading the fetched items costs, and that the page must not miss
	// a transaction that is committed; see OngoingError.
	Consistent bool
	AsIs       bool // whoever asks has looked after the transactions that OngoingError names
	Limit      int  // rows to read at most; 0 = no limit
	// Bytes and FetchBytes end the page with the row that brings what was read, or
	// fetched, to so many bytes; 0 = PageBytes.
	Bytes, FetchBytes int
}

// A Page answers a PageRequest.
type Page struct {
	Items          []item.Item // nil if only counted
	Count, Scanned int         // rows after and before the filter
	Bytes          int         // sizes of the rows read
	FetchedBytes   int         // sizes of the items fetched
	FetchedUnits   float64     // read capacity that they took
	// LastKey has the key attributes of the last row, if the page ended before the
	// span did; else nil.
	LastKey item.Item
	// Last is the last hash that the partition has. A span that goes on behind it
	// was read up to it.
	Last uint64
}

// Page reads a page of the rows as they are at one moment.
//
// Errors: *OngoingError, ErrNotConfigured, ErrNoIndex if the partition has no entries of the
// index, ErrWrongPartition if it is closed, or does not have the hash where the span begins,
// or, in reverse, all of its hashes.
func (p *Partition) Page(r *PageRequest) (*Page, error) {
	config := p.Config()
	if config == nil {
		return nil, ErrNotConfigured
	}
	x, err := config.index(r.Index)
	if err != nil {
		return nil, err
	}
	pager := pager{schema: &config.Schema, index: x, request: r, bytes: orPageBytes(r.Bytes), fetchBytes: orPageBytes(r.FetchBytes)}
	if !r.Counting {
		pager.page.Items = []item.Item{}
	}
	if bytes.Compare(r.Lower, r.Upper) >= 0 { // a condition that nothing satisfies, or a start key at the end
		pager.page.Last = config.Last
		return &pager.page, nil
	}
	upper, err := config.clip(x, r)
	if err != nil {
		return nil, err
	}
	if err := p.undisturbed(r); err != nil {
		return nil, err
	}
	if err := p.readPage(config, &pager, upper); err != nil {
		return nil, asDamage(err)
	}
	p.warmPage(config, r, pager.page.Bytes+pager.page.FetchedBytes)
	return &pager.page, nil
}

func orPageBytes(n int) int {
	if n == 0 {
		return PageBytes
	}
	return n
}

// index returns what a request means by the number of an index: nil for the rows
// of a base table.
func (c *Config) index(number uint32) (*Index, error) {
	if c.Entries && number == 0 {
		return &c.Schema.Indexes[0], nil
	}
	if number == 0 {
		return nil, nil
	}
	for i := range c.Schema.Indexes {
		if x := &c.Schema.Indexes[i]; x.Local && x.ID == number && !c.Entries {
			return x, nil
		}
	}
	return nil, ErrNoIndex
}

// clip checks that a span begins in the partition and returns where it ends in it.
func (c *Config) clip(x *Index, r *PageRequest) (upper []byte, err error) {
	var buf [hashOffset]byte
	place := c.Schema.appendPlace(buf[:0], x)
	isPlaced := func(key []byte) bool { return len(key) >= rowPrefix && bytes.HasPrefix(key, place) }
	if !isPlaced(r.Lower) || !c.Owns(RowHash(r.Lower)) {
		return nil, c.wrong()
	}
	if isPlaced(r.Upper) && RowHash(r.Upper) <= c.Last {
		return r.Upper, nil
	}
	if _, end := c.Schema.HashSpan(x, c.First, c.Last); bytes.Compare(r.Upper, end) > 0 {
		if r.Reverse {
			return nil, c.wrong()
		}
		return end, nil
	}
	return r.Upper, nil
}

func (p *Partition) readPage(config *Config, pager *pager, upper []byte) error {
	r := pager.request
	rows, err := p.Rows(RowOptions{
		Lower: r.Lower, Upper: upper, Reverse: r.Reverse, Items: r.Fetch,
		Narrow: config.Schema.Narrow(pager.index, r.Filter),
	})
	if err != nil {
		return err
	}
	defer rows.Close()
	// What the iterator sees is all there if the partition still has the span now:
	// rows that have gone to another one may be deleted here afterwards.
	now := p.Config()
	if err := p.serves(now); err != nil {
		return err
	}
	if now != config {
		if clipped, err := now.clip(pager.index, r); err != nil || !bytes.Equal(clipped, upper) {
			return now.wrong()
		}
	}
	pager.page.Last = now.Last
	// Items are looked at where they lie, in mapped files.
	return vfs.Guard(func() error {
		for full := false; !full && rows.Next(); {
			var whole item.Item
			if r.Fetch {
				if whole, err = pager.fetch(rows); err != nil {
					return err
				}
			}
			if full = pager.take(rows.Item(), whole); full && plant.On(plant.PageSkipsRow) && rows.Next() {
				pager.page.LastKey = pager.schema.KeyOf(pager.index, rows.Item())
			}
		}
		return rows.Err()
	})
}

// A pager collects one page.
type pager struct {
	schema            *Schema
	index             *Index // nil for the base table
	request           *PageRequest
	bytes, fetchBytes int // limits
	page              Page
	arena             arena
}

// take adds an item or entry that was read and reports whether the page is full.
// It need not stay valid. whole is the item of an entry, nil if it was not
// fetched.
func (p *pager) take(it, whole item.Item) (full bool) {
	r := p.request
	p.page.Scanned++
	p.page.Bytes += it.Size()
	last := it
	if whole != nil {
		size := whole.Size()
		p.page.FetchedBytes += size
		p.page.FetchedUnits += capacity.ReadUnits(size, r.Consistent)
		it = whole
	}
	if r.Filter == nil || r.Filter.Eval(it) {
		p.page.Count++
		if !r.Counting {
			p.page.Items = append(p.page.Items, p.keep(it))
		}
	}
	if p.page.Scanned == r.Limit || p.page.Bytes >= p.bytes || p.page.FetchedBytes >= p.fetchBytes {
		p.page.LastKey = p.schema.KeyOf(p.index, last)
		return true
	}
	return false
}

// keep returns what the page shows of an item, in memory of its own.
func (p *pager) keep(it item.Item) item.Item {
	if p.request.Projection != nil {
		it = p.request.Projection.Apply(it)
	}
	return p.arena.copy(it)
}

// fetch reads the item of the current entry.
func (p *pager) fetch(rows *Rows) (item.Item, error) {
	it, err := rows.Get(p.schema.AppendRowKey(nil, rows.Item()))
	if err == nil && it == nil {
		err = fmt.Errorf("partition: index %s: an entry has no item", p.index.Name)
	}
	return it, err
}

// KeyOf returns what a query or scan that stopped at an item or entry goes on
// after: the primary key and, in an index, the keys of the index. It has memory of
// its own.
func (s *Schema) KeyOf(x *Index, it item.Item) item.Item {
	var b item.Builder
	set := func(k Key) {
		v, _ := it.Get(k.Name)
		b.Set(k.Name, v)
	}
	if x != nil {
		for _, k := range x.Keys {
			set(k)
		}
	}
	for _, k := range s.keys() {
		if x == nil || !x.hasKey(k.Name) {
			set(k)
		}
	}
	return b.Item()
}

func (x *Index) hasKey(name string) bool {
	for i := range x.Keys {
		if x.Keys[i].Name == name {
			return true
		}
	}
	return false
}

// An arena copies items into few, larger pieces of memory.
type arena struct{ free []byte }

// arenaChunk is the size of a piece; an item that is larger gets its own.
const arenaChunk = 16 << 10

func (a *arena) copy(it item.Item) item.Item {
	if len(it) > cap(a.free)-len(a.free) {
		if len(it) > arenaChunk/4 {
			return append(make(item.Item, 0, len(it)), it...)
		}
		a.free = make([]byte, 0, arenaChunk)
	}
	at := len(a.free)
	a.free = append(a.free, it...)
	return item.Item(a.free[at:len(a.free):len(a.free)])
}
