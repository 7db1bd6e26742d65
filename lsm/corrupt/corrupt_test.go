package corrupt_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/lsm/corrupt"
)

func TestErrorSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("open table 7: %w", corrupt.New("000007.sst", 4096, "checksum %08x, want %08x", 1, 2))
	var damage *corrupt.Error
	if !errors.As(err, &damage) {
		t.Fatalf("errors.As(%v) = false", err)
	}
	if damage.File != "000007.sst" || damage.Offset != 4096 {
		t.Errorf("got file %q, offset %d", damage.File, damage.Offset)
	}
	want := "open table 7: 000007.sst: corrupt at offset 4096: checksum 00000001, want 00000002"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
