package env

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bothWorlds runs test as a task of the real world (with a bubble's clock) and
// of simulated ones: what the primitives promise does not depend on the world.
func bothWorlds(t *testing.T, test func(t *testing.T, e *Env)) {
	t.Run("real", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, New()) })
	})
	for _, p := range []Policy{Random, FIFO, PCT} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("sim/policy=%d/seed=%d", p, seed), func(t *testing.T) {
				w := NewWorld(seed, Options{Policy: p, LeafYields: 64})
				defer w.Close()
				e := w.NewNode("n")
				if err := w.Do(e, "test", func() { test(t, e) }); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestFuture(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		boom := errors.New("boom")
		f := NewFuture[int](e)
		g := NewGroup(e)
		for range 5 {
			g.Go("reader", func() error {
				if v, err := f.Await(); v != 7 || err != boom {
					t.Errorf("Await = %d, %v, want 7, boom", v, err)
				}
				return nil
			})
		}
		e.Sleep(time.Second)
		if f.Ready() {
			t.Error("Ready before Set")
		}
		if !f.Set(7, boom) || f.Set(8, nil) {
			t.Error("the first Set, and only it, must win")
		}
		_ = g.Wait()
		if v, err := f.Await(); v != 7 || err != boom || !f.Ready() {
			t.Errorf("later Await = %d, %v", v, err)
		}
	})
}

func TestFutureAwaitFor(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		f := NewFuture[string](e)
		start := e.Now()
		if _, _, ok := f.AwaitFor(time.Second); ok {
			t.Error("AwaitFor of an unset future succeeded")
		}
		if took := e.Now().Sub(start); took < time.Second || took > 2*time.Second {
			t.Errorf("AwaitFor(1s) took %s", took)
		}
		e.Go("setter", func() {
			e.Sleep(time.Second)
			f.Set("x", nil)
		})
		if v, _, ok := f.AwaitFor(1<<63 - 1); !ok || v != "x" {
			t.Errorf("AwaitFor = %q, %v", v, ok)
		}
	})
}

// Items arrive once each and, per sender, in order; the bound holds.
func TestQueue(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		const senders, each, bound = 3, 40, 9
		q := NewQueue[[2]int](e, bound)
		g, receivers := NewGroup(e), NewGroup(e)
		for s := range senders {
			g.Go("sender", func() error {
				for i := range each {
					if !q.Send([2]int{s, i}) {
						t.Error("Send on an open queue failed")
					}
				}
				return nil
			})
		}
		var got [senders]atomic.Int32
		for range 2 {
			receivers.Go("receiver", func() error {
				next := [senders]int{}
				for {
					if q.Len() > bound {
						t.Errorf("%d items in a queue of %d", q.Len(), bound)
					}
					v, ok := q.Recv()
					if !ok {
						return nil
					}
					if v[1] < next[v[0]] {
						t.Errorf("sender %d: item %d after %d", v[0], v[1], next[v[0]])
					}
					next[v[0]] = v[1] + 1
					got[v[0]].Add(1)
				}
			})
		}
		_ = g.Wait()
		q.Close()
		_ = receivers.Wait()
		for s := range got {
			if n := got[s].Load(); n != each {
				t.Errorf("sender %d: %d of %d items arrived", s, n, each)
			}
		}
	})
}

func TestQueueClose(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		q := NewQueue[int](e, 2)
		if _, ok := q.TryRecv(); ok {
			t.Error("TryRecv of an empty queue")
		}
		if !q.TrySend(1) || !q.TrySend(2) || q.TrySend(3) {
			t.Error("a queue of 2 must take 2 items")
		}
		g := NewGroup(e)
		g.Go("blocked sender", func() error {
			if q.Send(4) {
				t.Error("Send succeeded on a closed queue")
			}
			return nil
		})
		e.Sleep(time.Second)
		q.Close()
		q.Close()
		if !q.Closed() || q.TrySend(5) {
			t.Error("queue not closed")
		}
		for _, want := range []int{1, 2} {
			if v, ok := q.RecvFor(time.Second); !ok || v != want {
				t.Errorf("drain: %d, %v, want %d", v, ok, want)
			}
		}
		start := e.Now()
		if _, ok := q.RecvFor(time.Hour); ok || e.Now().Sub(start) > time.Minute {
			t.Error("RecvFor of a closed and empty queue must return at once")
		}
		_ = g.Wait()
	})
}

func TestQueueRecvFor(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		q := NewQueue[int](e, 1)
		if _, ok := q.RecvFor(time.Millisecond); ok || q.Closed() {
			t.Error("RecvFor of an empty queue")
		}
		e.After(time.Second, func() { q.Send(1) })
		if v, ok := q.RecvFor(time.Minute); !ok || v != 1 {
			t.Errorf("RecvFor = %d, %v", v, ok)
		}
	})
}

// A latch excludes, also over waits, and is handed over in order.
func TestLatch(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		l := NewLatch(e)
		inside, rounds := 0, 0
		g := NewGroup(e)
		for range 4 {
			g.Go("holder", func() error {
				for range 5 {
					l.Lock()
					if inside++; inside != 1 {
						t.Errorf("%d holders", inside)
					}
					e.Sleep(time.Millisecond)
					inside--
					rounds++
					l.Unlock()
				}
				return nil
			})
		}
		_ = g.Wait()
		if rounds != 20 {
			t.Errorf("%d rounds, want 20", rounds)
		}
		if !l.TryLock() || l.TryLock() {
			t.Error("TryLock must succeed exactly on a free latch")
		}
		l.Unlock()
	})
}

func TestLeaf(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		var l Leaf
		l.Bind(e)
		n := 0
		g := NewGroup(e)
		for range 4 {
			g.Go("adder", func() error {
				for range 50 {
					l.Lock()
					n++
					l.Unlock()
				}
				return nil
			})
		}
		_ = g.Wait()
		if n != 200 {
			t.Errorf("n = %d, want 200", n)
		}
	})
}

func TestGroup(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		g := NewGroup(e)
		if err := g.Wait(); err != nil {
			t.Errorf("Wait of an empty group = %v", err)
		}
		first, second := errors.New("first"), errors.New("second")
		g.Go("a", func() error { e.Sleep(2 * time.Second); return second })
		g.Go("b", func() error { e.Sleep(time.Second); return first })
		g.Go("c", func() error { return nil })
		if err := g.Wait(); err != first {
			t.Errorf("Wait = %v, want the first error", err)
		}
	})
}

func TestAfter(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		fired := NewFuture[Mono](e)
		start := e.Now()
		timer := e.After(time.Second, func() { fired.Set(e.Now(), nil) })
		stopped := e.After(time.Second, func() { t.Error("a stopped timer fired") })
		if !stopped.Stop() || stopped.Stop() {
			t.Error("Stop must report true exactly once")
		}
		at, _ := fired.Await()
		if d := at.Sub(start); d < time.Second || d > 2*time.Second {
			t.Errorf("fired after %s", d)
		}
		if timer.Stop() {
			t.Error("Stop of a fired timer reports true")
		}
		e.Sleep(2 * time.Second)
	})
}

func TestWaitAny(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		f, q := NewFuture[int](e), NewQueue[int](e, 1)
		if i := WaitAnyFor(e, time.Second, f, q); i != -1 {
			t.Errorf("WaitAnyFor = %d, want -1", i)
		}
		e.After(time.Second, func() { q.Send(1) })
		if i := WaitAny(e, f, q); i != 1 {
			t.Errorf("WaitAny = %d, want 1", i)
		}
		f.Set(1, nil)
		if i := WaitAny(e, f, q); i != 0 {
			t.Errorf("WaitAny of two ready ones = %d, want the lowest, 0", i)
		}
		q.TryRecv()
		e.After(time.Second, q.Close)
		if i := WaitAny(e, q, NewFuture[int](e)); i != 0 {
			t.Errorf("WaitAny = %d, want the closed queue, 0", i)
		}
	})
}

// No wake-up is lost when receivers of several kinds share queues.
func TestWaitAnySharedQueues(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		const each = 30
		a, b := NewQueue[int](e, 2), NewQueue[int](e, 2)
		senders, receivers := NewGroup(e), NewGroup(e)
		var got atomic.Int32
		receivers.Go("plain", func() error {
			for {
				if _, ok := a.Recv(); !ok {
					return nil
				}
				got.Add(1)
			}
		})
		for range 2 {
			receivers.Go("either", func() error {
				for !a.Closed() || !b.Closed() || a.Len()+b.Len() > 0 {
					if a.Closed() && a.Len() == 0 {
						WaitAny(e, b)
					} else {
						WaitAny(e, a, b)
					}
					if _, ok := b.TryRecv(); ok {
						got.Add(1)
					} else if _, ok := a.TryRecv(); ok {
						got.Add(1)
					}
				}
				return nil
			})
		}
		for _, q := range []*Queue[int]{a, b} {
			senders.Go("sender", func() error {
				for i := range each {
					q.Send(i)
				}
				return nil
			})
		}
		_ = senders.Wait()
		a.Close()
		b.Close()
		_ = receivers.Wait()
		if got.Load() != 2*each {
			t.Errorf("%d of %d items arrived", got.Load(), 2*each)
		}
	})
}

func TestClocksAdvance(t *testing.T) {
	bothWorlds(t, func(t *testing.T, e *Env) {
		mono := e.Now()
		wall, bound := e.Wall()
		e.Sleep(time.Minute)
		wall2, _ := e.Wall()
		if d := e.Now().Sub(mono); d < time.Minute || d > time.Minute+time.Second {
			t.Errorf("Now moved by %s in a minute", d)
		}
		if d := time.Duration(wall2 - wall); d < time.Minute || d > time.Minute+time.Second {
			t.Errorf("Wall moved by %s in a minute", d)
		}
		if bound <= 0 {
			t.Errorf("claimed uncertainty %s", bound)
		}
	})
}
