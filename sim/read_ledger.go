package sim

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A RegisterHistory is what was done with registers, by group.
type RegisterHistory map[string][]*GroupOp

// Check searches for an order of the requests for each group.
func (h RegisterHistory) Check() error {
	for _, name := range sortedKeys(h) {
		if err := CheckGroup(name, h[name]); err != nil {
			return err
		}
	}
	return nil
}

// Len counts the requests.
func (h RegisterHistory) Len() (n int) {
	for _, list := range h { //sim:ok a sum
		n += len(list)
	}
	return n
}

// ReadRegisters reads what LedgerHistory writes of registers, or a test with Elle's rw-register has left, if its transactions
// stay within groups of three keys, which have the same text before a dot, and do not read what they have
// written themselves. A process counts as a client.
func ReadRegisters(r io.Reader) (RegisterHistory, error) {
	in := registerReader{history: RegisterHistory{}, registers: map[string][]string{}, pairs: calls[*GroupOp]{}}
	err := eachEvent(r, in.event)
	return in.history, err
}

// calls are the calls under way, by process, and the place of the last event.
type calls[T any] struct {
	open map[string]T
	now  int64
}

// pair returns what an event is about: nothing, if it is a call.
func (p *calls[T]) pair(e map[string]any) (process string, call T, isCall bool, err error) {
	if p.open == nil {
		p.open = map[string]T{}
	}
	p.now++
	process, isCall = fmt.Sprint(e["process"]), e["type"] == "invoke"
	call, known := p.open[process]
	switch {
	case isCall && known:
		err = fmt.Errorf("process %s has two calls under way", process)
	case !isCall && !known:
		err = errors.New("an answer to nothing")
	case !isCall:
		delete(p.open, process)
	}
	return process, call, isCall, err
}

// outcomeNamed is what became of a request, by the type of an event.
func outcomeNamed(typ any) (Outcome, error) {
	switch typ {
	case "ok":
		return Done, nil
	case "fail":
		return Failed, nil
	case "info":
		return Unknown, nil
	}
	return 0, fmt.Errorf("unknown type %q", typ)
}

type registerReader struct {
	history   RegisterHistory
	registers map[string][]string // of a group, in the order in which they were seen
	pairs     calls[*GroupOp]
	clients   int
}

func (in *registerReader) event(e map[string]any) error {
	if e["f"] != "txn" {
		return nil
	}
	process, o, isCall, err := in.pairs.pair(e)
	if err != nil {
		return err
	}
	group, parts, err := in.parts(e)
	if err != nil {
		return err
	}
	if isCall {
		in.clients++ // one for each request: Call and Return tell what is later than what
		o = &GroupOp{Client: in.clients, Call: in.pairs.now, Parts: parts}
		in.history[group], in.pairs.open[process] = append(in.history[group], o), o
		return nil
	}
	o.Return = in.pairs.now
	if o.Outcome, err = outcomeNamed(e["type"]); err != nil {
		return err
	}
	if len(parts) != len(o.Parts) {
		return fmt.Errorf("process %s answers to another transaction", process)
	}
	for i := range parts {
		asked := &o.Parts[i]
		if p := &parts[i]; p.Register != asked.Register || p.Kind != asked.Kind || p.Value != asked.Value {
			return fmt.Errorf("process %s answers to another transaction", process)
		}
		if o.Outcome == Done && asked.Kind == Get && asked.If == Always {
			held := parts[i].Value
			if parts[i].Saw != nil {
				held = *parts[i].Saw
			}
			asked.Saw = &held
		}
	}
	refused, _ := e["false"].([]any)
	for _, key := range refused {
		_, at, err := in.register(fmt.Sprint(key))
		i := slices.IndexFunc(o.Parts, func(p GroupPart) bool { return p.Register == at })
		if err != nil || i < 0 || o.Outcome != Failed && o.Outcome != Refused {
			return fmt.Errorf("%v was false, and is no part of what has failed", key)
		}
		o.Parts[i].Refused, o.Outcome = true, Refused
	}
	return nil
}

// register returns the group of a key, and the key's place in it.
func (in *registerReader) register(key string) (group string, at int, err error) {
	group, _, _ = strings.Cut(key, ".")
	if at = slices.Index(in.registers[group], key); at < 0 {
		if at = len(in.registers[group]); at >= groupSize {
			return group, 0, fmt.Errorf("more than %d registers begin with %q", groupSize, group)
		}
		in.registers[group] = append(in.registers[group], key)
	}
	return group, at, nil
}

// parts reads what a transaction does, and its conditions: those of what it does not write are parts of their own.
func (in *registerReader) parts(e map[string]any) (group string, parts []GroupPart, err error) {
	value, isList := e["value"].([]any)
	if !isList {
		return "", nil, errors.New("a transaction without a value")
	}
	part := func(key string) (*GroupPart, error) {
		of, at, err := in.register(key)
		switch {
		case err != nil:
			return nil, err
		case group != "" && of != group:
			return nil, fmt.Errorf("a transaction with registers of %s and %s", group, of)
		case slices.ContainsFunc(parts, func(p GroupPart) bool { return p.Register == at }):
			return nil, fmt.Errorf("a transaction that is about %s twice", key)
		}
		group = of
		parts = append(parts, GroupPart{Register: at})
		return &parts[len(parts)-1], nil
	}
	for _, v := range value {
		m, isList := v.([]any)
		if !isList || len(m) != 3 {
			return "", nil, fmt.Errorf("%v is neither a write nor a read", v)
		}
		p, err := part(fmt.Sprint(m[1]))
		switch {
		case err != nil:
			return "", nil, err
		case m[0] == "w" && m[2] != nil:
			p.Kind, p.Value = Put, fmt.Sprint(m[2])
		case m[0] == "w":
			p.Kind = Delete
		case m[0] == "r":
			if m[2] != nil {
				held := fmt.Sprint(m[2])
				p.Saw = &held
			}
		default:
			return "", nil, fmt.Errorf("%v is neither a write nor a read", v)
		}
	}
	conditions, _ := e["if"].(map[string]any)
	for _, key := range sortedKeys(conditions) {
		_, at, err := in.register(key)
		i := slices.IndexFunc(parts, func(p GroupPart) bool { return p.Register == at })
		if err == nil && i < 0 {
			i = len(parts)
			_, err = part(key)
		}
		if err == nil {
			err = parts[i].demand(conditions[key])
		}
		if err != nil {
			return "", nil, err
		}
	}
	if len(parts) == 0 {
		return "", nil, errors.New("a transaction about nothing")
	}
	return group, parts, nil
}

// demand reads a condition.
func (p *GroupPart) demand(v any) error {
	switch holds, _ := v.([]any); {
	case v == "absent":
		p.If = IfAbsent
	case v == "present":
		p.If = IfPresent
	case len(holds) == 2 && holds[0] == "holds":
		p.If, p.Expected = IfValue, fmt.Sprint(holds[1])
	default:
		return fmt.Errorf("%v is no condition", v)
	}
	return nil
}

// A BankHistory is what was transferred between accounts, and what they held.
type BankHistory struct {
	requests int
	reads    []bankRead
}

type bankRead struct {
	index    int64 // of its answer in the history
	balances map[string]int64
}

// Len counts the requests.
func (h *BankHistory) Len() int { return h.requests }

// ReadBank reads what LedgerHistory writes of accounts, or a test with Jepsen's bank has left.
func ReadBank(r io.Reader) (*BankHistory, error) {
	h, pairs := &BankHistory{}, calls[string]{}
	err := eachEvent(r, func(e map[string]any) error {
		if e["f"] != "transfer" && e["f"] != "read" {
			return nil
		}
		process, asked, isCall, err := pairs.pair(e)
		if err != nil {
			return err
		}
		f := fmt.Sprint(e["f"])
		if isCall {
			h.requests++
			pairs.open[process] = f
			return nil
		}
		outcome, err := outcomeNamed(e["type"])
		switch {
		case err != nil:
			return err
		case f != asked:
			return fmt.Errorf("process %s answers to a %s with a %s", process, asked, f)
		case f == "transfer" || outcome != Done:
			return nil
		}
		value, isMap := e["value"].(map[string]any)
		if !isMap {
			return errors.New("a read that shows no balances")
		}
		read := bankRead{pairs.now - 1, map[string]int64{}}
		for account, held := range value { //sim:ok a map of them
			read.balances[account] = wholeNumber(held)
		}
		h.reads = append(h.reads, read)
		return nil
	})
	return h, err
}

// Check demands that all reads show the same accounts, that these hold the same together in each, and none less than
// nothing: each transfer demands that there is enough.
func (h *BankHistory) Check() error {
	for i := range h.reads {
		first, r := &h.reads[0], &h.reads[i]
		a, b := sortedKeys(first.balances), sortedKeys(r.balances)
		if !slices.Equal(a, b) {
			return found(Serializability, fmt.Errorf("sim: event %d shows the accounts %v, and event %d shows %v", first.index, a, r.index, b))
		}
		for _, account := range b {
			if r.balances[account] < 0 {
				return found(Serializability, fmt.Errorf("sim: account %s holds %d in event %d", account, r.balances[account], r.index))
			}
		}
		if x, y := first.sum(), r.sum(); x != y {
			return found(Serializability, fmt.Errorf("sim: the accounts hold %d together in event %d, and %d in event %d: %v", x, first.index, y, r.index, r.balances))
		}
	}
	return nil
}

func (r *bankRead) sum() (sum int64) {
	for _, held := range r.balances { //sim:ok a sum
		sum += held
	}
	return sum
}
