// Package server is the process: it puts the rooms together and speaks
// DynamoDB's protocol at the edge.
//
// A Server owns a directory (or memory) with the engine and the raft log in
// it, and serves HTTP/1.1 and HTTP/2 requests whose X-Amz-Target names one of
// DynamoDB's operations. A request passes
//
//	http1         the HTTP/1.1 of ordinary clients; net/http has all others
//	http.go       size, method, content type, JSON syntax, operation, signature
//	operation.go  decoding (api) and the constraints of the service model
//	put.go, ...   the checks that need no table, one file per operation
//	table         everything else
//	translate.go  errors of the rooms below become DynamoDB's
//	reply.go      compression, checksum, headers
//
// Reading order: open.go and http.go, then operation.go and one operation
// (get.go), then the parts that operations share: parameters.go, write.go,
// selecting.go, legacy.go, consumed.go. Package api has the shapes.
package server
