package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// How long a client may repeat a transaction under its token is counted in marks, which whoever leads the partition
// puts into its log, at least a TokenLife / TokenMarks of its own monotonic time after it has seen the one before. A token is known until the
// (TokenMarks + 1)th mark after it: that long at the least, and a mark longer at the most, if the leader stays.
// So wall clocks, which are set and jump, have no say in it.
const (
	TokenLife  = 10 * time.Minute
	TokenMarks = 10
)

// A token record remembers a transaction by the token of the client's request. It lies at the
// hash of the anchor, which follows from the request, so that a repetition comes to it. Integers
// are little-endian, sizes uvarints.
//
//	+-----------+-------+---------+----------------+-------------+----------+
//	| format 1B | at 8B | mark 8B | parameters 16B | sizes count | size ... |
//	+-----------+-------+---------+----------------+-------------+----------+
//
// format is 2; at is the timestamp of the commit, mark how many marks there were. Format 1, of partitions that
// did not count marks yet, lacks the mark: such a token is known for TokenLife, by timestamps.
//
// Nobody deletes a record. Records of TokenMarks marks, which are one generation, lie in one of tokenSlots places, by
// turns. When a generation begins, what its place has of an older one goes at once, by a range delete. The generation
// never falls. Before marks were counted, generations were as long as TokenLife, by timestamps.
const (
	tokenFormat    byte = 2
	tokenFormatOld byte = 1
)

const tokenSlots = 4

// tokenMarks are what a partition has counted. They follow from the log, and a split hands them on.
type tokenMarks struct {
	generation uint32
	count      uint64 // 0: it does not count yet
	newest     uint64 // what was counted when the latest token was noted
}

// alive reports whether there may be a token that is known.
func (m tokenMarks) alive() bool {
	return m.count > 0 && m.newest > 0 && m.count-m.newest <= TokenMarks
}

func generationOf(ts txn.Timestamp) uint32 {
	return uint32(ts.Physical() / env.Time(TokenLife))
}

func appendTokenKey(dst []byte, table uint32, generation uint32, hash uint64, token Token) []byte {
	dst = appendPlace(dst, table, tokensIndex+byte(generation%tokenSlots))
	return append(binary.BigEndian.AppendUint64(dst, hash), token[:]...)
}

// A tokenRecord is a decoded one.
type tokenRecord struct {
	at         txn.Timestamp
	mark       uint64 // 0: format 1
	parameters Token
	sizes      []int
}

func (r *tokenRecord) append(dst []byte) []byte {
	format := tokenFormat
	if r.mark == 0 {
		format = tokenFormatOld
	}
	dst = binary.LittleEndian.AppendUint64(append(dst, format), uint64(r.at))
	if r.mark > 0 {
		dst = binary.LittleEndian.AppendUint64(dst, r.mark)
	}
	return appendSizes(append(dst, r.parameters[:]...), r.sizes)
}

func decodeToken(b []byte) (r tokenRecord, err error) {
	d := reader{b: b}
	format := d.byte()
	r.at = txn.Timestamp(d.fixed())
	if format == tokenFormat {
		r.mark = d.fixed()
		d.bad = d.bad || r.mark == 0
	}
	r.parameters, r.sizes = d.token(), d.sizes()
	if format != tokenFormat && format != tokenFormatOld || !d.done() {
		return r, fmt.Errorf("%w: token of %d bytes", ErrFormat, len(b))
	}
	return r, nil
}

// isKnown reports whether a request that was born at now may still be answered from the record.
func (m tokenMarks) isKnown(r *tokenRecord, now txn.Timestamp) bool {
	if r.mark > 0 {
		return m.count <= r.mark+TokenMarks
	}
	return now.Physical()-r.at.Physical() <= env.Time(TokenLife)
}

// token returns what is remembered of a token at now, nil if nothing is.
func (p *Partition) token(schema *Schema, hash uint64, token Token, now txn.Timestamp) (*tokenRecord, error) {
	for back := range uint32(tokenSlots) {
		if back > p.txns.marks.generation {
			break
		}
		key := appendTokenKey(nil, schema.Table, p.txns.marks.generation-back, hash, token)
		b, staged := p.scratch.tokens[string(key)]
		if !staged {
			var err error
			if b, err = p.db.Get(key, nil); errors.Is(err, lsm.ErrNotFound) {
				continue
			} else if err != nil {
				return nil, p.unreadable(fmt.Errorf("partition %d: read token: %w", p.group, err))
			}
		}
		r, err := decodeToken(b)
		if err != nil {
			return nil, p.unreadable(fmt.Errorf("partition %d: %w", p.group, err))
		}
		if p.txns.marks.isKnown(&r, now) {
			return &r, nil
		}
	}
	return nil, nil
}

// remember stages a token record.
func (p *Partition) remember(config *Config, hash uint64, token Token, r *tokenRecord) {
	t, s := &p.txns, &p.scratch
	p.noteTransactions()
	switch {
	case t.marks.count == 0:
		p.turn(config, generationOf(r.at))
	case t.marks.newest != t.marks.count:
		t.marks.newest, t.changed = t.marks.count, true
	}
	r.mark = t.marks.count
	key := appendTokenKey(nil, config.Schema.Table, t.marks.generation, hash, token)
	value := r.append(nil)
	s.batch.Set(key, value)
	if s.shared {
		s.tokens[string(key)] = value
	}
}

// turn begins a generation, if it is a later one.
func (p *Partition) turn(config *Config, next uint32) {
	t := &p.txns
	if next <= t.marks.generation {
		return
	}
	lower, upper := hashSpan(appendPlace(nil, config.Schema.Table, tokensIndex+byte(next%tokenSlots)), config.First, config.Last)
	p.scratch.batch.DeleteRange(lower, upper)
	t.marks.generation, t.changed = next, true
}

// beginMarks has the partition count marks from now on, from the next generation on.
func (p *Partition) beginMarks(config *Config) {
	t := &p.txns
	if t.marks.count > 0 {
		return
	}
	p.noteTransactions()
	p.turn(config, t.marks.generation+1)
	t.marks.count = uint64(t.marks.generation) * TokenMarks
}

// mark takes a mark, unless another leader was quicker.
func (p *Partition) mark(config *Config, count uint64) {
	t := &p.txns
	if t.marks.count == 0 || count != t.marks.count+1 || config.Entries {
		return
	}
	t.marks.count, t.changed = count, true
	p.turn(config, uint32(count/TokenMarks))
}

// NextMark returns the number of the next mark. wanted reports whether there are tokens to be forgotten.
func (p *Partition) NextMark() (count uint64, wanted bool) {
	t := &p.txns
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count.count + 1, t.count.alive()
}
