package table

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// A space is the tables of one account in one region: names mean something
// within a space only.
type space struct {
	id              spaceID
	account, region string // as ARNs have them
	arnPrefix       string // of tables

	// live are the tables that the data plane may use, by name. The map is
	// immutable; it is replaced under control. Nil after Close.
	live atomic.Pointer[map[string]*liveTable]
	// transitions that may not be over, by table; nil if there are none. The map
	// is immutable; it is replaced by whoever finds one that is over, and under
	// control.
	transitions atomic.Pointer[map[string]*transition]
}

// A spaceID is how table records name their space. The zero value is the home
// space, which has the account and the region of Options, whatever they are.
// Records of before there were spaces are there.
type spaceID struct{ account, region string }

// key names a table of the space within the catalog. Neither of the parts has
// a slash.
func (id spaceID) key(name string) string {
	return id.account + "/" + id.region + "/" + name
}

func newSpace(id spaceID, account, region string) *space {
	sp := &space{
		id: id, account: account, region: region,
		arnPrefix: "arn:aws:dynamodb:" + region + ":" + account + ":table/",
	}
	live := map[string]*liveTable{}
	sp.live.Store(&live)
	return sp
}

const (
	defaultRegion  = "us-east-1"
	defaultAccount = "000000000000"
)

// newService returns the service of the home space of c.
func newService(c *core, o Options) *Service {
	if o.Region == "" {
		o.Region = defaultRegion
	}
	if o.Account == "" {
		o.Account = defaultAccount
	}
	c.tableDelay = o.TableDelay
	if c.ttlInterval = o.TTLInterval; o.TTLInterval == 0 {
		c.ttlInterval = defaultTTLInterval
	}
	c.home = newSpace(spaceID{}, o.Account, o.Region)
	s := &Service{core: c, space: c.home}
	c.spaces.Store(&map[spaceID]*Service{{}: s})
	return s
}

// In returns the service of an account in a region. It is kept if it is known:
// if there are tables, or were since the start. The others cost no memory, no
// matter how many there are. Neither of the names may have a slash or a colon.
func (c *core) In(account, region string) (s *Service, known bool) {
	id := c.spaceID(account, region)
	if s := (*c.spaces.Load())[id]; s != nil {
		return s, true
	}
	s = &Service{core: c, space: newSpace(id, account, region)}
	if c.closed() {
		s.live.Store(nil)
	}
	return s, false
}

func (c *core) spaceID(account, region string) spaceID {
	if account == c.home.account && region == c.home.region {
		return spaceID{}
	}
	return spaceID{account, region}
}

// enter returns the service of a space and makes it known.
func (c *core) enter(id spaceID) *Service {
	for {
		known := c.spaces.Load()
		if s := (*known)[id]; s != nil {
			return s
		}
		s := &Service{core: c, space: newSpace(id, id.account, id.region)}
		next := maps.Clone(*known)
		next[id] = s
		if c.spaces.CompareAndSwap(known, &next) {
			return s
		}
	}
}

// known returns the services of all known spaces, in order.
func (c *core) known() []*Service {
	byID := *c.spaces.Load()
	ids := slices.SortedFunc(maps.Keys(byID), func(a, b spaceID) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.region, b.region))
	})
	list := make([]*Service, len(ids))
	for i, id := range ids {
		list[i] = byID[id]
	}
	return list
}

func (c *core) closed() bool { return c.home.live.Load() == nil }

// Account returns the account whose tables these are.
func (s *Service) Account() string { return s.account }

// record returns the catalog's record of a table of this space, nil if there is
// none.
func (s *Service) record(name string) *record {
	return s.catalog.snapshot().byKey[s.id.key(name)]
}
