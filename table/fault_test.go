package table

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

var everyCall = flag.Bool("table.everycall", false, "TestEveryCallFailsOnce leaves no call out")

// TestEveryCallFailsOnce: each I/O call in a life of the whole stack, or in the start
// after it, fails once. What was answered before the machine then loses power is there
// at the next start, and everything works again. Without -table.everycall ever fewer of
// the later calls fail.
func TestEveryCallFailsOnce(t *testing.T) {
	stride := 12
	if testing.Short() {
		stride = 3
	}
	if *everyCall {
		stride = math.MaxInt
	}
	for _, cause := range []error{vfs.ErrIO, vfs.ErrNoSpace} {
		for _, inStart := range []bool{false, true} {
			for n, reached := 1, true; reached; n += 1 + n/stride {
				var err error
				if reached, err = failNth(n, cause, inStart); err != nil {
					t.Fatalf("call %d, in the start: %v: %v", n, inStart, err)
				}
				if !reached && n < 50 {
					t.Errorf("only %d calls were made", n)
				}
			}
		}
	}
}

// failNth reports whether there were n calls.
func failNth(n int, cause error, inStart bool) (reached bool, failure error) {
	w := env.NewWorld(uint64(n), env.Options{})
	defer w.Close()
	disk := vfs.NewDisk(uint64(n))
	e := w.NewNode("n")
	calls := 0
	var failed vfs.Op
	l := life{versions: map[string]int{}, closes: n%2 == 0}
	faulty := func() vfs.FS {
		return vfs.NewInject(disk.Mount(), func(op vfs.Op) error {
			if calls++; calls == n {
				failed = op
				return cause
			}
			return nil
		})
	}
	lives := []func() error{
		func() error { return l.run(e, faulty(), cause) },
		func() error { return l.check(e, disk.Mount()) },
	}
	if inStart {
		lives = []func() error{
			func() error { return l.run(e, disk.Mount(), cause) },
			func() error { return unless(cause, l.check(e, faulty())) },
			func() error { return l.check(e, disk.Mount()) },
		}
	}
	var err error
	for i, live := range lives {
		if i > 0 {
			w.Crash("n")
			disk.Crash(vfs.LoseAll)
			e = w.Restart("n")
		}
		if err = w.Do(e, "life", func() { failure = live() }); err != nil || failure != nil {
			break
		}
	}
	if err = errors.Join(err, failure); err != nil {
		return true, fmt.Errorf("%s %s: %v: %w", failed.Kind, failed.Name, cause, err)
	}
	return calls >= n, nil
}

// A life is what is known of the items of one life, by key.
type life struct {
	created  bool
	versions map[string]int // answered
	asked    int            // the last version that was asked for
	closes   bool
}

// run writes until the end, whatever fails. Only errors that have another cause are
// returned.
func (l *life) run(e *env.Env, fs vfs.FS, cause error) error {
	s, err := openStack(e, fs)
	if err != nil {
		return unless(cause, err)
	}
	_, err = s.Create(simple("tab", 2))
	l.created = err == nil
	if err != nil {
		return unless(cause, err)
	}
	for l.asked = 1; l.asked <= 40; l.asked++ {
		k := fmt.Sprint(l.asked % 7)
		it := js(fmt.Sprintf(`{"p":{"S":%q},"v":{"N":"%d"},"pad":{"S":%q}}`, k, l.asked, longText(6000)))
		if _, err := s.Put(&PutRequest{Table: "tab", Item: it}); err == nil {
			l.versions[k] = l.asked
		} else if err := unless(cause, err); err != nil {
			return err
		}
		if l.asked%10 == 0 {
			if _, err := s.Create(simple("more", 1)); err != nil {
				if err := unless(cause, err); err != nil {
					return err
				}
			}
			if _, err := s.Delete("more"); err != nil {
				var missing *NotFoundError
				if err := unless(cause, err); err != nil && !errors.As(err, &missing) {
					return err
				}
			}
		}
	}
	if l.closes { // else the machine loses power
		return unless(cause, s.close())
	}
	return nil
}

// unless returns err if it does not stem from cause.
func unless(cause, err error) error {
	if errors.Is(err, cause) {
		return nil
	}
	return err
}

func (l *life) check(e *env.Env, fs vfs.FS) error {
	s, err := openStack(e, fs)
	if err != nil {
		return err
	}
	if _, err := s.Describe("tab"); err != nil && l.created {
		return err
	} else if err != nil {
		_, err = s.Create(simple("tab", 2))
		return errors.Join(err, s.close())
	}
	for k := range 7 {
		k := fmt.Sprint(k)
		r, err := s.Get(&GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":%q}}`, k)), Consistent: true})
		if err != nil {
			return err
		}
		got := 0
		if v, ok := r.Item.Get("v"); ok {
			fmt.Sscan(v.Number().String(), &got)
		}
		if got < l.versions[k] {
			return fmt.Errorf("item %s has version %d, answered was %d", k, got, l.versions[k])
		}
	}
	if err := checkCounts(s, "tab"); err != nil {
		return err
	}
	_, err = s.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"new"}}`)})
	return errors.Join(err, s.close())
}
