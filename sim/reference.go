package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// The reference is a second opinion on what operations on items do: a map and some
// hundred lines, written after the Developer Guide alone. It shares no code with
// packages item, expr and partition, and none of their shortcuts, so that a mistake
// in one is not repeated in the other.
//
// A value is of one of the Go types
//
//	string  int64  bool  nil (NULL)  refSet (SS)  []any (L)  map[string]any (M)
//
// and never changed once it is made.
type refSet []string // sorted, without duplicates

type refItem = map[string]any

// refJSON renders a value as DynamoDB's JSON, with the members of maps and sets in
// order.
func refJSON(v any) string {
	switch v := v.(type) {
	case string:
		text, _ := json.Marshal(v)
		return `{"S":` + string(text) + `}`
	case int64:
		return `{"N":"` + strconv.FormatInt(v, 10) + `"}`
	case bool:
		return `{"BOOL":` + strconv.FormatBool(v) + `}`
	case refSet:
		text, _ := json.Marshal([]string(v))
		return `{"SS":` + string(text) + `}`
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = refJSON(v[i])
		}
		return `{"L":[` + strings.Join(parts, ",") + `]}`
	case map[string]any:
		return `{"M":` + refItemJSON(v) + `}`
	}
	return `{"NULL":true}`
}

func refItemJSON(it refItem) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(it)) {
		text, _ := json.Marshal(name)
		parts = append(parts, string(text)+":"+refJSON(it[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func refEqual(a, b any) bool { return refJSON(a) == refJSON(b) }

func refType(v any) string { return refJSON(v)[2 : strings.Index(refJSON(v)[2:], `"`)+2] }

// A refPath is an attribute, or a member or an element of one.
type refPath struct {
	name   string
	member string // of a map; "" = none
	index  int    // of a list; -1 = none
}

func (p refPath) String() string {
	switch {
	case p.member != "":
		return "#" + p.name + "." + "#" + p.member
	case p.index >= 0:
		return fmt.Sprintf("#%s[%d]", p.name, p.index)
	}
	return "#" + p.name
}

func (p refPath) find(it refItem) (v any, ok bool) {
	v, ok = it[p.name]
	switch {
	case !ok:
	case p.member != "":
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil, false
		}
		v, ok = m[p.member]
	case p.index >= 0:
		l, isList := v.([]any)
		if !isList || p.index >= len(l) {
			return nil, false
		}
		v = l[p.index]
	}
	return v, ok
}

// A refCondition is the tree of a condition.
type refCondition struct {
	op    string // AND OR NOT = <> < <= > >= BETWEEN IN, or a function
	sub   []*refCondition
	path  refPath
	value []any // constants
}

// holds is section 4 of the guide's expressions: whatever meets a missing attribute
// is false, but for <>.
func (c *refCondition) holds(it refItem) bool {
	v, ok := c.path.find(it)
	switch c.op {
	case "AND":
		return c.sub[0].holds(it) && c.sub[1].holds(it)
	case "OR":
		return c.sub[0].holds(it) || c.sub[1].holds(it)
	case "NOT":
		return !c.sub[0].holds(it)
	case "attribute_exists":
		return ok
	case "attribute_not_exists":
		return !ok
	case "<>":
		return !ok || !refEqual(v, c.value[0])
	}
	if !ok {
		return false
	}
	switch c.op {
	case "=":
		return refEqual(v, c.value[0])
	case "IN":
		return slices.ContainsFunc(c.value, func(x any) bool { return refEqual(v, x) })
	case "attribute_type":
		return refType(v) == c.value[0]
	case "begins_with":
		s, isText := v.(string)
		return isText && strings.HasPrefix(s, c.value[0].(string))
	case "contains":
		return refContains(v, c.value[0])
	case "size":
		n, has := refSize(v)
		return has && n == c.value[0].(int64)
	case "BETWEEN":
		return refLess(c.value[0], v, true) && refLess(v, c.value[1], true)
	case "<", "<=":
		return refLess(v, c.value[0], c.op == "<=")
	}
	return refLess(c.value[0], v, c.op == ">=")
}

func refLess(a, b any, orEqual bool) bool {
	order := 2
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			order = cmp.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			order = strings.Compare(a, b)
		}
	}
	return order == -1 || order == 0 && orEqual
}

func refContains(v, x any) bool {
	switch v := v.(type) {
	case string:
		s, ok := x.(string)
		return ok && strings.Contains(v, s)
	case refSet:
		s, ok := x.(string)
		return ok && slices.Contains(v, s)
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return refEqual(e, x) })
	}
	return false
}

func refSize(v any) (int64, bool) {
	switch v := v.(type) {
	case string:
		return int64(len(v)), true
	case refSet:
		return int64(len(v)), true
	case []any:
		return int64(len(v)), true
	case map[string]any:
		return int64(len(v)), true
	}
	return 0, false
}

// text renders the condition; constants become values of the request.
func (c *refCondition) text(values map[string]any) string {
	constant := func(v any) string {
		name := fmt.Sprintf(":c%d", len(values))
		values[name] = v
		return name
	}
	switch c.op {
	case "AND", "OR":
		return "(" + c.sub[0].text(values) + ") " + c.op + " (" + c.sub[1].text(values) + ")"
	case "NOT":
		return "NOT (" + c.sub[0].text(values) + ")"
	case "attribute_exists", "attribute_not_exists":
		return c.op + "(" + c.path.String() + ")"
	case "attribute_type", "begins_with", "contains":
		return c.op + "(" + c.path.String() + ", " + constant(c.value[0]) + ")"
	case "size":
		return "size(" + c.path.String() + ") = " + constant(c.value[0])
	case "BETWEEN":
		return c.path.String() + " BETWEEN " + constant(c.value[0]) + " AND " + constant(c.value[1])
	case "IN":
		var names []string
		for _, v := range c.value {
			names = append(names, constant(v))
		}
		return c.path.String() + " IN (" + strings.Join(names, ", ") + ")"
	}
	return c.path.String() + " " + c.op + " " + constant(c.value[0])
}

// A refAction is one action of an update; no two of an update touch one attribute.
type refAction struct {
	section string // SET REMOVE ADD DELETE
	path    refPath
	how     string // of SET: "" a value, + or -, if_not_exists, list_append
	from    refPath
	value   any
}

func (a *refAction) text(values map[string]any) string {
	name := fmt.Sprintf(":u%d", len(values))
	if a.section != "REMOVE" {
		values[name] = a.value
	}
	switch {
	case a.section == "REMOVE":
		return a.path.String()
	case a.section != "SET":
		return a.path.String() + " " + name
	case a.how == "+" || a.how == "-":
		return a.path.String() + " = " + a.from.String() + " " + a.how + " " + name
	case a.how != "":
		return a.path.String() + " = " + a.how + "(" + a.from.String() + ", " + name + ")"
	}
	return a.path.String() + " = " + name
}

// refUpdate applies the actions to an item. It reports false if the service refuses.
// All right-hand sides see the item as it was. From an item that does not exist, nil,
// nothing can be taken away, and so that is never refused.
func refUpdate(old refItem, actions []refAction) (updated refItem, ok bool) {
	if updated = maps.Clone(old); old == nil {
		updated = refItem{}
	}
	for i := range actions {
		if takes := actions[i].section == "REMOVE" || actions[i].section == "DELETE"; takes && old == nil {
			continue
		}
		if !actions[i].apply(old, updated) {
			return nil, false
		}
	}
	return updated, true
}

func (a *refAction) apply(old, updated refItem) bool {
	have, exists := a.path.find(old)
	switch a.section {
	case "REMOVE":
		return a.put(old, updated, nil, true)
	case "ADD":
		switch v := a.value.(type) {
		case int64:
			n, isNumber := have.(int64)
			return (isNumber || !exists) && a.put(old, updated, n+v, false)
		case refSet:
			s, isSet := have.(refSet)
			all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(s, v))))
			return (isSet || !exists) && a.put(old, updated, refSet(all), false)
		}
	case "DELETE":
		s, isSet := have.(refSet)
		if !exists {
			return a.put(old, updated, nil, true)
		}
		rest := slices.DeleteFunc(slices.Clone(s), func(e string) bool { return slices.Contains(a.value.(refSet), e) })
		return isSet && a.put(old, updated, rest, len(rest) == 0)
	}
	from, has := a.from.find(old)
	switch a.how {
	case "+", "-":
		n, isNumber := from.(int64)
		v := a.value.(int64)
		if a.how == "-" {
			v = -v
		}
		return isNumber && a.put(old, updated, n+v, false)
	case "if_not_exists":
		if !has {
			from = a.value
		}
		return a.put(old, updated, from, false)
	case "list_append":
		l, isList := from.([]any)
		return isList && a.put(old, updated, slices.Concat(l, a.value.([]any)), false)
	}
	return a.put(old, updated, a.value, false)
}

// put sets or removes what is at the action's path. A path into something that is
// not there, or is of another type, is refused.
func (a *refAction) put(old, updated refItem, v any, remove bool) bool {
	p := a.path
	if p.member == "" && p.index < 0 {
		if remove {
			delete(updated, p.name)
		} else {
			updated[p.name] = v
		}
		return true
	}
	switch parent := updated[p.name].(type) {
	case map[string]any:
		if p.member == "" {
			return false
		}
		parent = maps.Clone(parent)
		if updated[p.name] = parent; remove {
			delete(parent, p.member)
		} else {
			parent[p.member] = v
		}
		return true
	case []any:
		if p.index < 0 {
			return false
		}
		parent = slices.Clone(parent)
		switch {
		case remove && p.index < len(parent):
			parent = slices.Delete(parent, p.index, p.index+1)
		case remove:
		case p.index < len(parent):
			parent[p.index] = v
		default:
			parent = append(parent, v)
		}
		updated[p.name] = parent
		return true
	}
	return false
}

// refNames are the attributes of items beside the key, in all types.
var refNames = []string{"a", "b", "c", "d"}

// A refGenerator makes requests from the grammar, not from what workloads need.
type refGenerator struct{ *rand.Rand }

func (g refGenerator) value() any {
	switch g.IntN(9) {
	case 0, 1:
		return g.word()
	case 2, 3:
		return int64(g.IntN(7) - 3)
	case 4:
		return g.IntN(2) == 0
	case 5:
		return nil
	case 6:
		return g.set()
	case 7:
		return g.list()
	}
	m := map[string]any{}
	for range g.IntN(3) {
		m[refNames[g.IntN(len(refNames))]] = g.scalar()
	}
	return m
}

func (g refGenerator) word() string { return "xyx"[:1+g.IntN(3)] + strings.Repeat("é", g.IntN(2)) }

func (g refGenerator) scalar() any {
	if g.IntN(2) == 0 {
		return g.word()
	}
	return int64(g.IntN(7) - 3)
}

func (g refGenerator) set() refSet {
	s := []string{g.word()}
	for range g.IntN(3) {
		s = append(s, g.word())
	}
	slices.Sort(s)
	return slices.Compact(s)
}

func (g refGenerator) list() []any {
	l := []any{}
	for range g.IntN(3) {
		l = append(l, g.scalar())
	}
	return l
}

func (g refGenerator) path() refPath {
	p := refPath{name: refNames[g.IntN(len(refNames))], index: -1}
	switch g.IntN(6) {
	case 0:
		p.member = refNames[g.IntN(len(refNames))]
	case 1:
		p.index = g.IntN(3)
	}
	return p
}

func (g refGenerator) item() refItem {
	it := refItem{}
	for _, name := range refNames {
		if g.IntN(3) > 0 {
			it[name] = g.value()
		}
	}
	return it
}

func (g refGenerator) condition(depth int) *refCondition {
	c := &refCondition{path: g.path()}
	if depth > 0 && g.IntN(2) == 0 {
		c.op = []string{"AND", "OR", "NOT"}[g.IntN(3)]
		c.sub = []*refCondition{g.condition(depth - 1), g.condition(depth - 1)}
		return c
	}
	switch c.op = []string{
		"=", "<>", "<", "<=", ">", ">=", "BETWEEN", "IN", "size",
		"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains",
	}[g.IntN(14)]; c.op {
	case "=", "<>", "contains":
		c.value = []any{g.value()}
		if c.op == "contains" {
			c.value[0] = g.scalar()
		}
	case "<", "<=", ">", ">=":
		c.value = []any{g.scalar()}
	case "BETWEEN":
		a, b := int64(g.IntN(7)-3), int64(g.IntN(7)-3)
		c.value = []any{min(a, b), max(a, b)}
	case "IN":
		c.value = []any{g.value(), g.value()}
	case "size":
		c.value = []any{int64(g.IntN(4))}
	case "attribute_type":
		c.value = []any{[]string{"S", "N", "BOOL", "NULL", "SS", "L", "M"}[g.IntN(7)]}
	case "begins_with":
		c.value = []any{g.word()}
	}
	return c
}

// actions returns one to three actions on different attributes.
func (g refGenerator) actions() (list []refAction) {
	for _, at := range g.Perm(len(refNames))[:1+g.IntN(3)] {
		a := refAction{section: []string{"SET", "SET", "REMOVE", "ADD", "DELETE"}[g.IntN(5)], path: g.path(), from: g.path()}
		a.path.name = refNames[at]
		switch a.section {
		case "ADD":
			if a.value = any(g.set()); g.IntN(2) == 0 {
				a.value = int64(g.IntN(7) - 3)
			}
		case "DELETE":
			a.value = g.set()
		case "SET":
			switch a.how = []string{"", "", "+", "-", "if_not_exists", "list_append"}[g.IntN(6)]; a.how {
			case "+", "-":
				a.value = int64(g.IntN(7) - 3)
			case "list_append":
				a.value = g.list()
			default:
				a.value = g.value()
			}
		}
		list = append(list, a)
	}
	return list
}

// refUpdateText renders an update expression.
func refUpdateText(actions []refAction, values map[string]any) string {
	var sections []string
	for _, section := range []string{"SET", "REMOVE", "ADD", "DELETE"} {
		var parts []string
		for i := range actions {
			if actions[i].section == section {
				parts = append(parts, actions[i].text(values))
			}
		}
		if len(parts) > 0 {
			sections = append(sections, section+" "+strings.Join(parts, ", "))
		}
	}
	return strings.Join(sections, " ")
}
