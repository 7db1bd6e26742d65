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

// failed is why a group is dropped that cannot go on.
func failed(err error) error { return fmt.Errorf("%w: %w", ErrFailed, err) }

// A read is a ReadBarrier that waits for its index to be known and applied.
type read struct {
	number uint64
	index  uint64 // 0 while raft has not told
	done   *env.Future[struct{}]
}

// awaitRead waits until index is applied, or, if it is 0, until that is applied
// which raft says is committed as of now. Raft forgets a request whose message or
// leader is lost, so it is repeated a few times under a new number.
func (g *Group) awaitRead(index uint64) error {
	patience := g.node.electionTimeout()
	for range 3 {
		done := env.NewFuture[struct{}](g.node.e)
		g.worker.post(func(err error) {
			if err == nil {
				err = g.requestRead(index, done)
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
		if !g.Leading() {
			return g.notLeader() // the worker hangs, too
		}
	}
	return fmt.Errorf("%w: no answer in %s", g.notLeader(), 3*patience.Round(time.Millisecond))
}

func (g *Group) requestRead(index uint64, done *env.Future[struct{}]) (err error) {
	switch {
	case g.role.Load() == roleStopped:
		return g.worker.reason(g)
	case g.role.Load() != roleLeader:
		return g.notLeader()
	case index > 0:
		g.reads = append(g.reads, read{index: index, done: done})
		g.answerReads(nil)
		return nil
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
	if g.lease.wait > 0 {
		return // see lease
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
