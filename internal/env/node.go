package env

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

// A simHost is a simulated machine: it keeps its name and its clocks when the
// node on it crashes and is started again.
type simHost struct {
	name    string
	node    *simNode // the latest life
	lives   int
	isPause bool
	onCrash []func()
	resumed []func()

	// The clocks run at 1 + ppm/1e6 of true time since base.
	ppm      int64
	base     int64 // true time
	monoBase int64 // what the host's monotonic clock said at base
	wallBase int64 // what its wall clock said at base
}

// epoch is the wall clock of an exact host at true time zero:
// 2026-01-01T00:00:00Z.
const epoch = 1_767_225_600 * int64(time.Second)

// A simNode is one life of a node, from its start to its crash; Env.sim.
type simNode struct {
	w      *World
	host   *simHost
	dead   bool
	began  int64 // the host's monotonic clock at the start
	tasks  []*task
	held   []*task // runnable but for the pause
	stream *rand.Rand
}

// NewNode adds a node of that name, which is up, and returns its Env.
func (w *World) NewNode(name string) *Env {
	if w.hosts[name] != nil {
		panic(fmt.Sprintf("env: second node %s", name))
	}
	h := &simHost{name: name, base: w.clock, wallBase: epoch + w.clock}
	w.hosts[name] = h
	w.order = append(w.order, h)
	return w.boot(h)
}

func (w *World) boot(h *simHost) *Env {
	h.lives++
	h.node = &simNode{
		w: w, host: h, began: h.mono(w.clock),
		stream: w.Stream(fmt.Sprintf("node/%s/%d", h.name, h.lives)),
	}
	return &Env{sim: h.node}
}

func (w *World) host(name string) *simHost {
	h := w.hosts[name]
	if h == nil {
		panic(fmt.Sprintf("env: no node %s", name))
	}
	return h
}

// OnCrash has f called whenever the named node crashes, at that moment, before
// any of its tasks unwinds: the place to crash its disk.
func (w *World) OnCrash(name string, f func()) {
	h := w.host(name)
	h.onCrash = append(h.onCrash, f)
}

// Crash ends all tasks of the named node as a power cut would: nothing that
// they do from now on reaches the world. If a task of the node itself calls
// it, it does not return.
func (w *World) Crash(name string) {
	w.host(name).node.crash()
	w.enter()
}

func (n *simNode) crash() {
	if n.dead {
		return
	}
	n.w.Note("crash %s", n.host.name)
	n.kill()
	for _, f := range n.host.onCrash {
		f()
	}
}

// kill condemns the tasks; clear unwinds them.
func (n *simNode) kill() {
	if n.dead {
		return
	}
	n.dead = true
	for _, t := range n.tasks {
		t.killed = true
	}
	n.w.crashed = append(n.w.crashed, n)
}

// clear unwinds the tasks of crashed nodes, in the order of their ids.
func (w *World) clear() {
	for len(w.crashed) > 0 {
		n := w.crashed[0]
		w.crashed = w.crashed[1:]
		w.runnable = slices.DeleteFunc(w.runnable, func(t *task) bool { return t.node == n })
		n.held = nil
		for _, t := range n.byID() {
			t.unwind()
		}
		n.tasks = nil
	}
}

// byID returns the node's tasks in the order of their start.
func (n *simNode) byID() []*task {
	tasks := slices.Clone(n.tasks)
	slices.SortFunc(tasks, func(a, b *task) int { return int(int64(a.id - b.id)) })
	return tasks
}

// Tasks lists the tasks of the named node that have not ended, by the order of their
// start, as "node/task#id" and what they wait for.
func (w *World) Tasks(name string) (list []string) {
	for _, t := range w.host(name).node.byID() {
		list = append(list, fmt.Sprintf("%s: %s", t, t.why))
	}
	return list
}

// Restart begins the next life of a crashed node and returns its Env.
func (w *World) Restart(name string) *Env {
	h := w.host(name)
	if !h.node.dead {
		panic(fmt.Sprintf("env: restart of node %s, which is up", name))
	}
	w.Note("restart %s", name)
	h.isPause = false
	return w.boot(h)
}

// Up reports whether the named node has not crashed.
func (w *World) Up(name string) bool { return !w.host(name).node.dead }

// Pause stops the named node's tasks, as SIGSTOP would, until Resume. Its
// clocks run on. A task that pauses its own node runs on until it parks.
func (w *World) Pause(name string) {
	h := w.host(name)
	h.isPause = true
	w.Note("pause %s", name)
	w.runnable = slices.DeleteFunc(w.runnable, func(t *task) bool {
		if t.node == h.node {
			h.node.held = append(h.node.held, t)
			return true
		}
		return false
	})
}

// Paused reports whether the named node is up and paused.
func (w *World) Paused(name string) bool {
	h := w.host(name)
	return h.isPause && !h.node.dead
}

// OnResume has f called whenever a pause of the named node ends, before any of
// its tasks runs: the place to hand over what came meanwhile.
func (w *World) OnResume(name string, f func()) {
	h := w.host(name)
	h.resumed = append(h.resumed, f)
}

// Resume ends a pause.
func (w *World) Resume(name string) {
	h := w.host(name)
	h.isPause = false
	w.Note("resume %s", name)
	w.runnable = append(w.runnable, h.node.held...)
	h.node.held = nil
	for _, f := range h.resumed {
		f()
	}
}

func (n *simNode) paused() bool { return n.host.isPause }

// SetClock makes the named host's clocks run ppm parts per million faster than
// true time (negative: slower) from now on, and moves its wall clock by step.
func (w *World) SetClock(name string, ppm int64, step time.Duration) {
	h := w.host(name)
	h.monoBase, h.wallBase = h.mono(w.clock), h.wall(w.clock)+int64(step)
	h.base, h.ppm = w.clock, ppm
	w.Note("clock %s %d ppm %s", name, ppm, step)
}

// elapsed is what the host's clocks ran since base.
func (h *simHost) elapsed(clock int64) int64 {
	d := clock - h.base
	return d + scale(d, h.ppm, 1e6)
}

func (h *simHost) mono(clock int64) int64 { return h.monoBase + h.elapsed(clock) }
func (h *simHost) wall(clock int64) int64 { return h.wallBase + h.elapsed(clock) }

// scale returns d·num/den, rounded towards zero, for d ≥ 0 and den > 0,
// without overflow in between.
func scale(d, num, den int64) int64 {
	if num < 0 {
		return -scale(d, -num, den)
	}
	hi, lo := bits.Mul64(uint64(d), uint64(num))
	q, _ := bits.Div64(hi, lo, uint64(den))
	return int64(q)
}

func (n *simNode) now() Mono {
	n.w.enter()
	return Mono(n.host.mono(n.w.clock) - n.began)
}

func (n *simNode) wall() (Time, Bound) {
	n.w.enter()
	return Time(n.host.wall(n.w.clock)), wallBound
}

// worldTime returns the first true time at which the node's clock shows m.
func (n *simNode) worldTime(m Mono) int64 {
	if m > never/2 { // 146 years
		return int64(never)
	}
	d := int64(m) + n.began - n.host.mono(n.w.clock)
	if d <= 0 {
		return n.w.clock
	}
	return n.w.clock + scale(d, 1e6, 1e6+n.host.ppm) + 1
}

func (n *simNode) sleep(d time.Duration) {
	if d <= 0 {
		n.w.yield()
		return
	}
	n.w.park(n.worldTime(n.now().Add(d)), "sleep")
}

func (n *simNode) after(d time.Duration, f func()) *simTimer {
	t := &simTimer{w: n.w, node: n, call: f}
	n.w.timers.push(t, n.worldTime(n.now().Add(max(0, d))))
	return t
}

func (n *simNode) rand() uint64 {
	n.w.enter()
	return n.stream.Uint64()
}
