package sim

import (
	"errors"

	"github.com/statordb/stator/internal/env"
)

// A Checker is a way in which a run notices that something is wrong.
type Checker string

// The checkers.
const (
	Linearizability Checker = "linearizability" // no order explains what clients saw; see History.Check
	Staleness       Checker = "staleness"       // a read that need not be the latest shows what never was, or was too long ago
	Serializability Checker = "serializability" // no order explains appends to lists and reads of several; see CheckLists
	Reference       Checker = "reference"       // an answer other than the reference gives
	Boot            Checker = "boot"            // a node does not start on what a fault has left
	Damage          Checker = "damage"          // an item that nobody wrote
	Unexpected      Checker = "error"           // an error that no fault excuses
	Loss            Checker = "loss"            // what was acknowledged cannot be read in the end
	Mirror          Checker = "mirror"          // an index is not what its table says
	Counters        Checker = "counters"        // what is counted is not what is there
	Tables          Checker = "tables"          // a table that was created, filled or dropped is not so
	Expiry          Checker = "expiry"          // an item went before its time, or did not go
	Availability    Checker = "availability"    // a client that tries again as SDKs do sees an error
	Progress        Checker = "progress"        // nothing works although all faults are over
	Engine          Checker = "engine"          // the engine's own verification failed
	Election        Checker = "election"        // two leaders in one term
	LogMatching     Checker = "log-matching"    // two entries of one index and term
	Completeness    Checker = "completeness"    // a leader lacks an entry that was applied
	Replicas        Checker = "replicas"        // replicas, or a replica after a crash, come to different results
	Durability      Checker = "durability"      // what a voter has promised is gone after a crash
	Leases          Checker = "leases"          // two leaders can answer on their own at a time
	Leak            Checker = "leak"            // a node that has closed has tasks
	Panic           Checker = "panic"           // a broken invariant, or a panic of raft
	Deadlock        Checker = "deadlock"        // tasks that wait for each other
	Unfired         Checker = "unfired"         // a fault of the plan came to nothing, and nothing explains that
	Undecided       Checker = "undecided"       // the search for an explanation was given up
	Crash           Checker = "crash"           // the process of the simulator has died, or does not end
)

// A Finding is an error with the checker that it comes from.
type Finding struct {
	By  Checker
	Err error
}

func (f *Finding) Error() string { return f.Err.Error() }
func (f *Finding) Unwrap() error { return f.Err }

// found marks what a checker has to say.
func found(by Checker, err error) error { return &Finding{by, err} }

// CheckerOf returns which checker a run's error comes from, "" if err is nil.
func CheckerOf(err error) Checker {
	var finding *Finding
	var violation *Violation
	var undecided *UndecidedError
	var failure *env.Failure
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failure):
		return Panic
	case errors.As(err, &finding):
		return finding.By
	case errors.As(err, &violation):
		return Linearizability
	case errors.As(err, &undecided):
		return Undecided
	}
	return Deadlock // what World.Do returns else
}
