package env

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// What the seam costs in production, next to the same thing without it.

func BenchmarkNow(b *testing.B) {
	b.Run("env", func(b *testing.B) {
		e := New()
		for b.Loop() {
			e.Now()
		}
	})
	b.Run("bare", func(b *testing.B) {
		start := time.Now()
		for b.Loop() {
			_ = time.Since(start)
		}
	})
}

// total is what the benchmarked locks guard.
var total int

func BenchmarkLeaf(b *testing.B) {
	b.Run("env", func(b *testing.B) {
		var l Leaf
		l.Bind(New())
		n := 0
		for b.Loop() {
			n++
			l.Lock()
			total = n
			l.Unlock()
		}
	})
	b.Run("bare", func(b *testing.B) {
		var mu sync.Mutex
		n := 0
		for b.Loop() {
			n++
			mu.Lock()
			total = n
			mu.Unlock()
		}
	})
}

func BenchmarkLatch(b *testing.B) {
	l := NewLatch(New())
	n := 0
	for b.Loop() {
		n++
		l.Lock()
		total = n
		l.Unlock()
	}
}

// One task asks, another answers: the shape of a proposal.
func BenchmarkFutureRoundTrip(b *testing.B) {
	b.Run("env", func(b *testing.B) {
		e := New()
		b.ReportAllocs()
		requests := NewQueue[*Future[int]](e, 1)
		g := NewGroup(e)
		g.Go("answer", func() error {
			for {
				f, ok := requests.Recv()
				if !ok {
					return nil
				}
				f.Set(1, nil)
			}
		})
		for b.Loop() {
			f := NewFuture[int](e)
			requests.Send(f)
			f.Await()
		}
		requests.Close()
		_ = g.Wait()
	})
	b.Run("bare", func(b *testing.B) {
		type future struct {
			done chan struct{}
			v    int
		}
		b.ReportAllocs()
		requests := make(chan *future, 1)
		go func() {
			for f := range requests {
				f.v = 1
				close(f.done)
			}
		}()
		for b.Loop() {
			f := &future{done: make(chan struct{})}
			requests <- f
			<-f.done
		}
		close(requests)
	})
}

// Items through a queue that is neither full nor empty: no task parks.
func BenchmarkQueue(b *testing.B) {
	b.Run("env", func(b *testing.B) {
		q := NewQueue[int](New(), 64)
		for b.Loop() {
			q.Send(1)
			q.Recv()
		}
	})
	b.Run("bare", func(b *testing.B) {
		c := make(chan int, 64)
		for b.Loop() {
			c <- 1
			<-c
		}
	})
}

func BenchmarkWaitAny(b *testing.B) {
	e := New()
	b.ReportAllocs()
	q, quit := NewQueue[int](e, 1), NewFuture[int](e)
	g := NewGroup(e)
	g.Go("receiver", func() error {
		for WaitAny(e, q, quit) == 0 {
			q.TryRecv()
		}
		return nil
	})
	for b.Loop() {
		q.Send(1)
	}
	quit.Set(0, nil)
	_ = g.Wait()
}

// What a simulated step costs.

func BenchmarkSimYield(b *testing.B) {
	for _, tasks := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			w := newWorld(b, 1, Options{})
			e := w.NewNode("n")
			for range tasks {
				e.Go("yield", func() {
					for {
						e.Yield()
					}
				})
			}
			benchmarkSteps(b, w)
		})
	}
}

func BenchmarkSimSleep(b *testing.B) {
	w := newWorld(b, 1, Options{})
	e := w.NewNode("n")
	for i := range 100 {
		e.Go("sleep", func() {
			for {
				e.Sleep(time.Duration(50+i) * time.Millisecond)
			}
		})
	}
	benchmarkSteps(b, w)
}

func BenchmarkSimFutureRoundTrip(b *testing.B) {
	w := newWorld(b, 1, Options{})
	e := w.NewNode("n")
	requests := NewQueue[*Future[int]](e, 1)
	e.Go("answer", func() {
		for {
			f, _ := requests.Recv()
			f.Set(1, nil)
		}
	})
	b.ReportAllocs()
	err := w.Do(e, "ask", func() {
		for b.Loop() {
			f := NewFuture[int](e)
			requests.Send(f)
			f.Await()
		}
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSimSpawn(b *testing.B) {
	w := newWorld(b, 1, Options{})
	e := w.NewNode("n")
	b.ReportAllocs()
	for b.Loop() {
		e.Go("short", func() {})
		if len(w.runnable) == 100 {
			if err := w.RunUntilIdle(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchmarkSteps(b *testing.B, w *World) {
	for b.Loop() {
		w.fire()
		w.clear()
		if len(w.runnable) == 0 {
			w.clock, _ = w.timers.next()
			w.fire()
		}
		w.resume(w.pick())
	}
}
