package env

// A Group owns tasks: it starts them, waits for all of them and keeps the
// first error.
type Group struct {
	m       monitor
	waiting waitList
	n       int // tasks that have not returned
	err     error
}

// NewGroup returns an empty group of e's world.
func NewGroup(e *Env) *Group { return &Group{m: monitor{e: e}} }

// Go starts f as a task of the group.
func (g *Group) Go(name string, f func() error) {
	g.m.lock()
	g.n++
	g.m.unlock()
	g.m.e.Go(name, func() { g.done(f()) })
}

func (g *Group) done(err error) {
	g.m.lock()
	defer g.m.unlock()
	if g.err == nil {
		g.err = err
	}
	if g.n--; g.n == 0 {
		g.waiting.wakeAll()
	}
}

// Wait parks until every task has returned and returns the first error.
func (g *Group) Wait() error {
	g.m.lock()
	defer g.m.unlock()
	for g.n > 0 {
		g.m.wait(&g.waiting, never, "group")
	}
	return g.err
}
