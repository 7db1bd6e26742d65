package simtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/sim"
)

// A driver makes one clock of two: that of the simulated world, and that of the synctest
// bubble in which the user's goroutines run.
//
//  1. Wait until all goroutines of the user wait: for a request, for time, for each other.
//  2. Run the world until its clock shows what the bubble's does.
//  3. Give the requests that were made to the world, as tasks of its clients, in an order
//     that does not depend on the scheduler: by the task of Go that made them.
//  4. Run the world as long as it can run without waiting, or until a request is answered.
//  5. If one is: let the bubble's clock catch up with the world's, release the goroutine
//     that waits for it, that one alone, and begin again.
//  6. Else sleep, by the bubble's clock, until the world's next timer or until somebody
//     makes a request, and begin again.
//
// Invariant: the world runs only while all of the user's goroutines wait, and its clock is
// never behind the bubble's when it runs, and ahead by a few steps of a microsecond at most.
type driver struct {
	cluster *sim.Cluster
	world   *env.World
	limit   time.Duration
	base    time.Time // the bubble's time when the world's was 0

	mu   sync.Mutex
	made []*call // since the driver has looked
	over error   // not nil: nothing is carried out any more

	open  []*call // under way in the world
	ready []*call // answered, in the order in which they were
	wake  chan struct{}
	quit  chan struct{}
	ended chan struct{}
}

// A call is something that a goroutine waits for.
type call struct {
	task int    // number of the task of Go that makes it, 0: Run's function
	name string // for traces, and for an order
	f    func() // runs as a task of the clients
	done chan struct{}
}

// taskKey is the context key of a task's number.
type taskKey struct{}

// begin is what the clock shows when a world begins: see env, which begins then, too.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newDriver(c *sim.Cluster, limit time.Duration) *driver {
	return &driver{
		cluster: c, world: c.World(), limit: limit,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{}),
	}
}

// start boots the cluster and begins to drive it.
func (d *driver) start() error {
	time.Sleep(time.Until(begin))
	d.base = begin
	var err error
	d.cluster.Drive(func() { err = d.world.Do(d.cluster.Clients(), "boot", d.cluster.Boot) })
	if err = cmp.Or(d.cluster.Err(), err); err != nil {
		d.end(err)
		close(d.ended)
		return err
	}
	go d.run()
	return nil
}

// stop ends the driver. Nothing is carried out any more.
func (d *driver) stop() {
	close(d.quit)
	<-d.ended
}

// do has the world carry out f as a task of its clients, and waits. An error says that f
// has not ended, whether because of the context or because the world is over.
func (d *driver) do(ctx context.Context, name string, f func()) error {
	task, _ := ctx.Value(taskKey{}).(int)
	c := &call{task: task, name: name, f: f, done: make(chan struct{})}
	d.mu.Lock()
	if d.over != nil {
		defer d.mu.Unlock()
		return d.over
	}
	d.made = append(d.made, c)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
	select {
	case <-c.done:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.over
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *driver) run() {
	defer close(d.ended)
	for {
		synctest.Wait()
		select {
		case <-d.quit:
			return
		default:
		}
		err := d.advance()
		switch {
		case err != nil:
			d.end(err)
			<-d.quit
			return
		case len(d.ready) > 0:
			d.release()
		default:
			d.pause()
		}
	}
}

// advance is steps 2 to 4.
func (d *driver) advance() (err error) {
	d.mu.Lock()
	made := d.made
	d.made = nil
	d.mu.Unlock()
	slices.SortStableFunc(made, func(a, b *call) int { return cmp.Or(cmp.Compare(a.task, b.task), cmp.Compare(a.name, b.name)) })
	d.cluster.Drive(func() {
		if err = d.world.Run(env.Mono(time.Since(d.base))); err != nil {
			return
		}
		for _, c := range made {
			d.open = append(d.open, c)
			d.cluster.Clients().Go(c.name, func() {
				c.f()
				d.ready = append(d.ready, c)
			})
		}
		err = d.world.RunReady(func() bool { return len(d.ready) > 0 })
	})
	switch {
	case err != nil:
	case d.world.Halted():
		err = cmp.Or(d.cluster.Err(), errHalted)
	case time.Duration(d.world.Now()) > d.limit:
		err = fmt.Errorf("the test has not ended after %s of simulated time; see Limit", d.limit)
	}
	return err
}

var errHalted = errors.New("the world stands still")

// release is step 5.
func (d *driver) release() {
	c := d.ready[0]
	d.ready = slices.Delete(d.ready, 0, 1)
	d.open = slices.DeleteFunc(d.open, func(o *call) bool { return o == c })
	time.Sleep(time.Until(d.base.Add(time.Duration(d.world.Now()))))
	close(c.done)
}

// pause is step 6.
func (d *driver) pause() {
	next, ok := d.world.NextTimer()
	if !ok {
		next = env.Mono(d.limit) + 1
	}
	timer := time.NewTimer(time.Until(d.base.Add(time.Duration(next))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.wake:
	case <-d.quit:
	}
}

// end refuses what is under way and all that comes.
func (d *driver) end(err error) {
	d.mu.Lock()
	d.over = err
	open := slices.Concat(d.open, d.ready, d.made)
	d.open, d.ready, d.made = nil, nil, nil
	d.mu.Unlock()
	closed := map[*call]bool{}
	for _, c := range open {
		if !closed[c] {
			closed[c] = true
			close(c.done)
		}
	}
}
