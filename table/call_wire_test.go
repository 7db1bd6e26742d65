package table

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

var sampleStatus = partitionStatus{members: []uint64{1, 2, 300}, version: 7, cursor: 1 << 40, kept: []uint64{3}, steady: []uint64{1, 300}, known: true}

// A status comes back as it was told, also from earlier builds, which tell less; and never from fewer bytes.
func TestStatusOnTheWire(t *testing.T) {
	whole := sampleStatus.append(nil)
	for _, c := range []struct {
		what string
		b    []byte
		want func(*partitionStatus)
	}{
		{"all", whole, func(*partitionStatus) {}},
		{"not known", (&partitionStatus{members: []uint64{1}}).append(nil), func(s *partitionStatus) { *s = partitionStatus{members: []uint64{1}} }},
		{"without known", whole[:len(whole)-1], func(*partitionStatus) {}},
		{"without steady", whole[:len(whole)-5], func(s *partitionStatus) { s.steady = nil }},
	} {
		want := sampleStatus
		c.want(&want)
		if got, err := decodeStatus(c.b); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v, want %+v", c.what, got, err, want)
		}
	}
	for cut := range len(whole) - 5 {
		if s, err := decodeStatus(whole[:cut]); !errors.Is(err, errCall) {
			t.Errorf("%d of %d bytes: %+v, %v, want errCall", cut, len(whole), s, err)
		}
	}
	if s, err := decodeStatus(append(whole, 0)); !errors.Is(err, errCall) {
		t.Errorf("a byte too many: %+v, %v, want errCall", s, err)
	}
}

// FuzzCall: no bytes make those panic who read what nodes tell each other, and what is read is told again in the same way.
func FuzzCall(f *testing.F) {
	f.Add(appendRequest(nil, 5, 7, callConsistent))
	f.Add(answer{clock: 5, leader: 2, verdict: verdictDone, body: sampleStatus.append(nil)}.append(nil))
	f.Add(sampleStatus.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b)
		if err == nil && !bytes.Equal(append(appendRequest(nil, r.clock, r.group, r.flags), r.body...), b) {
			t.Errorf("request %+v of %x", r, b)
		}
		a, err := decodeAnswer(b)
		if err == nil && !bytes.Equal(a.append(nil), b) {
			t.Errorf("answer %+v of %x", a, b)
		}
		s, err := decodeStatus(b)
		if err != nil {
			return
		}
		if again, err := decodeStatus(s.append(nil)); err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("status %+v becomes %+v, %v", s, again, err)
		}
	})
}
