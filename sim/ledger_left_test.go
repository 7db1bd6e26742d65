package sim

import (
	"strings"
	"testing"

	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

type held struct {
	ongoing []partition.OngoingTransaction
	decided []partition.DecidedTransaction
}

func (h held) OngoingIn(_, _ uint64) []partition.OngoingTransaction { return h.ongoing }
func (h held) Decided() []partition.DecidedTransaction              { return h.decided }

// Taken items and records of what was committed are left; records of what was cancelled may stay.
func TestLeftOfTransactions(t *testing.T) {
	record := func(o txn.Outcome) held { return held{decided: []partition.DecidedTransaction{{Outcome: o}}} }
	for _, c := range []struct {
		h    held
		want string
	}{
		{held{}, ""},
		{record(txn.Cancelled), ""},
		{record(txn.Committed), "which is committed, is still recorded in group 3 on n1"},
		{record(txn.Prepared), "which is prepared, is still recorded"},
		{held{ongoing: make([]partition.OngoingTransaction, 1)}, "still has items of group 3"},
	} {
		err := leftIn(c.h, "n1", 3)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("leftIn(%+v) = %v, want %q", c.h, err, c.want)
		}
	}
}
