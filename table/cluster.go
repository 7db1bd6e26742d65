package table

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
)

// A Member is a node of a cluster, as it is told to the others.
type Member struct {
	ID      uint64
	Zone    string // availability zone
	Address string // where the others reach it
	State   string // joining, active, draining, lost or gone
}

// openCluster starts a node that has others beside it. Replicas that it had are
// resumed at once; all else waits until the catalog is fresh (follow.go).
func (s *Service) openCluster(o Options) (err error) {
	s.calls, s.self, s.requests.node = o.Calls, o.Node, s.env.Rand()|1
	if plant.On(plant.RequestNamesReused) {
		s.requests.node = o.Node
	}
	if s.self == 0 {
		s.self = firstNode
	}
	if o.Patience > 0 {
		s.patience = o.Patience
	}
	s.founders, s.lostAfter = o.Founders, o.LostAfter
	if s.lostAfter == 0 {
		s.lostAfter = defaultLostAfter
	}
	if len(s.founders) == 0 && s.self == firstNode {
		s.founders = []Member{{ID: s.self, Zone: o.Zone, Address: o.Address}}
	}
	s.zone, s.address, s.isStale = o.Zone, o.Address, o.StaleReads
	s.roles.init(s.env)
	if err := s.findBirths(); err != nil {
		return err
	}
	s.leftovers.Store(true)
	if s.catalog, err = openCatalog(s.db); err != nil {
		return err
	}
	s.catalog.watcher = s.poke
	var voters []uint64
	if first := catalogVoters(founding(s.founders)); slices.Contains(first, s.self) {
		voters = first
	}
	if s.catalogGroup, err = s.host.Start(catalogGroup, s.catalog, voters); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if o.Hooks != nil {
		o.Hooks.core.Store(s.core)
	}
	if _, err := s.startTables(); err != nil {
		return err
	}
	s.serveCalls()
	s.keep("follow", s.follow)
	s.keep("roles", s.watchRoles)
	s.keep("members", s.watchMembers)
	s.keep("transactions", s.watchTransactions)
	s.keep("tokens", s.watchTokens)
	if s.split.rate > 0 {
		s.keep("heat", s.watchHeat)
	}
	s.poke()
	s.roles.note(catalogGroup)
	return nil
}

// keep runs a task that ends when the service closes.
func (c *core) keep(name string, f func()) {
	c.tasks.Go(name, func() error {
		f()
		return nil
	})
}

// nearest returns nodes in the order in which they are to be asked: this one, those
// of its zone, then the others; nodes that are known to be away come last.
func (c *core) nearest(nodes []uint64) []uint64 {
	view := c.catalog.snapshot()
	distance := func(id uint64) int {
		n := view.node(id)
		switch {
		case id == c.self:
			return 0
		case n == nil || n.state == nodeLost || n.state == nodeGone:
			return 3
		case n.zone == c.zone:
			return 1
		}
		return 2
	}
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b uint64) int { return distance(a) - distance(b) })
	return sorted
}

// Ready reports whether the node has heard from the leader of the catalog since it was
// opened, so that it knows which tables there are.
func (c *core) Ready() bool { return c.calls == nil || c.fresh.Load() }

// Members returns the nodes of the cluster as this node knows them; none if the node
// is alone.
func (c *core) Members() []Member {
	var list []Member
	for _, n := range c.catalog.snapshot().nodes {
		list = append(list, n.member())
	}
	return list
}

// founding returns the records of the first nodes of a cluster.
func founding(members []Member) (nodes []*node) {
	for _, m := range members {
		nodes = append(nodes, &node{id: m.ID, version: 1, zone: m.Zone, address: m.Address, state: nodeActive})
	}
	slices.SortFunc(nodes, func(a, b *node) int { return int(int64(a.id) - int64(b.id)) })
	return nodes
}

// newClusterID draws the name of a cluster.
func newClusterID(e *env.Env) (id clusterID) {
	for i := range id {
		id[i] = byte(e.Rand())
	}
	return id
}
