package vfs

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Guard runs f, which reads mapped files, and turns a page fault in it (the
// file was truncated, or its device failed) into an error that matches ErrIO.
// Without it such a fault ends the process. Every other panic passes through.
//
// It costs about ten nanoseconds: guard one Get or one batch of iterator steps,
// not one block. Tasks that f starts are not covered.
func Guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}()
	return f()
}

// faultError panics again unless r is a fault at a real address. A nil
// dereference is not: the runtime reports it without Addr.
func faultError(r any) error {
	fault, ok := r.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok {
		panic(r)
	}
	return &FaultError{Addr: fault.Addr()}
}

// A FaultError is a page of a mapped file that could not be read. It matches ErrIO.
type FaultError struct {
	Addr uintptr // in the mapping
}

func (e *FaultError) Error() string {
	return fmt.Sprintf("vfs: page fault in a mapped file at %#x: %v", e.Addr, SimulatedIO)
}

// Unwrap makes the error match ErrIO.
func (e *FaultError) Unwrap() error { return ErrIO }
