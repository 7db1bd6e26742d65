package simtest

// Proved tells of how many items the last check knew the order of writes, and for how many it had to search.
func (c *Cluster) Proved() (proved, searched int) { return c.history.proved, c.history.searched }
