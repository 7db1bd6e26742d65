package drive

import (
	"testing"
)

// A tally has the same buckets as an HdrHistogram of three digits, and of what it is poured into it gives the same.
func TestTallyIsAHistogram(t *testing.T) {
	r := rand(11)
	tally, want, got, interval, wantInterval := newTally(), NewHistogram(), NewHistogram(), newInterval(), newInterval()
	values := []int64{1, 2, 2047, 2048, 2049, 4095, 4096, int64(Longest) - 1, int64(Longest)}
	for range 20_000 {
		values = append(values, 1+int64(r.next()>>(24+r.next()%40))%int64(Longest))
	}
	for i, v := range values {
		tally.add(v)
		want.RecordValue(v)
		wantInterval.RecordValue(v)
		if i%1000 == 0 {
			tally.pour(got, interval)
		}
	}
	tally.pour(got, interval)
	tally.pour(got, interval) // nothing is left
	if !got.Equals(want) || !interval.Equals(wantInterval) {
		t.Errorf("%d values, of the histogram %d; p99 %d and %d, of intervals %d and %d", got.TotalCount(), want.TotalCount(),
			got.ValueAtQuantile(99), want.ValueAtQuantile(99), interval.ValueAtQuantile(99), wantInterval.ValueAtQuantile(99))
	}
	if inRange(-5) != 1 || inRange(int64(Longest)+1) != int64(Longest) {
		t.Error("what is out of range is not brought into it")
	}
}

// However many workers share a bound, it is kept exactly.
func TestBound(t *testing.T) {
	for _, n := range []int64{1, 7, 1000, 12_345} {
		l := &limits{}
		l.bound(n, 3)
		workers, did := make([]worker, 3), int64(0)
		for over := 0; over < len(workers); {
			over = 0
			for i := range workers {
				if l.over(&workers[i]) {
					over++
				} else {
					did++
				}
			}
		}
		if did != n {
			t.Errorf("%d operations instead of %d", did, n)
		}
	}
}
