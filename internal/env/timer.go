package env

// A simTimer wakes a task, starts a task on a node or calls into the world.
// Exactly one of task, node and call's owner applies.
type simTimer struct {
	w    *World
	task *task    // its alarm: wake it
	node *simNode // start call as a task of it
	call func()   // node == nil: call it outside of tasks

	at    int64 // true time
	seq   uint64
	index int  // place in the heap + 1; 0: not set
	fired bool // since it was last set
}

func (t *simTimer) fire() {
	t.fired = true
	switch {
	case t.task != nil:
		t.task.ready()
	case t.node == nil:
		t.call()
	case !t.node.dead:
		t.node.spawn("timer", t.call)
	}
}

// stop reports whether it kept the timer from firing.
func (t *simTimer) stop() bool {
	t.w.enter()
	return t.w.timers.remove(t)
}

// A timerHeap is a binary min-heap by time, then by the order of setting.
type timerHeap struct {
	heap []*simTimer
	seq  uint64
}

// next returns when the first timer is due.
func (h *timerHeap) next() (at int64, ok bool) {
	if len(h.heap) == 0 {
		return 0, false
	}
	return h.heap[0].at, true
}

func (h *timerHeap) push(t *simTimer, at int64) {
	h.seq++
	t.at, t.seq, t.fired = at, h.seq, false
	h.heap = append(h.heap, t)
	h.up(len(h.heap) - 1)
}

func (h *timerHeap) pop() *simTimer {
	t := h.heap[0]
	h.remove(t)
	return t
}

// remove reports whether t was set.
func (h *timerHeap) remove(t *simTimer) bool {
	if t.index == 0 {
		return false
	}
	i, last := t.index-1, len(h.heap)-1
	t.index = 0
	moved := h.heap[last]
	h.heap[last] = nil
	h.heap = h.heap[:last]
	if i == last {
		return true
	}
	h.heap[i] = moved
	moved.index = i + 1
	h.up(i)
	h.down(moved.index - 1)
	return true
}

func (t *simTimer) before(u *simTimer) bool {
	return t.at < u.at || t.at == u.at && t.seq < u.seq
}

func (h *timerHeap) up(i int) {
	t := h.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !t.before(h.heap[parent]) {
			break
		}
		h.put(i, h.heap[parent])
		i = parent
	}
	h.put(i, t)
}

func (h *timerHeap) down(i int) {
	t := h.heap[i]
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			break
		}
		if child+1 < len(h.heap) && h.heap[child+1].before(h.heap[child]) {
			child++
		}
		if !h.heap[child].before(t) {
			break
		}
		h.put(i, h.heap[child])
		i = child
	}
	h.put(i, t)
}

func (h *timerHeap) put(i int, t *simTimer) {
	h.heap[i] = t
	t.index = i + 1
}
