package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/txn"
)

// tokenStage is a partition whose clients are at very different times.
type tokenStage struct{ *stage }

func (s *tokenStage) transact(key int, token, parameters byte, born txn.Timestamp) *Result {
	return s.do(s.p, &Command{Kind: Transact, Transaction: &Transaction{
		ID: txn.ID{Node: 7, Born: born}, Token: Token{token}, Parameters: Token{parameters}, Marks: true,
		Actions: []TransactAction{{Command: Command{Kind: Put, Item: s.value(key, int(parameters))}}},
	}})
}

// mark takes the next mark, and asks for it more than once, as leaders in doubt do.
func (s *tokenStage) mark() {
	s.t.Helper()
	next, _ := s.p.NextMark()
	for _, count := range []uint64{next, next, next - 1, next + 2, 0} {
		s.must(&Command{Kind: Mark, Mark: count})
	}
	if now, _ := s.p.NextMark(); now != next+1 {
		s.t.Fatalf("after mark %d the next one is %d", next, now)
	}
}

func (s *tokenStage) reopen(m *member) {
	s.t.Helper()
	p, err := Open(m.db, m.group)
	if err != nil {
		s.t.Fatal(err)
	}
	s.p = p
}

// clocks are those of nodes that ask again: right, a day behind, before 1970, and a year ahead.
var clocks = []txn.Timestamp{100 << 16, 1, 100<<16 + 86_400_000<<16, 100<<16 + 365*86_400_000<<16}

// TestTokenMarks: a token is known for ten marks and what is left of the one before, whatever the clocks say, after a restart, too; then
// its request is a new one. Nobody is asked for marks when nothing is to be forgotten.
func TestTokenMarks(t *testing.T) {
	m := stageMember(t)
	s := &tokenStage{newStage(t, m)}
	if _, wanted := s.p.NextMark(); wanted {
		t.Error("marks are wanted before there is a token")
	}
	for round := range 3 {
		token := byte(10 + round)
		if r := s.transact(2, token, 1, 90<<16); r.Err != nil || r.Transaction.Outcome != txn.Committed {
			t.Fatalf("round %d: %+v", round, r)
		}
		for count := range TokenMarks + 1 {
			for i, born := range clocks {
				if r := s.transact(2, token, 1, born+txn.Timestamp(count)); r.Err != nil || r.Transaction.Outcome != txn.Repeated {
					t.Errorf("round %d, after %d marks, clock %d: %+v", round, count, i, r)
				}
				if r := s.transact(2, token, 2, born+txn.Timestamp(count)); !errors.Is(r.Err, ErrOtherParameters) {
					t.Errorf("round %d, after %d marks, clock %d, other parameters: %+v", round, count, i, r)
				}
			}
			if _, wanted := s.p.NextMark(); !wanted {
				t.Errorf("round %d, after %d marks: no further one is wanted", round, count)
			}
			s.mark()
			if count%4 == 1 {
				s.reopen(m)
			}
		}
		if _, wanted := s.p.NextMark(); wanted {
			t.Errorf("round %d: another mark is wanted when all is forgotten", round)
		}
		if r := s.transact(2, token, 2, 90<<16+1); r.Err != nil || r.Transaction.Outcome != txn.Committed {
			t.Errorf("round %d: a token that is forgotten: %+v", round, r)
		}
		for range round { // so that rounds begin at different places in a generation
			s.mark()
		}
	}
}

// TestTokenRecordsGo: what was forgotten long ago is not kept.
func TestTokenRecordsGo(t *testing.T) {
	m := stageMember(t)
	s := &tokenStage{newStage(t, m)}
	records := func() (n int) {
		for slot := range byte(tokenSlots) {
			if err := s.p.eachOf(s.p.Config(), tokensIndex+slot, func(_, _ []byte) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	for i := range 8 * TokenMarks {
		if r := s.transact(2, byte(20+i), 1, txn.Timestamp(90+i)<<16); r.Err != nil {
			t.Fatal(r.Err)
		}
		s.mark()
		if n := records(); n > 1+tokenSlots*TokenMarks { // one is of the stage
			t.Fatalf("%d records after %d marks", n, i+1)
		}
	}
	for range tokenSlots * TokenMarks {
		s.mark()
	}
	if n := records(); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestTokensBeforeMarks: tokens that were noted before marks were counted are known by their timestamps.
func TestTokensBeforeMarks(t *testing.T) {
	m := stageMember(t)
	s := &tokenStage{newStage(t, m)}
	again := s.other()
	again.ID.Born++
	ask := func(what string, want txn.Outcome) {
		t.Helper()
		again.ID.Born++
		r := s.do(s.p, &Command{Kind: Transact, Transaction: again})
		if r.Err != nil || r.Transaction.Outcome != want {
			t.Errorf("%s: %+v", what, r)
		}
	}
	ask("at first", txn.Repeated)
	again.Marks = true
	ask("when marks are counted", txn.Repeated)
	s.reopen(m)
	ask("after a restart", txn.Repeated)
	again.ID.Born = 70<<16 + txn.Timestamp(TokenLife.Milliseconds())<<16
	ask("after ten minutes", txn.Repeated)
	again.ID.Born += 1 << 16
	again.Others = nil // not as in older logs
	ask("later", txn.Committed)
	s.mark()
	again.ID.Born += 86_400_000 << 16
	ask("a day later, by another clock, what was noted anew", txn.Repeated)
}

// TestTokenFormats: records of older versions are read, and what no version writes is refused.
func TestTokenFormats(t *testing.T) {
	now := tokenRecord{at: 9, mark: 12, parameters: Token{3}, sizes: []int{0, 300}}
	if r, err := decodeToken(now.append(nil)); err != nil || fmt.Sprint(r) != fmt.Sprint(now) {
		t.Errorf("read as %+v, %v", r, err)
	}
	old := append(append([]byte{1}, 9, 0, 0, 0, 0, 0, 0, 0), now.parameters[:]...)
	old = append(old, 2, 0, 0xac, 2)
	r, err := decodeToken(old)
	if now.mark = 0; err != nil || fmt.Sprint(r) != fmt.Sprint(now) || string(r.append(nil)) != string(old) {
		t.Errorf("format 1 is read as %+v, %v", r, err)
	}
	bad := tokenRecord{at: 9, mark: 1}
	zero := bad.append(nil)
	binary.LittleEndian.PutUint64(zero[9:], 0)
	for _, b := range [][]byte{nil, old[:len(old)-1], append(old, 0), zero, append([]byte{3}, old[1:]...)} {
		if _, err := decodeToken(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%x: %v", b, err)
		}
	}

	record := func(m tokenMarks) []byte {
		return (&transactions{checked: 5, ledger: txn.Ledger{Floor: 6}, marks: m}).append(nil)
	}
	for _, m := range []tokenMarks{{generation: 4, count: 41, newest: 40}, {generation: 4}} {
		var got transactions
		b := record(m)
		if err := got.decode(b); err != nil || got.marks != m || got.checked != 5 || got.ledger.Floor != 6 || (b[0] == 1) != (m.count == 0) {
			t.Errorf("%x is read as %+v, %v", b, got.marks, err)
		}
	}
	for _, m := range []tokenMarks{{4, 31, 30}, {4, 41, 42}, {5, 41, 40}} {
		if err := new(transactions).decode(record(m)); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	good := record(tokenMarks{4, 41, 40})
	for _, b := range [][]byte{nil, {1}, good[:30], append(record(tokenMarks{4, 41, 40}), 0), append([]byte{9}, good[1:]...)} {
		if err := new(transactions).decode(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%x: %v", b, err)
		}
	}
}
