package partition

import (
	"encoding/binary"

	"github.com/statordb/stator/item"
)

// A reader takes bytes from another node apart. After the first misfit it reads
// zeros, and bad says so.
type reader struct {
	b   []byte
	bad bool
}

func (d *reader) fail() {
	d.b, d.bad = nil, true
}

func (d *reader) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *reader) flag() bool {
	c := d.byte()
	if c > 1 {
		d.fail()
	}
	return c == 1
}

func (d *reader) fixed() uint64 {
	if len(d.b) < 8 {
		d.fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return x
}

// uint reads a uvarint in its shortest form.
func (d *reader) uint() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return x
}

// size reads a number that an int of 32 bits can hold.
func (d *reader) size() int {
	x := d.uint()
	if x > 1<<31-1 {
		d.fail()
		return 0
	}
	return int(x)
}

// count reads how many things of at least one byte each follow.
func (d *reader) count() int {
	x := d.uint()
	if x > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(x)
}

func (d *reader) sized() []byte {
	part, rest, ok := cutSized(d.b)
	if !ok {
		d.fail()
		return nil
	}
	d.b = rest
	return part
}

func (d *reader) rest() []byte {
	b := d.b
	d.b = nil
	return b
}

// done reports whether all bytes were read and fit.
func (d *reader) done() bool { return !d.bad && len(d.b) == 0 }

// item returns the item that is all of b, which is not nil then.
func (d *reader) item(b []byte) item.Item {
	if item.Check(b) != nil {
		d.fail()
		return nil
	}
	if len(b) == 0 {
		return item.Item{}
	}
	return b
}
