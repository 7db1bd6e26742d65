package gate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/statordb/stator/bench/result"
)

// Thresholds say, by the name of a metric, by which share it may get worse.
type Thresholds map[string]float64

// Defaults are what is judged when nothing is said.
func Defaults() Thresholds { return Thresholds{"time": 0.05, "cpu": 0.05, "p99": 0.10} }

// Set changes the thresholds by "p99=5%" (or 0.05); "p99=off" judges that metric no more. The first
// setting of an empty set begins with the defaults.
func (t *Thresholds) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("threshold %q: want METRIC=PERCENT%%, as in p99=5%%", text)
	}
	if _, err := result.MetricOf(name); err != nil {
		return err
	}
	if *t == nil {
		*t = Defaults()
	}
	if value == "off" {
		delete(*t, name)
		return nil
	}
	number, percent := strings.CutSuffix(value, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 10) {
		return fmt.Errorf("threshold %q: want a share from 0 to 1000%%", text)
	}
	(*t)[name] = v
	return nil
}

// ParseThresholds reads several; none are the defaults.
func ParseThresholds(texts []string) (Thresholds, error) {
	t := Defaults()
	for _, text := range texts {
		if err := t.Set(text); err != nil {
			return nil, err
		}
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("no metric is left to judge")
	}
	return t, nil
}

func (t Thresholds) names() []string { return slices.Sorted(maps.Keys(t)) }
