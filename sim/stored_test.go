package sim

import (
	"os"
	"path/filepath"
	"testing"
)

// Plans that once found something stay clean. Each says what that was. A plan that this program
// does not understand any more fails: it is to be brought up to date, not skipped.
func TestStoredPlans(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "plans", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d plans are stored, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := DecodePlan(b)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if p.Note == "" {
			t.Errorf("%s does not say what it once found", file)
		}
		if r := RunPlan(p, Options{}); r.Err != nil {
			t.Errorf("%s: %v\n%s\nit once found this: %s\nreplay: stator sim replay sim/%s", file, r.Err, r, p.Note, file)
		}
	}
}
