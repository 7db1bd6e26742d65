// Package expr reads and evaluates DynamoDB's expressions.
//
// There are five kinds. A condition expression guards a write, a filter
// expression thins out a Query or Scan, a key condition expression selects
// what a Query reads, a projection expression selects attributes of an item,
// and an update expression changes an item. The parameters that preceded
// expressions (Expected, AttributeUpdates, KeyConditions, ...) become the same
// trees, so everything above and below this package knows only the trees.
//
//	text ─ lexer ─ parser ─┬─ Condition     Eval(item) bool
//	legacy parameters ─────┼─ Update        Apply(item) (item, error)
//	replicated log ─ codec ┼─ Projection    Apply(item) item
//	                       └─ KeyCondition  Terms
//
// A tree is immutable and safe for concurrent use. It holds attribute names
// and constants, not the "#name" and ":value" tokens: Params resolves those
// while parsing.
//
// Every error that a client may see is an *Error whose Message is DynamoDB's
// text in full.
//
// # Reading order
//
// path.go and params.go are what expressions are made of; lexer.go and
// parser.go hold what all kinds share, fault.go which of several errors is
// reported. Then condition.go (grammar) with predicate.go (tree) and eval.go
// (meaning); update.go with action.go and apply.go likewise; projection.go;
// keycondition.go; legacy.go. build.go makes the same trees for another
// language, and split.go takes conditions apart; see package partiql. codec.go
// and decode.go are the binary form of conditions and updates in the replicated
// log. print.go writes trees as text.
// cache.go keeps trees for texts that come again, bind.go gives them new
// constants.
package expr
