package lsm

import (
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/vlog"
)

const (
	// mostAhead is how many large values a cursor asks for beyond the one that is read.
	// The first read behind a seek asks for none, as it may be the only one; each
	// further one for aheadStep more.
	mostAhead = 12
	aheadStep = 4

	foundSlots  = 16 // a power of two above mostAhead
	recentSlots = 8  // a power of two
)

// An ahead remembers which large values of a run a cursor has asked for.
//
// Values of neighbouring keys that were not written together lie anywhere. To read one is
// to wait for memory, some 300 ns, and one wait follows the other. So a cursor whose values
// are read one after the other has the next ones on their way while the caller is busy
// with this one:
//
//	       At                 At+depth
//	... v   v   v   v   v   v   v   v   v ...
//	        |   '-- asked for --'   '-- asked for as At moves here
//	        '-- read
//
// Positions are those of the run's stretch; they mean nothing in another run.
type ahead struct {
	from, end int // found and asked for in this run; only the foundSlots in front are kept
	depth     int
	found     [foundSlots]located       // by position
	recent    [recentSlots]*vlog.Reader // by number; binary search takes longer
}

// A located is where a value lies. Without a reader that is not known, or not to be read.
type located struct {
	r *vlog.Reader
	p vlog.Pointer
}

// locate finds the value of the current item, and asks for those that are likely to be
// read next.
func (c *cursor) locate() (*vlog.Reader, vlog.Pointer, error) {
	s, a, v := c.stretch, &c.ahead, c.state.version
	at := s.At
	if c.item != &s.Items[at] {
		return v.pointed(c.item.User, c.item.Value)
	}
	if forward := c.end > 0; forward {
		a.askForward(v, s, at, c.end)
	} else {
		a.askBackward(v, s, at, c.first)
	}
	a.depth = min(a.depth+aheadStep, mostAhead)
	if f := &a.found[at%foundSlots]; f.r != nil {
		return f.r, f.p, nil
	}
	return v.pointed(c.item.User, c.item.Value)
}

// askForward finds the values of the item at position at and, before end, of those
// behind it.
func (a *ahead) askForward(v *version, s *iterator.Stretch, at, end int) {
	if at < a.from || at >= a.end {
		a.from, a.end = at, at
	}
	for end = max(at+1, min(end, at+1+a.depth)); a.end < end; a.end++ {
		a.ask(v, s, a.end)
	}
	a.from = max(a.from, a.end-foundSlots)
}

// askBackward is the mirror image of askForward: first is the first item to be found.
func (a *ahead) askBackward(v *version, s *iterator.Stretch, at, first int) {
	if at < a.from || at >= a.end {
		a.from, a.end = at+1, at+1
	}
	for first = min(at, max(first, at-a.depth)); a.from > first; a.from-- {
		a.ask(v, s, a.from-1)
	}
	a.end = min(a.end, a.from+foundSlots)
}

// ask finds the value of item i and asks for it.
func (a *ahead) ask(v *version, s *iterator.Stretch, i int) {
	f := &a.found[i%foundSlots]
	*f = located{}
	item := &s.Items[i]
	if item.Trailer.Kind() != key.ValuePointer {
		return
	}
	var ok bool
	if f.p, ok = vlog.DecodePointer(item.Value); !ok {
		return
	}
	recent := &a.recent[f.p.File%recentSlots]
	if *recent == nil || (*recent).Number() != f.p.File {
		i, ok := v.meta.FindValues(manifest.FileNum(f.p.File))
		if !ok || v.values[i].reader == nil {
			return
		}
		*recent = v.values[i].reader
	}
	f.r = *recent
	f.r.Ask(f.p)
}
