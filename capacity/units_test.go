package capacity

import "testing"

func TestReadUnits(t *testing.T) {
	tests := []struct {
		size                       int
		consistent, eventual, txns float64
	}{
		{0, 1, 0.5, 2}, // a missing item
		{1, 1, 0.5, 2}, {4095, 1, 0.5, 2}, {4096, 1, 0.5, 2}, {4097, 2, 1, 4}, {8192, 2, 1, 4}, {8193, 3, 1.5, 6},
		{400 << 10, 100, 50, 200}, // the largest item
		{1 << 20, 256, 128, 512},  // a full page of Query or Scan
	}
	for _, tt := range tests {
		if got := ReadUnits(tt.size, true); got != tt.consistent {
			t.Errorf("ReadUnits(%d, consistent) = %v, want %v", tt.size, got, tt.consistent)
		}
		if got := ReadUnits(tt.size, false); got != tt.eventual {
			t.Errorf("ReadUnits(%d, eventual) = %v, want %v", tt.size, got, tt.eventual)
		}
		if got := TransactReadUnits(tt.size); got != tt.txns {
			t.Errorf("TransactReadUnits(%d) = %v, want %v", tt.size, got, tt.txns)
		}
	}
}

func TestWriteUnits(t *testing.T) {
	tests := []struct {
		what             string
		oldSize, newSize int
		want             float64
	}{
		{"delete of a missing item", 0, 0, 1},
		{"put of a small item", 0, 1, 1},
		{"exactly 1 KB", 0, 1024, 1},
		{"1 KB and a byte", 0, 1025, 2},
		{"put over a larger item", 2500, 100, 3},
		{"put over a smaller item", 100, 2500, 3},
		{"delete", 3000, 0, 3},
		{"failed condition", 1500, 0, 2},
		{"update that grows into the next unit", 1024, 1025, 2},
		{"the largest item", 0, 400 << 10, 400},
	}
	for _, tt := range tests {
		if got := WriteUnits(tt.oldSize, tt.newSize); got != tt.want {
			t.Errorf("%s: WriteUnits(%d, %d) = %v, want %v", tt.what, tt.oldSize, tt.newSize, got, tt.want)
		}
		if got := TransactWriteUnits(tt.oldSize, tt.newSize); got != 2*tt.want {
			t.Errorf("%s: TransactWriteUnits(%d, %d) = %v, want %v", tt.what, tt.oldSize, tt.newSize, got, 2*tt.want)
		}
	}
}

// A batch rounds each item, a page rounds the sum: the guide's examples read
// 1.5 KB and 6.5 KB in a batch, and 1,500 items of 64 bytes in a query.
func TestBatchAndPage(t *testing.T) {
	batch := ReadUnits(1536, true) + ReadUnits(6656, true)
	if batch != 3 {
		t.Errorf("batch of 1.5 KB and 6.5 KB = %v, want 3", batch)
	}
	if got := ReadUnits(1500*64, true); got != 24 {
		t.Errorf("page of 1,500 items of 64 bytes = %v, want 24", got)
	}
	if got := ReadUnits(1500*64, false); got != 12 {
		t.Errorf("the same page, eventually consistent = %v, want 12", got)
	}
	if got := 25 * WriteUnits(0, 100); got != 25 {
		t.Errorf("batch of 25 small puts = %v, want 25", got)
	}
}

func TestIndexUnits(t *testing.T) {
	tests := []struct {
		change           IndexChange
		oldSize, newSize int
		want             float64
	}{
		{IndexUntouched, 5000, 5000, 0},
		{IndexAdded, 9999, 100, 1}, {IndexAdded, 0, 1025, 2},
		{IndexRemoved, 100, 9999, 1}, {IndexRemoved, 2049, 0, 3},
		{IndexUpdated, 100, 200, 1}, {IndexUpdated, 1025, 10, 2}, {IndexUpdated, 10, 1025, 2},
		{IndexMoved, 100, 100, 2}, {IndexMoved, 1025, 3000, 5},
	}
	for _, tt := range tests {
		if got := tt.change.Units(tt.oldSize, tt.newSize); got != tt.want {
			t.Errorf("change %d, %d to %d bytes: %v units, want %v", tt.change, tt.oldSize, tt.newSize, got, tt.want)
		}
	}
}
