package sim

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
)

// A witness proves that a history can be explained, in time that is linear but for
// sorting, when it can: it knows in which order the writes of an item took effect,
// because the simulator saw them being applied, and need not search for one.
//
//  1. The writes, in the order in which they were applied, are replayed on the
//     model. Each must come to what its client was told, and no client may have
//     been told of a write that was never applied.
//  2. No write may come after one that was called when it had returned.
//  3. Each read is given the earliest place between two writes at which there was
//     what it saw, and which is not before that of anything that had returned when
//     it was called. No write that was called after it returned may come before it.
//
// What passes is linearizable. What does not need not be wrong: then porcupine
// searches (model.go), and its verdict counts.
type witness struct {
	versions []State         // after so many writes; the first is that before all
	at       map[State][]int // where each state is in versions
	times    []env.Mono      // of the versions
	places   []placed        // all operations that have a place
}

// placed is an operation with its place: a write makes version pos, a read saw it.
type placed struct {
	*Operation
	pos int
}

// A commit is a write as it was first applied.
type commit struct {
	when int64      // place in the history
	at   env.Mono   // the time
	op   *Operation // nil if it could be one of several: a delete without a mark
}

// Applied notes a command that was applied for the first time anywhere, and what it came
// to. One that a partition refuses for another reason than its condition has not happened: that
// it has given the key away, for one, so that it is sent on to whoever has it now, or that it does not
// know any more whether it has carried the request out.
func (h *History) Applied(group uint64, command []byte, result any) {
	if r, ok := result.(*partition.Result); ok && r.Err != nil && !errors.Is(r.Err, partition.ErrConditionFailed) {
		return
	}
	c, err := partition.DecodeCommand(command)
	if err != nil {
		return
	}
	if c.Kind == partition.SplitOff {
		h.forgetGroups(group)
	}
	if c.Item == nil {
		return
	}
	if _, ok := c.Item.Get("s"); !ok {
		if _, ok := c.Item.Get("k"); ok && h.inLedger != nil {
			h.inLedger(group)
		}
		return // of another table
	}
	key := keyOf(c.Item)
	if strings.HasPrefix(key, churnPrefix) {
		return // of a table of the churner's
	}
	h.noteGroup(key, group)
	if c.Request.Node != 0 {
		if h.applied[c.Request] {
			return // repeated
		}
		h.applied[c.Request] = true
	}
	done := c.Kind != partition.Delete && isDone(result)
	if done {
		for _, o := range h.failed[key] {
			if isOf(&c, command, o) {
				o.changed = true
				h.belie(o)
			}
		}
	}
	open := h.open[key]
	if len(open) == 0 {
		return // not a client's
	}
	h.now++
	at := commit{when: h.now, at: h.time()}
	if c.Kind != partition.Delete {
		i := slices.IndexFunc(open, func(o *Operation) bool { return isOf(&c, command, o) })
		if i < 0 {
			return // somebody else's, or of one who was told of its fate before
		}
		at.op = open[i]
	}
	if h.commits == nil {
		h.commits = map[string][]commit{}
	}
	h.commits[key] = append(h.commits[key], at)
	if at.op != nil {
		at.op.applied, at.op.changed = true, done
		if h.replicated && at.op.Return == 0 { // if it gets no answer, it did not happen later
			h.close(at.op)
		}
	}
}

// isDone reports whether a command has done what it says.
func isDone(result any) bool {
	r, ok := result.(*partition.Result)
	return ok && r.Err == nil
}

// isOf reports whether a command that leaves a value is that of an operation. The item of a
// put is looked at: its key may have the value of another attempt.
func isOf(c *partition.Command, command []byte, o *Operation) bool {
	switch {
	case o.Kind == Put && c.Kind == partition.Put:
		v, _ := c.Item.Get("v")
		return string(v.Bytes()) == o.Value
	case o.Kind == Add && c.Kind == partition.Update:
		return carries(command, o.Value)
	}
	return false
}

// carries reports whether a command has a short string, whole: it is there with its length, so
// that another one of which it is the beginning does not count. Nor does one whose length merely ends
// with the same byte, as that of the filler may, which begins with the value of its attempt.
func carries(command []byte, value string) bool {
	whole := append(binary.AppendUvarint(nil, uint64(len(value))), value...)
	for rest := command; ; {
		at := bytes.Index(rest, whole)
		if at < 0 {
			return false
		}
		if at == 0 || rest[at-1] < 0x80 {
			return true
		}
		rest = rest[at+1:]
	}
}

// noteGroup keeps which group has a key.
func (h *History) noteGroup(key string, group uint64) {
	if h.groupOf == nil {
		h.groupOf, h.applied = map[string]uint64{}, map[partition.RequestID]bool{}
	}
	h.groupOf[key] = group
	if !slices.Contains(h.groups, group) {
		h.groups = append(h.groups, group)
	}
}

// forgetGroups forgets which keys a group has, because it gives some away: the next write
// of each tells.
func (h *History) forgetGroups(group uint64) {
	for key, of := range h.groupOf { //sim:ok all of the group
		if of == group {
			delete(h.groupOf, key)
		}
	}
}

// proves reports whether the commits explain the operations on a key.
func (h *History) proves(key string, operations []*Operation) bool {
	w := witness{versions: []State{{}}, times: []env.Mono{0}, at: map[State][]int{{}: {0}}}
	return w.replay(h.commits[key], operations) && w.inTime() && w.read(operations)
}

// replay is step 1.
func (w *witness) replay(commits []commit, operations []*Operation) bool {
	applied := map[*Operation]bool{}
	for _, c := range commits {
		s := w.versions[len(w.versions)-1]
		o := c.op
		if o == nil {
			o = w.deleteAt(c.when, s, operations, applied)
		}
		if o == nil || applied[o] || o.Outcome == Failed {
			return false
		}
		ok, after := step(s, o)
		if !ok {
			return false
		}
		applied[o] = true
		w.places = append(w.places, placed{o, len(w.versions)})
		w.at[after] = append(w.at[after], len(w.versions))
		w.versions = append(w.versions, after)
		w.times = append(w.times, c.at)
		o.Took = c.at
	}
	for _, o := range operations {
		if o.Kind != Get && (o.Outcome == Done || o.Outcome == Refused) && !applied[o] {
			return false
		}
	}
	return true
}

// deleteAt finds which of the deletes under way it was that met the state: of those
// that could have been, the one that returned first.
func (w *witness) deleteAt(when int64, s State, operations []*Operation, applied map[*Operation]bool) (found *Operation) {
	for _, o := range operations {
		if o.Kind != Delete || applied[o] || o.Call > when || o.Return != 0 && o.Return < when {
			continue
		}
		if ok, _ := step(s, o); !ok || o.Outcome == Failed {
			continue
		}
		if found == nil || returned(o) < returned(found) {
			found = o
		}
	}
	return found
}

// returned is when the operation returned; what did not, returns after everything.
func returned(o *Operation) int64 {
	if o.Return == 0 || o.Outcome == Unknown {
		return 1<<63 - 1
	}
	return o.Return
}

// inTime is step 2.
func (w *witness) inTime() bool {
	latest := int64(0)
	for _, p := range w.places {
		if returned(p.Operation) < latest {
			return false
		}
		latest = max(latest, p.Call)
	}
	return true
}

// read is step 3. Reads are placed in the order of their calls, so that all that
// had returned before have a place.
func (w *witness) read(operations []*Operation) bool {
	writes := slices.Clone(w.places)
	slices.SortFunc(writes, func(a, b placed) int { return cmp.Compare(a.Call, b.Call) })
	first := make([]int, len(writes)+1) // of the writes from there on, the earliest place
	first[len(writes)] = len(w.versions)
	for i := len(writes) - 1; i >= 0; i-- {
		first[i] = min(first[i+1], writes[i].pos)
	}
	ended := slices.Clone(w.places)
	slices.SortFunc(ended, func(a, b placed) int { return cmp.Compare(returned(a.Operation), returned(b.Operation)) })
	var reads returns
	lower, next := 0, 0
	for _, o := range operations { // they are in the order of their calls
		if o.Kind != Get {
			continue
		}
		for ; next < len(ended) && returned(ended[next].Operation) < o.Call; next++ {
			lower = max(lower, ended[next].pos)
		}
		lower = max(lower, reads.before(o.Call))
		seen := w.seenBy(o, lower)
		if seen < 0 {
			return false
		}
		after := sort.Search(len(writes), func(i int) bool { return writes[i].Call > o.Return })
		if seen >= first[after] {
			return false
		}
		o.Took = max(o.Began, w.times[seen])
		reads.add(placed{o, seen})
	}
	return true
}

// seenBy returns the earliest version from lower on that explains what a read was answered; -1 if
// there is none. One that shows nothing because of its filter has seen a version that this leaves out.
func (w *witness) seenBy(o *Operation, lower int) int {
	if o.Outcome == Refused {
		for v := lower; v < len(w.versions); v++ {
			if !o.holds(w.versions[v]) {
				return v
			}
		}
		return -1
	}
	versions := w.at[*o.Saw]
	if i := sort.SearchInts(versions, lower); i < len(versions) && o.holds(*o.Saw) {
		return versions[i]
	}
	return -1
}

// returns are reads that may not have returned yet, by their return.
type returns struct {
	open  []placed
	lower int // the greatest place of those that had
}

func (r *returns) add(p placed) { r.open = append(r.open, p) }

// before returns the greatest place of the reads that returned before a moment,
// which never goes back.
func (r *returns) before(moment int64) int {
	rest := r.open[:0]
	for _, p := range r.open {
		if p.Return < moment {
			r.lower = max(r.lower, p.pos)
		} else {
			rest = append(rest, p)
		}
	}
	r.open = rest
	return r.lower
}
