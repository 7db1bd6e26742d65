package lsm

import (
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/vlog"
)

// aheadValues is how many large values a cursor asks for at a time.
const aheadValues = 16

// An ahead remembers which large values of a stretch a cursor has asked for.
//
// Values of neighbouring keys that were not written together lie anywhere. To read one is
// to wait for memory, some 300 ns, and one wait follows the other. But loads that do not
// depend on each other wait together: so a cursor whose values are read one after the
// other touches the next few at once.
//
// The stretch may have other items by the time that a value is read; so what was found
// counts only for the pointer for which it was found.
type ahead struct {
	last    int // position in the stretch of the last value read
	from    int // position to which found[0] belongs
	n       int // how many of found there are
	found   [aheadValues]located
	touched byte // keeps the loads from being left out
}

// A located is where a value lies. Without a reader that is not known, or not to be read.
type located struct {
	r *vlog.Reader
	p vlog.Pointer
}

// locate finds the value of the current item, and touches those that are likely to be
// read next. The caller guards it.
func (c *cursor) locate() (*vlog.Reader, vlog.Pointer, error) {
	s, a := c.stretch, &c.ahead
	at, last := s.At, a.last
	a.last = at
	switch {
	case c.item != &s.Items[at] || at != last+1 && at != last-1:
		a.n = 0
	case at >= a.from && at < a.from+a.n:
	case at == last+1:
		a.fetch(c.state.version, s, at, min(at+aheadValues, len(s.Items)))
	default:
		a.fetch(c.state.version, s, max(at+1-aheadValues, 0), at+1)
	}
	if i := at - a.from; i >= 0 && i < a.n && a.found[i].r != nil {
		if p, _ := vlog.DecodePointer(c.item.Value); p == a.found[i].p {
			return a.found[i].r, p, nil
		}
	}
	return c.state.version.pointed(c.item.User, c.item.Value)
}

// fetch locates and touches the values of the items in [from, end). A page that cannot be
// read is no error yet: nobody has asked for what is on it.
func (a *ahead) fetch(v *version, s *iterator.Stretch, from, end int) {
	a.from, a.n = from, end-from
	for i := range a.n {
		a.found[i] = v.located(&s.Items[from+i])
	}
	_ = vfs.Guard(func() error {
		for i := range a.n {
			if f := &a.found[i]; f.r != nil {
				a.touched += f.r.Touch(f.p)
			}
		}
		return nil
	})
}

func (v *version) located(item *iterator.Item) (f located) {
	if item.Trailer.Kind() != key.ValuePointer {
		return f
	}
	var ok bool
	if f.p, ok = vlog.DecodePointer(item.Value); !ok {
		return f
	}
	if i, ok := v.meta.FindValues(manifest.FileNum(f.p.File)); ok {
		f.r = v.values[i].reader
	}
	return f
}
