package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// Calls carries requests to other nodes, and brings their answers: a
// *transport.Calls.
type Calls interface {
	Call(to transport.NodeID, m transport.Method, request []byte, timeout time.Duration) ([]byte, error)
	Serve(m transport.Method, h transport.Handler)
}

// The methods that nodes call. Those of package table are 16 to 31.
const (
	callPropose transport.Method = 16 // a command of a partition
	callRead    transport.Method = 17 // a request to a partition (partition.Answer)
	callStatus  transport.Method = 18 // how a group is (partitionStatus)
	callPing    transport.Method = 19 // is anybody there?
	callCatalog transport.Method = 20 // how far the catalog is
	callFit     transport.Method = 21 // could the replica lead its group?
	callPlan    transport.Method = 22 // where would the partition be divided best?
	callApplied transport.Method = 26 // what the leader has applied
	callReadAt  transport.Method = 27 // a request to a replica that has applied an entry
)

// A request to a partition on another node, and its answer. Integers are
// little-endian.
//
//	+------------+----------+----------+----------+----------+
//	| version 1B | clock 8B | group 8B | flags 1B | body ... |
//	+------------+----------+----------+----------+----------+
//
//	+------------+----------+-----------+------------+----------+
//	| version 1B | clock 8B | leader 8B | verdict 1B | body ... |
//	+------------+----------+-----------+------------+----------+
//
// The version is 1. clock is the sender's hybrid clock, so that what happens
// afterwards at the receiver has later timestamps. flags: 1 consistent, of a read.
// leader is the node that leads the group as far as the answering node knows, 0 =
// it does not. The body of an answer of verdict done is what the partition says, of
// failed a text.
const (
	callVersion byte = 1
	callHeader       = 1 + 8 + 8 + 1

	callConsistent byte = 1
)

// A verdict says what became of a request.
type verdict byte

const (
	verdictDone      verdict = 0
	verdictNotLeader verdict = 1 // nothing happened
	verdictNotHere   verdict = 2 // the node has no replica; nothing happened
	verdictUnknown   verdict = 3 // the command may or may not be, or become, carried out
	verdictBehind    verdict = 4 // the replica is too far behind the leader for this read
	verdictNoSpace   verdict = 5 // the disk is full; nothing happened
	verdictFailed    verdict = 6 // the replica cannot go on; nothing happened
)

var errCall = errors.New("table: unreadable call")

func appendRequest(dst []byte, clock txn.Timestamp, group uint64, flags byte) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, callVersion), uint64(clock))
	dst = binary.LittleEndian.AppendUint64(dst, group)
	return append(dst, flags)
}

// A callRequest is a decoded request; its body aliases the bytes.
type callRequest struct {
	clock txn.Timestamp
	group uint64
	flags byte
	body  []byte
}

func decodeRequest(b []byte) (r callRequest, err error) {
	if len(b) < callHeader || b[0] != callVersion || b[callHeader-1] > callConsistent {
		return r, fmt.Errorf("%w: request of %d bytes", errCall, len(b))
	}
	return callRequest{
		clock: txn.Timestamp(binary.LittleEndian.Uint64(b[1:])),
		group: binary.LittleEndian.Uint64(b[9:]),
		flags: b[17], body: b[callHeader:],
	}, nil
}

// An answer is the answer to a request; its body aliases the bytes.
type answer struct {
	clock   txn.Timestamp
	leader  uint64
	verdict verdict
	body    []byte
}

func (a answer) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, callVersion), uint64(a.clock))
	dst = binary.LittleEndian.AppendUint64(dst, a.leader)
	return append(append(dst, byte(a.verdict)), a.body...)
}

func decodeAnswer(b []byte) (a answer, err error) {
	if len(b) < callHeader || b[0] != callVersion || verdict(b[callHeader-1]) > verdictFailed {
		return a, fmt.Errorf("%w: answer of %d bytes", errCall, len(b))
	}
	return answer{
		clock:   txn.Timestamp(binary.LittleEndian.Uint64(b[1:])),
		leader:  binary.LittleEndian.Uint64(b[9:]),
		verdict: verdict(b[17]), body: b[callHeader:],
	}, nil
}

// err returns what a verdict means as an error of this package's neighbours.
func (a *answer) err() error {
	switch a.verdict {
	case verdictDone:
		return nil
	case verdictNotLeader:
		return replication.ErrNotLeader
	case verdictNotHere:
		return errNotHere
	case verdictUnknown:
		return replication.ErrUnknownOutcome
	case verdictBehind:
		return errBehind
	case verdictNoSpace:
		return vfs.ErrNoSpace
	}
	return fmt.Errorf("%w: %s", replication.ErrFailed, a.body)
}

var (
	errNotHere = errors.New("table: no replica on this node")
	errBehind  = errors.New("table: replica is behind")
)

// verdictOf says what an error of a group or a replica means to another node.
func verdictOf(err error) answer {
	switch {
	case err == nil:
		return answer{verdict: verdictDone}
	case errors.Is(err, replication.ErrUnknownOutcome):
		return answer{verdict: verdictUnknown}
	case errors.Is(err, replication.ErrNotLeader):
		return answer{verdict: verdictNotLeader}
	case errors.Is(err, errNotHere), errors.Is(err, replication.ErrStopped):
		return answer{verdict: verdictNotHere}
	case errors.Is(err, errBehind):
		return answer{verdict: verdictBehind}
	case errors.Is(err, vfs.ErrNoSpace):
		return answer{verdict: verdictNoSpace}
	}
	return answer{verdict: verdictFailed, body: []byte(err.Error())}
}

// serveCalls answers other nodes.
func (c *core) serveCalls() {
	serve := func(method transport.Method, carryOut func(r callRequest) answer) {
		c.calls.Serve(method, func(_ transport.NodeID, b []byte) ([]byte, error) {
			r, err := decodeRequest(b)
			if err != nil {
				return nil, err
			}
			if err := c.clock.Observe(r.clock); err != nil {
				return nil, err
			}
			a := carryOut(r)
			a.clock = c.clock.Last()
			if p := c.directory.partition(r.group); p != nil && p.group != nil {
				a.leader = p.group.Leader()
			} else if r.group == catalogGroup {
				a.leader = c.catalogGroup.Leader()
			}
			return a.append(nil), nil
		})
	}
	serve(callPropose, c.servePropose)
	serve(callRead, c.serveRead)
	serve(callStatus, c.serveStatus)
	serve(callCatalog, c.serveCatalog)
	serve(callFit, c.serveFit)
	serve(callApplied, c.serveApplied)
	serve(callReadAt, c.serveReadAt)
	serve(callPlan, c.servePlan)
	serve(callPing, c.servePing)
	c.calls.Serve(callRelay, c.serveRelay)
}

// servePropose carries out a command for another node, if this one leads.
func (c *core) servePropose(r callRequest) answer {
	p := c.directory.partition(r.group)
	switch {
	case p == nil || p.group == nil:
		return answer{verdict: verdictNotHere}
	case !p.leads():
		return answer{verdict: verdictNotLeader}
	case isBrake(r.body):
		p.admit()
	}
	v, err := p.await(p.group.Propose(r.body))
	if err == nil && p.Err() != nil {
		err = broken(p.Err())
	}
	a := verdictOf(err)
	if err == nil {
		a.body = v.(*partition.Result).Append(nil)
	}
	return a
}

// isBrake reports whether a command brings changes to global indexes, so that it
// waits while these are too far behind.
func isBrake(command []byte) bool {
	if len(command) < 2 {
		return false
	}
	switch partition.Kind(command[1]) {
	case partition.Put, partition.Delete, partition.Update, partition.Backfill, partition.Transact, partition.Prepare:
		return true
	}
	return false
}

// serveRead carries out a read for another node.
func (c *core) serveRead(r callRequest) answer {
	p := c.directory.partition(r.group)
	if p == nil || p.group == nil {
		return answer{verdict: verdictNotHere}
	}
	if err := p.settle(r.flags&callConsistent != 0 && !plant.On(plant.RemoteReadUnsettled)); err != nil {
		return verdictOf(err)
	}
	return answer{body: p.Answer(r.body)}
}

// ask sends a request about a group to a node and returns its answer.
func (c *core) ask(to uint64, method transport.Method, group uint64, flags byte, body []byte, patience time.Duration) (answer, error) {
	request := append(appendRequest(make([]byte, 0, callHeader+len(body)), c.clock.Last(), group, flags), body...)
	return c.await(to, method, request, patience)
}

// A trip is one request on its way to the replica that can answer it: it goes to
// the leader as last known, or to the nearest replica, and learns from each answer
// where to go next.
type trip struct {
	core     *core
	group    uint64
	leader   bool // only the leader will do
	deadline env.Mono
	pause    time.Duration
	turn     int    // replicas that were asked at random
	asked    uint64 // node that was asked last
	unknown  bool   // an earlier attempt may have had an effect
	refused  error  // why the last attempt failed

	mute   []uint64 // nodes that have not answered in time
	muteAt env.Mono // when the last of them had not
	lost   []uint64 // nodes that requests did not get through to; see ask
	around bool     // the last one was to be passed on
}

// How long a request is under way. A call is repeated after callPatience, which is
// about an election; minPause and maxPause are between rounds.
const (
	defaultPatience = 10 * time.Second
	callPatience    = time.Second
	minPause        = 5 * time.Millisecond
	maxPause        = 200 * time.Millisecond
	// hearsay is how long nobody's word counts that a node leads which has just not answered in time. By then
	// the others have noticed, too, if it is gone: they hear of each other several times per election timeout.
	hearsay = 300 * time.Millisecond
)

func (c *core) newTrip(group uint64, leader bool) *trip {
	return &trip{core: c, group: group, leader: leader, deadline: c.env.Now().Add(c.patience), pause: minPause}
}

// ErrUnavailable means that no replica that could answer was found in time. Nothing
// has happened.
var ErrUnavailable = errors.New("table: partition cannot be reached")

// errGone means that no table has the partition any more.
var errGone = errors.New("table: partition is gone")

// again takes note of why an attempt failed, and waits until the next one may be
// worth while. It returns the error that ends the trip.
func (t *trip) again(p *livePartition, err error) error {
	c := t.core
	c.env.Sometimes("table: request is repeated")
	t.refused = err
	t.unknown = t.unknown && !plant.On(plant.UnknownForgotten) || !happenedNot(err)
	isWay := t.noteWay(err)
	if errors.Is(err, transport.ErrTimeout) {
		t.mute, t.muteAt = append(t.mute, t.asked), c.env.Now()
	}
	if p != nil && t.asked != 0 && !isWay {
		p.lead.CompareAndSwap(t.asked, 0)
	}
	if c.closing.Ready() {
		return ErrClosed
	}
	if c.directory.partition(t.group) == nil {
		// It is nowhere for a moment, too, while this node drops its replica.
		if _, s := c.catalog.snapshot().slotOf(t.group); s == nil {
			return errGone
		}
		c.env.Sometimes("table: request meets a replica that is being dropped")
	}
	if errors.Is(err, errNotHere) || t.turn > len(t.replicas(p)) {
		c.doubted.Store(true) // the partition may be elsewhere, or gone
		c.poke()
	}
	now := c.env.Now()
	if now >= t.deadline {
		if t.unknown {
			return fmt.Errorf("%w: %w", replication.ErrUnknownOutcome, err)
		}
		return fmt.Errorf("%w: partition %d: %w", ErrUnavailable, t.group, err)
	}
	// A replica here refuses at once, and so does a partition that is nowhere: without a pause the task would turn in circles.
	if p == nil || t.turn > 0 || t.asked == c.self {
		c.env.Sleep(min(t.pause, t.deadline.Sub(now)))
		t.pause = min(2*t.pause, maxPause)
	}
	return nil
}

// happenedNot reports whether an attempt that failed so had no effect.
func happenedNot(err error) bool {
	if errors.Is(err, replication.ErrUnknownOutcome) {
		return false
	}
	for _, known := range []error{
		transport.ErrUnreachable, replication.ErrNotLeader, replication.ErrStopped, replication.ErrFailed,
		errNotHere, errBehind, vfs.ErrNoSpace,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func (t *trip) replicas(p *livePartition) []uint64 {
	if p == nil {
		return nil
	}
	return p.slot.replicas.members()
}

// aim returns the partition as it is now, and whom to ask; 0 = nobody is known.
func (t *trip) aim() (p *livePartition, to uint64) {
	c := t.core
	p = c.directory.partition(t.group)
	if p == nil {
		return nil, 0
	}
	if t.leader {
		if p.leads() {
			return p, c.self
		}
		if hint := p.lead.Load(); hint != 0 && hint != c.self && !t.isMute(hint, hearsay) {
			return p, hint
		}
		if p.group != nil {
			if hint := p.group.Leader(); hint != 0 && hint != c.self && hint != t.asked && !t.isMute(hint, hearsay) {
				return p, hint
			}
		}
	}
	nodes := c.nearest(t.replicas(p))
	if t.leader && slices.ContainsFunc(nodes, func(id uint64) bool { return !t.isMute(id, callPatience) }) {
		nodes = slices.DeleteFunc(nodes, func(id uint64) bool { return t.isMute(id, callPatience) })
	}
	if len(nodes) == 0 {
		return p, 0
	}
	if c.isStale && !t.leader {
		nodes = leaderLast(p, nodes)
	}
	to = nodes[t.turn%len(nodes)]
	t.turn++
	return p, to
}

// isMute reports whether a node has let this trip wait in vain, less than d ago. Who waits for it
// once more while the others elect a leader finds that one an election timeout too late.
func (t *trip) isMute(id uint64, d time.Duration) bool {
	return slices.Contains(t.mute, id) && t.core.env.Now().Sub(t.muteAt) < d
}

// leaderLast moves the leader of a partition, if it is known, to the end.
func leaderLast(p *livePartition, nodes []uint64) []uint64 {
	leader := p.lead.Load()
	if p.group != nil {
		leader = p.group.Leader()
	}
	if at := slices.Index(nodes, leader); at >= 0 {
		nodes = append(slices.Delete(nodes, at, at+1), leader)
	}
	return nodes
}

// learn keeps who leads, as an answer says.
func (t *trip) learn(p *livePartition, a *answer) {
	if a.leader != 0 && (a.leader != t.asked || a.verdict == verdictDone) {
		p.lead.Store(a.leader)
	}
}

// deliver has a command carried out by whoever leads the group. It repeats it until
// that has happened, so it must be one that has an effect only once. The first
// attempt has been refused for the given reason; nil = there was none.
func (c *core) deliver(group uint64, command []byte, refused error) (*partition.Result, error) {
	t := c.newTrip(group, true)
	if refused != nil {
		if err := t.again(nil, refused); err != nil {
			return nil, err
		}
	}
	for {
		p, to := t.aim()
		r, err := t.propose(p, to, command)
		if err == nil {
			return r, nil
		}
		if err := t.again(p, err); err != nil {
			return nil, err
		}
		if plant.On(plant.RetryUnderNewName) {
			partition.Renew(command, c.requestID(), c.clock.Now())
		}
	}
}

func (t *trip) propose(p *livePartition, to uint64, command []byte) (*partition.Result, error) {
	t.asked = to
	switch {
	case p == nil:
		return nil, errNotHere
	case to == 0:
		return nil, replication.ErrNotLeader
	case to == t.core.self:
		if !p.leads() {
			return nil, replication.ErrNotLeader
		}
		v, err := p.await(p.group.Propose(command))
		if err == nil && p.Err() != nil {
			err = broken(p.Err())
		}
		if err != nil {
			return nil, err
		}
		return v.(*partition.Result), nil
	}
	a, err := t.ask(to, callPropose, 0, command)
	if err != nil {
		return nil, err
	}
	t.learn(p, &a)
	if err := a.err(); err != nil {
		return nil, err
	}
	return partition.DecodeResult(a.body)
}

// atLeader has the leader of the group do something, here if this node is that, else there, and goes on until it has succeeded or
// the leader has refused it.
func (t *trip) atLeader(here func(p *livePartition) error, there func(p *livePartition, to uint64) error) error {
	for {
		p, to := t.aim()
		t.asked = to
		var err error
		switch {
		case p == nil:
			err = errNotHere
		case to == 0 || to == t.core.self && p.group == nil:
			err = replication.ErrNotLeader
		case to == t.core.self:
			err = here(p)
		default:
			err = there(p, to)
		}
		if err == nil || isRefusal(err) {
			return err
		}
		if err := t.again(p, err); err != nil {
			return err
		}
	}
}

// fetch has a read carried out, by the leader if it is to be consistent, else by a
// replica that is near. local carries it out here.
func (c *core) fetch(group uint64, consistent bool, request []byte, local func(p *livePartition) error, read func(answer []byte) error) error {
	t := c.newTrip(group, consistent)
	for {
		p, to := t.aim()
		err := t.read(p, to, consistent, request, local, read)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, partition.ErrDamaged) && len(t.replicas(p)) > 1:
			return t.fetchIntact(consistent, request, local, read, err)
		case isAnswer(err):
			return err
		}
		if err := t.again(p, err); err != nil {
			return err
		}
	}
}

func (t *trip) read(p *livePartition, to uint64, consistent bool, request []byte, local func(p *livePartition) error, read func(answer []byte) error) error {
	t.asked = to
	switch {
	case p == nil:
		return errNotHere
	case to == 0:
		return replication.ErrNotLeader
	case to == t.core.self:
		if p.group == nil {
			return errNotHere
		}
		if err := p.settle(consistent); err != nil {
			return err
		}
		return local(p)
	}
	flags := byte(0)
	if consistent {
		flags = callConsistent
	}
	a, err := t.ask(to, callRead, flags, request)
	if err != nil {
		return err
	}
	t.learn(p, &a)
	if err := a.err(); err != nil {
		return err
	}
	return read(a.body)
}

// isAnswer reports whether an error of a read is what a partition that is up to
// date says, so that it is no use to ask another replica. A node that refused the
// request as a whole (a *transport.RemoteError), or whose clock is not to be believed,
// has said nothing.
func isAnswer(err error) bool {
	var refused *transport.RemoteError
	if errors.As(err, &refused) {
		return false
	}
	for _, elsewhere := range []error{
		transport.ErrUnreachable, transport.ErrTimeout, transport.ErrLost, transport.ErrClosed, errCall, errNotHere, errBehind,
		replication.ErrNotLeader, replication.ErrStopped, replication.ErrFailed, replication.ErrUnknownOutcome,
		partition.ErrNotConfigured, partition.ErrDamaged, txn.ErrAhead,
	} {
		if errors.Is(err, elsewhere) {
			return false
		}
	}
	return true
}
