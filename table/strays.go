package table

import "github.com/statordb/stator/partition"

// CheckStrays looks for what the store of this node has of tables that are gone, and of replicas that are elsewhere; see
// partition.CheckStrays. What is still to be dropped need not be so a moment later. It is for simulations.
func (c *core) CheckStrays() error {
	owned := make(map[uint64]bool)
	for _, r := range c.catalog.snapshot().records() {
		for s := range r.allSlots() {
			for _, group := range s.allGroups() {
				p := c.directory.partition(group)
				owned[group] = c.calls == nil || p != nil && (p.exists() || p.slot.replicas.has(c.self))
			}
		}
	}
	return partition.CheckStrays(c.db, func(group uint64) bool { return owned[group] })
}
