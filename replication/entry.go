package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The data of a raft entry is a batch of commands. Integers are unsigned varints
// unless sized here.
//
//	+------------+----------+-----------+-------+------------------------+
//	| version 1B | proposer | number 8B | count | count × (size | bytes) |
//	+------------+----------+-----------+-------+------------------------+
//
// proposer and number (little-endian) say who waits for the results: the node
// that proposed the batch, and which of its batches it is. A node draws its
// first number at random when it starts a group, so that it does not take an
// entry of its earlier life for one that it is waiting for.
//
// An entry without data is raft's own and holds no commands. The log that
// carries the entry guards it with a checksum.
const entryVersion = 1

// maxEntryHeader bounds everything before the first command.
const maxEntryHeader = 1 + binary.MaxVarintLen64 + 8 + binary.MaxVarintLen64

// commandBytes bounds what a command of that size takes in an entry.
func commandBytes(size int) int { return size + binary.MaxVarintLen32 }

func appendEntryHeader(dst []byte, proposer, number uint64, count int) []byte {
	dst = append(dst, entryVersion)
	dst = binary.AppendUvarint(dst, proposer)
	dst = binary.LittleEndian.AppendUint64(dst, number)
	return binary.AppendUvarint(dst, uint64(count))
}

func appendCommand(dst, cmd []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(cmd))), cmd...)
}

// An entry is the decoded data of a raft entry.
type entry struct {
	proposer uint64
	number   uint64
	commands [][]byte // alias the data
}

var errMalformedEntry = errors.New("malformed entry")

// decodeEntry appends the commands to e.commands[:0].
func decodeEntry(e *entry, data []byte) error {
	*e = entry{commands: e.commands[:0]}
	if len(data) == 0 {
		return nil
	}
	if data[0] != entryVersion {
		return fmt.Errorf("entry version %d, this program knows %d", data[0], entryVersion)
	}
	data = data[1:]
	var n int
	if e.proposer, n = binary.Uvarint(data); n <= 0 || len(data) < n+8 {
		return errMalformedEntry
	}
	e.number = binary.LittleEndian.Uint64(data[n:])
	data = data[n+8:]
	count, n := binary.Uvarint(data)
	if n <= 0 || count > uint64(len(data)) { // each takes a byte at least
		return errMalformedEntry
	}
	data = data[n:]
	for range count {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return errMalformedEntry
		}
		end := n + int(size)
		e.commands = append(e.commands, data[n:end:end])
		data = data[end:]
	}
	if len(data) > 0 {
		return errMalformedEntry
	}
	return nil
}
