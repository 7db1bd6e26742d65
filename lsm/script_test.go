package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/compaction"
)

// TestScripts runs testdata/scripts. Every script has a database of its own that does
// nothing in the background but flush, so that each step's outcome is certain.
//
//	open [no-wal] [table-bytes=n] [threshold=n]
//	write            one operation per line: set k v | del k | del-range a b
//	get k            [snapshot=name]
//	scan             [lower=a] [upper=b] [reverse] [snapshot=name]
//	walk             one move per line: first last next prev seek-ge k seek-lt k
//	snapshot name · release name
//	flush · compact [lower=a] [upper=b] · sink level (into the next one)
//	table file       as write; makes a file to be ingested
//	ingest file ... · excise lower upper · remove file
//	reopen [no-wal] · crash · levels · verify
//	inspect what file
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{fs: vfs.NewDisk(1), snapshots: map[string]*Snapshot{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := s.run(t, d)
			if err != nil {
				out += fmt.Sprintf("error: %v\n", err)
			}
			return out
		})
		s.close()
	})
}

type script struct {
	fs        *vfs.Disk
	db        *DB
	snapshots map[string]*Snapshot
}

// quietOptions make small tables, and no compaction that is not asked for.
func quietOptions() Options {
	return Options{
		MemtableBytes: 1 << 20, TableBytes: 1 << 20, BlockBytes: 64,
		Compaction: idle{}, CompactionConcurrency: 1, NoPreallocate: true, SpaceAmplification: -1,
	}
}

// idle is a policy that never wants anything.
type idle struct {
	l0   int    // how many tables of level 0 it pretends to want
	debt uint64 // what it pretends to owe
}

func (idle) Next(*compaction.View) *compaction.Pick { return nil }

func (i idle) Shape(*compaction.View) compaction.Shape {
	return compaction.Shape{Base: 1, L0: i.l0, Debt: i.debt}
}

func (s *script) run(t *testing.T, d *datadriven.TestData) (string, error) {
	switch d.Cmd {
	case "open", "reopen":
		s.close()
		o := quietOptions()
		o.DisableWAL = d.HasArg("no-wal")
		if d.HasArg("table-bytes") {
			d.ScanArgs(t, "table-bytes", &o.TableBytes)
		}
		if d.HasArg("threshold") {
			d.ScanArgs(t, "threshold", &o.ValueThreshold)
		}
		return s.open(o)
	case "crash":
		db := s.db
		s.db = nil
		s.fs.Crash(vfs.LoseAll)
		clear(s.snapshots)
		_ = db.Close() // of the old life: every call fails
		return "", nil
	case "write":
		return s.write(d)
	case "get":
		return s.get(t, d)
	case "scan", "walk":
		return s.iterate(t, d)
	case "snapshot":
		s.snapshots[d.CmdArgs[0].Key] = s.db.NewSnapshot()
		return fmt.Sprintf("at %d\n", s.snapshots[d.CmdArgs[0].Key].Seq()), nil
	case "release":
		s.snapshots[d.CmdArgs[0].Key].Close()
		delete(s.snapshots, d.CmdArgs[0].Key)
		return "", nil
	case "flush":
		err := s.db.Flush()
		return s.db.Levels(), err
	case "compact":
		lower, upper := bounds(t, d)
		err := s.db.Compact(lower, upper)
		return s.db.Levels(), err
	case "sink":
		level, err := strconv.Atoi(d.CmdArgs[0].Key)
		if err == nil {
			err = s.db.compactLevel(level, level+1, nil, nil)
		}
		return s.db.Levels(), err
	case "table":
		return s.table(d)
	case "ingest":
		var names []string
		for _, arg := range d.CmdArgs {
			names = append(names, arg.Key)
		}
		err := s.db.Ingest(names...)
		return fmt.Sprintf("seq=%d flushed=%d\n%s", s.db.LastSeq(), s.db.FlushedSeq(), s.db.Levels()), err
	case "excise":
		err := s.db.Excise([]byte(d.CmdArgs[0].Key), []byte(d.CmdArgs[1].Key))
		return fmt.Sprintf("seq=%d\n%s", s.db.LastSeq(), s.db.Levels()), err
	case "remove":
		return "", s.fs.Mount().Remove(d.CmdArgs[0].Key)
	case "levels":
		return s.db.Levels(), nil
	case "verify":
		return "", s.db.Verify()
	case "inspect":
		var out bytes.Buffer
		err := Inspect(s.fs, &out, d.CmdArgs[0].Key, d.CmdArgs[1].Key)
		return out.String(), err
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return "", nil
}

func (s *script) open(o Options) (string, error) {
	db, err := Open(env.New(), s.fs.Mount(), o)
	if err != nil {
		return "", err
	}
	s.db = db
	return fmt.Sprintf("seq=%d flushed=%d\n%s", db.LastSeq(), db.FlushedSeq(), db.Levels()), nil
}

func (s *script) close() {
	if s.db != nil {
		_ = s.db.Close()
	}
	s.db = nil
}

func (s *script) write(d *datadriven.TestData) (string, error) {
	b := s.db.NewBatch()
	for line := range strings.Lines(d.Input) {
		w := append(strings.Fields(line), "", "")
		switch w[0] {
		case "set":
			b.Set([]byte(w[1]), []byte(w[2]))
		case "del":
			b.Delete([]byte(w[1]))
		case "del-range":
			b.DeleteRange([]byte(w[1]), []byte(w[2]))
		}
	}
	err := s.db.Apply(b)
	return fmt.Sprintf("seq=%d\n", s.db.LastSeq()), err
}

func (s *script) table(d *datadriven.TestData) (string, error) {
	f, err := NewTableFile(env.New(), s.fs.Mount(), d.CmdArgs[0].Key, Options{BlockBytes: 64})
	if err != nil {
		return "", err
	}
	defer f.Abandon()
	for line := range strings.Lines(d.Input) {
		w := append(strings.Fields(line), "", "")
		switch w[0] {
		case "set":
			err = f.Set([]byte(w[1]), []byte(w[2]))
		case "del":
			err = f.Delete([]byte(w[1]))
		case "del-range":
			err = f.DeleteRange([]byte(w[1]), []byte(w[2]))
		}
		if err != nil {
			return "", err
		}
	}
	return "", f.Finish()
}

// A view is what reads go to: the database or a snapshot.
type view interface {
	Get(user, dst []byte) ([]byte, error)
	NewIter(IterOptions) (*Iterator, error)
	NewFilteredIter(IterOptions, Filter) (*FilteredIter, error)
}

func (s *script) view(t *testing.T, d *datadriven.TestData) view {
	if d.HasArg("snapshot") {
		var name string
		d.ScanArgs(t, "snapshot", &name)
		return s.snapshots[name]
	}
	return s.db
}

func (s *script) get(t *testing.T, d *datadriven.TestData) (string, error) {
	var out strings.Builder
	for _, arg := range d.CmdArgs {
		if arg.Key == "snapshot" {
			continue
		}
		v, err := s.view(t, d).Get([]byte(arg.Key), nil)
		if errors.Is(err, ErrNotFound) {
			v, err = []byte("not found"), nil
		}
		if err != nil {
			return out.String(), err
		}
		fmt.Fprintf(&out, "%s: %s\n", arg.Key, v)
	}
	return out.String(), nil
}

func bounds(t *testing.T, d *datadriven.TestData) (lower, upper []byte) {
	for name, bound := range map[string]*[]byte{"lower": &lower, "upper": &upper} {
		if d.HasArg(name) {
			var text string
			d.ScanArgs(t, name, &text)
			*bound = []byte(text)
		}
	}
	return lower, upper
}

func (s *script) iterate(t *testing.T, d *datadriven.TestData) (string, error) {
	lower, upper := bounds(t, d)
	it, err := s.view(t, d).NewIter(IterOptions{Lower: lower, Upper: upper})
	if err != nil {
		return "", err
	}
	defer it.Close()
	var out bytes.Buffer
	if d.Cmd == "scan" {
		first, next := it.First, it.Next
		if d.HasArg("reverse") {
			first, next = it.Last, it.Prev
		}
		for ok := first(); ok; ok = next() {
			fmt.Fprintf(&out, "%s=%s ", it.Key(), it.Value())
		}
		return strings.TrimSpace(out.String()) + "\n", it.Err()
	}
	for line := range strings.Lines(d.Input) {
		w := append(strings.Fields(line), "")
		move(it, w[0], []byte(w[1]))
		where := "."
		if it.Valid() {
			where = fmt.Sprintf("%s=%s", it.Key(), it.Value())
		}
		if it.Err() != nil {
			where = "error: " + it.Err().Error()
		}
		fmt.Fprintf(&out, "%-12s %s\n", strings.TrimSpace(line), where)
	}
	return out.String(), nil
}

// A walker is what Iterator and FilteredIter have in common.
type walker interface {
	First() bool
	Last() bool
	SeekGE(user []byte) bool
	SeekLT(user []byte) bool
	Next() bool
	Prev() bool
	Valid() bool
	Key() []byte
	Value() []byte
	Err() error
	Close() error
}

func move(it walker, name string, k []byte) bool {
	switch name {
	case "first":
		return it.First()
	case "last":
		return it.Last()
	case "next":
		return it.Next()
	case "prev":
		return it.Prev()
	case "seek-ge":
		return it.SeekGE(k)
	case "seek-lt":
		return it.SeekLT(k)
	}
	panic("unknown move " + name)
}
