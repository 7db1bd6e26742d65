package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// eachEvent calls f with the events of a history, one a line, each as JSON or EDN: EDN comes as JSON would, and
// numbers of JSON as json.Number.
func eachEvent(r io.Reader, f func(e map[string]any) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == ';' {
			continue
		}
		var event map[string]any
		var err error
		if strings.HasPrefix(line, `{"`) {
			d := json.NewDecoder(strings.NewReader(line))
			d.UseNumber()
			err = d.Decode(&event)
		} else {
			event, err = ednEvent(line)
		}
		if err == nil {
			err = f(event)
		}
		if err != nil {
			return fmt.Errorf("%w: line %d: %w", ErrEvents, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrEvents, err)
	}
	return nil
}

// A Checkable is a history that was read.
type Checkable interface {
	// Check returns what is wrong with it.
	Check() error
	// Len counts the operations.
	Len() int
}

// ReadHistory reads a history of any of the forms that this package writes: of requests for items, of lists, registers or a bank.
func ReadHistory(f io.ReadSeeker) (h Checkable, err error) {
	form, err := formOf(f)
	if err != nil {
		return nil, err
	}
	switch form {
	case "lists":
		var l ListHistory
		l, err = ReadLists(f)
		h = l
	case "registers":
		h, err = ReadRegisters(f)
	case "bank":
		h, err = ReadBank(f)
	default:
		h, err = ReadJSON(f)
	}
	return h, err
}

// formOf looks what a file has, as far as its first events tell. Those that only read may be of lists or of
// registers: what they show tells. Of nothing but events of others, such as the nemesis', nothing is to be checked as a list.
func formOf(f io.ReadSeeker) (form string, err error) {
	enough := errors.New("enough")
	err = eachEvent(f, func(e map[string]any) error {
		switch value, isList := e["value"].([]any); {
		case e["key"] != nil:
			form = "items"
		case e["f"] == "transfer":
			form = "bank"
		case e["f"] == "read":
			if _, isMap := e["value"].(map[string]any); isMap {
				form = "bank"
			}
		case e["f"] == "txn" && isList:
			form = formOfTransaction(value)
		}
		if form != "" {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) || errors.Is(err, ErrEvents) { // whoever reads all of it tells what is wrong
		err = nil
	}
	if form == "" {
		form = "lists"
	}
	_, seek := f.Seek(0, io.SeekStart)
	return form, errors.Join(err, seek)
}

func formOfTransaction(value []any) string {
	for _, v := range value {
		m, _ := v.([]any)
		if len(m) != 3 {
			continue
		}
		switch _, isList := m[2].([]any); {
		case m[0] == "append", m[0] == "r" && isList:
			return "lists"
		case m[0] == "w", m[0] == "r" && m[2] != nil:
			return "registers"
		}
	}
	return ""
}

// Len counts the operations.
func (h *History) Len() int { return len(h.Operations) }

// Len counts the operations.
func (h ListHistory) Len() int { return len(h) }
