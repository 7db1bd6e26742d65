// Package nowait reads and writes sockets, and other files that do not block, in system calls
// that the runtime is not told of.
//
// Around each ordinary system call the runtime prepares for one that takes long: it wakes its monitor, a thread
// that looks 10,000 times a second whether the call is over. For a node that sleeps between requests, that was
// nearly half of all processor time. What does not wait is over within some microseconds, as other code is.
package nowait
