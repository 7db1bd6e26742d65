package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/wal"
)

// An Edit leads from one version to the next.
type Edit struct {
	Snapshot bool // begins with nothing instead of the version before

	// Zero means that they stay as they are.
	NextFile   FileNum       // no file with this number or a larger one was ever begun
	FlushedSeq key.SeqNum    // all operations up to this one are in the tables
	Log        wal.SegmentID // the write-ahead log is needed from here on

	Deleted []Deleted
	Added   []Added
	Values  []ValueFile // that are new; added tables point into them
}

// Deleted names a table that leaves a level.
type Deleted struct {
	Level int
	Num   FileNum
}

// Added is a table that comes to a level. A table that moves is deleted in one
// level and added to another by the same edit.
type Added struct {
	Level int
	Table *Table
}

// String prints the edit in one line.
func (e *Edit) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if e.Snapshot {
		add("snapshot")
	}
	if e.NextFile != 0 {
		add("next-file=%s", e.NextFile)
	}
	if e.FlushedSeq != 0 {
		add("flushed-seq=%d", e.FlushedSeq)
	}
	if e.Log != 0 {
		add("log=%s", e.Log)
	}
	for _, d := range e.Deleted {
		add("-L%d:%s", d.Level, d.Num)
	}
	for _, a := range e.Added {
		add("+L%d:%s%s%s", a.Level, a.Table, formatRefs(a.Table.Values), formatForeign(a.Table.Foreign))
	}
	for _, f := range e.Values {
		add("+V:%s %d records %d bytes", f.Num, f.Records, f.Size)
	}
	return strings.Join(parts, " ")
}

// An encoded edit is a version byte and a list of tagged fields. Numbers are
// uvarints, a key is its length as a uvarint and its bytes, a trailer is 8 bytes
// little-endian. Fields come in the order of their tags, each of the first four
// at most once; whole edits are covered by the checksum of the log's record.
//
//	1 snapshot
//	2 next file   number
//	3 flushed     sequence number
//	4 log         segment number
//	5 deleted     level, number
//	6 added       level, number, size, entries, deletes, range deletes, raw bytes,
//	              smallest seq, largest seq,
//	              smallest: key, trailer; largest: key, trailer
//	7 value file  number, size, records
//	8 values of   number of a table that the edit adds, count, and so many
//	              times: number of a value file, bytes
//	9 times of    number of a table that the edit adds, oldest, newest time:
//	              nanoseconds since 1970
//	10 foreign    number of a table that the edit adds, number under which its file
//	              was written
const (
	editVersion = 1

	tagSnapshot   = 1
	tagNextFile   = 2
	tagFlushedSeq = 3
	tagLog        = 4
	tagDeleted    = 5
	tagAdded      = 6
	tagValueFile  = 7
	tagValuesOf   = 8
	tagTimesOf    = 9
	tagForeign    = 10
)

// append encodes the edit.
func (e *Edit) append(dst []byte) []byte {
	dst = append(dst, editVersion)
	if e.Snapshot {
		dst = append(dst, tagSnapshot)
	}
	if e.NextFile != 0 {
		dst = binary.AppendUvarint(append(dst, tagNextFile), uint64(e.NextFile))
	}
	if e.FlushedSeq != 0 {
		dst = binary.AppendUvarint(append(dst, tagFlushedSeq), uint64(e.FlushedSeq))
	}
	if e.Log != 0 {
		dst = binary.AppendUvarint(append(dst, tagLog), uint64(e.Log))
	}
	for _, d := range e.Deleted {
		dst = append(dst, tagDeleted, byte(d.Level))
		dst = binary.AppendUvarint(dst, uint64(d.Num))
	}
	for _, a := range e.Added {
		dst = append(dst, tagAdded, byte(a.Level))
		dst = a.Table.append(dst)
	}
	for _, f := range e.Values {
		dst = append(dst, tagValueFile)
		for _, n := range []uint64{uint64(f.Num), f.Size, f.Records} {
			dst = binary.AppendUvarint(dst, n)
		}
	}
	for _, a := range e.Added {
		if len(a.Table.Values) > 0 {
			dst = a.Table.appendValues(append(dst, tagValuesOf))
		}
	}
	for _, a := range e.Added {
		if t := a.Table; t.OldestTime > 0 {
			dst = append(dst, tagTimesOf)
			for _, n := range []uint64{uint64(t.Num), uint64(t.OldestTime), uint64(t.NewestTime)} {
				dst = binary.AppendUvarint(dst, n)
			}
		}
	}
	for _, a := range e.Added {
		if t := a.Table; t.Foreign != 0 {
			dst = binary.AppendUvarint(append(dst, tagForeign), uint64(t.Num))
			dst = binary.AppendUvarint(dst, t.Foreign)
		}
	}
	return dst
}

// formatForeign prints " of 17", or nothing.
func formatForeign(number uint64) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf(" of %d", number)
}

func (t *Table) appendValues(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(t.Num))
	dst = binary.AppendUvarint(dst, uint64(len(t.Values)))
	for _, r := range t.Values {
		dst = binary.AppendUvarint(dst, uint64(r.File))
		dst = binary.AppendUvarint(dst, r.Bytes)
	}
	return dst
}

func (t *Table) append(dst []byte) []byte {
	for _, n := range []uint64{
		uint64(t.Num), t.Size, t.Entries, t.Deletes, t.RangeDeletes, t.RawBytes,
		uint64(t.SmallestSeq), uint64(t.LargestSeq),
	} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, k := range []key.Internal{t.Smallest, t.Largest} {
		dst = binary.AppendUvarint(dst, uint64(len(k.User)))
		dst = append(dst, k.User...)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(k.Trailer))
	}
	return dst
}

var errMalformed = errors.New("malformed edit")

// decodeEdit decodes what append wrote, and nothing else.
func decodeEdit(b []byte) (*Edit, error) {
	d := decoder{b: b}
	if v := d.byte(); d.bad || v != editVersion {
		return nil, fmt.Errorf("%w: version %d", errMalformed, v)
	}
	e := &Edit{}
	last := byte(0)
	for len(d.b) > 0 && !d.bad {
		tag := d.byte()
		if tag < last || tag == last && tag < tagDeleted {
			return nil, fmt.Errorf("%w: field %d after %d", errMalformed, tag, last)
		}
		last = tag
		if !d.field(tag, e) {
			return nil, fmt.Errorf("%w: field %d", errMalformed, tag)
		}
	}
	return e, nil
}

// field decodes one field into e.
func (d *decoder) field(tag byte, e *Edit) bool {
	switch tag {
	case tagSnapshot:
		e.Snapshot = true
	case tagNextFile:
		e.NextFile = FileNum(d.nonzero())
	case tagFlushedSeq:
		e.FlushedSeq = d.seq()
		d.bad = d.bad || e.FlushedSeq == 0
	case tagLog:
		e.Log = wal.SegmentID(d.nonzero())
	case tagDeleted:
		e.Deleted = append(e.Deleted, Deleted{d.level(), FileNum(d.nonzero())})
	case tagAdded:
		e.Added = append(e.Added, Added{d.level(), d.table()})
	case tagValueFile:
		e.Values = append(e.Values, ValueFile{Num: FileNum(d.nonzero()), Size: d.nonzero(), Records: d.nonzero()})
	case tagValuesOf:
		d.valuesOf(e.Added)
	case tagTimesOf:
		d.timesOf(e.Added)
	case tagForeign:
		d.foreign(e.Added)
	default:
		return false
	}
	return !d.bad
}

// A decoder takes values off the front of b; bad is set when one is not there.
type decoder struct {
	b   []byte
	bad bool

	withValues int // tables of the edit up to the last one whose values were decoded
	withTimes  int // and whose times
	foreigners int // and of which it is known that they are foreign
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	taken := d.b[:n:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) byte() byte {
	b := d.take(1)
	if d.bad {
		return 0
	}
	return b[0]
}

func (d *decoder) level() int {
	level := int(d.byte())
	d.bad = d.bad || level >= Levels
	return level
}

// uvarint accepts only the shortest form.
func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) nonzero() uint64 {
	v := d.uvarint()
	d.bad = d.bad || v == 0
	return v
}

func (d *decoder) seq() key.SeqNum {
	v := key.SeqNum(d.uvarint())
	d.bad = d.bad || v > key.MaxSeqNum
	return v
}

func (d *decoder) internal() key.Internal {
	user := d.take(d.uvarint())
	trailer := d.take(8)
	if d.bad {
		return key.Internal{}
	}
	return key.Internal{User: user, Trailer: key.Trailer(binary.LittleEndian.Uint64(trailer))}.Clone()
}

func (d *decoder) table() *Table {
	t := &Table{
		Num: FileNum(d.nonzero()), Size: d.uvarint(),
		Entries: d.uvarint(), Deletes: d.uvarint(), RangeDeletes: d.uvarint(), RawBytes: d.uvarint(),
		SmallestSeq: d.seq(), LargestSeq: d.seq(),
		Smallest: d.internal(), Largest: d.internal(),
	}
	d.bad = d.bad || !t.boundsOrdered() || t.SmallestSeq > t.LargestSeq
	return t
}

// valuesOf decodes what one of the tables points to. They come in the order in which
// the tables were added.
func (d *decoder) valuesOf(added []Added) {
	t := d.nextOf(added, &d.withValues)
	if t == nil {
		return
	}
	last := FileNum(0)
	for n := d.nonzero(); n > 0 && !d.bad; n-- {
		r := ValueRef{FileNum(d.nonzero()), d.nonzero()}
		d.bad = d.bad || r.File <= last
		last = r.File
		t.Values = append(t.Values, r)
	}
}

// timesOf decodes when the entries of one of the tables were flushed.
func (d *decoder) timesOf(added []Added) {
	if t := d.nextOf(added, &d.withTimes); t != nil {
		t.OldestTime, t.NewestTime = d.time(), d.time()
		d.bad = d.bad || t.OldestTime == 0 || t.OldestTime > t.NewestTime
	}
}

// foreign decodes that one of the tables was built outside.
func (d *decoder) foreign(added []Added) {
	if t := d.nextOf(added, &d.foreigners); t != nil {
		t.Foreign = d.nonzero()
		d.bad = d.bad || t.SmallestSeq == 0 || t.SmallestSeq != t.LargestSeq
	}
}

// nextOf decodes the number of an added table, which must be behind those that such
// a field was for already.
func (d *decoder) nextOf(added []Added, done *int) *Table {
	num := FileNum(d.nonzero())
	i := *done
	for i < len(added) && added[i].Table.Num != num {
		i++
	}
	if *done = i + 1; d.bad || i >= len(added) {
		d.bad = true
		return nil
	}
	return added[i].Table
}

func (d *decoder) time() env.Time {
	v := d.uvarint()
	d.bad = d.bad || v > math.MaxInt64
	return env.Time(v)
}
