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
	"slices"
	"strings"
	"unicode/utf8"
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
	if hasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			f.Close()
			return nil, err
		}
	}
	in.r = bufio.NewReaderSize(r, 1<<20)
	if err := skipByteOrderMark(in.r); err != nil {
		f.Close()
		return nil, err
	}
	return in, nil
}

// skipByteOrderMark drops the mark that some editors and spreadsheets put in
// front of UTF-8. A mark of UTF-16 is an error.
func skipByteOrderMark(r *bufio.Reader) error {
	head, _ := r.Peek(3) // a read error comes again with the first record
	switch {
	case bytes.Equal(head, []byte("\ufeff")):
		r.Discard(len(head))
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return errors.New("the file is in UTF-16; convert it to UTF-8")
	}
	return nil
}

func hasSuffix(name, suffix string) bool { return strings.HasSuffix(strings.ToLower(name), suffix) }

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
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	tabs := hasSuffix(name, ".tsv")
	if o.Format == FormatCSV || o.Format == FormatAuto && (tabs || hasSuffix(name, ".csv")) {
		if o.Comma == 0 && tabs {
			o.Comma = '\t'
		}
		return newCSVSource(in.r, o)
	}
	if len(o.Columns) > 0 {
		return nil, errors.New("columns are for CSV; use --format csv if the file is CSV")
	}
	shape, err := sniff(in.r)
	if err != nil {
		return nil, err
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

var errNotUTF8 = errors.New("not UTF-8")

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
	if !utf8.Valid(raw) {
		return Record{}, &RecordError{s.n, errNotUTF8}
	}
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
	s := &csvSource{r: c}
	s.columns, err = columnsOf(header, o)
	return s, err
}

// columnsOf says what becomes of each column of the header, and checks it
// against the options and the table's key.
func columnsOf(header []string, o Options) ([]Column, error) {
	columns := make([]Column, len(header))
	from := map[string]string{} // attribute to column
	for i, name := range header {
		col := Column{Name: name, Attribute: name}
		if m := slices.IndexFunc(o.Columns, func(m Column) bool { return m.Name == name }); m >= 0 {
			col = o.Columns[m]
		}
		if col.Type == "" {
			col.Type = o.typeOf(col.Attribute, "S")
		}
		switch other, twice := from[col.Attribute]; {
		case !utf8.ValidString(name):
			return nil, fmt.Errorf("csv: header: %w", errNotUTF8)
		case !slices.Contains(cellTypes, col.Type):
			return nil, fmt.Errorf("column %q: type %q is none of %s", name, col.Type, strings.Join(cellTypes, ", "))
		case twice && col.Attribute != "":
			return nil, fmt.Errorf("csv: columns %q and %q are both attribute %q", other, name, col.Attribute)
		}
		from[col.Attribute] = name
		columns[i] = col
	}
	for _, m := range o.Columns {
		if !slices.Contains(header, m.Name) {
			return nil, fmt.Errorf("csv: the header has no column %q, only %q", m.Name, header)
		}
	}
	for _, k := range o.keys {
		if _, ok := from[k.Name]; !ok {
			return nil, fmt.Errorf("csv: no column for key attribute %q, only %q", k.Name, header)
		}
	}
	return columns, nil
}

func (s *csvSource) Next() (Record, error) {
	row, err := s.r.Read()
	if err == io.EOF {
		return Record{}, io.EOF
	}
	s.n++
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return Record{}, &RecordError{s.n, err}
	}
	if err != nil {
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
