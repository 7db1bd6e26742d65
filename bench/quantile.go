package bench

import (
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Quantile is the least value that at least q percent of the operations did not exceed, as other readers of HdrHistogram have it. The library's own
// rounds the rank to the nearest, which of a hundred values makes the 99th of the 98.6th percentile, too.
func Quantile(h *hdrhistogram.Histogram, q float64) int64 {
	n := float64(h.TotalCount())
	if n == 0 {
		return 0
	}
	const rounding = 1e-9 // of 99.9/100 * 1000
	rank := min(n, max(1, math.Ceil(q/100*n-rounding*n)))
	return h.ValueAtQuantile(100 * rank / n)
}
