package vfs

import (
	"errors"
	"testing"
)

// Simulated errors are those of a system to callers, and have the same words on all.
func TestSimulatedErrors(t *testing.T) {
	for err, want := range map[error]struct {
		is   error
		text string
	}{
		SimulatedIO:      {ErrIO, "input/output error"},
		SimulatedNoSpace: {ErrNoSpace, "no space left on device"},
	} {
		if !errors.Is(err, want.is) || err.Error() != want.text {
			t.Errorf("%q, which is %v: %t", err, want.is, errors.Is(err, want.is))
		}
	}
}
