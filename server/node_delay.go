package server

import (
	"fmt"
	"sync"
	"time"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/transport/tcp"
)

// MaxZoneDelay bounds how long a node holds back what it sends.
const MaxZoneDelay = time.Minute

func checkDelay(d time.Duration) error {
	if d < 0 || d > MaxZoneDelay {
		return fmt.Errorf("server: delay of %s is not between 0 and %s", d, MaxZoneDelay)
	}
	return nil
}

// zoneDelays say how long what a node sends is held back, by receiver.
type zoneDelays struct {
	mu      sync.Mutex
	between time.Duration            // to nodes of other zones
	some    map[uint64]time.Duration // to these nodes instead, whatever their zone
}

// apply tells the transport. Others may do so at the same time: the lock is held, so that what is newer stays.
func (z *zoneDelays) apply(t *tcp.Transport, node uint64, otherZone bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	d, ok := z.some[node]
	if !ok && otherZone {
		d = z.between
	}
	t.SetDelay(transport.NodeID(node), d)
}

// set changes the delay to some nodes, or, if none are given, that between zones, which then holds for all.
func (z *zoneDelays) set(nodes []uint64, d time.Duration) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(nodes) == 0 {
		z.between, z.some = d, nil
		return
	}
	if z.some == nil {
		z.some = map[uint64]time.Duration{}
	}
	for _, id := range nodes {
		z.some[id] = d
	}
}

// setDelay is the operation Delay. It works on what this node sends.
func (n *Node) setDelay(r *AdminRequest) (any, error) {
	d, err := time.ParseDuration(r.Delay)
	if err == nil {
		err = checkDelay(d)
	}
	if err != nil {
		return nil, err
	}
	if err := n.areNodes(r.Nodes); err != nil {
		return nil, err
	}
	members := n.tables.Members()
	n.delays.set(r.Nodes, d)
	for _, m := range members {
		n.delays.apply(n.net, m.ID, m.Zone != n.cluster.Zone)
	}
	return n.status(), nil
}
