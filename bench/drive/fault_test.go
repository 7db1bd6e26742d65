package drive

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fragile answers at once, but not while it is down.
type fragile struct {
	synthetic
	down atomic.Bool
}

var errDown = errors.New("down")

func newFragile() *fragile {
	f := &fragile{}
	f.do = func(int64) error {
		if f.down.Load() {
			return errDown
		}
		return nil
	}
	return f
}

func (f *fragile) Break(_ context.Context, fault Fault) (string, error) {
	switch fault.Do {
	case Kill:
		f.down.Store(true)
	case Start:
		f.down.Store(false)
	default:
		return "", errors.New("cannot")
	}
	return "a", nil
}

const faulty = `{"name":"f","operations":{"get":1},"workers":2,"length":"600ms","warmup":"1ns","pace":{"rate":1000,"arrivals":"constant"},
	"faults":[{"at":"200ms","do":"kill"},{"at":"400ms","do":"start"}]}`

// A target that is down between two faults has its errors, and its silence, in that phase.
func TestFaults(t *testing.T) {
	m, err := Run(t.Context(), workload(t, faulty), newFragile(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Blows) != 2 || m.Blows[0].Node != "a" || m.Blows[1].Do != Start {
		t.Fatalf("faults %+v", m.Blows)
	}
	if silent := m.Blows[0].Silence; silent < 150*time.Millisecond || m.Blows[0].Recovered >= 0 {
		t.Errorf("silence %v, recovered %v", silent, m.Blows[0].Recovered)
	}
	if len(m.Phases) != 3 || m.Phases[1].Name != "kill a" || m.Phases[2].Name != "start a" {
		t.Fatalf("phases %+v", m.Phases)
	}
	ops := int64(0)
	for _, p := range m.Phases {
		ops += p.Ops
	}
	if before, down := m.Phases[0], m.Phases[1]; ops != m.Ops || before.Errors > 0 || down.Errors < down.Ops-2 || down.Errors == 0 || m.Phases[2].Errors > 2 {
		t.Errorf("%d operations of %d; errors: %d before, %d of %d while it was down, %d after", ops, m.Ops, before.Errors, down.Errors, down.Ops, m.Phases[2].Errors)
	}
}

// at makes operations at a steady rate that end well after so long.
func at(from, to, gap, latency time.Duration) (all []outcome) {
	for t := from; t < to; t += gap {
		all = append(all, outcome{end: int64(t), latency: int64(latency)})
	}
	return all
}

// Recovered is what begins a second that is as good as before, and phases meet there.
func TestPhases(t *testing.T) {
	const ms = time.Millisecond
	all := at(0, 2000*ms, ms, ms)                          // a thousand each second
	all = append(all, at(2500*ms, 2700*ms, ms, 400*ms)...) // nothing for half a second, then late ones
	all = append(all, at(2700*ms, 6000*ms, ms, ms)...)
	blows := []Blow{{Fault: Fault{Do: Kill}, Node: "b", At: 2000 * ms}}
	got := phases(all, blows, 6000*ms)
	// A hundredth may be slow: the second that begins with the last ten late ones, in steps of 50 ms.
	if b := blows[0]; b.Silence != 500*ms || b.Recovered != 700*ms {
		t.Errorf("silence %v, recovered after %v", b.Silence, b.Recovered)
	}
	if len(got) != 3 || got[1].To != 2700*ms || got[2].Name != "after kill b" || got[0].Ops != 2000 || got[1].Ops != 200 || got[2].Ops != 3300 {
		t.Errorf("%+v", got)
	}
	if rate := got[0].Rate(); rate < 999 || rate > 1001 {
		t.Errorf("rate %v", rate)
	}
}

// Faults need somebody who can be hurt, and make sense.
func TestFaultsRefused(t *testing.T) {
	if _, err := Run(t.Context(), workload(t, faulty), &synthetic{do: func(int64) error { return nil }}, Options{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a target without nodes: %v", err)
	}
	hang := strings.Replace(faulty, `"do":"kill"`, `"do":"hang"`, 1)
	if _, err := Run(t.Context(), workload(t, hang), newFragile(), Options{}); err == nil || !strings.Contains(err.Error(), "hang leader: cannot") {
		t.Errorf("a fault that fails: %v", err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"rate":1000,`, ``, "pace.rate"},
		{`"do":"kill"`, `"do":"burn"`, "unknown"},
		{`"at":"400ms"`, `"at":"100ms"`, "is not between"},
		{`"at":"400ms"`, `"at":"700ms"`, "is not between"},
		{`"do":"kill"`, `"do":"kill","node":"same"`, "first"},
		{`"rate":1000`, `"rate":1e8`, "more than"},
	} {
		if _, err := Parse("f", []byte(strings.Replace(faulty, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}

// A strict session wants each operation done before it is checked.
type strict struct {
	synthetic
	done bool
}

func (s *strict) NewSession(int) (Session, error) { return s, nil }
func (s *strict) Prepare(*Op) error               { s.done = false; return nil }

func (s *strict) Do() error {
	s.done = true
	time.Sleep(200 * time.Millisecond)
	return nil
}

func (s *strict) Check() error {
	if !s.done {
		return errors.New("nothing was read")
	}
	return nil
}

// What was due and not sent is not checked: there is no answer.
func TestUnsentIsNotChecked(t *testing.T) {
	w := workload(t, `{"name":"u","operations":{"get":1},"length":"100ms","pace":{"rate":500,"arrivals":"constant"}}`)
	m, err := Run(t.Context(), w, &strict{}, Options{})
	if err != nil || m.Unsent < 40 {
		t.Errorf("%v; %+v", err, m)
	}
}
