package sim

import "time"

// The faults of clocks.
var clockKinds = []*kind{
	{name: "clock", what: "a wall clock jumps by so much, and the clocks run n ppm - 1000 ppm fast from then on",
		draw: func(d *drawer, f *Fault) {
			f.Target, f.N = d.drawTarget(), d.IntN(2000)
			f.By = Duration(time.Duration(d.NormFloat64() * float64(time.Second)))
		}, do: doClock},
}

// doClock moves the wall clock and changes the rate of the node's clocks.
func doClock(r *run, f *Fault) {
	for _, n := range r.resolve(f.Target) {
		r.fire(f.Kind)
		r.world.SetClock(n.name, int64(f.N)-1000, f.By.Std())
	}
}
