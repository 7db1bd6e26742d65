// Package arch holds the shape of the house as tests: which room may import
// which, that every package introduces itself, and what the deterministic
// rooms must leave to internal/env.
//
// The rules are data in rules_test.go; imports_test.go and determinism_test.go
// hold the code to them. The checkers are run on small bad sources as well,
// since a check that cannot fail says nothing.
package arch
