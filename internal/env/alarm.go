package env

// An Alarm is a timer of the world that is set again and again. It is for
// devices that would otherwise make a timer for each thing they do.
type Alarm struct{ t simTimer }

// NewAlarm returns an alarm that calls f, outside of any task. f must not park.
func (w *World) NewAlarm(f func()) *Alarm { return &Alarm{simTimer{w: w, call: f}} }

// Set has the alarm go off at a true time, or at once if that has passed. An
// alarm that is set already is moved.
func (a *Alarm) Set(at Mono) {
	w := a.t.w
	w.timers.remove(&a.t)
	w.timers.push(&a.t, max(int64(at), w.clock))
}

// Stop reports whether it kept the alarm from going off.
func (a *Alarm) Stop() bool { return a.t.w.timers.remove(&a.t) }
