package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
)

// A record is the payload of one lsm/wal record, which guards it with
// a checksum and a length. Integers are unsigned varints unless sized here.
//
//	checkpoint  | 1 | version | node | count | count × group state |
//	entry       | 2 | group | index | term | type 1B | data ...    |
//	hard state  | 3 | group | hard state                          |
//	created     | 4 | group | flags 1B | members                  |
//	removed     | 5 | group |                                     |
//	truncated   | 6 | group | index | term | hard state           |
//	restored    | 7 | group | index | term | hard state | members |
//	retired     | 8 | group |                                     |
//
//	group state | group | flags 1B | hard state | last index | last term | members |
//	hard state  | term | vote | commit |
//	members     | flags 1B | voters | learners | voters outgoing | learners next |
//	              each of the four: count | count × node
//
// Group flags: 1 = relaxed (see Storage), 2 = retired. Member flags: 1 = auto leave.
// Restored, retired and their flag came with version 2.
//
// The first record of every segment is a checkpoint; a checkpoint occurs
// nowhere else. Its groups are sorted by id. The version is that of all
// records of the segment.
//
// An entry with an index that the group already has replaces that entry and
// drops all later ones, as Raft's log does. A truncated record empties the
// group's log: the next entry is index+1. A restored record does the same
// because a snapshot has replaced the group's state, members included.
//
// A retired record removes a replica of a group that others go on with. What it
// has promised as a voter is kept: a created record brings the replica back with
// its old term and vote, and a removed record forgets them, too.
const (
	formatVersion    = 2
	oldestVersion    = 1
	versionOfRetired = 2
)

type kind byte

const (
	kindCheckpoint kind = 1 + iota
	kindEntry
	kindHardState
	kindCreated
	kindRemoved
	kindTruncated
	kindRestored
	kindRetired
)

const (
	flagRelaxed   = 1 // in a group state, and created
	flagRetired   = 2 // in a group state
	flagAutoLeave = 1 // in members
)

// A GroupID names one replicated group.
type GroupID uint64

// A HardState is what a voter must not forget: the term it is in, whom it voted
// for in that term (0: nobody), and up to where it knows the log is committed.
type HardState struct {
	Term, Vote, Commit uint64
}

// An EntryID identifies an entry of one group for all time.
type EntryID struct {
	Index, Term uint64
}

// groupState is what a checkpoint says about one group.
type groupState struct {
	id      GroupID
	relaxed bool
	retired bool // members and last are empty
	hard    HardState
	last    EntryID
	members *raftpb.ConfState
}

// record is a decoded record. Which fields are set depends on kind.
type record struct {
	kind    kind
	group   GroupID
	id      EntryID           // entry, truncated, restored
	typ     raftpb.EntryType  // entry
	data    []byte            // entry; aliases the decoded bytes
	hard    HardState         // hard state, truncated, restored
	relaxed bool              // created
	members *raftpb.ConfState // created, restored
	version uint64            // checkpoint
	node    uint64            // checkpoint
	groups  []groupState      // checkpoint
}

func appendCheckpoint(dst []byte, node uint64, groups []groupState) []byte {
	return appendCheckpointOf(formatVersion, dst, node, groups)
}

func appendCheckpointOf(version uint64, dst []byte, node uint64, groups []groupState) []byte {
	dst = append(dst, byte(kindCheckpoint))
	dst = binary.AppendUvarint(dst, version)
	dst = binary.AppendUvarint(dst, node)
	dst = binary.AppendUvarint(dst, uint64(len(groups)))
	for i := range groups {
		dst = appendGroupState(dst, &groups[i])
	}
	return dst
}

func appendGroupState(dst []byte, g *groupState) []byte {
	dst = binary.AppendUvarint(dst, uint64(g.id))
	var flags byte
	if g.relaxed {
		flags |= flagRelaxed
	}
	if g.retired {
		flags |= flagRetired
	}
	dst = append(dst, flags)
	dst = appendHard(dst, g.hard)
	dst = appendID(dst, g.last)
	return AppendMembers(dst, g.members)
}

// maxEntryOverhead bounds what an entry record adds to the entry's data.
const maxEntryOverhead = 2 + 3*binary.MaxVarintLen64

func appendEntry(dst []byte, g GroupID, e *raftpb.Entry) []byte {
	dst = binary.AppendUvarint(append(dst, byte(kindEntry)), uint64(g))
	dst = appendID(dst, EntryID{e.GetIndex(), e.GetTerm()})
	dst = append(dst, byte(e.GetType()))
	return append(dst, e.GetData()...)
}

func appendHardState(dst []byte, g GroupID, hs HardState) []byte {
	dst = binary.AppendUvarint(append(dst, byte(kindHardState)), uint64(g))
	return appendHard(dst, hs)
}

func appendCreated(dst []byte, g GroupID, relaxed bool, members *raftpb.ConfState) []byte {
	dst = binary.AppendUvarint(append(dst, byte(kindCreated)), uint64(g))
	return AppendMembers(appendFlag(dst, relaxed, flagRelaxed), members)
}

func appendRemoved(dst []byte, g GroupID) []byte {
	return binary.AppendUvarint(append(dst, byte(kindRemoved)), uint64(g))
}

func appendTruncated(dst []byte, g GroupID, id EntryID, hs HardState) []byte {
	dst = binary.AppendUvarint(append(dst, byte(kindTruncated)), uint64(g))
	return appendHard(appendID(dst, id), hs)
}

func appendRestored(dst []byte, g GroupID, id EntryID, hs HardState, members *raftpb.ConfState) []byte {
	dst = binary.AppendUvarint(append(dst, byte(kindRestored)), uint64(g))
	return AppendMembers(appendHard(appendID(dst, id), hs), members)
}

func appendRetired(dst []byte, g GroupID) []byte {
	return binary.AppendUvarint(append(dst, byte(kindRetired)), uint64(g))
}

func appendID(dst []byte, id EntryID) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, id.Index), id.Term)
}

func appendHard(dst []byte, hs HardState) []byte {
	dst = binary.AppendUvarint(dst, hs.Term)
	dst = binary.AppendUvarint(dst, hs.Vote)
	return binary.AppendUvarint(dst, hs.Commit)
}

func appendFlag(dst []byte, set bool, flag byte) []byte {
	if !set {
		flag = 0
	}
	return append(dst, flag)
}

// AppendMembers encodes members as the log does.
func AppendMembers(dst []byte, m *raftpb.ConfState) []byte {
	dst = appendFlag(dst, m.GetAutoLeave(), flagAutoLeave)
	for _, nodes := range [][]uint64{m.GetVoters(), m.GetLearners(), m.GetVotersOutgoing(), m.GetLearnersNext()} {
		dst = binary.AppendUvarint(dst, uint64(len(nodes)))
		for _, n := range nodes {
			dst = binary.AppendUvarint(dst, n)
		}
	}
	return dst
}

var errMalformed = errors.New("malformed record")

// decodeRecord checks and splits a record. The errors say what is wrong, not
// where: the caller knows.
func decodeRecord(b []byte) (record, error) {
	d := decoder{b: b}
	r := record{kind: kind(d.byte())}
	switch r.kind {
	case kindCheckpoint:
		if r.version = d.uint(); !d.bad && (r.version < oldestVersion || r.version > formatVersion) {
			return r, fmt.Errorf("log format version %d, this program knows %d", r.version, formatVersion)
		}
		d.checkpoint(&r)
	case kindEntry:
		r.group, r.id = d.group(), d.id()
		r.typ = raftpb.EntryType(d.byte())
		r.data = d.rest()
		d.check(r.id.Index > 0 && r.id.Term > 0 && r.typ <= raftpb.EntryConfChangeV2)
	case kindHardState:
		r.group, r.hard = d.group(), d.hard()
	case kindCreated:
		r.group, r.relaxed, r.members = d.group(), d.relaxed(), d.members()
	case kindRemoved, kindRetired:
		r.group = d.group()
	case kindRestored:
		r.group, r.id, r.hard, r.members = d.group(), d.id(), d.hard(), d.members()
		d.check(r.id.Index > 0 && r.id.Term > 0)
	case kindTruncated:
		r.group, r.id, r.hard = d.group(), d.id(), d.hard()
	default:
		return r, fmt.Errorf("unknown record kind %d", r.kind)
	}
	if d.bad || len(d.b) > 0 {
		return r, errMalformed
	}
	return r, nil
}

// A decoder takes a record apart from the front. After the first thing that
// does not fit it is bad and returns zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) check(ok bool) {
	if !ok {
		d.bad, d.b = true, nil
	}
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.check(false)
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// flags accepts only the flags in known.
func (d *decoder) flags(known byte) byte {
	f := d.byte()
	d.check(f&^known == 0)
	return f
}

// uint accepts only the shortest form, so that what decodes encodes to the
// same bytes.
func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.check(false)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) rest() []byte {
	b := d.b
	d.b = nil
	return b
}

func (d *decoder) group() GroupID {
	id := GroupID(d.uint())
	d.check(id != 0)
	return id
}

func (d *decoder) relaxed() bool { return d.flags(flagRelaxed) != 0 }

func (d *decoder) id() EntryID { return EntryID{Index: d.uint(), Term: d.uint()} }

func (d *decoder) hard() HardState {
	return HardState{Term: d.uint(), Vote: d.uint(), Commit: d.uint()}
}

func (d *decoder) members() *raftpb.ConfState {
	autoLeave := d.flags(flagAutoLeave) != 0
	return &raftpb.ConfState{
		AutoLeave:      &autoLeave,
		Voters:         d.nodes(),
		Learners:       d.nodes(),
		VotersOutgoing: d.nodes(),
		LearnersNext:   d.nodes(),
	}
}

// DecodeMembers is the inverse of AppendMembers.
func DecodeMembers(b []byte) (*raftpb.ConfState, error) {
	d := decoder{b: b}
	m := d.members()
	if d.bad || len(d.b) > 0 {
		return nil, errMalformed
	}
	return m, nil
}

func (d *decoder) nodes() []uint64 {
	n := d.uint()
	if n > uint64(len(d.b)) { // each takes a byte at least
		d.check(false)
		return nil
	}
	var nodes []uint64
	for range n {
		nodes = append(nodes, d.uint())
	}
	return nodes
}

func (d *decoder) checkpoint(r *record) {
	r.node = d.uint()
	n := d.uint()
	var last GroupID
	for range n {
		g := groupState{id: d.group()}
		flags := d.flags(flagRelaxed | flagRetired)
		g.relaxed, g.retired = flags&flagRelaxed != 0, flags&flagRetired != 0
		g.hard, g.last, g.members = d.hard(), d.id(), d.members()
		d.check(g.id > last && (!g.retired || r.version >= versionOfRetired))
		if d.bad {
			return
		}
		last = g.id
		r.groups = append(r.groups, g)
	}
}
