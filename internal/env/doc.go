// Package env is the seam between Stator and the world: time, tasks and chance.
//
// Nothing below the HTTP edge reads a clock, starts a goroutine, waits on a
// channel or draws a random number by itself; it asks the Env it was given.
// There are two worlds behind that one concrete type:
//
//   - production: goroutines, channels, timers, the operating system's clock;
//   - simulation: coroutines on one thread, virtual time, one seeded choice
//     among the runnable tasks (see World).
//
// Code is written as straight-line blocking code (future.Await()), never as
// callbacks, and waits only through Future, Queue, Latch, Group and Sleep.
//
// Reading order: env.go (the Env), future.go, queue.go, latch.go, group.go,
// then world.go for the simulated side.
package env
