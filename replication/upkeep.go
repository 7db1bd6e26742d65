package replication

import (
	"time"

	"github.com/statordb/stator/internal/env"
)

// flushRetry is how long to wait after the store could not flush.
const flushRetry = time.Second

func (n *Node) pokeSegments() { n.segments.TrySend(struct{}{}) }

// runSegments is the task that removes old segments of the log. It sleeps until
// a segment was begun, or a group removed.
func (n *Node) runSegments() error {
	for {
		if _, ok := n.segments.Recv(); !ok {
			return nil
		}
		n.collect()
	}
}

// collect removes the segments that the store does not need. If too many are
// left, the store is asked to flush, which is what makes it need fewer.
func (n *Node) collect() {
	for !n.stop.Ready() {
		keep := n.keepSegments()
		n.log.Keep(keep)
		if !n.removeSegments() || n.log.Live() <= max(keep, n.o.MaxSegments) {
			return
		}
		if n.store.Flush() == nil {
			n.removeSegments()
			return
		}
		n.e.Sometimes("replication: flush failed")
		n.stop.AwaitFor(flushRetry)
	}
}

const (
	// streamSegments is how many times MaxSegments the log may have while
	// a snapshot is sent, so that its receiver can go on behind it. At 16 MB a
	// segment that is 1 GB.
	streamSegments = 8
	// afterTicks is how long that goes on when the snapshot has arrived.
	afterTicks = 600
	// squeezeTicks is how long nothing is kept for others after the disk was
	// found full.
	squeezeTicks = 100
)

// keepSegments returns how many segments of the log may stay for the sake of
// members that lag.
func (n *Node) keepSegments() int {
	now, full := n.e.Now(), env.Mono(n.fitness.fullAt.Load())
	n.streams.mu.Lock()
	defer n.streams.mu.Unlock()
	switch {
	case full != 0 && now < full.Add(squeezeTicks*n.o.Tick):
		return 0 // who lags can have a snapshot
	case len(n.streams.out) > 0 || now < n.streams.arrived:
		return streamSegments * n.o.MaxSegments
	}
	return n.o.MaxSegments
}

// removeSegments reports whether it makes sense to try again later.
func (n *Node) removeSegments() bool {
	n.holdLog()
	err := translate(n.log.Collect(n.store.FlushedSeq()))
	if err == nil {
		return true
	}
	if n.log.Err() != nil {
		_ = n.fail(err)
		return false
	}
	return true
}

// shorten leaves as little of the log as possible. It is a courtesy to the next
// Open: if anything goes wrong, there will be more to replay.
func (n *Node) shorten() {
	if n.Err() == nil && n.log.Seal() == nil && n.store.Flush() == nil {
		_ = n.removeSegments()
	}
}

// runSync is the task of SyncInterval: it makes the log durable some time
// after the first write that is not.
func (n *Node) runSync() error {
	for {
		if _, ok := n.unsynced.Recv(); !ok {
			return nil
		}
		if _, _, stopped := n.stop.AwaitFor(n.o.Interval); stopped {
			return nil
		}
		if err := n.log.Sync(); err != nil {
			_ = n.fail(err)
		}
	}
}
