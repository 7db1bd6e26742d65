package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
)

// A Result is what a run came to.
type Result struct {
	Seed    uint64
	Hash    uint64 // equal for equal runs
	Config  string
	Err     error // nil: everything that clients saw can be explained
	History *History
	Crashes int
	Faults  map[string]int // how often each fault was provoked
	Marks   map[env.Mark]uint64
	Steps   uint64
	Virtual time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("seed=%d hash=%016x done=%d refused=%d failed=%d unknown=%d crashes=%d steps=%d t=%s",
		r.Seed, r.Hash, r.History.Count(Done), r.History.Count(Refused), r.History.Count(Failed), r.History.Count(Unknown),
		r.Crashes, r.Steps, r.Virtual.Round(time.Millisecond))
}

// A run is the world of one seed.
type run struct {
	config  config
	world   *env.World
	clients *env.Env // the clients' node, which has no faults
	disk    *vfs.Disk
	jitter  *jitter
	chance  *rand.Rand // of the nemesis
	latency *rand.Rand
	history History
	tasks   *env.Group // clients and nemesis

	consensus *consensus

	server *server // nil while the node is down or starting
	ending bool
	cold   []string // cold keys that were put
	lastID int
	err    error // the first thing that must not happen

	down      bool          // the node has refused to start
	full      bool          // the disk is
	mode      vfs.CrashMode // of the crash under way
	rotten    string        // the file that was damaged, "" if none
	failAfter int           // syncs until one fails; 0: none
	slow      int           // factor of the disk's latency
	crashes   int
	probes    int
	fired     map[string]int
}

// running serialises runs: the source of raft's jitter is a variable of the
// process.
var running sync.Mutex

// Run runs the world of the seed to its end.
func Run(seed uint64, o Options) Result {
	running.Lock()
	defer running.Unlock()
	r := newRun(seed, o)
	defer r.world.Close()
	defer replaceReader(r.jitter)()
	if o.Duration == 0 {
		o.Duration = 3 * time.Second
	}
	err := r.world.Do(r.clients, "story", func() { r.story(o.Duration) })
	return r.result(seed, errors.Join(err, r.err))
}

func newRun(seed uint64, o Options) *run {
	// The world's own choices do not depend on the config's draws.
	config := drawConfig(rand.New(rand.NewPCG(seed, 0xc0f19)), o)
	w := env.NewWorld(seed, env.Options{Policy: config.policy, Trace: o.Trace, Limit: 10 * time.Minute})
	r := &run{
		config: config, world: w, disk: vfs.NewDisk(seed), clients: w.NewNode("clients"),
		jitter: &jitter{world: w, streams: map[replication.GroupID]*rand.Rand{}},
		chance: w.Stream("nemesis"), latency: w.Stream("latency"),
		slow: 1, fired: map[string]int{},
	}
	w.Note("%s", config)
	r.tasks = env.NewGroup(r.clients)
	r.consensus = newConsensus(r.fail)
	r.consensus.commit = r.history.Applied
	r.history.Clock = w.Now
	r.disk.OnOp(r.onDisk)
	r.disk.SetLying(o.LyingDisk)
	return r
}

// story is the main task: start, trouble, calm, verdict.
func (r *run) story(d time.Duration) {
	e := r.world.NewNode(serverName)
	r.world.OnCrash(serverName, func() { r.disk.Crash(r.mode) })
	r.start(e)
	r.awaitServer()
	r.createTable()
	r.startClients()
	r.startChurn()
	r.startExpiry()
	r.startNemesis()
	r.clients.Sleep(d)
	r.ending = true
	_ = r.tasks.Wait()
	r.restart()
	r.readAll()
	r.checkIndexes()
	r.checkCounters()
	r.close()
	r.restart()
	r.readAll()
	r.checkIndexes()
	if r.config.rot {
		r.rot()
	}
}

func (r *run) createTable() {
	done := env.NewFuture[error](r.clients)
	s := r.server
	s.e.Go("create table", func() {
		_, err := s.tables.Create(definition(r.config.partitions, r.config.facets))
		done.Set(err, nil)
	})
	if err, _ := done.Await(); err != nil {
		r.fail(found(Unexpected, fmt.Errorf("sim: create table: %w", err)))
	}
}

// start opens the node in a task of its own.
func (r *run) start(e *env.Env) {
	r.down = false
	e.Go("boot", func() {
		s, err := r.boot(e)
		if err != nil {
			r.down = true
			if r.full && errors.Is(err, vfs.ErrNoSpace) {
				return
			}
			r.fail(found(Boot, fmt.Errorf("sim: the node does not start: %w", err)))
			return
		}
		r.server = s
		r.history.Settle()
	})
}

// restart brings the node up, if it is down, and waits until it serves.
func (r *run) restart() { r.restartWith(func() {}) }

func (r *run) restartWith(before func()) {
	if !r.world.Up(serverName) {
		before()
		r.start(r.world.Restart(serverName))
	}
	r.awaitServer()
}

// awaitServer waits until the node serves or has crashed.
func (r *run) awaitServer() {
	for r.server == nil && r.world.Up(serverName) && !r.down {
		r.clients.Sleep(time.Millisecond)
	}
}

// readAll reads every key that was ever written: what was acknowledged must be
// there.
func (r *run) readAll() {
	c := &client{run: r, id: r.newClient(), knows: map[string]string{}}
	keys := r.cold
	for i := range hotHashes * hotRanges {
		keys = append(keys, hotKey(i))
	}
	for _, key := range keys {
		o := &Operation{Client: c.id, Key: key, Kind: Get}
		c.single(o)
		if o.Outcome != Done && r.err == nil && r.rotten == "" {
			r.fail(found(Loss, fmt.Errorf("sim: after all faults were over: %s", o)))
		}
	}
}

// close closes the node and switches it off.
func (r *run) close() {
	s, done := r.server, env.NewFuture[error](r.clients)
	if s == nil {
		return
	}
	s.e.Go("close", func() { done.Set(s.close(), nil) })
	if err, _ := done.Await(); err != nil {
		r.fail(found(Unexpected, fmt.Errorf("sim: close: %w", err)))
	}
	r.crash(vfs.LoseAll)
}

func (r *run) newClient() int {
	r.lastID++
	return r.lastID
}

// fail keeps the first violation.
func (r *run) fail(err error) {
	if r.isRot(err) {
		r.world.Note("damage found: %v", err)
		r.fired["bit rot found"]++
		return
	}
	r.world.Note("violation: %v", err)
	if r.err == nil {
		r.err = err
	}
}

func (r *run) result(seed uint64, err error) Result {
	if err == nil {
		err = r.history.Check()
	}
	if err == nil && r.history.Count(Done) == 0 {
		err = errors.New("sim: nothing was done")
	}
	return Result{
		Seed: seed, Hash: r.world.Hash(), Config: r.config.String(), Err: err, History: &r.history,
		Crashes: r.crashes, Faults: r.fired, Marks: r.world.Marks(),
		Steps: r.world.Steps(), Virtual: time.Duration(r.world.Now()),
	}
}
