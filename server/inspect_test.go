package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// closedDatabase makes a database with a few items and returns its directory.
func closedDatabase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	must(t, s, "CreateTable", createABC)
	for i := range 10 {
		must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"abc","Item":{"p":{"S":"%d"}}}`, i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInspect(t *testing.T) {
	dir := closedDatabase(t)
	for what, want := range map[string]string{
		InspectAll: "manifest", InspectManifest: "manifest", InspectTables: ".sst", InspectLog: "raft/",
		InspectSpace: " bytes in the replicated log\n", InspectVerify: ".log: ",
	} {
		var out strings.Builder
		if err := Inspect(dir, &out, what, ""); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: no %q in %s", what, want, out.String())
		}
	}
	if err := Inspect(dir, new(strings.Builder), "everything", ""); err == nil {
		t.Error("inspects everything")
	}
	for _, name := range []string{"000001.sst", "000001", "store/000001.sst"} { // the second as manifests name it, the third as the summary
		var out strings.Builder
		if err := Inspect(dir, &out, InspectTables, name); err != nil || !strings.Contains(out.String(), "bytes verified") {
			t.Errorf("table %s: %v", name, err)
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	if err := Inspect(t.TempDir(), new(strings.Builder), InspectAll, ""); !errors.Is(err, ErrNotDatabase) {
		t.Errorf("empty directory: got %v, want %v", err, ErrNotDatabase)
	}
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := Inspect(dir, new(strings.Builder), InspectAll, ""); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("open database: got %v, want %v", err, vfs.ErrLocked)
	}
}

// Damage is reported with file and offset, and the rest is still printed.
func TestInspectDamaged(t *testing.T) {
	dir := closedDatabase(t)
	tables, err := filepath.Glob(filepath.Join(dir, storeDir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	text, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 0x40
	if err := os.WriteFile(tables[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var damaged *corrupt.Error
	if err := Inspect(dir, &out, InspectAll, ""); !errors.As(err, &damaged) {
		t.Errorf("got %v, want a *corrupt.Error", err)
	}
	if got := out.String(); !strings.Contains(got, filepath.Base(tables[0])) || !strings.Contains(got, "raft/") {
		t.Errorf("got %s", got)
	}
}

// A checkpoint is a database of its own, and compacting one leaves the other as it is.
func TestCheckpointAndCompact(t *testing.T) {
	dir := closedDatabase(t)
	target := filepath.Join(t.TempDir(), "copy")
	if err := Checkpoint(dir, target); err != nil {
		t.Fatal(err)
	}
	if err := Checkpoint(dir, target); err == nil {
		t.Error("a checkpoint is written over another")
	}
	var out strings.Builder
	if err := Compact(dir, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "afterwards\nL6: 1 tables") {
		t.Errorf("nothing is left after Compact:\n%s", &out)
	}
	for _, d := range []string{dir, target} {
		if err := Inspect(d, new(strings.Builder), InspectVerify, ""); err != nil {
			t.Errorf("%s: %v", d, err)
		}
		s, err := Open(Options{Dir: d})
		if err != nil {
			t.Fatal(err)
		}
		if got := must(t, s, "Scan", `{"TableName":"abc","Select":"COUNT"}`); !strings.Contains(string(got), `"Count":10`) {
			t.Errorf("%s: Scan = %s", d, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInspectFind(t *testing.T) {
	dir := closedDatabase(t)
	var log strings.Builder
	if err := Inspect(dir, &log, InspectFind, `not\there`); err == nil {
		t.Error("a malformed key is taken")
	}
	if err := Inspect(dir, &log, InspectFind, "nowhere"); err != nil || !strings.Contains(log.String(), "no version of nowhere is in the store") {
		t.Errorf("%v, %s", err, &log)
	}
}

// A database is the same whether or not its files are mapped.
func TestOpenWithoutMmap(t *testing.T) {
	dir := closedDatabase(t)
	for _, noMmap := range []bool{true, false} {
		s, err := Open(Options{Dir: dir, NoMmap: noMmap})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{NoMmap: noMmap}
		if got := o.store().NoMmap; got != noMmap {
			t.Errorf("the engine has NoMmap %v, want %v", got, noMmap)
		}
		if got := must(t, s, "Scan", `{"TableName":"abc","Select":"COUNT"}`); !strings.Contains(got, `"Count":10`) {
			t.Errorf("NoMmap %v: Scan = %s", noMmap, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
