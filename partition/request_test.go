package partition

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// sampleResults have each field, and each error that has a code.
func sampleResults(t testing.TB) []Result {
	it := parseItem(t, `{"p":{"S":"a"},"n":{"N":"1"}}`)
	return []Result{
		{},
		{Attributes: it, OldBytes: 1, NewBytes: 400 << 10, CollectionBytes: 10 << 30, Indexes: []IndexUse{
			{Name: "byX", Local: true, Change: capacity.IndexMoved, OldBytes: 3, NewBytes: 4},
			{Name: "byY", Change: capacity.IndexAdded, NewBytes: 5},
		}},
		{Attributes: item.Item{}, Sequence: 7, Done: true},
		{Err: ErrConditionFailed, Attributes: it, OldBytes: 9, NewBytes: 9},
		{Err: &InvalidError{Message: "no"}},
		{Err: &WrongPartitionError{First: 1, Last: 1 << 63}},
		{Err: ErrNotConfigured}, {Err: ErrCollectionFull}, {Err: ErrNoIndex},
		{Err: &RemoteError{"log", ErrReplay}}, {Err: &RemoteError{"bytes", ErrCommand}},
		{Err: &RemoteError{"row", ErrFormat}}, {Err: &RemoteError{"request", ErrAnswer}}, {Err: &RemoteError{Text: "disk"}},
		{Err: ErrFateUnknown}, {Err: &RemoteError{"replica", ErrDamaged}},
	}
}

// sampleRequests use each field of a request.
func sampleRequests(t testing.TB) [][]byte {
	params := expr.NewParams(nil, parseItem(t, `{":n":{"N":"1"}}`))
	filter, err := expr.ParseCondition(expr.FilterExpression, "n > :n", params)
	if err != nil {
		t.Fatal(err)
	}
	projection, err := expr.ParseProjection("a, b.c[1]", nil)
	if err != nil {
		t.Fatal(err)
	}
	lower, upper := []byte("\x10lower"), []byte("\x10upper")
	return [][]byte{
		AppendRowRequest(nil, []byte("key")),
		(&PageRequest{Lower: lower, Upper: upper}).Append(nil),
		(&PageRequest{Index: 5, Lower: lower, Upper: upper, Reverse: true, Filter: filter, Projection: projection, Counting: true,
			Fetch: true, Consistent: true, Limit: 300, Bytes: 1, FetchBytes: PageBytes}).Append(nil),
		AppendStateRequest(nil),
		AppendItemsRequest(nil, [][]byte{[]byte("key"), []byte("other")}, true),
		AppendVoteRequest(nil, txn.ID{Node: 5, Born: 6}, []uint64{7, 1 << 63}),
	}
}

// sampleAnswers use each field of an answer.
func sampleAnswers(t testing.TB) [][]byte {
	it := parseItem(t, `{"p":{"S":"a"},"n":{"N":"1"}}`)
	ok := []byte{requestVersion, faultNone}
	state := State{Version: 2, First: 1, Last: 9, Stats: Stats{3, 4}, Local: []Stats{{5, 6}}, Sequence: 8, Trimmed: 7, ChangeBytes: 300, Latest: 10,
		Heat: Heat{First: 1, Shift: 58}}
	state.Heat.Requests[3] = 1 << 31
	return [][]byte{
		append(append(bytes.Clone(ok), 1), it...),
		append(bytes.Clone(ok), 0),
		(&Page{Items: []item.Item{it, {}}, Count: 2, Scanned: 3, Bytes: 4, FetchedBytes: 5, FetchedUnits: 6.5, LastKey: it, Last: 1 << 60}).append(bytes.Clone(ok)),
		(&Page{Count: 2, Scanned: 2, Last: ^uint64(0)}).append(bytes.Clone(ok)),
		state.append(bytes.Clone(ok)),
		appendFault([]byte{requestVersion}, &WrongPartitionError{1, 2}),
		(&Vote{Outcome: txn.Prepared, At: 9, Sizes: []int{0, 300}, Others: []Place{{1, 2}}}).append(bytes.Clone(ok)),
		appendItems(bytes.Clone(ok), []ItemRead{{Item: it, Version: 5}, {Version: 6, Ongoing: &ConflictError{ID: txn.ID{Node: 1, Born: 2}}, Changes: true, Pending: it},
			{Item: it, Ongoing: &ConflictError{ID: txn.ID{Node: 1, Born: 2}}, Changes: true}}),
	}
}

// TestRequestGolden: requests, answers and results have the bytes of version 1.
func TestRequestGolden(t *testing.T) {
	var out strings.Builder
	dump := func(what string, b []byte) { out.WriteString(what + "\n" + hex.Dump(b)) }
	for _, b := range sampleRequests(t) {
		dump("request", b)
	}
	for _, b := range sampleAnswers(t) {
		dump("answer", b)
	}
	for _, r := range sampleResults(t) {
		dump(fmt.Sprintf("result with error %v", r.Err), r.Append(nil))
	}
	checkGolden(t, "testdata/requests.v1.golden", out.String())
}

func TestResultRoundTrip(t *testing.T) {
	for _, want := range sampleResults(t) {
		b := want.Append(nil)
		got, err := DecodeResult(b)
		if err != nil {
			t.Errorf("DecodeResult(%+v): %v", want, err)
			continue
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("DecodeResult gives %+v, want %+v", *got, want)
		}
		var remote *RemoteError
		if errors.As(want.Err, &remote) && remote.kind != nil && !errors.Is(got.Err, remote.kind) {
			t.Errorf("%v is not %v", got.Err, remote.kind)
		}
		for cut := range len(b) - len(want.Attributes) {
			if _, err := DecodeResult(b[:cut]); !errors.Is(err, ErrAnswer) {
				t.Errorf("DecodeResult of %d of %d bytes: error %v", cut, len(b), err)
			}
		}
	}
	wrapped := Result{Err: fmt.Errorf("apply: %w", ErrCollectionFull)}
	if got, err := DecodeResult(wrapped.Append(nil)); err != nil || got.Err != ErrCollectionFull {
		t.Errorf("a wrapped error becomes %v, %v", got.Err, err)
	}
	if _, err := DecodeResult([]byte{2, 0}); !errors.Is(err, ErrAnswer) {
		t.Errorf("a later version: error %v", err)
	}
}

// FuzzDecodeResult: no bytes make the decoder panic, and what it reads is written
// as it was.
func FuzzDecodeResult(f *testing.F) {
	for _, r := range sampleResults(f) {
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeResult(b)
		if err != nil {
			if !errors.Is(err, ErrAnswer) {
				t.Fatalf("error %v is not ErrAnswer", err)
			}
			return
		}
		if got := r.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x is written as %x", b, got)
		}
	})
}

// FuzzDecodeAnswers: no bytes make the decoders of answers panic.
func FuzzDecodeAnswers(f *testing.F) {
	for _, b := range sampleAnswers(f) {
		f.Add(b)
	}
	ok := []byte{requestVersion, faultNone}
	f.Fuzz(func(t *testing.T, b []byte) {
		if it, err := DecodeRowAnswer(b); err == nil && item.Check(it) != nil {
			t.Errorf("row %x is not an item", it)
		}
		if p, err := DecodePageAnswer(b); err == nil {
			if got := p.append(bytes.Clone(ok)); !bytes.Equal(got, b) {
				t.Fatalf("%x is written as %x", b, got)
			}
		}
		if v, err := DecodeVoteAnswer(b); err == nil {
			if got := v.append(bytes.Clone(ok)); !bytes.Equal(got, b) {
				t.Fatalf("%x is written as %x", b, got)
			}
		}
		if reads, err := DecodeItemsAnswer(b); err == nil {
			if _, err := DecodeItemsAnswer(appendItems(bytes.Clone(ok), reads)); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
		}
		if s, err := DecodeStateAnswer(b); err == nil {
			if _, err := DecodeStateAnswer(s.append(bytes.Clone(ok))); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
		}
	})
}

// A shelf is a partition of a table with a local index and facets, and what is in
// it, by sort key.
type shelf struct {
	*Partition
	schema Schema
	rng    *rand.Rand
	items  map[string]item.Item
}

func newShelf(t testing.TB, seed uint64, first, last uint64) *shelf {
	t.Helper()
	p, err := Open(openStore(t, vfs.NewMem()), 7)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{Partition: p, rng: rand.New(rand.NewPCG(seed, 1)), items: map[string]item.Item{}, schema: Schema{
		Table: 3, Hash: Key{"p", item.S}, Sort: Key{"s", item.N}, Facets: []string{"f"},
		Indexes: []Index{{Name: "byX", Local: true, ID: 1, Hashes: 1, Keys: []Key{{"p", item.S}, {"x", item.N}}}},
	}}
	s.apply(t, (&Command{Kind: Configure, Config: &Config{Version: 1, First: first, Last: last, Schema: s.schema}}).Encode())
	return s
}

func (s *shelf) apply(t testing.TB, command []byte) *Result {
	t.Helper()
	return s.Apply(s.Applied()+1, [][]byte{command})[0].(*Result)
}

// fill puts items with random sort keys into the partition.
func (s *shelf) fill(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		it := parseItem(t, fmt.Sprintf(`{"p":{"S":"k%d"},"s":{"N":"%d"},"x":{"N":"%d"},"f":{"S":"f%d"},"v":{"S":%q}}`,
			s.rng.IntN(4), i, s.rng.IntN(20), s.rng.IntN(3), strings.Repeat("v", s.rng.IntN(200))))
		if r := s.apply(t, (&Command{Kind: Put, Timestamp: 1, Item: it}).Encode()); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// request draws a request for a page of one item collection, or of all of them.
func (s *shelf) request(t testing.TB) *PageRequest {
	r := &PageRequest{Reverse: s.rng.IntN(2) == 0, Counting: s.rng.IntN(4) == 0, Consistent: s.rng.IntN(2) == 0}
	var x *Index
	if s.rng.IntN(2) == 0 {
		x, r.Index, r.Fetch = &s.schema.Indexes[0], 1, s.rng.IntN(2) == 0
	}
	key := parseItem(t, fmt.Sprintf(`{"p":{"S":"k%d"}}`, s.rng.IntN(4)))
	hash, _ := key.Get("p")
	switch {
	case s.rng.IntN(3) == 0:
		r.Lower, r.Upper = s.schema.HashSpan(x, 0, ^uint64(0))
	case x != nil:
		r.Lower = s.schema.AppendEntriesKey(nil, x, []item.Value{hash})
	default:
		r.Lower = s.schema.AppendCollectionKey(nil, hash)
	}
	if r.Upper == nil {
		r.Upper = Successor(bytes.Clone(r.Lower))
	}
	params := expr.NewParams(nil, parseItem(t, `{":f":{"S":"f1"}}`))
	if s.rng.IntN(2) == 0 {
		r.Filter, _ = expr.ParseCondition(expr.FilterExpression, "f = :f", params)
	}
	if s.rng.IntN(2) == 0 {
		r.Projection, _ = expr.ParseProjection("s, v", params)
	}
	if s.rng.IntN(2) == 0 {
		r.Limit = 1 + s.rng.IntN(20)
	}
	if s.rng.IntN(2) == 0 {
		r.Bytes, r.FetchBytes = 1+s.rng.IntN(2000), 1+s.rng.IntN(4000)
	}
	return r
}

// TestAskedFromAfar: a page, a row and a state that went through bytes are those
// that a caller on the same node gets.
func TestAskedFromAfar(t *testing.T) {
	for seed := range uint64(5) {
		s := newShelf(t, seed, 0, ^uint64(0))
		s.fill(t, 60)
		full := 0
		for range 100 {
			r := s.request(t)
			want, err := s.Page(r)
			if err != nil {
				t.Fatalf("seed %d: Page(%+v): %v", seed, r, err)
			}
			got, err := DecodePageAnswer(s.Answer(r.Append(nil)))
			if err != nil {
				t.Fatalf("seed %d: from afar: %v", seed, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("seed %d: page %+v from afar, want %+v", seed, got, want)
			}
			if want.LastKey != nil {
				full++
			}
			for _, it := range want.Items {
				if r.Projection != nil || r.Index != 0 {
					continue
				}
				row := s.schema.AppendRowKey(nil, it)
				if got, err := DecodeRowAnswer(s.Answer(AppendRowRequest(nil, row))); err != nil || !got.Equal(it) {
					t.Errorf("seed %d: row from afar %s, %v, want %s", seed, got, err, it)
				}
			}
		}
		if full == 0 {
			t.Errorf("seed %d: no page was full", seed)
		}
		if got, err := DecodeStateAnswer(s.Answer(AppendStateRequest(nil))); err != nil || !reflect.DeepEqual(got, s.State()) {
			t.Errorf("seed %d: state %+v, %v, want %+v", seed, got, err, s.State())
		}
	}
}

// TestPageGoesThroughTheSpan: pages that each go on after the last one bring each
// item once, in order, whatever ends them.
func TestPageGoesThroughTheSpan(t *testing.T) {
	s := newShelf(t, 1, 0, ^uint64(0))
	s.fill(t, 100)
	for range 50 {
		r := s.request(t)
		r.Filter, r.Projection, r.Counting = nil, nil, false
		all := *r
		all.Limit, all.Bytes, all.FetchBytes = 0, 0, 0
		want, err := s.Page(&all)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := s.Config().index(r.Index)
		var got []item.Item
		for {
			page, err := s.Page(r)
			if err != nil {
				t.Fatal(err)
			}
			if r.Limit > 0 && page.Scanned > r.Limit {
				t.Fatalf("%d rows read, limit %d", page.Scanned, r.Limit)
			}
			got = append(got, page.Items...)
			if page.LastKey == nil {
				break
			}
			row := s.schema.AppendRowKey(nil, page.LastKey)
			if x != nil {
				row = s.schema.AppendEntryKey(nil, x, page.LastKey)
			}
			if r.Reverse {
				r.Upper = row
			} else {
				r.Lower = append(row, 0)
			}
		}
		if !reflect.DeepEqual(got, want.Items) {
			t.Fatalf("%+v: %d items in pages, want %d", r, len(got), len(want.Items))
		}
	}
}

// TestPageOwnsItsItems: a page keeps nothing of the memory that it was shown.
func TestPageOwnsItsItems(t *testing.T) {
	schema := Schema{Hash: Key{"p", item.S}, Sort: Key{"s", item.N}}
	projection, err := expr.ParseProjection("v", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, proj := range []*expr.Projection{nil, projection} {
		p := pager{schema: &schema, request: &PageRequest{Projection: proj, Limit: 3}, bytes: PageBytes, fetchBytes: PageBytes}
		var want []item.Item
		for _, size := range []int{10, 20_000, 10} {
			it := parseItem(t, fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"1"},"v":{"S":%q}}`, strings.Repeat("x", size)))
			want = append(want, bytes.Clone(proj.Apply(it)))
			p.take(it, nil)
			clear(it)
		}
		if !reflect.DeepEqual(p.page.Items, want) {
			t.Errorf("items became %v, were %v", p.page.Items, want)
		}
		if want := parseItem(t, `{"p":{"S":"a"},"s":{"N":"1"}}`); !p.page.LastKey.Equal(want) {
			t.Errorf("last key became %s", p.page.LastKey)
		}
	}
}

// TestPageKnowsItsHashes: a partition reads the beginning of a span that goes on
// behind it, and says where it ended; what begins elsewhere is refused.
func TestPageKnowsItsHashes(t *testing.T) {
	s := newShelf(t, 1, 0, ^uint64(0))
	s.fill(t, 40)
	whole, upper := s.schema.HashSpan(nil, 0, ^uint64(0))
	all, err := s.Page(&PageRequest{Lower: whole, Upper: upper})
	if err != nil {
		t.Fatal(err)
	}
	middle := RowHash(s.schema.AppendRowKey(nil, all.Items[20]))
	if r := s.apply(t, (&Command{Kind: SplitOff, Split: &Split{At: middle + 1, Child: 8, Voters: []uint64{1}}}).Encode()); r.Err != nil {
		t.Fatal(r.Err)
	}
	page, err := s.Page(&PageRequest{Lower: whole, Upper: upper})
	if err != nil || page.Last != middle || page.Count <= 20 || page.Count >= 40 {
		t.Errorf("a page of all hashes: %+v, %v; want those up to %d", page, err, middle)
	}
	for what, r := range map[string]*PageRequest{
		"in reverse": {Lower: whole, Upper: upper, Reverse: true},
		"behind":     {Lower: leastKey(t, &s.schema, middle+1), Upper: upper},
		"no index":   {Lower: []byte{0}, Upper: []byte{1}},
	} {
		_, err := s.Page(r)
		var wrong *WrongPartitionError
		if !errors.As(err, &wrong) || wrong.Last != middle {
			t.Errorf("%s: error %v, want the hashes up to %d", what, err, middle)
		}
	}
	if _, err := s.Page(&PageRequest{Index: 2, Lower: whole, Upper: upper}); !errors.Is(err, ErrNoIndex) {
		t.Errorf("page of an index that is not there: %v", err)
	}
	config := *s.Config()
	config.Version, config.Last = 2, ^uint64(0)
	if s.apply(t, (&Command{Kind: Configure, Config: &config}).Encode()); s.Config().Version != 2 || s.Config().Last != middle {
		t.Errorf("configured by somebody who does not know of the split: %+v", s.Config())
	}
	last := all.Items[len(all.Items)-1]
	if _, err := s.Get(s.schema.AppendRowKey(nil, last)); !errors.Is(err, ErrWrongPartition) {
		t.Errorf("Get of a key behind: error %v", err)
	}
}

// leastKey returns the least row key of a hash.
func leastKey(t testing.TB, s *Schema, hash uint64) []byte {
	t.Helper()
	lower, _ := s.HashSpan(nil, hash, hash)
	return lower
}

func TestHeat(t *testing.T) {
	s := newShelf(t, 1, 1<<62, 3<<62-1)
	before := s.Heat()
	config := s.Config()
	for i := range uint64(100) {
		s.warm(config, 1<<62+i<<57, 2)
	}
	s.warm(config, 3<<62+5, 1)
	s.warm(config, 0, 1)
	h := s.Heat()
	if got := h.Since(before).Total(); got != 2*64 {
		t.Errorf("%d requests counted, want those of 64 hashes", got)
	}
	s.warm(config, 1<<62, 1)
	if got := s.Heat().Since(h); got.Total() != 1 || got.Requests[0] != 1 {
		t.Errorf("afterwards %v", got)
	}
}

// FuzzAnswer: no request makes a partition panic.
func FuzzAnswer(f *testing.F) {
	for _, b := range sampleRequests(f) {
		f.Add(b)
	}
	s := newShelf(f, 1, 0, ^uint64(0))
	s.fill(f, 20)
	for range 20 {
		f.Add(s.request(f).Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		answer := s.Answer(b)
		d, _ := beginAnswer(answer)
		if d.bad {
			t.Fatalf("%x is answered with %x", b, answer)
		}
	})
}
