// Package facet finds the entries of a table by what their values say.
//
// A caller gives a database a function that derives a few tags from a key and its
// value: "status=open", "expires=2031-05". Each table keeps one bitmap for each
// tag that occurs in it: the rows that have the tag, a row being the position of
// an entry in the table. A filter, an expression over tags, becomes operations on
// bitmaps, and a scan touches only the rows that are left:
//
//	row            0  1  2  3  4  5  6  7
//	red            1  .  1  .  .  .  1  .
//	old            .  .  1  1  .  .  1  1
//	red & !old     1  .  .  .  .  .  .  .     → read row 0 alone
//
// Whether a row is the version of its key that a reader may see is not decided
// here; package lsm does that.
//
// A table keeps at most MaxTags tags. Rows with others are noted as incomplete: for
// a tag that the table does not list they may match, and the reader asks the
// function about them. So a filter is answered with two sets, see Selection.
//
// Reading order: tags.go, expr.go, selection.go, build.go, set.go (which draws the
// format), check.go.
package facet
