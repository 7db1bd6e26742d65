// Package partiql reads DynamoDB's subset of PartiQL, a language with the look
// of SQL.
//
// A statement becomes a tree whose conditions and updates are those of package
// expr, so that one evaluator serves both languages. Which table operation a
// statement becomes depends on the key of its table, which this package does
// not know.
//
//	text ─ lexer ─ parser ─┬─ Select  ─┐
//	parameters ────────────┼─ Insert   ├─ with a table's key: Query, Scan,
//	                       ├─ Update   │  GetItem, PutItem, UpdateItem, DeleteItem
//	                       ├─ Delete  ─┘
//	                       └─ Exists     in transactions only
//
// The grammar (Developer Guide, "PartiQL - a SQL-compatible query language"):
//
//	statement  := select | insert | update | delete | "EXISTS" "(" select ")"
//	select     := "SELECT" ("*" | path ("," path)*) "FROM" name ("." name)?
//	              ("WHERE" condition)? ("ORDER" "BY" key ("," key)*)?
//	key        := name ("ASC" | "DESC")?
//	insert     := "INSERT" "INTO" name "VALUE" (map | "?")
//	update     := "UPDATE" name change+ ("WHERE" condition)? returning?
//	change     := "SET" path "=" source ("," path "=" source)*
//	            | "REMOVE" path ("," path)*
//	delete     := "DELETE" "FROM" name ("WHERE" condition)? returning?
//	returning  := "RETURNING" ("ALL" | "MODIFIED") ("OLD" | "NEW") "*"
//
//	condition  := and ("OR" and)*
//	and        := not ("AND" not)*
//	not        := "NOT" not | predicate
//	predicate  := "(" condition ")" | function "(" operand ("," operand)* ")"
//	            | operand comparator operand
//	            | operand "NOT"? "BETWEEN" operand "AND" operand
//	            | operand "NOT"? "IN" ("[" operand ("," operand)* "]" | "(" operand ("," operand)* ")")
//	            | operand "IS" "NOT"? ("MISSING" | "NULL" | type)
//	operand    := path | value | "size" "(" operand ")" | "(" operand ")"
//
//	source     := term (("+" | "-") term)?
//	term       := path | value | function "(" term ("," term)* ")" | "(" source ")"
//
//	path       := name ("." name | "[" digits "]" | "[" string "]")*
//	name       := word | '"' characters '"'
//	value      := string | number | "TRUE" | "FALSE" | "NULL" | "?"
//	            | "[" (value ("," value)*)? "]"
//	            | "{" (string ":" (value | "MISSING") ("," ...)*)? "}"
//	            | "<<" value ("," value)* ">>"
//
// Keywords and functions may be written in any case. A statement may end with
// a semicolon and hold comments, "--" to the end of the line or between "/*"
// and "*/".
//
// Reading order: statement.go (what comes out, and Parse), lexer.go,
// parser.go and error.go (what all statements share), then one file per
// statement; condition.go, source.go, value.go and path.go hold what they are
// made of.
package partiql
