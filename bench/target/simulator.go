package target

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/bench/drive"
)

// A Simulate runs the world of a seed to its end and returns how much time passed in it. An error is what the run found.
type Simulate func(seed uint64, w drive.World) (simulated time.Duration, err error)

// A Simulator is the simulator in this process. Its operations are seeds; how fast it is is the simulated time
// for each second of processor time.
type Simulator struct {
	simulate  Simulate
	world     drive.World
	simulated atomic.Int64
	percent   int // of the collector, before
}

// simulatorGCPercent is what "stator sim run" uses: worlds are small and soon gone.
const simulatorGCPercent = 400

// OpenSimulator makes it a target. Close gives the process's collector its setting back.
func OpenSimulator(s Simulate, w *drive.Workload) *Simulator {
	t := &Simulator{simulate: s, percent: debug.SetGCPercent(simulatorGCPercent)}
	if w.World != nil {
		t.world = *w.World
	}
	return t
}

// Close ends the measurement.
func (t *Simulator) Close() error {
	debug.SetGCPercent(t.percent)
	return nil
}

// Usage implements drive.Meter.
func (t *Simulator) Usage() drive.Usage {
	u := usage("", false)
	u.Simulated = time.Duration(t.simulated.Load())
	return u
}

// NewSession implements drive.Target.
func (t *Simulator) NewSession(int) (drive.Session, error) { return &simulatorSession{t: t}, nil }

type simulatorSession struct {
	t    *Simulator
	seed uint64
}

func (s *simulatorSession) Prepare(op *drive.Op) error {
	if op.Kind != drive.Simulate {
		return fmt.Errorf("%q: %w", op.Kind, drive.ErrUnsupported)
	}
	s.seed = op.Key + 1
	return nil
}

func (s *simulatorSession) Do() error {
	passed, err := s.t.simulate(s.seed, s.t.world)
	s.t.simulated.Add(int64(passed))
	if err != nil {
		return fmt.Errorf("seed %d: %w", s.seed, err)
	}
	return nil
}

func (s *simulatorSession) Check() error { return nil }
func (s *simulatorSession) Close() error { return nil }
