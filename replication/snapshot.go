package replication

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
)

// A member that needs entries which the leader has no more gets a snapshot:
//
//	leader                                   member
//	raft wants MsgSnap; StateMachine.Snapshot
//	  offer (with MsgSnap) ────────────────▶ StateMachine.Restore
//	  ◀──────────────────────────────── ack 0
//	  chunk 0, 1, 2 ... ───────────────────▶ SnapshotWriter.Write
//	  ◀──────────────────────────────── ack n
//	  end ─────────────────────────────────▶ raft gets MsgSnap, and wants it;
//	                                         Commit; one record switches the log
//	  ◀────────────────────────────── result
//	raft.ReportSnapshot
//
// Messages may be lost, doubled or late. The leader has a window of chunks under
// way and sends again what is not acknowledged. Either side gives up when it
// has not heard of the other for patienceTicks, and raft always gets its report,
// or it would take the member for busy for ever.
//
// A crash of the member before Commit leaves what it was, after it Start finishes
// the switch (Node.recover).

// A frame is a message on the Snapshot lane. Integers are unsigned varints unless
// sized here; fixed sizes are little-endian.
//
//	offer  | 1 | group | stream 8B | raft message ...            |
//	chunk  | 2 | group | stream 8B | number | crc32c 4B | data ... |
//	end    | 3 | group | stream 8B | number                      |
//	ack    | 4 | group | stream 8B | number                      |
//	result | 5 | group | stream 8B | number                      |
//	cancel | 6 | group | stream 8B |
//
// stream tells the snapshots of a sender apart, those of its earlier lives, too.
// Chunks are numbered from 0; end says how many there were, ack up to which
// number all have come, and result is 0 for success. The checksum covers stream
// and number (both as 8 bytes) and data, so a chunk is never taken for another.
type frame struct {
	kind   frameKind
	group  GroupID
	stream uint64
	number uint64 // chunk, end, ack, result
	data   []byte // offer, chunk; aliases the decoded bytes
}

type frameKind byte

const (
	frameOffer frameKind = 1 + iota
	frameChunk
	frameEnd
	frameAck
	frameResult
	frameCancel
)

const (
	resultInstalled = 0
	resultFailed    = 1
)

var errMalformedFrame = errors.New("replication: malformed frame")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (f *frame) checksum() uint32 {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:], f.stream)
	binary.LittleEndian.PutUint64(head[8:], f.number)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, f.data)
}

func (f *frame) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, byte(f.kind)), uint64(f.group))
	dst = binary.LittleEndian.AppendUint64(dst, f.stream)
	switch f.kind {
	case frameOffer, frameCancel:
		return append(dst, f.data...)
	}
	dst = binary.AppendUvarint(dst, f.number)
	if f.kind == frameChunk {
		dst = binary.LittleEndian.AppendUint32(dst, f.checksum())
	}
	return append(dst, f.data...)
}

func decodeFrame(b []byte) (f frame, err error) {
	if len(b) == 0 || b[0] < byte(frameOffer) || b[0] > byte(frameCancel) {
		return f, errMalformedFrame
	}
	f.kind = frameKind(b[0])
	id, n := shortUvarint(b[1:])
	if n <= 0 || id == 0 || len(b) < 1+n+8 {
		return f, errMalformedFrame
	}
	f.group, b = GroupID(id), b[1+n:]
	f.stream, b = binary.LittleEndian.Uint64(b), b[8:]
	if f.kind != frameOffer && f.kind != frameCancel {
		if f.number, n = shortUvarint(b); n <= 0 {
			return f, errMalformedFrame
		}
		b = b[n:]
	}
	switch f.kind {
	case frameOffer:
		f.data = b
		return f, nil
	case frameChunk:
		if len(b) < 4 || len(b)-4 > MaxChunkBytes {
			return f, errMalformedFrame
		}
		f.data = b[4:]
		if binary.LittleEndian.Uint32(b) != f.checksum() {
			return f, errMalformedFrame
		}
		return f, nil
	}
	if len(b) > 0 {
		return f, errMalformedFrame
	}
	return f, nil
}

// shortUvarint accepts only the shortest form.
func shortUvarint(b []byte) (uint64, int) {
	v, n := binary.Uvarint(b)
	if n > 1 && b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}

const (
	// snapshotWindow is how many chunks may be under way.
	snapshotWindow = 4
	// patienceTicks is after how much silence a snapshot is given up.
	patienceTicks = 100
	// resendTicks is after how much silence what is under way is sent again.
	resendTicks = 4
	// retryTicks is how long a group sends no snapshot after one that failed.
	retryTicks = 10
)

// streams are the snapshots that a node sends and takes in.
type streams struct {
	mu   env.Leaf
	last uint64 // stream of the last snapshot sent
	out  map[uint64]*outbound
	in   map[GroupID]*inbound

	arrived env.Mono // until when more of the log is kept for snapshots that were sent
}

// receiveFrame takes in what comes on the Snapshot lane.
func (n *Node) receiveFrame(from transport.NodeID, message []byte) {
	f, err := decodeFrame(message)
	if err != nil {
		return
	}
	if f.kind == frameAck || f.kind == frameResult {
		n.receiveAnswer(uint64(from), f)
		return
	}
	n.receivePart(uint64(from), f)
}

func (n *Node) sendFrame(to uint64, f *frame) {
	n.o.Transport.Send(transport.NodeID(to), transport.Snapshot, f.append(nil))
}

// closeStreams ends all snapshots, in both directions.
func (n *Node) closeStreams() {
	n.streams.mu.Lock()
	defer n.streams.mu.Unlock()
	for _, s := range n.streams.out { //sim:ok closing queues has no order
		s.answers.Close()
	}
	for _, s := range n.streams.in { //sim:ok closing queues has no order
		s.frames.Close()
	}
}
