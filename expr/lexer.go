package expr

// A tokenKind classifies a token. Keywords are words: AND, SET and so on are
// recognised by the parser where the grammar knows them, in any case.
type tokenKind byte

const (
	endToken    tokenKind = iota // end of the text
	badToken                     // nothing that the grammar knows
	wordToken                    // attribute, keyword or function
	nameToken                    // #name
	valueToken                   // :value
	numberToken                  // digits
	leftParen
	rightParen
	leftBracket
	rightBracket
	comma
	dot
	plus
	minus
	equal
	notEqual
	less
	lessEqual
	greater
	greaterEqual
	tokenKinds
)

// A token is a piece of the text [start, end).
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// A lexer cuts the text of an expression into tokens. Blanks (space, tab, CR,
// LF) may stand between any two of them.
type lexer struct {
	text string
	pos  int // first byte that has not been read
}

// next returns the next token; at the end of the text, forever an endToken.
func (l *lexer) next() token {
	for l.pos < len(l.text) && isBlank(l.text[l.pos]) {
		l.pos++
	}
	start := l.pos
	kind := l.scan()
	return token{kind, l.text[start:l.pos], start, l.pos}
}

// scan moves behind the token that begins at pos.
func (l *lexer) scan() tokenKind {
	if l.pos == len(l.text) {
		return endToken
	}
	c := l.text[l.pos]
	switch {
	case isWordByte(c):
		return l.word()
	case c == '#':
		return l.placeholder(nameToken)
	case c == ':':
		return l.placeholder(valueToken)
	}
	l.pos++
	return l.symbol(c)
}

// word reads a run of letters, digits and underscores. An attribute name that
// is written out begins with a letter; other runs are numbers or nothing.
func (l *lexer) word() tokenKind {
	start := l.pos
	l.skipWord()
	switch text := l.text[start:l.pos]; {
	case isLetter(text[0]):
		return wordToken
	case isDigits(text):
		return numberToken
	}
	return badToken
}

// placeholder reads "#" or ":" and the run behind it, which may begin with a
// digit but not be empty.
func (l *lexer) placeholder(kind tokenKind) tokenKind {
	l.pos++
	start := l.pos
	l.skipWord()
	if l.pos == start {
		return badToken
	}
	return kind
}

func (l *lexer) skipWord() {
	for l.pos < len(l.text) && isWordByte(l.text[l.pos]) {
		l.pos++
	}
}

var symbols = [128]tokenKind{
	'(': leftParen, ')': rightParen, '[': leftBracket, ']': rightBracket,
	',': comma, '.': dot, '+': plus, '-': minus, '=': equal,
}

// symbol classifies the symbol that begins with c, which has been read.
func (l *lexer) symbol(c byte) tokenKind {
	switch {
	case c == '<' && l.skip('='):
		return lessEqual
	case c == '<' && l.skip('>'):
		return notEqual
	case c == '<':
		return less
	case c == '>' && l.skip('='):
		return greaterEqual
	case c == '>':
		return greater
	case c < 128 && symbols[c] != endToken:
		return symbols[c]
	case c >= 128:
		l.skipRune()
	}
	return badToken
}

func (l *lexer) skip(c byte) bool {
	if l.pos < len(l.text) && l.text[l.pos] == c {
		l.pos++
		return true
	}
	return false
}

// skipRune reads the rest of a UTF-8 sequence, so that messages show whole
// characters.
func (l *lexer) skipRune() {
	for l.pos < len(l.text) && l.text[l.pos]&0xC0 == 0x80 {
		l.pos++
	}
}

func isBlank(c byte) bool  { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isWordByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' }

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
