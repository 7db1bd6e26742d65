package table

import (
	"errors"
	"flag"
	"fmt"
	"math"
	mrand "math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

var contention = flag.Bool("contention", false, "TestContention measures the curve of docs/transactions.md")

// zipf draws from n things, of which the i-th is as frequent as 1/i to the power of theta.
type zipf struct{ sums []float64 }

func newZipf(n int, theta float64) *zipf {
	z := &zipf{}
	sum := 0.0
	for i := range n {
		sum += math.Pow(float64(i+1), -theta)
		z.sums = append(z.sums, sum)
	}
	return z
}

func (z *zipf) draw(rng *mrand.Rand) int {
	return sort.SearchFloat64s(z.sums, rng.Float64()*z.sums[len(z.sums)-1])
}

// A crowd is what clients came to that write to the same few items, in time of the world.
type crowd struct {
	done, refused int
	took          []time.Duration // of those that were done
}

// crowdAt has clients send transactions that add 1 to two items each, one after the other, for a
// while. What was done must be what the items have counted.
func crowdAt(t *testing.T, clients, keysOf int, theta float64, length time.Duration) *crowd {
	b := newCalmBed(t, 1, "a", "b", "c")
	defer b.w.Close()
	b.create(simple("tab", 8))
	key := func(i int) string { return fmt.Sprintf(`{"p":{"S":"k%d"}}`, i) }
	c, z, stop, open := &crowd{}, newZipf(keysOf, theta), false, 0
	for i := range clients {
		n, rng := b.nodes[i%3], b.w.Stream(fmt.Sprint("client ", i))
		open++
		n.e.Go("client", func() {
			defer func() { open-- }()
			for !stop {
				first, second := z.draw(rng), z.draw(rng)
				if first == second {
					continue
				}
				r := &TransactWriteRequest{}
				for _, i := range []int{first, second} {
					r.Actions = append(r.Actions, TransactAction{Kind: TransactUpdate, Table: "tab", Item: js(key(i)), Update: update("ADD v :v", num(1))})
				}
				began := n.e.Now()
				_, err := n.TransactWrite(r)
				var cancelled *CancelledError
				switch {
				case err == nil:
					c.done++
					c.took = append(c.took, n.e.Now().Sub(began))
				case errors.As(err, &cancelled) && strings.Contains(reasons(err), "TransactionConflict"):
					c.refused++
				default:
					t.Errorf("%d clients: %v", clients, err)
					return
				}
			}
		})
	}
	b.run(length)
	stop = true
	b.until("the last requests are answered", func() bool { return open == 0 })
	counted := 0
	for i := range keysOf {
		counted += accountValue(b.nodes[0].get("tab", key(i), true))
	}
	if counted != 2*c.done {
		t.Errorf("%d clients: %d transactions were done, the items have counted %d", clients, c.done, counted)
	}
	slices.Sort(c.took)
	return c
}

func (c *crowd) percentile(p int) time.Duration { return c.took[(len(c.took)-1)*p/100] }

func (c *crowd) share() float64 { return 100 * float64(c.done) / float64(c.done+c.refused) }

// TestContention: when more and more clients want the same items, more of them are told to come
// back, and work is still done: nobody waits for long, and they do not keep each other from it.
func TestContention(t *testing.T) {
	if !*contention {
		few, many := crowdAt(t, 2, 200, 0.99, 400*time.Millisecond), crowdAt(t, 16, 200, 0.99, 400*time.Millisecond)
		if few.share() < 90 || many.share() < 30 || many.done < few.done {
			t.Errorf("2 clients: %d done, %d refused; 16: %d done, %d refused", few.done, few.refused, many.done, many.refused)
		}
		if slowest := many.percentile(100); slowest > 2*time.Second {
			t.Errorf("one took %v", slowest)
		}
		return
	}
	for _, theta := range []float64{0, 0.99} {
		for _, clients := range []int{1, 2, 4, 8, 16, 32, 64, 128} {
			const length = 2 * time.Second
			c := crowdAt(t, clients, 1000, theta, length)
			t.Logf("zipfian %.2f | %3d clients | %5.0f/s done | %5.1f %% of requests | p50 %5.1f ms | p99 %5.1f ms", theta, clients, float64(c.done)/length.Seconds(), c.share(),
				c.percentile(50).Seconds()*1000, c.percentile(99).Seconds()*1000)
		}
	}
}
