package server

import (
	"context"
	"math/bits"
	"slices"
	"sync"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
)

// Answers of many items are up to 1 MiB of stored data, or 16 MiB for batches,
// and more as JSON. Two bounds keep the memory that they take together finite,
// however many clients ask at a time and however slowly they read:
//
//	asked ─→ waits for a turn ─→ collected and encoded ─→ counted ─→ sent
//	                             a few at a time           answerBudget

// answerBudget is what answers above maxKept may take while they are sent. An
// answer beyond it is dropped and the client told to ask again.
const answerBudget = 512 << 20

// How many answers of many items are made at a time: pages take about 4 MiB
// while they are made, batches up to 60. Statements may also write, and then
// wait for the disk together.
const (
	pageTurns  = 256
	batchTurns = 32
)

// A portion says how much an operation answers with.
type portion byte

const (
	anItem portion = iota
	aPage
	aBatch
)

// portions are those of all operations that answer with many items.
var portions = map[string]portion{
	"BatchExecuteStatement": aBatch,
	"BatchGetItem":          aBatch,
	"ExecuteStatement":      aPage,
	"ExecuteTransaction":    aBatch,
	"Query":                 aPage,
	"Scan":                  aPage,
	"TransactGetItems":      aPage,
}

// turns are taken by requests while their answers are made.
type turns chan struct{}

func (e *edge) turns(p portion) turns {
	if p == aBatch {
		return e.batches
	}
	return e.pages
}

// take waits for a turn, unless the client goes away first.
func (t turns) take(ctx context.Context) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	select {
	case t <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t turns) give() { <-t }

// collect is run for an operation that may have to wait for its turn.
func (x *exchange) collect(p portion, run operation, body []byte) ([]byte, error) {
	t := x.edge.turns(p)
	if !t.take(x.r.Context()) {
		return nil, errUnavailable
	}
	defer t.give()
	return x.run(run, body)
}

// run carries out an operation and appends its answer to the exchange's buffer.
func (x *exchange) run(run operation, body []byte) ([]byte, error) {
	answer, err := run(body)
	if err != nil {
		return nil, err
	}
	if x.target == "DescribeEndpoints" {
		answer = endpointsAt(x.r.Host)
	}
	x.makeRoom(room(answer))
	return answer.AppendJSON(x.out[:0]), nil
}

// room guesses how many bytes the items of an answer take as JSON, so that the
// buffer does not grow step by step. It need not be right.
func room(answer api.Output) (n int) {
	switch a := answer.(type) {
	case *api.QueryOutput:
		return roomOf(a.Items)
	case *api.ScanOutput:
		return roomOf(a.Items)
	case *api.ExecuteStatementOutput:
		return roomOf(a.Items)
	case *api.BatchGetItemOutput:
		for _, items := range a.Responses {
			n += roomOf(items)
		}
	}
	return n
}

func roomOf(items []item.Item) (n int) {
	for _, it := range items {
		n += len(it)*9/8 + 12*it.Len() + 16 // names, values and {"S":""} instead of a directory
	}
	return n
}

const (
	minLargeLog = 17 // 128 KiB
	maxLargeLog = 21 // 2 MiB: a page of 1 MiB, as JSON
)

// larges are buffers of answers above maxKept that are used again, until the
// next collections: 1<<minLargeLog bytes, twice as many, and so on.
var larges [maxLargeLog - minLargeLog + 1]sync.Pool

// makeRoom gets a buffer of n bytes for an answer that would outgrow the
// exchange's several times.
func (x *exchange) makeRoom(n int) {
	switch class := max(bits.Len(uint(n-1))-minLargeLog, 0); {
	case n <= maxKept:
		x.out = slices.Grow(x.out[:0], n)
	case class >= len(larges):
		x.out = make([]byte, 0, n)
	default:
		if b, ok := larges[class].Get().(*[]byte); ok {
			x.out = *b
			return
		}
		x.out = make([]byte, 0, 1<<(class+minLargeLog))
	}
}

// dropLarge parts with the answer's buffer if it is a large one.
func (x *exchange) dropLarge() {
	n := cap(x.out)
	if n <= maxKept {
		return
	}
	b := x.out[:0]
	x.out = nil
	if class := bits.Len(uint(n)) - 1 - minLargeLog; class >= 0 && class < len(larges) {
		larges[class].Put(&b)
	}
}

// hold counts an answer that is about to be sent; false if there is no room.
func (x *exchange) hold(answer []byte) bool {
	n := int64(cap(answer))
	if n <= maxKept {
		return true
	}
	if !x.edge.answers.take(n) {
		return false
	}
	x.held = n
	return true
}
