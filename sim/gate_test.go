//go:build plantedbugs

package sim

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGate(t *testing.T) {
	score := func(name string, found int, cpu time.Duration) Score {
		return Score{Name: name, Found: found, By: []string{"loss 2"}, Median: Effort{4, cpu}, Worst: Effort{9, 2 * cpu}, Campaigns: make([]Campaign, 2)}
	}
	norms := Norms{}.With([]Score{score("b", 2, 2*time.Second), score("a", 2, time.Second), score("missed", 1, time.Second)})
	read, err := ReadNorms(norms.Encode())
	if err != nil || len(read) != 2 || read[0].Name != "a" || read[1].Median != 2 || read[1].Seeds != 4 {
		t.Fatalf("read %v, %v", read, err)
	}
	for _, tt := range []struct {
		name  string
		score Score
		want  string
	}{
		{"as before", score("b", 2, 2*time.Second), ""},
		{"slower", score("b", 2, 6*time.Second), ""},
		{"much slower", score("b", 2, 7*time.Second), "took 7s"},
		{"a short time is nothing", score("a", 2, 3*time.Second), ""},
		{"found once", score("a", 1, time.Second), "1 of 2"},
		{"new", score("c", 2, time.Second), "no norm"},
	} {
		got := strings.Join(read.Gate([]Score{tt.score}), "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if next := read.With([]Score{score("a", 2, 9*time.Second)}); len(next) != 2 || next[0].Median != 9 || read[0].Median != 1 {
		t.Errorf("recorded again: %v, before %v", next, read)
	}
	if !slices.IsSortedFunc(read, func(a, b Norm) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted")
	}
	if _, err := ReadNorms([]byte("{")); err == nil {
		t.Error("half a file was read")
	}
}
