package raftlog

import (
	"bytes"
	"encoding/hex"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

func members(voters ...uint64) *raftpb.ConfState {
	autoLeave := false
	return &raftpb.ConfState{Voters: voters, AutoLeave: &autoLeave}
}

func newEntry(index, term uint64, data string) *raftpb.Entry {
	return &raftpb.Entry{Index: &index, Term: &term, Type: raftpb.EntryNormal.Enum(), Data: []byte(data)}
}

// samples has one record of each kind and its bytes.
var samples = []struct {
	name string
	hex  string
	b    []byte
}{
	{"checkpoint", "01" + "01" + "05" + "02" +
		"03" + "01" + "020507" + "0802" + "00" + "0105" + "000000" +
		"ac02" + "00" + "000000" + "0000" + "01" + "020509" + "0107" + "0105" + "0108",
		appendCheckpointOf(1, nil, 5, []groupState{
			{3, true, false, HardState{2, 5, 7}, EntryID{8, 2}, members(5)},
			{300, false, false, HardState{}, EntryID{}, jointMembers()},
		})},
	{"checkpoint of version 2", "01" + "02" + "05" + "02" +
		"03" + "03" + "020500" + "0000" + "00" + "00000000" +
		"04" + "01" + "020507" + "0802" + "00" + "0105" + "000000",
		appendCheckpoint(nil, 5, []groupState{
			{3, true, true, HardState{2, 5, 0}, EntryID{}, members()},
			{4, true, false, HardState{2, 5, 7}, EntryID{8, 2}, members(5)},
		})},
	{"entry", "02" + "03" + "0802" + "00" + "686579", appendEntry(nil, 3, newEntry(8, 2, "hey"))},
	{"hard state", "03" + "03" + "020507", appendHardState(nil, 3, HardState{2, 5, 7})},
	{"created", "04" + "03" + "01" + "00" + "0105" + "000000", appendCreated(nil, 3, true, members(5))},
	{"removed", "05" + "03", appendRemoved(nil, 3)},
	{"truncated", "06" + "03" + "0802" + "020507", appendTruncated(nil, 3, EntryID{8, 2}, HardState{2, 5, 7})},
	{"restored", "07" + "03" + "0802" + "020508" + "00" + "0105" + "000000", appendRestored(nil, 3, EntryID{8, 2}, HardState{2, 5, 8}, members(5))},
	{"retired", "08" + "03", appendRetired(nil, 3)},
}

func jointMembers() *raftpb.ConfState {
	m := members(5, 9)
	autoLeave := true
	m.AutoLeave = &autoLeave
	m.Learners, m.VotersOutgoing, m.LearnersNext = []uint64{7}, []uint64{5}, []uint64{8}
	return m
}

// encode is the inverse of decodeRecord.
func (r *record) encode() []byte {
	switch r.kind {
	case kindCheckpoint:
		return appendCheckpointOf(r.version, nil, r.node, r.groups)
	case kindEntry:
		e := newEntry(r.id.Index, r.id.Term, string(r.data))
		e.Type = r.typ.Enum()
		return appendEntry(nil, r.group, e)
	case kindHardState:
		return appendHardState(nil, r.group, r.hard)
	case kindCreated:
		return appendCreated(nil, r.group, r.relaxed, r.members)
	case kindRemoved:
		return appendRemoved(nil, r.group)
	case kindTruncated:
		return appendTruncated(nil, r.group, r.id, r.hard)
	case kindRestored:
		return appendRestored(nil, r.group, r.id, r.hard, r.members)
	case kindRetired:
		return appendRetired(nil, r.group)
	}
	return nil
}

func TestRecordBytes(t *testing.T) {
	for _, s := range samples {
		if got := hex.EncodeToString(s.b); got != s.hex {
			t.Errorf("%s:\n got %s\nwant %s", s.name, got, s.hex)
		}
		r, err := decodeRecord(s.b)
		if err != nil {
			t.Errorf("decodeRecord(%s): %v", s.name, err)
			continue
		}
		if got := r.encode(); !bytes.Equal(got, s.b) {
			t.Errorf("%s decodes to something that encodes as %x", s.name, got)
		}
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	for _, test := range []struct{ name, hex string }{
		{"nothing", ""},
		{"unknown kind", "09" + "03"},
		{"kind zero", "00"},
		{"checkpoint of version 3", "01" + "03" + "05" + "00"},
		{"checkpoint of version 0", "01" + "00" + "05" + "00"},
		{"retired group in version 1", "01" + "01" + "05" + "01" + "03" + "02" + "020500" + "0000" + "00" + "00000000"},
		{"restored at index zero", "07" + "03" + "0002" + "020500" + "00" + "0105" + "000000"},
		{"more groups than bytes", "01" + "01" + "05" + "ffffffffffffffffff01"},
		{"groups out of order", "01" + "01" + "05" + "02" + "03000000000000000000000000" + "03000000000000000000000000"},
		{"group zero", "05" + "00"},
		{"number not in its shortest form", "05" + "8300"},
		{"number that overflows", "05" + "ffffffffffffffffffff01"},
		{"entry with index zero", "02" + "03" + "0002" + "00"},
		{"entry with term zero", "02" + "03" + "0800" + "00"},
		{"entry of unknown type", "02" + "03" + "0802" + "03"},
		{"bytes left over", "05" + "0300"},
		{"unknown flag", "04" + "03" + "02" + "00" + "0105" + "000000"},
		{"more voters than bytes", "04" + "03" + "00" + "00" + "7f05"},
	} {
		b, err := hex.DecodeString(test.hex)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := decodeRecord(b); err == nil {
			t.Errorf("%s: decodeRecord(%s) = %+v, want an error", test.name, test.hex, r)
		}
	}
	for _, s := range samples {
		for n := range len(s.b) {
			if _, err := decodeRecord(s.b[:n]); err == nil && s.name != "entry" {
				t.Errorf("%s: decodeRecord of the first %d bytes succeeds", s.name, n)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range samples {
		f.Add(s.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		if got := r.encode(); !bytes.Equal(got, b) {
			t.Errorf("%x decodes to something that encodes as %x", b, got)
		}
	})
}
