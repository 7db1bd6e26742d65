// Package result holds what runs have measured, as a JSON file of samples, and makes
// everything else of it: tables, Go benchmark lines, HdrHistogram logs, the formats of
// dashboards, a page of HTML.
//
// Reading order: file.go (the file), metric.go (names of figures), environment.go and
// limits.go (where it was measured, and what that machine can do at best), schema.go,
// then one file for each output.
package result
