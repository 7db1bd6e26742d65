package sim

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/statordb/stator/internal/env"
)

// A history is exported as events, one a line and in order, so that others can check
// it: a call ("invoke") and, unless the run ended before, what became of it. "ok" is
// an answer, also one that refused because the condition was false; "fail" means
// that nothing happened; "info" that nobody knows: it happened before that line, or
// never, and without that line at any time later or never.
//
//	{"index":0,"type":"invoke","process":0,"time":1200,"f":"put","key":"p1/s0","if":"absent","value":"c4.1","count":2}
//	{"index":1,"type":"ok","process":0,"time":9800,"f":"put","key":"p1/s0","refused":true,"saw":{"value":"c3.7","count":0}}
//
// As EDN, in the form of a history of Jepsen:
//
//	{:index 0, :type :invoke, :process 0, :time 1200, :f :put, :key "p1/s0", :if :absent, :value "c4.1", :count 2}
//
// time is in nanoseconds of the simulated world. f is get, put, add or delete; put
// replaces the item by value and count; add adds count to the counter, and makes an
// item of value and count if there is none. if is absent, present or value, then
// with expected. saw is the item, null if there was none: before a put, a delete or
// what was refused, after an add. A get that is weak is eventually consistent, or of a run that breaks what
// leases rest on: it may show what was, and is not part of what must be linearizable. A process has one call under way at a time, and
// makes no more after an info.
type Event struct {
	Index    int        `json:"index"`
	Type     string     `json:"type"`
	Process  int        `json:"process"`
	Time     int64      `json:"time"`
	F        string     `json:"f"`
	Key      string     `json:"key"`
	If       string     `json:"if,omitempty"`
	Expected string     `json:"expected,omitempty"`
	Value    string     `json:"value,omitempty"`
	Count    *int64     `json:"count,omitempty"`
	Weak     bool       `json:"weak,omitempty"`
	Refused  bool       `json:"refused,omitempty"`
	Saw      *SawOrNull `json:"saw,omitempty"`
	place    int64      // in the history
}

// SawOrNull is an item that an answer showed; the zero value is none.
type SawOrNull struct{ State }

// MarshalJSON writes {"value":...,"count":...} or null.
func (s SawOrNull) MarshalJSON() ([]byte, error) {
	if !s.Exists {
		return []byte("null"), nil
	}
	return json.Marshal(struct {
		Value string `json:"value"`
		Count int64  `json:"count"`
	}{s.Value, s.Count})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *SawOrNull) UnmarshalJSON(b []byte) error {
	var v *struct {
		Value string `json:"value"`
		Count int64  `json:"count"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if *s = (SawOrNull{}); v != nil {
		s.State = State{true, v.Value, v.Count}
	}
	return nil
}

var (
	kindNames      = []string{"get", "put", "add", "delete"}
	conditionNames = []string{"", "absent", "present", "value"}
)

// Events returns the history as events.
func (h *History) Events() []Event {
	var events []Event
	operations := slices.DeleteFunc(slices.Clone(h.Operations), func(o *Operation) bool { return o.Outcome == Refused && o.Least > 0 })
	for _, o := range operations {
		call := Event{Type: "invoke", Time: int64(o.Began), F: kindNames[o.Kind], Key: o.Key, If: conditionNames[o.If], place: o.Call}
		if o.If == IfValue {
			call.Expected = o.Expected
		}
		if o.Kind == Put || o.Kind == Add {
			call.Value, call.Count = o.Value, &o.Count
		}
		call.Weak = h.isWeak(o)
		events = append(events, call)
		if o.Return > 0 {
			events = append(events, o.completion())
		}
	}
	processes(operations, events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.place, b.place) })
	for i := range events {
		events[i].Index = i
	}
	return events
}

func (o *Operation) completion() Event {
	e := Event{Type: "ok", Time: int64(o.Ended), F: kindNames[o.Kind], Key: o.Key, place: o.Return}
	switch o.Outcome {
	case Failed:
		e.Type = "fail"
	case Unknown:
		e.Type = "info"
	case Refused:
		e.Refused = true
	}
	if o.Saw != nil && (o.Outcome == Done || o.Outcome == Refused) {
		e.Saw = &SawOrNull{*o.Saw}
	}
	return e
}

// processes numbers the processes. The events are those of the operations, one or two for
// each.
func processes(operations []*Operation, events []Event) {
	spans := make([]span, len(operations))
	for i, o := range operations {
		spans[i] = span{o.Client, o.Call, o.Return, o.Outcome == Unknown}
	}
	at := 0
	for _, number := range processesOf(spans) {
		for events[at].Process = number; at+1 < len(events) && events[at+1].Type != "invoke"; at++ {
			events[at+1].Process = number
		}
		at++
	}
}

// A span is from the call of an operation to its return.
type span struct {
	client    int
	call, ret int64
	unknown   bool // what became of it
}

// processesOf returns the number of the process of each operation: a client that has
// several under way is several processes.
func processesOf(spans []span) []int {
	type process struct {
		number int
		until  int64 // when its last call returned; 0: it makes no more
	}
	byClient := map[int][]*process{}
	numbers, count := make([]int, len(spans)), 0
	for i, s := range spans {
		var p *process
		for _, have := range byClient[s.client] {
			if have.until > 0 && have.until < s.call {
				p = have
				break
			}
		}
		if p == nil {
			p = &process{number: count}
			byClient[s.client] = append(byClient[s.client], p)
			count++
		}
		if p.until = s.ret; s.unknown {
			p.until = 0
		}
		numbers[i] = p.number
	}
	return numbers
}

// WriteJSON writes the history as JSON lines.
func (h *History) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, e := range h.Events() {
		if err := out.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// WriteEDN writes the history as Jepsen does, one map a line.
func (h *History) WriteEDN(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, e := range h.Events() {
		out.WriteString(e.edn())
	}
	return out.Flush()
}

func (e *Event) edn() string {
	var b strings.Builder
	fmt.Fprintf(&b, "{:index %d, :type :%s, :process %d, :time %d, :f :%s, :key %s", e.Index, e.Type, e.Process, e.Time, e.F, ednString(e.Key))
	if e.If != "" {
		fmt.Fprintf(&b, ", :if :%s", e.If)
	}
	if e.Expected != "" {
		fmt.Fprintf(&b, ", :expected %s", ednString(e.Expected))
	}
	if e.Value != "" {
		fmt.Fprintf(&b, ", :value %s", ednString(e.Value))
	}
	if e.Count != nil {
		fmt.Fprintf(&b, ", :count %d", *e.Count)
	}
	if e.Weak {
		b.WriteString(", :weak true")
	}
	if e.Refused {
		b.WriteString(", :refused true")
	}
	switch {
	case e.Saw == nil:
	case !e.Saw.Exists:
		b.WriteString(", :saw nil")
	default:
		fmt.Fprintf(&b, ", :saw {:value %s, :count %d}", ednString(e.Saw.Value), e.Saw.Count)
	}
	b.WriteString("}\n")
	return b.String()
}

// ednString quotes a string. Keys and values have no control characters.
func ednString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// ErrEvents means that events are not those of a history.
var ErrEvents = errors.New("sim: not a history")

// ReadJSON reads what WriteJSON wrote, to be checked again. A process counts as
// a client.
func ReadJSON(r io.Reader) (*History, error) {
	h := &History{}
	open := map[int]*Operation{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var e Event
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&e)
		if err == nil {
			// A pointer to a type of its own does not tell null from nothing.
			var raw struct{ Saw json.RawMessage }
			err = json.Unmarshal(lines.Bytes(), &raw)
			err = errors.Join(err, h.read(&e, string(raw.Saw) == "null", open))
		}
		if strings.HasPrefix(lines.Text(), "{:") {
			err = errors.New("requests for items are read from JSON lines (sim replay --json), not from EDN")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrEvents, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvents, err)
	}
	return h, nil
}

func (h *History) read(e *Event, sawNull bool, open map[int]*Operation) error {
	o := open[e.Process]
	if e.Type == "invoke" {
		kind, condition := slices.Index(kindNames, e.F), slices.Index(conditionNames, e.If)
		if kind < 0 || condition < 0 || o != nil {
			return errors.New("unknown operation, or a process with two calls under way: " + strconv.Itoa(e.Process))
		}
		o = &Operation{Client: e.Process, Key: e.Key, Kind: Kind(kind), If: Condition(condition), Expected: e.Expected, Value: e.Value, Stale: e.Weak}
		if e.Weak && o.Kind != Get {
			return errors.New("only a get can be weak")
		}
		if e.Count != nil {
			o.Count = *e.Count
		}
		h.Begin(o)
		o.Began, open[e.Process] = env.Mono(e.Time), o
		return nil
	}
	if o == nil || o.Key != e.Key {
		return errors.New("an answer to nothing")
	}
	outcome := Done
	switch {
	case e.Type == "info":
		outcome = Unknown
	case e.Type == "fail":
		outcome = Failed
	case e.Type != "ok":
		return errors.New("unknown type " + strconv.Quote(e.Type))
	case e.Refused:
		outcome = Refused
	}
	var saw *State
	if e.Saw != nil || sawNull {
		saw = &State{}
	}
	if e.Saw != nil {
		*saw = e.Saw.State
	}
	if o.Kind == Get && outcome == Done && saw == nil {
		return errors.New("a get that shows nothing, not even that there is no item")
	}
	h.End(o, outcome, saw)
	o.Ended = env.Mono(e.Time)
	delete(open, e.Process)
	return nil
}
