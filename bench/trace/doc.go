// Package trace records what a live server is asked and makes a workload of it.
//
// A recorder stands in front of a server's handler (record.go). It keeps when an
// operation came, of which kind it was, its key and the size of what it wrote: no
// values, and on request only hashes of keys. file.go has the format.
package trace
