package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
)

// A tokenGuard remembers with which parameters tokens were used through this node. A
// token's record lies at the anchor of its transaction, where a request for the same
// items finds it, whichever node it comes through. One for other items looks elsewhere, and
// only this guard can tell that its token is not new: as long as the node runs, and
// among the latest guardedTokens.
type tokenGuard struct {
	mu    env.Leaf      // guards what follows
	life  time.Duration // how long a token counts after its request has succeeded
	known map[partition.Token]tokenUse
	ring  []partition.Token // of known, the oldest at next once it is full
	next  int
}

// A tokenUse is the parameters of a request that has succeeded, and until when they count.
type tokenUse struct {
	parameters partition.Token
	until      env.Mono
}

const (
	// guardedTokens bounds the memory of a guard: 8 MiB.
	guardedTokens = 1 << 16
)

// check reports whether the token was not used with other parameters, as far as is known.
func (g *tokenGuard) check(t, parameters partition.Token, now env.Mono) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if use, known := g.known[t]; known && now < use.until && use.parameters != parameters {
		return &ParameterMismatchError{}
	}
	return nil
}

// used takes note of a request that has succeeded.
func (g *tokenGuard) used(t, parameters partition.Token, now env.Mono) {
	g.mu.Lock()
	defer g.mu.Unlock()
	use := tokenUse{parameters, now.Add(g.life)}
	if old, known := g.known[t]; known {
		if now >= old.until {
			g.known[t] = use
		}
		return
	}
	if g.known == nil {
		g.known = make(map[partition.Token]tokenUse)
	}
	g.known[t] = use
	if len(g.ring) < guardedTokens {
		g.ring = append(g.ring, t)
		return
	}
	delete(g.known, g.ring[g.next])
	g.ring[g.next] = t
	g.next = (g.next + 1) % guardedTokens
}
