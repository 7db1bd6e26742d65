// Command gen writes the shapes of package api from the service model.
//
// It reads model/dynamodb.json and the hand-kept model/overlay.json, decides
// for every shape which Go type it becomes and which of decoding, checking,
// printing and encoding it needs (model.go, gotype.go), and emits one file per
// concern: shapes, decoding, validation, printing, encoding, operations.
//
// Run it with go generate ./server/api. A test in this package fails when the
// checked-in files are not what it would write.
package main
