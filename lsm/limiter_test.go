package lsm

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// Several takers share the rate, urgent ones do not wait for the rest, and a change of the
// rate, or the end, is noticed by who waits already.
func TestLimiter(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		const rate = 1 << 20
		var l limiter
		var isDown atomic.Bool
		l.init(e, &isDown, rate)
		took := func(n int, isUrgent bool) time.Duration {
			began := e.Now()
			l.take(n, isUrgent)
			return e.Now().Sub(began).Round(10 * time.Millisecond)
		}
		e.Sleep(time.Hour / 4) // unused rate is kept for limitBurst, no longer
		check(took(rate/10, false) == 0, "there is no burst")
		check(took(rate, false) == time.Second, "a second's bytes take another time")
		check(l.waited.Load() >= int64(time.Second), "waited %v", l.waited.Load())

		began := e.Now()
		g := env.NewGroup(e)
		for range 4 {
			g.Go("taker", func() error {
				for range 10 {
					l.take(rate/10, false)
				}
				return nil
			})
		}
		e.Sleep(time.Second)
		check(took(rate/10, true) == 0, "an urgent taker waits for others")
		must(g.Wait())
		d := e.Now().Sub(began)
		check(d > 4*time.Second && d < 4200*time.Millisecond, "4.1 seconds' bytes take %v", d)
		check(took(rate, true)+took(rate, true) > 1800*time.Millisecond, "urgent takers do not wait for each other")

		for _, relief := range []func(){func() { l.setRate(100 * rate) }, func() { l.setRate(0) }, func() { isDown.Store(true) }} {
			l.setRate(rate)
			began := e.Now()
			g := env.NewGroup(e)
			g.Go("taker", func() error {
				l.take(100*rate, false)
				return nil
			})
			e.Sleep(time.Second)
			relief()
			must(g.Wait())
			check(e.Now().Sub(began) < time.Second+2*limitNap, "relief comes after %v", e.Now().Sub(began))
		}
	})
}

// Compactions keep to the rate, values that they move included; flushes only if asked. Close
// waits for neither.
func TestBackgroundBytesPerSec(t *testing.T) {
	for _, pacesFlushes := range []bool{false, true} {
		inWorld(t, 1, func(e *env.Env) {
			const rate = 64 << 10
			o := Options{
				BackgroundBytesPerSec: rate, PaceFlushes: pacesFlushes, NoPreallocate: true,
				Compaction: idle{}, ValueThreshold: 1000, SpaceAmplification: 1.01, MemoryBytes: 64 << 20,
			}
			db, err := Open(e, vfs.NewDisk(1), o)
			must(err)
			began := e.Now()
			for range 2 { // the second time makes garbage
				b := db.NewBatch()
				for i := range 400 {
					b.Set([]byte{byte(i / 256), byte(i)}, make([]byte, 900+200*(i%2)))
				}
				must(db.Apply(b))
				must(db.Flush())
			}
			flushed := e.Now().Sub(began)
			bytes := func() (n uint64) {
				m := db.Metrics()
				for _, l := range m.Levels {
					n += l.Written
				}
				return n + m.Values.Written
			}
			at := func(n uint64) time.Duration { return time.Duration(n) * time.Second / rate }
			written := bytes()
			if pacesFlushes {
				check(flushed > at(written)-3*limitBurst, "flushes of %d bytes took %v", written, flushed)
			} else {
				check(flushed < time.Second && db.Metrics().Limited == 0, "flushes of %d bytes took %v", written, flushed)
			}
			began = e.Now()
			limited := db.Metrics().Limited
			must(db.Compact(nil, nil))
			d, wrote := e.Now().Sub(began), bytes()-written
			check(wrote > 2*rate && d > at(wrote)-2*limitBurst && d < at(wrote)+2*time.Second, "%d bytes took %v, not %v", wrote, d, at(wrote))
			check(db.Metrics().Limited-limited > d*8/10, "waited %v of %v", db.Metrics().Limited-limited, d)

			db.SetBackgroundBytesPerSec(0)
			must(set(db, "k", "v"))
			began = e.Now()
			must(db.Compact(nil, nil))
			check(e.Now().Sub(began) < time.Second, "without a limit it took %v", e.Now().Sub(began))

			db.SetBackgroundBytesPerSec(1)
			must(set(db, "k", "v"))
			must(db.Apply(func() *Batch { b := db.NewBatch(); b.Delete([]byte("k")); return b }()))
			began = e.Now()
			done := env.NewGroup(e)
			done.Go("compact", func() error { return db.Compact(nil, nil) })
			e.Sleep(time.Second)
			must(db.Close())
			_ = done.Wait()
			check(e.Now().Sub(began) < 10*time.Second, "Close took %v", e.Now().Sub(began))
		})
	}
}
