package load

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Record is one item of the input in DynamoDB JSON, {"name":{"S":"x"},...}.
type Record struct {
	Number int64 // 1-based position in the input
	Item   map[string]json.RawMessage
}

// A Source yields the records of one file in order; io.EOF ends it.
type Source interface {
	Next() (Record, error)
}

// A RecordError is a record that cannot be turned into an item. The source
// goes on behind it.
type RecordError struct {
	Number int64
	Err    error
}

func (e *RecordError) Error() string { return fmt.Sprintf("record %d: %v", e.Number, e.Err) }
func (e *RecordError) Unwrap() error { return e.Err }

// An input is an open file and how much of it has been read.
type input struct {
	file  *os.File
	size  int64
	count countingReader
	r     *bufio.Reader
}

func openInput(name string) (*input, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	in := &input{file: f, size: st.Size()}
	in.count.r = f
	var r io.Reader = &in.count
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	in.r = bufio.NewReaderSize(r, 1<<20)
	return in, nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// newSource finds out how the file is laid out and returns its records.
func newSource(name string, in *input, o Options) (Source, error) {
	if o.Format == FormatCSV || o.Format == FormatAuto && isCSVName(name) {
		return newCSVSource(in.r, o)
	}
	shape, err := sniff(in.r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	dec := json.NewDecoder(in.r)
	dec.UseNumber()
	s := &jsonSource{dec: dec, array: shape != shapeLines, o: o}
	switch shape {
	case shapeArray:
		err = skipTokens(dec, 1) // [
	case shapeWrapped:
		err = skipTokens(dec, 3) // { "name" [
	}
	return s, err
}

func isCSVName(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(name, ".gz"), ".csv")
}

func skipTokens(dec *json.Decoder, n int) error {
	for range n {
		if _, err := dec.Token(); err != nil {
			return err
		}
	}
	return nil
}

type shape int

const (
	shapeLines   shape = iota // values one after another
	shapeArray                // [ {...}, {...} ]
	shapeWrapped              // { "anything": [ {...}, {...} ] }
)

var errNotJSON = errors.New("neither JSON objects nor an array of them; use --format csv for CSV")

// sniff looks at the first bytes without consuming them. An object whose first
// member opens an array of objects is a wrapper; any other object is a line.
func sniff(r *bufio.Reader) (shape, error) {
	head, err := r.Peek(1 << 16)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return 0, err
	}
	dec := json.NewDecoder(bytes.NewReader(head))
	first, err := dec.Token()
	if err == io.EOF {
		return shapeLines, nil // an empty file holds no records
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w (%v)", errNotJSON, err)
	case first == json.Delim('['):
		return shapeArray, nil
	case first != json.Delim('{'):
		return 0, errNotJSON
	}
	dec.Token() // member name
	second, _ := dec.Token()
	third, _ := dec.Token()
	if second == json.Delim('[') && (third == json.Delim('{') || third == json.Delim(']')) {
		return shapeWrapped, nil
	}
	return shapeLines, nil
}

// jsonSource reads objects one after another or as elements of an array.
type jsonSource struct {
	dec   *json.Decoder
	array bool
	n     int64
	o     Options
}

func (s *jsonSource) Next() (Record, error) {
	if s.array && !s.dec.More() {
		if _, err := s.dec.Token(); err != nil { // ]
			return Record{}, noEOF(err)
		}
		return Record{}, io.EOF
	}
	var raw json.RawMessage
	if err := s.dec.Decode(&raw); err != nil {
		if err == io.EOF && !s.array {
			return Record{}, io.EOF
		}
		return Record{}, fmt.Errorf("after record %d: %w", s.n, noEOF(err))
	}
	s.n++
	item, err := itemOf(raw, s.o)
	if err != nil {
		return Record{}, &RecordError{s.n, err}
	}
	return Record{s.n, item}, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// csvSource reads rows under a header row. Empty cells are left out.
type csvSource struct {
	r       *csv.Reader
	columns []Column
	n       int64
}

func newCSVSource(r io.Reader, o Options) (*csvSource, error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	if o.Comma != 0 {
		c.Comma = o.Comma
	}
	header, err := c.Read()
	if err == io.EOF {
		return nil, errors.New("csv: no header row")
	}
	if err != nil {
		return nil, err
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	s := &csvSource{r: c}
	used := 0
	for _, name := range header {
		col := Column{Name: name, Attribute: name}
		for _, m := range o.Columns {
			if m.Name == name {
				col, used = m, used+1
			}
		}
		if col.Type == "" {
			col.Type = o.typeOf(col.Attribute, "S")
		}
		s.columns = append(s.columns, col)
	}
	if used != len(o.Columns) {
		return nil, fmt.Errorf("csv: header %q lacks a column named by --column", header)
	}
	return s, nil
}

func (s *csvSource) Next() (Record, error) {
	row, err := s.r.Read()
	if err == io.EOF {
		return Record{}, io.EOF
	}
	s.n++
	if err != nil {
		if errors.Is(err, csv.ErrFieldCount) {
			return Record{}, &RecordError{s.n, err}
		}
		return Record{}, err
	}
	item := make(map[string]json.RawMessage, len(row))
	for i, cell := range row {
		col := s.columns[i]
		if cell == "" || col.Attribute == "" {
			continue
		}
		v, err := cellValue(col.Type, cell)
		if err != nil {
			return Record{}, &RecordError{s.n, fmt.Errorf("column %s: %w", col.Name, err)}
		}
		item[col.Attribute] = v
	}
	return Record{s.n, item}, nil
}
