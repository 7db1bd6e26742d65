package offheap

import (
	"runtime"
	"testing"
)

func TestAllocIsZeroAndCounted(t *testing.T) {
	before := InUse()
	for _, n := range []int{0, 1, 7, 8, SmallBytes - 1, SmallBytes, SmallBytes + 3, HugeBytes + 1} {
		b := Alloc(n)
		if len(b) != n {
			t.Fatalf("Alloc(%d) has %d bytes", n, len(b))
		}
		for i, c := range b {
			if c != 0 {
				t.Fatalf("Alloc(%d)[%d] = %d", n, i, c)
			}
			b[i] = 0xff
		}
		if got, want := len(Words(b)), n/8; got != want {
			t.Errorf("Words of %d bytes: %d, want %d", n, got, want)
		}
		Free(b)
	}
	if got := InUse(); got != before {
		t.Errorf("%d bytes are in use, %d before", got, before)
	}
}

// The point of the package: the collector's heap does not grow.
func TestHeapDoesNotGrow(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere it is Go memory")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b := Alloc(64 << 20)
	b[len(b)-1] = 1
	runtime.ReadMemStats(&after)
	Free(b)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the Go heap grew by %d bytes", grown)
	}
}

func TestWordsAreTheBytes(t *testing.T) {
	b := Alloc(SmallBytes)
	defer Free(b)
	Words(b)[1].Store(0x0807060504030201)
	if b[8] != 1 && b[8] != 8 || b[7] != 0 || b[16] != 0 {
		t.Errorf("word 1 is at bytes %x", b[:24])
	}
}

// Discarded memory can be used on; its neighbours keep what they hold.
func TestDiscard(t *testing.T) {
	b := Alloc(4 * SmallBytes)
	defer Free(b)
	for i := range b {
		b[i] = 7
	}
	Discard(b[SmallBytes+1 : 3*SmallBytes-1])
	Discard(b[5:9])
	Discard(nil)
	for i, c := range b {
		if inside := i > SmallBytes && i < 3*SmallBytes-1; !inside && c != 7 {
			t.Fatalf("byte %d is %d", i, c)
		}
	}
	b[2*SmallBytes] = 3
}
