package env

import "sync"

// A Group owns tasks: it starts them, waits for all of them and keeps the
// first error.
type Group struct {
	e   *Env
	sim *simGroup // nil in production

	wg   sync.WaitGroup
	once sync.Once
	err  error
}

// NewGroup returns an empty group of e's world.
func NewGroup(e *Env) *Group {
	g := &Group{e: e}
	if e.sim != nil {
		g.sim = e.sim.group()
	}
	return g
}

// Go starts f as a task of the group.
func (g *Group) Go(name string, f func() error) {
	if g.sim != nil {
		g.sim.spawn(name, f)
		return
	}
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.once.Do(func() { g.err = err })
		}
	})
}

// Wait parks until every task has returned and returns the first error.
func (g *Group) Wait() error {
	if g.sim != nil {
		return g.sim.wait()
	}
	g.wg.Wait()
	return g.err
}
