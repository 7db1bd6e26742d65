package tcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// A ClusterID names a cluster for ever. It is drawn when the cluster is born.
type ClusterID [16]byte

func (c ClusterID) String() string { return fmt.Sprintf("%x", c[:]) }

// A connection begins with a hello of the dialler and a welcome that answers it,
// inside of TLS if there is any. Integers are little-endian.
//
//	hello    | "stator>>" 8B | version 2B | lane 1B | cluster 16B | from 8B | to 8B | incarnation 8B | tick 8B | crc32c 4B |
//	welcome  | "stator<<" 8B | version 2B | verdict 1B                              | incarnation 8B | tick 8B | crc32c 4B |
//
// The incarnation names a life of a process. The tick is Options.Tick in nanoseconds. A hello on the lane 254 comes from
// a stranger, with zeros for cluster and nodes: one frame follows as its
// request, and one as the answer (greet.go). Otherwise frames follow from the
// dialler only; a frame of lane 255 without a message says that it is alive,
// and so does each byte that the other side sends back.

const (
	version = 2

	helloMagic   = "stator>>"
	welcomeMagic = "stator<<"
	helloSize    = 8 + 2 + 1 + 16 + 8 + 8 + 8 + 8 + 4
	welcomeSize  = 8 + 2 + 1 + 8 + 8 + 4

	greetLane transport.Lane = 254
	aliveLane transport.Lane = 255
)

type hello struct {
	version     uint16
	lane        transport.Lane
	cluster     ClusterID
	from, to    transport.NodeID
	incarnation uint64
	tick        time.Duration
}

// A verdict says what the accepting side makes of a hello.
type verdict byte

const (
	welcomed verdict = iota
	wrongVersion
	wrongCluster
	wrongNode
	refused // cut off, closing, or greeting nobody
	wrongTick
)

// What a dialler is told. They are in the log, and in what Greet returns.
var (
	errVersion = errors.New("tcp: the other node speaks another version")
	errCluster = errors.New("tcp: the other node belongs to another cluster")
	errNode    = errors.New("tcp: another node lives at that address")
	errRefused = errors.New("tcp: the other node refuses the connection")
	errTick    = errors.New("tcp: the other node has another tick")
	errHello   = errors.New("tcp: what answers is not a node")
)

func (v verdict) err() error {
	switch v {
	case welcomed:
		return nil
	case wrongVersion:
		return errVersion
	case wrongCluster:
		return errCluster
	case wrongNode:
		return errNode
	case refused:
		return errRefused
	case wrongTick:
		return errTick
	}
	return errHello
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h hello) encode() []byte {
	b := append(make([]byte, 0, helloSize), helloMagic...)
	b = binary.LittleEndian.AppendUint16(b, h.version)
	b = append(b, byte(h.lane))
	b = append(b, h.cluster[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.from))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.to))
	b = binary.LittleEndian.AppendUint64(b, h.incarnation)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.tick))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// sealed returns what a checksum at the end of b guards.
func sealed(b []byte, magic string) ([]byte, bool) {
	body, sum := b[:len(b)-4], b[len(b)-4:]
	return body[min(8, len(body)):], bytes.HasPrefix(body, []byte(magic)) && crc32.Checksum(body, castagnoli) == binary.LittleEndian.Uint32(sum)
}

func decodeHello(b []byte) (h hello, ok bool) {
	if len(b) != helloSize {
		return h, false
	}
	b, ok = sealed(b, helloMagic)
	h.version = binary.LittleEndian.Uint16(b)
	h.lane = transport.Lane(b[2])
	copy(h.cluster[:], b[3:])
	h.from = transport.NodeID(binary.LittleEndian.Uint64(b[19:]))
	h.to = transport.NodeID(binary.LittleEndian.Uint64(b[27:]))
	h.incarnation = binary.LittleEndian.Uint64(b[35:])
	h.tick = time.Duration(binary.LittleEndian.Uint64(b[43:]))
	return h, ok
}

type welcome struct {
	version     uint16
	verdict     verdict
	incarnation uint64
	tick        time.Duration
}

func (w welcome) encode() []byte {
	b := append(make([]byte, 0, welcomeSize), welcomeMagic...)
	b = binary.LittleEndian.AppendUint16(b, w.version)
	b = append(b, byte(w.verdict))
	b = binary.LittleEndian.AppendUint64(b, w.incarnation)
	b = binary.LittleEndian.AppendUint64(b, uint64(w.tick))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeWelcome(b []byte) (w welcome, ok bool) {
	if len(b) != welcomeSize {
		return w, false
	}
	b, ok = sealed(b, welcomeMagic)
	w.version = binary.LittleEndian.Uint16(b)
	w.verdict = verdict(b[2])
	w.incarnation = binary.LittleEndian.Uint64(b[3:])
	w.tick = time.Duration(binary.LittleEndian.Uint64(b[11:]))
	return w, ok
}

// exchange says hello on a new connection and returns the incarnation of who
// answers.
func exchange(c io.ReadWriter, h hello) (incarnation uint64, err error) {
	if _, err := c.Write(h.encode()); err != nil {
		return 0, err
	}
	var b [welcomeSize]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return 0, err
	}
	w, ok := decodeWelcome(b[:])
	switch {
	case !ok:
		return 0, errHello
	case w.version != version:
		return 0, errVersion
	case w.verdict == wrongTick:
		return 0, fmt.Errorf("%w: %s, and this one %s; all nodes of a cluster have the same", errTick, w.tick, h.tick)
	}
	return w.incarnation, w.verdict.err()
}
