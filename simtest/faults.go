package simtest

import (
	"context"
	"fmt"
	"time"
)

// Each fault begins when its method is called. Nodes are numbered from 1; zones are
// called a, b and c.

// CrashNode cuts the power of a node, which stays down until RestartNode, Heal or the
// end of Run. What it had not synced is lost.
func (c *Cluster) CrashNode(node int) { c.fault("crash", node, func() { c.world.Crash(node, "lose") }) }

// KillNode ends the process of a node; what it wrote stays, synced or not.
func (c *Cluster) KillNode(node int) { c.fault("kill", node, func() { c.world.Crash(node, "keep") }) }

// RestartNode brings a node up, and returns when it takes requests.
func (c *Cluster) RestartNode(node int) {
	c.fault("restart", node, func() { c.world.Restart(node) })
}

// PowerLoss cuts the power of all nodes of a zone, until PowerReturn, Heal or the end
// of Run.
func (c *Cluster) PowerLoss(zone string) {
	for _, node := range c.ZoneNodes(zone) {
		c.CrashNode(node)
	}
}

// PowerReturn brings up all nodes of a zone, and returns when they take requests.
func (c *Cluster) PowerReturn(zone string) {
	for _, node := range c.ZoneNodes(zone) {
		c.RestartNode(node)
	}
}

// Cut lets these nodes and the others not reach each other until Heal. Clients reach all.
func (c *Cluster) Cut(nodes ...int) { c.faults("cut", nodes, func() { c.world.Cut(nodes...) }) }

// Slow lets messages between these nodes and the others take longer by lag, each way,
// until Heal.
func (c *Cluster) Slow(lag time.Duration, nodes ...int) {
	c.faults("slow", nodes, func() { c.world.Slow(lag, nodes...) })
}

// Heal takes back Cut and Slow and brings up every node that is down because of a method
// of the cluster. Drawn faults go on.
func (c *Cluster) Heal() {
	c.fault("heal", 1, func() {
		c.world.Mend()
		for node := 1; node <= c.Nodes(); node++ {
			if c.world.Down(node) {
				c.world.Restart(node)
			}
		}
	})
}

// ZoneNodes returns the nodes of a zone.
func (c *Cluster) ZoneNodes(zone string) (nodes []int) {
	for i, n := range c.world.Plan().Nodes {
		if n.Zone == zone {
			nodes = append(nodes, i+1)
		}
	}
	if nodes == nil {
		c.t.Fatalf("simtest: there is no zone %q", zone)
	}
	return nodes
}

func (c *Cluster) fault(name string, node int, f func()) {
	c.t.Helper()
	c.faults(name, []int{node}, f)
}

// faults carries out a fault of some nodes, all of which there must be.
func (c *Cluster) faults(name string, nodes []int, f func()) {
	c.t.Helper()
	if len(nodes) == 0 {
		c.t.Fatalf("simtest: %s of which nodes?", name)
	}
	for _, node := range nodes {
		if node < 1 || node > c.Nodes() {
			c.t.Fatalf("simtest: there is no node %d", node)
		}
	}
	// An error says that the world is over; Check tells why.
	_ = c.driver.do(context.Background(), fmt.Sprint(name, " ", nodes[0]), f)
}
