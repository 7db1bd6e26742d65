package table

import (
	"sync/atomic"

	"github.com/statordb/stator/partition"
)

// requests counts the commands of this life of the node, so that each has a name.
type requests struct {
	node uint64 // drawn at the start; 0 = commands have no names
	last atomic.Uint64
}

// requestID names a command, so that a partition carries it out once, however often
// it is proposed. A node without others repeats nothing, and gives no names.
func (c *core) requestID() partition.RequestID {
	if c.requests.node == 0 {
		return partition.RequestID{}
	}
	return partition.RequestID{Node: c.requests.node, Number: c.requests.last.Add(1)}
}
