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

// TokenLife is how long a client may repeat a transaction under its token.
const TokenLife = 10 * time.Minute

// A token record remembers a transaction by the token of the client's request. It lies at the
// hash of the anchor, which follows from the request, so that a repetition comes to it. Integers
// are little-endian, sizes uvarints.
//
//	+-----------+-------+----------------+-------------+----------+
//	| format 1B | at 8B | parameters 16B | sizes count | size ... |
//	+-----------+-------+----------------+-------------+----------+
//
// format is 1; at is the timestamp of the commit.
//
// Nobody deletes a record. Time is divided into generations as long as TokenLife, and records of
// one generation lie in one of tokenSlots places, by turns. When a generation begins, what its
// place has of an older one goes at once, by a range delete. The generation never falls.
const tokenFormat byte = 1

const tokenSlots = 4

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
	parameters Token
	sizes      []int
}

func (r *tokenRecord) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, tokenFormat), uint64(r.at))
	return appendSizes(append(dst, r.parameters[:]...), r.sizes)
}

func decodeToken(b []byte) (r tokenRecord, err error) {
	d := reader{b: b}
	format := d.byte()
	r = tokenRecord{at: txn.Timestamp(d.fixed()), parameters: d.token(), sizes: d.sizes()}
	if format != tokenFormat || !d.done() {
		return r, fmt.Errorf("%w: token of %d bytes", ErrFormat, len(b))
	}
	return r, nil
}

// token returns what is remembered of a token at now, nil if nothing is.
func (p *Partition) token(schema *Schema, hash uint64, token Token, now txn.Timestamp) (*tokenRecord, error) {
	for back := range uint32(tokenSlots) {
		if back > p.txns.generation {
			break
		}
		key := appendTokenKey(nil, schema.Table, p.txns.generation-back, hash, token)
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
		if now.Physical()-r.at.Physical() <= env.Time(TokenLife) {
			return &r, nil
		}
	}
	return nil, nil
}

// remember stages a token record.
func (p *Partition) remember(config *Config, hash uint64, token Token, r *tokenRecord) {
	t, s := &p.txns, &p.scratch
	p.noteTransactions()
	if next := generationOf(r.at); next > t.generation {
		lower, upper := hashSpan(appendPlace(nil, config.Schema.Table, tokensIndex+byte(next%tokenSlots)), config.First, config.Last)
		s.batch.DeleteRange(lower, upper)
		t.generation, t.changed = next, true
	}
	key := appendTokenKey(nil, config.Schema.Table, t.generation, hash, token)
	value := r.append(nil)
	s.batch.Set(key, value)
	if s.shared {
		s.tokens[string(key)] = value
	}
}
