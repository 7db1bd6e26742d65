package replication

import (
	"errors"
	"slices"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/statordb/stator/internal/env"
)

// A node whose disk is full or slow is unfit to lead: every group that it leads
// waits for that disk, although a majority of others could do without it. It tells
// its peers, hands its leaderships to fit ones, and stands for no election as long
// as a fit member could, unless none has for a while. It still votes and follows, as far as its disk lets it.
//
// A disk that hangs, or takes as long as an election for a write, keeps the worker
// from handing over, and yet a heartbeat may pass now and then. So the followers of an
// unfit leader do not wait for it for ever (endure), and on its own node a group whose
// worker is stuck no longer counts as leading (worker.stuck). A node whose log has failed falls
// silent.
type fitness struct {
	unfit  atomic.Bool
	until  env.Mono     // unfit at least until then; of the tick task
	sync   atomic.Int64 // smoothed time that a write of the log takes, in nanoseconds
	fullAt atomic.Int64 // when the disk was full last, as env.Mono; 0: never
}

// unfitTicks is how long a node stays unfit at least.
const unfitTicks = 5 * electionTicks

// wrote notes how long a write took.
func (f *fitness) wrote(d int64) {
	for {
		old := f.sync.Load()
		if f.sync.CompareAndSwap(old, old+(d-old)/4) {
			return
		}
	}
}

// noteFull notes that the disk was full, if that is what err says.
func (n *Node) noteFull(err error) {
	if errors.Is(err, ErrNoSpace) {
		n.fitness.fullAt.Store(int64(max(1, n.e.Now())))
		n.pokeSegments()
	}
}

// checkFitness is called once per tick. It reports whether the node has become unfit.
func (n *Node) checkFitness() (worse bool) {
	f, now, limit := &n.fitness, n.e.Now(), int64(n.o.SlowSync)
	smoothed := f.sync.Load()
	f.sync.CompareAndSwap(smoothed, smoothed-smoothed/64) // what no write confirms is forgotten
	bad := smoothed > limit
	for _, w := range n.workers {
		began := w.writing.Load()
		lasts := int64(now) - began
		bad = bad || began != 0 && lasts > limit
		if began != 0 && lasts > int64(n.electionTimeout()) && w.stuck.Swap(stuckRounds) == 0 {
			n.e.Sometimes("replication: worker is stuck")
		}
	}
	if at := f.fullAt.Load(); at != 0 && now.Sub(env.Mono(at)) < electionTicks*n.o.Tick {
		bad = true
	}
	switch {
	case bad:
		f.until = now.Add(unfitTicks * n.o.Tick)
		if worse = f.unfit.CompareAndSwap(false, true); worse {
			n.e.Sometimes("replication: unfit to lead")
		}
	case now >= f.until && smoothed < limit/2:
		f.unfit.Store(false)
	}
	return worse
}

// orphanTicks is how long an unfit node waits for a fit one to lead. That one may lack entries which, of those that
// are left, the unfit one has alone: then nobody else can be elected.
const orphanTicks = 2 * electionTicks

// mayCampaign reports whether this node may try to lead the group.
func (n *Node) mayCampaign(g *Group) bool {
	if !n.fitness.unfit.Load() || g.orphaned >= orphanTicks {
		return true
	}
	return !slices.ContainsFunc(g.log.Members().GetVoters(), func(id uint64) bool {
		return id != n.o.NodeID && n.liveness.fit(id)
	})
}

// evacuate hands over what an unfit node leads, or tries to, once per election
// timeout.
func (w *worker) evacuate() {
	if !w.node.fitness.unfit.Load() {
		w.evacuating = 0
		return
	}
	if w.evacuating--; w.evacuating > 0 {
		return
	}
	w.evacuating = electionTicks
	for _, g := range slices.Clone(w.groups) {
		if g.lease.leads == 0 || g.sole.Load() || g.transfer != nil || !g.running() {
			continue
		}
		if to := g.successor(); to != 0 {
			w.node.e.Sometimes("replication: hand over because of the disk")
			if err := g.passOn(to); err != nil {
				w.drop(g, failed(err))
			}
		}
	}
}

// stuckRounds is how many rounds a worker that was stuck counts as such: until the end of
// that in which it was, and of one more, in which it learns what has happened meanwhile.
const stuckRounds = 2

// endureTicks is how long followers wait for an unfit leader to hand over.
const endureTicks = electionTicks / 2

// endure gives up on a leader that has been unfit for a while, and still leads: it
// could not hand over. It is called once per tick.
func (w *worker) endure(g *Group) {
	leader, n := g.leader.Load(), w.node
	if leader == 0 || leader == n.o.NodeID || !n.liveness.isUnfit(leader) || !g.isVoter() || n.fitness.unfit.Load() {
		g.endured = 0
		return
	}
	if g.endured++; g.endured < endureTicks {
		return
	}
	g.endured = 0
	n.e.Sometimes("replication: leave an unfit leader")
	w.forsake(g)
	g.countdown += 2 // until the other followers, too, protect the leader no longer
}

// successor returns the fit voter whose log is longest, or 0.
func (g *Group) successor() (to uint64) {
	voters := g.log.Members().GetVoters()
	match := uint64(0)
	g.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		isFit := id != g.node.o.NodeID && slices.Contains(voters, id) && g.node.liveness.fit(id)
		if isFit && p.State == tracker.StateReplicate && p.Match >= match {
			to, match = id, p.Match
		}
	})
	return to
}

func (g *Group) passOn(to uint64) (err error) {
	defer g.guard(&err)
	g.enter()
	g.raft.TransferLeader(to)
	g.worker.activate(g)
	return nil
}
