package partition

import (
	"encoding/binary"
	"fmt"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// An EntryBatch carries what the changes of one partition of a base table, up to
// one of them, mean for one partition of a global index: the body of an Entries
// command. Integers are little-endian, a size is a uvarint.
//
//	+-----------+------------+-------------+
//	| source 8B | through 8B | entries ... |
//	+-----------+------------+-------------+
//
//	entry:  | sequence 8B | key size+bytes | size | timestamp 8B, item |
//
// source is the group of the base partition, through the sequence number of the
// last change that was looked at. An entry has the number of the change that it
// comes from, its row key, and timestamp and item to put; size 0 = delete.
//
// Invariant: a batch has every entry that concerns this index partition from
// changes after the through of the batch before, and batches of one source reach
// the log in the order of their through, apart from repetitions. So an index
// partition that remembers the last through skips what it has, and applies each
// change once and in order.
type EntryBatch struct {
	b []byte
}

const entryBatchFixed = 8 + 8

// NewEntryBatch returns an empty batch of changes from a base partition.
func NewEntryBatch(source uint64) *EntryBatch {
	b := binary.LittleEndian.AppendUint64(make([]byte, 2, 512), source)
	b[0], b[1] = commandVersion, byte(Entries)
	return &EntryBatch{binary.LittleEndian.AppendUint64(b, 0)}
}

// Put adds an entry under a row key of the index.
func (e *EntryBatch) Put(sequence uint64, key []byte, ts txn.Timestamp, entry item.Item) {
	e.b = appendSized(binary.LittleEndian.AppendUint64(e.b, sequence), key)
	e.b = binary.AppendUvarint(e.b, uint64(8+len(entry)))
	e.b = binary.LittleEndian.AppendUint64(e.b, uint64(ts))
	e.b = append(e.b, entry...)
}

// Delete takes away the entry under a row key of the index, if there is one.
func (e *EntryBatch) Delete(sequence uint64, key []byte) {
	e.b = appendSized(binary.LittleEndian.AppendUint64(e.b, sequence), key)
	e.b = append(e.b, 0)
}

// Bytes returns the size of the batch so far.
func (e *EntryBatch) Bytes() int { return len(e.b) }

// Encode returns the command that carries the batch. The batch must not be
// changed afterwards.
func (e *EntryBatch) Encode(through uint64) []byte {
	binary.LittleEndian.PutUint64(e.b[2+8:], through)
	return e.b
}

// decodeEntries checks the body of an Entries command.
func (c *Command) decodeEntries(b []byte) error {
	if len(b) < entryBatchFixed {
		return fmt.Errorf("%w: short %v", ErrCommand, c.Kind)
	}
	c.Source, c.Through, c.entries = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), b[entryBatchFixed:]
	for rest := c.entries; len(rest) > 0; {
		e, after, err := cutEntry(rest)
		if err != nil {
			return err
		}
		if e.sequence > c.Through {
			return fmt.Errorf("%w: entry of change %d after %d", ErrCommand, e.sequence, c.Through)
		}
		rest = after
	}
	return nil
}

// An entryOp is one element of an EntryBatch.
type entryOp struct {
	sequence uint64
	key      []byte
	ts       txn.Timestamp
	item     item.Item // nil = delete
}

func cutEntry(b []byte) (e entryOp, rest []byte, err error) {
	bad := func(what string) (entryOp, []byte, error) {
		return e, nil, fmt.Errorf("%w: %s of an entry", ErrCommand, what)
	}
	if len(b) < 8 {
		return bad("sequence number")
	}
	e.sequence = binary.LittleEndian.Uint64(b)
	key, b, ok := cutSized(b[8:])
	if !ok || len(key) <= rowPrefix || key[0] != spaceRow {
		return bad("key")
	}
	e.key = key
	row, b, ok := cutSized(b)
	if !ok || len(row) > 0 && len(row) <= 8 {
		return bad("row")
	}
	if len(row) > 0 {
		e.ts, e.item = txn.Timestamp(binary.LittleEndian.Uint64(row)), row[8:]
		if err := item.Check(e.item); err != nil {
			return e, nil, fmt.Errorf("%w: %w", ErrCommand, err)
		}
	}
	return e, b, nil
}

// applyEntries stages what is new in a batch.
func (p *Partition) applyEntries(config *Config, cmd *Command, c *counters) Result {
	if !config.Entries {
		return Result{Err: ErrWrongPartition}
	}
	have := p.source(cmd.Source)
	var ops []entryOp
	for rest := cmd.entries; len(rest) > 0; {
		var e entryOp
		e, rest, _ = cutEntry(rest) // DecodeCommand has looked at all of them
		// Also if it is not new: whoever sent it here must not believe that it has come
		// to where it belongs.
		if !config.has(e.key) {
			return Result{Err: config.wrong()}
		}
		if e.sequence > have {
			ops = append(ops, e)
		}
	}
	if cmd.Through <= have {
		return Result{}
	}
	if err := p.stageOps(&config.Schema, ops, c); err != nil {
		return Result{Err: err}
	}
	p.scratch.sources[cmd.Source] = cmd.Through
	p.scratch.entryKey = appendSourceKey(p.scratch.entryKey[:0], p.group, cmd.Source)
	p.scratch.value = appendSource(p.scratch.value[:0], cmd.Through)
	p.scratch.batch.Set(p.scratch.entryKey, p.scratch.value)
	return Result{}
}

// stageOps stages the operations, all of them or, if an entry cannot be read,
// none.
func (p *Partition) stageOps(schema *Schema, ops []entryOp, c *counters) error {
	s := &p.scratch
	sizes := make([]int, len(ops)) // of the entries before, -1 = there was none
	fresh := make(map[string]int, len(ops))
	for i := range ops {
		s.key = append(s.key[:0], ops[i].key...)
		size, ok := fresh[string(s.key)]
		if !ok {
			old, _, err := p.current()
			if err != nil {
				return err
			}
			if size = -1; old != nil {
				size = old.Size()
			}
		}
		sizes[i] = size
		fresh[string(s.key)] = -1
		if ops[i].item != nil {
			fresh[string(s.key)] = ops[i].item.Size()
		}
	}
	for i := range ops {
		if sizes[i] >= 0 {
			c.items--
			c.bytes -= int64(sizes[i])
		} else if ops[i].item == nil {
			continue
		}
		if ops[i].item != nil {
			c.items++
			c.bytes += int64(ops[i].item.Size())
			c.latest = max(c.latest, ops[i].ts)
		}
		s.key = append(s.key[:0], ops[i].key...)
		p.stage(schema, ops[i].item, ops[i].ts)
	}
	return nil
}

// A source record says up to which change of a base partition an index partition
// is. Integers are big-endian.
//
//	+-----------+------------+
//	| format 1B | through 8B |
//	+-----------+------------+
//
// format is 1.
const (
	sourceFormat byte = 1
	sourceBytes       = 1 + 8
)

func appendSource(dst []byte, through uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, sourceFormat), through)
}

// source returns up to which change of a base partition this one is, with the
// commands of the current log entry.
func (p *Partition) source(group uint64) uint64 {
	if through, ok := p.scratch.sources[group]; ok {
		return through
	}
	return p.sources[group]
}

func (p *Partition) loadSources() error {
	p.sources = make(map[uint64]uint64)
	return p.eachGroupKey(partSource, func(key, value []byte) error {
		if len(key) != 8 || len(value) != sourceBytes || value[0] != sourceFormat {
			return fmt.Errorf("%w: source of %d bytes", ErrFormat, len(value))
		}
		p.sources[binary.BigEndian.Uint64(key)] = binary.BigEndian.Uint64(value[1:])
		return nil
	})
}
