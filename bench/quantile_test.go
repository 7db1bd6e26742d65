package bench

import (
	"math"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A quantile is the value of rank ceil(q n), within the histogram's three digits: for few values and many.
func TestQuantile(t *testing.T) {
	if got := Quantile(hdrhistogram.New(1, 1e9, 3), 99); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
	for n := 1; n < 3000; n = n*3/2 + 1 {
		h, values := hdrhistogram.New(1, 1e9, 3), []float64{}
		for i := range n {
			v := int64(i*i*7919%999_983 + 1)
			h.RecordValue(v)
			values = append(values, float64(v))
		}
		slices.Sort(values)
		for _, q := range []float64{0, 50, 90, 98.6, 99, 99.9, 99.99, 100} {
			rank := max(1, int(math.Ceil(q*float64(n)/100-1e-9)))
			got, want := float64(Quantile(h, q)), values[rank-1]
			if math.Abs(got-want) > want/500+1 {
				t.Errorf("%v %% of %d: %.0f, want %.0f", q, n, got, want)
			}
		}
	}
}
