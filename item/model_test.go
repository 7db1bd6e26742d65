package item

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// tree is the slow, obvious form of a value that tests compare with.
type tree struct {
	t        Type
	text     string // S: text, N: some spelling, B: bytes
	flag     bool
	elements []tree // L and sets
	members  []member
}

// member is one attribute; a tree keeps them in order of arrival.
type member struct {
	name  string
	value tree
}

// json writes the tree as a client would send it, in order of arrival.
func (v tree) json() string {
	return `{"` + v.t.String() + `":` + v.plain() + `}`
}

func (v tree) plain() string {
	switch v.t {
	case S, N:
		return quote(v.text)
	case B:
		return quote(base64.StdEncoding.EncodeToString([]byte(v.text)))
	case BOOL:
		if v.flag {
			return "true"
		}
		return "false"
	case NULL:
		return "true"
	case M:
		return membersJSON(v.members)
	}
	var parts []string
	for _, e := range v.elements {
		if v.t == L {
			parts = append(parts, e.json())
		} else {
			parts = append(parts, e.plain())
		}
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func membersJSON(members []member) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, quote(m.name)+":"+m.value.json())
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// size is the size by the rules of the guide.
func (v tree) size() int {
	switch v.t {
	case S, B:
		return len(v.text)
	case N:
		return sizeOracle(rat(v.text).FloatString(170)) // enough for all places
	case BOOL, NULL:
		return 1
	case M:
		return 3 + len(v.members) + membersSize(v.members)
	}
	size := 0
	for _, e := range v.elements {
		size += e.size()
	}
	if v.t == L {
		size += 3 + len(v.elements)
	}
	return size
}

func membersSize(members []member) int {
	size := 0
	for _, m := range members {
		size += len(m.name) + m.value.size()
	}
	return size
}

// equal is DynamoDB's equality.
func (v tree) equal(w tree) bool {
	if v.t != w.t {
		return false
	}
	switch v.t {
	case S, B:
		return v.text == w.text
	case N:
		return rat(v.text).Cmp(rat(w.text)) == 0
	case BOOL:
		return v.flag == w.flag
	case NULL:
		return true
	case L:
		return slices.EqualFunc(v.elements, w.elements, tree.equal)
	case M:
		return membersEqual(v.members, w.members)
	}
	return len(v.elements) == len(w.elements) && !slices.ContainsFunc(v.elements, func(e tree) bool {
		return !slices.ContainsFunc(w.elements, e.equal)
	})
}

func membersEqual(v, w []member) bool {
	return len(v) == len(w) && !slices.ContainsFunc(v, func(m member) bool {
		return !slices.ContainsFunc(w, func(o member) bool { return m.name == o.name && m.value.equal(o.value) })
	})
}

// value builds the value through the constructors.
func (v tree) value() Value {
	switch v.t {
	case S:
		return String(v.text)
	case N:
		n, err := Num(v.text)
		if err != nil {
			panic(err)
		}
		return n
	case B:
		return Bytes([]byte(v.text))
	case BOOL:
		return Bool(v.flag)
	case NULL:
		return Null()
	case M:
		return MapOf(membersItem(v.members))
	}
	var elements []Value
	for _, e := range v.elements {
		elements = append(elements, e.value())
	}
	if v.t == L {
		return List(elements...)
	}
	b := newSetBuilder(v.t)
	for _, e := range elements {
		b.add(e)
	}
	set, err := b.value()
	if err != nil {
		panic(err)
	}
	return set
}

func membersItem(members []member) Item {
	m := map[string]Value{}
	for _, member := range members {
		m[member.name] = member.value.value()
	}
	return NewItem(m)
}

// drawScalar draws an S, N or B value.
func drawScalar(t *rapid.T, kind Type) tree {
	switch kind {
	case N:
		return tree{t: N, text: numberText().Draw(t, "number")}
	case B:
		return tree{t: B, text: string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))}
	}
	texts := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-c]{0,3}`), rapid.StringMatching(`[ab"\\\n]{100,300}`))
	return tree{t: S, text: texts.Draw(t, "text")}
}

// drawTree draws a value nested at most depth levels deep.
func drawTree(t *rapid.T, depth int) tree {
	kinds := []Type{S, N, B, BOOL, NULL, SS, NS, BS, L, M}
	if depth <= 1 {
		kinds = kinds[:8]
	}
	v := tree{t: rapid.SampledFrom(kinds).Draw(t, "type")}
	switch v.t {
	case S, N, B:
		return drawScalar(t, v.t)
	case BOOL:
		v.flag = rapid.Bool().Draw(t, "flag")
	case NULL:
	case L:
		for range rapid.IntRange(0, 4).Draw(t, "elements") {
			v.elements = append(v.elements, drawTree(t, depth-1))
		}
	case M:
		v.members = drawMembers(t, depth-1)
	default:
		v.elements = drawSet(t, v.t.Element())
	}
	return v
}

// drawSet draws one to six members, no two of them equal.
func drawSet(t *rapid.T, element Type) (members []tree) {
	for range rapid.IntRange(1, 6).Draw(t, "members") {
		if e := drawScalar(t, element); !slices.ContainsFunc(members, e.equal) {
			members = append(members, e)
		}
	}
	return members
}

func drawMembers(t *rapid.T, depth int) (members []member) {
	names := rapid.OneOf(rapid.StringMatching(`[a-d]{1,2}`), rapid.StringMatching(`attribute_[a-z0-9]{1,8}`), rapid.StringN(1, 12, 40))
	for _, name := range rapid.SliceOfNDistinct(names, 0, 12, rapid.ID[string]).Draw(t, "names") {
		members = append(members, member{name, drawTree(t, depth)})
	}
	return members
}

// sameOrder reports whether v and w, both S, N or B, compare as their bytes'
// order c says.
func sameOrder(v, w tree, c int) bool {
	if v.t == N {
		return rat(v.text).Cmp(rat(w.text)) == c
	}
	return strings.Compare(v.text, w.text) == c
}
