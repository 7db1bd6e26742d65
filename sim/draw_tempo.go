package sim

import (
	"cmp"
	"slices"
	"time"
)

// A tempo says when clients ask. What a run costs are its requests, and what they find
// they find while something goes wrong. So in most plans of several nodes that have faults
// there are bursts of requests about these, for keys of one hash mostly, and few requests between
// them. In the others, without faults, and on a single node, where a fault is short, requests
// come steadily: some mistakes take many of them, or a cause that is not planned.
type tempo struct {
	think  time.Duration // mean pause of each client, between bursts
	bursts []burst       // in order of time; none: requests are steady
}

// A burst is a time from which on several clients ask, each a few times.
type burst struct {
	at   Duration
	gap  time.Duration // mean, between requests of a client
	hash int           // the hash that they are about; anyHash: any
}

// A moment is when a client sends a request, and the hash that it is about.
type moment struct {
	at   Duration
	hash int // anyHash: any
}

const anyHash = -1

// drawTempo draws the tempo of the plan's clients, once its faults are known.
func (d *drawer) drawTempo() (t tempo) {
	switch {
	case !d.cluster():
		t.think = time.Duration(d.one(5, 20, 60)) * time.Millisecond
		return t
	case d.o.Calm, d.o.Attempts > 0, len(d.plan.Nemesis) == 0, d.IntN(4) == 0:
		t.think = time.Duration(d.one(200, 600, 1200)) * time.Millisecond
		return t
	}
	t.think = time.Duration(d.one(3000, 6000)) * time.Millisecond
	times := d.times(4 * time.Second) // some things need no fault
	for i := range d.plan.Nemesis {
		times = append(times, d.about(&d.plan.Nemesis[i])...)
	}
	d.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
	times = times[:min(len(times), d.one(4, 8, 16))]
	for _, f := range d.plan.Nemesis {
		if f.Kind == clientLink && d.IntN(2) == 0 { // without requests it is nothing
			times = append(times, min(d.plan.For-1, f.At+Duration(d.Float64()*float64(f.For))))
		}
	}
	for _, at := range times {
		b := burst{at: at, gap: time.Duration(d.one(2, 10, 50, 150)) * time.Millisecond, hash: anyHash}
		if d.IntN(3) > 0 {
			b.hash = d.IntN(hotHashes)
		}
		t.bursts = append(t.bursts, b)
	}
	slices.SortFunc(t.bursts, func(a, b burst) int { return cmp.Compare(a.at, b.at) })
	return t
}

// about draws times about a fault: when it begins, while others take over from the nodes
// that it hits, later, and when it is over.
func (d *drawer) about(f *Fault) (times []Duration) {
	if f.Kind == calmKind {
		return nil
	}
	tick := Duration(d.plan.Knobs.tick())
	for _, at := range []Duration{
		f.At - d.exp(10*time.Millisecond),
		f.At + 8*tick + Duration(d.Float64()*float64(10*tick)), // an election takes 10 to 20
		f.At + Duration(d.Float64()*float64(f.For)),
		f.At + f.For + d.exp(50*time.Millisecond),
	} {
		if d.IntN(2) == 0 && at >= 0 && at < d.plan.For {
			times = append(times, at)
		}
	}
	return times
}

// times draws times that lie apart by a mean.
func (d *drawer) times(mean time.Duration) (times []Duration) {
	for at := d.exp(mean); at < d.plan.For; at += d.exp(mean) {
		times = append(times, at)
	}
	return times
}

// drawMoments draws when one of the clients asks.
func (d *drawer) drawMoments() (list []moment) {
	for _, at := range d.times(d.tempo.think) {
		list = append(list, moment{at, anyHash})
	}
	for _, b := range d.tempo.bursts {
		if d.IntN(4) == 0 {
			continue
		}
		at := b.at
		for range 1 + d.IntN(4) {
			list = append(list, moment{at, b.hash})
			at += d.exp(b.gap)
		}
	}
	slices.SortStableFunc(list, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	return list
}

// hot draws a hot key, of the moment's hash.
func (d *drawer) hot(m moment) string { return hotKey(d.hash(m)*hotRanges + d.IntN(hotRanges)) }

func (d *drawer) hash(m moment) int {
	if m.hash != anyHash {
		return m.hash
	}
	return d.IntN(hotHashes)
}
