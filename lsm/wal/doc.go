// Package wal is a log of records in numbered segment files. The engine's
// write-ahead log and the node-wide raft log are both built on it.
//
// What it promises:
//
//   - A record that was appended before a successful Sync is replayed after any
//     crash, in order, exactly as it was.
//   - A torn tail is not corruption. A crash may leave any part of what was
//     written after the last Sync; replay ends before the first record that is
//     not whole. Damage to anything older is reported as a *corrupt.Error.
//   - A segment has its space reserved before it is written, and the files of
//     removed segments are used again, because an fdatasync that need not write
//     file system metadata takes half as long. Old bytes in a reused file
//     never pass for records: every checksum covers the segment's number and
//     the record's offset.
//
// Reading order: format.go (bytes on disk), wal.go (Log, Open, Append, Sync),
// segment.go (how a segment begins and ends, Reserve, Rotate), replay.go (Replay
// and the torn tail), remove.go (RemoveBefore and recycling), inspect.go.
package wal
