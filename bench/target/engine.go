package target

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
)

// An Engine is an ordered store in this process.
type Engine struct {
	engine   bench.Engine
	dir      string
	w        *drive.Workload
	written  atomic.Uint64 // bytes of keys and values
	mayBeOut bool          // keys may be absent that are asked for
}

// OpenEngine makes a database in the directory, which is empty, and loads it. It is closed
// by Close.
func OpenEngine(o bench.Opener, dir string, w *drive.Workload, s bench.Settings) (*Engine, error) {
	s.Durable, s.Writers, s.Faceted = w.Durable, w.Workers, w.Operations[drive.Filter] > 0
	e, err := o.Open(dir, s)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Name, err)
	}
	t := &Engine{engine: e, dir: dir, w: w, mayBeOut: mayMiss(w)}
	if w.Empty {
		return t, nil
	}
	if err := t.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("load %s: %w", o.Name, err), e.Close())
	}
	return t, nil
}

// mayMiss reports whether operations of the workload ask for keys that are not there.
func mayMiss(w *drive.Workload) bool {
	return w.Empty || w.Operations[drive.Delete] > 0 || w.Operations[drive.Insert] > 0 || w.Keys.Choose == drive.FromTrace
}

const loadBatch = 100

// load writes all keys in random order and settles.
func (t *Engine) load() error {
	s, err := t.engine.NewSession()
	if err != nil {
		return err
	}
	order, size := bench.NewPermutation(t.w.Keys.Count, 2), t.w.Sizes()
	var key, value []byte
	for i := range uint64(t.w.Keys.Count) {
		n := order.At(i)
		key = t.w.Keys.Shape.AppendKey(key[:0], 2*n)
		value = bench.AppendValue(value[:0], size(n), 2*n, 0)
		s.Set(key, value)
		if (i+1)%loadBatch == 0 || i+1 == uint64(t.w.Keys.Count) {
			if err := s.Commit(); err != nil {
				return errors.Join(err, s.Close())
			}
		}
	}
	return errors.Join(s.Close(), t.engine.Settle())
}

// Close closes the database.
func (t *Engine) Close() error { return t.engine.Close() }

// Usage implements drive.Meter. It is that of the process, so the harness is in it.
func (t *Engine) Usage() drive.Usage {
	u := usage(t.dir, t.w.Durable)
	u.UserBytes = float64(t.written.Load())
	if s, ok := t.engine.(bench.Staller); ok {
		n, d := s.Stalls()
		u.Stalls, u.StallTime = float64(n), d
	}
	return u
}

// usage is that of this process, whose files are in dir, if there are any.
func usage(dir string, durable bool) drive.Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m) // it stops the world for some microseconds, once a second
	u := drive.Usage{CPU: bench.CPUTime(), Allocs: float64(m.Mallocs), ResidentBytes: bench.Resident()}
	if dir != "" { // without files, what is written is not the database
		u.WrittenBytes = bench.WrittenBytes(filepath.Dir(dir), durable)
		u.DiskBytes, _ = bench.DiskUsage(dir) // 0 is "not known"
	}
	return u
}

// NewSession implements drive.Target.
func (t *Engine) NewSession(int) (drive.Session, error) {
	s, err := t.engine.NewSession()
	if err != nil {
		return nil, err
	}
	e := &engineSession{t: t, session: s}
	e.visit = e.seen
	return e, nil
}

// An engineSession is one worker's. It allocates nothing by itself once its buffers are large
// enough.
type engineSession struct {
	t       *Engine
	session bench.Session
	visit   func(k, v []byte)

	op     *drive.Op
	keys   []byte // of KeySize each
	values []byte
	ends   []int // of each value
	read   []byte
	found  bool

	generation uint32
	visited    int
	bad        error // what a visit found wrong
}

func (s *engineSession) Prepare(op *drive.Op) error {
	s.op, s.bad, s.visited, s.found = op, nil, 0, false
	s.keys, s.values, s.ends = s.keys[:0], s.values[:0], s.ends[:0]
	switch op.Kind {
	case drive.Query, drive.Index, drive.Simulate:
		if op.Kind != drive.Query {
			return fmt.Errorf("%s: %w", op.Kind, drive.ErrUnsupported)
		}
		group := uint64(s.t.w.Keys.Group)
		s.key(op.Key / group * group * 2)
	case drive.Miss:
		s.key(2*op.Key + 1)
	case drive.Put, drive.Insert, drive.Add:
		s.pair(op.Key, op.Size)
	case drive.GetMany:
		for i := range op.Length {
			s.key(2 * op.More(i))
		}
	case drive.PutMany, drive.Transact:
		for i := range op.Length {
			s.pair(op.More(i), op.Size)
		}
	case drive.Delete:
		if _, ok := s.session.(bench.Deleter); !ok {
			return fmt.Errorf("%s: %w", op.Kind, drive.ErrUnsupported)
		}
		s.key(2 * op.Key)
	default:
		s.key(2 * op.Key)
	}
	return nil
}

func (s *engineSession) key(n uint64) { s.keys = s.t.w.Keys.Shape.AppendKey(s.keys, n) }

func (s *engineSession) pair(n uint64, size int) {
	s.generation++
	s.key(2 * n)
	s.values = bench.AppendValue(s.values, size, 2*n, s.generation)
	s.ends = append(s.ends, len(s.values))
}

func (s *engineSession) keyAt(i int) []byte { return s.keys[i*bench.KeySize : (i+1)*bench.KeySize] }

func (s *engineSession) Do() (err error) {
	switch s.op.Kind {
	case drive.Get, drive.Miss:
		s.read, s.found, err = s.session.Get(s.keyAt(0), s.read[:0])
		return err
	case drive.Add:
		if s.read, s.found, err = s.session.Get(s.keyAt(0), s.read[:0]); err != nil {
			return err
		}
		return s.write()
	case drive.GetMany:
		for i := range s.op.Length {
			if s.read, s.found, err = s.session.Get(s.keyAt(i), s.read[:0]); err != nil {
				return err
			}
		}
		return nil
	case drive.Delete:
		s.session.(bench.Deleter).Delete(s.keyAt(0))
		return s.session.Commit()
	case drive.Scan, drive.Query:
		_, err = s.session.Scan(s.keyAt(0), false, s.op.Length, s.visit)
		return err
	case drive.Filter:
		return s.filter()
	default:
		return s.write()
	}
}

func (s *engineSession) filter() (err error) {
	if f, ok := s.session.(bench.Finder); ok {
		_, err = f.Find(s.t.w.Selects, s.visit)
		return err
	}
	_, err = s.session.Scan(nil, false, 1<<62, func(k, v []byte) {
		if bench.InShare(v, s.t.w.Selects) {
			s.visit(k, v)
		}
	})
	return err
}

// write commits what was prepared in one batch.
func (s *engineSession) write() error {
	at := 0
	for i, end := range s.ends {
		s.session.Set(s.keyAt(i), s.values[at:end])
		at = end
	}
	s.t.written.Add(uint64(len(s.keys) + len(s.values)))
	return s.session.Commit()
}

// seen checks an entry of a scan.
func (s *engineSession) seen(k, v []byte) {
	s.visited++
	if n := s.t.w.Keys.Shape.Number(k); !bench.IsValue(v, len(v), n) && s.bad == nil {
		s.bad = fmt.Errorf("key %x has a value that was never written: %.40x", k, v)
	}
}

func (s *engineSession) Check() error {
	switch s.op.Kind {
	case drive.Get, drive.Add, drive.GetMany:
		i := len(s.keys)/bench.KeySize - 1 // of a batch, the last one
		n := s.t.w.Keys.Shape.Number(s.keyAt(i))
		if !s.found {
			if s.t.mayBeOut {
				return nil
			}
			return errors.New("it is missing")
		}
		if !bench.IsValue(s.read, len(s.read), n) {
			return fmt.Errorf("a value that was never written: %.40x", s.read)
		}
	case drive.Miss:
		if s.found {
			return errors.New("a key that was never written is there")
		}
	}
	return s.bad
}

func (s *engineSession) Close() error { return s.session.Close() }
