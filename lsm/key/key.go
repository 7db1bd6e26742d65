// Package key defines the order in which the engine keeps everything it
// stores.
//
// What a caller calls a key is a user key: any bytes, compared bytewise. The
// engine keeps several versions of one user key side by side, so it appends to
// each a trailer that tells when the version was written and what it is:
//
//	internal key = user key + trailer
//	trailer      = sequence number << 8 | kind       (8 bytes)
//
// Internal keys sort by user key ascending, then by trailer descending: the
// newest version of a user key comes first, and a reader at sequence number s
// finds the version it may see at the first internal key that is not less than
// (user key, SeekTrailer(s)).
//
//	a#9,SET  a#4,DEL  a#2,SET  b#7,SET
//
// Invariant: no two internal keys of one database are equal, since each
// operation of each batch has its own sequence number.
package key

import (
	"bytes"
	"fmt"
	"strconv"
)

// A SeqNum numbers the operations of a database in the order in which they
// happened. 56 bits are used; 0 marks a version that everyone may see.
type SeqNum uint64

// MaxSeqNum is the largest sequence number: a reader at MaxSeqNum sees all.
const MaxSeqNum SeqNum = 1<<56 - 1

// A Kind says what an internal key stands for. The numbers are part of every
// file format; one that has been released is never used for something else.
type Kind uint8

// The kinds.
const (
	Delete       Kind = 0 // a tombstone: the user key is absent from here on back
	Set          Kind = 1 // the value follows
	RangeDelete  Kind = 2 // a tombstone for [user key, end); end is the value
	ValuePointer Kind = 3 // a pointer to the value follows (package vlog); in tables only
)

// maxKind is the largest number that has a meaning; maxKindByte is the largest
// that fits, for search targets that must sort before every kind.
const (
	maxKind     = ValuePointer
	maxKindByte = 0xff
)

// Valid reports whether k is a kind this version knows.
func (k Kind) Valid() bool { return k <= maxKind }

// IsValue reports whether the user key has a value, wherever that is kept.
func (k Kind) IsValue() bool { return k == Set || k == ValuePointer }

func (k Kind) String() string {
	switch k {
	case Delete:
		return "DEL"
	case Set:
		return "SET"
	case RangeDelete:
		return "RANGEDEL"
	case ValuePointer:
		return "PTR"
	}
	return fmt.Sprintf("KIND%d", uint8(k))
}

// A Trailer is the second half of an internal key. The larger of two trailers
// of one user key sorts first.
type Trailer uint64

// MaxTrailer sorts before every version of a user key. As the trailer of an
// upper bound it makes that bound exclusive.
const MaxTrailer Trailer = 1<<64 - 1

// MakeTrailer packs seq, which must not exceed MaxSeqNum, and kind.
func MakeTrailer(seq SeqNum, kind Kind) Trailer {
	return Trailer(seq)<<8 | Trailer(kind)
}

// SeekTrailer is the search target for a reader at seq: it sorts before every
// version of seq and older, and after every newer one.
func SeekTrailer(seq SeqNum) Trailer { return Trailer(seq)<<8 | maxKindByte }

// SeqNum is the sequence number within t.
func (t Trailer) SeqNum() SeqNum { return SeqNum(t >> 8) }

// Kind is the kind within t.
func (t Trailer) Kind() Kind { return Kind(t & 0xff) }

// String prints "7,SET".
func (t Trailer) String() string {
	if t == MaxTrailer {
		return "max"
	}
	return fmt.Sprintf("%d,%v", t.SeqNum(), t.Kind())
}

// Compare orders two internal keys: negative when a sorts before b, 0 when they
// are equal, positive otherwise.
func Compare(aUser []byte, aTrailer Trailer, bUser []byte, bTrailer Trailer) int {
	if c := bytes.Compare(aUser, bUser); c != 0 {
		return c
	}
	return CompareTrailer(aTrailer, bTrailer)
}

// CompareTrailer orders the versions of one user key, newest first.
func CompareTrailer(a, b Trailer) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// An Internal is an internal key: one version of one user key.
type Internal struct {
	User    []byte
	Trailer Trailer
}

// Compare orders k and other like the function Compare.
func (k Internal) Compare(other Internal) int {
	return Compare(k.User, k.Trailer, other.User, other.Trailer)
}

// Equal reports whether k and other are the same version of the same key.
func (k Internal) Equal(other Internal) bool {
	return k.Trailer == other.Trailer && bytes.Equal(k.User, other.User)
}

// Clone returns a copy of k that shares no memory with it.
func (k Internal) Clone() Internal {
	return Internal{User: bytes.Clone(k.User), Trailer: k.Trailer}
}

// String prints "a#7,SET"; bytes that do not print are escaped.
func (k Internal) String() string {
	return Format(k.User) + "#" + k.Trailer.String()
}

// Format prints a user key: as it is where its bytes are printable ASCII, with
// \x escapes elsewhere. For logs, scripts and inspection.
func Format(user []byte) string {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(user))
	for _, c := range user {
		if c > ' ' && c < 0x7f && c != '\\' && c != '#' {
			out = append(out, c)
			continue
		}
		out = append(out, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return string(out)
}

// Parse reads what Format prints.
func Parse(text string) (user []byte, ok bool) {
	for len(text) > 0 {
		if text[0] != '\\' {
			user, text = append(user, text[0]), text[1:]
			continue
		}
		if len(text) < 4 || text[1] != 'x' {
			return nil, false
		}
		n, err := strconv.ParseUint(text[2:4], 16, 8)
		if err != nil {
			return nil, false
		}
		user, text = append(user, byte(n)), text[4:]
	}
	return user, true
}
