package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/statordb/stator/internal/env"
)

// isHarmless reports whether a message was refused without consequences.
func isHarmless(err error) bool {
	return errors.Is(err, raft.ErrStepLocalMsg) || errors.Is(err, raft.ErrStepPeerNotFound) || errors.Is(err, raft.ErrProposalDropped)
}

func (g *Group) running() bool { return g.role.Load() != roleStopped && g.node.Err() == nil }

// startTicks begins to run raft's clock, once there is a group that needs it.
func (n *Node) startTicks() {
	n.mu.Lock()
	first := !n.ticking && !n.closed
	n.ticking = n.ticking || first
	n.mu.Unlock()
	if first {
		n.tasks.Go("raft-ticks", n.runTicks)
	}
}

func (n *Node) runTicks() error {
	for {
		if _, _, stopped := n.stop.AwaitFor(n.o.Tick); stopped {
			return nil
		}
		for _, w := range n.workers {
			w.post(func(err error) {
				if err == nil {
					w.tick()
				}
			})
		}
	}
}

// tick advances the clocks of all groups that are not quiescent.
func (w *worker) tick() {
	for _, g := range append([]*Group(nil), w.groups...) {
		if g.isQuiescent() || !g.running() {
			continue
		}
		if err := g.tickRaft(); err != nil {
			w.drop(g, fmt.Errorf("%w: %w", ErrFailed, err))
			continue
		}
		w.activate(g)
	}
}

// isQuiescent reports whether the group can do without ticks: always, if there
// is nobody to send a heartbeat to.
func (g *Group) isQuiescent() bool { return g.sole.Load() }

func (g *Group) tickRaft() (err error) {
	defer g.guard(&err)
	g.enter()
	g.raft.Tick()
	return nil
}

// A read is a ReadBarrier that waits for its index to be known and applied.
type read struct {
	number uint64
	index  uint64 // 0 while raft has not told
	done   *env.Future[struct{}]
}

// readIndex asks raft for the commit index as of now and waits until it is
// applied. Raft forgets a request whose message or leader is lost, so it is
// repeated a few times under a new number.
func (g *Group) readIndex() error {
	patience := electionTicks * g.node.o.Tick
	for range 3 {
		done := env.NewFuture[struct{}](g.node.e)
		g.worker.post(func(err error) {
			if err == nil {
				err = g.requestRead(done)
			}
			if err != nil {
				done.Set(struct{}{}, err)
			}
		})
		if _, err, ok := done.AwaitFor(patience); ok {
			return err
		}
		g.worker.post(func(err error) {
			if err == nil {
				g.forgetRead(done)
			}
		})
	}
	return fmt.Errorf("%w: no answer in %s", ErrNotLeader, 3*patience.Round(time.Millisecond))
}

func (g *Group) requestRead(done *env.Future[struct{}]) (err error) {
	switch {
	case g.role.Load() == roleStopped:
		return g.worker.reason(g)
	case g.node.Err() != nil:
		return g.node.Err()
	}
	defer g.guard(&err)
	g.enter()
	g.number++
	g.reads = append(g.reads, read{number: g.number, done: done})
	g.raft.ReadIndex(binary.LittleEndian.AppendUint64(nil, g.number))
	g.worker.activate(g)
	return nil
}

func (g *Group) forgetRead(done *env.Future[struct{}]) {
	for i, r := range g.reads {
		if r.done == done {
			g.reads = append(g.reads[:i], g.reads[i+1:]...)
			return
		}
	}
}

// answerReads releases those whose index is known and applied.
func (g *Group) answerReads(states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != 8 {
			continue
		}
		number := binary.LittleEndian.Uint64(s.RequestCtx)
		for i := range g.reads {
			if g.reads[i].number == number {
				g.reads[i].index = max(1, s.Index)
			}
		}
	}
	rest := g.reads[:0]
	for _, r := range g.reads {
		if r.index > 0 && r.index <= g.applied {
			r.done.Set(struct{}{}, nil)
			continue
		}
		rest = append(rest, r)
	}
	clear(g.reads[len(rest):])
	g.reads = rest
}

func (g *Group) failReads(reason error) {
	for _, r := range g.reads {
		r.done.Set(struct{}{}, reason)
	}
	g.reads = nil
}
