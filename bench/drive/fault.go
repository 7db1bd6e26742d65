package drive

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/statordb/stator/bench"
)

// A Fault is something that is done to the target while it is measured.
type Fault struct {
	At   Span    `json:"at"` // from the beginning of the measurement
	Do   Trouble `json:"do"`
	Node string  `json:"node,omitempty"` // the name of a zone, or leader, or same: that of the fault before; default leader, of start and resume same
}

// A Trouble is what a fault does to a node.
type Trouble string

// The troubles.
const (
	Kill   Trouble = "kill"   // as kill -9
	Stop   Trouble = "stop"   // ended gently: it first gives away what it leads
	Hang   Trouble = "hang"   // it does nothing any more, but its connections stay
	Resume Trouble = "resume" // a hanging one goes on
	Start  Trouble = "start"  // one that was killed or stopped is there again
)

var troubles = []Trouble{Kill, Stop, Hang, Resume, Start}

// The nodes that a fault may name besides zones.
const (
	Leader = "leader" // the one that leads most of the table's partitions
	Same   = "same"   // the one that the fault before hit
)

// A Breakable is a target that can be hurt.
type Breakable interface {
	// Break does it and returns the name of the node that it hit.
	Break(ctx context.Context, f Fault) (node string, err error)
}

// A Blow is a fault that was done.
type Blow struct {
	Fault
	Node string        // that was hit
	At   time.Duration // when it began
	Took time.Duration // until it was done, such as until a node that starts answers

	// Silence is the longest time after it, until the next fault, in which no operation ended well.
	Silence time.Duration
	// Recovered is the time from the fault until the target was as good as before for a second; see
	// recovery. Below 0: not before the next fault, or the end.
	Recovered time.Duration
}

// A Phase is a part of a run between faults. Operations belong to the phase in which they end, so what a fault
// has held up is in a phase behind it.
type Phase struct {
	Name     string
	From, To time.Duration
	Ops      int64 // errors and those not sent included
	Errors   int64
	Silence  time.Duration // the longest time in which no operation ended well
	Latency  *hdrhistogram.Histogram
}

// Rate is in good operations per second.
func (p *Phase) Rate() float64 { return float64(p.Ops-p.Errors) / max((p.To-p.From).Seconds(), 1e-9) }

// An outcome is how one operation ended. Runs with faults keep all of them: what happened in the second
// around a fault is asked afterwards, to the millisecond.
type outcome struct {
	end, latency int64 // nanoseconds
	bad          bool
}

// maxOutcomes bounds a run with faults, to some 100 MB.
const maxOutcomes = 4_000_000

// breaks does the faults when they are due, until ctx ends.
func (r *run) breaks(ctx context.Context, l *limits, t Target) ([]Blow, error) {
	b, ok := t.(Breakable)
	if !ok {
		return nil, fmt.Errorf("faults: %w: it has no nodes that could be killed", ErrUnsupported)
	}
	var blows []Blow
	last := ""
	for _, f := range r.w.Faults {
		wait := time.NewTimer(time.Duration(f.At) - time.Duration(l.clock.now()))
		select {
		case <-ctx.Done():
			wait.Stop()
			return blows, nil
		case <-wait.C:
		}
		if f.Node == Same {
			f.Node = last
		}
		blow := Blow{Fault: f, At: time.Duration(l.clock.now())}
		node, err := b.Break(ctx, f)
		if ctx.Err() != nil {
			return blows, nil // the run has ended meanwhile
		}
		if err != nil {
			return blows, fmt.Errorf("%s %s: %w", f.Do, f.Node, err)
		}
		blow.Node, blow.Took = node, time.Duration(l.clock.now())-blow.At
		blows, last = append(blows, blow), node
	}
	return blows, nil
}

// A target is as good as before a fault in the first second, in steps of recoverStep, in which it does recoveredShare of
// the operations that were done before in a second, and at the most one of a hundred of them takes longer than
// recoverTimes the p99 of before, or than recoverLeast if that is more.
const (
	recoverStep    = 50 * time.Millisecond
	recoveredShare = 0.9
	recoverTimes   = 5
	recoverLeast   = 50 * time.Millisecond
)

// phases divides what happened by the faults. Each fault begins a phase that ends when the target has recovered,
// and another one from there on.
func phases(outcomes []outcome, blows []Blow, wall time.Duration) []Phase {
	slices.SortFunc(outcomes, func(a, b outcome) int { return int(a.end - b.end) })
	within := func(from, to time.Duration) []outcome {
		i, _ := slices.BinarySearchFunc(outcomes, int64(from), func(o outcome, t int64) int { return int(o.end - t) })
		j, _ := slices.BinarySearchFunc(outcomes, int64(to), func(o outcome, t int64) int { return int(o.end - t) })
		return outcomes[i:max(i, j)]
	}
	first := wall
	if len(blows) > 0 {
		first = blows[0].At
	}
	before := phaseOf("before", 0, first, within(0, first))
	all := []Phase{before}
	for i := range blows {
		b, end := &blows[i], wall+1 // what ends last is in it
		if i+1 < len(blows) {
			end = blows[i+1].At
		}
		b.Recovered = recovery(within, &before, b.At, min(end, wall))
		name := string(b.Do) + " " + b.Node
		until := end
		if b.Recovered >= 0 {
			until = b.At + b.Recovered
		}
		p := phaseOf(name, b.At, until, within(b.At, until))
		b.Silence = silence(within(b.At, end), b.At, min(end, wall))
		if p.To > p.From {
			all = append(all, p)
		}
		if until < end {
			all = append(all, phaseOf("after "+name, until, end, within(until, end)))
		}
	}
	return all
}

// recovery is how long after the fault the target became as good as before.
func recovery(within func(from, to time.Duration) []outcome, before *Phase, fault, end time.Duration) time.Duration {
	bound := max(recoverTimes*time.Duration(bench.Quantile(before.Latency, 99)), recoverLeast)
	want := recoveredShare * before.Rate()
	for at := fault; at+time.Second <= end; at += recoverStep {
		good, slow := 0, 0
		for _, o := range within(at, at+time.Second) {
			switch {
			case o.bad || o.latency > int64(bound):
				slow++
			default:
				good++
			}
		}
		if float64(good) >= want && slow*100 <= good+slow {
			return at - fault
		}
	}
	return -1
}

func phaseOf(name string, from, to time.Duration, of []outcome) Phase {
	p := Phase{Name: name, From: from, To: to, Latency: NewHistogram(), Silence: silence(of, from, to)}
	for _, o := range of {
		p.Ops++
		if o.bad {
			p.Errors++
		}
		p.Latency.RecordValue(min(max(o.latency, 1), int64(Longest))) // in range
	}
	return p
}

// silence is the longest time between two operations that ended well, the bounds included.
func silence(of []outcome, from, to time.Duration) time.Duration {
	longest, last := time.Duration(0), from
	for _, o := range of {
		if !o.bad {
			longest, last = max(longest, time.Duration(o.end)-last), time.Duration(o.end)
		}
	}
	return max(longest, to-last)
}

// checkFaults is part of the check of a workload.
func (w *Workload) checkFaults() error {
	last := Span(0)
	for i, f := range w.Faults {
		switch {
		case !slices.Contains(troubles, f.Do):
			return fmt.Errorf("faults: unknown %q; there are %v", f.Do, troubles)
		case f.At < last || f.At >= w.Length:
			return fmt.Errorf("faults: %s at %v is not between the one before and the end", f.Do, time.Duration(f.At))
		case f.Node == Same && i == 0:
			return fmt.Errorf("faults: the first one cannot hit the same node as one before")
		}
		last = f.At
	}
	if len(w.Faults) > 0 && !(w.Pace.Rate > 0) {
		return fmt.Errorf("faults need pace.rate: a closed loop asks nothing while nobody answers")
	}
	if len(w.Faults) > 0 && w.Pace.Rate*time.Duration(w.Length).Seconds() > maxOutcomes {
		return fmt.Errorf("faults: more than %d operations", maxOutcomes)
	}
	return nil
}

func (w *Workload) setFaults() {
	for i := range w.Faults {
		f := &w.Faults[i]
		switch {
		case f.Node != "":
		case (f.Do == Start || f.Do == Resume) && i > 0:
			f.Node = Same
		default:
			f.Node = Leader
		}
	}
}
