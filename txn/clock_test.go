package txn

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

func TestTimestamp(t *testing.T) {
	const ms = 1_700_000_000_123
	at := TimestampAt(env.Time(ms*1e6 + 999_999))
	if at != ms<<16 || at.Logical() != 0 || at.Physical().UnixMilli() != ms {
		t.Errorf("TimestampAt = %d: %d ms, logical %d", at, at.Physical().UnixMilli(), at.Logical())
	}
	if got := (at + 2).String(); got != "1700000000123+2" {
		t.Errorf("String = %s", got)
	}
	if TimestampAt(-1) != 0 || TimestampAt(0) != 0 {
		t.Error("times before 1970 are not 0")
	}
	// A full counter carries into the milliseconds.
	full := at | (1<<16 - 1)
	if next := full + 1; next.Logical() != 0 || next.Physical().UnixMilli() != ms+1 {
		t.Errorf("after %v comes %v", full, next)
	}
}

func TestClockAscends(t *testing.T) {
	c := NewClock(env.New())
	if c.Last() != 0 {
		t.Errorf("Last of a new clock = %v, want 0", c.Last())
	}
	last := Timestamp(0)
	for range 10_000 {
		now := c.Now()
		if now <= last {
			t.Fatalf("Now = %v after %v", now, last)
		}
		last = now
	}
	wall, _ := env.New().Wall()
	if ahead := last.Physical() - wall; ahead > env.Time(time.Second) || ahead < -env.Time(time.Minute) {
		t.Errorf("the clock is %v away from the wall", time.Duration(ahead))
	}
}

func TestObserve(t *testing.T) {
	e := env.New()
	c := NewClock(e)
	wall, bound := e.Wall()
	near := TimestampAt(wall + env.Time(time.Second))
	if err := c.Observe(near); err != nil {
		t.Fatalf("Observe(a second ahead) = %v", err)
	}
	if now := c.Now(); now <= near {
		t.Errorf("Now = %v, want more than the observed %v", now, near)
	}
	if err := c.Observe(1); err != nil || c.Now() <= near {
		t.Errorf("an old timestamp turned the clock back, or failed: %v", err)
	}
	far := TimestampAt(wall + env.Time(bound+time.Hour))
	if err := c.Observe(far); !errors.Is(err, ErrAhead) {
		t.Errorf("Observe(an hour ahead) = %v, want ErrAhead", err)
	}
	if c.Last() >= far {
		t.Errorf("Last = %v: a refused timestamp was kept", c.Last())
	}
	// What this node itself has written is believed.
	c.Restore(far)
	if now := c.Now(); now <= far {
		t.Errorf("Now = %v after Restore(%v)", now, far)
	}
	if err := c.Observe(far); err != nil {
		t.Errorf("Observe of a time already reached = %v", err)
	}
	// So are others that are as far ahead, as after all wall clocks were set back.
	beside := TimestampAt(far.Physical() + env.Time(time.Second))
	if err := c.Observe(beside); err != nil || c.Now() <= beside {
		t.Errorf("Observe of a clock that is as far ahead = %v, Now = %v", err, c.Now())
	}
	if err := c.Observe(TimestampAt(far.Physical() + env.Time(time.Hour))); !errors.Is(err, ErrAhead) {
		t.Errorf("Observe of one that is further ahead = %v, want ErrAhead", err)
	}
}

// No two callers may get the same timestamp.
func TestClockConcurrent(t *testing.T) {
	c := NewClock(env.New())
	const tasks, each = 4, 2000
	got := make([][]Timestamp, tasks)
	var wait sync.WaitGroup
	for i := range tasks {
		wait.Go(func() {
			for range each {
				got[i] = append(got[i], c.Now())
			}
		})
	}
	wait.Wait()
	var all []Timestamp
	for i := range got {
		if !slices.IsSorted(got[i]) {
			t.Errorf("task %d saw the time go back", i)
		}
		all = append(all, got[i]...)
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != tasks*each {
		t.Errorf("%d distinct timestamps, want %d", n, tasks*each)
	}
}

// Two nodes whose wall clocks are seconds apart, and set back in between:
// what is caused by an event still gets a later time.
func TestClocksOfDifferentHosts(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	fastEnv, slowEnv := w.NewNode("fast"), w.NewNode("slow")
	w.SetClock("fast", 0, 2*time.Second)
	w.SetClock("slow", 0, -time.Second)
	fast, slow := NewClock(fastEnv), NewClock(slowEnv)
	err := w.Do(slowEnv, "exchange", func() {
		for i := range 100 {
			sent := fast.Now()
			if err := slow.Observe(sent); err != nil {
				t.Errorf("Observe(%v): %v", sent, err)
			}
			received := slow.Now()
			if received <= sent {
				t.Errorf("round %d: sent at %v, received at %v", i, sent, received)
			}
			slowEnv.Sleep(10 * time.Millisecond)
			if i == 50 {
				w.SetClock("fast", 0, -3*time.Second)
			}
			if err := fast.Observe(received); err != nil {
				t.Errorf("Observe(%v): %v", received, err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
