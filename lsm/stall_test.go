package lsm

import (
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

// What a burst costs is bounded: writers are not slowed down long after the
// work that was behind has caught up.
func TestPacerForgives(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	e := w.NewNode("n")
	err := w.Do(e, "pacer", func() {
		var p pacer
		p.init(e)
		p.charge(1 << 20)
		if d := p.owed(e.Now()); d > 0 {
			t.Errorf("owes %v although nothing is behind", d)
		}
		p.rate.Store(1 << 20)
		p.charge(1 << 19)
		if d := p.owed(e.Now()); d != time.Second/2 {
			t.Errorf("owes %v for half a second's bytes", d)
		}
		for range 100 {
			p.charge(1 << 20)
		}
		if d := p.owed(e.Now()); d != maxDebt {
			t.Errorf("owes %v after a burst, want %v", d, maxDebt)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
