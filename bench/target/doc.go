// Package target has what package drive can load: engines in this process
// (engine.go), the database in this process and any endpoint that speaks DynamoDB's
// API (dynamo.go, with connections of its own in wire.go and socket.go, signatures in
// sign.go).
//
// Keys are numbers 2n, so that 2n+1 is absent. Values name their key, and each that
// is read by itself is checked to the byte.
package target
