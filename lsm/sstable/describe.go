package sstable

import (
	"fmt"
	"io"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

// Describe prints the table for people: properties, sections, range deletes, tags, and
// one line for each data block with its place, codec, rows and the separator in
// front of it. It reads the data blocks' envelopes only.
//
//	table 7: [a#9,SET, c#4,SET] 4 entries, ...
//	data at 0, 256 bytes
//	block 0 at 0, 128 bytes (98 raw, none), rows 0-1, from a#max
func (r *Reader) Describe(w io.Writer) error {
	return vfs.Guard(func() error {
		if _, err := fmt.Fprintf(w, "%v\n", r.properties); err != nil {
			return err
		}
		for _, s := range r.sections {
			if _, err := fmt.Fprintf(w, "%v at %d, %d bytes\n", s.kind, s.offset, s.size); err != nil {
				return err
			}
		}
		for _, d := range r.deletes {
			if _, err := fmt.Fprintf(w, "range delete %v\n", d); err != nil {
				return err
			}
		}
		if err := r.describeBitmaps(w); err != nil {
			return err
		}
		for j := range r.index.blocks {
			if err := r.describeBlock(w, j); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *Reader) describeBlock(w io.Writer, j int) error {
	offset, size := r.index.extent(j)
	b, err := r.view(offset, size)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "block %d at %d, %d bytes (%d raw, %v), rows %d-%d, from %v\n",
		j, offset, size, little.Uint32(b[8:]), codecOf(b),
		r.index.row(j), int64(r.index.row(j+1))-1, r.index.separator(j))
	return err
}

// DescribeBitmaps prints the name of the facet function and each tag with the number
// of its rows, if the table has bitmaps:
//
//	facets v1: 8120 bytes, 2 tags, 0 incomplete rows
//	  tag color=red: 1204 rows
func (r *Reader) DescribeBitmaps(w io.Writer) error {
	return vfs.Guard(func() error { return r.describeBitmaps(w) })
}

func (r *Reader) describeBitmaps(w io.Writer) error {
	s, err := r.loadBitmaps()
	if s == nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "facets %s: %d bytes, %d tags, %d incomplete rows\n",
		s.Name(), r.BitmapBytes(), s.Tags(), s.Incomplete()); err != nil {
		return err
	}
	for tag, rows := range s.Counts() {
		if _, err := fmt.Fprintf(w, "  tag %s: %d rows\n", key.Format(tag), rows); err != nil {
			return err
		}
	}
	return nil
}
