package drive

import (
	"sync/atomic"
)

// A replay is a source that repeats a trace. The workers share it: each takes the
// next event.
type replay struct {
	events []Event
	at     atomic.Int64
	speed  float64
	sizes  func(uint64) int
	places map[Kind]uint8
}

func newReplay(events []Event, w *Workload) *replay {
	p := &replay{events: events, speed: w.Pace.Speed, sizes: w.Sizes(), places: map[Kind]uint8{}}
	for i, k := range Kinds {
		p.places[k] = uint8(i)
	}
	return p
}

// fill takes one at a time, so that no worker waits with an event that another one could begin on time.
func (p *replay) fill(w *worker) int {
	i := p.at.Add(1) - 1
	if i >= int64(len(p.events)) {
		return 0
	}
	e, op := &p.events[i], &w.ops[0]
	*op = Op{Kind: e.Kind, Key: e.Key, Size: e.Size, Length: max(1, e.Length), place: p.places[e.Kind], random: w.rand}
	w.rand.next()
	if op.Size == 0 {
		op.Size = p.sizes(e.Key)
	}
	if w.due[0] = 0; p.speed > 0 {
		w.due[0] = int64(float64(e.At) / p.speed)
	}
	return 1
}
