package replication

import "time"

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
		if !n.removeSegments() || n.log.Live() <= n.o.MaxSegments {
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

// removeSegments reports whether it makes sense to try again later.
func (n *Node) removeSegments() bool {
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
