package sstable

import (
	"errors"

	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/facet"
)

// Tag notes the tags of the entry added last, which is a value. A table with
// Options.Facets needs them for each of its values, also if there are none: what has
// no tags is taken to match no filter that asks for one.
func (w *Writer) Tag(tags *facet.Tags) {
	if w.options.Facets != "" && w.properties.Entries > 0 {
		row := uint32(w.properties.Entries - 1)
		if plant.On(plant.BitmapRowShifted) && row > 0 {
			row--
		}
		w.facets.Add(row, tags)
	}
}

// ForgetFacets leaves out the bitmaps of the table, because the tags of a value cannot
// be found out.
func (w *Writer) ForgetFacets() {
	w.options.Facets = ""
	w.facets.Free()
}

// outside is the facet.Memory of a Writer: a table of half a million rows takes some MiB for
// a short time, and a garbage collector counts them for longer.
type outside struct{}

func (outside) Alloc(n int) []byte { return offheap.Alloc(n) }
func (outside) Free(b []byte)      { offheap.Free(b) }

func (w *Writer) writeBitmaps() error {
	defer w.facets.Free()
	if w.options.Facets == "" || w.properties.Entries == 0 {
		return nil
	}
	payload, err := w.facets.Append(nil, w.options.Facets, uint32(w.properties.Entries))
	if err != nil {
		return err
	}
	_, err = w.writeSection(sectionBitmaps, func(dst []byte) []byte { return append(dst, payload...) })
	return err
}

// BitmapBytes is the size of the bitmaps in the file, 0 if there are none.
func (r *Reader) BitmapBytes() uint64 { return uint64(r.section(sectionBitmaps).size) }

// Select returns the rows for which x holds as far as bitmaps of the function with
// the given name know it: nothing, if the table has none of that name.
func (r *Reader) Select(x facet.Expr, name string) (facet.Selection, error) {
	rows := uint32(r.properties.Entries)
	s, err := r.loadBitmaps()
	if err != nil {
		return facet.Selection{}, err
	}
	if s == nil || s.Name() != name {
		return facet.Everything(rows), nil
	}
	selection, err := x.Select(rows, s.Find)
	if err != nil {
		return selection, r.badBitmaps(err)
	}
	return selection, nil
}

// loadBitmaps checks the bitmaps' section at its first touch; nil if there is none.
func (r *Reader) loadBitmaps() (*facet.Set, error) {
	if s := r.bitmaps.Load(); s != nil {
		return s, nil
	}
	at := r.section(sectionBitmaps)
	if at.size == 0 {
		return nil, nil
	}
	payload, err := r.readSection(at)
	if err != nil {
		return nil, err
	}
	s, reason := facet.Parse(payload, r.properties.Entries)
	if reason != "" {
		return nil, r.badBitmaps(errors.New(reason))
	}
	r.bitmaps.Store(s)
	return s, nil
}

// badBitmaps reports that the bitmaps passed their checksum but make no sense.
func (r *Reader) badBitmaps(err error) error {
	return corrupt.New(r.name, r.section(sectionBitmaps).offset, "%v", err)
}
