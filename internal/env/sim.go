package env

import "time"

// Placeholders replaced by the simulated world.
type simNode struct{}

func (n *simNode) now() Mono                                 { panic("sim") }
func (n *simNode) wall() (Time, Bound)                       { panic("sim") }
func (n *simNode) sleep(d time.Duration)                     { panic("sim") }
func (n *simNode) spawn(name string, f func())               { panic("sim") }
func (n *simNode) after(d time.Duration, f func()) *simTimer { panic("sim") }
func (n *simNode) rand() uint64                              { panic("sim") }
func (n *simNode) yield()                                    { panic("sim") }
func (n *simNode) buggify(p Point) bool                      { panic("sim") }
func (n *simNode) sometimes(m Mark)                          { panic("sim") }
func (n *simNode) waiters() *simWaiters                      { panic("sim") }
func (n *simNode) latch() *simLatch                          { panic("sim") }
func (n *simNode) group() *simGroup                          { panic("sim") }
func (n *simNode) lockLeaf(l *Leaf)                          { panic("sim") }
func (n *simNode) unlockLeaf(l *Leaf)                        { panic("sim") }

type simTimer struct{}

func (t *simTimer) stop() bool { panic("sim") }

type simWaiters struct{}

func (w *simWaiters) set(f func()) bool           { panic("sim") }
func (w *simWaiters) await()                      { panic("sim") }
func (w *simWaiters) awaitFor(time.Duration) bool { panic("sim") }

type simLatch struct{}

func (l *simLatch) lock()         { panic("sim") }
func (l *simLatch) tryLock() bool { panic("sim") }
func (l *simLatch) unlock()       { panic("sim") }

type simGroup struct{}

func (g *simGroup) spawn(name string, f func() error) { panic("sim") }
func (g *simGroup) wait() error                       { panic("sim") }

type simQueue[T any] struct{}

func newSimQueue[T any](n *simNode, size int) *simQueue[T]  { panic("sim") }
func (q *simQueue[T]) send(v T) bool                        { panic("sim") }
func (q *simQueue[T]) trySend(v T) bool                     { panic("sim") }
func (q *simQueue[T]) recv() (v T, ok bool)                 { panic("sim") }
func (q *simQueue[T]) tryRecv() (v T, ok bool)              { panic("sim") }
func (q *simQueue[T]) recvFor(time.Duration) (v T, ok bool) { panic("sim") }
func (q *simQueue[T]) len() int                             { panic("sim") }
func (q *simQueue[T]) close()                               { panic("sim") }
func (q *simQueue[T]) isClosed() bool                       { panic("sim") }
