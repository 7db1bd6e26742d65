package compaction

import (
	"fmt"
	"testing"

	"github.com/statordb/stator/lsm/manifest"
)

// valueFiles returns a version with value files 1, 2, ... of 1000 bytes of records each, of
// which so many are in use, by tables of level 1 with 100 bytes each.
func valueFiles(live ...uint64) *manifest.Version {
	v := &manifest.Version{}
	for i, n := range live {
		num := manifest.FileNum(i + 1)
		v.Values = append(v.Values, manifest.ValueFile{Num: num, Size: 1064, Records: 10, Live: n})
		v.Levels[1] = append(v.Levels[1], &manifest.Table{Num: 100 + num, Size: 100, Values: []manifest.ValueRef{{File: num, Bytes: n}}})
	}
	return v
}

func all(manifest.FileNum) bool  { return true }
func sound(*manifest.Table) bool { return true }
func none(manifest.FileNum) bool { return false }
func but(n manifest.FileNum) func(manifest.FileNum) bool {
	return func(m manifest.FileNum) bool { return m != n }
}

func TestCondemned(t *testing.T) {
	for _, tt := range []struct {
		amplification float64
		live          []uint64
		usable        func(manifest.FileNum) bool
		condemned     string // files
		overdue       string // level, table
	}{
		{1.5, nil, all, "[]", "0 none"},
		{1.5, []uint64{1000, 1000}, all, "[]", "0 none"},      // footers are no garbage
		{1.5, []uint64{1000, 500}, all, "[]", "0 none"},       // 33 % in all
		{1.5, []uint64{900, 550}, all, "[2]", "0 none"},       // 38 %: in passing
		{1.5, []uint64{800, 400}, all, "[2]", "1 102"},        // 67 %
		{1.5, []uint64{700, 200, 900}, all, "[2]", "1 102"},   // the one with the most is enough
		{1.1, []uint64{300, 200, 900}, all, "[1 2]", "1 101"}, // the table with the most
		{1.1, []uint64{300, 200, 900}, but(2), "[1 3]", "1 103"},
		{1.1, []uint64{300, 200, 900}, none, "[]", "0 none"},
		{1, []uint64{300, 999, 1000}, all, "[1 2]", "1 102"}, // no garbage at all
		{-1, []uint64{1, 1}, all, "[]", "0 none"},
	} {
		p := ValuePolicy{Amplification: tt.amplification}
		v := valueFiles(tt.live...)
		condemned := p.Condemned(v, tt.usable)
		if got := fmt.Sprint(condemned); got != fmtNums(tt.condemned) {
			t.Errorf("%.1f of %d: condemned %s, want %s", tt.amplification, tt.live, got, tt.condemned)
		}
		level, table := p.Overdue(v, condemned, sound)
		got := "0 none"
		if table != nil {
			got = fmt.Sprintf("%d %d", level, table.Num)
		}
		if got != tt.overdue {
			t.Errorf("%.1f of %d: overdue %s, want %s", tt.amplification, tt.live, got, tt.overdue)
		}
	}
}

// fmtNums writes the numbers of a list as FileNum prints them.
func fmtNums(list string) string {
	out := ""
	for _, c := range list {
		if c >= '0' && c <= '9' {
			out += "00000"
		}
		out += string(c)
	}
	return out
}

// Tables that cannot be read stay; and so do large ones for little garbage.
func TestOverdueSparesTables(t *testing.T) {
	p := ValuePolicy{Amplification: 1.1}
	v := valueFiles(500, 400)
	condemned := p.Condemned(v, all)
	if _, table := p.Overdue(v, condemned, func(t *manifest.Table) bool { return t.Num != 102 }); table == nil || table.Num != 101 {
		t.Errorf("around table 102: %v", table)
	}
	for _, table := range v.Levels[1] {
		table.Size = 1 << 20
	}
	if _, table := p.Overdue(v, condemned, sound); table != nil {
		t.Errorf("2 MiB are rewritten for 1100 bytes: %v", table)
	}
	v.Levels[0], v.Levels[1] = v.Levels[1][:1], nil
	v.Levels[0][0].Size = 100
	if level, table := p.Overdue(v, condemned, sound); table == nil || level != 0 {
		t.Errorf("there is nothing but level 0, and it is not rewritten: %d, %v", level, table)
	}
	v.Levels[5] = []*manifest.Table{{Num: 200, Size: 100, Values: []manifest.ValueRef{{File: 2, Bytes: 1}}}}
	if level, table := p.Overdue(v, condemned, sound); table == nil || level != 5 {
		t.Errorf("level 0 is rewritten before level 5: %d, %v", level, table)
	}
}

// What FIFO keeps includes the values.
func TestFIFOCountsValues(t *testing.T) {
	version := valueFiles(1000, 1000, 1000)
	version.Levels[0], version.Levels[1] = version.Levels[1], nil
	for maxBytes, drops := range map[uint64]bool{3*100 + 3*1064: false, 3*100 + 3*1064 - 1: true} {
		v := &View{Version: version, Options: Options{L0Tables: 100}, Usable: sound}
		p := FIFO{MaxBytes: maxBytes}.Next(v)
		if (p != nil) != drops || drops && p.Tables()[0].Num != 103 {
			t.Errorf("%d bytes: %v", maxBytes, p)
		}
	}
}
