package transport

import (
	"math/bits"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A Link is the way from one node to another.
type Link struct {
	n        *Network
	from, to *netNode
	class    Class
	base     time.Duration
	quality  Quality
	stream   interface{ Uint64() uint64 } // its own, of the world

	now    Trouble  // all that is wrong with it
	clog   env.Mono // until when nothing arrives
	silent env.Mono // from when on its ends have noticed that it is cut
	busy   env.Mono // until when its bandwidth is taken
	queue  uint32   // goes up when what waits for bandwidth is thrown away
	lanes  [Lanes]struct {
		last  env.Mono // arrival of the message that was sent last, in order
		bytes int      // on their way
	}
	counts [Fates]uint64
}

func (n *Network) newLink(from, to *netNode) *Link {
	l := &Link{n: n, from: from, to: to, class: classOf(from.site, to.site), silent: forever}
	l.quality = n.o.Qualities[l.class]
	l.stream = n.w.Stream("link/" + from.site.Name + ">" + to.site.Name)
	l.base = l.quality.Base
	if spread := l.quality.MaxBase - l.base; spread > 0 {
		l.base += time.Duration(l.draw(uint64(spread)))
	}
	return l
}

func classOf(a, b Site) Class {
	switch {
	case a.Region != b.Region:
		return InterRegion
	case a.Zone != b.Zone:
		return InterZone
	case a.Host != b.Host:
		return SameZone
	}
	return SameHost
}

// From, To and Class say what kind of link it is.
func (l *Link) From() NodeID { return l.from.id }
func (l *Link) To() NodeID   { return l.to.id }
func (l *Link) Class() Class { return l.class }

// Base returns the least latency of the link.
func (l *Link) Base() time.Duration { return l.base }

// Trouble returns all that is wrong with the link at this moment.
func (l *Link) Trouble() Trouble { return l.now }

// Count returns how many messages of the link had a fate.
func (l *Link) Count(f Fate) uint64 { return l.counts[f] }

// draw returns one of 0..n-1.
func (l *Link) draw(n uint64) uint64 {
	hi, _ := bits.Mul64(l.stream.Uint64(), n)
	return hi
}

// happens draws something of that chance. It costs no draw if there is none.
func (l *Link) happens(c PPM) bool { return c > 0 && l.draw(1e6) < uint64(c) }

// send begins the way of a message.
func (l *Link) send(lane Lane, message []byte) {
	if matter := l.now.Muted; matter != 0 && l.n.o.Without != nil {
		rest := l.n.o.Without(lane, message, matter)
		if rest == nil {
			l.n.tell(l, lane, Lost, message)
			return
		}
		message = rest
	}
	switch {
	case l.now.Cut:
		l.n.tell(l, lane, CutOff, message)
	case l.happens(l.now.Loss), lane == Call && l.happens(l.now.CallLoss):
		l.n.tell(l, lane, Lost, message)
	case l.to.end == nil:
		l.n.tell(l, lane, NobodyHome, message)
	case l.lanes[lane].bytes+len(message) > l.n.o.LaneBytes:
		l.n.tell(l, lane, Overflown, message)
	default:
		l.launch(lane, message)
		if l.happens(l.now.Double) {
			l.n.tell(l, lane, Doubled, message)
			l.launch(lane, message)
		}
	}
}

// launch sets the timer of a message.
func (l *Link) launch(lane Lane, message []byte) {
	d := l.n.take()
	d.link, d.to, d.lane, d.size, d.queue = l, l.to.end, lane, len(message), l.queue
	d.message = l.n.copy(message)
	d.corrupt = l.happens(l.now.Corrupt)
	l.lanes[lane].bytes += d.size
	at, delayed := l.arrival(lane, d.size)
	if delayed {
		l.n.tell(l, lane, Delayed, message)
	}
	d.alarm.Set(at)
}

// arrival says when a message of that size arrives that is sent now.
func (l *Link) arrival(lane Lane, size int) (at env.Mono, delayed bool) {
	at = l.n.w.Now()
	if rate := l.bandwidth(); rate > 0 {
		l.busy = max(l.busy, at).Add(time.Duration(int64(size) * int64(time.Second) / rate))
		at = l.busy
	}
	at = at.Add(l.base + l.tail())
	delayed = l.now.Lag > 0 || l.clog > at
	at = max(at.Add(l.now.Lag), l.clog)
	if l.happens(l.now.Reorder) {
		// It may be overtaken by what is sent later, and does not hold that up.
		return at.Add(time.Duration(l.draw(uint64(4*l.base + 4*time.Millisecond)))), true
	}
	at = max(at, l.lanes[lane].last)
	l.lanes[lane].last = at
	return at, delayed
}

// widen ends a time of little bandwidth. What still waits for it is lost, as with
// a connection that is given up: it would arrive long after the trouble is over, and
// so would all that is sent behind it.
func (l *Link) widen() {
	l.queue++
	l.busy = 0
	for i := range l.lanes {
		l.lanes[i].last = 0
	}
}

func (l *Link) bandwidth() int64 {
	if l.now.Bandwidth > 0 && (l.quality.Bandwidth == 0 || l.now.Bandwidth < l.quality.Bandwidth) {
		return l.now.Bandwidth
	}
	return l.quality.Bandwidth
}

// maxTail bounds the tail, in steps.
const maxTail = 10

// tail draws what comes on top of the least latency.
func (l *Link) tail() time.Duration {
	if l.quality.Tail == 0 {
		return 0
	}
	r := l.stream.Uint64()
	steps := min(maxTail, bits.TrailingZeros64(r))
	hi, _ := bits.Mul64(r, uint64(l.quality.Tail))
	return time.Duration(hi) + time.Duration(steps)*l.quality.Tail
}
