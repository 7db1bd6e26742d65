package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/statordb/stator/bench"
)

// A Trial is one rate of a search for the peak.
type Trial struct {
	Rate    float64       `json:"rate"`     // asked for
	Reached float64       `json:"reached"`  // operations per second
	Latency time.Duration `json:"value_ns"` // at the percentile
	Kept    bool          `json:"kept"`     // the bound held, and the rate was reached
}

// trials is how many rates a search tries after the first: each halves what is
// not known, so 2^-7 of the peak of the closed loop, below 1 %.
const trials = 7

// peak searches the highest rate at which the bound holds. First a closed loop gives
// what the target can do at all; then the interval between the highest rate that
// kept the bound and the lowest that did not is halved. The measurement returned is
// one of the full length at the rate found, or at the share of it that is asked for: if that does not
// keep the bound, 5 % less is tried, up to three times.
func (r *run) peak(ctx context.Context, t Target) (*Measurement, error) {
	p := r.w.Pace.Peak
	closed, err := r.measure(ctx, nil, Pace{}, time.Duration(p.Step), "closed loop")
	if err != nil {
		return nil, err
	}
	low, high := 0.0, closed.Rate()
	if high < 1 {
		return nil, fmt.Errorf("search for the peak: a closed loop made %.2f operations per second: %w", high, cmp.Or(closed.First, errors.New("no error")))
	}
	var tried []Trial
	for i := range trials {
		rate := (low + high) / 2
		if i == 0 {
			rate = high * 0.9
		}
		m, err := r.measure(ctx, nil, Pace{Rate: rate, Arrivals: r.w.Pace.Arrivals}, time.Duration(p.Step), fmt.Sprintf("%.0f/s", rate))
		if err != nil {
			return nil, err
		}
		trial := p.judge(m, rate)
		if tried = append(tried, trial); trial.Kept {
			low = rate
		} else {
			high = rate
		}
	}
	for i := 0; ; i++ {
		if low == 0 {
			low = high / 2 // nothing kept the bound: say what this is like
		}
		rate := low * cmp.Or(p.Share, 1)
		m, err := r.measure(ctx, t, Pace{Rate: rate, Arrivals: r.w.Pace.Arrivals}, time.Duration(r.w.Length), "measure")
		if err != nil {
			return nil, err
		}
		trial := p.judge(m, rate)
		if tried = append(tried, trial); trial.Kept || i == 3 {
			m.Trials = tried
			return m, nil
		}
		low *= 0.95
	}
}

// reachedShare is what must be done of what was asked for.
const reachedShare = 0.98

func (p *Peak) judge(m *Measurement, rate float64) Trial {
	v := time.Duration(bench.Quantile(m.Latency, p.Percentile))
	return Trial{rate, m.Rate(), v, v < time.Duration(p.Below) && m.Errors == 0 && m.Unsent == 0 && m.Rate() >= reachedShare*rate*expectedShare(m, rate)}
}

// expectedShare allows for the chance in Poisson arrivals: three standard deviations of
// the number that was due.
func expectedShare(m *Measurement, rate float64) float64 {
	n := rate * m.Wall.Seconds()
	if n < 1 {
		return 0
	}
	return max(0, 1-3/math.Sqrt(n))
}
