package partition

import (
	"encoding/binary"
	"fmt"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// What a node asks of a partition on another one. Integers are uvarints unless
// they are drawn with a size; those are little-endian. A size is a uvarint.
//
//	+------------+---------+----------+
//	| version 1B | kind 1B | body ... |
//	+------------+---------+----------+
//
// kind 1, row: the body is a row key.
// kind 2, page:
//
//	+----------+-------+-------+-------+-------------+------------+------------+
//	| flags 1B | index | limit | bytes | fetch bytes | lower size | lower      |
//	+----------+-------+-------+-------+-------------+------------+------------+
//	| upper size | upper | filter size | filter | projection ... |
//	+------------+-------+-------------+--------+----------------+
//
// flags: 1 reverse, 2 counting, 4 fetch, 8 consistent, 16 as is. Filter and projection are in
// the form of package expr; empty = none.
//
// kind 3, state: there is no body.
//
// kind 4, items:
//
//	+------------------+-------+----------+-----+
//	| versions only 1B | count | key size | key | ...
//	+------------------+-------+----------+-----+
//
// kind 6, vote: id 16B of a transaction, hash count, hash 8B, ... of its items.
// Kind 5 was an earlier form of it.
//
// The answer has the same version, and a fault (fault.go). Without one there is
//
//	row:   | found 1B | item ... |
//	page:  | flags 1B | count | scanned | bytes | fetched bytes | units | last 8B |
//	       | last key size | last key | item count | size | item | ... |
//	state: | version | first 8B | last 8B | items | bytes | sequence | trimmed |
//	       | change bytes | latest 8B | local count | items | bytes | ... |
//	       | heat first 8B | heat shift 1B | heat count | requests | ... |
//	items: | count | flags 1B | version 8B | conflict as in a fault | item size | item | pending size | pending | ... |
//	vote:  | outcome 1B | at 8B | sizes count | size ... | others count | place 12B ... |
//
// flags of a page: 1 there is a last key, 2 the items were counted only. units are
// half read units. flags of an item: 1 it is there, 2 a transaction is at it, which the conflict
// names, 4 and would change it, 8 to what is pending, else delete it.
//
// Both sides refuse a version that they do not know, so nodes learn to read one
// before any of them writes it.
const requestVersion byte = 1

const (
	requestRow   byte = 1
	requestPage  byte = 2
	requestState byte = 3
	requestItems byte = 4

	requestVote byte = 6

	itemFound   byte = 1
	itemOngoing byte = 2
	itemChanges byte = 4
	itemPending byte = 8
	itemFlags        = 1<<4 - 1

	pageReverse    byte = 1
	pageCounting   byte = 2
	pageFetch      byte = 4
	pageConsistent byte = 8
	pageAsIs       byte = 16
	pageFlags           = 1<<5 - 1

	answerLastKey  byte = 1
	answerCounting byte = 2
	answerFlags         = 1<<2 - 1
)

// AppendRowRequest appends the request for the row of a key.
func AppendRowRequest(dst, key []byte) []byte {
	return append(append(dst, requestVersion, requestRow), key...)
}

// AppendStateRequest appends the request for a partition's State.
func AppendStateRequest(dst []byte) []byte { return append(dst, requestVersion, requestState) }

// Append appends the request as bytes.
func (r *PageRequest) Append(dst []byte) []byte {
	dst = append(dst, requestVersion, requestPage,
		bit(r.Reverse)*pageReverse|bit(r.Counting)*pageCounting|bit(r.Fetch)*pageFetch|bit(r.Consistent)*pageConsistent|bit(r.AsIs)*pageAsIs)
	dst = binary.AppendUvarint(dst, uint64(r.Index))
	dst = binary.AppendUvarint(dst, uint64(r.Limit))
	dst = binary.AppendUvarint(dst, uint64(r.Bytes))
	dst = binary.AppendUvarint(dst, uint64(r.FetchBytes))
	dst = appendSized(appendSized(dst, r.Lower), r.Upper)
	var filter []byte
	if r.Filter != nil {
		filter = r.Filter.AppendBinary(nil)
	}
	dst = appendSized(dst, filter)
	if r.Projection != nil {
		dst = r.Projection.AppendBinary(dst)
	}
	return dst
}

// decode reads the body of a request; it aliases d.
func (r *PageRequest) decode(d *reader) (err error) {
	flags := d.byte()
	r.Reverse, r.Counting = flags&pageReverse != 0, flags&pageCounting != 0
	r.Fetch, r.Consistent = flags&pageFetch != 0, flags&pageConsistent != 0
	r.AsIs = flags&pageAsIs != 0
	r.Index, r.Limit = uint32(d.size()), d.size()
	r.Bytes, r.FetchBytes = d.size(), d.size()
	r.Lower, r.Upper = d.sized(), d.sized()
	filter, projection := d.sized(), d.rest()
	if d.bad || flags > pageFlags {
		return fmt.Errorf("%w: request for a page", ErrAnswer)
	}
	if len(filter) > 0 {
		if r.Filter, err = expr.DecodeCondition(filter); err != nil {
			return fmt.Errorf("%w: filter: %w", ErrAnswer, err)
		}
	}
	if len(projection) > 0 {
		if r.Projection, err = expr.DecodeProjection(projection); err != nil {
			return fmt.Errorf("%w: projection: %w", ErrAnswer, err)
		}
	}
	return nil
}

// Answer carries out an encoded request and returns the encoded answer.
func (p *Partition) Answer(request []byte) []byte {
	dst := append(make([]byte, 0, 256), requestVersion, faultNone)
	dst, err := p.answer(dst, request)
	if err != nil {
		return appendFault(append(dst[:0], requestVersion), asDamage(err))
	}
	return dst
}

func (p *Partition) answer(dst, request []byte) ([]byte, error) {
	d := reader{b: request}
	version, kind := d.byte(), d.byte()
	if d.bad || version != requestVersion {
		return dst, fmt.Errorf("%w: version of a request of %d bytes", ErrAnswer, len(request))
	}
	switch kind {
	case requestRow:
		it, err := p.Get(d.rest())
		if err != nil {
			return dst, err
		}
		return append(append(dst, bit(it != nil)), it...), nil
	case requestPage:
		var r PageRequest
		if err := r.decode(&d); err != nil {
			return dst, err
		}
		page, err := p.Page(&r)
		if err != nil {
			return dst, err
		}
		return page.append(dst), nil
	case requestState:
		return p.State().append(dst), nil
	case requestItems:
		return p.answerItems(dst, &d)
	case requestVote:
		return p.answerVote(dst, &d)
	}
	return dst, fmt.Errorf("%w: request %d", ErrAnswer, kind)
}

// beginAnswer reads what all answers begin with.
func beginAnswer(b []byte) (d reader, err error) {
	d = reader{b: b}
	if d.byte() != requestVersion || d.bad {
		return d, fmt.Errorf("%w: version of %d bytes", ErrAnswer, len(b))
	}
	err = d.fault()
	if d.bad || err != nil && len(d.b) > 0 {
		return d, fmt.Errorf("%w: error in %d bytes", ErrAnswer, len(b))
	}
	return d, err
}

// DecodeRowAnswer reads the answer to a request for a row: its item, nil if there
// is none, or what the partition said, or ErrAnswer. The item aliases b.
func DecodeRowAnswer(b []byte) (item.Item, error) {
	d, err := beginAnswer(b)
	if err != nil {
		return nil, err
	}
	var it item.Item
	if d.flag() {
		it = d.item(d.rest())
	}
	if !d.done() {
		return nil, fmt.Errorf("%w: row of %d bytes", ErrAnswer, len(b))
	}
	return it, nil
}

func (p *Page) append(dst []byte) []byte {
	dst = append(dst, bit(p.LastKey != nil)*answerLastKey|bit(p.Items == nil)*answerCounting)
	for _, n := range []int{p.Count, p.Scanned, p.Bytes, p.FetchedBytes, int(2 * p.FetchedUnits)} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = binary.LittleEndian.AppendUint64(dst, p.Last)
	dst = appendSized(dst, p.LastKey)
	dst = binary.AppendUvarint(dst, uint64(len(p.Items)))
	for _, it := range p.Items {
		dst = appendSized(dst, it)
	}
	return dst
}

// DecodePageAnswer reads the answer to a PageRequest: the page, or what the
// partition said, or ErrAnswer. The items alias b.
func DecodePageAnswer(b []byte) (*Page, error) {
	d, err := beginAnswer(b)
	if err != nil {
		return nil, err
	}
	flags := d.byte()
	p := &Page{Count: d.size(), Scanned: d.size(), Bytes: d.size(), FetchedBytes: d.size(), FetchedUnits: float64(d.size()) / 2}
	p.Last = d.fixed()
	key := d.sized()
	if flags&answerLastKey != 0 {
		p.LastKey = d.item(key)
	} else if len(key) > 0 {
		d.fail()
	}
	n := d.count()
	if flags&answerCounting == 0 {
		p.Items = make([]item.Item, 0, n)
	} else if n > 0 {
		d.fail()
	}
	for range n {
		p.Items = append(p.Items, d.item(d.sized()))
	}
	if flags > answerFlags || !d.done() {
		return nil, fmt.Errorf("%w: page of %d bytes", ErrAnswer, len(b))
	}
	return p, nil
}

func (s *State) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, s.Version)
	dst = binary.LittleEndian.AppendUint64(dst, s.First)
	dst = binary.LittleEndian.AppendUint64(dst, s.Last)
	dst = s.Stats.append(dst)
	dst = binary.AppendUvarint(dst, s.Sequence)
	dst = binary.AppendUvarint(dst, s.Trimmed)
	dst = binary.AppendUvarint(dst, uint64(s.ChangeBytes))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Latest))
	dst = binary.AppendUvarint(dst, uint64(len(s.Local)))
	for _, l := range s.Local {
		dst = l.append(dst)
	}
	dst = append(binary.LittleEndian.AppendUint64(dst, s.Heat.First), s.Heat.Shift)
	dst = binary.AppendUvarint(dst, uint64(len(s.Heat.Requests)))
	for _, n := range s.Heat.Requests {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

func (s Stats) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(s.Items)), uint64(s.Bytes))
}

func (d *reader) stats() Stats { return Stats{Items: int64(d.uint()), Bytes: int64(d.uint())} }

// DecodeStateAnswer reads the answer to a request for a state: that, or what the
// partition said, or ErrAnswer.
func DecodeStateAnswer(b []byte) (*State, error) {
	d, err := beginAnswer(b)
	if err != nil {
		return nil, err
	}
	s := &State{Version: d.uint(), First: d.fixed(), Last: d.fixed(), Stats: d.stats()}
	s.Sequence, s.Trimmed, s.ChangeBytes = d.uint(), d.uint(), int64(d.uint())
	s.Latest = txn.Timestamp(d.fixed())
	for range d.count() {
		s.Local = append(s.Local, d.stats())
	}
	s.Heat.First, s.Heat.Shift = d.fixed(), d.byte()
	if n := d.count(); n == len(s.Heat.Requests) {
		for i := range s.Heat.Requests {
			s.Heat.Requests[i] = uint32(d.uint())
		}
	} else {
		d.fail()
	}
	if !d.done() || s.Heat.Shift > 63 {
		return nil, fmt.Errorf("%w: state of %d bytes", ErrAnswer, len(b))
	}
	return s, nil
}
