package table

import (
	"math/bits"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/partition"
)

// Scan reads a table, or one segment of it, in the order of partition-key
// hashes and, within one partition key, of sort keys, a page at a time.
//
// Errors: *NotFoundError, *ValidationError, *NotBuiltError for a local
// index that is younger than its table.
func (s *Service) Scan(r *ScanRequest) (*Page, error) {
	return again(s, r.Table, func() (*Page, error) { return s.scanPage(r) })
}

func (s *Service) scanPage(r *ScanRequest) (*Page, error) {
	t, err := s.lookupIndex(r.Table, r.Index)
	if err != nil {
		return nil, err
	}
	k, err := t.checkScan(r)
	if err != nil {
		return nil, err
	}
	if err := checkBuilt(k); err != nil {
		return nil, err
	}
	p := s.newPager(t, k, r.Filter, r.Projection, r.Select, r.Limit, r.Consistent)
	if err := t.scan(p, r); err != nil {
		return nil, t.pageError(err)
	}
	return p.finish(), nil
}

// scan walks over the partitions that share hashes with the segment.
func (t *liveTable) scan(p *pager, r *ScanRequest) error {
	first, last := segment(r.Segment, r.TotalSegments)
	var after []byte // row key to go on behind
	if r.StartKey != nil {
		after = t.rowKey(p.keys, r.StartKey)
		first = partition.RowHash(after)
	}
	for {
		from := p.keys.partitions.of(first)
		lower, upper := t.schema.HashSpan(p.keys.index, first, min(last, from.last))
		if after != nil {
			lower, after = append(after, 0), nil
		}
		full, through, err := p.read(from, lower, upper, false)
		if full || err != nil || p.page.ScannedCount == 0 && plant.On(plant.ScanStopsAtEmpty) {
			return err
		}
		if plant.On(plant.ScanTrustsOldMap) {
			through = from.last
		}
		if through = min(through, from.last); through >= last {
			return nil
		}
		first = through + 1
	}
}

func (t *liveTable) checkScan(r *ScanRequest) (*keySet, error) {
	k, err := t.target(r.Index, r.Consistent)
	if err != nil {
		return nil, err
	}
	if r.StartKey != nil {
		if err := t.checkScanStart(k, r.StartKey); err != nil {
			return nil, err
		}
		if err := t.checkSegment(k, r); err != nil {
			return nil, err
		}
	}
	if err := t.checkShown(k, r.Filter, r.Projection); err != nil {
		return nil, err
	}
	return k, t.checkProjected(k, r.Projection, r.Select)
}

// checkSegment refuses a start key that another segment has handed out.
func (t *liveTable) checkSegment(k *keySet, r *ScanRequest) error {
	if r.TotalSegments == 0 {
		return nil
	}
	first, last := segment(r.Segment, r.TotalSegments)
	hash := partition.RowHash(t.rowKey(k, r.StartKey))
	if hash < first || hash > last {
		return refuse("%sInvalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: %d Segment: %d",
			startKeyPrefix, r.TotalSegments, r.Segment)
	}
	return nil
}

// segment returns the hashes [first, last] of segment i of total; total 0 means
// that the scan is not parallel.
func segment(i, total int) (first, last uint64) {
	if total == 0 {
		return 0, ^uint64(0)
	}
	first = hashBound(uint64(i), uint64(total))
	if i+1 == total {
		return first, ^uint64(0)
	}
	return first, hashBound(uint64(i+1), uint64(total)) - 1
}

// hashBound returns where range i of n begins when 2^64 hashes are divided
// evenly: i·2^64/n rounded down, for i < n.
func hashBound(i, n uint64) uint64 {
	bound, _ := bits.Div64(i, 0, n)
	return bound
}
