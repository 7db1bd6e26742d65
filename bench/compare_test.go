package bench

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
)

// sorted is a model engine: a map and a sorted list of its keys.
type sorted struct {
	m    map[string]string
	lose int // every n-th write is dropped
	n    int
}

func (s *sorted) Set(k, v []byte) error {
	if s.n++; s.lose == 0 || s.n%s.lose != 0 {
		s.m[string(k)] = string(v)
	}
	return nil
}

func (s *sorted) Get(k, dst []byte) ([]byte, bool, error) {
	v, ok := s.m[string(k)]
	return append(dst, v...), ok, nil
}

func (s *sorted) Scan(key []byte, n int, visit func(k, v []byte)) (int, error) {
	var keys []string
	for k := range s.m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	at := sort.SearchStrings(keys, string(key))
	keys = keys[at:min(at+n, len(keys))]
	for _, k := range keys {
		visit([]byte(k), []byte(s.m[k]))
	}
	return len(keys), nil
}

func (s *sorted) Settle() error { return nil }
func (s *sorted) Close() error  { return nil }

func model(name string, lose int) Opener {
	return Opener{name, func(string, int64) (Engine, error) {
		return &sorted{m: map[string]string{}, lose: lose}, nil
	}}
}

func TestCompare(t *testing.T) {
	var out bytes.Buffer
	figures, err := Compare(&out, []Opener{Stator(), model("model", 0)}, Config{Dir: t.TempDir(), Entries: 2000, ValueSize: 40})
	if err != nil {
		t.Fatal(err)
	}
	if len(figures) != 2*len(workloads) {
		t.Errorf("%d figures for %d workloads on two engines", len(figures), len(workloads))
	}
	for _, f := range figures {
		if f.PerOp <= 0 || !strings.Contains(out.String(), f.Workload) {
			t.Errorf("%+v: no cost, or missing in the table", f)
		}
	}
}

// A store that loses writes must not get figures.
func TestCompareChecksWhatItReads(t *testing.T) {
	_, err := Compare(&bytes.Buffer{}, []Opener{model("liar", 100)}, Config{Dir: t.TempDir(), Entries: 1000})
	if err == nil {
		t.Error("lost writes went unnoticed")
	}
}

func ExampleCompare() {
	var out bytes.Buffer
	if _, err := Compare(&out, []Opener{model("model", 0)}, Config{Entries: 100}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.Fields(out.String())[0])
	// Output: workload
}
