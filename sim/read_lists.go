package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/statordb/stator/internal/env"
)

// ReadLists reads a history of appends to lists and reads of them, as WriteJSON and WriteEDN of a
// ListHistory write it, or as a test of Jepsen has left it: its transactions may append and read as
// they like. Events of others than transactions, such as the nemesis', are skipped. A process counts
// as a client.
func ReadLists(r io.Reader) (ListHistory, error) {
	in := listReader{open: map[string]*ListOp{}, seen: map[string]bool{}}
	err := eachEvent(r, in.event)
	return in.history, err
}

// Check is CheckLists.
func (h ListHistory) Check() error { return CheckLists(h) }

type listReader struct {
	history ListHistory
	open    map[string]*ListOp // by process
	seen    map[string]bool    // elements that were appended
	now     int64
}

func (in *listReader) event(e map[string]any) error {
	if e["f"] != "txn" {
		return nil
	}
	process, typ := fmt.Sprint(e["process"]), fmt.Sprint(e["type"])
	o := in.open[process]
	in.now++
	if typ == "invoke" {
		if o != nil {
			return fmt.Errorf("process %s has two calls under way", process)
		}
		o = &ListOp{Call: in.now, Began: env.Mono(wholeNumber(e["time"]))}
		in.history, in.open[process] = append(in.history, o), o
		o.Client = len(in.history) // of its own: Call and Return tell what is later than what
		err := o.parse(e, false)
		for _, a := range o.appends() {
			if err == nil && in.seen[a.Element] {
				err = fmt.Errorf("%s is appended again", a.Element)
			}
			in.seen[a.Element] = true
		}
		return err
	}
	if o == nil {
		return errors.New("an answer to nothing")
	}
	delete(in.open, process)
	o.Return, o.Ended = in.now, env.Mono(wholeNumber(e["time"]))
	switch typ {
	case "ok":
		o.Outcome = Done
		asked := o.appends()
		if err := o.parse(e, true); err != nil || !slices.Equal(o.appends(), asked) {
			return errors.Join(err, fmt.Errorf("process %s answers to another transaction", process))
		}
	case "fail":
		o.Outcome = Failed
	case "info":
		o.Outcome = Unknown
	default:
		return fmt.Errorf("unknown type %q", typ)
	}
	return nil
}

func wholeNumber(v any) int64 {
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Int64()
		return n
	case int64:
		return v
	}
	return 0
}

// parse takes over what an event says of its transaction. An answer says again what was asked
// for.
func (o *ListOp) parse(e map[string]any, answered bool) error {
	value, isList := e["value"].([]any)
	if !isList {
		return errors.New("a transaction without a value")
	}
	o.Key, o.Element, o.Also, o.Found, o.Saw, o.Reads = "", "", nil, nil, nil, nil
	var shown []shownList
	for _, v := range value {
		m, isList := v.([]any)
		if !isList || len(m) != 3 {
			return fmt.Errorf("%v is neither an append nor a read", v)
		}
		key := fmt.Sprint(m[1])
		switch m[0] {
		case "append":
			element := elementName(key, m[2])
			if o.Element == "" {
				o.Key, o.Element = key, element
			} else {
				o.Also = append(o.Also, ListAppend{key, element})
			}
		case "r":
			o.Reads = append(o.Reads, key)
			if !answered {
				continue
			}
			list, isList := m[2].([]any)
			if !isList && m[2] != nil {
				return fmt.Errorf("list %s is read as %v", key, m[2])
			}
			s := shownList{key: key, own: len(o.elementsOf(key)), list: []string{}}
			for _, element := range list {
				s.list = append(s.list, elementName(key, element))
			}
			shown = append(shown, s)
		default:
			return fmt.Errorf("%v is neither an append nor a read", v)
		}
	}
	if found, ok := e["found"].(map[string]any); ok {
		o.Found = map[string]int{}
		for key, n := range found { //sim:ok a map of them
			o.Found[key] = int(wholeNumber(n))
		}
	}
	slices.Sort(o.Reads)
	o.Reads = slices.Compact(o.Reads)
	o.broken = o.show(shown)
	return nil
}

// elementName makes an element unique in the history that is so in its list.
func elementName(key string, element any) string {
	if strings.ContainsAny(key, `."`) {
		key = strconv.Quote(key)
	}
	return key + "." + fmt.Sprint(element)
}

// A shownList is a list as a transaction has read it, after it had appended own elements.
type shownList struct {
	key  string
	own  int
	list []string
}

// show makes one reading of each list of all that a transaction has read. It must have seen its
// own appends, and the same of others each time.
func (o *ListOp) show(shown []shownList) error {
	if len(shown) == 0 {
		return nil
	}
	o.Saw, o.After = map[string][]string{}, true
	for _, s := range shown {
		own := o.elementsOf(s.key)[:s.own]
		n := len(s.list) - len(own)
		if n < 0 || !slices.Equal(s.list[n:], own) {
			return found(Serializability, anomaly(Internal, "list %s: after it has appended %q, %s is shown %q", s.key, own, o, s.list))
		}
		if seen, again := o.Saw[s.key]; again && !slices.Equal(seen, s.list[:n]) {
			return found(Serializability, anomaly(Internal, "list %s: %s is shown %q, and then %q", s.key, o, seen, s.list[:n]))
		}
		o.Saw[s.key] = s.list[:n]
		o.After = o.After && s.own == len(o.elementsOf(s.key))
	}
	if !o.After {
		return nil
	}
	for key := range o.Saw { //sim:ok each by itself
		o.Saw[key] = append(o.Saw[key][:len(o.Saw[key]):len(o.Saw[key])], o.elementsOf(key)...)
	}
	return nil
}
