package item

// A Type is the type of a Value. Its number is the tag byte of the binary
// form, so it never changes its meaning.
type Type byte

const (
	S    Type = 1  // string
	N    Type = 2  // number
	B    Type = 3  // binary
	BOOL Type = 4  // boolean
	NULL Type = 5  // null
	L    Type = 6  // list
	M    Type = 7  // map
	SS   Type = 8  // set of strings
	NS   Type = 9  // set of numbers
	BS   Type = 10 // set of binaries
)

var typeNames = [...]string{S: "S", N: "N", B: "B", BOOL: "BOOL", NULL: "NULL", L: "L", M: "M", SS: "SS", NS: "NS", BS: "BS"}

// String returns the tag of the JSON form, such as "S" or "BOOL".
func (t Type) String() string {
	if t >= S && t <= BS {
		return typeNames[t]
	}
	return "?"
}

// TypeOf returns the type with the given tag, and 0 for any other text.
func TypeOf(tag string) Type {
	switch tag {
	case "S":
		return S
	case "N":
		return N
	case "B":
		return B
	case "BOOL":
		return BOOL
	case "NULL":
		return NULL
	case "L":
		return L
	case "M":
		return M
	case "SS":
		return SS
	case "NS":
		return NS
	case "BS":
		return BS
	}
	return 0
}

// IsSet reports whether t is SS, NS or BS.
func (t Type) IsSet() bool { return t >= SS && t <= BS }

// IsKey reports whether values of type t can be keys: S, N or B. They are also
// the types that have an order.
func (t Type) IsKey() bool { return t >= S && t <= B }

// Element returns the type of the members of a set of type t.
func (t Type) Element() Type { return t - SS + S }
