package sim

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// A carriedOut is a request that a group has carried out: whoever has no answer may send it again, to
// this group or to one that was split off it, and it must not be done twice. Whether somebody does so at the
// right moment is luck, so each replica is asked now and then whether it remembers.
type carriedOut struct {
	index     uint64 // of the entry; 0: of the parent, before the split
	id        partition.RequestID
	timestamp txn.Timestamp
}

// noteRequest keeps the request of a command whose result is known for the first time.
func (c *consensus) noteRequest(group replication.GroupID, index uint64, command *partition.Command) {
	if command.Request.Node == 0 {
		return
	}
	g := c.group(group)
	g.requests = slices.Insert(g.requests, until(g.requests, index), carriedOut{index, command.Request, command.Timestamp})
}

// until returns how many of the requests were carried out by entries up to one.
func until(requests []carriedOut, index uint64) int {
	n, _ := slices.BinarySearchFunc(requests, index+1, func(r carriedOut, index uint64) int {
		if r.index < index {
			return -1
		}
		return 1
	})
	return n
}

// inherited are the requests of a parent, as its part must know them from the beginning.
func inherited(requests []carriedOut) []carriedOut {
	own := slices.Clone(requests)
	for i := range own {
		own[i].index = 0
	}
	return own
}

// asked is about how many of the last requests a replica is asked for at a time; of earlier ones, some.
const asked = 8

// remembers checks that a replica knows the requests that its group has carried out: some of all, and
// those before its last entry.
func (c *convergence) remembers(s *server, group uint64) error {
	if len(c.run.consensus.group(replication.GroupID(group)).requests) == 0 {
		return nil
	}
	recall, err := partition.RecallOf(s.store, group)
	if err != nil || recall.Applied == 0 {
		return err
	}
	requests := c.run.consensus.group(replication.GroupID(group)).requests
	n := until(requests, recall.Applied)
	for i := n - 1; i >= 0; i -= 1 + (n-1-i)/asked {
		if r := &requests[i]; !recall.Knows(r.id, r.timestamp) {
			return fmt.Errorf("sim: group %d as of entry %d: %s would carry out request %v again, which was carried out by entry %s",
				group, recall.Applied, s.n.name, r.id, r.place())
		}
	}
	return nil
}

func (r *carriedOut) place() string {
	if r.index == 0 {
		return "of the group that it was split off"
	}
	return fmt.Sprint(r.index)
}
