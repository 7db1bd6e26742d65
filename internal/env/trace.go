package env

import (
	"fmt"
	"io"
	"time"
)

// A trace is the record of a run: the start of each task, each step, each
// note. Its hash is kept always, its text only if somebody reads it.
type trace struct {
	hash        uint64
	out         io.Writer // nil: no text
	checkpoints []uint64
}

// checkpointSteps is how many steps lie between two checkpoints of the hash.
const checkpointSteps = 1024

func (r *trace) start(t *task) {
	r.hash = hashString(hashWord(r.hash, t.id), t.name)
	if r.out != nil {
		fmt.Fprintf(r.out, "start %s\n", t)
	}
}

func (r *trace) step(step uint64, clock int64, t *task) {
	r.hash = hashWord(hashWord(hashWord(r.hash, step), t.id), uint64(clock))
	if step%checkpointSteps == 0 {
		r.checkpoints = append(r.checkpoints, r.hash)
	}
	if r.out != nil {
		fmt.Fprintf(r.out, "%d %s %s\n", step, time.Duration(clock), t)
	}
}

// Note adds a line to the trace, and so to its hash. Print no pointers: they
// differ from run to run.
func (w *World) Note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.trace.hash = hashString(w.trace.hash, line)
	if w.trace.out != nil {
		fmt.Fprintf(w.trace.out, "\t%s\n", line)
	}
}

// Mix adds a number to the hash of the trace: a cheap Note, for what happens
// often.
func (w *World) Mix(x uint64) { w.trace.hash = hashWord(w.trace.hash, x) }

// Hash returns a digest of everything that has happened. Two runs with equal
// digests were the same run.
func (w *World) Hash() uint64 { return w.trace.hash }

// Checkpoints returns the digest after every 1,024 steps: the first difference
// between two runs says where they parted.
func (w *World) Checkpoints() []uint64 { return w.trace.checkpoints }

const (
	offset64 = 14695981039346656037 // FNV-1a
	prime64  = 1099511628211
)

func hashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime64
	}
	return hashWord(h, uint64(len(s)))
}

func hashWord(h, x uint64) uint64 {
	h = (h ^ x) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// A Failure is a panic in a task of a simulated world.
type Failure struct {
	Seed   uint64
	Time   Mono
	Step   uint64
	Node   string
	Task   string
	Reason any    // what the task panicked with
	Stack  []byte // of the task
}

func (f *Failure) Error() string {
	return fmt.Sprintf("sim failure: seed=%d t=%s step=%d node=%s task=%s: %v\n%s",
		f.Seed, time.Duration(f.Time), f.Step, f.Node, f.Task, f.Reason, f.Stack)
}

// Unwrap returns the error that the task panicked with, if it was one.
func (f *Failure) Unwrap() error {
	err, _ := f.Reason.(error)
	return err
}

func (w *World) fail(t *task, reason any, stack []byte) {
	if w.failure == nil {
		w.failure = &Failure{w.seed, Mono(w.clock), w.step, t.node.host.name, t.name, reason, stack}
	}
}
