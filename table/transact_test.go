package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func num(v int) string { return fmt.Sprintf(`{":v":{"N":"%d"}}`, v) }

func transactPut(table, text string) TransactAction {
	return TransactAction{Kind: TransactPut, Table: table, Item: js(text)}
}

// reasons prints the codes of a cancelled transaction.
func reasons(err error) string {
	var cancelled *CancelledError
	if !errors.As(err, &cancelled) {
		return fmt.Sprint(err)
	}
	var codes []string
	for _, r := range cancelled.Reasons {
		codes = append(codes, r.Code.String())
	}
	return strings.Join(codes, " ")
}

// TestTransactWrite: all actions of a transaction happen, or none, whether its items lie
// in one partition or in several, and each refused action says why.
func TestTransactWrite(t *testing.T) {
	for _, partitions := range []int{1, 16} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) { testTransactWrite(t, partitions) })
	}
}

func testTransactWrite(t *testing.T, partitions int) {
	b := newWorld(t)
	b.create(simple("tab", partitions))
	key := func(i int) string { return fmt.Sprintf(`{"p":{"S":"k%d"}}`, i) }
	row := func(i, v int) string { return fmt.Sprintf(`{"p":{"S":"k%d"},"v":{"N":"%d"}}`, i, v) }
	write := func(actions ...TransactAction) error {
		_, err := b.TransactWrite(&TransactWriteRequest{Actions: actions})
		return err
	}
	if err := write(transactPut("tab", row(1, 1)), transactPut("tab", row(2, 2)), transactPut("tab", row(3, 3))); err != nil {
		t.Fatal(err)
	}
	set := func(i, v int) TransactAction {
		return TransactAction{Kind: TransactUpdate, Table: "tab", Item: js(key(i)), Update: update("SET v = v + :v", num(v))}
	}
	check := func(i int, text string, v int) TransactAction {
		values := ""
		if strings.Contains(text, ":v") {
			values = num(v)
		}
		return TransactAction{Kind: TransactCheck, Table: "tab", Item: js(key(i)), Condition: condition(text, values), ReturnOnFailure: true}
	}
	remove := func(i int) TransactAction {
		return TransactAction{Kind: TransactDelete, Table: "tab", Item: js(key(i))}
	}

	if err := write(set(1, 10), remove(2), check(3, "v = :v", 3), transactPut("tab", row(4, 4))); err != nil {
		t.Fatal(err)
	}
	want := []string{row(1, 11), "none", row(3, 3), row(4, 4)}
	contents := func() (got []string) {
		for i := 1; i <= 4; i++ {
			got = append(got, b.get("tab", key(i)))
		}
		return got
	}
	if got := contents(); !slices.Equal(got, want) {
		t.Fatalf("after a transaction: %v, want %v", got, want)
	}
	for _, test := range []struct {
		actions []TransactAction
		want    string
	}{
		{[]TransactAction{set(1, 1), check(3, "v = :v", 4), set(4, 1)}, "None ConditionalCheckFailed None"},
		{[]TransactAction{check(1, "attribute_not_exists(p)", 0), remove(3), check(4, "v < :v", 0)}, "ConditionalCheckFailed None ConditionalCheckFailed"},
		{[]TransactAction{remove(1), set(2, 1), check(3, "v = :v", 4)}, "None ValidationError None"}, // v is missing
	} {
		err := write(test.actions...)
		if got := reasons(err); got != test.want {
			t.Errorf("reasons %s, want %s", got, test.want)
		}
		var cancelled *CancelledError
		if errors.As(err, &cancelled) && test.actions[1].Kind == TransactCheck && show(cancelled.Reasons[1].Item) != row(3, 3) {
			t.Errorf("the failed condition shows %s", show(cancelled.Reasons[1].Item))
		}
	}
	if got := contents(); !slices.Equal(got, want) {
		t.Errorf("after cancelled transactions: %v, want %v", got, want)
	}
	r, err := b.TransactGet(&TransactGetRequest{Items: []TransactGetItem{{Table: "tab", Key: js(key(4))}, {Table: "tab", Key: js(key(2))}}})
	if err != nil || show(r.Items[0]) != row(4, 4) || r.Items[1] != nil || r.Capacity[0].Read != 2 {
		t.Errorf("TransactGet: %+v, %v", r, err)
	}
}

// TestTransactToken: a request that is repeated under its token is not carried out again.
func TestTransactToken(t *testing.T) {
	for _, partitions := range []int{1, 16} {
		b := newWorld(t)
		b.create(simple("tab", partitions))
		add := func(token string, parameters byte, keys ...string) (bool, error) {
			r := TransactWriteRequest{Token: token, Parameters: [32]byte{parameters}}
			for _, k := range keys {
				r.Actions = append(r.Actions, TransactAction{
					Kind: TransactUpdate, Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":%q}}`, k)), Update: update("ADD v :v", num(1)),
				})
			}
			result, err := b.TransactWrite(&r)
			return err == nil && result.Repeated, err
		}
		for range 3 {
			if _, err := add("one", 1, "a", "b", "c"); err != nil {
				t.Fatal(err)
			}
		}
		if repeated, err := add("one", 1, "a", "b", "c"); err != nil || !repeated {
			t.Errorf("repeated %v, %v", repeated, err)
		}
		var mismatch *ParameterMismatchError
		if _, err := add("one", 2, "a", "b", "c"); !errors.As(err, &mismatch) {
			t.Errorf("other parameters: %v", err)
		}
		if _, err := add("two", 1, "a", "b", "c"); err != nil {
			t.Error(err)
		}
		for _, k := range []string{"a", "b", "c"} {
			if got, want := b.get("tab", fmt.Sprintf(`{"p":{"S":%q}}`, k)), fmt.Sprintf(`{"p":{"S":%q},"v":{"N":"2"}}`, k); got != want {
				t.Errorf("%d partitions: %s, want %s", partitions, got, want)
			}
		}
	}
}

// A transaction of reads is refused when its items are too large together, whatever of them is
// to be shown.
func TestTransactGetSize(t *testing.T) {
	b := newWorld(t)
	b.create(simple("tab", 4))
	r := &TransactGetRequest{}
	for i := range 11 {
		if _, err := b.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"%02d"},"x":{"S":%q}}`, i, strings.Repeat("x", 399<<10)))}); err != nil {
			t.Fatal(err)
		}
		r.Items = append(r.Items, TransactGetItem{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":"%02d"}}`, i))})
	}
	var invalid *ValidationError
	if _, err := b.TransactGet(r); !errors.As(err, &invalid) || !strings.Contains(err.Error(), "size cannot exceed 4 MB") {
		t.Errorf("11 items of 399 KB: %v", err)
	}
	r.Items = r.Items[:10]
	if got, err := b.TransactGet(r); err != nil || len(got.Items) != 10 {
		t.Errorf("10 items of 399 KB: %v", err)
	}
}
