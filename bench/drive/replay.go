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

func (p *replay) next(w *worker) (int64, bool) {
	i := p.at.Add(1) - 1
	if i >= int64(len(p.events)) {
		return 0, false
	}
	e := &p.events[i]
	w.op = Op{Kind: e.Kind, Key: e.Key, Size: e.Size, Length: e.Length, place: p.places[e.Kind], random: w.rand}
	w.rand.next()
	if w.op.Size == 0 {
		w.op.Size = p.sizes(e.Key)
	}
	w.op.Length = max(1, w.op.Length)
	if p.speed == 0 {
		return 0, true
	}
	return int64(float64(e.At) / p.speed), true
}
