package transport

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A frame carries one message over a stream of bytes. Integers are
// little-endian; the length is that of lane and message, the checksum covers
// length, lane and message.
//
//	+-----------+-----------+---------+-------------+
//	| length 4B | crc32c 4B | lane 1B | message ... |
//	+-----------+-----------+---------+-------------+

// FrameHeader is the size of what precedes the message in a frame.
const FrameHeader = 9

// ErrBadFrame means that bytes are not a frame. What follows them on the same
// stream cannot be trusted.
var ErrBadFrame = errors.New("transport: bad frame")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// FrameHead returns what precedes a message in its frame.
func FrameHead(lane Lane, message []byte) (head [FrameHeader]byte) {
	binary.LittleEndian.PutUint32(head[:], uint32(1+len(message)))
	head[8] = byte(lane)
	binary.LittleEndian.PutUint32(head[4:], frameSum(head[:], message))
	return head
}

func frameSum(head, message []byte) uint32 {
	sum := crc32.Update(0, castagnoli, head[:4])
	sum = crc32.Update(sum, castagnoli, head[8:9])
	return crc32.Update(sum, castagnoli, message)
}

// FrameSize returns the length of the message that follows a head.
func FrameSize(head []byte) (int, error) {
	n := binary.LittleEndian.Uint32(head)
	if n == 0 || n > 1+MaxMessage {
		return 0, ErrBadFrame
	}
	return int(n) - 1, nil
}

// CheckFrame returns the lane of a frame whose message is complete.
func CheckFrame(head, message []byte) (Lane, error) {
	if binary.LittleEndian.Uint32(head[4:]) != frameSum(head, message) {
		return 0, ErrBadFrame
	}
	return Lane(head[8]), nil
}
