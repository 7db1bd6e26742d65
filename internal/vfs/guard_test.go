package vfs

import (
	"errors"
	"testing"
)

func TestGuardPassesErrors(t *testing.T) {
	want := errors.New("mine")
	if got := Guard(func() error { return want }); got != want {
		t.Errorf("Guard = %v, want %v", got, want)
	}
	if got := Guard(func() error { return nil }); got != nil {
		t.Errorf("Guard = %v, want nil", got)
	}
}

func TestGuardPassesOtherPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"value":           func() { panic("bug") },
		"nil dereference": func() { var p *int; *p = 1 },
		"index":           func() { var s []int; _ = s[len(s)] },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("Guard swallowed the panic")
				}
			}()
			_ = Guard(func() error { f(); return nil })
		})
	}
}

func BenchmarkGuard(b *testing.B) {
	f := func() error { return nil }
	for b.Loop() {
		_ = Guard(f)
	}
}
