package partition

import (
	"fmt"
	"math/bits"

	"github.com/statordb/stator/lsm"
)

// splitBuckets is into how many pieces of equal width the hashes of a partition are
// divided to find where to split it. A split falls between two of them, and so never
// into an item collection, whose items have one hash.
const splitBuckets = 4096

// PlanSplit finds where to split the partition so that both parts have about the same
// amount of data, or with at, what a child that begins with that hash would have. Child and
// Voters are the caller's to set. It reads all rows, as they are now; call it in a
// task of its own.
//
// It returns ErrNoSplit if one part would have nothing: if all is in one bucket of
// hashes, which mostly means one item collection.
func (p *Partition) PlanSplit(at uint64) (*Split, error) {
	config := p.Config()
	if config == nil {
		return nil, ErrNotConfigured
	}
	if at != 0 && (at <= config.First || at > config.Last) {
		return nil, fmt.Errorf("%w: hash %#x is not inside of [%#x, %#x]", ErrNoSplit, at, config.First, config.Last)
	}
	m := splitMeter{config: config, shift: max(0, bits.Len64(config.Last-config.First)-bits.Len(splitBuckets-1)), at: at}
	places := []*Index{nil}
	if config.Entries {
		places[0] = &config.Schema.Indexes[0]
	} else {
		for i := range config.Schema.Indexes {
			if x := &config.Schema.Indexes[i]; x.Local && x.ID != 0 {
				places = append(places, x)
			}
		}
	}
	view := p.db.NewSnapshot()
	defer view.Close()
	for _, x := range places {
		if err := m.measure(view, x); err != nil {
			return nil, fmt.Errorf("partition %d: plan split: %w", p.group, err)
		}
	}
	return m.plan()
}

// A splitMeter counts what there is by buckets of hashes.
type splitMeter struct {
	config *Config
	shift  int
	at     uint64 // given; 0 = to be found
	// counts are by place (0 the rows of the partition itself, then local indexes by
	// number), and by bucket; with at there are two, below and from at on.
	counts [][]Stats
}

func (m *splitMeter) bucket(hash uint64) int {
	if m.at != 0 {
		return int(bit(hash >= m.at))
	}
	return int((hash - m.config.First) >> m.shift)
}

func (m *splitMeter) measure(view *lsm.Snapshot, x *Index) error {
	place := 0
	if x != nil && x.Local {
		place = int(x.ID)
	}
	for len(m.counts) <= place {
		m.counts = append(m.counts, make([]Stats, splitBuckets))
	}
	counts := m.counts[place]
	lower, upper := m.config.Schema.HashSpan(x, m.config.First, m.config.Last)
	return eachPair(view, lower, upper, func(key, value []byte) error {
		_, row, err := decodeRow(value)
		if err != nil {
			return err
		}
		c := &counts[m.bucket(RowHash(key))]
		c.Items++
		c.Bytes += int64(row.Size())
		return nil
	})
}

// plan chooses the boundary that brings the two parts closest to each other.
func (m *splitMeter) plan() (*Split, error) {
	bytes := make([]int64, splitBuckets)
	total := int64(0)
	for _, counts := range m.counts {
		for i, c := range counts {
			bytes[i] += c.Bytes
			total += c.Bytes
		}
	}
	s, first := &Split{At: m.at}, 1
	if m.at == 0 {
		below, best := int64(0), int64(-1)
		for i := 1; i < splitBuckets; i++ {
			below += bytes[i-1]
			if part := min(below, total-below); part > best {
				first, best = i, part
			}
		}
		if best <= 0 {
			return nil, fmt.Errorf("%w: nothing would be on one side", ErrNoSplit)
		}
		s.At = m.config.First + uint64(first)<<m.shift
	}
	for place, counts := range m.counts {
		var c Stats
		for _, b := range counts[first:] {
			c.Items += b.Items
			c.Bytes += b.Bytes
		}
		if place == 0 {
			s.Stats = c
		} else {
			s.Local = append(s.Local, c)
		}
	}
	return s, nil
}

// hotPart is which part of the requests the cooler side of a split must have, at least:
// one in hotPart. Else the heat is that of one key, or few, and a split would not help.
const hotPart = 5

// SplitPoint returns the hash at which a split divides the requests best; false if no split
// would.
func (h Heat) SplitPoint() (at uint64, ok bool) {
	total, below, best := h.Total(), uint64(0), uint64(0)
	for i := 1; i < heatBuckets; i++ {
		below += uint64(h.Requests[i-1])
		if part := min(below, total-below); part > best {
			at, best = h.First+uint64(i)<<h.Shift, part
		}
	}
	return at, best > 0 && best*hotPart >= total
}
