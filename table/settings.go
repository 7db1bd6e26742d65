package table

import (
	"slices"

	"github.com/statordb/stator/internal/env"
)

// settings are what can be set of a table after its creation, by operations of
// their own.
type settings struct {
	ttl      TimeToLive
	recovery Recovery
	policy   Policy
	// streamLabel is that of the latest stream, also after it was disabled; ""
	// if there never was one.
	streamLabel string
}

// A TimeToLive says which attribute tells when an item expires.
type TimeToLive struct {
	Attribute string // the latest one given
	Enabled   bool
	Changed   env.Time // 0 = never enabled
}

// A Recovery says how far back a table can be restored.
type Recovery struct {
	Since env.Time // when it was switched on; 0 = it is off
	Days  int      // 1 to 35
}

// A Policy is a resource-based policy.
type Policy struct {
	Text     string // "" = there is none
	Revision string // of this text; new with every change
}

// Kinds of the parts of a table record. A record has at most one of each kind,
// in this order, and none that would be empty.
//
//	1 time to live:      attribute, enabled 1B, changed
//	2 recovery:          since, days
//	3 policy:            text, revision
//	4 stream:            label of the latest one
//	5 warmth of indexes: for each global index: rates?
//	6 places of indexes: index_place.go; absent if no global index has entries
//	7 facets:            names of attributes
//	8 replicas:          node_record.go; absent if all are on the first node
//	9 splits under way:  slot_split.go
const (
	partTimeToLive  = 1
	partRecovery    = 2
	partPolicy      = 3
	partStream      = 4
	partIndexWarmth = 5
	partPlaces      = 6
	partFacets      = 7
	partReplicas    = 8
	partSplits      = 9
)

// parts writes the list of parts.
func (w *writer) parts(r *record) {
	var list writer
	count := uint64(0)
	part := func(kind uint64, given bool, write func(*writer)) {
		if !given {
			return
		}
		var p writer
		write(&p)
		list.uint(kind)
		list.text(string(p.b))
		count++
	}
	part(partTimeToLive, r.ttl.Changed != 0, func(p *writer) {
		p.text(r.ttl.Attribute)
		p.bool(r.ttl.Enabled)
		p.uint(uint64(r.ttl.Changed))
	})
	part(partRecovery, r.recovery.Since != 0, func(p *writer) {
		p.uint(uint64(r.recovery.Since))
		p.uint(uint64(r.recovery.Days))
	})
	part(partPolicy, r.policy.Text != "", func(p *writer) {
		p.text(r.policy.Text)
		p.text(r.policy.Revision)
	})
	part(partStream, r.streamLabel != "", func(p *writer) { p.text(r.streamLabel) })
	warm := func(x IndexDefinition) bool { return x.Warm != nil }
	part(partIndexWarmth, slices.ContainsFunc(r.def.GlobalIndexes, warm), func(p *writer) {
		for i := range r.def.GlobalIndexes {
			p.throughput(r.def.GlobalIndexes[i].Warm)
		}
	})
	placed := slices.ContainsFunc(r.places, func(p indexPlace) bool { return len(p.slots) > 0 })
	part(partPlaces, placed, func(p *writer) { p.places(r.places) })
	part(partFacets, len(r.def.Facets) > 0, func(p *writer) { p.texts(r.def.Facets) })
	placedNodes, splitting := false, false
	for s := range r.allSlots() {
		splitting = splitting || s.split != nil
		placedNodes = placedNodes || s.replicas.epoch > 0 || len(s.replicas.nodes) > 0
	}
	part(partReplicas, placedNodes, func(p *writer) { p.replicas(r) })
	part(partSplits, splitting, func(p *writer) { p.splits(r) })
	w.uint(count)
	w.b = append(w.b, list.b...)
}

// parts reads the list of parts. A kind that this version does not know could
// change the meaning of the others, so the record is then unreadable.
func (d *reader) parts(r *record) {
	before := uint64(0)
	for range d.count() {
		kind := d.uint()
		p := reader{b: []byte(d.text())}
		if kind <= before {
			d.fail()
		}
		before = kind
		p.part(kind, r)
		if p.bad || len(p.b) > 0 {
			d.fail()
		}
	}
}

func (d *reader) part(kind uint64, r *record) {
	switch kind {
	case partTimeToLive:
		r.ttl = TimeToLive{Attribute: d.text(), Enabled: d.bool(), Changed: env.Time(d.uint())}
	case partRecovery:
		r.recovery = Recovery{Since: env.Time(d.uint()), Days: int(d.uint())}
	case partPolicy:
		r.policy = Policy{Text: d.text(), Revision: d.text()}
	case partStream:
		r.streamLabel = d.text()
	case partIndexWarmth:
		for i := range r.def.GlobalIndexes {
			r.def.GlobalIndexes[i].Warm = d.throughput()
		}
	case partPlaces:
		r.places = d.places()
	case partFacets:
		r.def.Facets = d.texts()
		if checkFacets(&r.def) != nil {
			d.fail()
		}
	case partReplicas:
		d.replicas(r)
	case partSplits:
		d.splits(r)
	default:
		d.fail()
	}
}
