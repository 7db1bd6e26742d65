package table

import "slices"

// itemOverhead is what DynamoDB adds to the size of each item for its index
// when it reports the size of a table; Developer Guide, "Item sizes".
const itemOverhead = 100

// Describe shows a table by name or ARN. Its counts are exact at the moment of
// the call. The caller must not change what the description points to.
func (s *Service) Describe(table string) (*Description, error) {
	if s.live.Load() == nil {
		return nil, ErrClosed
	}
	r := s.record(s.name(table))
	if r == nil {
		return nil, &NotFoundError{Table: table, Control: true}
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
	names, more := s.catalog.snapshot().after(s.id, startAfter, limit)
	if more {
		last = names[len(names)-1]
	}
	return names, last, nil
}

func (s *Service) describe(r *record) *Description {
	d := &Description{
		Definition:               r.def,
		Status:                   r.status.String(),
		ID:                       r.uuid,
		ARN:                      s.arn(r.def.Name),
		Created:                  r.created,
		BillingModeOnDemandSince: r.onDemandSince,
		TableClassUpdated:        r.classUpdated,
	}
	s.describeChanges(d, r)
	for range r.def.GlobalIndexes {
		d.GlobalIndexStatus = append(d.GlobalIndexStatus, r.status.String())
	}
	// Operations adjust what they show of indexes; the record is shared.
	d.LocalIndexes = slices.Clone(d.LocalIndexes)
	d.GlobalIndexes = slices.Clone(d.GlobalIndexes)
	if live := s.live.Load(); live != nil && (*live)[r.def.Name] != nil {
		t := (*live)[r.def.Name]
		stats := t.stats()
		d.ItemCount = stats.Items
		d.SizeBytes = stats.Bytes + itemOverhead*stats.Items
		for i := range r.def.LocalIndexes {
			stats := t.localStats(i + 1)
			d.LocalIndexCounts = append(d.LocalIndexCounts, IndexCounts{stats.Items, stats.Bytes + itemOverhead*stats.Items})
		}
	}
	return d
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
