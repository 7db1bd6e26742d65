package target

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statordb/stator"
	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
)

// A Dynamo is a server of DynamoDB's API.
//
// A workload has one table. Item n:
//
//	pk   S  the number of the group of keys, in the shape's bytes as hex
//	sk   N  the number within the group, if keys.group is above 1
//	v    B  the value, which names its key
//	n    N  a counter, for add
//	p    N  from 0 to 99, at random by the key, for filter
//	x0…  S  keys of the indexes
type Dynamo struct {
	w        *drive.Workload
	table    string
	connect  func(worker int) wire
	local    *stator.DB // nil: somewhere else
	dir      string     // of the files, if they are here
	pids     []int      // of servers on this machine
	group    uint64
	mayBeOut bool
	distant  bool // it answers from other processes
	written  atomic.Uint64
}

// OpenDatabase opens a database in this process, in memory if dir is "", and loads it.
func OpenDatabase(ctx context.Context, dir string, w *drive.Workload) (*Dynamo, error) {
	o := stator.Options{InMemory: dir == "", Sync: stator.SyncNever}
	if w.Durable {
		if dir == "" {
			return nil, errors.New("a database in memory cannot be durable: give a directory")
		}
		o.Sync = stator.SyncAlways
	}
	db, err := stator.Open(dir, o)
	if err != nil {
		return nil, err
	}
	t := newDynamo(w, func(int) wire {
		return &handlerWire{client: db.HTTPClient(), signer: newSigner(Credentials{}, "stator")}
	})
	t.local, t.dir = db, dir
	if err := t.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return t, nil
}

// OpenHandler measures a handler in this process.
func OpenHandler(ctx context.Context, client *http.Client, w *drive.Workload) (*Dynamo, error) {
	t := newDynamo(w, func(int) wire { return &handlerWire{client: client, signer: newSigner(Credentials{}, "handler")} })
	return t, t.prepare(ctx)
}

// An Elsewhere says how a server in other processes is reached, and what is known of them.
type Elsewhere struct {
	Credentials Credentials
	PIDs        []int  // processes of this machine whose CPU and memory count; none: those that listen at the URLs, if they are here
	Dir         string // where the server's files are, for what they occupy; "" is not known
}

// OpenEndpoint measures a server by its URL, or a cluster by several with + between them, which the workers
// share. It makes and fills a table of its own, which Close deletes.
func OpenEndpoint(ctx context.Context, url string, o Elsewhere, w *drive.Workload) (*Dynamo, error) {
	all, err := parseEndpoints(url)
	if err != nil {
		return nil, err
	}
	t := newDynamo(w, func(worker int) wire {
		return &socket{endpoints: all, at: worker % len(all), timeout: time.Duration(w.Timeout), signer: newSigner(o.Credentials, all[0].host)}
	})
	t.distant = true
	if t.pids, t.dir = o.PIDs, o.Dir; len(t.pids) == 0 {
		for _, e := range all {
			if pid := e.process(); pid != 0 {
				t.pids = append(t.pids, pid)
			}
		}
	}
	return t, t.prepare(ctx)
}

func newDynamo(w *drive.Workload, connect func(worker int) wire) *Dynamo {
	return &Dynamo{w: w, table: tableName(w.Name), connect: connect, group: uint64(w.Keys.Group), mayBeOut: mayMiss(w)}
}

// tableName is new for each run: whoever measures twice at a time shall not share a table, and
// nobody's own table may be hit.
func tableName(workload string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, workload)
	return fmt.Sprintf("stator-bench-%.60s-%08x", clean, rand.Uint32())
}

func (t *Dynamo) prepare(ctx context.Context) error {
	if err := t.create(ctx); err != nil {
		return fmt.Errorf("make table %s: %w", t.table, err)
	}
	if t.w.Empty {
		return nil
	}
	if err := t.load(ctx); err != nil {
		return errors.Join(fmt.Errorf("load table %s: %w", t.table, err), t.drop())
	}
	return nil
}

// call makes one request. Throttled ones are repeated.
func call(ctx context.Context, c wire, operation string, body []byte) ([]byte, error) {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		if err := c.prepare(operation, body); err != nil {
			return nil, err
		}
		answer, err := c.do()
		var api *APIError
		if !(errors.As(err, &api) && passing(err)) || wait > 5*time.Second {
			return answer, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tableTimeout is how long a table may take until it is active: minutes, in the service.
const tableTimeout = 5 * time.Minute

func (t *Dynamo) create(ctx context.Context) error {
	type def map[string]string
	attributes := []def{{"AttributeName": "pk", "AttributeType": "S"}}
	schema := []def{{"AttributeName": "pk", "KeyType": "HASH"}}
	if t.group > 1 {
		attributes = append(attributes, def{"AttributeName": "sk", "AttributeType": "N"})
		schema = append(schema, def{"AttributeName": "sk", "KeyType": "RANGE"})
	}
	request := map[string]any{"TableName": t.table, "BillingMode": "PAY_PER_REQUEST"}
	var indexes []any
	for i := range t.w.Indexes {
		name := fmt.Sprint("x", i)
		attributes = append(attributes, def{"AttributeName": name, "AttributeType": "S"})
		indexes = append(indexes, map[string]any{"IndexName": "by-" + name, "KeySchema": []def{{"AttributeName": name, "KeyType": "HASH"}}, "Projection": def{"ProjectionType": "ALL"}})
	}
	if indexes != nil {
		request["GlobalSecondaryIndexes"] = indexes
	}
	if t.w.Partitions > 1 {
		request["Tags"] = []def{{"Key": "stator:partitions", "Value": strconv.Itoa(t.w.Partitions)}}
	}
	request["AttributeDefinitions"], request["KeySchema"] = attributes, schema
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	c := t.connect(0)
	defer c.close()
	if _, err := call(ctx, c, "CreateTable", body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	for {
		answer, err := call(ctx, c, "DescribeTable", []byte(`{"TableName":"`+t.table+`"}`))
		if err != nil {
			return err
		}
		if bytes.Contains(answer, []byte(`"TableStatus":"ACTIVE"`)) && !bytes.Contains(answer, []byte(`"IndexStatus":"CREATING"`)) {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// Of a load: items of a request (the service's limit), bytes of a request, and connections.
const (
	loadItems   = 25
	loadBytes   = 4 << 20
	loadWorkers = 4
)

func (t *Dynamo) load(ctx context.Context) error {
	var next atomic.Uint64
	var wg sync.WaitGroup
	errs := make([]error, loadWorkers)
	for i := range errs {
		wg.Go(func() {
			c := t.connect(i)
			defer c.close()
			errs[i] = t.loadSome(ctx, c, &next)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (t *Dynamo) loadSome(ctx context.Context, c wire, next *atomic.Uint64) error {
	b, size := &builder{t: t}, t.w.Sizes()
	for {
		from := next.Add(loadItems) - loadItems
		to := min(from+loadItems, uint64(t.w.Keys.Count))
		if from >= to {
			return nil
		}
		for from < to {
			b.begin()
			b.text(`{"RequestItems":{"` + t.table + `":[`)
			for n := 0; from < to && (n == 0 || len(b.buf) < loadBytes); n, from = n+1, from+1 {
				b.comma(n)
				b.text(`{"PutRequest":{"Item":`)
				b.item(from, size(from))
				b.text(`}}`)
			}
			b.text(`]}}`)
			if err := writeAll(ctx, c, b.buf); err != nil {
				return err
			}
		}
	}
}

// writeAll repeats what was not processed.
func writeAll(ctx context.Context, c wire, body []byte) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		answer, err := call(ctx, c, "BatchWriteItem", body)
		if err != nil {
			return err
		}
		var a struct{ UnprocessedItems map[string]json.RawMessage }
		if err := json.Unmarshal(answer, &a); err != nil {
			return err
		}
		if len(a.UnprocessedItems) == 0 {
			return nil
		}
		if body, err = json.Marshal(map[string]any{"RequestItems": a.UnprocessedItems}); err != nil {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// Close deletes the table and closes the database, if it is ours.
func (t *Dynamo) Close() error {
	if t.local != nil {
		return t.local.Close()
	}
	return t.drop()
}

func (t *Dynamo) drop() error {
	c := t.connect(0)
	_, err := call(context.Background(), c, "DeleteTable", []byte(`{"TableName":"`+t.table+`"}`))
	return errors.Join(err, c.close())
}

// Usage implements drive.Meter. Of servers in other processes, CPU, memory and what is written are known if they run on
// this machine; their allocations are not.
func (t *Dynamo) Usage() drive.Usage {
	u := drive.Usage{}
	if t.local != nil {
		u = usage(t.dir, t.w.Durable)
	} else {
		for _, pid := range t.pids {
			if one, err := bench.UsageOf(pid); err == nil {
				add(&u, one)
			}
		}
		if bench.RoundsWrites(t.dir) {
			u.WrittenBytes = 0 // not known
		}
		if t.dir != "" {
			u.DiskBytes, _ = bench.DiskUsage(t.dir) // 0 is "not known"
		}
	}
	u.UserBytes = float64(t.written.Load())
	return u
}

// add counts what another process has used.
func add(u *drive.Usage, p bench.ProcessUsage) {
	u.CPU += p.CPU
	u.ResidentBytes += p.ResidentBytes
	u.WrittenBytes += p.WrittenBytes
	u.ReadBytes += p.ReadBytes
}

// Distant implements drive.Distant.
func (t *Dynamo) Distant() bool { return t.distant }

// NewSession implements drive.Target.
func (t *Dynamo) NewSession(worker int) (drive.Session, error) {
	c := t.connect(worker)
	if s, ok := c.(*socket); ok {
		s.blocks = t.w.Threads()
	}
	return &dynamoSession{wire: c, builder: builder{t: t}, attempts: t.w.Attempts}, nil
}

// A builder makes requests in a buffer.
type builder struct {
	t          *Dynamo
	buf        []byte
	key, value []byte
	generation uint32
}

func (b *builder) begin()          { b.buf = b.buf[:0] }
func (b *builder) text(s string)   { b.buf = append(b.buf, s...) }
func (b *builder) number(n uint64) { b.buf = strconv.AppendUint(b.buf, n, 10) }

func (b *builder) comma(i int) {
	if i > 0 {
		b.buf = append(b.buf, ',')
	}
}

// keys writes the attributes of the key of number n, of which the even ones exist.
func (b *builder) keys(n uint64) {
	at, odd := n/2, n%2
	b.key = b.t.w.Keys.Shape.AppendKey(b.key[:0], 2*(at/b.t.group)+odd)
	b.text(`"pk":{"S":"`)
	b.buf = hex.AppendEncode(b.buf, b.key)
	b.text(`"}`)
	if b.t.group > 1 {
		b.text(`,"sk":{"N":"`)
		b.number(at % b.t.group)
		b.text(`"}`)
	}
}

func (b *builder) item(key uint64, size int) {
	b.generation++
	b.text(`{`)
	b.keys(2 * key)
	b.value = bench.AppendValue(b.value[:0], size, 2*key, b.generation)
	b.text(`,"v":{"B":"`)
	b.buf = base64.StdEncoding.AppendEncode(b.buf, b.value)
	b.text(`"},"n":{"N":"0"},"p":{"N":"`)
	b.number(mixed(key) % 100)
	b.text(`"}`)
	for i := range b.t.w.Indexes {
		b.buf = fmt.Appendf(b.buf, `,"x%d":{"S":"%s"}`, i, indexKey(i, key, b.generation))
	}
	b.text(`}`)
}

// indexKey is the value of an index's key: some ten items have the same one, and another one
// after each write, so that a write moves the item in the index.
func indexKey(i int, key uint64, generation uint32) string {
	return fmt.Sprintf("%x", mixed(key/10+uint64(i)<<40+uint64(generation%2)<<50))
}

// mixed looks random.
func mixed(n uint64) uint64 {
	n = (n ^ n>>32) * 0x9e3779b97f4a7c15
	n = (n ^ n>>29) * 0xbf58476d1ce4e5b9
	return n ^ n>>32
}

// A dynamoSession is one worker's connection.
type dynamoSession struct {
	builder
	wire     wire
	attempts int
	op       *drive.Op
	answer   []byte
	seen     map[uint64]bool // keys of a batch, which must differ
}

func (s *dynamoSession) Prepare(op *drive.Op) error {
	s.op, s.answer = op, nil
	s.begin()
	s.text(`{"TableName":"`)
	s.text(s.t.table)
	s.text(`"`)
	operation := ""
	switch op.Kind {
	case drive.Get, drive.Miss:
		operation = "GetItem"
		n := 2 * op.Key
		if op.Kind == drive.Miss {
			n++
		}
		s.text(`,"ConsistentRead":true,"Key":{`)
		s.keys(n)
		s.text(`}`)
	case drive.Put, drive.Insert:
		operation = "PutItem"
		s.text(`,"Item":`)
		s.item(op.Key, op.Size)
		s.t.written.Add(uint64(op.Size + bench.KeySize))
	case drive.Add:
		operation = "UpdateItem"
		s.text(`,"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}},"Key":{`)
		s.keys(2 * op.Key)
		s.text(`}`)
	case drive.Delete:
		operation = "DeleteItem"
		s.text(`,"Key":{`)
		s.keys(2 * op.Key)
		s.text(`}`)
	case drive.Scan:
		operation = "Scan"
		s.text(`,"Limit":`)
		s.number(uint64(op.Length))
		s.text(`,"ExclusiveStartKey":{`)
		s.keys(2 * op.Key)
		s.text(`}`)
	case drive.Query:
		operation = "Query"
		s.text(`,"Limit":`)
		s.number(uint64(op.Length))
		s.text(`,"KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"`)
		s.key = s.t.w.Keys.Shape.AppendKey(s.key[:0], 2*(op.Key/s.t.group))
		s.buf = fmt.Appendf(s.buf, "%x", s.key)
		s.text(`"}}`)
	case drive.Filter:
		operation = "Scan"
		s.text(`,"FilterExpression":"p < :s","ExpressionAttributeValues":{":s":{"N":"`)
		s.number(uint64(s.t.w.Selects))
		s.text(`"}}`)
	case drive.Index:
		if s.t.w.Indexes == 0 {
			return fmt.Errorf("the workload has no indexes: %w", drive.ErrUnsupported)
		}
		operation = "Query"
		i := int(op.Key) % s.t.w.Indexes
		s.buf = fmt.Appendf(s.buf, `,"IndexName":"by-x%d","Limit":%d,"KeyConditionExpression":"x%d = :x","ExpressionAttributeValues":{":x":{"S":"%s"}}`,
			i, op.Length, i, indexKey(i, op.Key, uint32(op.Key)))
	case drive.GetMany, drive.PutMany, drive.Transact:
		return s.prepareMany(op)
	default:
		return fmt.Errorf("%q: %w", op.Kind, drive.ErrUnsupported)
	}
	s.text(`}`)
	return s.wire.prepare(operation, s.buf)
}

// prepareMany makes a batch. A key that comes twice is taken once: the API refuses it.
func (s *dynamoSession) prepareMany(op *drive.Op) error {
	if s.seen == nil {
		s.seen = map[uint64]bool{}
	}
	clear(s.seen)
	s.begin()
	operation, begin, one, end := "BatchGetItem", `{"RequestItems":{"`+s.t.table+`":{"Keys":[`, `{`, `]}}}`
	switch op.Kind {
	case drive.PutMany:
		operation, begin, one, end = "BatchWriteItem", `{"RequestItems":{"`+s.t.table+`":[`, `{"PutRequest":{"Item":`, `]}}`
	case drive.Transact:
		operation, begin, one, end = "TransactWriteItems", `{"TransactItems":[`, `{"Put":{"TableName":"`+s.t.table+`","Item":`, `]}`
	}
	s.text(begin)
	for i := range op.Length {
		key := op.More(i)
		if s.seen[key] {
			continue
		}
		s.comma(len(s.seen))
		s.seen[key] = true
		s.text(one)
		if op.Kind == drive.GetMany {
			s.keys(2 * key)
			s.text(`}`)
			continue
		}
		s.item(key, op.Size)
		s.t.written.Add(uint64(op.Size + bench.KeySize))
		s.text(`}}`)
	}
	s.text(end)
	return s.wire.prepare(operation, s.buf)
}

// Do tries as often as the workload says, each time at the next node. When all nodes have been asked there are pauses, from 50 ms
// to a second, as SDKs make them.
func (s *dynamoSession) Do() (err error) {
	for i, wait := 1, 50*time.Millisecond; ; i++ {
		if s.answer, err = s.wire.do(); err == nil || i >= s.attempts || !passing(err) {
			return conflictOr(err)
		}
		if nodes := s.wire.move(); i >= nodes {
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
		}
	}
}

var valueStart = []byte(`"v":{"B":"`)

func (s *dynamoSession) Check() error {
	switch s.op.Kind {
	case drive.Get:
		return s.checkItem()
	case drive.Miss:
		if bytes.Contains(s.answer, valueStart) {
			return errors.New("a key that was never written is there")
		}
	case drive.Query:
		if !s.t.mayBeOut && bytes.Count(s.answer, valueStart) != min(s.op.Length, s.collection()) {
			return fmt.Errorf("%d items instead of %d: %.300s", bytes.Count(s.answer, valueStart), min(s.op.Length, s.collection()), s.answer)
		}
	case drive.PutMany, drive.GetMany:
		if bytes.Contains(s.answer, []byte(`Request":{"`)) || bytes.Contains(s.answer, []byte(`"UnprocessedKeys":{"`)) {
			return nil // throttled in part: that is the target's right
		}
		if got := bytes.Count(s.answer, valueStart); s.op.Kind == drive.GetMany && !s.t.mayBeOut && got != len(s.seen) {
			return fmt.Errorf("%d items instead of %d", got, len(s.seen))
		}
	}
	return nil
}

// collection is how many items there are in the group of the operation's key.
func (s *dynamoSession) collection() int {
	first := s.op.Key / s.t.group * s.t.group
	return int(min(s.t.group, uint64(s.t.w.Keys.Count)-first))
}

func (s *dynamoSession) checkItem() error {
	at := bytes.Index(s.answer, valueStart)
	if at < 0 {
		if s.t.mayBeOut {
			return nil
		}
		return fmt.Errorf("it is missing: %.100s", s.answer)
	}
	rest := s.answer[at+len(valueStart):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return errors.New("the answer ends within a value")
	}
	var err error
	if s.value, err = base64.StdEncoding.AppendDecode(s.value[:0], rest[:end]); err != nil || !bench.IsValue(s.value, len(s.value), 2*s.op.Key) {
		return fmt.Errorf("a value that was never written: %.100s", rest[:end])
	}
	return nil
}

func (s *dynamoSession) Close() error { return s.wire.close() }
