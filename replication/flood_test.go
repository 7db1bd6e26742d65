package replication

import (
	"errors"
	"testing"
	"time"
)

// A leader that cannot commit takes only so much: the rest waits in its queue, and
// then its callers wait. Groups that can commit go on meanwhile, and the others once
// their members are back.
func TestFloodIsHeldBack(t *testing.T) {
	const queue, command = 64 << 10, 1 << 10
	b := newTrio(t, 1, replaceJitter(t), 3, 1, func(_ int, o *Options) { o.QueueBytes = queue })
	b.settle(t)
	n := b.leader(1)
	g := n.groups[0]
	started, answered, failed := 0, 0, 0
	for i := range 400 {
		n.e.Go("client", func() {
			started++
			switch _, err := g.Propose(append(add(uint64(i), 1), make([]byte, command)...)).Await(); {
			case err == nil:
				answered++
			case errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrNotLeader):
				failed++
			default:
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	b.net.Cut(b.net.Around(n.id()))
	b.run(t, 20*time.Millisecond)
	if g.flying == 0 || g.flying > queue/2+queue+command || !g.stalled {
		t.Errorf("%d bytes in flight, stalled: %v", g.flying, g.stalled)
	}
	if g.worker.queued > queue {
		t.Errorf("%d bytes wait, at most %d should", g.worker.queued, queue)
	}
	b.net.Heal()
	b.runUntil(t, 10*trioTimeout, "all clients have an answer", func() bool { return answered+failed == 400 })
	if g.flying != 0 || g.worker.flying != 0 || g.worker.queued != 0 {
		t.Errorf("%d and %d bytes in flight, %d waiting in the end", g.flying, g.worker.flying, g.worker.queued)
	}
	if answered < 100 {
		t.Errorf("%d of 400 commands answered", answered)
	}
}
