package invariant

import "testing"

func TestCheck(t *testing.T) {
	Check(true, "never seen %d", 1)
	defer func() {
		if got, want := recover(), "invariant broken: level 3 overlaps"; got != want {
			t.Errorf("Check(false) panicked with %v, want %q", got, want)
		}
	}()
	Check(false, "level %d overlaps", 3)
	t.Error("Check(false) returned")
}
