package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/sim"
)

func TestSimReplayWritesWhatHappened(t *testing.T) {
	dir := t.TempDir()
	c := simReplayCommand{simWorld: simWorld{Nodes: 3, Duration: time.Second}, What: "7", Plan: filepath.Join(dir, "p.json"),
		Html: filepath.Join(dir, "p.html"), Edn: filepath.Join(dir, "h.edn")}
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(c.Html)
	if err != nil || !bytes.Contains(page, []byte("n3 · zone c")) || bytes.Contains(page, []byte("http://")) {
		t.Errorf("the page has %d bytes, %v", len(page), err)
	}
	again := simReplayCommand{What: c.Plan}
	if err := again.Run(); err != nil {
		t.Errorf("the plan that was written down: %v", err)
	}
}

func TestSimStatus(t *testing.T) {
	for what, run := range map[string]func() error{
		"unknown fault": func() error { _, err := (&simWorld{Faults: []string{"flood"}}).options(); return err },
		"no plan":       func() error { _, err := (&simWorld{}).plan("no such file"); return err },
	} {
		var e *simError
		if err := run(); !errors.As(err, &e) || e.ExitCode() != 2 {
			t.Errorf("%s: %v", what, err)
		}
	}
	failed := &simProgress{}
	failed.add(&sim.Brief{Seed: 3, By: sim.Loss, Error: "lost"})
	unfired := &simProgress{}
	unfired.add(&sim.Brief{Seed: 3, Drawn: map[string]int{"crash": 30, "pause": 2}})
	for want, p := range map[int]*simProgress{1: failed, 3: unfired} {
		var e *simError
		if err := (&simRunCommand{}).verdict(p); !errors.As(err, &e) || e.ExitCode() != want {
			t.Errorf("status %d: %v", want, err)
		}
	}
}

func TestSimReports(t *testing.T) {
	b := &sim.Brief{Seed: 3, By: sim.Loss, Error: strings.Repeat("a line <that is> long\n", 100)}
	if text := (&simRunCommand{}).failure(b); strings.Count(text, "\n") > 20 || !strings.Contains(text, "stator sim replay 3") {
		t.Errorf("a failure is told as\n%s", text)
	}
	tally := &sim.Tally{}
	tally.Add(b)
	tally.Add(&sim.Brief{Seed: 4})
	var out bytes.Buffer
	if err := writeJUnit(&out, tally, time.Second); err != nil {
		t.Fatal(err)
	}
	var suite junitSuite
	if err := xml.Unmarshal(out.Bytes(), &suite); err != nil || suite.Tests != 2 || suite.Failures != 1 || suite.Cases[1].Failure.Message != "loss" {
		t.Errorf("%v\n%s", err, out.Bytes())
	}
	if _, err := json.Marshal(tally); err != nil {
		t.Error(err)
	}
}
