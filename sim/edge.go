package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/item"
)

// An edgeEntrance enters a node above its JSON edge, as an SDK would, with bodies that
// share no code with the edge: encoding/json makes them and reads the answers.
type edgeEntrance struct{ s *server }

// An edgeItem is an item or a key as DynamoDB's JSON has it.
type edgeItem map[string]edgeValue

type edgeValue struct {
	S string
	N string
	B []byte
	L []edgeValue
}

func edgeNumber(n int64) edgeValue { return edgeValue{N: strconv.FormatInt(n, 10)} }

// MarshalJSON writes the one member that there is: a text if nothing else.
func (v edgeValue) MarshalJSON() ([]byte, error) {
	switch {
	case v.L != nil:
		return json.Marshal(map[string][]edgeValue{"L": v.L})
	case v.N != "":
		return json.Marshal(map[string]string{"N": v.N})
	case v.B != nil:
		return json.Marshal(map[string][]byte{"B": v.B})
	}
	return json.Marshal(map[string]string{"S": v.S})
}

// object is the body of a request. encoding/json sorts its names, so that runs are equal.
type object map[string]any

// An edgeAnswer is what of an answer is of interest.
type edgeAnswer struct {
	Type    string `json:"__type"`
	Message string `json:"message"`

	Item       edgeItem // of a GetItem, and of a refusal
	Attributes edgeItem

	Items               []edgeItem
	Count, ScannedCount int // of a query or scan
	LastEvaluatedKey    edgeItem

	Responses           edgeResponses
	CancellationReasons []struct {
		Code, Message string
		Item          edgeItem
	}
	ConsumedCapacity []struct{ ReadCapacityUnits, WriteCapacityUnits float64 } // of a transaction

	NextToken       string
	UnprocessedKeys map[string]struct{ Keys []edgeItem }

	UnprocessedItems map[string][]struct {
		PutRequest    *struct{ Item edgeItem }
		DeleteRequest *struct{ Key edgeItem }
	}
}

// edgeResponses are a list for transactions and statements, and items by table for BatchGetItem.
type edgeResponses struct {
	List []struct {
		Item  edgeItem
		Error *struct{ Code, Message string }
	}
	Tables map[string][]edgeItem
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *edgeResponses) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		return json.Unmarshal(b, &r.Tables)
	}
	return json.Unmarshal(b, &r.List)
}

// of returns what was answered of a table.
func (r *edgeResponses) of(name string) (list []item.Item) {
	for _, it := range r.Tables[name] {
		list = append(list, it.item())
	}
	return list
}

// An edgeFault is an error that the edge answers with.
type edgeFault struct {
	status       int
	typ, message string
}

func (e *edgeFault) Error() string {
	return fmt.Sprintf("status %d: %s: %s", e.status, e.typ, e.message)
}

// diskFull begins the message of an error that promises that nothing happened.
const diskFull = "The disk is full; writes are refused"

// outcome is what a client may make of an error. An error that it did not ask for is
// a finding.
func (e *edgeFault) outcome() (Outcome, error) {
	switch {
	case e.status == http.StatusServiceUnavailable, strings.HasPrefix(e.message, diskFull):
		return Failed, nil
	case e.status >= 500: // edgeLog has looked at the reason
		return Unknown, nil
	}
	return Unknown, found(Unexpected, fmt.Errorf("sim: unexpected error of the edge: %w", e))
}

// ask sends one request to the edge.
func (e edgeEntrance) ask(operation string, body object) (*edgeAnswer, *edgeFault, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, nil, err
	}
	reply, status := e.s.whole.Handle(e.s.whole.Home(), operation, text)
	answer := &edgeAnswer{}
	if len(reply) > 0 || status != http.StatusServiceUnavailable {
		if err := json.Unmarshal(reply, answer); err != nil {
			return nil, nil, damaged("the edge answers %s with %.200q: %v", operation, reply, err)
		}
	}
	if status == http.StatusOK {
		return answer, nil, nil
	}
	_, typ, _ := strings.Cut(answer.Type, "#")
	e.s.e.Trace("%s: %d %s", operation, status, typ)
	return answer, &edgeFault{status, typ, answer.Message}, nil
}

func edgeKey(key string) edgeItem {
	p, s, _ := strings.Cut(key, "/")
	return edgeItem{"p": {S: p}, "s": {S: s}}
}

func edgeRow(o *Operation) edgeItem {
	it := edgeKey(o.Key)
	it["v"], it["n"] = edgeValue{S: o.Value}, edgeValue{N: strconv.FormatInt(o.Count, 10)}
	it["filler"] = edgeValue{B: filler(o.Value)}
	return it
}

func (it edgeItem) key() string { return it["p"].S + "/" + it["s"].S }

// state decodes an item; none is a missing item.
func (it edgeItem) state() (*State, error) {
	if len(it) == 0 {
		return &State{}, nil
	}
	v := it["v"].S
	n, err := strconv.ParseInt(it["n"].N, 10, 64)
	if err != nil || string(it["filler"].B) != string(filler(v)) || len(it) != 5 {
		return nil, damaged("the edge answered with %.300v", it)
	}
	return &State{true, v, n}, nil
}

func (e edgeEntrance) single(o *Operation) (Outcome, *State, error) {
	name, body := o.request()
	answer, fault, err := e.ask(name, body)
	switch {
	case err != nil:
		return Unknown, nil, err
	case fault != nil && fault.status == http.StatusBadRequest && fault.typ == "ConditionalCheckFailedException":
		saw, err := answer.Item.state()
		return Refused, saw, err
	case fault != nil:
		outcome, err := fault.outcome()
		return outcome, nil, err
	case o.Kind == Get:
		saw, err := answer.Item.state()
		return Done, saw, err
	}
	saw, err := answer.Attributes.state()
	return Done, saw, err
}

// request returns the operation as one of the service's, and its body.
func (o *Operation) request() (name string, body object) {
	body = object{"TableName": tableName}
	if o.Kind == Get {
		body["Key"], body["ConsistentRead"] = edgeKey(o.Key), !o.Stale
		return "GetItem", body
	}
	values := edgeItem{}
	body["ReturnValues"], body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD", "ALL_OLD"
	switch o.Kind {
	case Put:
		name, body["Item"] = "PutItem", edgeRow(o)
	case Add:
		name, body["Key"], body["ReturnValues"] = "UpdateItem", edgeKey(o.Key), "ALL_NEW"
		body["UpdateExpression"] = "SET v = if_not_exists(v, :v), #f = if_not_exists(#f, :f) ADD n :n"
		body["ExpressionAttributeNames"] = map[string]string{"#f": "filler"}
		row := edgeRow(o)
		values[":v"], values[":n"], values[":f"] = row["v"], row["n"], row["filler"]
	case Delete:
		name, body["Key"] = "DeleteItem", edgeKey(o.Key)
	}
	if text := conditionTexts[o.If]; text != "" {
		body["ConditionExpression"] = text
	}
	if o.If == IfValue {
		values[":expected"] = edgeValue{S: o.Expected}
	}
	if len(values) > 0 {
		body["ExpressionAttributeValues"] = values
	}
	return name, body
}

func (e edgeEntrance) page(q *reading, start any) (*seenPage, Outcome, error) {
	name, body := q.request()
	if start != nil {
		body["ExclusiveStartKey"] = start
	}
	answer, fault, err := e.ask(name, body)
	switch {
	case err != nil:
		return nil, Unknown, err
	case fault != nil:
		outcome, err := fault.outcome()
		return nil, outcome, err
	}
	if answer.Count != len(answer.Items) || answer.ScannedCount < answer.Count || q.limit > 0 && answer.ScannedCount > q.limit {
		return nil, Unknown, damaged("a page of %d rows, at most %d, counts %d of %d", len(answer.Items), q.limit, answer.Count, answer.ScannedCount)
	}
	seen := &seenPage{}
	for _, it := range answer.Items {
		state, err := q.edgeState(it)
		if err != nil {
			return nil, Unknown, err
		}
		seen.rows = append(seen.rows, seenRow{it.key(), state})
	}
	if answer.LastEvaluatedKey != nil {
		seen.next, seen.last = answer.LastEvaluatedKey, answer.LastEvaluatedKey.key()
	}
	return seen, Done, nil
}

func (q *reading) request() (name string, body object) {
	body = object{"TableName": tableName, "ConsistentRead": !q.stale}
	if q.limit > 0 {
		body["Limit"] = q.limit
	}
	if q.of > 0 {
		body["Segment"], body["TotalSegments"] = q.segment, q.of
	}
	if q.index != "" {
		text, values := q.indexCondition()
		body["IndexName"], body["KeyConditionExpression"], body["ScanIndexForward"] = q.index, text, !q.reverse
		body["ExpressionAttributeValues"] = values
		return "Query", body
	}
	values, filter := edgeItem{}, ""
	if name = "Query"; q.hash == "" {
		if name = "Scan"; q.filter {
			filter, values = hotFilterText()
		}
	} else {
		values[":p"] = edgeValue{S: q.hash}
		for name, text := range q.bounds() { //sim:ok a map of them
			values[name] = edgeValue{S: text}
		}
		body["KeyConditionExpression"] = "p = :p" + sortBounds[q.bound].text
		if body["ScanIndexForward"] = !q.reverse; q.filter {
			filter = writtenFilter
		}
	}
	if filter = q.filterText(filter, values); filter != "" {
		body["FilterExpression"] = filter
	}
	if len(values) > 0 {
		body["ExpressionAttributeValues"] = values
	}
	return name, body
}

func (e edgeEntrance) batch(operations []*Operation) ([]answer, error) {
	var writes []object
	for _, o := range operations {
		if o.Kind == Put {
			writes = append(writes, object{"PutRequest": object{"Item": edgeRow(o)}})
		} else {
			writes = append(writes, object{"DeleteRequest": object{"Key": edgeKey(o.Key)}})
		}
	}
	reply, fault, err := e.ask("BatchWriteItem", object{"RequestItems": object{tableName: writes}})
	if err != nil {
		return nil, err
	}
	if fault != nil {
		answers := make([]answer, len(operations))
		outcome, err := fault.outcome()
		for i := range answers {
			if fault.status != http.StatusServiceUnavailable { // else some of the writes may have happened
				answers[i].outcome = outcome
			}
		}
		return answers, err
	}
	var left []string
	for _, u := range reply.UnprocessedItems[tableName] {
		if u.PutRequest != nil {
			left = append(left, u.PutRequest.Item.key())
		} else if u.DeleteRequest != nil {
			left = append(left, u.DeleteRequest.Key.key())
		}
	}
	return batchAnswers(operations, left), nil
}

// An edgeLog hears what a server logs. A request that failed for a reason that no fault
// excuses is a finding: a client sees a general text only.
type edgeLog struct{ r *run }

// Enabled implements slog.Handler.
func (edgeLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

// Handle implements slog.Handler.
func (l edgeLog) Handle(_ context.Context, record slog.Record) error {
	if record.Message != "request failed" {
		return nil
	}
	record.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		isLost := errors.Is(err, transport.ErrLost) || errors.Is(err, transport.ErrTimeout) // of what was forwarded to the node in charge
		if ok && !isLost && !l.r.excused(err) {
			l.r.fail(found(Unexpected, fmt.Errorf("sim: the edge hides an unexpected error: %w", err)))
		}
		return true
	})
	return nil
}

// WithAttrs implements slog.Handler.
func (l edgeLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l edgeLog) WithGroup(string) slog.Handler { return l }
