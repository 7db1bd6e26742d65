package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/statordb/stator/internal/transport/tcp"
)

// How a node gets its place.
//
//  1. A directory without a place has a token, drawn once and kept.
//  2. The node greets the nodes of its --join list. One that has a place answers with
//     the cluster. If the token is among the founders', the place is the founder's;
//     otherwise the node asks to be taken in, and gets a number.
//  3. If all that are on the list, itself among them, answer that they have no place
//     and have the same list, they found the cluster: the numbers follow from the order
//     of zones and addresses, the cluster's id from the tokens. Everyone comes to the
//     same.
//  4. With --init the node founds a cluster by itself.
//  5. The place is on disk before the node takes it.
//
// A founder whose directory is lost before it took its place has another token
// afterwards, and is taken in as a new node. So nobody votes who has forgotten.

// A greeting is what a node says to one that it may not know, in JSON.
type greeting struct {
	placed
	List  []string `json:"list,omitempty"`  // where the greeter looks for others, sorted
	Join  bool     `json:"join,omitempty"`  // asks for a number
	Moved string   `json:"moved,omitempty"` // the cluster in which the node has another address from now on
}

// A reply answers a greeting.
type reply struct {
	Cluster  string   `json:"cluster,omitempty"` // "": no place yet
	Founders []placed `json:"founders,omitempty"`
	Peers    []placed `json:"peers,omitempty"`
	Self     placed   `json:"self"`
	List     []string `json:"list,omitempty"`
	Joined   uint64   `json:"joined,omitempty"`  // the greeter's number
	Removed  bool     `json:"removed,omitempty"` // the greeter is a node that was removed
	Error    string   `json:"error,omitempty"`
}

// A birth is a node that looks for its place.
type birth struct {
	self placed
	list []string // sorted
	init bool

	// greet asks the node at an address.
	greet func(ctx context.Context, addr string, g greeting) (*reply, error)
	log   func(waitsFor string)
}

// birthPause is how long a node waits until it greets the others again.
const birthPause = 100 * time.Millisecond

// place returns the identity that the node is to have, once there is one.
func (b *birth) place(ctx context.Context) (*identity, error) {
	if b.init {
		return b.found([]placed{b.self}), nil
	}
	said := ""
	for {
		id, waits, err := b.look(ctx)
		if id != nil || err != nil {
			return id, err
		}
		if waits != said {
			b.log(waits)
			said = waits
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(birthPause):
		}
	}
}

// look greets everybody on the list once.
func (b *birth) look(ctx context.Context) (id *identity, waits string, err error) {
	unborn := []placed{b.self}
	var missing []string
	for _, addr := range b.list {
		if addr == b.self.Address {
			continue
		}
		r, err := b.greet(ctx, addr, greeting{placed: b.self, List: b.list})
		switch {
		case err != nil:
			missing = append(missing, fmt.Sprintf("%s (%s)", addr, greetReason(err)))
		case r.Cluster != "":
			return b.enter(ctx, addr, r)
		case !slices.Equal(r.List, b.list):
			missing = append(missing, fmt.Sprintf("%s (it has another --join list: %s)", addr, strings.Join(r.List, ",")))
		default:
			unborn = append(unborn, placed{Zone: r.Self.Zone, Address: addr, Token: r.Self.Token})
		}
	}
	switch {
	case len(missing) > 0:
		return nil, strings.Join(missing, ", "), nil
	case !slices.Contains(b.list, b.self.Address):
		return nil, "a cluster: none of " + strings.Join(b.list, ", ") + " belongs to one, and this node, " + b.self.Address + ", is not on the --join list", nil
	}
	return b.found(unborn), "", nil
}

// greetReason says why an address does not answer. Between nodes of which one speaks TLS there is nothing to
// see but the end of a connection, from another port each time.
func greetReason(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return "it hangs up; do both use TLS, or neither?"
	}
	return err.Error()
}

// found returns the identity of a founder. It depends on the founders' zones,
// addresses and tokens alone.
func (b *birth) found(founders []placed) *identity {
	slices.SortFunc(founders, func(x, y placed) int {
		return cmp.Or(strings.Compare(x.Zone, y.Zone), strings.Compare(x.Address, y.Address))
	})
	sum := sha256.New()
	for i := range founders {
		founders[i].Node = uint64(i + 1)
		fmt.Fprintf(sum, "%s %s\n", founders[i].Address, founders[i].Token)
	}
	cluster := hex.EncodeToString(sum.Sum(nil)[:16])
	return b.founder(cluster, founders)
}

// founder returns the identity of the founder with the node's token, or nil.
func (b *birth) founder(cluster string, founders []placed) *identity {
	for _, f := range founders {
		if f.Token == b.self.Token {
			return &identity{Format: nodeFormat, Token: b.self.Token, Cluster: cluster, Node: f.Node, Founders: founders}
		}
	}
	return nil
}

// enter takes the node's place in a cluster that there is.
func (b *birth) enter(ctx context.Context, addr string, r *reply) (*identity, string, error) {
	if id := b.founder(r.Cluster, r.Founders); id != nil {
		return id, "", nil
	}
	joined, err := b.greet(ctx, addr, greeting{placed: b.self, List: b.list, Join: true})
	if err == nil && joined.Error != "" {
		err = errors.New(joined.Error)
	}
	if err == nil && joined.Joined == 0 {
		err = errors.New("no number")
	}
	if err != nil {
		return nil, fmt.Sprintf("%s to take it in (%v)", addr, err), nil
	}
	return &identity{Format: nodeFormat, Token: b.self.Token, Cluster: joined.Cluster, Node: joined.Joined, Peers: joined.Peers}, "", nil
}

// A greeter answers greetings, before and after it has a place.
type greeter struct {
	mu   sync.Mutex
	self placed
	list []string
	id   *identity                    // nil: no place yet
	join func(placed) (uint64, error) // nil: not ready
	move func(placed) error           // nil: not ready
	know func() (peers []placed)      // nil: not ready
	gone func(node uint64) bool       // that it was removed; nil: not ready
}

func (g *greeter) answer(request []byte) []byte {
	var in greeting
	out := reply{}
	if err := json.Unmarshal(request, &in); err != nil {
		out.Error = "not a greeting"
	} else {
		out = g.reply(in)
	}
	text, _ := json.Marshal(out) // of strings and numbers
	return text
}

func (g *greeter) reply(in greeting) reply {
	g.mu.Lock()
	id, join, move, know, gone := g.id, g.join, g.move, g.know, g.gone
	out := reply{Self: g.self, List: g.list}
	g.mu.Unlock()
	if id == nil {
		return out
	}
	out.Cluster, out.Founders = id.Cluster, id.Founders
	out.Removed = in.Node != 0 && gone != nil && gone(in.Node)
	if !in.Join && in.Moved == "" {
		return out
	}
	if join == nil {
		out.Error = "the node is starting"
		return out
	}
	if in.Moved != "" {
		err := errors.New("it is of another cluster")
		if in.Moved == id.Cluster {
			err = move(in.placed)
		}
		if err != nil {
			out.Error = err.Error()
		}
		return out
	}
	if !isHex(in.Token, 16) || in.Zone == "" || in.Address == "" {
		out.Error = "a node that joins has a zone, an address and a token"
		return out
	}
	number, err := join(in.placed)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Joined, out.Peers = number, know()
	return out
}

// greetTimeout bounds one greeting while a node looks for its place.
const greetTimeout = 15 * time.Second

func greetOver(security *tls.Config) func(ctx context.Context, addr string, g greeting) (*reply, error) {
	return func(ctx context.Context, addr string, g greeting) (*reply, error) {
		ctx, cancel := context.WithTimeout(ctx, greetTimeout)
		defer cancel()
		text, err := json.Marshal(g)
		if err != nil {
			return nil, err
		}
		answer, err := tcp.Greet(ctx, addr, security, text)
		if err != nil {
			return nil, err
		}
		r := &reply{}
		if err := json.Unmarshal(answer, r); err != nil {
			return nil, fmt.Errorf("server: greeting: %w", err)
		}
		return r, nil
	}
}
