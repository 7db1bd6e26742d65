package facet

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// counting is a Memory that counts what is out, and gives it out dirty.
type counting struct{ out int }

func (c *counting) Alloc(n int) []byte {
	c.out += n
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xa5
	}
	return b
}

func (c *counting) Free(b []byte) { c.out -= len(b) }

// Lists of all densities are read as they were at any time, up to any row, while more is
// added; and all memory goes back.
func TestRows(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	var memory counting
	b := NewBuilder(&memory)
	every := map[string]int{"all": 1, "dense": 3, "tenth": 10, "rare": 1000, "rarest": 100_000}
	want := map[string][]uint32{}
	type moment struct {
		tag   string
		rows  Rows
		count int
	}
	var moments []moment
	row := uint32(0)
	for range 300_000 {
		var tags Tags
		for _, tag := range []string{"all", "dense", "tenth", "rare", "rarest"} {
			if rng.IntN(every[tag]) > 0 {
				continue
			}
			tags.Add([]byte(tag))
			want[tag] = append(want[tag], row)
		}
		b.Add(row, &tags)
		if row == 0 || rng.IntN(3000) == 0 {
			for tag := range every {
				rows, _ := b.Lists([]byte(tag))
				moments = append(moments, moment{tag, rows, len(want[tag])})
			}
		}
		if row++; rng.IntN(50_000) == 0 {
			row += rng.Uint32N(1 << 28) // numbers of up to five bytes
		}
	}
	for _, m := range moments {
		if got := m.rows.bitmap(row).ToArray(); !slices.Equal(got, want[m.tag][:m.count]) {
			t.Fatalf("seed %d: %s had %d rows, reads as %d", seed, m.tag, m.count, len(got))
		}
	}
	for tag, rows := range want {
		list, _ := b.Lists([]byte(tag))
		for _, end := range []uint32{0, 1, rows[0], rows[len(rows)/2], rows[len(rows)/2] + 1} {
			n, _ := slices.BinarySearch(rows, end)
			if got := list.bitmap(end).ToArray(); !slices.Equal(got, rows[:n]) {
				t.Fatalf("seed %d: %s has %d rows below %d, reads as %d", seed, tag, n, end, len(got))
			}
		}
	}
	sum := 0
	for _, rows := range want {
		sum += len(rows)
	}
	if b.Bytes() > 2*sum || memory.out < b.Bytes() {
		t.Errorf("%d rows take %d bytes, of %d", sum, b.Bytes(), memory.out)
	}
	if b.Free(); memory.out != 0 {
		t.Errorf("%d bytes are not given back", memory.out)
	}
}

// Readers go through lists while the writer adds, under the rules of memtables: a lock
// around Add and Lists, none around reading.
func TestRowsWhileAdding(t *testing.T) {
	var mu sync.Mutex
	b := &Builder{}
	var tags Tags
	tags.Add([]byte("tag"))
	var wg sync.WaitGroup
	wg.Go(func() {
		for row := range uint32(20_000) {
			mu.Lock()
			b.Add(3*row, &tags)
			mu.Unlock()
		}
	})
	for range 2 {
		wg.Go(func() {
			for n := uint64(0); n < 20_000; {
				mu.Lock()
				rows, _ := b.Lists([]byte("tag"))
				mu.Unlock()
				m := rows.bitmap(1 << 31)
				if got := m.GetCardinality(); got < n || got > 0 && uint64(m.Maximum()) != 3*(got-1) {
					t.Errorf("%d rows up to %d, before there were %d", got, m.Maximum(), n)
					return
				} else {
					n = got
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkAdd adds rows with three tags: of every row, of every third and of every hundredth.
func BenchmarkAdd(b *testing.B) {
	var sets []*Tags
	for i := range 300 {
		tags := &Tags{}
		tags.Add([]byte("all"))
		if i%3 == 0 {
			tags.Add([]byte("third"))
		}
		if i%100 == 0 {
			tags.Add([]byte("hundredth"))
		}
		sets = append(sets, tags)
	}
	b.ReportAllocs()
	builder := &Builder{}
	row := 0
	for b.Loop() {
		if row == 500_000 {
			builder, row = &Builder{}, 0
		}
		builder.Add(uint32(row), sets[row%len(sets)])
		row++
	}
}
