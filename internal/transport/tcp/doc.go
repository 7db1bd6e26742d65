// Package tcp is the network between the nodes of a real cluster: framed
// messages over TCP, with TLS if asked.
//
// A node dials one connection per lane to each of its peers, on which it only
// sends messages; what the other sends comes on connections that the other has
// dialled. So nobody has to agree on who dials. What a connection carries is
// drawn in hello.go and in transport's frame.go.
//
// Goroutines live here: one that accepts, two per connection at either end.
// All of them end with Close. Who sends on the lane Raft, or on the lane Call when that was quiet, writes
// to the socket itself if it takes that at once (direct.go); everything else is left to the
// connection's goroutine, which writes together what has come together.
//
// Peers may be given a delay, for demonstrations and measurements (delay.go).
//
// Reading order: transport.go, sender.go (what dials), direct.go, delay.go, receiver.go (what
// accepts), hello.go, greet.go, tls.go.
package tcp
