package sim

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// The table: hash key p, range key s, and in every item the unique value v,
// the counter n and a filler whose length and content follow from v.
const tableName = "items"

func definition(partitions int, facets []string) table.Definition {
	return withIndexes(table.Definition{
		Name:        tableName,
		Attributes:  []table.AttributeDefinition{{Name: "p", Type: item.S}, {Name: "s", Type: item.S}},
		Keys:        []table.KeyElement{{Name: "p", Role: table.Hash}, {Name: "s", Role: table.Range}},
		BillingMode: "PAY_PER_REQUEST",
		Partitions:  partitions,
		Facets:      facets,
	})
}

// hotFilterText is a filter that holds for the hot keys, with its values. If p and v are facets, the others are
// not read.
func hotFilterText() (text string, values edgeItem) {
	values = edgeItem{}
	var list []string
	for p := range hotHashes {
		hash := fmt.Sprint("p", p)
		list = append(list, ":"+hash)
		values[":"+hash] = edgeValue{S: hash}
	}
	return writtenFilter + " AND p IN (" + strings.Join(list, ", ") + ")", values
}

// writtenFilter holds for every item.
const writtenFilter = "attribute_exists(v)"

// A key is "p/s".
func keyItem(key string) map[string]item.Value {
	p, s, _ := strings.Cut(key, "/")
	return map[string]item.Value{"p": item.String(p), "s": item.String(s)}
}

func keyOf(it item.Item) string {
	p, _ := it.Get("p")
	s, _ := it.Get("s")
	return string(p.Bytes()) + "/" + string(s.Bytes())
}

func number(n int64) item.Value {
	v, err := item.Num(strconv.FormatInt(n, 10))
	if err != nil {
		panic(err)
	}
	return v
}

// filler returns bytes that show whose they are: 0 to 2 KB of v repeated.
func filler(v string) []byte {
	sum := uint64(0)
	for _, b := range []byte(v) {
		sum = sum*31 + uint64(b)
	}
	size := int(sum % 97)
	if sum%5 == 0 {
		size *= 20
	}
	return bytes.Repeat([]byte(v), size/len(v)+1)
}

func row(key string, o *Operation) item.Item {
	m := keyItem(key)
	m["v"], m["n"], m["filler"] = item.String(o.Value), number(o.Count), item.Bytes(filler(o.Value))
	return item.NewItem(m)
}

// damaged says that an item came back that nobody wrote.
func damaged(format string, args ...any) error {
	return found(Damage, fmt.Errorf("sim: damaged item: "+format, args...))
}

// stateOf decodes what the service answered with; nil is a missing item.
func stateOf(it item.Item) (*State, error) {
	if it == nil {
		return &State{}, nil
	}
	v, okV := it.Get("v")
	n, okN := it.Get("n")
	f, okF := it.Get("filler")
	if !okV || !okN || !okF {
		return nil, damaged("%s", it.AppendJSON(nil))
	}
	value := string(v.Bytes())
	if !bytes.Equal(f.Bytes(), filler(value)) {
		return nil, damaged("value %s with filler %.60q", value, f.Bytes())
	}
	count, err := strconv.ParseInt(n.Number().String(), 10, 64)
	if err != nil {
		return nil, damaged("count %s", n.Number())
	}
	return &State{true, value, count}, nil
}

// conditionTexts are the Conditions as expressions.
var conditionTexts = [...]string{Always: "", IfAbsent: "attribute_not_exists(p)", IfPresent: "attribute_exists(p)", IfValue: "v = :expected"}

// condition returns the operation's condition with the values in values.
func (o *Operation) condition(values map[string]item.Value) (*expr.Condition, *expr.Params, error) {
	text := conditionTexts[o.If]
	if o.If == IfValue {
		values[":expected"] = item.String(o.Expected)
	}
	params := expr.NewParams(nil, item.NewItem(values))
	if text == "" {
		return nil, params, nil
	}
	c, err := expr.ParseCondition(expr.ConditionExpression, text, params)
	return c, params, err
}

// execute carries out one operation on one key.
func (s *server) execute(o *Operation) (Outcome, *State, error) {
	var answer item.Item
	var err error
	switch o.Kind {
	case Get:
		answer, err = s.get(o)
	case Put:
		answer, err = s.put(o)
	case Add:
		answer, err = s.add(o)
	case Delete:
		answer, err = s.delete(o)
	}
	if err != nil {
		s.e.Trace("%s: %v", o.Key, err)
	}
	return s.n.run.outcome(answer, err)
}

func (s *server) get(o *Operation) (item.Item, error) {
	r, err := s.tables.Get(&table.GetRequest{Table: tableName, Key: item.NewItem(keyItem(o.Key)), Consistent: !o.Stale})
	if err != nil {
		return nil, err
	}
	return r.Item, nil
}

func (s *server) put(o *Operation) (item.Item, error) {
	c, _, err := o.condition(map[string]item.Value{})
	if err != nil {
		return nil, err
	}
	return attributes(s.tables.Put(&table.PutRequest{
		Table: tableName, Item: row(o.Key, o), Condition: c, Return: table.AllOld, ReturnOnFailure: true,
	}))
}

func (s *server) add(o *Operation) (item.Item, error) {
	values := map[string]item.Value{
		":v": item.String(o.Value), ":n": number(o.Count), ":f": item.Bytes(filler(o.Value)),
	}
	c, params, err := o.condition(values)
	if err != nil {
		return nil, err
	}
	u, err := expr.ParseUpdate("SET v = if_not_exists(v, :v), filler = if_not_exists(filler, :f) ADD n :n", params)
	if err != nil {
		return nil, err
	}
	return attributes(s.tables.UpdateItem(&table.UpdateRequest{
		Table: tableName, Key: item.NewItem(keyItem(o.Key)), Update: u, Condition: c, Return: table.AllNew, ReturnOnFailure: true,
	}))
}

func (s *server) delete(o *Operation) (item.Item, error) {
	c, _, err := o.condition(map[string]item.Value{})
	if err != nil {
		return nil, err
	}
	return attributes(s.tables.DeleteItem(&table.DeleteRequest{
		Table: tableName, Key: item.NewItem(keyItem(o.Key)), Condition: c, Return: table.AllOld, ReturnOnFailure: true,
	}))
}

func attributes(r *table.WriteResult, err error) (item.Item, error) {
	if err != nil {
		return nil, err
	}
	return r.Attributes, nil
}

// outcome translates an answer. Errors that promise that nothing happened are
// held to it; the faults excuse other errors of the disk, with any outcome. An
// error that they do not excuse is returned.
func (r *run) outcome(answer item.Item, err error) (Outcome, *State, error) {
	var refused *table.ConditionFailedError
	switch {
	case err == nil:
		saw, err := stateOf(answer)
		return Done, saw, err
	case errors.As(err, &refused):
		saw, err := stateOf(refused.Item)
		return Refused, saw, err
	case errors.Is(err, replication.ErrUnknownOutcome), errors.Is(err, partition.ErrFateUnknown):
		return Unknown, nil, nil
	case errors.Is(err, table.ErrUnavailable):
		return Failed, nil, nil
	case errors.Is(err, replication.ErrStopped), errors.Is(err, replication.ErrFailed), errors.Is(err, table.ErrClosed),
		errors.Is(err, vfs.ErrNoSpace) && r.excused(err):
		return Failed, nil, nil
	case r.excused(err):
		return Unknown, nil, nil
	}
	return Unknown, nil, found(Unexpected, fmt.Errorf("sim: unexpected error: %w", err))
}
