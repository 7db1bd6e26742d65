// Package load copies items from files into a table over the DynamoDB API.
//
// Three shapes of file are understood: DynamoDB JSON lines (as table exports
// have them, {"Item":{"pk":{"S":"a"}}}), plain JSON (lines, an array, or one
// object that wraps an array) and CSV with a header row. Any of them may be
// gzip-compressed.
//
// A load is resumable: every write replaces a whole item, so repeating one
// changes nothing, and a small state file beside the input remembers how many
// leading records are known to be stored.
//
// Reading order: source.go (records out of files), value.go (plain JSON to
// DynamoDB JSON), client.go (the API calls), state.go, load.go.
package load
