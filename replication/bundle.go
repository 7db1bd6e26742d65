package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/statordb/stator/internal/env"
)

// What travels on the Raft lane is a bundle: what one node has to say to another at
// one moment, about any number of groups. Integers are unsigned varints in
// their shortest form unless sized here.
//
//	bundle  | version 1B | item | item | ... |
//	item   | group | type 1B | fields 2B | term | each field that is there |
//	beat   | 0 | incarnation 8B | flags 1B |
//
// fields (little-endian) says which fields there are, in this order; a number
// that is absent is 0, and a number that is there is not.
//
//	bit  0  index
//	     1  log term
//	     2  commit
//	     3  reject hint
//	     4  reject: no bytes
//	     5  context       | size | bytes |
//	     6  entries       | count | count × (type 1B | term | size | bytes) |
//	     7  sent
//	     8  echo
//	     9  promise       | remaining | term | sent |
//	    10  wait
//	    11  idle: no bytes
//
// The first seven are raft's; the entries follow index, without gaps. Type and
// the other five are explained at messageType and note. The sender is who the
// transport says it is, and the receiver is the one who reads.
//
// A beat is about the node, not a group. Its flags: 1 = unfit to lead.
const bundleVersion = 1

const bundleHeaderBytes = 1

// A messageType is what an item wants. Snapshots travel on their own lane.
type messageType byte

const (
	typeAppend messageType = 1 + iota
	typeAppendResp
	typeVote
	typeVoteResp
	typePreVote
	typePreVoteResp
	typeHeartbeat
	typeHeartbeatResp
	typeTimeoutNow
	typeWake // not raft's: asks a leader that sleeps to say that it leads
)

// raftTypes are raft's names of the types.
var raftTypes = [...]raftpb.MessageType{
	typeAppend:        raftpb.MsgApp,
	typeAppendResp:    raftpb.MsgAppResp,
	typeVote:          raftpb.MsgVote,
	typeVoteResp:      raftpb.MsgVoteResp,
	typePreVote:       raftpb.MsgPreVote,
	typePreVoteResp:   raftpb.MsgPreVoteResp,
	typeHeartbeat:     raftpb.MsgHeartbeat,
	typeHeartbeatResp: raftpb.MsgHeartbeatResp,
	typeTimeoutNow:    raftpb.MsgTimeoutNow,
}

func typeOf(t raftpb.MessageType) (messageType, bool) {
	for i, r := range raftTypes {
		if i > 0 && r == t {
			return messageType(i), true
		}
	}
	return 0, false
}

const (
	fieldIndex = 1 << iota
	fieldLogTerm
	fieldCommit
	fieldRejectHint
	fieldReject
	fieldContext
	fieldEntries
	fieldSent
	fieldEcho
	fieldPromise
	fieldWait
	fieldIdle

	knownFields = fieldIdle<<1 - 1
)

// A note is what a message says beside what raft wants to say.
type note struct {
	// sent is the sender's clock when a leader sent this message, if it wants
	// a lease from it; in typeTimeoutNow, the time up to which it gives its
	// leases up.
	sent env.Mono
	// echo is the newest sent that the sender of an answer has seen from the
	// leader of the message's term.
	echo env.Mono
	// promise is what binds a voter when it grants a vote.
	promise promise
	// wait is how long the sender of typeTimeoutNow would have had to wait for
	// the leases of earlier leaders.
	wait env.Mono
	// idle says in a heartbeat that the leader has nothing to do, and in the
	// answer that the follower has not, either, and sleeps.
	idle bool
}

// A promise says that a voter has acknowledged a message that the leader of
// a term sent at a time by its own clock, and how long the lease that may
// count on it can still last.
type promise struct {
	remaining env.Mono
	term      uint64
	sent      env.Mono
}

// A message is one decoded item. Its raft message and all that it points to
// are one allocation, besides the entries, whose data is part of the bundle.
type message struct {
	group GroupID
	typ   messageType
	note  note
	raft  raftpb.Message // its Type is raft's name of typ, if there is one

	numbers struct {
		typ                                raftpb.MessageType
		to, from, term                     uint64
		index, logTerm, commit, rejectHint uint64
		reject                             bool
	}
}

// A beat says that a node is alive.
type beat struct {
	incarnation uint64 // drawn at random when the node opens
	unfit       bool   // its disk is full, slow or failing: it should not lead
}

const (
	beatUnfit = 1
	beatBytes = 1 + 8 + 1
)

func appendBundleHeader(dst []byte) []byte { return append(dst, bundleVersion) }

func appendBeat(dst []byte, b beat) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, 0), b.incarnation)
	if b.unfit {
		return append(dst, beatUnfit)
	}
	return append(dst, 0)
}

// appendWake adds a typeWake of the term.
func appendWake(dst []byte, g GroupID, term uint64) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(g)), byte(typeWake), 0, 0)
	return binary.AppendUvarint(dst, term)
}

// appendMessage adds a message of raft. It reports false, and adds nothing, for
// one that has no place on this lane.
func appendMessage(dst []byte, g GroupID, m *raftpb.Message, n *note) ([]byte, bool) {
	typ, ok := typeOf(m.GetType())
	if !ok || m.GetSnapshot() != nil || !entriesFollow(m) {
		return dst, false
	}
	dst = append(binary.AppendUvarint(dst, uint64(g)), byte(typ), 0, 0)
	at := len(dst) - 2
	dst = binary.AppendUvarint(dst, m.GetTerm())
	fields := uint16(0)
	number := func(bit uint16, v uint64) {
		if v != 0 {
			fields |= bit
			dst = binary.AppendUvarint(dst, v)
		}
	}
	number(fieldIndex, m.GetIndex())
	number(fieldLogTerm, m.GetLogTerm())
	number(fieldCommit, m.GetCommit())
	number(fieldRejectHint, m.GetRejectHint())
	if m.GetReject() {
		fields |= fieldReject
	}
	if c := m.GetContext(); len(c) > 0 {
		fields |= fieldContext
		dst = append(binary.AppendUvarint(dst, uint64(len(c))), c...)
	}
	if es := m.GetEntries(); len(es) > 0 {
		fields |= fieldEntries
		dst = appendEntries(dst, es)
	}
	number(fieldSent, uint64(n.sent))
	number(fieldEcho, uint64(n.echo))
	if p := n.promise; p.remaining > 0 {
		fields |= fieldPromise
		dst = binary.AppendUvarint(dst, uint64(p.remaining))
		dst = binary.AppendUvarint(dst, p.term)
		dst = binary.AppendUvarint(dst, uint64(p.sent))
	}
	number(fieldWait, uint64(n.wait))
	if n.idle {
		fields |= fieldIdle
	}
	binary.LittleEndian.PutUint16(dst[at:], fields)
	return dst, true
}

// entriesFollow reports whether the entries' indexes can be told from Index.
func entriesFollow(m *raftpb.Message) bool {
	for i, e := range m.GetEntries() {
		if e.GetIndex() != m.GetIndex()+1+uint64(i) {
			return false
		}
	}
	return true
}

func appendEntries(dst []byte, es []*raftpb.Entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(es)))
	for _, e := range es {
		dst = append(dst, byte(e.GetType()))
		dst = binary.AppendUvarint(dst, e.GetTerm())
		dst = binary.AppendUvarint(dst, uint64(len(e.GetData())))
		dst = append(dst, e.GetData()...)
	}
	return dst
}

var errMalformedBundle = errors.New("replication: malformed bundle")

// A bundleReader takes a bundle apart. Whatever the bytes are, it ends.
type bundleReader struct {
	b        []byte
	from, to uint64
	bad      bool
}

func readBundle(b []byte, from, to uint64) (bundleReader, error) {
	switch {
	case len(b) < bundleHeaderBytes:
		return bundleReader{}, errMalformedBundle
	case b[0] != bundleVersion:
		return bundleReader{}, fmt.Errorf("replication: bundle version %d, this program knows %d", b[0], bundleVersion)
	}
	return bundleReader{b: b[bundleHeaderBytes:], from: from, to: to}, nil
}

// next returns the next item, or nil at the end. What it returns belongs to the
// caller, but for the bytes of contexts and entries, which are the bundle's.
func (r *bundleReader) next() (*message, error) {
	if len(r.b) == 0 {
		return nil, nil
	}
	m := &message{group: GroupID(r.uint())}
	if r.item(m); r.bad {
		r.b = nil
		return nil, errMalformedBundle
	}
	return m, nil
}

// atBeat reports whether the next item is a beat: nextBeat is for those, next for the others.
func (r *bundleReader) atBeat() bool { return len(r.b) > 0 && r.b[0] == 0 }

// nextBeat takes a beat. Most bundles of an idle cluster are one.
func (r *bundleReader) nextBeat() (beat, error) {
	b := r.take(beatBytes)
	if r.bad || b[9]&^beatUnfit != 0 {
		r.bad, r.b = true, nil
		return beat{}, errMalformedBundle
	}
	return beat{incarnation: binary.LittleEndian.Uint64(b[1:]), unfit: b[9]&beatUnfit != 0}, nil
}

// WithoutGroup returns a message of the Raft lane without what it says of a group: the message
// itself if it says nothing of that, or cannot be read; nil if it says nothing else. It is for simulated networks,
// which let one group alone lag.
func WithoutGroup(bundle []byte, g GroupID) []byte {
	r, err := readBundle(bundle, 0, 0)
	if err != nil {
		return bundle
	}
	rest, said := append(make([]byte, 0, len(bundle)), bundle[:bundleHeaderBytes]...), false
	for len(r.b) > 0 {
		item := r.b
		if r.atBeat() {
			_, err = r.nextBeat()
		} else {
			var m *message
			if m, err = r.next(); err == nil && m.group == g {
				said = true
				continue
			}
		}
		if err != nil {
			return bundle
		}
		rest = append(rest, item[:len(item)-len(r.b)]...)
	}
	switch {
	case !said:
		return bundle
	case len(rest) == bundleHeaderBytes:
		return nil
	}
	return rest
}

func (r *bundleReader) item(m *message) {
	head := r.take(3)
	if r.bad {
		return
	}
	m.typ = messageType(head[0])
	fields := binary.LittleEndian.Uint16(head[1:])
	if m.typ == 0 || m.typ > typeWake || fields&^knownFields != 0 || m.typ == typeWake && fields != 0 {
		r.bad = true
		return
	}
	n := &m.numbers
	m.raft.To, m.raft.From, m.raft.Term = &n.to, &n.from, &n.term
	n.to, n.from, n.term = r.to, r.from, r.uint()
	if m.typ < typeWake {
		n.typ = raftTypes[m.typ]
		m.raft.Type = &n.typ
	}
	number := func(bit uint16, v *uint64, p **uint64) {
		if fields&bit != 0 {
			*v, *p = r.positive(), v
		}
	}
	number(fieldIndex, &n.index, &m.raft.Index)
	number(fieldLogTerm, &n.logTerm, &m.raft.LogTerm)
	number(fieldCommit, &n.commit, &m.raft.Commit)
	number(fieldRejectHint, &n.rejectHint, &m.raft.RejectHint)
	if fields&fieldReject != 0 {
		n.reject, m.raft.Reject = true, &n.reject
	}
	if fields&fieldContext != 0 {
		m.raft.Context = r.bytes()
		r.bad = r.bad || len(m.raft.Context) == 0
	}
	if fields&fieldEntries != 0 {
		m.raft.Entries = r.entries(n.index)
	}
	r.note(&m.note, fields)
}

func (r *bundleReader) note(n *note, fields uint16) {
	moment := func(bit uint16, v *env.Mono) {
		if fields&bit != 0 {
			*v = r.mono()
			r.bad = r.bad || *v == 0
		}
	}
	moment(fieldSent, &n.sent)
	moment(fieldEcho, &n.echo)
	moment(fieldPromise, &n.promise.remaining)
	if fields&fieldPromise != 0 {
		n.promise.term, n.promise.sent = r.uint(), r.mono()
	}
	moment(fieldWait, &n.wait)
	n.idle = fields&fieldIdle != 0
}

// minEntryBytes is what an entry takes at least.
const minEntryBytes = 3

func (r *bundleReader) entries(before uint64) []*raftpb.Entry {
	count := r.positive()
	if r.bad || count > uint64(len(r.b))/minEntryBytes || before > math.MaxUint64-count {
		r.bad = true
		return nil
	}
	type slab struct {
		entry       raftpb.Entry
		typ         raftpb.EntryType
		term, index uint64
	}
	slabs := make([]slab, count)
	list := make([]*raftpb.Entry, count)
	for i := range slabs {
		s := &slabs[i]
		typ := r.take(1)
		if r.bad || typ[0] > byte(raftpb.EntryConfChangeV2) {
			r.bad = true
			return nil
		}
		s.typ, s.term, s.index = raftpb.EntryType(typ[0]), r.uint(), before+1+uint64(i)
		s.entry.Type, s.entry.Term, s.entry.Index = &s.typ, &s.term, &s.index
		if data := r.bytes(); len(data) > 0 {
			s.entry.Data = data
		}
		list[i] = &s.entry
	}
	return list
}

func (r *bundleReader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// uint takes the shortest form only, so that what decodes encodes to the same
// bytes.
func (r *bundleReader) uint() uint64 {
	if r.bad {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *bundleReader) positive() uint64 {
	v := r.uint()
	r.bad = r.bad || v == 0
	return v
}

// mono takes a time or a duration.
func (r *bundleReader) mono() env.Mono {
	v := r.uint()
	if v > math.MaxInt64 {
		r.bad = true
		return 0
	}
	return env.Mono(v)
}

func (r *bundleReader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}
