package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
)

// A commit is a write as it was first applied.
type commit struct {
	when int64      // place in the history
	at   env.Mono   // the time
	op   *Operation // nil if it could be one of several: a delete without a mark
}

// Applied notes a command that was applied for the first time anywhere, and what it came
// to. One that a partition has not carried out, and never will, has not happened: because it has given the key away, so that
// the command is sent on to whoever has it now, does not know any more whether it has carried the request out, or a transaction is there.
// One that met damage may happen yet, when the log is replayed.
func (h *History) Applied(group uint64, command []byte, result any) {
	if r, ok := result.(*partition.Result); ok && isRefused(r.Err) {
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

func isRefused(err error) bool {
	var conflict *partition.ConflictError
	return errors.Is(err, partition.ErrWrongPartition) || errors.Is(err, partition.ErrFateUnknown) || errors.As(err, &conflict)
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

// replay replays what was applied to a key on the model; see witness. It notes when the operations
// took effect.
func (h *History) replay(key string, operations []*Operation) (w *witness[State, Operation], ok bool) {
	w = newWitness(itemModel)
	commits := h.commits[key]
	ok = w.replay(func(yield func([]*Operation) bool) {
		for _, c := range commits {
			if !yield(c.candidates(operations)) {
				return
			}
		}
	}, operations)
	for i, p := range w.writes {
		p.of.Took = commits[i].at
	}
	return w, ok
}

// candidates are the operations that a commit may be. One whose client was told that nothing
// has happened is none.
func (c *commit) candidates(operations []*Operation) (list []*Operation) {
	if c.op != nil {
		if c.op.Outcome != Failed {
			list = append(list, c.op)
		}
		return list
	}
	for _, o := range operations {
		if o.Kind == Delete && o.Call <= c.when && (o.Return == 0 || o.Return >= c.when) && o.Outcome != Failed {
			list = append(list, o)
		}
	}
	return list
}

// proves reports whether the commits explain the operations on a key.
func (h *History) proves(key string, operations []*Operation) bool {
	w, ok := h.replay(key, operations)
	ok = ok && w.inTime() && w.read(operations)
	commits := h.commits[key]
	for _, p := range w.reads {
		p.of.Took = p.of.Began
		if p.pos > 0 {
			p.of.Took = max(p.of.Began, commits[p.pos-1].at)
		}
	}
	return ok
}

// returned is when its client learnt that the operation had happened, which is after everything if
// it did not.
func returned(o *Operation) int64 {
	if o.Return == 0 || o.Outcome == Unknown || o.Outcome == Failed {
		return math.MaxInt64
	}
	return o.Return
}
