package main

import (
	"os"
	"path/filepath"
	"testing"
)

const apiDir = "../../api"

// The checked-in shapes are what the model and the generator say.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	files, err := generate(apiDir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(apiDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what the generator writes; run go generate ./server/api", name)
		}
	}
	present, err := filepath.Glob(filepath.Join(apiDir, "*_gen*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range present {
		if files[filepath.Base(path)] == nil {
			t.Errorf("%s is not written by the generator any more", path)
		}
	}
}

// An overlay that no longer fits a newer model is an error, not ignored.
func TestOverlayMustFitTheModel(t *testing.T) {
	tests := map[string]func(*model){
		"known operation": func(m *model) { m.overlay.Operations = []string{"PutItem"} },
		"known member":    func(m *model) { m.overlay.Members = map[string][]string{"PutItemInput": {"Item"}} },
		"other enum":      func(m *model) { m.overlay.Enums = map[string][]string{"KeyType": {"HASH"}} },
	}
	for name, spoil := range tests {
		m := &model{}
		if err := readJSON(filepath.Join(apiDir, "model", "dynamodb.json"), m); err != nil {
			t.Fatal(err)
		}
		spoil(m)
		if err := m.applyOverlay(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
