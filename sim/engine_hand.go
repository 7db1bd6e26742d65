package sim

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/statordb/stator/lsm"
)

// A hand writes keys of its own to the loner's store, one thing after the other.
type hand struct {
	l      *loner
	prefix string
	rng    *rand.Rand
	left   int // things to be done in this burst
	number int // of values

	base  content // what there is without deeds
	deeds []deed  // that may be lost, or not be done yet
	told  int     // of them so many have succeeded
	safe  int     // so many must be left by a power cut
}

// A deed is done as a whole, or not at all.
type deed []change

// A change sets a key, or deletes it if there is no value, or deletes a range up to end.
type change struct{ key, end, value string }

func (x change) String() string {
	switch {
	case x.end != "":
		return fmt.Sprintf("-[%s, %s)", x.key, x.end)
	case x.value == "":
		return "-" + x.key
	}
	return x.key + "=" + strings.TrimSpace(x.value)
}

// content is what is at keys.
type content map[string]string

// String leaves out what values are filled up with.
func (c content) String() string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(c)) {
		all = append(all, change{key: k, value: c[k]}.String())
	}
	return fmt.Sprint(all)
}

func (c content) apply(d deed) {
	for _, x := range d {
		switch {
		case x.end != "":
			maps.DeleteFunc(c, func(k, _ string) bool { return k >= x.key && k < x.end })
		case x.value == "":
			delete(c, x.key)
		default:
			c[x.key] = x.value
		}
	}
}

func (c content) of(prefix string) content {
	some := maps.Clone(c)
	maps.DeleteFunc(some, func(k, _ string) bool { return !strings.HasPrefix(k, prefix) })
	return some
}

// find returns how many deeds, least or more, lead to what is there.
func (h *hand) find(there content, least int) (n int, ok bool) {
	c := maps.Clone(h.base)
	for i, d := range h.deeds {
		if i >= least && maps.Equal(c, there) {
			return i, true
		}
		c.apply(d)
	}
	return len(h.deeds), maps.Equal(c, there)
}

// settle notes that the first n deeds are done, and no others. Those that a power cut may undo are kept.
func (h *hand) settle(n int) {
	for _, d := range h.deeds[:h.safe] {
		h.base.apply(d)
	}
	h.deeds, h.told, h.safe = slices.Clone(h.deeds[h.safe:n]), n-h.safe, 0
}

func (h *hand) String() string { return fmt.Sprintf("%v, then %v", h.base, h.deeds) }

func (h *hand) key(rng *rand.Rand) string {
	return fmt.Sprintf("%s%0*d", h.prefix, 2+rng.IntN(2), rng.IntN(24))
}

// work does what is left, as far as the disk lets it.
func (h *hand) work() {
	for ; h.left > 0; h.left-- {
		if err := h.do(); err != nil {
			h.l.mind("write", err)
			return
		}
	}
}

// do does one thing.
func (h *hand) do() error {
	switch db := h.l.db; h.rng.IntN(12) {
	case 0:
		lower, upper := h.span()
		return h.done(deed{{key: lower, end: upper}}, true, func() error { return db.Excise([]byte(lower), []byte(upper)) })
	case 1:
		return h.ingest()
	case 2:
		return h.replace()
	case 3:
		if err := db.Flush(); err != nil {
			return err
		}
		h.safe = h.told
		return nil
	}
	b, d := h.l.db.NewBatch(), deed{}
	for range 1 + h.rng.IntN(1+h.rng.IntN(8)) {
		x := change{key: h.key(h.rng)}
		switch n := h.rng.IntN(12); {
		case n < 2:
			b.Delete([]byte(x.key))
		case n == 2:
			x.key, x.end = h.span()
			b.DeleteRange([]byte(x.key), []byte(x.end))
		default:
			x.value = h.value()
			b.Set([]byte(x.key), []byte(x.value))
		}
		d = append(d, x)
	}
	return h.done(d, h.l.o.Sync == lsm.SyncAlways, func() error { return h.l.db.Apply(b) })
}

// done carries a deed out.
func (h *hand) done(d deed, isDurable bool, do func() error) error {
	h.deeds = append(h.deeds, d)
	if err := do(); err != nil {
		return err
	}
	h.told = len(h.deeds)
	if isDurable {
		h.safe = h.told
	}
	return nil
}

func (h *hand) span() (lower, upper string) {
	lower, upper = h.key(h.rng), h.key(h.rng)
	if lower >= upper {
		lower, upper = upper, lower+"0"
	}
	return lower, upper
}

func (h *hand) value() string {
	h.number++
	return fmt.Sprintf("%d%*s", h.number, h.rng.IntN(1+h.rng.IntN(150)), "")
}

// sorted returns some keys in order.
func (h *hand) sorted() (keys []string) {
	for range 1 + h.rng.IntN(12) {
		keys = append(keys, h.key(h.rng))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// ingest writes a file and has the store take it.
func (h *hand) ingest() error {
	h.l.files++
	name := fmt.Sprintf("load%d", h.l.files)
	fs := h.l.disk.Mount()
	f, err := lsm.NewTableFile(h.l.e, fs, name, h.l.o)
	if err != nil {
		return err
	}
	defer func() { _ = fs.Remove(name) }()
	d := deed{}
	if h.rng.IntN(3) == 0 {
		lower, upper := h.span()
		d = append(d, change{key: lower, end: upper})
		err = f.DeleteRange([]byte(lower), []byte(upper))
	}
	for _, k := range h.sorted() {
		x := change{key: k}
		if h.rng.IntN(6) == 0 {
			err = errors.Join(err, f.Delete([]byte(k)))
		} else {
			x.value = h.value()
			err = errors.Join(err, f.Set([]byte(k), []byte(x.value)))
		}
		d = append(d, x)
	}
	if err = errors.Join(err, f.Finish()); err != nil {
		return err
	}
	return h.done(d, true, func() error { return h.l.db.Ingest(name) })
}

// replace gives a span new contents.
func (h *hand) replace() error {
	lower, upper := h.span()
	r, err := h.l.db.Replace(lsm.KeySpan{Lower: []byte(lower), Upper: []byte(upper)})
	if err != nil {
		return err
	}
	d := deed{{key: lower, end: upper}}
	for _, k := range h.sorted() {
		if k < lower || k >= upper {
			continue
		}
		x := change{key: k, value: h.value()}
		if err := r.Set([]byte(k), []byte(x.value)); err != nil {
			r.Abort()
			return err
		}
		d = append(d, x)
	}
	return h.done(d, true, func() error { return r.Commit(nil) })
}
