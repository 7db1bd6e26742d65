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

// What transactions did with registers and with accounts is exported as Jepsen's workloads have it, one event a
// line and in order. Registers are those of Elle's rw-register; nil is no item, and a register that is deleted is written nil:
//
//	{:index 0, :type :invoke, :process 0, :time 1200, :f :txn, :value [[:w "g0.1" "7.g0.1"] [:r "g0.2" nil]], :if {"g0.1" :absent}}
//	{:index 1, :type :ok, :process 0, :time 9800, :f :txn, :value [[:w "g0.1" "7.g0.1"] [:r "g0.2" "5.g0.2"]], :if {"g0.1" :absent}}
//
// if, which Elle does not know, has what registers must have held for the transaction to be carried out: absent, present, or
// ["holds", value]. A transaction that was refused has failed, and says as false which of these were
// false. Accounts are those of the bank:
//
//	{:index 0, :type :invoke, :process 0, :time 1200, :f :transfer, :value {:amount 5, :from "a0", :to "a3"}}
//	{:index 2, :type :ok, :process 1, :time 9800, :f :read, :value {"a0" 95, "a1" 100, "a2" 100, "a3" 105}}
//
// As JSON lines both have strings where EDN has keywords. All accounts together hold 400 in each read.

// A LedgerHistory is what some requests of transactors were, and what became of them.
type LedgerHistory []ledgerEvent

// A ledgerEvent is a call or what became of it. Its value is made of strings, numbers, nil, slices, maps and words.
type ledgerEvent struct {
	Index   int   `json:"index"`
	Type    word  `json:"type"`
	Process int   `json:"process"`
	Time    int64 `json:"time"`
	F       word  `json:"f"`
	Value   any   `json:"value"`
	If      any   `json:"if,omitempty"`
	False   []any `json:"false,omitempty"`
	place   int64 // in the history
}

// A word is a keyword of EDN.
type word string

// fields is a map whose keys are keywords.
type fields map[string]any

// Registers returns what was done with registers.
func (r *Result) Registers() LedgerHistory { return r.ledger.export(describeRegisters) }

// Bank returns what was transferred between accounts, and what all of them held together.
func (r *Result) Bank() LedgerHistory { return r.ledger.export(describeBank) }

func (l *ledger) export(describe func(x *tx, answered bool) (e ledgerEvent, ok bool)) (h LedgerHistory) {
	var list []*tx
	var spans []span
	for _, x := range l.requests {
		if _, ok := describe(x, false); ok && !x.weak {
			list = append(list, x)
			spans = append(spans, span{x.client, x.call, x.ret, x.outcome == Unknown})
		}
	}
	for i, process := range processesOf(spans) {
		x := list[i]
		e, _ := describe(x, false)
		e.Type, e.Process, e.Time, e.place = "invoke", process, int64(x.list.Began), x.call
		h = append(h, e)
		if x.ret == 0 {
			continue
		}
		e, _ = describe(x, x.outcome == Done)
		e.Type = [...]word{Unknown: "info", Done: "ok", Refused: "fail", Failed: "fail"}[x.outcome]
		e.Process, e.Time, e.place = process, int64(x.list.Ended), x.ret
		if x.outcome == Refused {
			e.False = x.falseConditions()
		}
		h = append(h, e)
	}
	slices.SortStableFunc(h, func(a, b ledgerEvent) int { return cmp.Compare(a.place, b.place) })
	for i := range h {
		h[i].Index = i
	}
	return h
}

func (x *tx) falseConditions() (keys []any) {
	for i := range x.group.Parts {
		if x.group.Parts[i].Refused {
			keys = append(keys, x.op.Keys[i])
		}
	}
	return keys
}

// describeRegisters describes requests for registers of a group.
func describeRegisters(x *tx, answered bool) (e ledgerEvent, ok bool) {
	if x.op.Do != "set" && x.op.Do != "see" {
		return e, false
	}
	value, conditions := []any{}, map[string]any{}
	for i, key := range x.op.Keys {
		p := &x.group.Parts[i]
		switch {
		case p.Kind == Put:
			value = append(value, []any{word("w"), key, p.Value})
		case p.Kind == Delete:
			value = append(value, []any{word("w"), key, nil})
		case x.op.Do == "see" && answered && p.Saw != nil:
			value = append(value, []any{word("r"), key, noItem(*p.Saw)})
		case x.op.Do == "see":
			value = append(value, []any{word("r"), key, nil})
		}
		switch p.If {
		case IfAbsent:
			conditions[key] = word("absent")
		case IfPresent:
			conditions[key] = word("present")
		case IfValue:
			conditions[key] = []any{word("holds"), p.Expected}
		}
	}
	e = ledgerEvent{F: "txn", Value: value}
	if len(conditions) > 0 {
		e.If = conditions
	}
	return e, true
}

// noItem is nil for what a register holds that has no item.
func noItem(held string) any {
	if held == "" {
		return nil
	}
	return held
}

// describeBank describes transfers and audits.
func describeBank(x *tx, answered bool) (e ledgerEvent, ok bool) {
	switch x.op.Do {
	case "transfer":
		return ledgerEvent{F: "transfer", Value: fields{"from": x.op.Keys[0], "to": x.op.Keys[1], "amount": x.op.Count}}, true
	case "audit":
		e.F = "read"
		if answered {
			held := map[string]any{}
			for i, key := range x.op.Keys {
				held[key] = numberIn(x.saw[i], "n")
			}
			e.Value = held
		}
		return e, true
	}
	return e, false
}

// WriteJSON writes the history as JSON lines.
func (h LedgerHistory) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for i := range h {
		if err := out.Encode(&h[i]); err != nil {
			return err
		}
	}
	return nil
}

// WriteEDN writes the history as Jepsen does, one map a line.
func (h LedgerHistory) WriteEDN(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i := range h {
		e := &h[i]
		fmt.Fprintf(out, "{:index %d, :type :%s, :process %d, :time %d, :f :%s, :value %s", e.Index, e.Type, e.Process, e.Time, e.F, ednOf(e.Value))
		if e.If != nil {
			fmt.Fprintf(out, ", :if %s", ednOf(e.If))
		}
		if len(e.False) > 0 {
			fmt.Fprintf(out, ", :false %s", ednOf(e.False))
		}
		out.WriteString("}\n")
	}
	return out.Flush()
}

func ednOf(v any) string {
	var parts []string
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return ednString(v)
	case word:
		return ":" + string(v)
	case []any:
		for _, e := range v {
			parts = append(parts, ednOf(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case map[string]any:
		for _, key := range sortedKeys(v) {
			parts = append(parts, ednString(key)+" "+ednOf(v[key]))
		}
	case fields:
		for _, key := range sortedKeys(v) {
			parts = append(parts, ":"+key+" "+ednOf(v[key]))
		}
	default:
		return fmt.Sprint(v)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
