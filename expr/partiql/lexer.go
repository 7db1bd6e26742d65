package partiql

import "strings"

// A tokenKind classifies a token. Keywords are words.
type tokenKind byte

const (
	endToken    tokenKind = iota // end of the text
	badToken                     // nothing that the grammar knows
	wordToken                    // keyword, function or name
	quotedToken                  // "name"
	stringToken                  // 'text'
	numberToken                  // digits, maybe with fraction and exponent
	question
	leftParen
	rightParen
	leftBracket
	rightBracket
	leftBrace
	rightBrace
	leftBag  // <<
	rightBag // >>
	comma
	dot
	colon
	semicolon
	star
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

// A token is a piece of the statement. The text of a quoted name or string is
// what stands between the quotation marks, each doubled one taken for one.
type token struct {
	kind tokenKind
	text string
}

// A lexer cuts a statement into tokens. Blanks and comments may stand between
// any two of them.
type lexer struct {
	text string
	pos  int // first byte that has not been read
}

// next returns the next token; at the end of the text, forever an endToken.
func (l *lexer) next() token {
	if !l.skipBlanks() {
		l.pos = len(l.text)
		return token{badToken, "/*"}
	}
	if l.pos == len(l.text) {
		return token{kind: endToken}
	}
	start := l.pos
	c := l.text[l.pos]
	switch {
	case isLetter(c):
		l.skipWord()
		return token{wordToken, l.text[start:l.pos]}
	case isDigit(c), c == '.' && l.pos+1 < len(l.text) && isDigit(l.text[l.pos+1]):
		return l.number()
	case c == '"':
		return l.quoted(quotedToken)
	case c == '\'':
		return l.quoted(stringToken)
	}
	l.pos++
	kind := l.symbol(c)
	return token{kind, l.text[start:l.pos]}
}

// skipBlanks skips what may stand between tokens. It reports false for a
// comment without an end.
func (l *lexer) skipBlanks() bool {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case isBlank(rest[0]):
			l.pos++
		case strings.HasPrefix(rest, "--"):
			l.pos += lengthTo(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return false
			}
			l.pos += 2 + end + 2
		default:
			return true
		}
	}
	return true
}

// lengthTo returns the length of s up to the mark and including it; all of it
// if there is none.
func lengthTo(s, mark string) int {
	if at := strings.Index(s, mark); at >= 0 {
		return at + len(mark)
	}
	return len(s)
}

// number reads digits, a fraction and an exponent. A word directly behind
// makes it nothing.
func (l *lexer) number() token {
	start := l.pos
	l.skipDigits()
	if l.skip('.') {
		l.skipDigits()
	}
	if at := l.pos; l.skip('e') || l.skip('E') {
		if !l.skip('+') {
			l.skip('-')
		}
		if l.skipDigits() == 0 {
			l.pos = at
		}
	}
	kind := numberToken
	if l.pos < len(l.text) && isLetter(l.text[l.pos]) {
		kind = badToken
		l.skipWord()
	}
	return token{kind, l.text[start:l.pos]}
}

// quoted reads up to the next quotation mark that is not doubled.
func (l *lexer) quoted(kind tokenKind) token {
	mark := l.text[l.pos : l.pos+1]
	start := l.pos + 1
	l.pos++
	doubled := false
	for {
		at := strings.Index(l.text[l.pos:], mark)
		if at < 0 {
			l.pos = len(l.text)
			return token{badToken, mark}
		}
		l.pos += at + 1
		if !l.skip(mark[0]) {
			break
		}
		doubled = true
	}
	text := l.text[start : l.pos-1]
	if doubled {
		text = strings.ReplaceAll(text, mark+mark, mark)
	}
	return token{kind, text}
}

var symbols = [128]tokenKind{
	'?': question, '(': leftParen, ')': rightParen, '[': leftBracket, ']': rightBracket,
	'{': leftBrace, '}': rightBrace, ',': comma, '.': dot, ':': colon, ';': semicolon,
	'*': star, '+': plus, '-': minus, '=': equal,
}

// symbol classifies the symbol that begins with c, which has been read.
func (l *lexer) symbol(c byte) tokenKind {
	switch {
	case c == '<' && l.skip('='):
		return lessEqual
	case c == '<' && l.skip('>'), c == '!' && l.skip('='):
		return notEqual
	case c == '<' && l.skip('<'):
		return leftBag
	case c == '<':
		return less
	case c == '>' && l.skip('='):
		return greaterEqual
	case c == '>' && l.skip('>'):
		return rightBag
	case c == '>':
		return greater
	case c < 128 && symbols[c] != endToken:
		return symbols[c]
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

func (l *lexer) skipDigits() (n int) {
	for l.pos < len(l.text) && isDigit(l.text[l.pos]) {
		l.pos++
		n++
	}
	return n
}

func (l *lexer) skipWord() {
	for l.pos < len(l.text) && (isLetter(l.text[l.pos]) || isDigit(l.text[l.pos])) {
		l.pos++
	}
}

func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isLetter reports whether a word may begin with c. Digits may follow.
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '$' }
