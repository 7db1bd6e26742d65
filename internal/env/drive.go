package env

// Whoever couples a world to another clock drives it step by step: RunReady, NextTimer,
// and Run to wherever the other clock has come.

// RunReady runs what can run now, until enough reports true or all tasks wait; time goes
// on by the steps' cost only. It returns the *Failure of the first task that panicked.
func (w *World) RunReady(enough func() bool) error {
	w.loop(int64(never), func() bool { return enough() || len(w.runnable) == 0 })
	return w.err()
}

// NextTimer returns when something happens next if no task can run; ok is false if
// nothing does.
func (w *World) NextTimer() (at Mono, ok bool) {
	next, ok := w.timers.next()
	return Mono(next), ok
}

// Halted reports whether the world stands still for good.
func (w *World) Halted() bool { return w.halted || w.failure != nil }
