package table

import (
	"maps"
	"slices"
)

// itemOverhead is what DynamoDB adds to the size of each item for its index
// when it reports the size of a table; Developer Guide, "Item sizes".
const itemOverhead = 100

// Describe shows a table by name or ARN. Its counts are exact at the moment of
// the call. The caller must not change what the description points to.
//
// If the table is in a transition that will soon be over, the answer waits for that. In a
// cluster the node that is in charge knows of transitions; if tables have any, it alone
// answers, and others with an *ElsewhereError: a table that one node showed as active
// before it is so for all would not exist for those who believe that.
func (s *Service) Describe(table string) (*Description, error) {
	if s.live.Load() == nil {
		return nil, ErrClosed
	}
	if s.calls != nil && s.tableDelay > 0 {
		if err := s.inCharge(); err != nil {
			return nil, err
		}
	}
	name := s.name(table)
	if t := s.pending(name); t != nil {
		if left := t.until.Sub(s.env.Now()); left <= patience {
			s.env.Sleep(left)
		}
	}
	if t := s.pending(name); t != nil {
		return t.shown, nil
	}
	r, err := s.recordNow(table)
	if err != nil {
		return nil, err
	}
	return s.describe(r), nil
}

// List returns up to limit table names after startAfter in byte order; limit 0
// means 100. last is the name to go on after, "" at the end.
func (s *Service) List(startAfter string, limit int) (names []string, last string, err error) {
	if s.live.Load() == nil {
		return nil, "", ErrClosed
	}
	if limit <= 0 {
		limit = 100
	}
	if err := s.refresh(); err != nil {
		s.env.Sometimes("table: list may be old")
	}
	names, more := s.catalog.snapshot().after(s.id, startAfter, limit)
	names, more = s.withDeleted(names, more, startAfter, limit)
	if more {
		last = names[len(names)-1]
	}
	return names, last, nil
}

// withDeleted adds to a page of names those of tables that show that they are
// being deleted.
func (s *Service) withDeleted(page []string, more bool, startAfter string, limit int) ([]string, bool) {
	m := s.transitions.Load()
	if m == nil {
		return page, more
	}
	for _, name := range slices.Sorted(maps.Keys(*m)) {
		beyond := more && name > page[len(page)-1]
		if name <= startAfter || beyond || slices.Contains(page, name) || s.pending(name) == nil {
			continue
		}
		at, _ := slices.BinarySearch(page, name)
		page = slices.Insert(page, at, name)
	}
	if len(page) > limit {
		page, more = page[:limit], true
	}
	return page, more
}

func (s *Service) describe(r *record) *Description {
	d := &Description{
		Definition:               r.def,
		Status:                   r.status.String(),
		ID:                       r.uuid,
		ARN:                      s.arn(r.def.Name),
		Created:                  r.created,
		StreamLabel:              r.streamLabel,
		BillingModeOnDemandSince: r.onDemandSince,
		TableClassUpdated:        r.classUpdated,
	}
	if sse := r.def.SSE; sse != nil && sse.Enabled {
		d.SSEStatus = StatusEnabled
		d.SSE = &SSESpec{Enabled: true, Type: "KMS", KMSKeyID: s.keyARN(sse.KMSKeyID)}
	}
	s.describeChanges(d, r)
	building := r.building()
	for i := range r.def.GlobalIndexes {
		status := r.indexStatus(i)
		if status == StatusActive && !s.canRead(r, i) {
			status, building = StatusCreating, true
		}
		d.GlobalIndexStatus = append(d.GlobalIndexStatus, status)
	}
	if r.status == recordActive && building {
		d.Status = StatusUpdating
	}
	// Operations adjust what they show of indexes; the record is shared.
	d.LocalIndexes = slices.Clone(d.LocalIndexes)
	d.GlobalIndexes = slices.Clone(d.GlobalIndexes)
	if live := s.live.Load(); live != nil && (*live)[r.def.Name] != nil {
		t := (*live)[r.def.Name]
		counts := t.base.counts()
		d.ItemCount, d.SizeBytes = counts.Items, counts.Bytes
		for _, x := range r.def.LocalIndexes {
			d.LocalIndexCounts = append(d.LocalIndexCounts, t.indexes[x.Name].counts())
		}
		for _, x := range r.def.GlobalIndexes {
			k := t.indexes[x.Name]
			if k == nil { // the record is newer
				k = &keySet{}
			}
			d.GlobalIndexCounts = append(d.GlobalIndexCounts, k.counts())
			d.GlobalIndexBackfilling = append(d.GlobalIndexBackfilling, k.status == indexCreating && k.failed == nil && len(k.partitions) > 0)
		}
	}
	return d
}

// canRead reports whether a global index that is active in r is so, too, for whom reads it
// here. The catalog is a moment ahead of the published tables, and who has been told that an
// index is active may read it.
func (s *Service) canRead(r *record, i int) bool {
	live := s.live.Load()
	if live == nil {
		return true
	}
	t := (*live)[r.def.Name]
	if t == nil || t.id != r.id || t.version >= r.version {
		return true
	}
	k := t.indexes[r.def.GlobalIndexes[i].Name]
	return k != nil && k.status == indexActive
}

// describeChanges shows what the throughput of r went through.
func (s *Service) describeChanges(d *Description, r *record) {
	now, _ := s.env.Wall()
	d.ThroughputChanges = r.changes.on(now)
	d.GlobalIndexChanges = nil
	for _, c := range r.indexChanges {
		d.GlobalIndexChanges = append(d.GlobalIndexChanges, c.on(now))
	}
}
