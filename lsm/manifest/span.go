package manifest

import (
	"bytes"
	"fmt"

	"github.com/statordb/stator/lsm/key"
)

// A Span is a range of user keys from Start to End. End itself is part of it
// unless EndOpen.
type Span struct {
	Start, End []byte
	EndOpen    bool
}

func (s Span) String() string {
	closing := "]"
	if s.EndOpen {
		closing = ")"
	}
	return fmt.Sprintf("[%s, %s%s", key.Format(s.Start), key.Format(s.End), closing)
}

// Before reports whether all of s lies before user.
func (s Span) Before(user []byte) bool {
	c := bytes.Compare(s.End, user)
	return c < 0 || c == 0 && s.EndOpen
}

// Contains reports whether user is in s.
func (s Span) Contains(user []byte) bool {
	return bytes.Compare(s.Start, user) <= 0 && !s.Before(user)
}

// Overlaps reports whether s and o have room for a common key.
func (s Span) Overlaps(o Span) bool { return !s.Before(o.Start) && !o.Before(s.Start) }

// Union returns the smallest span around s and o.
func (s Span) Union(o Span) Span {
	if bytes.Compare(o.Start, s.Start) < 0 {
		s.Start = o.Start
	}
	if c := bytes.Compare(o.End, s.End); c > 0 || c == 0 && !o.EndOpen {
		s.End, s.EndOpen = o.End, o.EndOpen
	}
	return s
}
