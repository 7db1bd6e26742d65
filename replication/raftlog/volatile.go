package raftlog

import (
	"errors"

	"github.com/statordb/stator/lsm/wal"
)

// A recordLog is what the log needs of lsm/wal.
type recordLog interface {
	Append(payloads ...[]byte) (wal.Position, error)
	Reserve(n int) error
	Sync() error
	RotateReserve(n int) error
	Replay(from wal.SegmentID, f func(wal.Position, []byte) error) error
	ReadAt(wal.Position) ([]byte, error)
	RemoveBefore(wal.SegmentID) error
	Err() error
	Close() error
}

// nowhere is the log of a volatile database: records are forgotten. What is not
// applied yet is in the Storages' memory, and nothing else will be asked for.
type nowhere struct{}

var errVolatile = errors.New("raftlog: a volatile log cannot be read")

func (nowhere) Append(...[]byte) (wal.Position, error)                       { return wal.Position{Segment: 1}, nil }
func (nowhere) Reserve(int) error                                            { return nil }
func (nowhere) Sync() error                                                  { return nil }
func (nowhere) RotateReserve(int) error                                      { return nil }
func (nowhere) Replay(wal.SegmentID, func(wal.Position, []byte) error) error { return nil }
func (nowhere) ReadAt(wal.Position) ([]byte, error)                          { return nil, errVolatile }
func (nowhere) RemoveBefore(wal.SegmentID) error                             { return nil }
func (nowhere) Err() error                                                   { return nil }
func (nowhere) Close() error                                                 { return nil }
