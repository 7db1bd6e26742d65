package server

import (
	"errors"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

func writeFile(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	f, err := fs.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  error
	}{
		{"empty", nil, nil},
		{"locked only", map[string]string{"LOCK": ""}, nil},
		{"stopped while being made", map[string]string{"LOCK": "", "FORMAT.new": "stat"}, nil},
		{"ours", map[string]string{"FORMAT": "stator database format 1\n", "other": ""}, nil},
		{"something else", map[string]string{"holiday.jpg": ""}, ErrNotDatabase},
		{"newer", map[string]string{"FORMAT": "stator database format 2\n"}, ErrFormat},
		{"newer, same digit", map[string]string{"FORMAT": "stator database format 10\n"}, ErrFormat},
		{"damaged", map[string]string{"FORMAT": ""}, ErrFormat},
		{"long", map[string]string{"FORMAT": strings.Repeat("stator database format 1\n", 1000)}, ErrFormat},
	}
	for _, test := range tests {
		fs := vfs.NewMem()
		for name, text := range test.files {
			writeFile(t, fs, name, text)
		}
		for range 2 { // the second time finds what the first one made
			if err := checkFormat(fs); !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", test.name, err, test.want)
			}
		}
	}
}

// Whatever call fails while a database is made, the next attempt succeeds.
func TestFormatSurvivesFaults(t *testing.T) {
	for n := 1; ; n++ {
		mem := vfs.NewMem()
		calls := 0
		failed := errors.New("failed")
		err := checkFormat(vfs.NewInject(mem, func(vfs.Op) error {
			if calls++; calls == n {
				return failed
			}
			return nil
		}))
		if err == nil && calls < n {
			return
		}
		if !errors.Is(err, failed) {
			t.Fatalf("call %d failed, but the result is %v", n, err)
		}
		if err := checkFormat(mem); err != nil {
			t.Errorf("after call %d failed: %v", n, err)
		}
	}
}
