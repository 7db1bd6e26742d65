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
// callbacks, and waits only through Future, Queue, Latch, Group, WaitAny and
// Sleep. These are the same code in both worlds; only the place where a task
// parks (monitor.wait) knows which one it is in.
//
// Reading order: env.go (the Env), future.go, queue.go, latch.go, leaf.go,
// group.go, waitany.go, and monitor.go below them. Then the simulated side:
// world.go, task.go, node.go, timer.go, chance.go, trace.go.
package env
