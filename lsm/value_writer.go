package lsm

import (
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/vlog"
)

// A valueWriter decides for each version that a tableWriter writes where its value goes,
// and keeps account of what the open table points to:
//
//	a#4,SET  large   → a record in a value file, and a#4,PTR in the table
//	a#4,SET  small   → as it is
//	a#4,PTR          → as it is: this is what compaction saves
//	a#4,PTR  into a condemned file  → its value is read, and goes on as above
//
// Values are written in the order of their keys, so those that follow each other in
// a scan lie together, as far as they were written together.
type valueWriter struct {
	db      *DB
	isFlush bool                        // or a merge
	empties                             // what compaction moves; the zero value moves nothing
	refs    map[manifest.FileNum]uint64 // bytes that the open table points to
	pointer []byte                      // a buffer

	open *openValues  // nil between files
	done []*valueFile // finished, durable and open for reading
}

type openValues struct {
	num  manifest.FileNum
	name string
	file vfs.File
	w    *vlog.Writer
}

// place returns what the table should have for a version.
func (w *valueWriter) place(user []byte, t key.Trailer, value []byte) (key.Trailer, []byte, error) {
	if t.Kind() == key.ValuePointer {
		p, ok := vlog.DecodePointer(value)
		switch {
		case !ok:
			return t, nil, w.db.current.Load().version.badPointer(user, "is malformed")
		case !w.condemns(p):
			w.count(p)
			return t, value, nil
		}
		var err error
		if value, err = w.empties.read(user, value); err != nil {
			return t, nil, err
		}
		t = key.MakeTrailer(t.SeqNum(), key.Set)
		w.db.metrics.valuesMoved.Add(p.Size)
	}
	switch threshold := w.db.o.ValueThreshold; {
	case t.Kind() != key.Set || threshold < 0 || len(value) < threshold:
		return t, value, nil
	}
	return w.separate(user, t, value)
}

// separate writes a value into the open value file.
func (w *valueWriter) separate(user []byte, t key.Trailer, value []byte) (key.Trailer, []byte, error) {
	if w.open != nil && w.open.w.Size() >= uint64(w.db.o.ValueFileBytes) {
		if err := w.finishFile(); err != nil {
			return t, nil, err
		}
	}
	if w.open == nil {
		if err := w.begin(); err != nil {
			return t, nil, err
		}
	}
	p, err := w.open.w.Add(user, value)
	if err != nil {
		return t, nil, err
	}
	w.count(p)
	w.pointer = p.Append(w.pointer[:0])
	return key.MakeTrailer(t.SeqNum(), key.ValuePointer), w.pointer, nil
}

func (w *valueWriter) count(p vlog.Pointer) {
	if w.refs == nil {
		w.refs = map[manifest.FileNum]uint64{}
	}
	w.refs[manifest.FileNum(p.File)] += p.Size
}

// takeRefs returns what the open table points to and begins with nothing for the next.
func (w *valueWriter) takeRefs() []manifest.ValueRef {
	refs := sortedRefs(w.refs)
	clear(w.refs)
	return refs
}

func (w *valueWriter) begin() error {
	num := w.db.newFileNum()
	name := w.db.o.valueName(num)
	f, err := w.db.fs.Create(name)
	if err != nil {
		return err
	}
	w.open = &openValues{num, name, f, vlog.NewWriter(w.db.limited(f, w.isFlush), w.db.o.valueFile(num))}
	return nil
}

// finishFile makes the open file durable and readable.
func (w *valueWriter) finishFile() error {
	if w.open == nil {
		return nil
	}
	m, err := w.open.w.Finish()
	if err != nil {
		return err
	}
	if err := w.open.file.Close(); err != nil {
		return err
	}
	meta := manifest.ValueFile{Num: w.open.num, Size: m.Size, Records: m.Records}
	f, err := w.db.openValues(meta)
	if err != nil {
		return err
	}
	w.open = nil
	w.done = append(w.done, f)
	return nil
}

// abandon closes and removes what was written, as tableWriter.abandon does.
func (w *valueWriter) abandon() {
	if w.open != nil {
		_ = w.open.file.Close()
		_ = w.db.fs.Remove(w.open.name)
	}
	w.db.discardValues(w.done)
	w.open, w.done = nil, nil
}

// discardValues closes and removes value files that no version has had.
func (db *DB) discardValues(files []*valueFile) {
	for _, f := range files {
		_ = f.reader.Close()
		_ = db.fs.Remove(f.name)
	}
}
