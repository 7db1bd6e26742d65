package jsonscan

// A Kind is what the next value looks like.
type Kind byte

// EOF means that no value follows: the text is used up.
const (
	EOF Kind = iota
	Null
	True
	False
	Integer // a number without fraction and exponent
	Decimal // any other number
	String
	Object
	Array
)

var kindNames = [...]string{"EOF", "Null", "True", "False", "Integer", "Decimal", "String", "Object", "Array"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Kind?"
}

// A Scanner pulls values out of one JSON text in document order.
//
// It is a value: a copy is a bookmark that can be read on from. It must be
// given text that Valid accepted, and the caller must ask for values of the
// kind that Peek shows; both are the caller's duty, and a Scanner in other
// hands may panic. Slices it returns alias the text unless stated otherwise.
type Scanner struct {
	data []byte
	pos  int
}

// New returns a Scanner at the start of data, which Valid has accepted.
func New(data []byte) Scanner { return Scanner{data: data} }

// Pos returns the offset of the first byte not yet consumed.
func (s *Scanner) Pos() int { return s.pos }

// Span returns the text from offset from, a Pos of before, to Pos.
func (s *Scanner) Span(from int) []byte { return s.data[from:s.pos] }

// Rest returns how many bytes are not yet consumed.
func (s *Scanner) Rest() int { return len(s.data) - s.pos }

// Peek returns the kind of the next value without consuming it.
func (s *Scanner) Peek() Kind {
	s.pos = skipSpace(s.data, s.pos)
	if s.pos >= len(s.data) {
		return EOF
	}
	switch s.data[s.pos] {
	case '"':
		return String
	case '{':
		return Object
	case '[':
		return Array
	case 't':
		return True
	case 'f':
		return False
	case 'n':
		return Null
	}
	for _, c := range s.data[s.pos:s.numberEnd()] {
		if c == '.' || c == 'e' || c == 'E' {
			return Decimal
		}
	}
	return Integer
}

// Str consumes a String and returns its text without escapes: a slice of the
// input if there were none, else newly allocated. Half surrogate pairs come
// out as U+FFFD, so the text is always valid UTF-8.
func (s *Scanner) Str() []byte {
	inside, escaped := s.Quoted()
	if !escaped {
		return inside
	}
	return AppendUnescaped(make([]byte, 0, len(inside)), inside)
}

// Quoted consumes a String and returns what stands between its quotes, and
// whether there are escapes in it. It is for callers that copy the text
// anyway: they append it, or use AppendUnescaped, and allocate nothing.
func (s *Scanner) Quoted() (inside []byte, escaped bool) {
	start := skipSpace(s.data, s.pos) + 1
	end, escaped := stringEnd(s.data, start)
	s.pos = end + 1
	return s.data[start:end], escaped
}

// Number consumes an Integer or Decimal and returns its text.
func (s *Scanner) Number() []byte {
	s.pos = skipSpace(s.data, s.pos)
	start := s.pos
	s.pos = s.numberEnd()
	return s.data[start:s.pos]
}

func (s *Scanner) numberEnd() int {
	i := s.pos
	for i < len(s.data) {
		switch c := s.data[i]; {
		case isDigit(c), c == '-', c == '+', c == '.', c == 'e', c == 'E':
			i++
		default:
			return i
		}
	}
	return i
}

// Raw consumes one value of any kind and returns its text.
func (s *Scanner) Raw() []byte {
	s.pos = skipSpace(s.data, s.pos)
	start := s.pos
	s.Skip()
	return s.data[start:s.pos]
}

// Skip consumes one value of any kind. It uses no stack.
func (s *Scanner) Skip() {
	switch s.Peek() {
	case EOF:
	case String:
		s.Quoted()
	case Object, Array:
		s.skipContainer()
	case True, Null:
		s.pos += 4
	case False:
		s.pos += 5
	default:
		s.pos = s.numberEnd()
	}
}

// skipContainer counts brackets; only strings can hide some.
func (s *Scanner) skipContainer() {
	i := s.pos
	for depth := 0; ; i++ {
		switch s.data[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.pos = i + 1
				return
			}
		case '"':
			i, _ = stringEnd(s.data, i+1)
		}
	}
}

// EnterObject consumes the opening of an Object. NextMember must follow until
// it reports false.
func (s *Scanner) EnterObject() { s.pos = skipSpace(s.data, s.pos) + 1 }

// NextMember consumes a member's name; its value follows and must be consumed
// before the next call. ok is false at the object's end, which is consumed.
func (s *Scanner) NextMember() (name []byte, ok bool) {
	if !s.next('}') {
		return nil, false
	}
	name = s.Str()
	s.pos = skipSpace(s.data, s.pos) + 1 // the colon
	return name, true
}

// EnterArray consumes the opening of an Array. NextElement must follow until
// it reports false.
func (s *Scanner) EnterArray() { s.pos = skipSpace(s.data, s.pos) + 1 }

// NextElement reports whether another element follows; it must be consumed
// before the next call. At the array's end it is false, and the end consumed.
func (s *Scanner) NextElement() bool { return s.next(']') }

// next consumes either closer, or the comma before the next part, if any.
func (s *Scanner) next(closer byte) bool {
	s.pos = skipSpace(s.data, s.pos)
	switch s.data[s.pos] {
	case closer:
		s.pos++
		return false
	case ',':
		s.pos++
	}
	return true
}
