package sim

import (
	"fmt"
	"strings"
	"time"
)

// leakPatience is how long the tasks of a node may take to end after it has closed.
const leakPatience = time.Second

// checkLeaks demands that a node that has closed leaves no task behind: it would run on
// beside the next life of the process that embeds it.
func (r *run) checkLeaks(n *node) {
	for range 10 {
		if len(r.world.Tasks(n.name)) == 0 {
			return
		}
		r.clients.Sleep(leakPatience / 10)
	}
	if left := r.world.Tasks(n.name); n.up() && len(left) > 0 {
		r.fail(found(Leak, fmt.Errorf("sim: %s has closed, and has %d tasks:\n  %s", n.name, len(left), strings.Join(left, "\n  "))))
	}
}
