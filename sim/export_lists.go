package sim

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The appends to lists and the reads of lists are exported in the form that Elle's checker for
// list-append reads, one event a line and in order:
//
//	{:index 0, :type :invoke, :process 0, :time 1200, :f :txn, :value [[:append "l0" 1] [:r "l1" nil]]}
//	{:index 1, :type :ok, :process 0, :time 9800, :f :txn, :value [[:append "l0" 1] [:r "l1" [4 2]]]}
//
// or as JSON lines:
//
//	{"index":0,"type":"invoke","process":0,"time":1200,"f":"txn","value":[["append","l0",1],["r","l1",null]]}
//
// type, process and time are those of an Event; what was refused has failed. Elements are numbers,
// each of one append, in the order of the calls. found, which Elle does not know, has the lengths that
// lists must have had for the transaction to be carried out.

// A ListHistory is what was done with lists, in the order of the calls.
type ListHistory []*ListOp

// A listEvent is a call or what became of it.
type listEvent struct {
	Index   int            `json:"index"`
	Type    string         `json:"type"`
	Process int            `json:"process"`
	Time    int64          `json:"time"`
	F       string         `json:"f"`
	Value   []microOp      `json:"value"`
	Found   map[string]int `json:"found,omitempty"`
	place   int64          // in the history
}

// A microOp is an append of an element to a list, or a read of it.
type microOp struct {
	key     string
	append  bool
	element int
	list    []int // of a read; nil: not known yet
}

// MarshalJSON writes ["append",key,element] or ["r",key,list].
func (m microOp) MarshalJSON() ([]byte, error) {
	switch {
	case m.append:
		return json.Marshal([]any{"append", m.key, m.element})
	case m.list == nil:
		return json.Marshal([]any{"r", m.key, nil})
	}
	return json.Marshal([]any{"r", m.key, m.list})
}

func (m *microOp) edn() string {
	switch {
	case m.append:
		return fmt.Sprintf("[:append %s %d]", ednString(m.key), m.element)
	case m.list == nil:
		return fmt.Sprintf("[:r %s nil]", ednString(m.key))
	}
	return fmt.Sprintf("[:r %s %v]", ednString(m.key), m.list)
}

// numbers gives each element its number.
func (h ListHistory) numbers() map[string]int {
	numbers := map[string]int{}
	number := func(element string) {
		if _, known := numbers[element]; !known {
			numbers[element] = len(numbers) + 1
		}
	}
	for _, o := range h {
		for _, a := range o.appends() {
			number(a.Element)
		}
	}
	for _, o := range h { // what was seen and never appended
		for _, key := range sortedKeys(o.Saw) {
			for _, element := range o.Saw[key] {
				number(element)
			}
		}
	}
	return numbers
}

// value is what an operation does; answered: and what it saw.
func (o *ListOp) value(numbers map[string]int, answered bool) (value []microOp) {
	value = []microOp{} // of none, JSON says [] and not null
	keys := slices.Clone(o.Reads)
	for _, key := range sortedKeys(o.Saw) {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	reads := func() {
		for _, key := range keys {
			m := microOp{key: key}
			if answered {
				m.list = []int{}
				for _, element := range o.Saw[key] {
					m.list = append(m.list, numbers[element])
				}
			}
			value = append(value, m)
		}
	}
	if !o.After {
		reads()
	}
	for _, a := range o.appends() {
		value = append(value, microOp{key: a.Key, append: true, element: numbers[a.Element]})
	}
	if o.After {
		reads()
	}
	return value
}

func (h ListHistory) events() []listEvent {
	numbers := h.numbers()
	spans := make([]span, len(h))
	for i, o := range h {
		spans[i] = span{o.Client, o.Call, o.Return, o.Outcome == Unknown}
	}
	var events []listEvent
	for i, process := range processesOf(spans) {
		o := h[i]
		e := listEvent{Type: "invoke", Process: process, Time: int64(o.Began), F: "txn", Value: o.value(numbers, false), Found: o.Found, place: o.Call}
		events = append(events, e)
		if o.Return == 0 {
			continue
		}
		e.Type = [...]string{Unknown: "info", Done: "ok", Refused: "fail", Failed: "fail"}[o.Outcome]
		e.Time, e.place, e.Value = int64(o.Ended), o.Return, o.value(numbers, o.Outcome == Done)
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(a, b listEvent) int { return cmp.Compare(a.place, b.place) })
	for i := range events {
		events[i].Index = i
	}
	return events
}

// WriteJSON writes the history as JSON lines.
func (h ListHistory) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, e := range h.events() {
		if err := out.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// WriteEDN writes the history as Jepsen does, one map a line.
func (h ListHistory) WriteEDN(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, e := range h.events() {
		value := make([]string, len(e.Value))
		for i := range e.Value {
			value[i] = e.Value[i].edn()
		}
		fmt.Fprintf(out, "{:index %d, :type :%s, :process %d, :time %d, :f :txn, :value [%s]", e.Index, e.Type, e.Process, e.Time, strings.Join(value, " "))
		if len(e.Found) > 0 {
			var found []string
			for _, key := range sortedKeys(e.Found) {
				found = append(found, fmt.Sprintf("%s %d", ednString(key), e.Found[key]))
			}
			fmt.Fprintf(out, ", :found {%s}", strings.Join(found, ", "))
		}
		out.WriteString("}\n")
	}
	return out.Flush()
}
