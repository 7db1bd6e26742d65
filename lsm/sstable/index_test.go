package sstable

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/statordb/stator/lsm/key"
)

// TestFind compares find with a walk over all separators, for indexes of up to
// several nodes and keys of every shape.
func TestFind(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, s := range shapes {
		for range 12 {
			c := randomContent(rng, s, 1+rng.IntN(4*nodeBlocks))
			x := indexOf(t, c.entries, 1+rng.IntN(3))
			for range 400 {
				user := s.user(rng)
				if rng.IntN(2) == 0 {
					user = c.entries[rng.IntN(len(c.entries))].User
				}
				if rng.IntN(4) == 0 {
					user = append(slices.Clone(user), byte(rng.Uint32()))
				}
				if len(user) > 0 && rng.IntN(4) == 0 {
					user = slices.Clone(user)
					user[rng.IntN(len(user))] += byte(rng.IntN(3)) - 1
				}
				trailer := key.SeekTrailer(key.SeqNum(rng.IntN(1 << (1 + rng.IntN(30)))))
				if got, want := x.find(user, trailer), slowFind(x, user, trailer); got != want {
					t.Fatalf("seed %d: shape %s, %d blocks: find(%s#%v) = %d, want %d",
						seed, s.name, x.blocks, key.Format(user), trailer, got, want)
				}
			}
		}
	}
}

// indexOf is the index of a table whose blocks have perBlock entries.
func indexOf(t *testing.T, entries []entry, perBlock int) *index {
	t.Helper()
	var build indexBuilder
	var left []byte
	offset := uint64(0)
	for i := 0; i < len(entries); i += perBlock {
		build.add(left, entries[i].Internal, offset, uint32(i))
		left = entries[min(i+perBlock, len(entries))-1].User
		offset += envelopeBytes
	}
	build.finish(left, offset, uint32(len(entries)))
	x, reason := parseIndex(build.appendTo(nil), offset)
	if reason != "" {
		t.Fatal(reason)
	}
	return x
}

func slowFind(x *index, user []byte, t key.Trailer) int {
	target := key.Internal{User: user, Trailer: t}
	if string(user) > string(x.separator(x.blocks).User) {
		return x.blocks
	}
	j := 0
	for j+1 < x.blocks && x.separator(j+1).Compare(target) <= 0 {
		j++
	}
	return j
}

// BenchmarkFind walks the index of a table of 16 K blocks, 64 MB.
func BenchmarkFind(b *testing.B) {
	for _, k := range benchKeys {
		b.Run(k.name, func(b *testing.B) {
			var entries []entry
			for i := range uint64(16 << 10) {
				entries = append(entries, entry{Internal: key.Internal{User: k.user(nil, i*36)}})
			}
			sortEntries(entries)
			var build indexBuilder
			var left []byte
			for i, e := range entries {
				build.add(left, e.Internal, uint64(i)*4096, uint32(i))
				left = e.User
			}
			end := uint64(len(entries)) * 4096
			build.finish(left, end, uint32(len(entries)))
			x, reason := parseIndex(build.appendTo(nil), end)
			if reason != "" {
				b.Fatal(reason)
			}
			rng := rand.New(rand.NewPCG(1, 1))
			var users [1 << 12][]byte
			for i := range users {
				users[i] = k.user(nil, rng.Uint64N(36*16<<10))
			}
			i := 0
			for b.Loop() {
				x.find(users[i%len(users)], key.MaxTrailer)
				i++
			}
		})
	}
}
