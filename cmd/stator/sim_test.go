package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/sim"
)

func TestSimReplayWritesWhatHappened(t *testing.T) {
	dir := t.TempDir()
	c := simReplayCommand{simWorld: simWorld{Nodes: 3, Duration: time.Second, Faults: []string{"none"}}, What: "7", Plan: filepath.Join(dir, "p.json"),
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

// Transactions on lists are written for Elle, and checked again.
func TestSimLists(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(0)
	for !bytes.Contains(sim.NewPlan(seed, sim.Options{Nodes: 1, Duration: time.Second}).Encode(), []byte(`"do":"append"`)) {
		seed++
	}
	for _, name := range []string{"h.edn", "h.jsonl"} {
		c := simReplayCommand{simWorld: simWorld{Nodes: 1, Duration: time.Second}, What: fmt.Sprint(seed), Lists: filepath.Join(dir, name)}
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(c.Lists); err != nil || !bytes.Contains(b, []byte("append")) {
			t.Fatalf("%s: %.200s, %v", name, b, err)
		}
		c.Registers, c.Bank = filepath.Join(dir, "registers-"+name), filepath.Join(dir, "bank-"+name)
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{c.Lists, c.Registers, c.Bank} {
			if err := (&simCheckCommand{file}).Run(); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	torn := filepath.Join(dir, "torn.edn")
	if err := os.WriteFile(torn, []byte(`{:type :invoke, :process 0, :f :txn, :value [[:append 1 2] [:append 2 2]]}
{:type :invoke, :process 1, :f :txn, :value [[:r 1 nil] [:r 2 nil]]}
{:type :ok, :process 0, :f :txn, :value [[:append 1 2] [:append 2 2]]}
{:type :ok, :process 1, :f :txn, :value [[:r 1 [2]] [:r 2 []]]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	var e *simError
	if err := (&simCheckCommand{torn}).Run(); !errors.As(err, &e) || e.ExitCode() != 1 || !strings.Contains(err.Error(), "G-single") {
		t.Errorf("a torn read: %v", err)
	}
}

func TestSimStatus(t *testing.T) {
	for what, run := range map[string]func() error{
		"unknown fault": func() error { _, err := (&simWorld{Faults: []string{"flood"}}).options(); return err },
		"never drawn":   func() error { _, err := (&simWorld{Faults: []string{"bit rot"}}).options(); return err },
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
	named := simRunCommand{simWorld: simWorld{Nodes: 3, Backoff: "standard", Faults: []string{"failing read"}}}
	if text := named.failure(&sim.Brief{Seed: 3}); !strings.Contains(text, "\nreplay: stator sim replay 3 --nodes=3 '--faults=failing read'\n") {
		t.Errorf("what a shell is to be told:\n%s", text)
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
