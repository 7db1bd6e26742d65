package server

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"strings"
	"sync/atomic"
)

// A caller is what a request's credential says about where its tables are: each
// access key stands for an account, and the credential's scope names a region.
// Tables of different accounts or regions know nothing of each other.
type caller struct{ key, region string }

// maxCallers bounds how many callers are remembered. Beyond it all are
// forgotten, which costs each one the making of its operations again.
const maxCallers = 1024

// callers finds the operations for a caller. It is safe for concurrent use.
type callers struct {
	// shared are the operations on the tables that all callers share.
	shared map[string]operation
	// enter returns the operations on the tables of an account in a region, and
	// whether they are worth remembering. Nil: all tables are shared.
	enter   func(account, region string) (ops map[string]operation, keep bool)
	region  string // of callers that name none
	account string // of all callers, if tables are shared

	latest atomic.Pointer[knownCaller] // most clients are alone
	known  atomic.Pointer[map[caller]*knownCaller]
}

type knownCaller struct {
	caller
	operations map[string]operation
}

// operations returns every operation by name, for a caller. There must be an enter.
func (c *callers) operations(who caller) map[string]operation {
	if k := c.latest.Load(); k != nil && k.caller == who {
		return k.operations
	}
	if known := c.known.Load(); known != nil {
		if k := (*known)[who]; k != nil {
			c.latest.Store(k)
			return k.operations
		}
	}
	region := who.region
	if region == "" {
		region = c.region
	}
	operations, keep := c.enter(accountOf(who.key), region)
	if keep {
		c.remember(&knownCaller{caller{strings.Clone(who.key), strings.Clone(who.region)}, operations})
	}
	return operations
}

func (c *callers) remember(k *knownCaller) {
	for {
		known := c.known.Load()
		next := map[caller]*knownCaller{}
		if known != nil && len(*known) < maxCallers {
			next = maps.Clone(*known)
		}
		next[k.caller] = k
		if c.known.CompareAndSwap(known, &next) {
			return
		}
	}
}

// accountDigits is how long an account id is.
const accountDigits = 12

// accountOf returns the account that an access key stands for. A key of twelve
// digits is the account itself. The keys that AWS gives out (AKIA..., ASIA...)
// carry their account. Any other key stands for an account of its own.
func accountOf(key string) string {
	const accounts = 1_000_000_000_000
	if len(key) == accountDigits && strings.Trim(key, "0123456789") == "" {
		return key
	}
	if n := accountWithin(key); n < accounts {
		return fmt.Sprintf("%012d", n)
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	return fmt.Sprintf("%012d", h.Sum64()%accounts)
}

// accountWithin decodes the account in a key of AWS: after the four letters of
// its kind come 80 bits in base 32, of which bits 1 to 40 are the account. A
// number that is no account means that there is none.
func accountWithin(key string) uint64 {
	if len(key) != 20 || !strings.HasPrefix(key, "AKIA") && !strings.HasPrefix(key, "ASIA") {
		return ^uint64(0)
	}
	bits, err := base32.StdEncoding.DecodeString(key[4:])
	if err != nil {
		return ^uint64(0)
	}
	return binary.BigEndian.Uint64(bits) << 1 >> 24
}

// isRegion reports whether name can be that of a region. Any of this form will do.
func isRegion(name string) bool {
	return len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	})
}
