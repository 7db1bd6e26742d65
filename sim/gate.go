//go:build plantedbugs

package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Norm is what finding a planted bug took when that was last recorded.
type Norm struct {
	Name   string   `json:"name"`
	Median float64  `json:"median_cpu_s"`
	Worst  float64  `json:"worst_cpu_s"`
	Seeds  int      `json:"median_seeds"`
	By     []string `json:"by"`
}

// Norms are sorted by name. They are kept as JSON.
type Norms []Norm

// ReadNorms reads what Norms.Encode has written.
func ReadNorms(b []byte) (n Norms, err error) {
	if err := json.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("sim: norms: %w", err)
	}
	return n, nil
}

// Encode returns the norms as JSON, a bug a line.
func (n Norms) Encode() []byte {
	b := []byte("[\n")
	for i, norm := range n {
		line, err := json.Marshal(norm)
		if err != nil {
			panic(fmt.Sprintf("sim: encode norm: %v", err)) // it has no values that JSON lacks
		}
		if b = append(b, line...); i+1 < len(n) {
			b = append(b, ',')
		}
		b = append(b, '\n')
	}
	return append(b, "]\n"...)
}

// With returns the norms with those that scores make in the place of older ones. What
// was not found in every campaign has none.
func (n Norms) With(scores []Score) Norms {
	next := slices.Clone(n)
	for _, s := range scores {
		next = slices.DeleteFunc(next, func(old Norm) bool { return old.Name == s.Name })
		if s.Found == len(s.Campaigns) && s.Found > 0 {
			next = append(next, Norm{s.Name, seconds(s.Median.CPU), seconds(s.Worst.CPU), s.Median.Seeds, s.By})
		}
	}
	slices.SortFunc(next, func(a, b Norm) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return next
}

func seconds(d time.Duration) float64 { return d.Round(10 * time.Millisecond).Seconds() }

const (
	// gateFactor is how many times its norm a bug may take.
	gateFactor = 3
	// gateFloor is what each may take: a second run of the same seeds differs by so much
	// on a busy machine.
	gateFloor = 3 * time.Second
)

// Gate says which bugs were not found, or took much longer than they used to.
func (n Norms) Gate(scores []Score) (complaints []string) {
	for _, s := range scores {
		at := slices.IndexFunc(n, func(norm Norm) bool { return norm.Name == s.Name })
		if s.Found < len(s.Campaigns) {
			complaints = append(complaints, fmt.Sprintf("%s was found in %d of %d campaigns", s.Name, s.Found, len(s.Campaigns)))
			continue
		}
		if at < 0 {
			complaints = append(complaints, fmt.Sprintf("%s has no norm: record one", s.Name))
			continue
		}
		limit := max(gateFloor, time.Duration(gateFactor*n[at].Median*float64(time.Second)))
		if s.Median.CPU > limit {
			complaints = append(complaints, fmt.Sprintf("%s took %s, and its norm is %.2fs", s.Name, s.Median.CPU.Round(10*time.Millisecond), n[at].Median))
		}
	}
	return complaints
}
