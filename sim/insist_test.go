package sim

import (
	"testing"
	"time"
)

// While one zone at a time dies and returns, a client that makes three attempts, as SDKs
// do by default, sees no error. A client that makes one does: the check can fail.
func TestAvailability(t *testing.T) {
	asked, noticed := 0, 0
	for seed := uint64(1); seed <= 2; seed++ {
		o := Options{Nodes: 3, Duration: 8 * time.Second, Attempts: 3, Backoff: "standard"}
		r := Run(seed, o)
		asked += r.Insisted
		if r.Err != nil {
			t.Errorf("%v\n%s", r.Err, r)
		}
		o.Attempts = 1
		if r := Run(seed, o); CheckerOf(r.Err) == Availability {
			noticed++
		}
	}
	if asked < 20 || noticed == 0 {
		t.Errorf("%d requests with three attempts, %d of 2 runs with one were noticed", asked, noticed)
	}
}
