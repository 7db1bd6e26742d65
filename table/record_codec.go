package table

import (
	"encoding/binary"

	"github.com/statordb/stator/item"
)

// A writer appends the parts of catalog records and commands.
type writer struct{ b []byte }

func (w *writer) byte(v byte)   { w.b = append(w.b, v) }
func (w *writer) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }

func (w *writer) hash(v uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, v) }

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) texts(list []string) {
	w.uint(uint64(len(list)))
	for _, s := range list {
		w.text(s)
	}
}

func (w *writer) definition(d *Definition) {
	w.text(d.Name)
	w.uint(uint64(len(d.Attributes)))
	for _, a := range d.Attributes {
		w.text(a.Name)
		w.byte(byte(a.Type))
	}
	w.keys(d.Keys)
	w.indexes(d.LocalIndexes)
	w.indexes(d.GlobalIndexes)
	w.text(d.BillingMode)
	w.throughput(d.Throughput)
	w.onDemand(d.OnDemand)
	w.throughput(d.WarmThroughput)
	w.stream(d.Stream)
	w.text(d.TableClass)
	w.bool(d.DeletionProtection)
	w.sse(d.SSE)
	w.uint(uint64(len(d.Tags)))
	for _, t := range d.Tags {
		w.text(t.Key)
		w.text(t.Value)
	}
	w.uint(uint64(d.Partitions))
}

func (w *writer) keys(keys []KeyElement) {
	w.uint(uint64(len(keys)))
	for _, k := range keys {
		w.text(k.Name)
		w.byte(byte(k.Role))
	}
}

func (w *writer) indexes(list []IndexDefinition) {
	w.uint(uint64(len(list)))
	for i := range list {
		x := &list[i]
		w.text(x.Name)
		w.keys(x.Keys)
		w.bool(x.Projection != nil)
		if x.Projection != nil {
			w.text(x.Projection.Type)
			w.texts(x.Projection.NonKeyAttributes)
		}
		w.throughput(x.Throughput)
		w.onDemand(x.OnDemand)
	}
}

func (w *writer) throughput(t *Throughput) {
	w.bool(t != nil)
	if t != nil {
		w.int(t.Read)
		w.int(t.Write)
	}
}

func (w *writer) onDemand(t *OnDemandThroughput) {
	w.bool(t != nil)
	if t != nil {
		w.int(t.MaxRead)
		w.int(t.MaxWrite)
	}
}

func (w *writer) stream(s *StreamSpec) {
	w.bool(s != nil)
	if s != nil {
		w.bool(s.Enabled)
		w.text(s.ViewType)
	}
}

func (w *writer) sse(s *SSESpec) {
	w.bool(s != nil)
	if s != nil {
		w.bool(s.Enabled)
		w.text(s.Type)
		w.text(s.KMSKeyID)
	}
}

// A reader takes the parts off again. After the first malformed part bad is
// set and everything reads as zero.
type reader struct {
	b   []byte
	bad bool
}

func (d *reader) fail() {
	d.b = nil
	d.bad = true
}

func (d *reader) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *reader) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

func (d *reader) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *reader) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *reader) fixed() uint64 {
	if len(d.b) < 8 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

// count reads the length of a list whose elements take at least a byte each.
func (d *reader) count() int {
	v := d.uint()
	if v > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(v)
}

func (d *reader) text() string {
	n := d.count()
	if d.bad {
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *reader) texts() []string {
	var list []string
	for range d.count() {
		list = append(list, d.text())
	}
	return list
}

func (d *reader) definition() Definition {
	def := Definition{Name: d.text()}
	for range d.count() {
		def.Attributes = append(def.Attributes, AttributeDefinition{Name: d.text(), Type: item.Type(d.byte())})
	}
	def.Keys = d.keys()
	def.LocalIndexes = d.indexes()
	def.GlobalIndexes = d.indexes()
	def.BillingMode = d.text()
	def.Throughput = d.throughput()
	def.OnDemand = d.onDemand()
	def.WarmThroughput = d.throughput()
	def.Stream = d.stream()
	def.TableClass = d.text()
	def.DeletionProtection = d.bool()
	def.SSE = d.sse()
	for range d.count() {
		def.Tags = append(def.Tags, Tag{Key: d.text(), Value: d.text()})
	}
	def.Partitions = int(d.uint())
	for _, a := range def.Attributes {
		if a.Type != item.S && a.Type != item.N && a.Type != item.B {
			d.fail()
		}
	}
	return def
}

func (d *reader) keys() []KeyElement {
	var keys []KeyElement
	for range d.count() {
		k := KeyElement{Name: d.text(), Role: KeyRole(d.byte())}
		if k.Role != Hash && k.Role != Range {
			d.fail()
		}
		keys = append(keys, k)
	}
	return keys
}

func (d *reader) indexes() []IndexDefinition {
	var list []IndexDefinition
	for range d.count() {
		x := IndexDefinition{Name: d.text(), Keys: d.keys()}
		if d.bool() {
			x.Projection = &Projection{Type: d.text(), NonKeyAttributes: d.texts()}
		}
		x.Throughput = d.throughput()
		x.OnDemand = d.onDemand()
		list = append(list, x)
	}
	return list
}

func (d *reader) throughput() *Throughput {
	if !d.bool() {
		return nil
	}
	return &Throughput{Read: d.int(), Write: d.int()}
}

func (d *reader) onDemand() *OnDemandThroughput {
	if !d.bool() {
		return nil
	}
	return &OnDemandThroughput{MaxRead: d.int(), MaxWrite: d.int()}
}

func (d *reader) stream() *StreamSpec {
	if !d.bool() {
		return nil
	}
	return &StreamSpec{Enabled: d.bool(), ViewType: d.text()}
}

func (d *reader) sse() *SSESpec {
	if !d.bool() {
		return nil
	}
	return &SSESpec{Enabled: d.bool(), Type: d.text(), KMSKeyID: d.text()}
}
