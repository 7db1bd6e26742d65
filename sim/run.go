package sim

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// A Result is what a run came to.
type Result struct {
	Seed        uint64
	Plan        *Plan
	Hash        uint64   // equal for equal runs
	Checkpoints []uint64 // of the hash, one every 1,024 steps
	Err         error    // nil: everything that clients saw can be explained
	History     *History
	Lists       ListHistory // of the transactors
	ledger      *ledger
	AtRest      bool     // what was found was found after the clients' work
	Until       Duration // if not: when, as a time of the plan
	Insisted    int      // requests of clients that may not see an error
	Crashes     int
	Faults      map[string]int // how often each fault came to something
	Fates       []Fate         // of the faults of the plan, in its order
	Marks       map[env.Mark]uint64
	Steps       uint64
	Virtual     time.Duration
	Moments     []Moment // what a picture of the run shows
	Letters     []Letter // of Options.Picture: messages between nodes
}

func (r Result) String() string {
	return fmt.Sprintf("seed=%d hash=%016x nodes=%d done=%d refused=%d failed=%d unknown=%d crashes=%d steps=%d t=%s",
		r.Seed, r.Hash, len(r.Plan.Nodes), r.History.Count(Done), r.History.Count(Refused), r.History.Count(Failed), r.History.Count(Unknown),
		r.Crashes, r.Steps, r.Virtual.Round(time.Millisecond))
}

// A run is the world of one plan.
type run struct {
	plan     *Plan
	stack    stack
	world    *env.World
	clients  *env.Env // the clients' node, which has no faults
	nodes    []*node
	net      *transport.Network // nil for one node
	unheard  int                // messages of which a part was lost; see doGroupDeaf
	reigns   int                // of all groups, so far
	jitter   *jitter
	watches  []*snapshotWatch
	caught   []*transactionWatch
	struck   struck
	joins    uint64 // nodes that wanted to join
	lacking  bool   // a node is without what it has promised to keep; see claim
	losing   bool   // for good; see mayLose
	strained int    // faults of disks that may cost replicas; see strain

	consensus   *consensus
	convergence convergence

	history History
	ledger  ledger

	coordinator *node      // whoever began a transaction last
	tasks       *env.Group // clients and faults

	began   env.Mono // when the times of the plan begin
	ending  bool
	active  int      // faults in force
	healed  env.Mono // when the last of them was over
	calming int      // calms under way: no fault begins
	cold    []string // cold keys that were put
	lastID  int
	err     error // the first thing that must not happen

	picture  bool
	letters  []Letter
	probes   int
	failedAt env.Mono // when err was found
	atRest   bool     // it was after the clients' work
	brief    bool     // the run ends with the clients' work
	insisted int      // requests of clients that insist
	indexed  int      // entries of global indexes that were shown to clients
	churner  *churner
	expirer  *expirer
	fired    map[string]int
	fates    map[*Fault]*Fate
	moments  []Moment
}

// running serialises runs: the source of raft's jitter is a variable of the
// process.
var running sync.Mutex

// Run runs the plan of a seed to its end.
func Run(seed uint64, o Options) Result { return RunPlan(NewPlan(seed, o), o) }

// RunPlan runs a plan to its end. Of the options only Trace matters.
func RunPlan(p *Plan, o Options) Result {
	running.Lock()
	defer running.Unlock()
	if err := p.check(); err != nil {
		return Result{Seed: p.Seed, Plan: p, Err: fmt.Errorf("sim: plan: %w", err), History: &History{}}
	}
	r := newRun(p, o)
	r.brief = o.Brief
	defer r.world.Close()
	defer replaceReader(r.jitter)()
	defer partition.Tune(p.Knobs.Window, p.Knobs.Shown, p.Knobs.Chunk)()
	r.watch(0)
	r.checkAgain(p.checkInterval())
	err := r.world.Do(r.clients, "story", r.story)
	return r.result(errors.Join(err, r.err))
}

func newRun(p *Plan, o Options) *run {
	wo := p.worldOptions()
	wo.Trace = o.Trace
	w := env.NewWorld(p.Seed, wo)
	r := &run{
		plan: p, stack: stacks[p.Stack], world: w, clients: w.NewNode("clients"),
		jitter: newJitter(w), fired: map[string]int{}, fates: map[*Fault]*Fate{},
	}
	r.history.Clock, r.history.inLedger, r.history.report = w.Now, r.ledger.noteGroup, r.fail
	r.picture = o.Picture
	r.consensus = newConsensus(r.fail)
	r.consensus.commit = func(group uint64, command []byte, result any) {
		r.history.Applied(group, command, result)
		r.onTransaction(group, command)
	}
	r.consensus.forgives = func(node string) bool { return p.Knobs.syncMode() != replication.SyncAlways || r.lies(node) }
	r.consensus.broken = func(id uint64) bool { return r.nodes[id-1].broken }
	r.consensus.wanted = r.wants
	r.consensus.reuses = len(p.Nodes) == 1
	r.consensus.now = w.Now
	r.consensus.noLeases = p.breaksLeases()
	r.convergence = convergence{r, map[position]witnessed{}, map[*partition.Config][]foreignKey{}}
	r.tasks = env.NewGroup(r.clients)
	if len(p.Nodes) > 1 {
		links := p.Links.options()
		links.Hook, links.Without = r.onMessage, r.withoutGroup
		r.net = transport.NewNetwork(w, links)
		r.history.replicated, r.history.leasesBroken = true, p.breaksLeases()
	}
	for i := range p.Nodes {
		r.nodes = append(r.nodes, r.newNode(i+1, p.Nodes[i]))
	}
	return r
}

// story is the main task: start, trouble, calm, verdict.
func (r *run) story() {
	for _, n := range r.nodes {
		n.start(n.env)
	}
	r.awaitAll()
	r.stack.create(r)
	r.began = r.clients.Now()
	r.startClients()
	r.startTransactors()
	r.startSteps()
	r.startNemesis()
	r.clients.Go("compare", func() {
		for interval := r.plan.checkInterval(); !r.ending; r.compareReplicas() {
			r.clients.Sleep(interval)
		}
	})
	r.clients.Sleep(r.plan.For.Std())
	r.ending = true
	if r.brief {
		return
	}
	_ = r.tasks.Wait()
	r.demandFates()
	r.heal()
	r.stack.verify(r)
	r.restartAll()
	r.stack.verify(r)
	if r.plan.Rot != 0 {
		r.rot()
	}
}

// maxSteps is how many steps a second of virtual time may take, one a microsecond at
// most, before something must be turning in circles.
const maxSteps = 400_000

// watch ends a run in which tasks turn in circles: it would take for ever.
func (r *run) watch(before uint64) {
	r.world.After(time.Second, func() {
		steps := r.world.Steps()
		if steps-before < maxSteps {
			r.watch(steps)
			return
		}
		r.fail(found(Progress, fmt.Errorf("sim: something turns in circles: %d steps in the last second", steps-before)))
	})
}

// checkInterval is the time between two looks at the history. They cost as much as
// what is in it, so there are few.
func (p *Plan) checkInterval() time.Duration { return p.For.Std() / 8 }

// glance is how many steps a search takes while a run goes on. What is not decided
// by then is at its end.
const glance = 100_000

// checkAgain looks again and again whether what clients have seen so far can be
// explained: a history that cannot be now, never can.
func (r *run) checkAgain(interval time.Duration) {
	r.world.After(interval, func() {
		var violation *Violation
		if err := r.history.check(glance); errors.As(err, &violation) {
			r.fail(err)
			return
		}
		if err := r.ledger.check(glance); err != nil && !errors.As(err, new(*UndecidedError)) {
			r.fail(err)
			return
		}
		r.checkAgain(interval)
	})
}

// heal brings up whatever is down and demands that everything works again.
func (r *run) heal() {
	for _, n := range r.nodes {
		n.restart()
	}
	r.calm()
	r.stack.awake(r)
	r.stack.settle(r)
}

// restartAll closes all nodes in an orderly way, and starts them on what they
// have left.
func (r *run) restartAll() {
	for _, n := range r.nodes {
		n.close()
	}
	for _, n := range r.nodes {
		n.restart()
	}
	r.awaitAll()
	r.stack.awake(r)
}

func (r *run) awaitAll() {
	for _, n := range r.nodes {
		n.await()
	}
}

// inTask runs f as a task of the node, and waits for what it returns. It reports
// false if the node crashes before that, or is down.
func (r *run) inTask(n *node, name string, f func(s *server) error) (answered bool, err error) {
	s := n.server
	if s == nil || !r.world.Up(n.name) {
		return false, nil
	}
	reply := env.NewFuture[struct{}](r.clients)
	s.e.Go(name, func() { reply.Set(struct{}{}, f(s)) })
	for n.server == s {
		if _, err, ok := reply.AwaitFor(10 * time.Millisecond); ok {
			return true, err
		}
	}
	return false, nil
}

// demand runs a check as a task of the node and keeps what it finds.
func (r *run) demand(by Checker, n *node, name string, f func(s *server) error) {
	answered, err := r.inTask(n, name, f)
	if !answered {
		err = fmt.Errorf("node %s is down", n.name)
	}
	if err != nil {
		r.fail(found(by, fmt.Errorf("sim: after all faults were over: %w", err)))
	}
}

// readAll reads every key that was ever written: what was acknowledged must be
// there.
func (r *run) readAll() {
	c := r.newClient(&ClientPlan{Node: 1, Roams: true, Patience: Duration(probeLimit)}, "reader")
	keys := r.cold
	for i := range hotHashes * hotRanges {
		keys = append(keys, hotKey(i))
	}
	for _, key := range keys {
		o := &Operation{Client: c.id, Key: key, Kind: Get}
		c.single(o)
		if o.Outcome != Done && r.err == nil && !r.rotten() {
			r.fail(found(Loss, fmt.Errorf("sim: after all faults were over: %s", o)))
		}
	}
}

func (r *run) newID() int {
	r.lastID++
	return r.lastID
}

// fail keeps the first violation, and ends the run: what comes after it says no more.
func (r *run) fail(err error) {
	if r.isRot(err) {
		r.world.Note("damage found: %v", err)
		r.fire("bit rot found")
		return
	}
	r.world.Note("violation: %v", err)
	if r.err == nil {
		r.err, r.failedAt, r.atRest = err, r.world.Now(), r.ending
		r.world.Halt()
	}
}

// lies reports whether the disk of a node may lose what it has synced.
func (r *run) lies(name string) bool {
	return slices.ContainsFunc(r.nodes, func(n *node) bool { return n.name == name && (n.lied || n.rot != "") })
}

// fire counts that a fault came to something.
func (r *run) fire(name string) { r.fired[name]++ }

func (r *run) result(err error) Result {
	if err == nil {
		err = r.history.Check()
	}
	if err == nil {
		err = r.ledger.check(stepBudget)
	}
	if err == nil && r.history.Count(Done) == 0 && r.plan.Requests() > 0 {
		err = errors.New("sim: nothing was done")
	}
	until, atRest := r.foundAt(err)
	r.noteOwnSplits()
	crashes := 0
	for _, n := range r.nodes {
		crashes += n.crashes
	}
	return Result{
		Seed: r.plan.Seed, Plan: r.plan, Hash: r.world.Hash(), Checkpoints: r.world.Checkpoints(), Err: err, History: &r.history, Lists: r.ledger.lists,
		ledger: &r.ledger,
		AtRest: atRest, Until: until, Insisted: r.insisted, Crashes: crashes, Faults: r.fired, Fates: r.settleFates(), Marks: r.world.Marks(),
		Steps: r.world.Steps(), Virtual: time.Duration(r.world.Now()), Moments: r.moments, Letters: r.letters,
	}
}

// foundAt returns when what a run has come to was there to be found, as a time of the
// plan, and whether that was after the clients' work.
func (r *run) foundAt(err error) (at Duration, atRest bool) {
	var failure *env.Failure
	var violation *Violation
	switch {
	case errors.As(err, &failure):
		at = Duration(failure.Time - r.began)
	case errors.As(err, &violation) && violation.Answer != nil:
		at = Duration(violation.Answer.Ended - r.began)
	case r.err != nil:
		return Duration(r.failedAt - r.began), r.atRest
	default:
		return r.plan.For, true
	}
	return at, at > r.plan.For
}

// Requests counts those of all clients.
func (p *Plan) Requests() (n int) {
	for i := range p.Clients {
		n += len(p.Clients[i].Ops)
	}
	return n
}

// AllRequests counts those of clients and of transactors.
func (p *Plan) AllRequests() int {
	n := p.Requests()
	for i := range p.Transactors {
		n += len(p.Transactors[i].Ops)
	}
	return n
}

// A Letter is a message between nodes that arrived or did not.
type Letter struct {
	At       env.Mono // when it arrived, or when it was clear that it does not
	From, To int
	Lane     transport.Lane
	Fate     transport.Fate
}

// maxLetters is how many a picture has; the page must still open.
const maxLetters = 20_000

func (r *run) keepLetter(e transport.Event) {
	if r.picture && len(r.letters) < maxLetters && e.Fate != transport.Doubled && e.Fate != transport.Delayed {
		r.letters = append(r.letters, Letter{e.At, int(e.From), int(e.To), e.Lane, e.Fate})
	}
}

// A Moment is something that a picture of a run shows: a node that came up or went
// down, a fault that began or ended, a leader.
type Moment struct {
	At   env.Mono
	Kind string // up, down, fault, over, leads, yields
	Node string
	Text string
}

func (r *run) moment(kind, node, text string) {
	r.moments = append(r.moments, Moment{r.world.Now(), kind, node, text})
}

// crashModes names what a power cut leaves of a disk.
var crashModes = map[string]vfs.CrashMode{
	"":     vfs.LoseAll,
	"keep": vfs.KeepAll, "lose": vfs.LoseAll, "prefix": vfs.KeepPrefix, "tear": vfs.TearSectors, "garbage": vfs.TearGarbage,
	"lose, any directories": vfs.LoseAll | vfs.AnyDirs, "prefix, any directories": vfs.KeepPrefix | vfs.AnyDirs,
	"tear, any directories": vfs.TearSectors | vfs.AnyDirs, "garbage, any directories": vfs.TearGarbage | vfs.AnyDirs,
}

// powerCuts are those among them that a power cut may come to.
var powerCuts = []string{
	"lose", "prefix", "tear", "garbage",
	"lose, any directories", "prefix, any directories", "tear, any directories", "garbage, any directories",
}

func modeOf(name string) (vfs.CrashMode, error) {
	mode, ok := crashModes[name]
	if !ok {
		return 0, fmt.Errorf("there is no mode of a power cut %q", name)
	}
	return mode, nil
}

func mustMode(name string) vfs.CrashMode {
	mode, err := modeOf(name)
	if err != nil {
		panic(err) // check has seen to it
	}
	return mode
}

func (l *Links) options() (o transport.NetworkOptions) {
	for class, d := range map[transport.Class]Delay{transport.SameZone: l.Zone, transport.InterZone: l.Region, transport.InterRegion: l.World} { //sim:ok each has its place
		o.Qualities[class] = transport.Quality{Base: d.Base.Std(), MaxBase: 2 * d.Base.Std(), Tail: d.Tail.Std()}
	}
	return o
}
