package simtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statordb/stator/sim"
)

// SeedVariable is the environment variable that overrides the seeds given to New: a
// failure says how to set it.
const SeedVariable = "SIMTEST_SEED"

// A Cluster is a simulated cluster for one test. Its methods are for use within Run, and
// may be called by several goroutines.
type Cluster struct {
	t    *testing.T
	seed uint64
	o    options

	world   *sim.Cluster
	driver  *driver
	history *history
	tasks   int // that Go has started
	calls   int // HTTPClient's calls
	sources int // of tokens
	checked bool
	told    bool // how to repeat it
}

type options struct {
	nodes, zones int
	faults       []string
	drawn        bool
	faultsFor    time.Duration
	limit        time.Duration
	trace        io.Writer
}

// An Option changes the world of New.
type Option func(*options)

// Nodes sets how many nodes there are; default 3, in as many zones, at most three.
func Nodes(n int) Option { return func(o *options) { o.nodes = n } }

// Zones sets how many zones the nodes are in, which are called a, b, c and so on.
func Zones(n int) Option { return func(o *options) { o.zones = n } }

// Faults lets the seed draw faults of these kinds, or of any kind if none is named, from
// when Run begins its function. "stator sim list" names them; of some the seed draws none.
func Faults(kinds ...string) Option {
	return func(o *options) { o.drawn, o.faults = true, kinds }
}

// FaultsFor is how long drawn faults go on, by the simulated clock. Default one minute.
func FaultsFor(d time.Duration) Option { return func(o *options) { o.faultsFor = d } }

// Limit is how long Run may take by the simulated clock; default 10 minutes. Then all
// requests fail, with the test.
func Limit(d time.Duration) Option { return func(o *options) { o.limit = d } }

// Trace has every step of the world written to w.
func Trace(w io.Writer) Option { return func(o *options) { o.trace = w } }

// New returns a cluster that is a function of the seed. Run starts it.
func New(t *testing.T, seed uint64, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, seed: seed, o: options{nodes: 3, faultsFor: time.Minute, limit: 10 * time.Minute}}
	for _, option := range opts {
		option(&c.o)
	}
	if text := os.Getenv(SeedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("simtest: %s: %v", SeedVariable, err)
		}
		c.seed = n
	}
	known := sim.Kinds()
	for _, name := range c.o.faults {
		if !slices.ContainsFunc(known, func(k sim.KindInfo) bool { return k.Name == name }) {
			t.Fatalf("simtest: there is no fault %q; 'stator sim list' names them", name)
		}
	}
	return c
}

// Each runs a test for the seeds 1 to n, as subtests.
func Each(t *testing.T, n int, test func(t *testing.T, seed uint64)) {
	t.Helper()
	for seed := uint64(1); seed <= uint64(n); seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { test(t, seed) })
	}
}

// Run starts the cluster and calls f in its world, once. When f has returned, all faults
// end, everything must work again, and the history of f's calls is checked; see Check.
// The context ends with the test.
func (c *Cluster) Run(f func(ctx context.Context)) {
	c.t.Helper()
	o := sim.Options{Nodes: c.o.nodes, Zones: c.o.zones, Duration: c.o.faultsFor, Faults: c.o.faults, Calm: !c.o.drawn, Trace: c.o.trace}
	world, err := sim.NewCluster(sim.GuestPlan(c.seed, o), o)
	if err != nil {
		c.t.Fatalf("simtest: %v", err)
	}
	synctest.Test(c.t, func(t *testing.T) { c.run(t, world, f) })
}

// run is Run within the bubble.
func (c *Cluster) run(t *testing.T, world *sim.Cluster, f func(ctx context.Context)) {
	outer := c.t
	c.t, c.world, c.history = t, world, newHistory()
	c.driver = newDriver(world, c.o.limit)
	world.OnApplied(c.history.applied)
	defer func() { // also if t.Fatal ends the goroutine
		if (t.Failed() || outer.Failed()) && !c.told { // f has most likely the outer one
			outer.Log("simtest: " + c.replay())
		}
		c.driver.stop()
		world.Close()
		c.t = outer
	}()
	if err := c.driver.start(); err != nil {
		c.fail(err)
		return
	}
	f(context.WithValue(t.Context(), taskKey{}, 0))
	if !c.checked {
		c.Check()
	}
}

// Check ends all faults, waits until everything works again, reads every item that was
// written, and checks whether there is an order of all calls so far in which each takes
// effect between its begin and its answer and that explains every answer. If there is
// none the test fails, with the item, its last operations and the seed.
//
// What it follows: GetItem, PutItem, UpdateItem, DeleteItem, BatchGetItem, BatchWriteItem,
// TransactGetItems and TransactWriteItems, each item by itself, and the rows of consistent
// queries and scans of tables. Eventually consistent reads may show what was, and are not
// checked. A table that other operations write to is left out from then on, as is one with a
// time to live.
func (c *Cluster) Check() {
	c.t.Helper()
	c.checked = true
	err := c.driver.do(context.Background(), "heal", func() { c.world.Heal() })
	if err == nil {
		err = c.readBack()
	}
	if err = errors.Join(err, c.world.Err()); err == nil {
		err = c.history.check()
	}
	var undecided *undecidedError
	switch {
	case errors.As(err, &undecided):
		c.t.Logf("simtest: %v", err)
	case err != nil:
		c.fail(err)
	}
	for _, text := range c.history.notes() {
		c.t.Log("simtest: " + text)
	}
}

// fail fails the test and says how to repeat it.
func (c *Cluster) fail(err error) {
	c.t.Helper()
	c.told = true
	c.t.Errorf("simtest: %v\n%s", err, c.replay())
}

// replay says which faults there were, and how to repeat the test.
func (c *Cluster) replay() string {
	name := strings.Split(c.t.Name(), "/")
	for i, part := range name {
		name[i] = "^" + part + "$"
	}
	return fmt.Sprintf("faults: %v\nreplay: %s=%d go test -run '%s'", c.world.Fired(), SeedVariable, c.seed, strings.Join(name, "/"))
}

// readBack reads all items that calls have written.
func (c *Cluster) readBack() error {
	for _, r := range c.history.reads() {
		err := c.driver.do(context.Background(), "read back", func() { c.exchange(r, 0) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Go starts f in a goroutine, which runs when the others wait. The context is for f's
// requests: it says whose they are, so that equal runs stay equal. Run's function waits
// for f, with a sync.WaitGroup for example, or through the channel that Go returns.
func (c *Cluster) Go(ctx context.Context, f func(ctx context.Context)) (done <-chan struct{}) {
	c.driver.mu.Lock()
	c.tasks++
	ctx = context.WithValue(ctx, taskKey{}, c.tasks)
	c.driver.mu.Unlock()
	over := make(chan struct{})
	go func() {
		defer close(over)
		if c.driver.do(ctx, "go", func() {}) == nil {
			f(ctx)
		}
	}()
	return over
}

// Sleep waits, as time.Sleep does.
func (c *Cluster) Sleep(d time.Duration) { time.Sleep(d) }

// Now is what the simulated clock shows, as time.Now does.
func (c *Cluster) Now() time.Time { return time.Now() }

// Hash is a digest of all that has happened in the world. Runs of one seed and one code
// have the same.
func (c *Cluster) Hash() uint64 { return c.world.World().Hash() }

// Fired tells how often each kind of fault has come to something.
func (c *Cluster) Fired() map[string]int { return c.world.Fired() }

// Nodes returns how many nodes there are. They are numbered from 1.
func (c *Cluster) Nodes() int { return len(c.world.Plan().Nodes) }
