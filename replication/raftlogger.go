package replication

import "fmt"

// A raftPanic is how raft says that what it was given cannot be: a log that
// lost entries, a storage that failed. The worker turns it into an error of
// the group; see Group.guard.
type raftPanic struct{ message string }

// quietLogger drops raft's messages. They cost allocations even so, because
// their arguments are boxed, but not in the path of a proposal.
type quietLogger struct{}

func (quietLogger) Debug(...any)            {}
func (quietLogger) Debugf(string, ...any)   {}
func (quietLogger) Info(...any)             {}
func (quietLogger) Infof(string, ...any)    {}
func (quietLogger) Warning(...any)          {}
func (quietLogger) Warningf(string, ...any) {}
func (quietLogger) Error(...any)            {}
func (quietLogger) Errorf(string, ...any)   {}

func (quietLogger) Fatal(v ...any)                 { panic(raftPanic{fmt.Sprint(v...)}) }
func (quietLogger) Fatalf(format string, v ...any) { panic(raftPanic{fmt.Sprintf(format, v...)}) }
func (quietLogger) Panic(v ...any)                 { panic(raftPanic{fmt.Sprint(v...)}) }
func (quietLogger) Panicf(format string, v ...any) { panic(raftPanic{fmt.Sprintf(format, v...)}) }
