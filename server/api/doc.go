// Package api holds the requests and answers of DynamoDB's API as Go types,
// generated from the public service model (see model/README.md).
//
// An input type reads itself from JSON (Decode) and reports what breaks the
// model's constraints (Validate); an output or error type appends itself as
// JSON. No reflection and no intermediate maps: attribute values go straight
// between JSON and the binary form of package item.
//
//	var in api.GetItemInput
//	err := api.Read(body, &in)   // *jsonscan.ConversionError, *ConstraintError
//
// Presence is tracked everywhere, because DynamoDB tells Limit 0 from no Limit
// and an empty list from none: scalars are Optional, structures are pointers,
// lists and maps are nil when absent.
//
// Reading order: optional.go, attributes.go, decoder.go, violations.go,
// names.go, printing.go, encoding.go; then the generated files, one per
// concern. The generator is server/internal/gen.
package api

//go:generate go run ../internal/gen -dir .
