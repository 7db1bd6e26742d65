package iterator

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/statordb/stator/lsm/key"
)

// An entry is one internal key with its value, as scripts write it: a#7,SET=v.
type entry struct {
	key.Internal
	value string
}

func (e entry) String() string { return e.Internal.String() + "=" + e.value }

// parseEntry reads "user#seq,KIND=value"; kind and value may be left out.
func parseEntry(text string) (entry, error) {
	k, value, _ := strings.Cut(text, "=")
	user, rest, ok := strings.Cut(k, "#")
	if !ok {
		return entry{}, fmt.Errorf("%q has no #", text)
	}
	seqText, kindText, _ := strings.Cut(rest, ",")
	seq, err := strconv.ParseUint(seqText, 10, 56)
	if err != nil {
		return entry{}, err
	}
	kind := key.Set
	if kindText == key.Delete.String() {
		kind = key.Delete
	}
	return entry{
		Internal: key.Internal{User: []byte(user), Trailer: key.MakeTrailer(key.SeqNum(seq), kind)},
		value:    value,
	}, nil
}

// A slice is the plainest Source: the model that others are compared with. It
// counts its moves and fails from the failAt-th on.
type slice struct {
	entries []entry // sorted
	at      int     // -1 before the first, len after the last
	moves   int
	failAt  int // 0: never
	err     error
	closed  bool
}

var errBroken = errors.New("broken source")

func newSlice(entries ...entry) *slice {
	slices.SortFunc(entries, func(a, b entry) int { return a.Compare(b.Internal) })
	return &slice{entries: entries, at: -1}
}

func (s *slice) moveTo(i int, absolute bool) bool {
	s.moves++
	if absolute {
		s.err = nil
	}
	if s.failAt > 0 && s.moves >= s.failAt {
		s.err = errBroken
		return false
	}
	s.at = min(max(i, -1), len(s.entries))
	return s.at >= 0 && s.at < len(s.entries)
}

func (s *slice) First() bool { return s.moveTo(0, true) }
func (s *slice) Last() bool  { return s.moveTo(len(s.entries)-1, true) }
func (s *slice) Next() bool  { return s.moveTo(s.at+1, false) }
func (s *slice) Prev() bool  { return s.moveTo(s.at-1, false) }

func (s *slice) SeekGE(user []byte, seq key.SeqNum) bool {
	target := key.Internal{User: user, Trailer: key.SeekTrailer(seq)}
	return s.moveTo(s.search(target), true)
}

func (s *slice) SeekLT(user []byte) bool {
	return s.moveTo(s.search(key.Internal{User: user, Trailer: key.MaxTrailer})-1, true)
}

func (s *slice) search(target key.Internal) int {
	i, _ := slices.BinarySearchFunc(s.entries, target, func(e entry, t key.Internal) int {
		return e.Compare(t)
	})
	return i
}

func (s *slice) Key() ([]byte, key.Trailer) {
	e := s.entries[s.at]
	return e.User, e.Trailer
}

func (s *slice) Value() []byte { return []byte(s.entries[s.at].value) }
func (s *slice) Err() error    { return s.err }

func (s *slice) Close() error {
	s.closed = true
	return nil
}

func TestParseEntry(t *testing.T) {
	for text, want := range map[string]string{
		"a#7,SET=v": "a#7,SET=v",
		"a#7":       "a#7,SET=",
		"b#2,DEL":   "b#2,DEL=",
	} {
		e, err := parseEntry(text)
		if err != nil || e.String() != want {
			t.Errorf("parseEntry(%q) = %v, %v; want %v", text, e, err, want)
		}
	}
	if _, err := parseEntry("a"); err == nil {
		t.Error("parseEntry accepted an entry without sequence number")
	}
}

// A skipping slice is a Skipper.
type skipping struct{ *slice }

func (s skipping) Skip() bool {
	user, _ := s.Key()
	ok := s.Next()
	for ok && bytes.Equal(s.entries[s.at].User, user) {
		ok = s.Next()
	}
	return ok
}

func (s skipping) SkipBack(seq key.SeqNum) bool {
	current := s.entries[s.at].User
	for s.Prev() {
		if e := s.entries[s.at]; !bytes.Equal(e.User, current) || newestSeen(s.entries, s.at, seq) {
			return true
		}
	}
	return false
}

// newestSeen reports whether a reader at seq sees entry i.
func newestSeen(entries []entry, i int, seq key.SeqNum) bool {
	return entries[i].Trailer.SeqNum() <= seq &&
		(i == 0 || !bytes.Equal(entries[i-1].User, entries[i].User) || entries[i-1].Trailer.SeqNum() > seq)
}
