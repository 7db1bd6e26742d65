// Package txn orders transactions by hybrid logical time.
//
// Reading order: timestamp.go (the time), clock.go (one node's clock).
package txn
