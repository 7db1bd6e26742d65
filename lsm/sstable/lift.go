package sstable

import (
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
)

// A table may be built before it is known when its entries come into a database. Then it
// is written with sequence number 0 throughout, and one version of each user key. Its
// reader lifts it: it shows another sequence number in all places instead. The file
// stays as it is.
//
//	trailers of data blocks    lifted as a block is parsed: they are stored relative to
//	                           the least one, to which the lift is added
//	range deletes, properties  lifted once, by Open
//	index                      as it is: with one version of each key, separators have
//	                           the greatest trailer or none

// IsFlat reports whether a table can be lifted.
func (p *Properties) IsFlat() bool {
	return p.SmallestSeq == 0 && p.LargestSeq == 0 && p.UserKeys == p.Entries
}

// liftTo lifts what Open has read to a sequence number; 0 leaves it as it is.
func (r *Reader) liftTo(seq key.SeqNum) error {
	if seq == 0 {
		return nil
	}
	p := &r.properties
	if !p.IsFlat() || seq > key.MaxSeqNum {
		return corrupt.New(r.name, r.section(sectionProperties).offset,
			"table of sequence numbers %d to %d, with %d versions of %d keys, cannot be lifted to %d",
			p.SmallestSeq, p.LargestSeq, p.Entries, p.UserKeys, seq)
	}
	r.lift = uint64(seq) << 8
	r.properties = p.Lifted(seq)
	for i := range r.deletes {
		r.deletes[i].Seq += seq
	}
	return nil
}

// Lifted returns the properties of a flat table as a reader shows them that lifts it.
func (p Properties) Lifted(seq key.SeqNum) Properties {
	p.SmallestSeq, p.LargestSeq = seq, seq
	for _, t := range []*key.Trailer{&p.Smallest.Trailer, &p.Largest.Trailer} {
		if *t != key.MaxTrailer {
			*t += key.Trailer(seq << 8)
		}
	}
	return p
}
