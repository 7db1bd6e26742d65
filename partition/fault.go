package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A fault is an error as bytes.
//
//	+---------+----------+
//	| code 1B | text ... |  text: a uvarint size and that many bytes
//	+---------+----------+
//	| code 1B | first 8B | last 8B |  code 3; little-endian
//	+---------+----------+---------+
//	| code 1B | id 16B | table 4B | hash 8B | token 16B |  code 18: a ConflictError
//	+---------+--------+----------+---------+-----------+
//	| code 1B | count | conflict as above | hashes count | hash 8B ... | ... |  code 17: an OngoingError
//	+---------+-------+-------------------+--------------+-------------+
//
// The codes are in faults. 0, without a text, is no error. Codes whose error is a
// constant have an empty text. A code that the reader does not know is refused.
const (
	faultNone     byte = 0
	faultInvalid  byte = 2
	faultWrong    byte = 3
	faultConflict byte = 18
	faultOngoing  byte = 17
	faultOther    byte = 255
)

// faults are the errors that a caller acts on.
var faults = []struct {
	code byte
	err  error
	text bool // the text says more than the error
}{
	{1, ErrConditionFailed, false},
	{4, ErrNotConfigured, false},
	{5, ErrCollectionFull, false},
	{6, ErrNoIndex, false},
	{12, ErrDamaged, true}, // may wrap one of the others
	{7, ErrReplay, true},
	{8, ErrCommand, true},
	{9, ErrFormat, true},
	{10, ErrAnswer, true},
	{11, ErrFateUnknown, false},
	{13, ErrNoSplit, true},
	{14, ErrMembers, true},
	{15, ErrRefused, false},
	{16, ErrOtherParameters, false},
}

// A WrongPartitionError refuses a key and says which hashes the partition has:
// [First, Last]. It matches ErrWrongPartition.
type WrongPartitionError struct{ First, Last uint64 }

func (e *WrongPartitionError) Error() string { return ErrWrongPartition.Error() }

// Is reports whether target is ErrWrongPartition.
func (e *WrongPartitionError) Is(target error) bool { return target == ErrWrongPartition }

// A RemoteError is what a partition on another node said. It matches the error
// of this package that it was there, if any.
type RemoteError struct {
	Text string
	kind error
}

func (e *RemoteError) Error() string { return e.Text }
func (e *RemoteError) Unwrap() error { return e.kind }

func (c *Config) wrong() error { return &WrongPartitionError{c.First, c.Last} }

func appendFault(dst []byte, err error) []byte {
	if err == nil {
		return append(dst, faultNone)
	}
	var wrong *WrongPartitionError
	if errors.As(err, &wrong) {
		dst = binary.LittleEndian.AppendUint64(append(dst, faultWrong), wrong.First)
		return binary.LittleEndian.AppendUint64(dst, wrong.Last)
	}
	var taken *ConflictError
	if errors.As(err, &taken) {
		return taken.append(append(dst, faultConflict))
	}
	var ongoing *OngoingError
	if errors.As(err, &ongoing) {
		return ongoing.append(append(dst, faultOngoing))
	}
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return appendSized(append(dst, faultInvalid), []byte(invalid.Message))
	}
	for _, f := range faults {
		if !errors.Is(err, f.err) {
			continue
		}
		text := ""
		if f.text {
			text = err.Error()
		}
		return appendSized(append(dst, f.code), []byte(text))
	}
	return appendSized(append(dst, faultOther), []byte(err.Error()))
}

func (d *reader) fault() error {
	switch code := d.byte(); code {
	case faultNone:
		return nil
	case faultWrong:
		return &WrongPartitionError{d.fixed(), d.fixed()}
	case faultConflict:
		taken := d.conflict()
		return &taken
	case faultOngoing:
		return d.ongoing()
	case faultInvalid:
		return &InvalidError{Message: string(d.sized())}
	case faultOther:
		return &RemoteError{Text: string(d.sized())}
	default:
		text := string(d.sized())
		for _, f := range faults {
			switch {
			case f.code != code:
			case f.text:
				return &RemoteError{text, f.err}
			case text == "":
				return f.err
			}
		}
		d.bad = true
		return fmt.Errorf("%w: error %d", ErrAnswer, code)
	}
}
