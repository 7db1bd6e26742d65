package table

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// TestFullDisk: when the disk is full, writes are refused as such and have no
// effect, reads go on, and once there is room everything works again without a
// restart. That also holds for the creation of a table.
func TestFullDisk(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	disk := vfs.NewDisk(1)
	e := w.NewNode("n")
	var failure error
	if err := w.Do(e, "test", func() { failure = fullDisk(e, disk) }); err != nil {
		t.Fatal(err)
	}
	if failure != nil {
		t.Error(failure)
	}
}

func fullDisk(e *env.Env, disk *vfs.Disk) error {
	s, err := openStack(e, disk.Mount())
	if err != nil {
		return err
	}
	if _, err := s.Create(simple("tab", 2)); err != nil {
		return err
	}
	free, total, err := disk.Usage()
	if err != nil {
		return err
	}
	disk.SetCapacity(total - free + 300<<10)

	written := 0
	for _, size := range []int{4000, 400, 0} { // small items go into what is left of the log
		for err = nil; err == nil; written++ {
			_, err = s.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"%d"},"v":{"S":%q}}`, written, longText(size)))})
			if written > 10_000 {
				return errors.New("the disk never filled up")
			}
		}
		written--
		if !errors.Is(err, vfs.ErrNoSpace) {
			return fmt.Errorf("Put on the full disk: %w, want ErrNoSpace", err)
		}
	}
	if err := s.expect(written); err != nil {
		return fmt.Errorf("on the full disk: %w", err)
	}
	if _, err := s.Create(simple("more", 1)); !errors.Is(err, vfs.ErrNoSpace) {
		return fmt.Errorf("Create on the full disk: %v, want ErrNoSpace", err)
	}

	disk.SetCapacity(1 << 40)
	for attempt := 0; ; attempt++ {
		if _, err = s.Create(simple("more", 1)); err == nil {
			break
		}
		if attempt == 100 {
			return fmt.Errorf("Create with space again: %w", err)
		}
		e.Sleep(100 * time.Millisecond)
	}
	for _, table := range []string{"tab", "more"} {
		if _, err := s.Put(&PutRequest{Table: table, Item: js(`{"p":{"S":"new"}}`)}); err != nil {
			return fmt.Errorf("Put with space again: %w", err)
		}
	}
	if err := s.expect(written); err != nil {
		return fmt.Errorf("with space again: %w", err)
	}
	if err := s.close(); err != nil {
		return err
	}
	if s, err = openStack(e, disk.Mount()); err != nil {
		return err
	}
	if err := s.expect(written); err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	return s.close()
}

// expect checks that exactly the first n items of the test are there.
func (s *stack) expect(n int) error {
	for i := range n + 1 {
		r, err := s.Get(&GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":"%d"}}`, i)), Consistent: true})
		if err != nil {
			return err
		}
		if (r.Item != nil) != (i < n) {
			return fmt.Errorf("item %d of %d is there = %v", i, n, r.Item != nil)
		}
	}
	return checkCounts(s, "tab")
}
