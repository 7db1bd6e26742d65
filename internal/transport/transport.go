// Package transport carries bytes between the nodes of a cluster.
//
// The rooms above see Transport: best-effort messages on lanes. What answers and
// times out is built on it (Calls). Production speaks framed TCP; the simulator
// has a network of its own (Network) that loses, doubles, delays and reorders.
//
// Reading order: transport.go, calls.go, call_codec.go, frame.go; for simulated
// worlds network.go, link.go, trouble.go. Package tcp is the real network.
package transport

// A NodeID names a node of a cluster, never 0. It is also the node's id in
// every raft group, and is never used again once the node is gone.
type NodeID uint64

// A Lane separates traffic that must not wait for other traffic. Messages of one
// lane between two nodes usually arrive in order; nothing may depend on it.
type Lane byte

// The lanes.
const (
	Raft     Lane = iota // raft messages, heartbeats: small and urgent
	Call                 // requests and answers
	Snapshot             // chunks of snapshots: bulk, acknowledged piece by piece
	Lanes                // how many there are
)

// A Transport is one node's end of the network.
//
// It is safe for concurrent use.
type Transport interface {
	// Self returns the node's own id.
	Self() NodeID
	// Send sends a message, best effort, and never blocks: it may be lost,
	// doubled, late or overtaken. The message must not be changed afterwards. A
	// node can send to itself.
	Send(to NodeID, lane Lane, message []byte)
	// Handle says who receives the messages of a lane. It is called before the
	// first message is sent or expected. receive must not park, and may be called
	// by several at a time; the message is the receiver's, and nobody changes it.
	Handle(lane Lane, receive func(from NodeID, message []byte))
	// Unreachable is a hint that messages to a node are being lost now.
	Unreachable(to NodeID) bool
}

// MaxMessage bounds a message in bytes; longer ones are dropped.
const MaxMessage = 32 << 20

// A Watcher is a transport that tells when it learns that a node can no longer
// be reached, or can be again. f must not park.
type Watcher interface {
	Watch(f func(node NodeID, reachable bool))
}
